//! Cycles, what only looks like one, and topologies made to cost time.

use super::*;

#[test]
fn cycles_of_every_length_are_refused_for_both_kinds() {
    for kind in [SERVICE, STREAM] {
        for length in 1..=4 {
            let names: Vec<String> = (0..length).map(|n| format!("N{n}")).collect();
            for (remote, local) in [("help", ""), ("help.*", "help.*"), ("a.>", "a.>")] {
                let accounts = world(
                    (0..length)
                        .map(|n| {
                            let next = names[(n + 1) % length].as_str();
                            // A harmless import before and after the one on the cycle.
                            account(
                                &names[n],
                                &[(kind, ">", Access::Public)],
                                &[(kind, "D", "d", "d"), (kind, next, remote, local), (kind, "D", "e", "e")],
                            )
                        })
                        .chain([account("D", &[(kind, ">", Access::Public)], &[])]),
                );
                for name in &names {
                    let resolution = resolved(&accounts, &name.as_str().into(), NOW);
                    assert_eq!(reasons(&resolution), [Reason::ImportCycle], "{kind} {length} {remote}");
                    assert_eq!((resolution.refused[0].index, resolution.crossings.len()), (1, 2));
                }
            }
        }
    }
}

#[test]
fn a_cycle_is_told_by_the_accounts_on_it() {
    let accounts = world(["A", "B"].map(|name| {
        let other = if name == "A" { "B" } else { "A" };
        account(name, &[(SERVICE, "x", Access::Public)], &[(SERVICE, other, "x", "")])
    }));
    let refused = resolved(&accounts, &"A".into(), NOW).refused;
    let text = &refused[0].text;
    assert!(text.contains("`A` -> `B` (x) -> `A` (x)"), "{text}");
}

#[test]
fn sharing_that_only_looks_like_a_cycle_stands() {
    let public = |subject: &'static str| [(SERVICE, subject, Access::Public)];
    // Mutual services; a diamond; the account's own export; two kinds that do not meet.
    let accounts = world([
        account(
            "A",
            &public("a.>"),
            &[(SERVICE, "B", "b.x", ""), (SERVICE, "C", "b.y", ""), (SERVICE, "A", "a.x", "own.x")],
        ),
        account("B", &public("b.>"), &[(SERVICE, "A", "a.x", ""), (SERVICE, "D", "d.x", "b.x")]),
        account("C", &public("b.>"), &[(SERVICE, "D", "d.x", "b.y")]),
        account("D", &public("d.>"), &[]),
        account("S", &[(SERVICE, "x", Access::Public), (STREAM, "x", Access::Public)], &[(STREAM, "T", "x", "")]),
        account("T", &[(SERVICE, "x", Access::Public), (STREAM, "x", Access::Public)], &[(SERVICE, "S", "x", "")]),
    ]);
    for name in accounts.keys() {
        assert_eq!(reasons(&resolved(&accounts, name, NOW)), [], "{name}");
    }
}

#[test]
fn an_import_that_does_not_hold_closes_no_cycle() {
    let accounts = world([
        account("A", &[(SERVICE, "x", approved(&["Z"]))], &[(SERVICE, "B", "x", "")]),
        account("B", &[(SERVICE, "x", Access::Public)], &[(SERVICE, "A", "x", "")]),
    ]);
    assert_eq!(reasons(&resolved(&accounts, &"A".into(), NOW)), []);
    assert_eq!(reasons(&resolved(&accounts, &"B".into(), NOW)), [Reason::ImportNotAuthorized]);
}

#[test]
fn an_account_may_import_its_own_export_but_not_onto_itself() {
    for (remote, local, cyclic) in
        [("x", "", true), (">", "own.>", true), ("a.*", "a.*", true), ("a.*", "b.*", false), ("*.b", "*.a", false)]
    {
        let imports = [(STREAM, "A", remote, local)];
        let accounts = world([account("A", &[(STREAM, ">", Access::Public)], &imports)]);
        let refused = reasons(&resolved(&accounts, &"A".into(), NOW));
        assert_eq!(refused == [Reason::ImportCycle], cyclic, "{remote} {local}");
    }
}

#[test]
fn a_chain_of_too_many_accounts_is_refused() {
    let chain = |length: usize| {
        let accounts = world((0..=length).map(|n| {
            let imports = [(SERVICE, format!("N{}", n + 1))];
            let imports: Vec<_> =
                imports.iter().filter(|_| n < length).map(|(k, e)| (*k, e.as_str(), "x", "")).collect();
            account(&format!("N{n}"), &[(SERVICE, "x", Access::Public)], &imports)
        }));
        reasons(&resolved(&accounts, &"N0".into(), NOW))
    };
    assert_eq!(chain(1024), []);
    for length in [1025, 1026] {
        assert_eq!(chain(length), [Reason::ImportCycle], "{length}");
    }
}

#[test]
fn branches_without_end_are_given_up_and_refused() {
    // At each account one more token is told apart, so the sets of subjects double from one to the next.
    let depth = 16;
    let with = |at: usize, token: &str| {
        let tokens: Vec<&str> = (0..depth).map(|n| if n == at { token } else { "*" }).collect();
        tokens.join(".")
    };
    let exports = [(SERVICE, ">", Access::Public)];
    let accounts = world((0..=depth).map(|n| {
        let next = format!("N{}", n + 1);
        let names = if n < depth { [with(n, "a"), with(n, "b")].to_vec() } else { vec![] };
        let imports: Vec<_> = names.iter().map(|subject| (SERVICE, next.as_str(), subject.as_str(), "")).collect();
        account(&format!("N{n}"), &exports, &imports)
    }));
    let resolution = resolved(&accounts, &"N0".into(), NOW);
    assert_eq!(reasons(&resolution), [Reason::ImportCycle; 2]);
    assert!(resolution.refused[0].text.contains("branch too far"), "{:?}", resolution.refused);
    assert_eq!(reasons(&resolved(&accounts, &"N10".into(), NOW)), []);
}
