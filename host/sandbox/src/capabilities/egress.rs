//! Where a request may go. Pure policy: parsed once, no I/O.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::manifest::{HostRule, Manifest};

/// The longest URL that is sent, in bytes.
const LONGEST_URL: usize = 8 << 10;

/// The hosts an integration may reach, and where the operator sends their connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Egress {
    hosts: BTreeMap<String, Destination>,
}

/// Where connections for a host go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To the host itself, https on port 443, public addresses only.
    Itself,
    /// To an address that the operator sets, like curl's `--connect-to`. The connector still sends https URLs of the host,
    /// and the certificate of a TLS server must still name the host.
    ConnectTo {
        /// Whether the connection uses TLS.
        tls: bool,
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
}

/// Why a request may not leave.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// Not a URL, or one that two parsers may read differently.
    #[error("the URL is not in canonical form: {0}")]
    Malformed(&'static str),
    /// The manifest does not allow the host.
    #[error("the connector's manifest does not allow the host `{0}`")]
    Host(String),
    /// A configured host is an address, or not a host.
    #[error("`{0}` is not a host name")]
    NotAName(String),
    /// `connect-to` can't be understood.
    #[error("`{0}` is not `http://HOST:PORT` or `https://HOST:PORT`")]
    ConnectTo(String),
    /// `connect-to` redirects a host that the manifest does not allow.
    #[error("`connect-to` names `{0}`, which this connector never reaches")]
    Unused(String),
}

impl Egress {
    /// The hosts that `manifest` allows with these settings, and `connect_to` for some of them.
    ///
    /// # Errors
    ///
    /// When a value is not a host name, or `connect_to` names a host that the manifest does not allow.
    pub fn new<'a>(
        manifest: &Manifest,
        setting: impl Fn(&str) -> Option<&'a str>,
        connect_to: &BTreeMap<String, String>,
    ) -> Result<Self, EgressError> {
        let mut hosts = BTreeMap::new();
        for rule in &manifest.hosts {
            let host = match rule {
                HostRule::Name(name) => name.as_str(),
                // An optional setting without a value allows no host.
                HostRule::Setting(name) => match setting(name) {
                    Some(value) => value,
                    None => continue,
                },
            };
            let not_a_name = || EgressError::NotAName(host.to_owned());
            match Host::parse(host).map_err(|_| not_a_name())? {
                Host::Domain(name) if !name.ends_with('.') => hosts.insert(name, Destination::Itself),
                _ => return Err(not_a_name()),
            };
        }
        for (host, destination) in connect_to {
            let entry = hosts.get_mut(&host.to_ascii_lowercase());
            *entry.ok_or_else(|| EgressError::Unused(host.clone()))? = Destination::parse(destination)?;
        }
        Ok(Self { hosts })
    }

    /// The destination of a request to `url`, as a guest wrote it, if it may be sent.
    ///
    /// The URL must be exactly as the parser writes it: a URL that two parsers read differently (user info, upper case,
    /// dots, an explicit port) can bypass a list of hosts.
    ///
    /// # Errors
    ///
    /// [`EgressError::Malformed`] or [`EgressError::Host`].
    pub fn judge(&self, url: &str) -> Result<(Url, &Destination), EgressError> {
        if url.len() > LONGEST_URL {
            return Err(EgressError::Malformed("it is longer than 8 KiB"));
        }
        let parsed = Url::parse(url).map_err(|_| EgressError::Malformed("it does not parse"))?;
        if parsed.scheme() != "https" {
            return Err(EgressError::Malformed("only `https` is allowed"));
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(EgressError::Malformed("it holds user information"));
        }
        if parsed.fragment().is_some() {
            return Err(EgressError::Malformed("it has a fragment"));
        }
        if parsed.as_str() != url {
            return Err(EgressError::Malformed("a parser would change it"));
        }
        let host = parsed.host_str().unwrap_or_default();
        if parsed.port().is_some() {
            return Err(EgressError::Malformed("it names a port"));
        }
        match self.hosts.get(host) {
            Some(destination) => Ok((parsed.clone(), destination)),
            None => Err(EgressError::Host(host.to_owned())),
        }
    }

    /// Applies those of `connect_to` that name a host of this connector and are not set yet: they are meant for several
    /// connectors.
    ///
    /// # Errors
    ///
    /// [`EgressError::ConnectTo`] when a destination can't be parsed.
    pub fn connect_also(&mut self, connect_to: &BTreeMap<String, String>) -> Result<(), EgressError> {
        for (host, destination) in connect_to {
            let destination = Destination::parse(destination)?;
            let entry = self.hosts.get_mut(&host.to_ascii_lowercase());
            if let Some(entry) = entry.filter(|entry| **entry == Destination::Itself) {
                *entry = destination;
            }
        }
        Ok(())
    }

    /// Where connections for `host` go; `None` if it may not be reached.
    #[must_use]
    pub fn destination(&self, host: &str) -> Option<&Destination> {
        self.hosts.get(host)
    }

    /// The hosts that may be reached.
    pub fn hosts(&self) -> impl Iterator<Item = (&str, &Destination)> {
        self.hosts.iter().map(|(host, destination)| (host.as_str(), destination))
    }
}

impl Destination {
    fn parse(text: &str) -> Result<Self, EgressError> {
        let malformed = || EgressError::ConnectTo(text.to_owned());
        let url = Url::parse(text).map_err(|_| malformed())?;
        let tls = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(malformed()),
        };
        let plain = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let host = match url.host().ok_or_else(malformed)? {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        match url.port_or_known_default() {
            Some(port) if plain => Ok(Self::ConnectTo { tls, host, port }),
            _ => Err(malformed()),
        }
    }
}

/// Whether an address belongs to the public internet. An allowed name may resolve to any address: of the machine itself,
/// of its network, of a cloud's metadata service.
#[must_use]
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// By IANA's registry of special-purpose addresses.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(a == 0
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || address.is_broadcast()
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19))
        || a >= 240)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // An IPv6 address that embeds an IPv4 address is as public as that one.
    let inner = match segments {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some((high, low)),
        [0x2002, high, low, ..] => Some((high, low)),
        _ => None,
    };
    if let Some((high, low)) = inner {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    // Only 2000::/3 is global unicast, except special blocks in it: Teredo and its neighbours, documentation.
    let [first, second, ..] = segments;
    (first & 0xe000) == 0x2000
        && !(first == 0x2001 && second < 0x200)
        && !(first == 0x2001 && second == 0xdb8)
        && !(first == 0x3fff && second < 0x1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn egress(connect_to: &[(&str, &str)]) -> Result<Egress, EgressError> {
        let manifest = Manifest {
            hosts: vec![HostRule::Setting("host".to_owned()), HostRule::Name("login.example.com".to_owned())],
            ..Manifest::default()
        };
        let connect_to = connect_to.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        Egress::new(&manifest, |_| Some("API-1.example.com"), &connect_to)
    }

    #[test]
    fn allowed_hosts_are_allowed() {
        let egress = egress(&[]).unwrap();
        for url in
            ["https://api-1.example.com/admin/v1/users?limit=300&offset=0", "https://login.example.com/"]
        {
            assert_eq!(egress.judge(url).unwrap().1, &Destination::Itself, "{url}");
        }
    }

    #[test]
    fn other_hosts_are_denied_by_name() {
        let egress = egress(&[]).unwrap();
        for host in
            ["evil.org", "api-1.example.com.evil.org", "169.254.169.254", "api-1.example.com.", "[::1]"]
        {
            let judged = egress.judge(&format!("https://{host}/"));
            assert_eq!(judged.unwrap_err(), EgressError::Host(host.to_owned()));
        }
    }

    #[test]
    fn tricks_with_urls_are_denied() {
        let egress = egress(&[]).unwrap();
        for url in [
            "http://api-1.example.com/",
            "https://api-1.example.com@evil.org/",
            "https://user:pass@api-1.example.com/",
            "https://API-1.example.com/",
            "https://api-1.example.com",
            "https://api-1.example.com:443/",
            "https://api-1.example.com:8443/",
            "https://api-1.example.com/a/../b",
            "https://api-1.example.com/#fragment",
            "https://api-1.example.com\\@evil.org/",
            "https:api-1.example.com/",
            " https://api-1.example.com/",
            "https://api-1.example.com/a b",
            "https://api-1.example.com/\r\nHost: evil.org",
            "file:///etc/passwd",
            "/admin/v1/users",
            "",
        ] {
            assert!(matches!(egress.judge(url), Err(EgressError::Malformed(_))), "{url}");
        }
    }

    #[test]
    fn connect_to_opens_one_host_by_name() {
        let egress = egress(&[("api-1.example.com", "http://127.0.0.1:8443")]).unwrap();
        let (_, destination) = egress.judge("https://api-1.example.com/").unwrap();
        let expected = Destination::ConnectTo { tls: false, host: "127.0.0.1".to_owned(), port: 8443 };
        assert_eq!(destination, &expected);
        assert_eq!(egress.destination("login.example.com"), Some(&Destination::Itself));
    }

    #[test]
    fn connect_to_for_a_host_that_is_never_reached_is_refused() {
        let error = egress(&[("api-2.example.com", "http://127.0.0.1:1")]).unwrap_err();
        assert_eq!(error, EgressError::Unused("api-2.example.com".to_owned()));
    }

    #[test]
    fn connect_to_for_all_integrations_applies_where_its_host_is_reached() {
        let mut egress = egress(&[("api-1.example.com", "http://127.0.0.1:8443")]).unwrap();
        let all = [
            ("api-1.example.com", "http://127.0.0.1:1"),
            ("LOGIN.example.com", "http://127.0.0.1:2"),
            ("other.example.com", "http://127.0.0.1:3"),
        ];
        let all = all.map(|(from, to)| (from.to_owned(), to.to_owned())).into();
        egress.connect_also(&all).unwrap();
        let port = |host| match egress.destination(host) {
            Some(Destination::ConnectTo { port, .. }) => Some(*port),
            _ => None,
        };
        assert_eq!([port("api-1.example.com"), port("login.example.com")], [Some(8443), Some(2)]);
        assert_eq!(egress.destination("other.example.com"), None);
    }

    #[test]
    fn a_malformed_connect_to_is_refused() {
        for text in ["127.0.0.1:8443", "ftp://127.0.0.1", "http://127.0.0.1/path", "http://u@h/", ""] {
            assert!(
                matches!(egress(&[("api-1.example.com", text)]), Err(EgressError::ConnectTo(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn an_address_is_not_a_host_name() {
        let manifest = Manifest { hosts: vec![HostRule::Setting("host".to_owned())], ..Manifest::default() };
        for value in ["127.0.0.1", "[::1]", "0x7f.1", "a b", "a.b."] {
            let egress = Egress::new(&manifest, |_| Some(value), &BTreeMap::new());
            assert_eq!(egress.unwrap_err(), EgressError::NotAName(value.to_owned()));
        }
    }

    #[test]
    fn public_addresses_are_public() {
        for address in ["52.19.127.201", "2606:4700::6810:84e5", "64:ff9b::3413:7fc9", "::ffff:52.19.127.201"]
        {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn private_addresses_are_private_in_every_form() {
        for address in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "192.0.0.192",
            "198.18.0.1",
            "240.0.0.1",
            "203.0.113.7",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "100::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }
}
