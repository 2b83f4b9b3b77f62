//! Files of the authority: written whole or not at all, and synced before they count.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use super::PkiError;

/// Writes a file that only its owner may read (0600). When this returns, file and folder are on disk.
///
/// An older file of that name is replaced in one step.
///
/// # Errors
///
/// [`PkiError::File`].
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), PkiError> {
    write(path, content, 0o600)
}

/// Writes a file that everybody may read (0644), otherwise as [`write_private`].
pub(super) fn write_public(path: &Path, content: &[u8]) -> Result<(), PkiError> {
    write(path, content, 0o644)
}

/// Reads a file whole.
pub(super) fn read(path: &Path) -> Result<String, PkiError> {
    fs::read_to_string(path).map_err(|cause| PkiError::File { act: "read", path: path.to_owned(), cause })
}

/// Makes a folder that only its owner may enter, if it is not there.
pub(super) fn make_folder(path: &Path) -> Result<(), PkiError> {
    let made = fs::create_dir_all(path).and_then(|()| restrict(path, 0o700));
    made.map_err(|cause| PkiError::File { act: "write", path: path.to_owned(), cause })
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), PkiError> {
    try_write(path, content, mode).map_err(|cause| PkiError::File { act: "write", path: path.to_owned(), cause })
}

fn try_write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = folder.join(name);
    if let Err(error) = fs::remove_file(&fresh)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = create(&fresh, mode)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(unix)]
fn create(path: &Path, mode: u32) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    restrict(path, mode)?;
    Ok(file)
}

#[cfg(not(unix))]
fn create(path: &Path, _mode: u32) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(unix)]
fn restrict(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn restrict(_path: &Path, _mode: u32) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_private_file_is_its_owners_alone_even_when_it_replaces_an_open_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub").join("key");
        write_public(&path, b"old").unwrap();
        write_private(&path, b"new").unwrap();
        assert_eq!(read(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), b"").unwrap();
        let error = write_private(&folder.path().join("file").join("key"), b"x").unwrap_err();
        assert!(error.to_string().contains("file/key"), "{error}");
    }
}
