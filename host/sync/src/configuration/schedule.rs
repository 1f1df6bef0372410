//! The times of an integration's scheduled runs.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Local, Utc};
use connector_sandbox::Digest;
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

/// See [`Schedule::next`].
const LONGEST_DELAY: chrono::Duration = chrono::Duration::minutes(5);

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

    /// When the next run of `integration` is due; `last` is when the last one began. Each integration has its own delay of up
    /// to five minutes after the times of a cron pattern, so that those with the same pattern do not all begin at once.
    #[must_use]
    pub fn next(&self, integration: &str, last: Option<DateTime<Utc>>, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Interval(interval) => {
                let due = last.and_then(|last| Some(last + chrono::Duration::from_std(*interval).ok()?));
                due.map_or(now, |due| due.max(now))
            }
            Self::Cron(cron) => {
                let delay = delay(integration);
                let next = cron.find_next_occurrence(&(now - delay).with_timezone(&Local), false);
                // A pattern without a next time, such as one of a past year, is looked at again in a day.
                next.map_or(now + chrono::Duration::days(1), |next| next.with_timezone(&Utc) + delay)
            }
        }
    }
}

/// The delay of an integration, from its name: the same in each run and on each machine.
fn delay(integration: &str) -> chrono::Duration {
    let digest = Digest::of(integration.as_bytes()).to_string();
    let seconds = i64::from_str_radix(digest.get(..8).unwrap_or_default(), 16).unwrap_or_default();
    chrono::Duration::seconds(seconds % LONGEST_DELAY.num_seconds())
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
        assert_eq!(schedule.next("acme", None, now), now, "the first run is due at once");
        assert_eq!(schedule.next("acme", Some(at("2026-11-24T10:00:00Z")), now), at("2026-11-24T16:00:00Z"));
        assert_eq!(schedule.next("acme", Some(at("2026-11-23T10:00:00Z")), now), now, "it is overdue");
    }

    #[test]
    fn a_cron_pattern_names_the_next_time() {
        let schedule = Schedule::parse(None, Some("30 * * * *")).unwrap();
        let (now, delay) = (at("2026-11-24T12:00:00Z"), delay("acme"));
        let due = at("2026-11-24T12:30:00Z") + delay;
        assert_eq!(schedule.next("acme", None, now), due);
        assert_eq!(schedule.next("acme", None, due - chrono::Duration::seconds(1)), due, "it is still due");
        assert_eq!(schedule.next("acme", None, due), due + chrono::Duration::hours(1));
    }

    #[test]
    fn integrations_with_one_pattern_are_spread_over_five_minutes() {
        let delays: std::collections::BTreeSet<_> =
            (0..300).map(|number| delay(&format!("acme-{number}"))).collect();
        assert!(delays.len() > 150, "{delays:?}");
        assert!(
            delays.iter().all(|delay| (chrono::Duration::zero()..LONGEST_DELAY).contains(delay)),
            "{delays:?}"
        );
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
