//! A compact copy of the store, of one moment, without the files of a write-ahead log beside it.

use super::ExportError;
use super::folder::Folder;
use connector_store::Reader;

pub(super) fn export(store: &Reader, folder: &mut Folder<'_>) -> Result<(), ExportError> {
    folder.write("store.db", |file| {
        store.copy_to(file.temporary_path())?;
        file.count(Reader::open(file.temporary_path())?.entity_count()?);
        Ok(())
    })
}
