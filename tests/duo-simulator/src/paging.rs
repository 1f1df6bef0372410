//! The offset scheme of object lists. Section 3.1 and 3.2 of the reference.

use serde_json::{Map, Value, json};

use crate::failure::Failure;

/// What a client asked for when it says nothing.
const DEFAULT_LIMIT: u64 = 100;

/// The parameters of a request, by name; of several with the same name the first one counts.
pub(crate) struct Parameters<'a>(pub(crate) &'a [(String, String)]);

impl Parameters<'_> {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect()
    }

    /// A whole number that must not be below `least`.
    pub(crate) fn number(&self, name: &str, least: u64) -> Result<Option<u64>, Failure> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number = text.parse::<u64>().ok().filter(|number| *number >= least);
        number.map(Some).ok_or_else(|| Failure::invalid_parameter(name))
    }

    /// A JSON array of strings, as in `user_id_list`.
    pub(crate) fn list(&self, name: &str) -> Result<Option<Vec<String>>, Failure> {
        let Some(text) = self.get(name) else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|_| Failure::invalid_parameter(name))
    }
}

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) offset: u64,
    pub(crate) limit: u64,
}

impl Page {
    /// What the client asked for. A limit above `most` is lowered: Duo's Ruby client sends 1000 to all lists.
    pub(crate) fn parse(parameters: &Parameters<'_>, most: u64) -> Result<Self, Failure> {
        let limit = parameters.number("limit", 1)?.unwrap_or(DEFAULT_LIMIT).min(most);
        Ok(Self { offset: parameters.number("offset", 0)?.unwrap_or(0), limit })
    }

    /// The answer: the objects of this page, of `total` altogether.
    pub(crate) fn answer(
        self,
        total: u64,
        null_next_offset: bool,
        object: impl FnMut(u64) -> Option<Value>,
    ) -> Value {
        let end = self.offset.saturating_add(self.limit).min(total);
        let objects: Vec<Value> = (self.offset..end).filter_map(object).collect();
        let mut metadata = Map::new();
        metadata.insert("total_objects".to_owned(), total.into());
        if end < total {
            metadata.insert("next_offset".to_owned(), end.into());
        } else if null_next_offset {
            metadata.insert("next_offset".to_owned(), Value::Null);
        }
        if self.offset > 0 {
            metadata.insert("prev_offset".to_owned(), self.offset.saturating_sub(self.limit).into());
        }
        json!({ "stat": "OK", "response": objects, "metadata": metadata })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(query: &str) -> Result<Page, Failure> {
        Page::parse(&Parameters(&crate::authentication::parameters(query)), 300)
    }

    #[test]
    fn limits_are_lowered_and_nonsense_is_refused() {
        assert_eq!(parse(""), Ok(Page { offset: 0, limit: 100 }));
        assert_eq!(parse("limit=1000&offset=5"), Ok(Page { offset: 5, limit: 300 }));
        for (query, name) in
            [("limit=0", "limit"), ("limit=x", "limit"), ("limit=-1", "limit"), ("offset=-1", "offset")]
        {
            assert_eq!(parse(query), Err(Failure::invalid_parameter(name)), "{query}");
        }
    }

    proptest! {
        #[test]
        fn a_walk_sees_each_object_once(total in 0_u64..2000, limit in 1_u64..700, null in any::<bool>()) {
            let mut seen = Vec::new();
            let mut next = Some(0);
            while let Some(offset) = next {
                let page = parse(&format!("limit={limit}&offset={offset}")).unwrap();
                let answer = page.answer(total, null, |index| Some(index.into()));
                seen.extend(answer["response"].as_array().unwrap().iter().filter_map(Value::as_u64));
                next = answer["metadata"]["next_offset"].as_u64();
            }
            prop_assert_eq!(seen, (0..total).collect::<Vec<_>>());
        }
    }
}
