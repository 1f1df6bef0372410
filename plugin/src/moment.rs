//! Times as Duo serves them, and whether they are plausible.
//!
//! Most are seconds since 1970, some are ISO 8601, and some are milliseconds although seconds are documented.

use std::fmt;

use chrono::{DateTime, Days, NaiveDateTime, Utc};

use crate::lenient::{Field, Shape, whole};

/// Why a time in the past is refused, for messages: "which is ...".
pub(crate) const NOT_PAST: &str = "not between 2000 and two days from now";
/// Why an expiry is refused, for messages: "which is ...".
pub(crate) const NOT_EXPIRY: &str = "not between 2000 and 9999";

/// 2000-01-01T00:00:00Z: before Duo existed.
const EARLIEST: i64 = 946_684_800;
/// 9999-12-31T23:59:59Z: the last second that RFC 3339 can write.
const LATEST: i64 = 253_402_300_799;
/// In seconds this is the year 5138, in milliseconds 1973. Duo has no times in either year, so a number of this size
/// or larger is in milliseconds.
const MILLISECONDS: u64 = 100_000_000_000;

/// Seconds since 1970, as the vendor gives them. Not yet checked for plausibility.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(i64);

impl Moment {
    /// Whether the value means "never": 0 and -1 do.
    pub(crate) fn is_never(self) -> bool {
        matches!(self.0, 0 | -1)
    }

    /// In seconds since 1970; `None` before 2000 and in the future. Clocks may differ by up to two days.
    pub(crate) fn past(self, now: DateTime<Utc>) -> Option<i64> {
        let latest = now.checked_add_days(Days::new(2)).unwrap_or(now).timestamp();
        (EARLIEST..=latest).contains(&self.0).then_some(self.0)
    }

    /// In seconds since 1970; `None` before 2000 and after 9999.
    pub(crate) fn expiry(self) -> Option<i64> {
        (EARLIEST..=LATEST).contains(&self.0).then_some(self.0)
    }
}

impl fmt::Display for Moment {
    /// The number, followed by the date if its year has at most four digits.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_timestamp(self.0, 0).filter(|_| self.0.abs() <= LATEST) {
            Some(time) => write!(formatter, "{} ({})", self.0, time.format("%Y-%m-%dT%H:%M:%SZ")),
            None => self.0.fmt(formatter),
        }
    }
}

impl Shape<'_> for Moment {
    const EXPECTED: &'static str = "a time";

    /// A date and time without a zone is read as UTC.
    fn text(text: &str) -> Field<Self> {
        let text = text.trim();
        let zoned = DateTime::parse_from_rfc3339(text).map(|time| time.timestamp());
        let naive = || {
            NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|time| time.and_utc().timestamp())
        };
        match zoned.or_else(|_| naive()) {
            Ok(seconds) => Field::Value(Self(seconds)),
            Err(_) => match i64::text(text) {
                Field::Value(number) => Self::integer(number),
                Field::Missing => Field::Missing,
                Field::Malformed(what) => Field::Malformed(what),
            },
        }
    }

    fn integer(value: i64) -> Field<Self> {
        Field::Value(Self(if value.unsigned_abs() >= MILLISECONDS { value / 1000 } else { value }))
    }

    fn number(value: f64) -> Field<Self> {
        whole(value).map_or(Field::Malformed("a huge number"), Self::integer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_seconds_milliseconds_digits_or_iso_8601_and_plausible() {
        let now = "2026-11-24T12:00:00Z".parse().unwrap();
        for (json, past, expiry) in [
            ("1545605961", Some(1_545_605_961), Some(1_545_605_961)),
            ("1545605961000", Some(1_545_605_961), Some(1_545_605_961)),
            (r#""1545605961""#, Some(1_545_605_961), Some(1_545_605_961)),
            ("1545605961.7", Some(1_545_605_961), Some(1_545_605_961)),
            (r#""2018-12-23T22:59:21Z""#, Some(1_545_605_961), Some(1_545_605_961)),
            (r#""2018-12-23T22:59:21""#, Some(1_545_605_961), Some(1_545_605_961)),
            ("0", None, None),
            ("-1", None, None),
            ("7", None, None),
            // Two days from now, and a second later.
            ("1795694400", Some(1_795_694_400), Some(1_795_694_400)),
            ("1795694401", None, Some(1_795_694_401)),
            ("4102444800", None, Some(4_102_444_800)),
            ("9223372036854775807", None, None),
            ("-9223372036854775808", None, None),
            (r#""0000-01-01T00:00:00Z""#, None, None),
        ] {
            let Field::Value(moment) = serde_json::from_str::<Field<Moment>>(json).unwrap() else {
                panic!("{json}");
            };
            assert_eq!((moment.past(now), moment.expiry()), (past, expiry), "{json}");
        }
        for (json, expected) in [
            ("null", Field::Missing),
            (r#"" ""#, Field::Missing),
            (r#""soon""#, Field::Malformed("a text")),
            ("1e300", Field::Malformed("a huge number")),
        ] {
            assert_eq!(serde_json::from_str::<Field<Moment>>(json).unwrap(), expected, "{json}");
        }
    }
}
