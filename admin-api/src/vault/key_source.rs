//! Where the key comes from that seals the vault's data key.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use data_encoding::HEXLOWER;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use tokio::io::AsyncReadExt;
use zeroize::Zeroizing;

use super::{Key, VaultError, seal};

/// How long the external command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest output of the external command, and the longest key file, in bytes.
const KEY_TEXT_MAX: u64 = 4096;
/// The shortest key that a command may print, in bytes: 32 hexadecimal digits are 128 bits.
const COMMAND_KEY_MIN: usize = 32;
/// The shortest passphrase, in bytes.
const PASSPHRASE_MIN: usize = 12;

/// Where the vault's key comes from.
#[derive(Debug)]
pub enum KeySource {
    /// A program, called without a shell, that prints a key of at least 32 characters (of 128 bits
    /// of chance or more) on its standard output within 30 seconds, the same one each time.
    Command {
        /// The program.
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
    },
    /// A file that only its owner can read; created together with the vault. Whoever has both this
    /// file and the store has the seeds: back them up apart from each other.
    File(PathBuf),
    /// A passphrase of at least 12 bytes, stretched with argon2id.
    Passphrase(SecretString),
}

/// Whether a key file has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    MayBeCreated,
    Required,
}

/// How a passphrase is stretched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Derivation {
    pub(super) salt: [u8; 16],
    pub(super) memory_kib: u32,
    pub(super) passes: u32,
    pub(super) lanes: u32,
}

impl Derivation {
    /// 64 MiB and three passes: the second choice of RFC 9106, with one lane.
    pub(super) fn strong(salt: [u8; 16]) -> Self {
        Self { salt, memory_kib: 64 * 1024, passes: 3, lanes: 1 }
    }

    /// Whether an envelope's figures can be worked with: a damaged one must not take all memory.
    pub(super) fn is_bearable(&self) -> bool {
        (8..=1024 * 1024).contains(&self.memory_kib)
            && (1..=64).contains(&self.passes)
            && (1..=16).contains(&self.lanes)
    }

    fn stretch(&self, passphrase: &[u8]) -> Result<Key, VaultError> {
        let refused = |_| VaultError::Damaged;
        let params = argon2::Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).map_err(refused)?;
        let mut key = Zeroizing::new([0; 32]);
        argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
            .hash_password_into(passphrase, &self.salt, &mut *key)
            .map_err(refused)?;
        Ok(key)
    }
}

impl KeySource {
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::File(_) => 1,
            Self::Passphrase(_) => 2,
            Self::Command { .. } => 3,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        Self::name_of(self.code()).unwrap_or("a key source")
    }

    pub(super) fn name_of(code: u8) -> Option<&'static str> {
        match code {
            1 => Some("the key in the file"),
            2 => Some("the passphrase"),
            3 => Some("the key that the command prints"),
            _ => None,
        }
    }

    /// The key that seals the data key.
    pub(super) async fn key(&self, derivation: Option<&Derivation>, existing: Existing) -> Result<Key, VaultError> {
        match self {
            Self::Command { program, arguments } => command_key(program, arguments).await,
            Self::File(path) => file_key(path, existing),
            Self::Passphrase(passphrase) => {
                let length = passphrase.expose_secret().len();
                if length < PASSPHRASE_MIN {
                    return Err(VaultError::TooShort { what: "the passphrase", length, min: PASSPHRASE_MIN });
                }
                let derivation = derivation.cloned().ok_or(VaultError::Damaged)?;
                let passphrase = passphrase.clone();
                tokio::task::spawn_blocking(move || derivation.stretch(passphrase.expose_secret().as_bytes()))
                    .await
                    .map_err(|_| VaultError::Damaged)?
            }
        }
    }
}

/// Reads the key file, or creates it.
fn file_key(path: &Path, existing: Existing) -> Result<Key, VaultError> {
    let failed = |detail: String| VaultError::File { path: path.to_path_buf(), detail };
    match fs::File::open(path) {
        Ok(file) => {
            let mode = file.metadata().map_err(|error| failed(error.to_string()))?.permissions().mode();
            if mode & 0o077 != 0 {
                return Err(failed(format!("others may read it (mode {:o}); run `chmod 600` on it", mode & 0o777)));
            }
            let mut text = Zeroizing::new(String::new());
            file.take(KEY_TEXT_MAX).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
            parse_key(&text).ok_or_else(|| failed("it does not hold a key: 64 hexadecimal digits".to_owned()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound && existing == Existing::MayBeCreated => {
            create_key_file(path).map_err(|error| failed(error.to_string()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(failed("it is missing, and nothing else opens the vault; bring it back from a backup".to_owned()))
        }
        Err(error) => Err(failed(error.to_string())),
    }
}

fn parse_key(text: &str) -> Option<Key> {
    let bytes = Zeroizing::new(HEXLOWER.decode(text.trim_end().as_bytes()).ok()?);
    <[u8; 32]>::try_from(bytes.as_slice()).ok().map(Zeroizing::new)
}

/// On disk, whole, before it is used: a vault whose key is lost in a crash would be lost with it.
///
/// The file appears under its name only when it is complete, and never replaces one: if another
/// process was first, its key counts.
fn create_key_file(path: &Path) -> std::io::Result<Key> {
    let key = seal::random_key();
    let text = Zeroizing::new(format!("{}\n", HEXLOWER.encode(key.as_ref())));
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".new.{}", std::process::id()));
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    let key = match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let text = Zeroizing::new(fs::read_to_string(path)?);
            parse_key(&text).ok_or_else(|| std::io::Error::other("it does not hold a key: 64 hexadecimal digits"))?
        }
        linked => linked.map(|()| key)?,
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder)?.sync_all()?;
    Ok(key)
}

/// Runs the command and makes a key of what it prints.
async fn command_key(program: &Path, arguments: &[String]) -> Result<Key, VaultError> {
    let failed = |detail: String| VaultError::Command { detail };
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("`{}`: {error}", program.display())))?;
    let output = child.stdout.take().ok_or_else(|| failed("it has no output".to_owned()))?;
    let printed = async {
        let mut printed = Zeroizing::new(Vec::with_capacity(KEY_TEXT_MAX as usize + 1));
        output.take(KEY_TEXT_MAX + 1).read_to_end(&mut printed).await?;
        if printed.len() as u64 > KEY_TEXT_MAX {
            // Not waited for: it may never stop printing. It is killed when it is dropped.
            return Err(std::io::Error::other(format!("it printed more than {KEY_TEXT_MAX} bytes")));
        }
        let status = child.wait().await?;
        Ok((printed, status))
    };
    let (printed, status) = tokio::time::timeout(COMMAND_TIMEOUT, printed)
        .await
        .map_err(|_| failed(format!("it took longer than {} s", COMMAND_TIMEOUT.as_secs())))?
        .map_err(|error| failed(error.to_string()))?;
    if !status.success() {
        return Err(failed(format!("it ended with {status}")));
    }
    let secret = printed.trim_ascii_end();
    if secret.len() < COMMAND_KEY_MIN {
        return Err(VaultError::TooShort {
            what: "the key that the command prints",
            length: secret.len(),
            min: COMMAND_KEY_MIN,
        });
    }
    let mut key = Zeroizing::new([0; 32]);
    hkdf::Hkdf::<Sha256>::new(None, secret)
        .expand(b"cordon vault command 1", &mut *key)
        .map_err(|_| failed("no key could be derived from it".to_owned()))?;
    Ok(key)
}
