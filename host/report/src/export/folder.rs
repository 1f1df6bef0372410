//! The folder that an export is written to: every file is written beside its place first, and moved there when all are complete.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::{ExportError, Written};

/// What an export does with a folder that holds files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Refuses it.
    Refuse,
    /// Replaces the files that it writes, and leaves the others.
    Replace,
}

/// The files of an export that are complete, and not yet in their place.
pub(super) struct Folder<'a> {
    path: &'a Path,
    complete: Vec<(NamedTempFile, Written)>,
}

/// A file that is being written.
pub(super) struct OutputFile {
    writer: BufWriter<NamedTempFile>,
    path: PathBuf,
    records: u64,
}

impl<'a> Folder<'a> {
    /// Makes the folder if it is missing.
    pub(super) fn open(path: &'a Path, existing: Existing) -> Result<Self, ExportError> {
        let failed = |error| ExportError::File { path: path.to_owned(), error };
        std::fs::create_dir_all(path).map_err(failed)?;
        if existing == Existing::Refuse && std::fs::read_dir(path).map_err(failed)?.next().is_some() {
            return Err(ExportError::Occupied(path.to_owned()));
        }
        Ok(Self { path, complete: Vec::new() })
    }

    /// Writes the file `name` out of sight.
    pub(super) fn write(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut OutputFile) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let path = self.path.join(name);
        let temporary = NamedTempFile::new_in(self.path)
            .map_err(|error| ExportError::File { path: path.clone(), error })?;
        let mut file = OutputFile { writer: BufWriter::new(temporary), path, records: 0 };
        write(&mut file)?;
        let OutputFile { writer, path, records } = file;
        let failed = |error| ExportError::File { path: path.clone(), error };
        let temporary = writer.into_inner().map_err(|error| failed(error.into_error()))?;
        // Without this, a power failure could leave an empty file under the new name.
        temporary.as_file().sync_all().map_err(failed)?;
        self.complete.push((temporary, Written { path, records }));
        Ok(())
    }

    /// Moves all files to their places.
    pub(super) fn commit(self) -> Result<Vec<Written>, ExportError> {
        let place = |(temporary, written): (NamedTempFile, Written)| match temporary.persist(&written.path) {
            Ok(_) => Ok(written),
            Err(error) => Err(ExportError::File { path: written.path, error: error.error }),
        };
        self.complete.into_iter().map(place).collect()
    }
}

impl OutputFile {
    /// The file, for a program that writes to a path. It is empty.
    pub(super) fn temporary_path(&self) -> &Path {
        self.writer.get_ref().path()
    }

    /// Counts `records` more.
    pub(super) fn count(&mut self, records: u64) {
        self.records += records;
    }

    /// The error of this file.
    pub(super) fn failed(&self, error: std::io::Error) -> ExportError {
        ExportError::File { path: self.path.clone(), error }
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.writer.flush()
    }
}
