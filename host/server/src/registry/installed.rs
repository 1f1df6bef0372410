//! The connectors that were installed, on disk: each by its digest, and for each name which of them serves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use connector_sandbox::{Artifact, Digest, Source, private_file, signature_path};

/// A folder of installed connectors.
#[derive(Debug)]
pub(super) struct Installed {
    folder: PathBuf,
}

/// What is known of a name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// Which one serves. `None` until one was installed: then the file in the connectors' folder does, or the
    /// bundled one.
    pub(super) active: Option<String>,
    /// Which one served before it.
    pub(super) previous: Option<String>,
    /// When it took over; `None` where it was rolled back to.
    #[serde(default)]
    pub(super) activated_at: Option<DateTime<Utc>>,
    /// All that ever served, and those that were refused, by digest.
    #[serde(default)]
    pub(super) versions: BTreeMap<String, Version>,
}

/// An installed connector.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Version {
    /// Its own word for it; blank where it did not get as far as describing itself.
    pub(super) version: String,
    /// When it came.
    pub(super) installed_at: DateTime<Utc>,
    /// Why it must not serve by itself again.
    pub(super) refused: Option<String>,
}

impl State {
    /// Why the one with this digest must not serve by itself.
    pub(super) fn refused(&self, digest: Digest) -> Option<&str> {
        self.versions.get(&digest.to_string())?.refused.as_deref()
    }

    /// All that must not serve by themselves.
    pub(super) fn all_refused(&self) -> impl Iterator<Item = Digest> {
        let refused = self.versions.iter().filter(|(_, version)| version.refused.is_some());
        refused.filter_map(|(digest, _)| Digest::parse(digest))
    }

    /// The one with this digest must not serve by itself again, and nobody goes back to it.
    pub(super) fn refuse(&mut self, digest: Digest, reason: &str) {
        let digest = digest.to_string();
        if self.previous.as_ref() == Some(&digest) {
            self.previous = None;
        }
        let version = || Version { version: String::new(), installed_at: Utc::now(), refused: None };
        self.versions.entry(digest).or_insert_with(version).refused = Some(reason.to_owned());
    }
}

/// The folder of connectors can't be used.
#[derive(Debug, thiserror::Error)]
#[error("could not {what} `{path}`: {error}")]
pub struct InstalledError {
    what: &'static str,
    path: PathBuf,
    error: std::io::Error,
}

impl Installed {
    /// In `folder`, which is made where it is not there.
    pub(super) fn open(folder: PathBuf) -> Result<Self, InstalledError> {
        let made = private_file::create_folder(&folder);
        made.map_err(|error| InstalledError { what: "make", path: folder.clone(), error })?;
        Ok(Self { folder })
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}.wasm"))
    }

    /// Keeps a component and its signature.
    pub(super) fn keep(&self, artifact: &Artifact) -> Result<(), InstalledError> {
        let path = self.path(&artifact.digest.to_string());
        if let Some(signature) = &artifact.signature {
            self.write(&signature_path(&path), signature.as_bytes())?;
        }
        self.write(&path, &artifact.bytes)
    }

    /// The component with this digest; `None` where it is not there, or no longer what it was.
    pub(super) fn load(&self, digest: &str) -> Option<Artifact> {
        let artifact = Artifact::read(Source::File(self.path(digest))).ok()?;
        (Digest::parse(digest) == Some(artifact.digest)).then_some(artifact)
    }

    /// What is known of `name`.
    pub(super) fn state(&self, name: &str) -> State {
        let text = std::fs::read(self.folder.join(format!("{name}.json"))).unwrap_or_default();
        // A file that somebody broke is like none: the connectors themselves are found by digest again.
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Remembers it.
    pub(super) fn save(&self, name: &str, state: &State) -> Result<(), InstalledError> {
        let text = serde_json::to_vec_pretty(state).unwrap_or_default();
        self.write(&self.folder.join(format!("{name}.json")), &text)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), InstalledError> {
        private_file::replace(path, bytes).map_err(|error| InstalledError {
            what: "write",
            path: path.to_owned(),
            error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_found_by_its_digest_and_only_while_it_is_what_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let installed = Installed::open(folder.path().join("installed")).unwrap();
        let source = Source::File("x.wasm".into());
        let artifact = Artifact::new(source, "component".into(), Some("signature".to_owned()));
        installed.keep(&artifact).unwrap();
        let digest = artifact.digest.to_string();
        let found = installed.load(&digest).unwrap();
        assert_eq!((found.bytes, found.signature), (artifact.bytes, artifact.signature));
        std::fs::write(installed.path(&digest), "another").unwrap();
        assert!(installed.load(&digest).is_none());
    }

    #[test]
    fn a_state_that_is_not_there_or_broken_is_a_blank_one() {
        let folder = tempfile::tempdir().unwrap();
        let installed = Installed::open(folder.path().to_owned()).unwrap();
        assert!(installed.state("one").active.is_none());
        installed.save("one", &State { active: Some("a".to_owned()), ..State::default() }).unwrap();
        assert_eq!(installed.state("one").active.as_deref(), Some("a"));
        std::fs::write(folder.path().join("one.json"), "{").unwrap();
        assert!(installed.state("one").active.is_none());
    }
}
