//! Encrypts secrets in the configuration of an integration. The key is stored elsewhere.
//!
//! The cipher is XChaCha20-Poly1305, whose nonces are long enough to be drawn at random. A sealed value authenticates its
//! integration and setting, so that it can't be opened for another one.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use connector_sandbox::{bounded_file, private_file};
use zeroize::{Zeroize as _, Zeroizing};

/// The environment variable with the key in base64, as an alternative to the file.
pub const KEY_VARIABLE: &str = "CONNECTOR_HOST_SEALING_KEY";
/// The bytes of a key.
const KEY: usize = 32;
/// The bytes of a nonce.
const NONCE: usize = 24;
/// The prefix of a sealed value, so that a later version can use another cipher.
const VERSION: &str = "v1:";

/// Seals and opens secrets.
pub struct SealingKey(XChaCha20Poly1305);

/// A secret that can't be sealed or opened. The error never contains the secret.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// There is no key.
    #[error("the sealing key `{0}` is missing, and the variable {KEY_VARIABLE} is not set")]
    NoKey(PathBuf),
    /// The key can't be read or written.
    #[error("could not use the sealing key `{path}`: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        error: std::io::Error,
    },
    /// Users other than its owner may read the key file.
    #[error("other users may read the sealing key `{0}`: allow only its owner to read it (`chmod 600`)")]
    Exposed(PathBuf),
    /// The text is not a key.
    #[error("{0} is not a sealing key, which is 32 bytes in base64")]
    NotAKey(String),
    /// The value was sealed with another key or for another setting, or was changed.
    #[error("it was sealed with another key or for another setting, or was changed since")]
    Other,
    /// The operating system returned no random numbers.
    #[error("the operating system returned no random numbers: {0}")]
    Random(getrandom::Error),
}

impl SealingKey {
    /// The key from the environment variable, or from `file` if the variable is not set.
    ///
    /// # Errors
    ///
    /// When there is none, or it is not a key.
    pub fn load(file: &Path) -> Result<Self, SealError> {
        if let Ok(text) = std::env::var(KEY_VARIABLE) {
            return Self::parse(Zeroizing::new(text), || format!("the variable {KEY_VARIABLE}"));
        }
        match bounded_file::read_text(file, bounded_file::VALUE) {
            Ok(_) if is_exposed(file).unwrap_or(true) => Err(SealError::Exposed(file.to_owned())),
            Ok(text) => Self::parse(Zeroizing::new(text), || format!("`{}`", file.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(SealError::NoKey(file.to_owned()))
            }
            Err(error) => Err(SealError::File { path: file.to_owned(), error }),
        }
    }

    /// Like [`Self::load`], but makes a key if there is none; only its owner may read the file.
    ///
    /// # Errors
    ///
    /// As for [`Self::load`], or when the file can't be written.
    pub fn load_or_make(file: &Path) -> Result<Self, SealError> {
        match Self::load(file) {
            Err(SealError::NoKey(_)) => {}
            loaded => return loaded,
        }
        let mut key = Zeroizing::new([0; KEY]);
        getrandom::fill(key.as_mut()).map_err(SealError::Random)?;
        let text = Zeroizing::new(format!("{}\n", STANDARD.encode(key.as_ref())));
        // Another program or request may have created the file first: then its key is used.
        private_file::create(file, text.as_bytes())
            .map_err(|error| SealError::File { path: file.to_owned(), error })?;
        Self::load(file)
    }

    fn parse(text: Zeroizing<String>, what: impl Fn() -> String) -> Result<Self, SealError> {
        let mut bytes = STANDARD.decode(text.trim()).map_err(|_| SealError::NotAKey(what()))?;
        let cipher = XChaCha20Poly1305::new_from_slice(&bytes).map_err(|_| SealError::NotAKey(what()));
        bytes.zeroize();
        cipher.map(Self)
    }

    /// Seals `secret` for `setting` of `integration`.
    ///
    /// # Errors
    ///
    /// When the operating system returns no random numbers.
    pub fn seal(&self, integration: &str, setting: &str, secret: &str) -> Result<String, SealError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(SealError::Random)?;
        let aad = purpose(integration, setting);
        let payload = Payload { msg: secret.as_bytes(), aad: aad.as_bytes() };
        let sealed = self.0.encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::Other)?;
        Ok(format!("{VERSION}{}", STANDARD.encode([nonce.as_slice(), &sealed].concat())))
    }

    /// Opens a secret that was sealed for `setting` of `integration`.
    ///
    /// # Errors
    ///
    /// When it was sealed with another key or for another setting, or was changed since.
    pub fn open(
        &self,
        integration: &str,
        setting: &str,
        sealed: &str,
    ) -> Result<Zeroizing<String>, SealError> {
        let bytes = sealed.strip_prefix(VERSION).and_then(|text| STANDARD.decode(text).ok());
        let bytes = bytes.ok_or(SealError::Other)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>().ok_or(SealError::Other)?;
        let aad = purpose(integration, setting);
        let payload = Payload { msg: sealed, aad: aad.as_bytes() };
        let secret = self.0.decrypt(&XNonce::from(*nonce), payload).map_err(|_| SealError::Other)?;
        String::from_utf8(secret).map(Zeroizing::new).map_err(|_| SealError::Other)
    }
}

/// What a sealed value is for. Names of integrations and settings have no line breaks, so it is unambiguous.
fn purpose(integration: &str, setting: &str) -> String {
    format!("{integration}\n{setting}")
}

/// Whether users other than its owner may read a file.
fn is_exposed(path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(folder: &Path) -> SealingKey {
        SealingKey::load_or_make(&folder.join("seal.key")).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_with_the_same_key_for_the_same_setting_only() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sealed = key(folder.path()).seal("acme", "secret-key", "hunter2").unwrap();
        assert!(!sealed.contains("hunter2"));
        let again = key(folder.path());
        assert_eq!(*again.open("acme", "secret-key", &sealed).unwrap(), "hunter2");
        assert_ne!(sealed, again.seal("acme", "secret-key", "hunter2").unwrap(), "each has its own nonce");
        for (integration, setting) in [("acme", "other"), ("other", "secret-key")] {
            assert!(matches!(again.open(integration, setting, &sealed), Err(SealError::Other)));
        }
        assert!(matches!(key(other.path()).open("acme", "secret-key", &sealed), Err(SealError::Other)));
    }

    #[test]
    fn only_its_owner_reads_the_key() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let _ = key(folder.path());
        let file = folder.path().join("seal.key");
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(SealingKey::load(&file), Err(SealError::Exposed(_))));
    }

    #[test]
    fn who_makes_a_key_at_the_same_time_gets_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let sealed: Vec<_> = std::thread::scope(|scope| {
            let one = || scope.spawn(|| key(folder.path()).seal("a", "b", "c").unwrap());
            let threads: Vec<_> = (0..8).map(|_| one()).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(sealed.iter().all(|sealed| *key(folder.path()).open("a", "b", sealed).unwrap() == "c"));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("seal.key");
        assert!(matches!(SealingKey::load(&file), Err(SealError::NoKey(_))));
        for text in ["", "hunter2", "AAAA"] {
            tempfile::NamedTempFile::new_in(&folder).unwrap().persist(&file).unwrap();
            std::fs::write(&file, text).unwrap();
            let Err(error) = SealingKey::load_or_make(&file) else { panic!("{text}") };
            assert!(matches!(error, SealError::NotAKey(_)));
            assert!(text.is_empty() || !error.to_string().contains(text));
        }
    }

    proptest! {
        #[test]
        fn no_text_opens_by_chance(text in ".{0,200}", at in 0_usize..80, bit in 0_u8..8) {
            let folder = tempfile::tempdir().unwrap();
            let key = key(folder.path());
            prop_assert!(key.open("a", "b", &text).is_err());
            let sealed = key.seal("a", "b", &text).unwrap();
            let opened = key.open("a", "b", &sealed).unwrap();
            prop_assert_eq!(opened.as_str(), &text);
            let mut bytes = STANDARD.decode(&sealed[VERSION.len()..]).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            let changed = format!("{VERSION}{}", STANDARD.encode(bytes));
            prop_assert!(key.open("a", "b", &changed).is_err());
        }
    }
}
