//! The authentication log. Section 4.15 of the reference.
//!
//! Event `i` of `n` happens at its place in the last 180 days, so that order by number is order by time and a
//! window is two divisions.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use super::draw::Draw;
use super::{Kind, Tenant};

const SPAN_MS: i64 = 180 * 86_400_000;

/// Result, reason, factor.
const OUTCOMES: [(&str, Option<&str>, Option<&str>); 8] = [
    ("success", Some("user_approved"), Some("duo_push")),
    ("success", Some("user_approved"), Some("verified_duo_push")),
    ("success", Some("valid_passcode"), Some("duo_mobile_passcode")),
    ("success", Some("remembered_device"), Some("remembered_device")),
    ("success", Some("bypass_user"), Some("not_available")),
    ("denied", Some("no_response"), Some("duo_push")),
    ("denied", Some("user_not_in_permitted_group"), None),
    ("fraud", Some("user_marked_fraud"), Some("duo_push")),
];

impl Tenant {
    /// Events in the log.
    #[must_use]
    pub fn event_count(&self) -> u64 {
        self.options.events.unwrap_or(self.users() * 3)
    }

    /// When event `index` happened, in milliseconds since 1970. Later events have larger numbers.
    #[must_use]
    pub fn event_time(&self, index: u64) -> i64 {
        let count = i128::from(self.event_count()) + 1;
        let after = i128::from(SPAN_MS) * (i128::from(index) + 1) / count;
        self.now_ms - SPAN_MS + i64::try_from(after).unwrap_or(SPAN_MS)
    }

    /// The first event that happened at `time` or later, in milliseconds since 1970.
    #[must_use]
    pub fn first_event_at(&self, time: i64) -> u64 {
        let (mut low, mut high) = (0, self.event_count());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.event_time(middle) < time {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The unique id of event `index`.
    #[must_use]
    pub fn event_txid(&self, index: u64) -> String {
        Draw::new(self.options.seed, "txid", index).uuid(index)
    }

    /// The event with this unique id.
    #[must_use]
    pub fn event_of(&self, txid: &str) -> Option<u64> {
        let index = u64::from_str_radix(txid.rsplit('-').next()?, 16).ok()?;
        (index < self.event_count() && self.event_txid(index) == txid).then_some(index)
    }

    /// Event `index` of the log.
    #[must_use]
    pub fn event(&self, index: u64) -> Option<Value> {
        if index >= self.event_count() {
            return None;
        }
        let mut draw = Draw::new(self.options.seed, "event", index);
        let user = draw.below(self.users());
        // Some events name an application that was deleted since.
        let deleted = draw.one_in(50);
        let application = draw.below(self.applications());
        let outcome = usize::try_from(draw.below(20)).unwrap_or(0);
        let (result, reason, factor) = OUTCOMES.get(outcome).or(OUTCOMES.first()).copied()?;
        let enrollment = draw.one_in(40);
        let time = self.event_time(index);
        let iso = DateTime::from_timestamp_millis(time)?.to_rfc3339_opts(SecondsFormat::Micros, false);
        let groups: Vec<_> = self.groups_of(user).into_iter().map(|group| self.group_name(group)).collect();
        let (key, name) = if deleted {
            ("DIDELETEDAPPLICATION".to_owned(), "Old VPN".to_owned())
        } else {
            (self.application_key(application), self.application_name(application))
        };
        let mut event = json!({
            "access_device": {
                "browser": "Chrome", "browser_version": "150.0", "hostname": null, "ip": "192.0.2.106",
                // Seen as a boolean and as a word.
                "is_encryption_enabled": if draw.one_in(2) { json!(true) } else { json!("unknown") },
                "is_firewall_enabled": "unknown", "is_password_set": "unknown",
                "location": { "city": "Ann Arbor", "country": "United States", "state": "Michigan" },
                "os": "Mac OS X", "os_version": null, "security_agents": draw.of(&["", "unknown"]),
            },
            "alias": "",
            "application": { "key": key, "name": name },
            "auth_device": { "ip": null, "key": self.key(Kind::Phone, user), "name": "555-555-0100", "location": {} },
            "email": self.email(user),
            "event_type": if enrollment { "enrollment" } else { "authentication" },
            "factor": factor,
            "isotimestamp": iso,
            "ood_software": null,
            "reason": if enrollment { None } else { reason },
            "result": result,
            "timestamp": time.div_euclid(1000),
            "trusted_endpoint_status": "unknown",
            "txid": self.event_txid(index),
            "user": { "groups": groups, "key": self.key(Kind::User, user), "name": self.username(user) },
        });
        // A user name of no user.
        if draw.one_in(100)
            && let Some(user) = event.get_mut("user")
        {
            *user = json!({ "groups": [], "key": null, "name": "nobody" });
        }
        Some(event)
    }
}
