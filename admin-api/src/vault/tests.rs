//! The vault's rules: what opens, and above all what does not.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cordon_accounts::key::Role;
use secrecy::SecretString;

use super::*;

async fn store(folder: &Path) -> Store {
    Store::open(folder.join("cordon.db").to_str().unwrap()).await.unwrap()
}

fn file(folder: &Path) -> KeySource {
    KeySource::File(folder.join("vault.key"))
}

fn passphrase(text: &str) -> KeySource {
    KeySource::Passphrase(SecretString::from(text.to_owned()))
}

fn command(script: &str) -> KeySource {
    KeySource::Command { program: PathBuf::from("/bin/sh"), arguments: vec!["-c".to_owned(), script.to_owned()] }
}

fn seed(number: u8) -> Seed {
    Seed::from_raw(Role::Account, [number; 32])
}

#[tokio::test]
async fn sealed_seed_opens_again_with_each_source() {
    let key = "0123456789abcdef0123456789abcdef";
    for number in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        let source = || match number {
            0 => file(folder.path()),
            1 => passphrase("correct horse battery"),
            _ => command(&format!("echo {key}")),
        };
        let vault = Vault::open(&source(), &store, 1).await.unwrap();
        let context = seed(1).public();
        let sealed = vault.seal(&seed(1), &context).unwrap();
        assert_ne!(sealed, vault.seal(&seed(1), &context).unwrap(), "each seal has a nonce of its own");

        let again = Vault::open(&source(), &store, 2).await.unwrap();
        assert_eq!(*again.open_seed(&sealed, &context).unwrap().to_text(), *seed(1).to_text());
    }
}

#[tokio::test]
async fn wrong_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    Vault::open(&passphrase("correct horse battery"), &store, 1).await.unwrap();
    let refused = Vault::open(&passphrase("correct horse batterx"), &store, 1).await;
    assert!(matches!(refused, Err(VaultError::WrongKey { .. })), "{refused:?}");
    let refused = Vault::open(&command("echo 0123456789abcdef0123456789abcdef"), &store, 1).await;
    assert!(matches!(refused, Err(VaultError::OtherSource { .. })), "{refused:?}");
    let refused = Vault::open(&file(folder.path()), &store, 1).await;
    assert!(matches!(refused, Err(VaultError::OtherSource { .. })), "{refused:?}");
    assert!(!folder.path().join("vault.key").exists(), "no key file is made for a vault that is there");
}

#[tokio::test]
async fn every_flipped_byte_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(&file(folder.path()), &store(folder.path()).await, 1).await.unwrap();
    let context = seed(1).public();
    let sealed = vault.seal(&seed(1), &context).unwrap();
    for at in 0..sealed.as_bytes().len() {
        let mut bytes = sealed.as_bytes().to_vec();
        bytes[at] ^= 1;
        let refused = vault.open_seed(&Sealed::from_bytes(bytes), &context);
        assert!(matches!(refused, Err(VaultError::Damaged)), "byte {at}");
    }
    for length in 0..sealed.as_bytes().len() {
        let cut = Sealed::from_bytes(sealed.as_bytes()[..length].to_vec());
        assert!(matches!(vault.open_seed(&cut, &context), Err(VaultError::Damaged)), "{length} bytes");
    }
}

#[tokio::test]
async fn sealed_seed_cannot_be_moved() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(&file(folder.path()), &store(folder.path()).await, 1).await.unwrap();
    let sealed = vault.seal(&seed(1), &seed(1).public()).unwrap();
    let moved = vault.open_seed(&sealed, &seed(2).public());
    assert!(matches!(moved, Err(VaultError::Damaged)), "to another key's row");
    let wrong = vault.seal(&seed(1), &seed(2).public());
    assert!(matches!(wrong, Err(VaultError::OtherKey { .. })), "sealed for another key");

    let bytes = vault.seal_bytes(b"secret", "answer").unwrap();
    assert_eq!(*vault.open_bytes(&bytes, "answer").unwrap(), b"secret");
    assert!(matches!(vault.open_bytes(&bytes, "ledger"), Err(VaultError::Damaged)), "to another purpose");
    let text = seed(1).to_text();
    let disguised = vault.seal_bytes(text.as_bytes(), &format!("cordon seed 1 {}", seed(1).public())).unwrap();
    assert!(vault.open_seed(&disguised, &seed(1).public()).is_err(), "bytes are no seed");
}

#[tokio::test]
async fn another_vault_does_not_open_it() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let vault = Vault::open(&file(here.path()), &store(here.path()).await, 1).await.unwrap();
    let other = Vault::open(&file(there.path()), &store(there.path()).await, 1).await.unwrap();
    let sealed = vault.seal(&seed(1), &seed(1).public()).unwrap();
    assert!(matches!(other.open_seed(&sealed, &seed(1).public()), Err(VaultError::Damaged)));
}

#[tokio::test]
async fn key_file_is_private_and_must_stay() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    Vault::open(&file(folder.path()), &store, 1).await.unwrap();
    let path = folder.path().join("vault.key");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let files = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(files.filter(|name| name.starts_with("vault.key")).count(), 1, "no draft is left behind");
    let text = std::fs::read_to_string(&path).unwrap();

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let refused = Vault::open(&file(folder.path()), &store, 1).await.unwrap_err().to_string();
    assert!(refused.contains("others may read it (mode 640)"), "{refused}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();

    let zeros = "0".repeat(64);
    for (content, expected) in [
        ("", "does not hold a key"),
        (text.get(1..).unwrap(), "does not hold a key"),
        (zeros.as_str(), "is not the one"),
    ] {
        std::fs::write(&path, content).unwrap();
        let refused = Vault::open(&file(folder.path()), &store, 1).await.unwrap_err().to_string();
        assert!(refused.contains(expected), "{content}: {refused}");
    }
    std::fs::remove_file(&path).unwrap();
    let refused = Vault::open(&file(folder.path()), &store, 1).await.unwrap_err().to_string();
    assert!(refused.contains("it is missing"), "{refused}");
    assert!(!path.exists());
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(Vault::open(&file(folder.path()), &store, 1).await.is_ok());
}

#[tokio::test]
async fn source_can_be_changed_without_losing_seeds() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let vault = Vault::open(&file(folder.path()), &store, 1).await.unwrap();
    let sealed = vault.seal(&seed(1), &seed(1).public()).unwrap();
    vault.change_source(&passphrase("correct horse battery"), &store, 2).await.unwrap();
    assert!(Vault::open(&file(folder.path()), &store, 3).await.is_err(), "the old source opens nothing");
    let vault = Vault::open(&passphrase("correct horse battery"), &store, 3).await.unwrap();
    assert!(vault.open_seed(&sealed, &seed(1).public()).is_ok());
}

#[tokio::test]
async fn poor_sources_are_refused() {
    let cases = [
        (passphrase("short"), "the passphrase has 5 bytes; give at least 12"),
        (command("echo 0123"), "the key that the command prints has 4 bytes; give at least 32"),
        (command("exit 3"), "it ended with exit status: 3"),
        (command("head -c 9000 /dev/zero"), "it printed more than 4096 bytes"),
        (
            KeySource::Command { program: PathBuf::from("/no/such/program"), arguments: Vec::new() },
            "`/no/such/program`",
        ),
        (KeySource::File(PathBuf::from("/no/such/folder/vault.key")), "/no/such/folder/vault.key"),
    ];
    for (source, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        let text = Vault::open(&source, &store(folder.path()).await, 1).await.unwrap_err().to_string();
        assert!(text.contains(expected), "{source:?}: {text}");
    }
}

#[tokio::test]
async fn every_changed_envelope_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let source = file(folder.path());
    let (_, envelope) = Vault::create(&source).await.unwrap();
    for at in 0..envelope.len() {
        let mut changed = envelope.clone();
        changed[at] ^= 1;
        assert!(Vault::unlock(&source, &changed).await.is_err(), "byte {at}");
    }
    assert!(Vault::unlock(&source, &[]).await.is_err());
    // An envelope that asks for all memory is refused before any is taken.
    let mut greedy = vec![2; 17];
    greedy.extend_from_slice(&[0xff; 12]);
    greedy.extend_from_slice(&[0; 73]);
    let refused = Vault::unlock(&passphrase("correct horse battery"), &greedy).await;
    assert!(matches!(refused, Err(VaultError::Damaged)), "{refused:?}");
}

#[tokio::test]
async fn nothing_secret_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(&file(folder.path()), &store(folder.path()).await, 1).await.unwrap();
    let sealed = vault.seal(&seed(1), &seed(1).public()).unwrap();
    assert_eq!(format!("{vault:?} {sealed:?}"), "Vault Sealed");
    assert!(!format!("{:?}", passphrase("correct horse battery")).contains("horse"));
}
