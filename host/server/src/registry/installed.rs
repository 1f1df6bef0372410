//! The installed connectors, on disk: each file by its digest, and for each name the record of the active one.
//!
//! The functions block on the file system, except those that read only memory.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use connector_sandbox::{Artifact, Digest, Hint, Source, bounded_file, private_file, signature_path};

/// A folder of installed connectors.
#[derive(Debug)]
pub(super) struct Installed {
    folder: PathBuf,
    /// The states that were read or saved, by name. Only this program writes their files.
    states: Mutex<BTreeMap<String, State>>,
}

/// The recorded state of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// The digest of the active connector. `None` until one is installed: then the file in the connectors' folder is active,
    /// or the bundled connector.
    pub(super) active: Option<String>,
    /// The digest of the connector to roll back to.
    pub(super) previous: Option<String>,
    /// When the active connector took over; `None` after a rollback.
    #[serde(default)]
    pub(super) activated_at: Option<DateTime<Utc>>,
    /// All connectors that were active or were refused, by digest.
    #[serde(default)]
    pub(super) versions: BTreeMap<String, Version>,
}

/// An installed connector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    /// From its manifest; blank if that could not be read.
    pub(super) version: String,
    pub(super) installed_at: DateTime<Utc>,
    /// Why it must not become active again automatically.
    pub(super) refused: Option<String>,
}

impl State {
    /// Why the connector with this digest must not become active automatically.
    pub(super) fn refused(&self, digest: Digest) -> Option<&str> {
        self.versions.get(&digest.to_string())?.refused.as_deref()
    }

    /// All connectors that must not become active automatically.
    pub(super) fn all_refused(&self) -> impl Iterator<Item = Digest> {
        let refused = self.versions.iter().filter(|(_, version)| version.refused.is_some());
        refused.filter_map(|(digest, _)| Digest::parse(digest))
    }

    /// Records that the connector with this digest must not become active again automatically, or by a rollback.
    pub(super) fn refuse(&mut self, digest: Digest, reason: &str) {
        let digest = digest.to_string();
        if self.previous.as_ref() == Some(&digest) {
            self.previous = None;
        }
        let version = || Version { version: String::new(), installed_at: Utc::now(), refused: None };
        self.versions.entry(digest).or_insert_with(version).refused = Some(reason.to_owned());
    }
}

/// Why the folder of installed connectors can't be used.
#[derive(Debug, thiserror::Error)]
pub enum InstalledError {
    /// A file or folder can't be made or written.
    #[error("could not {what} `{path}`: {error}")]
    File {
        /// What was tried.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system answered.
        error: io::Error,
    },
    /// The file that records which connectors are active and refused can't be read.
    #[error("could not read `{path}`, which records the active and the refused connectors: {error}")]
    State {
        /// The file.
        path: PathBuf,
        /// What the system answered, or why its JSON can't be parsed.
        error: io::Error,
    },
}

impl Hint for InstalledError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::File { .. } => None,
            Self::State { .. } => Some(
                "repair the file or restore it from a backup; without it, a connector that was refused may become \
                 active again"
                    .to_owned(),
            ),
        }
    }
}

impl Installed {
    /// Opens `folder`, which is made if it does not exist.
    pub(super) fn open(folder: PathBuf) -> Result<Self, InstalledError> {
        let made = private_file::narrow_folder(&folder);
        made.map_err(|error| InstalledError::File { what: "make", path: folder.clone(), error })?;
        Ok(Self { folder, states: Mutex::default() })
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}.wasm"))
    }

    /// Keeps a component and its signature.
    pub(super) fn keep(&self, artifact: &Artifact) -> Result<(), InstalledError> {
        let path = self.path(&artifact.digest.to_string());
        if let Some(signature) = &artifact.signature {
            write(&signature_path(&path), signature.as_bytes())?;
        }
        write(&path, &artifact.bytes)
    }

    /// The component with this digest; `None` if its file is missing, or has another digest now.
    pub(super) fn load(&self, digest: &str) -> Option<Artifact> {
        let artifact = Artifact::read(Source::File(self.path(digest))).ok()?;
        (Digest::parse(digest) == Some(artifact.digest)).then_some(artifact)
    }

    fn state_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    /// The state of `name` in memory.
    pub(super) fn known(&self, name: &str) -> Option<State> {
        self.states.lock().get(name).cloned()
    }

    /// The recorded state of `name`; blank if nothing is recorded yet. A file that can't be read is an error: if it counted
    /// as blank, it would be overwritten, and the record of refused connectors would be lost.
    pub(super) fn state(&self, name: &str) -> Result<State, InstalledError> {
        if let Some(known) = self.known(name) {
            return Ok(known);
        }
        let path = self.state_file(name);
        let state = match bounded_file::read(&path, bounded_file::CONFIGURATION) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| InstalledError::State { path, error: error.into() })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => State::default(),
            Err(error) => return Err(InstalledError::State { path, error }),
        };
        // A state that was saved meanwhile is newer.
        Ok(self.states.lock().entry(name.to_owned()).or_insert(state).clone())
    }

    /// Records a changed state that was read with [`Self::state`].
    pub(super) fn save(&self, name: &str, state: State) -> Result<(), InstalledError> {
        let path = self.state_file(name);
        let text = serde_json::to_vec_pretty(&state).map_err(|error| InstalledError::File {
            what: "write",
            path: path.clone(),
            error: error.into(),
        })?;
        write(&path, &text)?;
        self.states.lock().insert(name.to_owned(), state);
        Ok(())
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), InstalledError> {
    let written = private_file::replace(path, bytes);
    written.map_err(|error| InstalledError::File { what: "write", path: path.to_owned(), error })
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

    fn refused() -> State {
        let mut state = State { active: Some("a".to_owned()), ..State::default() };
        state.refuse(Digest::of(b"broken"), "it panicked");
        state
    }

    #[test]
    fn a_state_is_blank_until_one_is_saved_and_is_read_again_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let installed = Installed::open(folder.path().to_owned()).unwrap();
        assert_eq!(installed.state("one").unwrap(), State::default());
        let saved = refused();
        installed.save("one", saved.clone()).unwrap();
        assert_eq!(installed.state("one").unwrap(), saved);
        let restarted = Installed::open(folder.path().to_owned()).unwrap();
        assert_eq!(restarted.state("one").unwrap(), saved);
        assert_eq!(
            restarted.known("one").unwrap().all_refused().collect::<Vec<_>>(),
            [Digest::of(b"broken")]
        );
    }

    #[test]
    fn a_state_that_is_broken_or_unreadable_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let installed = Installed::open(folder.path().to_owned()).unwrap();
        let broken = folder.path().join("one.json");
        std::fs::write(&broken, "{").unwrap();
        // A folder in place of the file can't be read, even by root.
        std::fs::create_dir(folder.path().join("two.json")).unwrap();
        for name in ["one", "two"] {
            let error = installed.state(name).unwrap_err();
            assert!(error.to_string().contains(&format!("{name}.json")), "{error}");
            assert!(error.hint().unwrap().contains("restore it"));
            assert_eq!(installed.known(name), None, "it is read again once it is repaired");
        }
        assert_eq!(std::fs::read_to_string(&broken).unwrap(), "{");
    }

    #[test]
    fn a_file_that_breaks_later_loses_nothing_that_memory_has() {
        let folder = tempfile::tempdir().unwrap();
        let installed = Installed::open(folder.path().to_owned()).unwrap();
        installed.save("one", refused()).unwrap();
        std::fs::write(folder.path().join("one.json"), "{").unwrap();
        let mut state = installed.state("one").unwrap();
        state.active = Some("b".to_owned());
        installed.save("one", state).unwrap();
        let restarted = Installed::open(folder.path().to_owned()).unwrap();
        assert_eq!(restarted.state("one").unwrap().all_refused().count(), 1);
    }
}
