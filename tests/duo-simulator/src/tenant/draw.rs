//! Choices and keys that depend on nothing but the seed and a number.

/// Mixes bits so that neighbours have nothing in common: the finalizer of SplitMix64, a bijection.
const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Undoes [`mix`].
const fn unmix(value: u64) -> u64 {
    let value = (value ^ (value >> 31) ^ (value >> 62)).wrapping_mul(0x3196_42b2_d24d_8ec3);
    let value = (value ^ (value >> 27) ^ (value >> 54)).wrapping_mul(0x96de_1b17_3f11_9089);
    value ^ (value >> 30) ^ (value >> 60)
}

fn tag(seed: u64, word: &str) -> u64 {
    word.bytes().fold(mix(seed ^ 0x9e37_79b9_7f4a_7c15), |tag, byte| mix(tag ^ u64::from(byte)))
}

/// A sequence of choices.
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64, word: &str, number: u64) -> Self {
        Self(mix(tag(seed, word) ^ mix(number)))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`, or zero.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// True in one of `times` cases.
    pub(super) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(super) fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T
    where
        &'a T: Default,
    {
        let index = self.below(choices.len() as u64);
        usize::try_from(index).ok().and_then(|index| choices.get(index)).copied().unwrap_or_default()
    }

    /// So many upper-case letters and digits.
    pub(super) fn text(&mut self, length: usize) -> String {
        (0..length).map(|_| digit(self.below(36))).collect()
    }

    /// A UUID whose last twelve digits are `number`.
    pub(super) fn uuid(&mut self, number: u64) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            high >> 32,
            high & 0xffff,
            low >> 52,
            low & 0xfff,
            number
        )
    }
}

fn digit(value: u64) -> char {
    u32::try_from(value)
        .ok()
        .and_then(|value| char::from_digit(value, 36))
        .unwrap_or('0')
        .to_ascii_uppercase()
}

/// Keys of one kind: two letters and eighteen letters or digits, from which the number can be read back.
pub(super) struct Key {
    prefix: &'static str,
    tag: u64,
}

/// Base-36 digits of a 64-bit number.
const DIGITS: usize = 13;

impl Key {
    pub(super) fn new(seed: u64, prefix: &'static str) -> Self {
        Self { prefix, tag: tag(seed, prefix) }
    }

    pub(super) fn text(&self, number: u64) -> String {
        let mut value = mix(number.wrapping_add(self.tag));
        let mut draw = Draw(value);
        let mut digits = Vec::with_capacity(DIGITS);
        for _ in 0..DIGITS {
            digits.push(digit(value % 36));
            value /= 36;
        }
        format!("{}{}{}", self.prefix, digits.into_iter().collect::<String>(), draw.text(18 - DIGITS))
    }

    /// The number of the object with this key; `None` where no object has it.
    pub(super) fn number(&self, key: &str) -> Option<u64> {
        let digits = key.strip_prefix(self.prefix)?.get(..DIGITS)?;
        let value = digits.chars().rev().try_fold(0_u64, |value, char| {
            value.checked_mul(36)?.checked_add(u64::from(char.to_digit(36)?))
        })?;
        let number = unmix(value).wrapping_sub(self.tag);
        (self.text(number) == key).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_key_can_be_read_back(seed: u64, number: u64) {
            let key = Key::new(seed, "DU");
            let text = key.text(number);
            prop_assert_eq!(text.len(), 20);
            prop_assert!(text.chars().all(|char| char.is_ascii_uppercase() || char.is_ascii_digit()));
            prop_assert_eq!(key.number(&text), Some(number));
        }

        #[test]
        fn other_text_is_no_key(text in "DU[A-Z0-9]{18}") {
            prop_assert!(Key::new(1, "DU").number(&text).is_none_or(|number| Key::new(1, "DU").text(number) == text));
        }
    }
}
