//! Shows that every check holds on every way in: the cells of the table in `docs/ways-in.md`, generated and run against
//! the broker's binary; and that the table is all there is.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a story: what fails here is its failure")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cordon_tests::ways::drive::{self, Outcome};
use cordon_tests::ways::site::Extra;
use cordon_tests::ways::table::{cells, controls, markdown};
use cordon_tests::ways::{Check, Group, Scene, Site, Way, When};
use futures_util::StreamExt as _;

/// Cells that run at the same time. Some wait for a second to pass.
const AT_ONCE: usize = 16;

/// As [`AT_ONCE`], of cells that start a broker, or wait until nothing else is changing.
const FEW_AT_ONCE: usize = 4;

/// Runs each cell in a task of its own, so that all that fail are named.
async fn all<C, F: Future<Output = Result<(), String>> + 'static>(
    what: &str,
    at_once: usize,
    cells: Vec<C>,
    name: impl Fn(&C) -> String,
    run: impl Fn(C) -> F,
) {
    let count = cells.len();
    let running = cells.into_iter().map(|cell| {
        let (name, running) = (name(&cell), run(cell));
        async move {
            match tokio::task::spawn_local(running).await {
                Ok(Ok(())) => None,
                Ok(Err(told)) => Some(format!("{name}: {told}")),
                Err(panicked) => Some(format!("{name}: {panicked}")),
            }
        }
    });
    let running = futures_util::stream::iter(running).buffer_unordered(at_once).filter_map(std::future::ready);
    let mut failed: Vec<String> = tokio::task::LocalSet::new().run_until(running.collect()).await;
    failed.sort();
    assert!(count > 0, "no cells of {what}");
    assert!(failed.is_empty(), "{} of {count} cells of {what}:\n{}", failed.len(), failed.join("\n"));
}

fn name((way, check): (Way, Check)) -> String {
    format!("{} x {}", way.title(), check.title())
}

fn same(what: &str, got: &Outcome, expected: &Outcome) -> Result<(), String> {
    if got == expected { Ok(()) } else { Err(format!("{what}: got {got:?}, expected {expected:?}")) }
}

/// The site of a scene: the shared one, or its own where the broker itself must be another.
async fn site_of(shared: &Arc<Site>, scene: &mut Scene, check: Check) -> Arc<Site> {
    let of_system = scene.way == Way::SystemRequest;
    let alters_account = matches!(
        check,
        Check::AccountPayload
            | Check::AccountSubscriptions
            | Check::AccountConnections
            | Check::DefaultPermissions
            | Check::UserRevoked
            | Check::EverybodyRevoked
            | Check::ReceiverRevoked
            | Check::SigningKeyRemoved
    );
    if scene.way == Way::Sentinel || (of_system && alters_account) {
        let site = Arc::new(drive::own_site(scene, check).await);
        if !of_system {
            site.push(scene).await;
        }
        return site;
    }
    if of_system {
        scene.home = shared.system();
    } else {
        shared.push(scene).await;
    }
    shared.clone()
}

/// The scene of a cell without its check.
async fn unhindered(shared: Arc<Site>, way: Way, check: Check) -> Result<(), String> {
    let mut scene = check.scene(way);
    drive::cast(&mut scene, Some(check), Way::Creds);
    let site = site_of(&shared, &mut scene, check).await;
    same("without any check", &drive::once(&site, &scene, true).await, &Outcome::passed())
}

async fn under_an_operator(shared: Arc<Site>, way: Way, check: Check) -> Result<(), String> {
    if check.when() == When::ByItself {
        // On a slow machine the time may be over before the first message has passed.
        for lifetime in [3, 6, 12] {
            let told = when_it_comes(shared.clone(), way, check, lifetime).await;
            if !told.as_ref().is_err_and(|told| told.starts_with("before the check came")) {
                return told;
            }
        }
    }
    if check.when() != When::Before {
        return when_it_comes(shared, way, check, 24).await;
    }
    let mut scene = check.scene(way);
    let refused = check.bar(&mut scene);
    drive::cast(&mut scene, Some(check), Way::Creds);
    let site = site_of(&shared, &mut scene, check).await;
    same("with the check", &drive::once(&site, &scene, false).await, &drive::expected(&scene, &refused))
}

async fn when_it_comes(shared: Arc<Site>, way: Way, check: Check, lifetime: i64) -> Result<(), String> {
    let mut scene = check.scene(way);
    scene.lifetime = lifetime;
    if check.when() == When::ByItself {
        let _ends_by_itself = check.bar(&mut scene);
    }
    drive::cast(&mut scene, Some(check), Way::Creds);
    let site = site_of(&shared, &mut scene, check).await;
    let (got, refused) = drive::live(&site, &mut scene, check).await?;
    same("when the check has come", &got, &drive::expected(&scene, &refused))
}

/// All cells of a group under an operator, their controls first.
async fn whole(what: &str, group: Group) {
    let site = Arc::new(Site::operator(Extra::default()).await);
    let cells = cells(group);
    all(
        &format!("free {what}"),
        AT_ONCE,
        controls(&cells),
        |cell| name(*cell),
        |(way, check)| unhindered(site.clone(), way, check),
    )
    .await;
    all(what, AT_ONCE, cells, |cell| name(*cell), |(way, check)| under_an_operator(site.clone(), way, check)).await;
}

#[tokio::test]
async fn every_check_holds_for_messages_on_every_way() {
    whole("messages", Group::Message).await;
}

#[tokio::test]
async fn every_check_holds_for_every_identity_under_an_operator() {
    whole("identities", Group::Identity).await;
}

#[tokio::test]
async fn every_check_holds_for_users_that_the_api_makes() {
    let site = Arc::new(Site::api().await);
    let cells = cells(Group::Api);
    all(
        "free users of the API",
        FEW_AT_ONCE,
        controls(&cells),
        |cell| name(*cell),
        |(way, check)| unhindered(site.clone(), way, check),
    )
    .await;
    all(
        "users of the API",
        FEW_AT_ONCE,
        cells,
        |cell| name(*cell),
        |(way, check)| under_an_operator(site.clone(), way, check),
    )
    .await;
}

/// The scene of a cell of the configuration, without its check or with it, and what must come of it.
fn staged((way, check): (Way, Check), control: bool) -> (Check, Scene, Outcome) {
    if control {
        let mut free = check.scene(way);
        drive::cast(&mut free, Some(check), Way::Password);
        return (check, free, Outcome::passed());
    }
    let mut barred = check.scene(way);
    let refused = check.bar(&mut barred);
    drive::cast(&mut barred, Some(check), Way::Password);
    let expected = drive::expected(&barred, &refused);
    (check, barred, expected)
}

#[tokio::test]
async fn every_check_holds_for_every_identity_of_the_configuration() {
    let shared = [Way::Password, Way::Nkey, Way::Certificate];
    let cells = cells(Group::Configured);
    let mut scenes: Vec<_> = controls(&cells).into_iter().map(|cell| staged(cell, true)).collect();
    scenes.extend(cells.into_iter().map(|cell| staged(cell, false)));
    let label = |(check, scene, _): &(Check, Scene, Outcome)| name((scene.way, *check));
    for way in shared {
        let (of_way, others) = scenes.into_iter().partition::<Vec<_>, _>(|(_, scene, _)| scene.way == way);
        scenes = others;
        let site = Arc::new(Site::configured(&of_way.iter().map(|(_, scene, _)| scene).collect::<Vec<_>>()).await);
        all("configured users", AT_ONCE, of_way, label, |(check, scene, expected)| {
            let (site, mut scene) = (site.clone(), scene);
            async move { configured(&site, &mut scene, check, &expected).await }
        })
        .await;
    }
    all("stand-ins", FEW_AT_ONCE, scenes, label, |(check, scene, expected)| async move {
        let mut scene = scene;
        let site = Site::configured(&[&scene]).await;
        configured(&site, &mut scene, check, &expected).await
    })
    .await;
}

async fn configured(site: &Site, scene: &mut Scene, check: Check, expected: &Outcome) -> Result<(), String> {
    let passes = *expected == Outcome::passed();
    let got = if check.when() == When::Live && !passes {
        drive::live(site, scene, check).await?.0
    } else {
        drive::once(site, scene, passes).await
    };
    same(if passes { "without the check" } else { "with the check" }, &got, expected)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn the_page_is_what_is_tested() {
    let path = root().join("docs/ways-in.md");
    if std::env::var_os("CORDON_WRITE_DOCS").is_some() {
        fs::write(&path, markdown()).unwrap();
    }
    let page = fs::read_to_string(&path).unwrap_or_default();
    assert!(page == markdown(), "docs/ways-in.md is not what is tested: write it with CORDON_WRITE_DOCS=1");
}

/// Variants of an enum, by its source.
fn variants(file: &str, name: &str) -> Vec<String> {
    let source = fs::read_to_string(root().join(file)).unwrap();
    let from = source.split_once(&format!("enum {name}")).expect(name).1;
    let body = from.split_once("\n}").unwrap().0;
    let variant = |line: &str| {
        let word: String = line.strip_prefix("    ")?.chars().take_while(|letter| letter.is_alphanumeric()).collect();
        word.starts_with(char::is_uppercase).then(|| format!("{name}::{word}"))
    };
    body.lines().filter_map(variant).collect()
}

#[test]
fn everything_that_lets_somebody_or_something_in_has_a_row() {
    let mut product = variants("auth-service/src/proof.rs", "ConnectionType");
    product.extend(variants("auth-service/src/principal.rs", "Method"));
    product.extend(variants("server/src/protocol/frame.rs", "Frame"));
    let border = fs::read_to_string(root().join("server/src/border/system.rs")).unwrap();
    let services = border.split_once("const SERVICES").unwrap().1.split_once("];").unwrap().0;
    product.extend(
        services.split('"').filter(|text| text.starts_with("$SYS.REQ.") && !text.contains("{}")).map(str::to_owned),
    );
    assert!(product.len() > 20, "{product:?}");
    let rows: Vec<&str> = Way::ALL.iter().flat_map(|way| way.covers()).copied().collect();
    for found in &product {
        assert!(rows.contains(&found.as_str()), "`{found}` has no row: add one to `Way`, with its cells");
    }
    for row in rows {
        assert!(product.iter().any(|found| found == row), "`{row}` of the table is not in the product");
    }
}

#[tokio::test]
async fn ways_that_are_not_there_yet_open_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for way in Way::ALL {
        let Group::Absent(option) = way.group() else { continue };
        let config = format!("listen: \"127.0.0.1:-1\"\ninsecure_no_auth: true\n{option}\n");
        fs::write(folder.path().join("broker.conf"), config).unwrap();
        let done = cordon_tests::process::run(folder.path(), ["broker", "-c", "broker.conf", "-t"]).await;
        // What nats-server knows is read, so that its files work, and named as not acted on.
        assert!(
            !done.status.success() || done.stderr.contains("not acted on"),
            "`{option}` is taken: {} is a way now, and its cells have to be tests",
            way.title()
        );
        let word = option.split([' ', '{']).next().unwrap();
        assert!(done.stderr.contains(word), "{option}: {}", done.stderr);
    }
}

#[test]
fn the_lists_are_whole() {
    let of = |names: Vec<String>, listed: usize| assert_eq!(names.len(), listed, "{names:?}");
    of(variants("tests/src/ways/way.rs", "Way"), Way::ALL.len());
    of(variants("tests/src/ways/check.rs", "Check"), Check::ALL.len());
    for way in Way::ALL {
        assert_eq!(Way::ALL.iter().filter(|other| **other == way).count(), 1, "{way:?}");
    }
}

#[test]
fn tests_that_rows_name_exist() {
    let sources = cordon_tests::sources::all();
    for way in Way::ALL {
        if let Group::Elsewhere(test) = way.group() {
            assert!(sources.has_test(test), "no test is called `{test}`");
        }
    }
    assert!(!sources.has_test(concat!("no_test_has", "_this_name")));
}
