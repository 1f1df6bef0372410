//! Users and groups. Sections 4.1 and 4.2 of the reference.

use std::sync::PoisonError;

use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::draw::Draw;
use super::{Kind, Tenant, UserField, past};

const GIVEN: [&str; 24] = [
    "Ada", "José", "Łukasz", "Zoë", "Grace", "Søren", "Chloé", "Jürgen", "Anaïs", "Olga", "Mehmet", "Ngọc",
    "Priya", "Kwame", "Yuki", "Fatima", "Björn", "Renée", "Paweł", "Inês", "Tom", "Mary Ann", "Dénes",
    "Siobhán",
];
const FAMILY: [&str; 20] = [
    "Lovelace",
    "O'Brien",
    "Kowalski",
    "Müller",
    "Nguyễn",
    "García",
    "Ødegård",
    "Dvořák",
    "Smith",
    "van der Berg",
    "Öztürk",
    "Ivanova",
    "Sato",
    "Okafor",
    "Hernández",
    "Łapiński",
    "Jones",
    "D'Angelo",
    "Schmidt-Weiß",
    "Wu",
];
/// Names that are not written in Latin letters.
const WHOLE: [&str; 6] = ["王小明", "محمد الأحمد", "Анна Петрова", "山田太郎", "김민준", "Ελένη Παπαδοπούλου"];
const NOTES: [&str; 4] = ["", "", "on leave until March 🌴", "contractor, see ticket \"4711\"\nsecond line"];
const GROUPS: [&str; 12] = [
    "VPN users",
    "Administrators",
    "Finance",
    "Contractors",
    "Engineering",
    "Zürich",
    "Support",
    "Sales",
    "HR",
    "RDP users",
    "Oncall",
    "Équipe sécurité",
];

impl Tenant {
    pub(super) fn users(&self) -> u64 {
        self.options.users.into()
    }

    pub(super) fn groups(&self) -> u64 {
        self.options.groups.map_or_else(|| (self.users() / 50).clamp(5, 2000), u64::from).max(1)
    }

    /// The number of the user at `index`: deleted ones are passed over.
    pub(super) fn user_number(&self, index: u64) -> Option<u64> {
        if let Some(order) = &self.by_name {
            let order = order.read().unwrap_or_else(PoisonError::into_inner);
            return order.get(usize::try_from(index).ok()?).copied();
        }
        let mut number = index;
        for deleted in self.deleted().iter() {
            if *deleted <= number {
                number += 1;
            }
        }
        Some(number).filter(|number| *number < self.users())
    }

    pub(super) fn index_of_user(&self, number: u64) -> Option<u64> {
        if let Some(order) = &self.by_name {
            let order = order.read().unwrap_or_else(PoisonError::into_inner);
            return order.iter().position(|other| *other == number).map(|place| place as u64);
        }
        let deleted = self.deleted();
        match deleted.binary_search(&number) {
            Ok(_) => None,
            Err(before) => Some(number - before as u64).filter(|_| number < self.users()),
        }
    }

    pub(super) fn is_there(&self, user: u64) -> bool {
        user < self.users() && self.deleted().binary_search(&user).is_err()
    }

    pub(super) fn user_at(&self, index: u64) -> Option<Value> {
        match self.user_number(index) {
            Some(number) => Some(self.user(number)),
            None => {
                let generated = self.users() - self.deleted().len() as u64;
                self.options.extra_users.get(usize::try_from(index.checked_sub(generated)?).ok()?).cloned()
            }
        }
    }

    pub(super) fn group_at(&self, index: u64) -> Option<Value> {
        match index.checked_sub(self.groups()) {
            None => Some(self.group(index)),
            Some(extra) => self.options.extra_groups.get(usize::try_from(extra).ok()?).cloned(),
        }
    }

    /// The numbers of the groups that a user is a member of; none for one in eleven.
    pub(super) fn groups_of(&self, user: u64) -> Vec<u64> {
        if user % 11 == 10 {
            return Vec::new();
        }
        let groups = self.groups();
        let mut of = vec![user % groups];
        if user.is_multiple_of(3) {
            of.push((user * 5 + 1) % groups);
        }
        if user.is_multiple_of(5) {
            of.push((user / 7) % groups);
        }
        of.sort_unstable();
        of.dedup();
        of
    }

    pub(super) fn group_name(&self, number: u64) -> String {
        let name = GROUPS.get(usize::try_from(number % 12).unwrap_or(0)).copied().unwrap_or_default();
        match number {
            // Names are not unique.
            1 => "VPN users".to_owned(),
            number if number % 5 == 3 => format!("{name} {number} (from AD sync \"AD EXAMPLE\")"),
            number if number < 12 => name.to_owned(),
            number => format!("{name} {number}"),
        }
    }

    /// Statuses come back capitalised.
    pub(super) fn group(&self, number: u64) -> Value {
        let mut draw = self.draw(Kind::Group, number);
        let status = match number {
            1 => "Bypass",
            2 => "Disabled",
            number if number > 20 && number.is_multiple_of(17) => "Bypass",
            _ => "Active",
        };
        let mut group = json!({
            "desc": draw.of(&["", "Managed by IT", "Zugang für Externe", "do not use 🚫"]),
            "group_id": self.key(Kind::Group, number),
            "mobile_otp_enabled": false,
            "name": self.group_name(number),
            "push_enabled": false,
            "sms_enabled": false,
            "status": status,
        });
        // Some editions have this one too.
        if draw.one_in(2)
            && let Some(group) = group.as_object_mut()
        {
            group.insert("voice_enabled".to_owned(), false.into());
        }
        group
    }

    /// One page of a group's members, in the little that can be relied on, and their number.
    #[must_use]
    pub fn group_users(&self, group: u64, offset: u64, limit: u64) -> (Vec<Value>, u64) {
        let mut total = 0;
        let mut page = Vec::new();
        for user in
            (0..self.users()).filter(|user| self.groups_of(*user).contains(&group) && self.is_there(*user))
        {
            if (offset..offset.saturating_add(limit)).contains(&total) {
                page.push(json!({ "user_id": self.key(Kind::User, user), "username": self.username(user) }));
            }
            total += 1;
        }
        (page, total)
    }

    fn names(&self, user: u64) -> (String, String, String) {
        let mut draw = Draw::new(self.options.seed, "names", user);
        if draw.one_in(25) {
            return (String::new(), String::new(), draw.of(&WHOLE).to_owned());
        }
        let (given, family) = (draw.of(&GIVEN).to_owned(), draw.of(&FAMILY).to_owned());
        let whole = format!("{given} {family}");
        (given, family, whole)
    }

    pub(super) fn username(&self, user: u64) -> String {
        let mut draw = Draw::new(self.options.seed, "username", user);
        let (given, family, _) = self.names(user);
        let plain: String = format!("{}{family}", given.chars().next().unwrap_or('u'))
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        let mut name = plain.to_lowercase();
        let renamed = match self.times_renamed(user) {
            0 => String::new(),
            times => {
                if self.by_name.is_some() {
                    let mut draw = Draw::new(self.options.seed, "renamed", user ^ u64::from(times) << 32);
                    name.insert(0, char::from(b'a' + u8::try_from(draw.below(26)).unwrap_or(0)));
                }
                format!(".{times}")
            }
        };
        if draw.one_in(20) {
            format!("{name}{user}{renamed}@example.com")
        } else {
            format!("{name}{user}{renamed}")
        }
    }

    /// Blank for one in thirty, and the same for a few: an address is no key.
    pub(super) fn email(&self, user: u64) -> String {
        match user % 30 {
            7 => String::new(),
            11 => "reception@example.com".to_owned(),
            _ => format!("{}@example.com", self.username(user).replace("@example.com", "")),
        }
    }

    fn status(&self, user: u64) -> &'static str {
        match user {
            1 => "bypass",
            2 => "disabled",
            3 => "locked out",
            4 => "pending deletion",
            user if user > 10 => match user % 53 {
                11 | 12 => "bypass",
                20 | 21 => "disabled",
                30 => "locked out",
                40 => "pending deletion",
                _ => "active",
            },
            _ => "active",
        }
    }

    fn created(&self, user: u64) -> i64 {
        past(&mut Draw::new(self.options.seed, "created", user), 3000) - 200 * 86_400
    }

    fn last_login(&self, user: u64) -> Option<i64> {
        let mut draw = Draw::new(self.options.seed, "login", user);
        (!draw.one_in(8)).then(|| past(&mut draw, 190))
    }

    /// A user as it stands inside a device or a code: without what belongs to it, and never enrolled, true or not.
    pub(super) fn partial_user(&self, user: u64) -> Value {
        let (_, _, whole) = self.names(user);
        json!({
            "alias1": null, "alias2": null, "alias3": null, "alias4": null, "aliases": {},
            "created": self.created(user),
            "email": self.email(user),
            "firstname": null,
            "is_enrolled": false,
            "last_directory_sync": null,
            "last_login": self.last_login(user),
            "lastname": null,
            "notes": "",
            "realname": whole,
            "status": self.status(user),
            "user_id": self.key(Kind::User, user),
            "username": self.username(user),
        })
    }

    /// A user with all that belongs to it, in the shape of 2022, 2026, or the least that was ever seen.
    pub(super) fn user(&self, user: u64) -> Value {
        let mut draw = self.draw(Kind::User, user);
        let (given, family, whole) = self.names(user);
        let status = self.status(user);
        let phones: Vec<_> = self.phones_of(user).into_iter().map(|phone| self.phone(phone, false)).collect();
        let tokens: Vec<_> = self.tokens_of(user).into_iter().map(|token| self.token(token, false)).collect();
        let credentials = self.webauthn_credentials_of(user).into_iter();
        let credentials: Vec<_> =
            credentials.map(|credential| self.webauthn_credential(credential, false)).collect();
        let desktops = self.desktop_authenticators_of(user).into_iter();
        let desktops: Vec<_> = desktops.map(|desktop| self.desktop_authenticator(desktop, false)).collect();
        let is_enrolled =
            !(phones.is_empty() && tokens.is_empty() && credentials.is_empty() && desktops.is_empty());
        let groups: Vec<_> = self.groups_of(user).into_iter().map(|group| self.group(group)).collect();

        let mut object = Map::new();
        let mut set = |name: &str, value: Value| {
            object.insert(name.to_owned(), value);
        };
        set("user_id", self.key(Kind::User, user).into());
        set("username", self.username(user).into());
        set("realname", if draw.one_in(15) { Value::Null } else { whole.into() });
        set("email", self.email(user).into());
        set("status", status.into());
        set("created", self.created(user).into());
        set("is_enrolled", is_enrolled.into());
        set("groups", groups.into());
        set("phones", phones.into());
        set("tokens", tokens.into());
        set("webauthncredentials", credentials.into());
        set("custom_attributes", json!({}));
        let alias = (user % 9 == 2).then(|| format!("{}.alt", self.username(user)));
        set("aliases", alias.as_ref().map_or(json!({}), |alias| json!({ "alias1": alias })));
        let shape = draw.below(10);
        // One in ten has the least that was ever seen, unless that would hide something.
        if shape == 0 && desktops.is_empty() {
            return Value::Object(object);
        }
        set("alias1", alias.map_or(Value::Null, Value::from));
        for name in ["alias2", "alias3", "alias4"] {
            set(name, Value::Null);
        }
        set("last_login", self.last_login(user).map_or(Value::Null, Value::from));
        set("notes", draw.of(&NOTES).into());
        set("desktoptokens", json!([]));
        set("u2ftokens", json!([]));
        // A third have the keys of 2022, unless that would hide something; the others those of 2026.
        if shape < 4 && desktops.is_empty() && status != "locked out" {
            set("firstname", Value::Null);
            set("lastname", Value::Null);
            set("last_directory_sync", Value::Null);
            return Value::Object(object);
        }
        set("firstname", given.into());
        set("lastname", family.into());
        set("desktop_authenticators", desktops.into());
        set(
            "lockout_reason",
            if status == "locked out" { "Too many failed attempts".into() } else { Value::Null },
        );
        set("enable_auto_prompt", true.into());
        set("entra_federated_user_id", Value::Null);
        set("has_password", false.into());
        set("password_last_updated", Value::Null);
        set("date_of_birth", Value::Null);
        if draw.one_in(2) {
            let object_id: Vec<u8> = (0..2).flat_map(|_| draw.next().to_be_bytes()).collect();
            set("directory_key", "DS2ACAGGQBNC95H3U4QS".into());
            set("external_id", base64::engine::general_purpose::STANDARD.encode(object_id).into());
            set("last_directory_sync", past(&mut draw, 2).into());
        } else {
            set("last_directory_sync", Value::Null);
            if draw.one_in(2) {
                set("external_id", draw.of(&["", "E-1001"]).into());
            }
        }
        Value::Object(object)
    }

    /// Where the users are whose `field` is `value`. Scans.
    #[must_use]
    pub fn find_users_by(&self, field: UserField, value: &str) -> Vec<u64> {
        let matches = |user: u64| match field {
            UserField::Username => {
                let name = self.username(user);
                name == value || (user % 9 == 2 && format!("{name}.alt") == value)
            }
            UserField::Email => self.email(user) == value,
        };
        (0..self.users()).filter(|user| matches(*user)).filter_map(|user| self.index_of_user(user)).collect()
    }
}
