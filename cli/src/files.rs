//! Files for others to find: written whole or not at all, secrets for their owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Context as _;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readable {
    /// Mode 0600.
    ByOwner,
    /// Mode 0644.
    ByAll,
}

/// Writes a file in one step; when this returns, it is on disk.
pub(crate) fn write(path: &Path, content: &[u8], readable: Readable) -> anyhow::Result<()> {
    try_write(path, content, readable).with_context(|| format!("cannot write `{}`", path.display()))
}

/// Reads a text file, of a length that such files have.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    const LENGTH_MAX: u64 = 4 * 1024 * 1024;
    let file = File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let mut text = String::new();
    io::Read::read_to_string(&mut io::Read::take(file, LENGTH_MAX + 1), &mut text)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    anyhow::ensure!(text.len() as u64 <= LENGTH_MAX, "`{}` is too long to be what is wanted here", path.display());
    Ok(text)
}

/// Makes a folder that only its owner may enter.
pub(crate) fn make_private_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    set_mode(path, 0o700)
}

fn try_write(path: &Path, content: &[u8], readable: Readable) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = folder.join(name);
    let mode = if readable == Readable::ByOwner { 0o600 } else { 0o644 };
    let written = create(&fresh, mode).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| fs::rename(&fresh, path)) {
        let _left_over = fs::remove_file(&fresh);
        return Err(error);
    }
    File::open(folder)?.sync_all()
}

fn create(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let file = options.open(path)?;
    set_mode(path, mode)?;
    Ok(file)
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    #[cfg(not(unix))]
    let _ = (path, mode);
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn secrets_are_for_their_owner_even_where_an_open_file_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.creds");
        fs::write(&path, "old").unwrap();
        write(&path, b"new", Readable::ByOwner).unwrap();
        assert_eq!(read(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("no").join("such");
        let error = write(&path, b"x", Readable::ByAll).unwrap_err();
        assert!(error.to_string().contains("no/such"), "{error}");
        assert!(read(&path).unwrap_err().to_string().contains("no/such"));
    }
}
