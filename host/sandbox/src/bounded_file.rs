//! Reads files that people put somewhere: regular files only, up to a size. A named pipe would block the reader for ever,
//! and a file of gigabytes would fill the memory.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;
use zeroize::Zeroizing;

/// The largest configuration, in bytes.
pub const CONFIGURATION: u64 = 1 << 20;
/// The largest file of certificates, in bytes.
pub const CERTIFICATES: u64 = 1 << 20;
/// The largest file with a secret or another value, in bytes.
pub const VALUE: u64 = 64 << 10;

/// Opens the file at `path` for reading.
///
/// # Errors
///
/// When it can't be opened, or is not a regular file.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    // Without this flag, opening a named pipe waits for its writer.
    let file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(invalid("it is not a regular file")) }
}

/// The content of the file at `path`, which has at most `largest` bytes.
///
/// # Errors
///
/// When it can't be read, is not a regular file, or is larger.
pub fn read(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    read_all(open(path)?, largest)
}

/// As [`read`], for text.
///
/// # Errors
///
/// As for [`read`], or when it is not UTF-8.
pub fn read_text(path: &Path, largest: u64) -> io::Result<String> {
    String::from_utf8(read(path, largest)?).map_err(|_| invalid("it is not text in UTF-8"))
}

/// As [`read_text`], for a secret: refuses a file that all users of this machine may read.
///
/// # Errors
///
/// As for [`read_text`], or when the mode of the file lets others read or change it.
pub fn read_secret(path: &Path, largest: u64) -> io::Result<Zeroizing<String>> {
    let file = open(path)?;
    if file.metadata()?.permissions().mode() & 0o006 != 0 {
        let reason = "all users of this machine may read or change it: allow only its owner (`chmod 600`)";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    }
    let bytes = Zeroizing::new(read_all(file, largest)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| invalid("it is not text in UTF-8"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn read_all(file: File, largest: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // The file may grow while it is read.
    file.take(largest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > largest {
        return Err(invalid(&format!("it has more than {} KiB", largest >> 10)));
    }
    Ok(bytes)
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;

    #[test]
    fn only_regular_files_up_to_a_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let (small, large) = (folder.path().join("small"), folder.path().join("large"));
        std::fs::write(&small, "text").unwrap();
        assert_eq!(read_text(&small, 4).unwrap(), "text");
        // It has no content, and costs no disk.
        File::create(&large).unwrap().set_len(3 << 30).unwrap();
        let error = read(&large, CONFIGURATION).unwrap_err().to_string();
        assert_eq!(error, "it has more than 1024 KiB");

        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [pipe.as_path(), folder.path(), Path::new("/dev/zero")] {
            let error = read(path, CONFIGURATION).unwrap_err().to_string();
            assert_eq!(error, "it is not a regular file", "{}", path.display());
        }
    }

    #[test]
    fn a_secret_that_all_users_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "hunter2").unwrap();
        for (mode, is_read) in [(0o600, true), (0o440, true), (0o644, false), (0o602, false)] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let read = read_secret(&path, VALUE);
            assert_eq!(read.is_ok(), is_read, "{mode:o}");
            if let Err(error) = read {
                assert!(error.to_string().contains("chmod 600"), "{error}");
            }
        }
    }
}
