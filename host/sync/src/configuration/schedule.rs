//! The times of an integration's scheduled runs.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Local, Utc};
use croner::Cron;

/// The shortest interval. A vendor's lists do not change faster than they can be read.
const SHORTEST: Duration = Duration::from_secs(1);

/// The times of an integration's scheduled runs.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// This long after the last run began.
    Interval(Duration),
    /// At these times, in the machine's time zone.
    Cron(Box<Cron>),
}

/// The default interval.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl fmt::Display for Schedule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interval(interval) if *interval == DAY => formatter.write_str("once a day"),
            Self::Interval(interval) => write!(formatter, "every {}", humantime::format_duration(*interval)),
            Self::Cron(cron) => write!(formatter, "at `{cron}`"),
        }
    }
}

impl Default for Schedule {
    /// Once a day.
    fn default() -> Self {
        Self::Interval(DAY)
    }
}

impl Schedule {
    /// From `interval` (`6h`, `1day 12h`) or `cron` (`0 3 * * *`), as the configuration writes them.
    ///
    /// # Errors
    ///
    /// Returns the key, and what is wrong: the end of a sentence that begins with the key.
    pub(super) fn parse(interval: Option<&str>, cron: Option<&str>) -> Result<Self, (&'static str, String)> {
        match (interval, cron) {
            (None, None) => Ok(Self::default()),
            (Some(_), Some(_)) => Err(("interval", "and `cron` exclude each other".to_owned())),
            (Some(text), None) => humantime::parse_duration(text)
                .ok()
                .filter(|interval| *interval >= SHORTEST)
                .map(Self::Interval)
                .ok_or_else(|| ("interval", "takes a time such as `6h`, `30min` or `1day 12h`".to_owned())),
            (None, Some(text)) => {
                Cron::from_str(text).map(|cron| Self::Cron(Box::new(cron))).map_err(|error| {
                    (
                        "cron",
                        format!("takes five fields, such as `0 3 * * *` for three in the morning: {error}"),
                    )
                })
            }
        }
    }

    /// When the next run is due; `last` is when the last one began.
    #[must_use]
    pub fn next(&self, last: Option<DateTime<Utc>>, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Interval(interval) => {
                let due = last.and_then(|last| Some(last + chrono::Duration::from_std(*interval).ok()?));
                due.map_or(now, |due| due.max(now))
            }
            Self::Cron(cron) => {
                let next = cron.find_next_occurrence(&now.with_timezone(&Local), false);
                // A pattern without a next time, such as one of a past year, is looked at again in a day.
                next.map_or(now + chrono::Duration::days(1), |next| next.with_timezone(&Utc))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn an_interval_counts_from_the_last_run() {
        let schedule = Schedule::parse(Some("6h"), None).unwrap();
        let now = at("2026-11-24T12:00:00Z");
        assert_eq!(schedule.next(None, now), now, "the first run is due at once");
        assert_eq!(schedule.next(Some(at("2026-11-24T10:00:00Z")), now), at("2026-11-24T16:00:00Z"));
        assert_eq!(schedule.next(Some(at("2026-11-23T10:00:00Z")), now), now, "it is overdue");
    }

    #[test]
    fn a_cron_pattern_names_the_next_time() {
        let schedule = Schedule::parse(None, Some("30 * * * *")).unwrap();
        let now = at("2026-11-24T12:00:00Z");
        assert_eq!(schedule.next(None, now), at("2026-11-24T12:30:00Z"));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_key() {
        for (interval, cron, key) in [
            (Some("6"), None, "interval"),
            (Some("0s"), None, "interval"),
            (None, Some("every day"), "cron"),
            (Some("6h"), Some("0 3 * * *"), "interval"),
        ] {
            assert_eq!(Schedule::parse(interval, cron).unwrap_err().0, key);
        }
    }
}
