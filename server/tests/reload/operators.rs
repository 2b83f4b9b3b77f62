//! Operators, their keys and what they sign come and go.

use cordon_accounts::claims::{ExportKind, OperatorClaims};
use cordon_accounts::key::{OperatorKey, Role, Seed};
use cordon_auth::clock::Clock;

use crate::house::{Account, Got, TestUser, ask, connect_of, is_nobody};
use crate::site::Site;
use crate::support::Peer;

/// An operator and its key for signing accounts.
struct Operator {
    claims: OperatorClaims,
    seed: Seed,
    issued: i64,
}

impl Operator {
    fn new() -> Self {
        let seed = new_seed();
        Self { claims: OperatorClaims::new(key(&seed)), seed, issued: now() - 100 }
    }

    fn token(&self) -> String {
        self.claims.encode(&self.seed, self.issued).unwrap()
    }

    fn signs(&self, account: &Account) -> String {
        signed(&self.seed, account, 50)
    }
}

fn new_seed() -> Seed {
    Seed::generate(Role::Operator, &mut rand::rngs::OsRng)
}

fn key(seed: &Seed) -> OperatorKey {
    OperatorKey::try_from(seed.public()).unwrap()
}

fn now() -> i64 {
    Clock::system().unix_seconds()
}

/// The JWT of an account, issued so many seconds ago.
fn signed(signer: &Seed, account: &Account, ago: i64) -> String {
    account.claims.encode(signer, now() - ago).unwrap()
}

/// A configuration with these operators and account JWTs.
fn config(operators: &[&Operator], system: &Account, accounts: &[(&Account, String)], more: &str) -> String {
    let tokens: Vec<String> = operators.iter().map(|operator| operator.token()).collect();
    let preload: Vec<String> = accounts.iter().map(|(account, jwt)| format!("  {}: {jwt}\n", account.key())).collect();
    format!(
        "operators: [{}]\nsystem_account: {}\nresolver: MEMORY\nresolver_preload {{\n{}}}\n{more}",
        tokens.join(", "),
        system.key(),
        preload.concat()
    )
}

fn present(site: &Site, user: &TestUser) -> Peer {
    let mut peer = site.broker.raw();
    let connect = connect_of(&peer, user);
    peer.send(format!("{connect}PING\r\n"));
    peer
}

fn join(site: &Site, account: &Account) -> Peer {
    let mut peer = present(site, &account.user(|_| {}));
    peer.expect("PONG\r\n");
    peer
}

fn refused(site: &Site, account: &Account) {
    present(site, &account.user(|_| {})).expect_end("-ERR 'Authorization Violation'\r\n");
}

const ENDED: &str = "-ERR 'Account Authentication Expired'\r\n";

#[test]
fn accounts_of_a_removed_operator_are_cut_off_and_others_do_not_notice() {
    let (one, other) = (Operator::new(), Operator::new());
    let (system, a, b) = (Account::new("SYS"), Account::new("A"), Account::new("B"));
    let of_one = [(&system, one.signs(&system)), (&a, one.signs(&a))];
    let all = [of_one[0].clone(), of_one[1].clone(), (&b, other.signs(&b))];
    let both = config(&[&one, &other], &system, &all, "");
    let site = Site::start(&both);
    let (mut stays, mut goes) = (join(&site, &a), join(&site, &b));
    stays.exchange_only("SUB x 1\r\n", "");

    let changes = site.reloaded(&config(&[&one], &system, &of_one, ""));
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert!(changes.iter().any(|change| change.starts_with("operator `O") && change.ends_with("removed")));
    goes.expect_end(ENDED);
    refused(&site, &b);
    stays.exchange_only("PUB x 2\r\nhi\r\n", "MSG x 1 2\r\nhi\r\n");

    site.reloaded(&both);
    join(&site, &b).expect_nothing();
    stays.expect_nothing();
}

#[test]
fn an_operators_signing_keys_come_and_go() {
    let mut operator = Operator::new();
    let (system, a, b) = (Account::new("SYS"), Account::new("A"), Account::new("B"));
    let known = [(&system, operator.signs(&system)), (&a, operator.signs(&a))];
    let site = Site::start(&config(&[&operator], &system, &known, ""));
    let mut stays = join(&site, &a);
    let before = operator.token();

    let signer = new_seed();
    operator.claims.nats.signing_keys.push(key(&signer));
    let more = [known[0].clone(), known[1].clone(), (&b, signed(&signer, &b, 40))];
    site.reloaded(&config(&[&operator], &system, &more, ""));
    let mut of_signer = join(&site, &b);
    of_signer.expect_nothing();

    operator.claims.nats.signing_keys.clear();
    assert_eq!(operator.token(), before);
    let told = site.reload(&config(&[&operator], &system, &more, "")).unwrap_err().to_string();
    assert!(told.contains(&b.key().to_string()) && told.contains("no key of a trusted operator"), "{told}");
    of_signer.expect_nothing();
    site.reloaded(&config(&[&operator], &system, &known, ""));
    of_signer.expect_end(ENDED);
    refused(&site, &b);
    stays.expect_nothing();
}

#[test]
fn an_operator_that_becomes_strict_refuses_users_of_identity_keys() {
    let (mut operator, signer) = (Operator::new(), new_seed());
    operator.claims.nats.signing_keys.push(key(&signer));
    let (system, a) = (Account::new("SYS"), Account::new("A"));
    let known = [(&system, signed(&signer, &system, 50)), (&a, signed(&signer, &a, 50))];
    let site = Site::start(&config(&[&operator], &system, &known, ""));
    let mut of_identity = join(&site, &a);
    operator.claims.nats.strict_signing_key_usage = true;
    site.reloaded(&config(&[&operator], &system, &known, ""));
    of_identity.expect_end("");
    refused(&site, &a);
}

#[test]
fn the_operator_of_the_system_account_cannot_go() {
    let (one, other) = (Operator::new(), Operator::new());
    let (system, a) = (Account::new("SYS"), Account::new("A"));
    let of_other = [(&a, other.signs(&a))];
    let all = [(&system, one.signs(&system)), of_other[0].clone()];
    let site = Site::start(&config(&[&one, &other], &system, &all, ""));
    let mut peers = [join(&site, &system), join(&site, &a)];
    let told = site.reload(&config(&[&other], &system, &of_other, "")).unwrap_err().to_string();
    assert!(told.contains("the system account") && told.contains("would not be believed any more"), "{told}");
    let told = site.reload(&config(&[&one, &other], &a, &all, "")).unwrap_err().to_string();
    assert!(told.contains("config reload not supported for SystemAccount"), "{told}");
    for peer in &mut peers {
        peer.expect_nothing();
    }
}

#[test]
fn neither_operators_nor_a_resolver_come_or_go_altogether() {
    let operator = Operator::new();
    let system = Account::new("SYS");
    let known = [(&system, operator.signs(&system))];
    let text = config(&[&operator], &system, &known, "");
    let site = Site::start(&text);
    let mut peer = join(&site, &system);
    let told = site.reload("insecure_no_auth: true\n").unwrap_err().to_string();
    assert!(told.contains("config reload not supported for TrustedOperators"), "{told}");
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = format!("resolver {{ type: full, dir: \"{}\" }}\n", folder.path().join("jwt").display());
    let told = site.reload(&text.replace("resolver: MEMORY\n", &elsewhere)).unwrap_err().to_string();
    assert!(told.contains("config reload not supported for AccountResolver"), "{told}");
    peer.expect_nothing();
    assert!(!folder.path().join("jwt").exists());
}

#[test]
fn preloaded_accounts_change_come_and_go() {
    let operator = Operator::new();
    let (system, mut a, b) = (Account::new("SYS"), Account::new("A"), Account::new("B"));
    let head = (&system, operator.signs(&system));
    let site = Site::start(&config(&[&operator], &system, &[head.clone(), (&a, operator.signs(&a))], ""));
    let (mut first, mut second) = (join(&site, &a), join(&site, &a));

    let key_of_a = a.key();
    a.claims.nats.limits.conn = cordon_accounts::limits::Limit(1);
    let renewed = signed(&operator.seed, &a, 10);
    let with_b = [head.clone(), (&a, renewed.clone()), (&b, operator.signs(&b))];
    let changes = site.reloaded(&config(&[&operator], &system, &with_b, ""));
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert!(changes.iter().any(|change| change.contains(&key_of_a.to_string())));
    second.expect_end("-ERR 'maximum account active connections exceeded'\r\n");
    first.expect_nothing();
    let mut of_b = join(&site, &b);

    site.reloaded(&config(&[&operator], &system, &[head, (&a, renewed)], ""));
    of_b.expect_end(ENDED);
    refused(&site, &b);
    first.expect_nothing();
}

#[test]
fn imports_wait_for_an_exporter_whose_operator_comes() {
    let (one, other) = (Operator::new(), Operator::new());
    let exporter = Account::new("E").exporting(ExportKind::Service, "help");
    let importer = Account::new("I").importing(ExportKind::Service, &exporter, "help", "");
    let system = Account::new("SYS");
    let known = [(&system, one.signs(&system)), (&importer, one.signs(&importer))];
    let site = Site::start(&config(&[&one], &system, &known, ""));
    let mut asker = join(&site, &importer);
    assert!(is_nobody(&ask(&mut asker, "help", "")));

    let all = [known[0].clone(), known[1].clone(), (&exporter, other.signs(&exporter))];
    site.reloaded(&config(&[&one, &other], &system, &all, ""));
    let mut helper = join(&site, &exporter);
    helper.exchange_only("SUB help 1\r\n", "");
    asker.send("SUB in 1\r\nPUB help in 2\r\nhi\r\n");
    assert_eq!(Got::next(&mut helper).body, "hi");
    asker.expect_nothing();
    site.reloaded(&config(&[&one], &system, &known, ""));
    helper.rest();
    assert!(is_nobody(&ask(&mut asker, "help", "")));
}

#[test]
fn accounts_that_are_not_pinned_any_more_lose_their_connections() {
    let operator = Operator::new();
    let (system, a, b) = (Account::new("SYS"), Account::new("A"), Account::new("B"));
    let known = [(&system, operator.signs(&system)), (&a, operator.signs(&a)), (&b, operator.signs(&b))];
    let text = |more: &str| config(&[&operator], &system, &known, more);
    let site = Site::start(&text(""));
    let (mut of_a, mut of_b, mut of_system) = (join(&site, &a), join(&site, &b), join(&site, &system));
    site.reloaded(&text(&format!("resolver_pinned_accounts: [{}]\n", a.key())));
    of_b.expect_end("-ERR 'Authorization Violation'\r\n");
    refused(&site, &b);
    of_a.expect_nothing();
    of_system.expect_nothing();
    site.reloaded(&text(""));
    join(&site, &b).expect_nothing();
}

#[test]
fn what_others_changed_in_the_resolvers_folder_counts_from_the_reload_on() {
    let operator = Operator::new();
    let (system, mut a, b) = (Account::new("SYS"), Account::new("A"), Account::new("B"));
    let folder = tempfile::tempdir().unwrap();
    let file = |account: &Account| folder.path().join(format!("{}.jwt", account.key()));
    for account in [&a, &b] {
        std::fs::write(file(account), operator.signs(account)).unwrap();
    }
    let text = config(&[&operator], &system, &[(&system, operator.signs(&system))], "")
        .replace("resolver: MEMORY\n", &format!("resolver {{ type: full, dir: \"{}\" }}\n", folder.path().display()));
    let site = Site::start(&text);
    let (mut first, mut second, mut of_b) = (join(&site, &a), join(&site, &a), join(&site, &b));
    let new = Account::new("N");
    a.claims.nats.limits.conn = cordon_accounts::limits::Limit(1);
    std::fs::write(file(&a), signed(&operator.seed, &a, 10)).unwrap();
    std::fs::write(file(&new), operator.signs(&new)).unwrap();
    std::fs::remove_file(file(&b)).unwrap();
    site.reloaded(&text);
    second.expect_end("-ERR 'maximum account active connections exceeded'\r\n");
    of_b.expect_end(ENDED);
    refused(&site, &b);
    join(&site, &new).expect_nothing();
    first.expect_nothing();
}
