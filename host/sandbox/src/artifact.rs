//! The bytes of a connector before they are compiled: read, hashed, and compared with what the operator trusts.

use std::fmt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use minisign_verify::{PublicKey, Signature};
use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::bounded_file;
use crate::hint::Hint;

/// The largest component that is compiled, in bytes. Known connectors have less than 2 MiB.
const LARGEST: u64 = 64 << 20;
/// The largest signature, in bytes.
const LARGEST_SIGNATURE: u64 = 4 << 10;

/// A component that is shipped inside a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BundledConnector {
    /// Its name, as a configuration writes it.
    pub name: &'static str,
    /// The component.
    pub bytes: &'static [u8],
}

/// Where a component comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Shipped inside the host.
    Bundled(BundledConnector),
    /// A file.
    File(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundled(connector) => write!(formatter, "bundled `{}`", connector.name),
            Self::File(path) => write!(formatter, "{}", path.display()),
        }
    }
}

/// SHA-256 of a component's bytes. Two components with the same digest are the same connector.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// From 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut digest = [0; 32];
        hex::decode_to_slice(text, &mut digest).ok().map(|()| Self(digest))
    }
}

impl fmt::Display for Digest {
    /// 64 hexadecimal digits; `{:#}` prints the first twelve.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = hex::encode(self.0);
        formatter.write_str(if formatter.alternate() {
            digits.get(..12).unwrap_or_default()
        } else {
            &digits
        })
    }
}

impl Serialize for Digest {
    /// 64 hexadecimal digits.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Digest({self})")
    }
}

/// What the operator demands of a connector before it is compiled.
#[derive(Clone, Debug, Default)]
pub struct Provenance {
    /// It must be these bytes.
    pub sha256: Option<Digest>,
    /// It must have a minisign signature by the secret half of this key.
    pub signed_by: Option<PublicKey>,
}

/// A component that is not what the operator demands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProvenanceError {
    /// Its digest is not the pinned one.
    #[error("its SHA-256 is {found}, but the configuration pins {pinned}")]
    Digest {
        /// What was pinned.
        pinned: Digest,
        /// What was found.
        found: Digest,
    },
    /// It has no signature.
    #[error("the configuration demands a signature, and there is none")]
    Unsigned,
    /// The signature can't be parsed, or is not of these bytes by this key.
    #[error("its signature is not valid: {0}")]
    Signature(String),
}

impl Hint for ProvenanceError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Digest { .. } => {
                "if you trust these bytes, write their digest to `sha256` under `[provenance]`; if not, put back the \
                 file you trust"
                    .to_owned()
            }
            Self::Unsigned => {
                "put the signature beside the component, as FILE.wasm.minisig (`minisign -S -m FILE.wasm`)".to_owned()
            }
            Self::Signature(_) => {
                "get the component and its signature anew, and compare `minisign-public-key` under `[provenance]` with \
                 the key that its author publishes"
                    .to_owned()
            }
        })
    }
}

/// A component as it was found: not compiled, not trusted.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// Where it was found.
    pub source: Source,
    /// The component.
    pub bytes: Bytes,
    /// Its digest.
    pub digest: Digest,
    /// Its minisign signature, if there is one beside it.
    pub signature: Option<String>,
}

/// A file that can't be read as a component.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system can't open or read it.
    #[error("could not read the connector `{path}`: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// It is larger than a connector may be.
    #[error("`{path}` has {size} bytes, more than the {LARGEST} a connector may have")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
    },
}

impl Artifact {
    /// Reads the component at `source`, and the signature beside it.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when it can't be read.
    pub fn read(source: Source) -> Result<Self, ReadError> {
        let (bytes, signature) = match &source {
            Source::Bundled(connector) => (Bytes::from_static(connector.bytes), None),
            Source::File(path) => (read(path, LARGEST)?.into(), signature_beside(path)),
        };
        Ok(Self::new(source, bytes, signature))
    }

    /// An artifact of bytes that were read already.
    #[must_use]
    pub fn new(source: Source, bytes: Bytes, signature: Option<String>) -> Self {
        let digest = Digest::of(&bytes);
        Self { source, bytes, digest, signature }
    }

    /// Compares it with what the operator demands.
    ///
    /// # Errors
    ///
    /// [`ProvenanceError`] says what differs.
    pub fn verify(&self, provenance: &Provenance) -> Result<(), ProvenanceError> {
        if let Some(pinned) = provenance.sha256.filter(|pinned| *pinned != self.digest) {
            return Err(ProvenanceError::Digest { pinned, found: self.digest });
        }
        let Some(key) = &provenance.signed_by else { return Ok(()) };
        let signature = self.signature.as_deref().ok_or(ProvenanceError::Unsigned)?;
        let invalid = |error: minisign_verify::Error| ProvenanceError::Signature(error.to_string());
        let signature = Signature::decode(signature).map_err(invalid)?;
        key.verify(&self.bytes, &signature, false).map_err(invalid)
    }
}

/// The path of the signature of the component at `path`.
#[must_use]
pub fn signature_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".minisig");
    PathBuf::from(name)
}

fn signature_beside(path: &Path) -> Option<String> {
    let bytes = read(&signature_path(path), LARGEST_SIGNATURE).ok()?;
    String::from_utf8(bytes).ok()
}

fn read(path: &Path, largest: u64) -> Result<Vec<u8>, ReadError> {
    use std::io::Read;
    let unreadable = |error| ReadError::Unreadable { path: path.to_owned(), error };
    let file = bounded_file::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    // The file may grow while it is read.
    let mut bytes = Vec::new();
    file.take(largest + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > largest {
        return Err(ReadError::TooLarge { path: path.to_owned(), size });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(bytes: &'static [u8], signature: Option<String>) -> Artifact {
        Artifact::new(
            Source::Bundled(BundledConnector { name: "test", bytes }),
            Bytes::from_static(bytes),
            signature,
        )
    }

    fn sign(bytes: &[u8]) -> (PublicKey, String) {
        let keys = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
        let signature = minisign::sign(None, &keys.sk, bytes, None, None).unwrap().into_string();
        (PublicKey::from_base64(&keys.pk.to_base64()).unwrap(), signature)
    }

    #[test]
    fn a_pinned_digest_is_the_only_one_that_passes() {
        let found = artifact(b"component", None);
        found.verify(&Provenance::default()).unwrap();
        let pin = |digest| Provenance { sha256: Some(digest), signed_by: None };
        found.verify(&pin(found.digest)).unwrap();
        let pinned = Digest::of(b"another");
        let refused = found.verify(&pin(pinned)).unwrap_err();
        assert_eq!(refused, ProvenanceError::Digest { pinned, found: found.digest });
    }

    #[test]
    fn a_demanded_signature_must_be_there_and_hold() {
        let (key, signature) = sign(b"component");
        let demand = Provenance { sha256: None, signed_by: Some(key) };
        artifact(b"component", Some(signature.clone())).verify(&demand).unwrap();
        assert_eq!(artifact(b"component", None).verify(&demand), Err(ProvenanceError::Unsigned));
        let (_, by_another) = sign(b"component");
        for (bytes, signature) in [
            (&b"component!"[..], signature),
            (b"component", by_another),
            (b"component", String::new()),
            (b"component", "untrusted comment: x\nAAAA\n".to_owned()),
        ] {
            let refused = artifact(bytes, Some(signature)).verify(&demand);
            assert!(matches!(refused, Err(ProvenanceError::Signature(_))), "{refused:?}");
        }
    }

    #[test]
    fn a_digest_reads_as_it_is_written() {
        let digest = Digest::of(b"component");
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        for text in ["", "12", &"g".repeat(64), &"ü".repeat(32), &"+1".repeat(32)] {
            assert_eq!(Digest::parse(text), None, "{text}");
        }
    }
}
