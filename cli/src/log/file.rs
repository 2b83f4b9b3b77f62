//! The log in a file that makes room for itself: what is too large is put aside, what is too old is removed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::line::Style;

/// What is put behind the name of a file put aside; names sort by age.
const SUFFIX: &[BorrowedFormatItem<'_>] =
    format_description!("[year].[month].[day].[hour].[minute].[second].[subsecond digits:9]");

/// A file that lines are appended to.
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
    /// Bytes after which it is put aside; never when 0.
    limit: u64,
    /// When it could not be put aside: the size at which to try again.
    again: u64,
    /// Files kept, this one included; all when 0.
    keep: usize,
    style: Arc<Style>,
}

impl LogFile {
    /// Opens a file to append to, or makes it: readable for its owner and group.
    pub(super) fn open(path: PathBuf, limit: u64, keep: usize, style: Arc<Style>) -> io::Result<Self> {
        let (file, size) = append(&path)?;
        Ok(Self { path, file, size, limit, again: limit, keep, style })
    }

    /// Opens the same path again; what was written so far may have been moved away.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        (self.file, self.size) = append(&self.path)?;
        self.again = self.limit;
        Ok(())
    }

    /// Writes a line whole, and puts the file aside when it has become too large.
    pub(super) fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.append_line(line)?;
        if self.limit > 0 && self.size > self.again {
            self.rotate()?;
        }
        Ok(())
    }

    fn append_line(&mut self, line: &[u8]) -> io::Result<()> {
        self.file.write_all(line)?;
        self.size = self.size.saturating_add(line.len() as u64);
        Ok(())
    }

    fn note(&mut self, tag: &str, text: &str) -> io::Result<()> {
        let line = self.style.line(tag, text);
        self.append_line(line.as_bytes())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let stamp = self.style.now().format(SUFFIX).map_err(io::Error::other)?;
        let mut aside = self.path.clone().into_os_string();
        aside.push(format!(".{stamp}"));
        let aside = PathBuf::from(aside);
        if let Err(error) = fs::rename(&self.path, &aside).and_then(|()| self.reopen()) {
            // Goes on in what is open, rather than to lose lines.
            let noted = self.note("ERR", &format!("Unable to rotate the logfile, it grows on: {error}"));
            self.again = self.size.saturating_add(self.limit);
            return noted;
        }
        self.note("INF", &format!("Rotated log, backup saved as {:?}", aside.display().to_string()))?;
        if self.keep > 0 {
            self.purge()?;
        }
        Ok(())
    }

    /// Removes the oldest files put aside, beyond those that are kept.
    fn purge(&mut self) -> io::Result<()> {
        let mut aside = match put_aside(&self.path) {
            Ok(aside) => aside,
            Err(error) => return self.note("ERR", &format!("Unable to list old log files: {error}")),
        };
        let too_many = aside.len().saturating_sub(self.keep - 1);
        for old in aside.drain(..too_many) {
            let shown = old.display().to_string();
            match fs::remove_file(&old) {
                Ok(()) => self.note("INF", &format!("Purged log file {shown:?}"))?,
                Err(error) => self.note("ERR", &format!("Unable to remove old log file {shown:?}: {error}"))?,
            }
        }
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<(File, u64)> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    let file = options.open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

/// Files of this log that were put aside, oldest first.
fn put_aside(path: &Path) -> io::Result<Vec<PathBuf>> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(Vec::new()) };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let other = entry?.file_name();
        let suffix = other.to_str().and_then(|other| other.strip_prefix(name)).and_then(|rest| rest.strip_prefix('.'));
        if suffix.is_some_and(is_stamp) {
            found.push(folder.join(other));
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a name's end is one that [`LogFile::rotate`] gives, so that nothing else is ever removed.
fn is_stamp(suffix: &str) -> bool {
    let lengths = suffix.split('.').map(str::len);
    lengths.eq([4, 2, 2, 2, 2, 2, 9]) && suffix.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::line::Shape;
    use super::*;

    fn log(folder: &Path, limit: u64, keep: usize) -> LogFile {
        LogFile::open(folder.join("x.log"), limit, keep, Arc::new(Style::new(Shape::Server))).unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_too_large_is_put_aside_and_what_is_too_old_removed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x.log.gz"), "not ours").unwrap();
        fs::write(folder.path().join("x.log.2020.01.01.00.00.00.000000001"), "old").unwrap();
        let mut log = log(folder.path(), 400, 2);
        for number in 0..40 {
            log.write(format!("line {number} {}\n", "x".repeat(90)).as_bytes()).unwrap();
        }
        let names = names(folder.path());
        assert_eq!(names.len(), 3, "the log, one put aside, and what is none of ours: {names:?}");
        assert!(names[1].strip_prefix("x.log.").is_some_and(is_stamp), "{names:?}");
        let text = fs::read_to_string(folder.path().join("x.log")).unwrap();
        assert!(text.lines().next().unwrap().contains("[INF] Rotated log, backup saved as \""), "{text}");
        assert!(text.contains("[INF] Purged log file \""), "{text}");
    }

    #[test]
    fn without_a_number_all_are_kept_and_no_line_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log(folder.path(), 200, 0);
        for number in 0..30 {
            log.write(format!("line {number:03} {}\n", "x".repeat(60)).as_bytes()).unwrap();
        }
        let names = names(folder.path());
        assert!(names.len() > 5, "{names:?}");
        let all: String =
            names.iter().map(|name| fs::read_to_string(folder.path().join(name)).unwrap()).collect::<Vec<_>>().concat();
        for number in 0..30 {
            assert_eq!(all.matches(&format!("line {number:03}")).count(), 1, "{number}");
        }
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log(folder.path(), 0, 0);
        log.write(b"before\n").unwrap();
        fs::rename(folder.path().join("x.log"), folder.path().join("moved")).unwrap();
        log.reopen().unwrap();
        log.write(b"after\n").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("moved")).unwrap(), "before\n");
        assert_eq!(fs::read_to_string(folder.path().join("x.log")).unwrap(), "after\n");
        let mode = fs::metadata(folder.path().join("x.log")).unwrap().permissions().mode();
        assert_eq!(mode & 0o137, 0, "not for others, and nothing to run: {mode:o}");
    }

    #[test]
    fn what_cannot_be_put_aside_grows_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log(folder.path(), 50, 1);
        // The name is gone: there is nothing to rename.
        fs::remove_file(folder.path().join("x.log")).unwrap();
        log.write(&[b'x'; 60]).unwrap();
        log.write(b"more\n").unwrap();
        assert_eq!(names(folder.path()), Vec::<String>::new());
        assert!(log.size > 60 && log.again > log.size, "it tries again after as much more");
    }
}
