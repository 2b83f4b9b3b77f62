//! The folder in which `nsc` keeps operators, accounts and users:
//! `OPERATOR/OPERATOR.jwt`, `OPERATOR/accounts/NAME/NAME.jwt`, `OPERATOR/accounts/NAME/users/USER.jwt`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::jwt::Authorities;
use super::report::{Report, Weight};
use crate::files;

/// Checks every operator in a folder, or the one whose folder it is.
///
/// # Errors
///
/// When the folder cannot be read, or holds no operator.
pub(super) fn check(folder: &Path, now: i64, report: &mut Report) -> anyhow::Result<()> {
    let mut operators: Vec<PathBuf> = named_jwt(folder).map(|_| folder.to_owned()).into_iter().collect();
    if operators.is_empty() {
        operators = folders(folder)?.into_iter().filter(|folder| named_jwt(folder).is_some()).collect();
    }
    anyhow::ensure!(
        !operators.is_empty(),
        "`{}` holds no operator of nsc: name the folder with its stores, or one operator's",
        folder.display()
    );
    operators.iter().try_for_each(|operator| check_operator(operator, now, report))
}

fn check_operator(folder: &Path, now: i64, report: &mut Report) -> anyhow::Result<()> {
    let Some(path) = named_jwt(folder) else { return Ok(()) };
    let place = format!("operator {}", shown(folder));
    let token = files::read(&path)?.trim().to_owned();
    let Some(mut authorities) = Authorities::of(&place, &[token], report) else { return Ok(()) };
    let accounts = folder.join("accounts");
    if !accounts.is_dir() {
        return Ok(());
    }
    for account in folders(&accounts)? {
        let place = format!("account {}", shown(&account));
        match named_jwt(&account) {
            Some(path) => authorities.account(&place, files::read(&path)?.trim(), now, report),
            None => report.add(Weight::Note, &place, "its folder holds no JWT"),
        }
        let users = account.join("users");
        if users.is_dir() {
            for user in jwts(&users)? {
                let place = format!("{place}, user {}", shown(&user));
                authorities.user(&place, files::read(&user)?.trim(), now, report);
            }
        }
    }
    Ok(())
}

/// The JWT in a folder that is named like it.
fn named_jwt(folder: &Path) -> Option<PathBuf> {
    let mut name = folder.canonicalize().ok()?.file_name()?.to_owned();
    name.push(".jwt");
    Some(folder.join(name)).filter(|path| path.is_file())
}

fn shown(path: &Path) -> String {
    path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn folders(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    listed(folder, Path::is_dir)
}

fn jwts(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    listed(folder, |path| path.extension().is_some_and(|extension| extension == "jwt"))
}

/// What is in a folder, by name.
fn listed(folder: &Path, is_wanted: impl Fn(&Path) -> bool) -> anyhow::Result<Vec<PathBuf>> {
    let read = fs::read_dir(folder).with_context(|| format!("cannot read `{}`", folder.display()))?;
    let mut found = Vec::new();
    for entry in read {
        let path = entry.with_context(|| format!("cannot read `{}`", folder.display()))?.path();
        if is_wanted(&path) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use cordon_accounts::claims::{AccountClaims, OperatorClaims, UserClaims};
    use cordon_accounts::key::{AccountKey, OperatorKey, Role, Seed, UserKey};
    use rand::rngs::OsRng;

    use super::*;

    const NOW: i64 = 1_763_854_479;

    struct Store {
        folder: tempfile::TempDir,
        operator: Seed,
        account: Seed,
    }

    impl Store {
        fn new(change: impl FnOnce(&mut AccountClaims)) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let seed = |role| Seed::generate(role, &mut OsRng);
            let store = Self { folder, operator: seed(Role::Operator), account: seed(Role::Account) };
            let operator = OperatorClaims::new(OperatorKey::try_from(store.operator.public()).unwrap());
            store.write("site/site.jwt", &operator.encode(&store.operator, NOW).unwrap());
            let mut claims = AccountClaims::new(AccountKey::try_from(store.account.public()).unwrap());
            change(&mut claims);
            store.write("site/accounts/acme/acme.jwt", &claims.encode(&store.operator, NOW).unwrap());
            store
        }

        fn user(self, signer: Option<&Seed>, change: impl FnOnce(&mut UserClaims)) -> Self {
            let seed = Seed::generate(Role::User, &mut OsRng);
            let mut claims = UserClaims::new(UserKey::try_from(seed.public()).unwrap());
            change(&mut claims);
            let token = claims.encode(signer.unwrap_or(&self.account), NOW - 10).unwrap();
            self.write("site/accounts/acme/users/app.jwt", &token);
            self
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{text}\n")).unwrap();
        }

        fn blocking(&self) -> Vec<String> {
            let mut report = Report::default();
            check(self.folder.path(), NOW, &mut report).unwrap();
            let mut one = Report::default();
            check(&self.folder.path().join("site"), NOW, &mut one).unwrap();
            assert_eq!(report.to_json(), one.to_json(), "one operator's folder says the same");
            report.texts(Weight::Blocks)
        }
    }

    #[test]
    fn a_sound_store_is_in_nobodys_way() {
        assert_eq!(Store::new(|_| {}).user(None, |_| {}).blocking(), Vec::<String>::new());
    }

    #[test]
    fn what_would_be_refused_is_named_by_account_and_user() {
        let stranger = Seed::generate(Role::Account, &mut OsRng);
        for (store, told) in [
            (Store::new(|account| account.expires = NOW - 1), "account acme: the account would be refused"),
            (
                Store::new(|_| {}).user(None, |user| user.expires = NOW - 1),
                "account acme, user app: the user would be refused",
            ),
            (Store::new(|_| {}).user(None, |user| user.nats.template.src = vec!["nowhere".to_owned()]), "user app"),
            (
                Store::new(|account| account.nats.limits.disallow_bearer = true)
                    .user(None, |user| user.nats.template.bearer_token = true),
                "bearer",
            ),
            (
                {
                    let store = Store::new(|_| {});
                    let account = AccountKey::try_from(store.account.public()).unwrap();
                    store.user(Some(&stranger), |user| user.nats.issuer_account = Some(account))
                },
                "which may not sign users of its account",
            ),
        ] {
            let texts = store.blocking().join("\n");
            assert!(texts.contains(told), "{told}: {texts}");
        }
    }

    #[test]
    fn damaged_files_are_named_and_an_empty_folder_is_no_store() {
        let store = Store::new(|_| {});
        store.write("site/accounts/acme/users/app.jwt", "eyJ.bad.jwt");
        assert!(store.blocking().join("\n").contains("user app: the user JWT cannot be read"));
        store.write("site/site.jwt", "nonsense");
        assert!(store.blocking().join("\n").contains("operator site: an operator JWT cannot be read"));
        let empty = tempfile::tempdir().unwrap();
        assert!(check(empty.path(), NOW, &mut Report::default()).is_err());
        assert!(check(&empty.path().join("no"), NOW, &mut Report::default()).is_err());
    }
}
