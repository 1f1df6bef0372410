//! Phones, tokens, WebAuthn credentials, desktop authenticators and bypass codes. Sections 4.3 to 4.9.
//!
//! Who has what, by number, so that it can be read in both directions:
//!
//! | device | belongs to |
//! |---|---|
//! | phone `p` below the number of users | user `p`, unless `p % 9 == 4`: then no user |
//! | the same, where `p % 20 == 0` | user `p + 1` too |
//! | phone `users + q` | user `10 * q`, as a second one |
//! | token `t` | user `33 * t`; the last ones belong to administrators |
//! | WebAuthn credential `c` | user `6 * c + 2` |
//! | desktop authenticator `d` | user `50 * d + 3` |
//! | bypass code `b` | user `(50 * b + 5) % users` |

use serde_json::{Map, Value, json};

use super::{Kind, Tenant, past};

/// Hardware tokens of administrators.
const ADMINISTRATOR_TOKENS: u64 = 2;

impl Tenant {
    pub(super) fn phones(&self) -> u64 {
        self.users() + self.users().div_ceil(10)
    }

    pub(super) fn user_tokens(&self) -> u64 {
        self.users().div_ceil(33)
    }

    pub(super) fn administrator_tokens(&self) -> u64 {
        ADMINISTRATOR_TOKENS.min(self.administrators())
    }

    pub(super) fn webauthn_credentials(&self) -> u64 {
        (self.users() + 3) / 6
    }

    pub(super) fn desktop_authenticators(&self) -> u64 {
        (self.users() + 46) / 50
    }

    pub(super) fn bypass_codes(&self) -> u64 {
        (self.users() / 50).max(3)
    }

    pub(super) fn phones_of(&self, user: u64) -> Vec<u64> {
        let mut phones = Vec::new();
        if user % 9 != 4 {
            phones.push(user);
        }
        if user % 20 == 1 && (user - 1) % 9 != 4 {
            phones.push(user - 1);
        }
        if user.is_multiple_of(10) {
            phones.push(self.users() + user / 10);
        }
        phones
    }

    fn owners_of_phone(&self, phone: u64) -> Vec<u64> {
        let owners = match phone.checked_sub(self.users()) {
            Some(second) => vec![second * 10],
            None if phone % 9 == 4 => vec![],
            None if phone.is_multiple_of(20) => vec![phone, phone + 1],
            None => vec![phone],
        };
        owners.into_iter().filter(|user| self.is_there(*user)).collect()
    }

    pub(super) fn tokens_of(&self, user: u64) -> Vec<u64> {
        if user.is_multiple_of(33) { vec![user / 33] } else { vec![] }
    }

    pub(super) fn webauthn_credentials_of(&self, user: u64) -> Vec<u64> {
        if user % 6 == 2 { vec![user / 6] } else { vec![] }
    }

    pub(super) fn desktop_authenticators_of(&self, user: u64) -> Vec<u64> {
        if user % 50 == 3 { vec![user / 50] } else { vec![] }
    }

    fn owner_of_bypass_code(&self, code: u64) -> u64 {
        (code * 50 + 5).checked_rem(self.users()).unwrap_or(0)
    }

    /// Where the bypass codes are of the user at `index`.
    #[must_use]
    pub fn bypass_codes_of(&self, index: u64) -> Vec<u64> {
        let user = self.user_number(index);
        (0..self.bypass_codes()).filter(|code| user == Some(self.owner_of_bypass_code(*code))).collect()
    }

    /// In its own list a phone has its users; inside a user it has not.
    pub(super) fn phone(&self, phone: u64, listed: bool) -> Value {
        let mut draw = self.draw(Kind::Phone, phone);
        let mut object = Map::new();
        let mut set = |name: &str, value: Value| {
            object.insert(name.to_owned(), value);
        };
        let tablet = draw.one_in(20);
        let landline = !tablet && draw.one_in(20);
        let apple = draw.one_in(2);
        set("phone_id", self.key(Kind::Phone, phone).into());
        set("number", if tablet { "".into() } else { format!("+1555{:07}", phone % 10_000_000).into() });
        set("extension", "".into());
        set("name", draw.of(&["", "", "work phone", "Zoë’s 📱"]).into());
        // Documented in lower case; seen in both.
        set(
            "type",
            if landline { "Landline" } else { draw.of(&["Mobile", "Mobile", "mobile", "Unknown"]) }.into(),
        );
        set(
            "platform",
            if landline {
                "Unknown"
            } else if apple {
                "Apple iOS"
            } else {
                "Google Android"
            }
            .into(),
        );
        set(
            "model",
            if landline {
                "Unknown"
            } else if apple {
                "iPhone 17"
            } else {
                "Samsung SM-S906W"
            }
            .into(),
        );
        set("activated", (!landline).into());
        let capabilities =
            if landline { json!(["auto", "phone"]) } else { json!(["auto", "push", "sms", "mobile_otp"]) };
        set("capabilities", capabilities);
        for (name, word) in [
            ("encrypted", "Encrypted"),
            ("fingerprint", "Configured"),
            ("screenlock", "Locked"),
            ("tampered", "Not tampered"),
        ] {
            set(name, if landline { "" } else { word }.into());
        }
        let seen = past(&mut draw, 90);
        let seen = chrono::DateTime::from_timestamp(seen, 0)
            .map(|time| time.format("%Y-%m-%dT%H:%M:%S").to_string());
        set("last_seen", if landline { "".into() } else { seen.into() });
        set("sms_passcodes_sent", false.into());
        // The recording of 2022 has none of these, the sample of 2026 all of them.
        if draw.one_in(3) {
            set("app_version", "4.120.0".into());
            set("os_version", "16".into());
            set("creation_date", "".into());
            set("last_activated_date", "".into());
            set("quarantined", false.into());
            set("predelay", draw.of(&["", "0"]).into());
            set("postdelay", if draw.one_in(2) { Value::Null } else { "".into() });
        }
        if listed {
            let users = self.owners_of_phone(phone);
            set("users", users.into_iter().map(|user| self.partial_user(user)).collect());
        }
        Value::Object(object)
    }

    pub(super) fn token(&self, token: u64, listed: bool) -> Value {
        let mut draw = self.draw(Kind::Token, token);
        let kind = draw.of(&["h6", "h8", "t6", "yk", "d1"]);
        let mut object = json!({
            "serial": format!("{:08}", draw.below(100_000_000)),
            "token_id": self.key(Kind::Token, token),
            "totp_step": if kind == "t6" { json!(30) } else { Value::Null },
            "type": kind,
        });
        if listed && let Some(object) = object.as_object_mut() {
            let administrator = token.checked_sub(self.user_tokens());
            let users = if administrator.is_some() { vec![] } else { vec![token * 33] };
            let users =
                users.into_iter().filter(|user| self.is_there(*user)).map(|user| self.partial_user(user));
            object.insert("users".to_owned(), users.collect());
            let administrators = administrator.into_iter().map(|number| self.partial_administrator(number));
            object.insert("admins".to_owned(), administrators.collect());
        }
        object
    }

    pub(super) fn webauthn_credential(&self, credential: u64, listed: bool) -> Value {
        let mut draw = self.draw(Kind::WebauthnCredential, credential);
        let label = draw.of(&["Security Key", "Touch ID", "Windows Hello", "Passkey"]);
        let mut object = json!({
            "credential_name": draw.of(&["YubiKey", "Touch ID", "", "Schlüssel"]),
            "date_added": past(&mut draw, 700),
            "label": label,
            "webauthnkey": self.key(Kind::WebauthnCredential, credential),
        });
        if listed && let Some(object) = object.as_object_mut() {
            if draw.one_in(2) {
                object.insert("uv_capable".to_owned(), true.into());
            }
            let user = credential * 6 + 2;
            if self.is_there(user) {
                object.insert("user".to_owned(), self.partial_user(user));
            }
        }
        object
    }

    /// Only `dakey` is confirmed; the rest is a guess that clients must not rely on.
    pub(super) fn desktop_authenticator(&self, desktop: u64, listed: bool) -> Value {
        let mut draw = self.draw(Kind::DesktopAuthenticator, desktop);
        let mut object = json!({
            "dakey": self.key(Kind::DesktopAuthenticator, desktop),
            "device_name": format!("WKS-{}", draw.text(6)),
            "os": draw.of(&["Windows 11", "macOS 26"]),
        });
        let user = desktop * 50 + 3;
        if listed
            && self.is_there(user)
            && let Some(object) = object.as_object_mut()
        {
            object.insert("user".to_owned(), self.partial_user(user));
        }
        object
    }

    /// What is known of a code: never the code itself.
    pub(super) fn bypass_code(&self, code: u64) -> Value {
        let mut draw = self.draw(Kind::BypassCode, code);
        let created = past(&mut draw, 30);
        let user = self.owner_of_bypass_code(code);
        let mut object = json!({
            "admin_email": if code % 3 == 1 { Value::Null } else { self.administrator_email(code % self.administrators().max(1)).into() },
            "bypass_code_id": self.key(Kind::BypassCode, code),
            "created": created,
            // Null: never.
            "expiration": if code.is_multiple_of(3) { Value::Null } else { json!(created + 3600 * 24) },
            // Null: without limit.
            "reuse_count": if code % 3 == 2 { Value::Null } else { json!(1) },
        });
        if self.is_there(user)
            && let Some(object) = object.as_object_mut()
        {
            object.insert("user".to_owned(), self.partial_user(user));
        }
        object
    }
}
