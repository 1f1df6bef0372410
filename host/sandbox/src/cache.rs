//! Compiled components on disk, so that a start costs milliseconds.
//!
//! wasmtime runs compiled code without checking it, so an entry is used only if no other user could have written it
//! (owner and mode of the file, its folder and all folders above) and if it is what this program wrote (a checksum
//! over the entry's name and code). wasmtime's own cache checks neither. If a check fails, the component is compiled
//! again; the cache never causes an error.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;

use crate::artifact::Digest;
use crate::private_file;

/// The first bytes of an entry. The number is raised when the format changes.
const MAGIC: [u8; 8] = *b"IGACODE1";
/// Length of the checksum, in bytes.
const CHECKSUM: usize = 32;
/// The number of entries that are kept: the newest ones.
const KEPT: usize = 32;
/// The most bytes of all entries together. The entry of a Rust connector has a few MiB, that of a connector with a whole
/// language runtime tens of MiB.
const KEPT_BYTES: u64 = 256 << 20;
/// The file extension of an entry.
const EXTENSION: &str = "code";

/// A folder of compiled components.
#[derive(Clone, Debug)]
pub(crate) struct CodeCache {
    folder: PathBuf,
}

impl CodeCache {
    /// The cache in `folder`, which is made if it does not exist. `None`, and no cache, if it can't be made or others may
    /// write to it.
    pub(crate) fn open(folder: &Path) -> Option<Self> {
        let made = private_file::create_folder(folder).and_then(|()| folder.canonicalize());
        match made {
            Ok(folder) if folder.ancestors().all(|ancestor| is_ours(ancestor, ancestor == folder)) => {
                Some(Self { folder })
            }
            Ok(folder) => {
                tracing::warn!(
                    "compiled connectors are not cached: others may write to `{}` or a folder above it",
                    folder.display()
                );
                None
            }
            Err(error) => {
                tracing::info!("compiled connectors are not cached in `{}`: {error}", folder.display());
                None
            }
        }
    }

    /// The compiled component with this digest, for this engine.
    pub(crate) fn load(&self, engine: &wasmtime::Engine, digest: Digest) -> Option<Component> {
        let name = name(engine, digest);
        let path = self.folder.join(&name);
        let mut file = open_no_follow(&path).ok()?;
        let metadata = file.metadata().ok()?;
        let mut bytes = Vec::new();
        if metadata.is_file() && has_no_other_writer(&metadata) {
            file.read_to_end(&mut bytes).ok()?;
        }
        let code = code_of(&bytes, &name).or_else(|| {
            tracing::warn!(
                "`{}` is not an entry that this program wrote: compiling the connector again",
                path.display()
            );
            None
        })?;
        // SAFETY: The code must come from `Component::serialize`. The checksum shows that it is complete and was written
        // for this name; owner and mode of file and folders show that only this user, who could replace the program
        // itself, wrote it. The engine checks its version and configuration.
        #[expect(unsafe_code, reason = "see SAFETY")]
        let component = unsafe { Component::deserialize(engine, code) };
        component.inspect_err(|error| tracing::debug!("cached code is not for this engine: {error:#}")).ok()
    }

    /// Stores a compiled component.
    pub(crate) fn store(&self, engine: &wasmtime::Engine, digest: Digest, component: &Component) {
        let kept = || -> Result<(), Box<dyn std::error::Error>> {
            let name = name(engine, digest);
            let code = component.serialize()?;
            let entry = [MAGIC.as_slice(), &checksum(&name, &code), &code].concat();
            private_file::replace(&self.folder.join(name), &entry)?;
            self.prune(KEPT, KEPT_BYTES)?;
            Ok(())
        };
        if let Err(error) = kept() {
            tracing::info!("the compiled connector could not be cached: {error}");
        }
    }

    /// Removes the oldest entries: those beyond `count`, and those that exceed `bytes` together with all newer ones. The
    /// newest entry stays.
    fn prune(&self, count: usize, bytes: u64) -> std::io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                let metadata = path.metadata()?;
                entries.push((metadata.modified()?, metadata.len(), path));
            }
        }
        entries.sort_by(|a, b| b.cmp(a));
        let mut total = 0;
        for (place, (_, size, path)) in entries.into_iter().enumerate() {
            total += size;
            if place > 0 && (place >= count || total > bytes) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// The name of an entry: the digest of the component, and a hash of the engine's version and configuration.
fn name(engine: &wasmtime::Engine, digest: Digest) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{digest}-{:016x}.{EXTENSION}", hasher.finish())
}

fn checksum(name: &str, code: &[u8]) -> [u8; CHECKSUM] {
    Sha256::new().chain_update(name).chain_update(code).finalize().into()
}

/// The code in an entry, if its checksum is correct.
fn code_of<'a>(bytes: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let rest = bytes.strip_prefix(MAGIC.as_slice())?;
    let (found, code) = rest.split_at_checked(CHECKSUM)?;
    (found == checksum(name, code)).then_some(code)
}

fn open_no_follow(path: &Path) -> std::io::Result<File> {
    use nix::fcntl::{OFlag, open};
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = open(path, flags, nix::sys::stat::Mode::empty())?;
    Ok(File::from(file))
}

/// Whether only its owner may write, and its owner is the user or (for a folder above the cache) root.
fn is_ours(folder: &Path, is_cache: bool) -> bool {
    use std::os::unix::fs::MetadataExt;
    /// In a sticky folder, such as `/tmp`, only the owner of a file can replace it.
    const STICKY: u32 = 0o1000;
    fs::symlink_metadata(folder).is_ok_and(|metadata| {
        let owned = metadata.uid() == nix::unistd::geteuid().as_raw();
        let closed = metadata.mode() & 0o022 == 0;
        if is_cache {
            owned && closed
        } else {
            (owned || metadata.uid() == 0) && (closed || metadata.mode() & STICKY != 0)
        }
    })
}

fn has_no_other_writer(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.uid() == nix::unistd::geteuid().as_raw() && metadata.mode() & 0o022 == 0
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A cache with one entry, and the path of the entry.
    fn filled() -> (tempfile::TempDir, wasmtime::Engine, CodeCache, Digest, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let engine = wasmtime::Engine::default();
        let bytes = wat::parse_str("(component)").unwrap();
        let digest = Digest::of(&bytes);
        let cache = CodeCache::open(&folder.path().join("code")).unwrap();
        cache.store(&engine, digest, &Component::from_binary(&engine, &bytes).unwrap());
        let path = cache.folder.join(name(&engine, digest));
        (folder, engine, cache, digest, path)
    }

    #[test]
    fn what_was_stored_is_loaded() {
        let (_folder, engine, cache, digest, _) = filled();
        assert!(cache.load(&engine, digest).is_some());
        assert!(cache.load(&engine, Digest::of(b"another")).is_none());
    }

    #[test]
    fn an_entry_of_an_engine_with_another_configuration_is_not_found() {
        let (_folder, _, cache, digest, _) = filled();
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        assert!(cache.load(&wasmtime::Engine::new(&config).unwrap(), digest).is_none());
    }

    #[test]
    fn a_corrupt_entry_is_not_used() {
        let (_folder, engine, cache, digest, path) = filled();
        let whole = fs::read(&path).unwrap();
        for place in [0, 8, 40, whole.len() / 2, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[place] ^= 1;
            fs::write(&path, bytes).unwrap();
            assert!(cache.load(&engine, digest).is_none(), "byte {place}");
        }
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(cache.load(&engine, digest).is_none());
    }

    #[test]
    fn an_entry_under_another_s_name_is_not_used() {
        let (_folder, engine, cache, _, path) = filled();
        let other = Digest::of(b"another component");
        fs::copy(path, cache.folder.join(name(&engine, other))).unwrap();
        assert!(cache.load(&engine, other).is_none());
    }

    #[test]
    fn an_entry_that_others_may_write_or_that_is_a_link_is_not_used() {
        let (_folder, engine, cache, digest, path) = filled();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(cache.load(&engine, digest).is_none());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(cache.load(&engine, digest).is_some());
        fs::rename(&path, cache.folder.join("elsewhere")).unwrap();
        std::os::unix::fs::symlink("elsewhere", &path).unwrap();
        assert!(cache.load(&engine, digest).is_none());
    }

    #[test]
    fn a_folder_that_others_may_write_is_no_cache() {
        let folder = tempfile::tempdir().unwrap();
        let code = folder.path().join("above/code");
        fs::create_dir_all(&code).unwrap();
        for (mode, usable) in [(0o777, false), (0o770, false), (0o755, true)] {
            fs::set_permissions(&code, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(CodeCache::open(&code).is_some(), usable, "{mode:o}");
        }
        fs::set_permissions(folder.path().join("above"), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(
            CodeCache::open(&code).is_none(),
            "a user who may write to the folder above may replace the cache"
        );
    }

    #[test]
    fn only_the_newest_entries_are_kept() {
        let (_folder, engine, cache, _, _) = filled();
        let component = Component::from_binary(&engine, &wat::parse_str("(component)").unwrap()).unwrap();
        for number in 0..KEPT + 5 {
            cache.store(&engine, Digest::of(&number.to_le_bytes()), &component);
        }
        assert_eq!(fs::read_dir(&cache.folder).unwrap().count(), KEPT);
    }
    #[test]
    fn entries_are_bounded_by_their_bytes() {
        let (_folder, engine, cache, _, path) = filled();
        let size = fs::metadata(path).unwrap().len();
        let component = Component::from_binary(&engine, &wat::parse_str("(component)").unwrap()).unwrap();
        for number in 0..9_u8 {
            cache.store(&engine, Digest::of(&[number]), &component);
        }
        cache.prune(KEPT, 3 * size).unwrap();
        assert_eq!(fs::read_dir(&cache.folder).unwrap().count(), 3);
        cache.prune(KEPT, 1).unwrap();
        assert_eq!(fs::read_dir(&cache.folder).unwrap().count(), 1, "the newest entry stays");
    }
}
