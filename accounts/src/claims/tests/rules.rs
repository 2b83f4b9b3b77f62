//! What validation finds, and how bad it says it is.

use std::collections::BTreeMap;

use super::*;
use crate::limits::{Limit, SHARES_MAX};

fn acme() -> AccountClaims {
    let mut claims = AccountClaims::new(account_key(2));
    claims.issuer = operator().public();
    claims
}

fn service(subject: &str) -> Export {
    Export::new(ExportKind::Service, subject)
}

fn stream(subject: &str) -> Export {
    Export::new(ExportKind::Stream, subject)
}

fn import(kind: ExportKind, subject: &str, local: &str) -> Import {
    let mut import = Import::new(kind, account_key(4), subject);
    local.clone_into(&mut import.local_subject);
    import
}

#[track_caller]
fn accepts(case: &str, change: impl FnOnce(&mut Account)) {
    let mut claims = acme();
    change(&mut claims.nats);
    let found = claims.validate(NOW);
    assert!(found.require_clean().is_ok(), "{case}: {found:?}");
}

#[track_caller]
fn refuses(case: &str, change: impl FnOnce(&mut Account)) {
    let mut claims = acme();
    change(&mut claims.nats);
    assert!(claims.validate(NOW).require_no_blocking().is_err(), "{case}");
}

#[track_caller]
fn warns(case: &str, change: impl FnOnce(&mut Account)) {
    let mut claims = acme();
    change(&mut claims.nats);
    let found = claims.validate(NOW);
    assert!(found.require_valid().is_ok(), "{case}: {found:?}");
    assert!(found.require_clean().is_err(), "{case}");
}

#[test]
fn times_are_a_severity_of_their_own_with_open_ends() {
    let table = [
        (0, 0, true),
        (NOW, 0, true),
        (NOW - 1, 0, false),
        (NOW + 1, 0, true),
        (0, NOW, true),
        (0, NOW + 1, false),
        (0, NOW - 1, true),
        (-5, -5, true),
    ];
    for (expires, not_before, valid) in table {
        let mut claims = UserClaims::new(user_key(3));
        (claims.expires, claims.not_before) = (expires, not_before);
        let found = claims.validate(NOW);
        assert_eq!(found.require_valid().is_ok(), valid, "{expires} {not_before}");
        assert_eq!(found.is_only_time(), !valid);
        assert!(found.require_no_blocking().is_ok());
        assert!(claims.validate_content().require_clean().is_ok());
    }
}

#[test]
fn limits_on_the_number_of_shares_are_kept() {
    accepts("as many as allowed", |a| {
        a.limits.exports = Limit(1);
        a.exports = vec![service("a.*")];
    });
    refuses("one export too many", |a| {
        a.limits.exports = Limit(1);
        a.exports = vec![service("a"), service("b")];
    });
    refuses("one import too many", |a| {
        a.limits.imports = Limit(0);
        a.imports = vec![import(ExportKind::Stream, "a", "")];
    });
    refuses("wildcard export", |a| {
        (a.limits.exports, a.limits.wildcards) = (Limit(5), false);
        a.exports = vec![service("a.*")];
    });
    accepts("wildcards count only when exports are limited", |a| {
        a.limits.wildcards = false;
        a.exports = vec![service("a.*")];
    });
    refuses("a meaningless limit", |a| a.limits.conn = Limit(-2));
    refuses("a meaningless limit", |a| a.limits.subs = Limit(i64::MIN));
}

/// What validation says of an account, all of it.
fn said(change: impl FnOnce(&mut Account)) -> String {
    let mut claims = acme();
    change(&mut claims.nats);
    claims.validate(NOW).require_clean().err().map(|invalid| invalid.to_string()).unwrap_or_default()
}

#[test]
fn as_many_shares_as_can_be_compared_and_not_one_more() {
    let streams = |count: usize| (0..count).map(|n| import(ExportKind::Stream, &format!("s.{n}"), "")).collect();
    for (count, refused) in [(SHARES_MAX, false), (SHARES_MAX + 1, true), (SHARES_MAX + 2, true)] {
        // Alike on purpose: those that can be compared are refused one by one.
        let exports = said(|a| a.exports = vec![service("a"); count]);
        assert_eq!(exports.contains("exports cannot be checked"), refused, "{count}");
        let imports = said(|a| a.imports = streams(count));
        assert_eq!(imports.contains("imports cannot be checked"), refused, "{count}");
    }
}

#[test]
fn what_is_wrong_is_said_in_full() {
    let two = said(|a| {
        a.cluster_traffic = "nobody".to_owned();
        a.default_permissions.publish.allow = vec![" ".to_owned()];
    });
    assert!(two.contains("; ") && !two.starts_with("; "), "{two}");
    assert!(two.contains("an entry is empty") && two.contains("`nobody`"), "{two}");
    let mut activation = ActivationClaims::new(account_key(2), ExportKind::Stream, "s..x");
    activation.nats.issuer_account = Some(account_key(4));
    assert!(activation.validate_content().require_no_blocking().is_err());
    let token = activation.encode(&seed(Role::Account, 4), NOW).unwrap();
    let nested = said(|a| {
        let mut import = import(ExportKind::Stream, "s.x", "");
        import.token = token;
        a.imports = vec![import];
    });
    assert!(nested.contains("activation: `subject`"), "{nested}");
    assert!(nested.starts_with("stream import `s.x`"), "{nested}");
}

#[test]
fn descriptions_and_urls_have_a_greatest_length() {
    use crate::limits::INFO_BYTES_MAX;
    let url = |length: usize| format!("https://h/{}", "x".repeat(length - "https://h/".len()));
    accepts("the longest", |a| (a.description, a.info_url) = ("d".repeat(INFO_BYTES_MAX), url(INFO_BYTES_MAX)));
    refuses("a longer description", |a| a.description = "d".repeat(INFO_BYTES_MAX + 1));
    refuses("a longer URL", |a| a.info_url = url(INFO_BYTES_MAX + 1));
}

#[test]
fn a_reference_is_a_dollar_and_digits() {
    for (subject, local, fine) in [
        ("a.*", "b.$1", true),
        ("a.*", "b.$", false),
        ("a.*", "b.$.$1", true),
        ("a.*", "b.$x.$1", true),
        ("a.*", "b.$1x.$1", true),
        ("a.*", "b.$1x", false),
        ("a.$.*", "b.$1", true),
    ] {
        let change = |a: &mut Account| a.imports = vec![import(ExportKind::Stream, subject, local)];
        assert_eq!(said(change).is_empty(), fine, "{subject} {local}: {}", said(change));
    }
}

#[test]
fn limits_say_what_they_bound() {
    let mut limits = AccountLimits::unlimited();
    (limits.subs, limits.payload) = (7.into(), Limit(9));
    let connection = limits.connection();
    assert_eq!((connection.subscriptions, connection.payload), (Some(7), Some(9)));
    for (memory, disk, enabled) in [(0, 0, false), (1, 0, true), (0, -1, true), (1, 1, true)] {
        let flat =
            JetStreamLimits { mem_storage: Limit(memory), disk_storage: Limit(disk), ..JetStreamLimits::default() };
        assert_eq!(flat.is_enabled(), enabled, "{memory} {disk}");
        limits.tiered_limits = BTreeMap::from([("R1".to_owned(), flat)]);
        assert_eq!(limits.jetstream_enabled(), enabled, "{memory} {disk}");
    }
}

#[test]
fn a_callout_service_puts_users_only_where_it_may() {
    let allows = |allowed: &[&str], account: u8| {
        let allowed_accounts = allowed.iter().map(|name| (*name).to_owned()).collect();
        ExternalAuthorization { allowed_accounts, ..ExternalAuthorization::default() }.allows(&account_key(account))
    };
    let key = account_key(5).to_string();
    assert!(allows(&["*"], 6) && allows(&[&key], 5));
    assert!(!allows(&[], 5) && !allows(&[&key], 6) && !allows(&["?"], 5));
}

#[test]
fn claims_without_a_start_hold_at_any_time() {
    assert!(UserClaims::new(user_key(3)).validate(-1).require_clean().is_ok());
}

#[test]
fn an_import_names_its_subjects_by_kind() {
    for (kind, to, local_subject, remote, local) in [
        (ExportKind::Service, "", "", "s", "s"),
        (ExportKind::Service, "to", "", "to", "s"),
        (ExportKind::Service, "", "mine", "s", "mine"),
        (ExportKind::Stream, "", "", "s", "s"),
        (ExportKind::Stream, "to", "", "s", "to.s"),
        (ExportKind::Stream, "to.", "", "s", "to.s"),
        (ExportKind::Stream, "", "mine", "s", "mine"),
    ] {
        let mut import = import(kind, "s", local_subject);
        to.clone_into(&mut import.to);
        assert_eq!((import.remote(), &*import.local()), (remote, local), "{kind} {to} {local_subject}");
    }
}

#[test]
fn permissions_are_empty_when_nothing_is_said() {
    assert!(PermissionsClaim::default().is_empty());
    let list = SubjectsClaim { deny: vec!["a".to_owned()], ..SubjectsClaim::default() };
    assert!(!PermissionsClaim { publish: list.clone(), ..PermissionsClaim::default() }.is_empty());
    assert!(!PermissionsClaim { subscribe: list, ..PermissionsClaim::default() }.is_empty());
    let response = Some(ResponseClaim::default());
    assert!(!PermissionsClaim { response, ..PermissionsClaim::default() }.is_empty());
}

#[test]
fn jetstream_is_flat_or_tiered() {
    let some = JetStreamLimits { mem_storage: Limit(1), ..JetStreamLimits::default() };
    accepts("flat", |a| a.limits.jetstream = some);
    accepts("tiered", |a| {
        a.limits.tiered_limits = BTreeMap::from([("R1".to_owned(), some)]);
    });
    refuses("both", |a| {
        a.limits.jetstream = some;
        a.limits.tiered_limits = BTreeMap::from([("R1".to_owned(), some)]);
    });
    refuses("no name", |a| {
        a.limits.tiered_limits = BTreeMap::from([(String::new(), some)]);
    });
    // Both at once are read as tiers alone.
    let mut claims = acme();
    claims.nats.limits.jetstream = some;
    claims.nats.limits.tiered_limits = BTreeMap::from([("R1".to_owned(), some)]);
    let read = decode::<Account>(&claims.encode(&operator(), NOW).unwrap()).unwrap();
    assert_eq!(read.nats.limits.jetstream, JetStreamLimits::default());
    assert_eq!(read.nats.limits.tiered_limits.len(), 1);
}

#[test]
fn exports_of_one_kind_may_not_cover_each_other() {
    for (one, two, fine) in [
        ("a", "b", true),
        ("a", "a", false),
        ("a.*", "a.b", false),
        ("a.b", "a.>", false),
        ("a.*", "*.b", true),
        ("a.*", "a.*.c", true),
    ] {
        let exports = vec![service(one), service(two)];
        if fine {
            accepts(one, |a| a.exports = exports);
        } else {
            refuses(one, |a| a.exports = exports);
        }
    }
    accepts("another kind", |a| {
        a.exports = vec![service("a"), stream("a")];
    });
}

type Change = fn(&mut Export);

#[test]
fn members_of_exports_fit_their_kind() {
    let bad: [(&str, Change); 14] = [
        ("empty subject", |e| e.subject = String::new()),
        ("space", |e| e.subject = "a b".to_owned()),
        ("empty token", |e| e.subject = "a..b".to_owned()),
        ("tail in the middle", |e| e.subject = "a.>.b".to_owned()),
        ("position of a literal", |e| e.account_token_position = 1),
        ("position past the end", |e| e.account_token_position = 3),
        ("position of nothing", |e| {
            e.account_token_position = u32::MAX;
        }),
        ("negative threshold", |e| e.response_threshold = -1),
        ("long text", |e| e.description = "x".repeat(9000)),
        ("long URL", |e| {
            e.info_url = format!("https://h/{}", "x".repeat(9000));
        }),
        ("no host", |e| e.info_url = "https://".to_owned()),
        ("no scheme", |e| e.info_url = "h/x".to_owned()),
        ("stream with a response type", |e| {
            (e.kind, e.response_type) = (ExportKind::Stream, ResponseType::Stream);
        }),
        ("stream with trace", |e| {
            (e.kind, e.allow_trace) = (ExportKind::Stream, true);
        }),
    ];
    for (case, change) in bad {
        refuses(case, |a| {
            let mut export = service("a.*");
            change(&mut export);
            a.exports = vec![export];
        });
    }
}

#[test]
fn latency_is_sampled_for_services_to_one_subject() {
    let latency = |sampling, results: &str| Some(ServiceLatency { sampling, results: results.to_owned() });
    for (case, kind, latency) in [
        ("0 %", ExportKind::Service, latency(Sampling::Percent(0), "r")),
        ("101 %", ExportKind::Service, latency(Sampling::Percent(101), "r")),
        ("negative", ExportKind::Service, latency(Sampling::Percent(-1), "r")),
        ("wildcard", ExportKind::Service, latency(Sampling::Headers, "r.*")),
        ("nowhere", ExportKind::Service, latency(Sampling::Headers, "")),
        ("stream", ExportKind::Stream, latency(Sampling::Headers, "r")),
    ] {
        refuses(case, |a| {
            let mut export = Export::new(kind, "a");
            export.latency = latency;
            a.exports = vec![export];
        });
    }
    accepts("everything right", |a| {
        let mut export = service("a.*");
        export.account_token_position = 2;
        export.response_type = ResponseType::Stream;
        export.response_threshold = 5;
        export.latency = latency(Sampling::Percent(100), "r");
        export.allow_trace = true;
        export.info_url = "https://h.example/x".to_owned();
        a.exports = vec![export];
    });
}

#[test]
fn local_subjects_use_each_wildcard() {
    let table = [
        ("a", "b", true),
        ("a.*", "b.$1", true),
        ("a.*", "b.*", true),
        ("q.*.*", "my.$2.$1", true),
        ("a.>", "b.>", true),
        (">", "b.>", true),
        ("a.*.>", "$1.b.>", true),
        ("a.>", "b", false),
        ("a", "b.>", false),
        ("a.*", "b", false),
        ("a.*", "b.$2", false),
        ("a.*", "b.$0", false),
        ("a.*", "b.$1.$1", false),
        ("a.*", "b.$99999999999999999999", false),
        ("a.*.*", "b.$1", false),
        ("a", "b c", false),
        ("a", ".b", false),
    ];
    for kind in [ExportKind::Stream, ExportKind::Service] {
        for (subject, local, fine) in table {
            let imports = vec![import(kind, subject, local)];
            if fine {
                accepts(local, |a| a.imports = imports);
            } else {
                refuses(local, |a| a.imports = imports);
            }
        }
    }
}

#[test]
fn members_of_imports_fit_their_kind() {
    refuses("share of a stream", |a| {
        a.imports = vec![import(ExportKind::Stream, "a", "")];
        a.imports[0].share = true;
    });
    refuses("trace of a service", |a| {
        a.imports = vec![import(ExportKind::Service, "a", "")];
        a.imports[0].allow_trace = true;
    });
    refuses("both ways to say local", |a| {
        a.imports = vec![import(ExportKind::Stream, "a", "b")];
        a.imports[0].to = "c".to_owned();
    });
    warns("deprecated", |a| {
        a.imports = vec![import(ExportKind::Stream, "a", "")];
        a.imports[0].to = "c".to_owned();
    });
    for (one, two, fine) in [("a", "b", true), ("a", "a", false), ("a.*", "a.b", false)] {
        let kind = ExportKind::Service;
        let imports = vec![import(kind, "x.*", ""), import(kind, one, ""), import(kind, two, "")];
        if fine {
            accepts(two, |a| a.imports = imports.clone());
        } else {
            refuses(two, |a| a.imports = imports.clone());
        }
        accepts("another exporter", |a| {
            a.imports = imports[..2].to_vec();
            a.imports[1].account = account_key(5);
        });
    }
    refuses("the same after renaming", |a| {
        let kind = ExportKind::Service;
        a.imports = vec![import(kind, "a.*", "l.$1"), import(kind, "b.*", "l.*")];
    });
    accepts("streams may overlap", |a| {
        a.imports = vec![import(ExportKind::Stream, "a.*", ""), import(ExportKind::Stream, "a.b", "")];
    });
}

fn private(signer: &Seed, change: impl FnOnce(&mut ActivationClaims)) -> Import {
    let mut claims = ActivationClaims::new(account_key(2), ExportKind::Stream, "priv.>");
    change(&mut claims);
    let mut private = import(ExportKind::Stream, "priv.*", "");
    private.token = claims.encode(signer, NOW).unwrap();
    private
}

#[test]
fn an_activation_binds_importer_exporter_kind_and_subject() {
    let exporter = seed(Role::Account, 4);
    let stranger = seed(Role::Account, 5);
    accepts("right", |a| a.imports = vec![private(&exporter, |_| {})]);
    accepts("by a signing key", |a| {
        a.imports = vec![private(&stranger, |c| {
            c.nats.issuer_account = Some(account_key(4));
        })];
    });
    accepts("expired is not looked at here", |a| {
        a.imports = vec![private(&exporter, |c| c.expires = 1)];
    });
    refuses("another exporter", |a| {
        a.imports = vec![private(&stranger, |_| {})];
    });
    refuses("another importer", |a| {
        a.imports = vec![private(&exporter, |c| c.subject = account_key(6).public())];
    });
    refuses("another kind", |a| {
        a.imports = vec![private(&exporter, |c| c.nats.kind = ExportKind::Service)];
    });
    refuses("another subject", |a| {
        a.imports = vec![private(&exporter, |c| {
            c.nats.subject = "other.>".to_owned();
        })];
    });
    refuses("a narrower subject", |a| {
        a.imports = vec![private(&exporter, |c| c.nats.subject = "priv.x".to_owned())];
    });
    refuses("malformed subject", |a| {
        a.imports = vec![private(&exporter, |c| {
            c.nats.subject = "priv..>".to_owned();
        })];
    });
    refuses("forged", |a| {
        a.imports = vec![private(&exporter, |_| {})];
        let token = &mut a.imports[0].token;
        let cut = token.rfind('.').unwrap();
        token.replace_range(cut + 1..cut + 5, "AAAA");
    });
    refuses("a user JWT", |a| {
        a.imports = vec![private(&exporter, |_| {})];
        a.imports[0].token = UserClaims::new(user_key(3)).encode(&exporter, NOW).unwrap();
    });
    refuses("no token at all", |a| {
        a.imports = vec![private(&exporter, |_| {})];
        a.imports[0].token = "x".to_owned();
    });
}

#[test]
fn weights_of_mappings_add_up_to_a_hundred_at_most() {
    let to = |subject: &str, weight, cluster: &str| Mapping {
        subject: subject.to_owned(),
        weight,
        cluster: cluster.to_owned(),
    };
    let table = [
        (vec![to("b", 0, "")], true),
        (vec![to("b", 40, ""), to("c", 60, "")], true),
        (vec![to("b", 100, ""), to("c", 100, "x"), to("d", 100, "y")], true),
        (vec![to("{{wildcard(1)}}", 10, "")], true),
        (vec![], true),
        (vec![to("b", 101, "")], false),
        (vec![to("b", 60, ""), to("c", 41, "")], false),
        (vec![to("b", 0, ""), to("c", 0, "")], false),
        (vec![to("b", 60, "x"), to("c", 60, "x")], false),
        (vec![to("", 10, "")], false),
        (vec![to("b c", 10, "")], false),
    ];
    for (destinations, fine) in table {
        let case = format!("{destinations:?}");
        let mappings = BTreeMap::from([("a.*".to_owned(), destinations)]);
        if fine {
            accepts(&case, |a| a.mappings = mappings);
        } else {
            refuses(&case, |a| a.mappings = mappings);
        }
    }
    refuses("bad source", |a| {
        a.mappings = BTreeMap::from([("a..b".to_owned(), vec![to("b", 1, "")])]);
    });
}

#[test]
fn permissions_name_subjects_and_only_subscribing_queues() {
    let table = [
        ("a", true, true),
        ("a.*.>", true, true),
        ("a.{{name()}}", true, true),
        ("a q", false, true),
        ("a\tq", false, true),
        ("a q.*", false, true),
        ("", false, false),
        ("   ", false, false),
        ("a q r", false, false),
        ("a..b", false, false),
        (".", false, false),
        ("a. q", false, false),
        ("a q.", false, false),
        ("a.>.b", false, false),
    ];
    for (entry, publish, subscribe) in table {
        let list = vec![entry.to_owned()];
        for deny in [false, true] {
            let claim = if deny {
                SubjectsClaim { deny: list.clone(), ..SubjectsClaim::default() }
            } else {
                SubjectsClaim { allow: list.clone(), ..SubjectsClaim::default() }
            };
            let both = [
                (publish, PermissionsClaim { publish: claim.clone(), ..PermissionsClaim::default() }),
                (subscribe, PermissionsClaim { subscribe: claim, ..PermissionsClaim::default() }),
            ];
            for (fine, permissions) in both {
                let mut user = UserClaims::new(user_key(3));
                user.nats.template.permissions = permissions.clone();
                assert_eq!(user.validate(NOW).require_clean().is_ok(), fine, "{permissions:?}");
                let mut scope = Scope::new(account_key(5), "r");
                scope.template.permissions = permissions.clone();
                let mut claims = acme();
                claims.nats.signing_keys = vec![SigningKey::Scoped(Box::new(scope))];
                assert_eq!(claims.validate(NOW).require_clean().is_ok(), fine, "{permissions:?}");
                let mut claims = acme();
                claims.nats.default_permissions = permissions;
                assert_eq!(claims.validate(NOW).require_clean().is_ok(), fine);
            }
        }
    }
}

#[test]
fn conditions_of_users_are_well_formed() {
    let good: [fn(&mut UserTemplate); 3] = [
        |t| t.src = vec!["10.0.0.0/8".to_owned(), "::/0".to_owned()],
        |t| t.times_location = "Asia/Tokyo".to_owned(),
        |t| {
            t.times = vec![TimeRange { start: "22:00:00".to_owned(), end: "06:00:00".to_owned() }];
        },
    ];
    let bad: [fn(&mut UserTemplate); 6] = [
        |t| t.src = vec!["10.0.0.0".to_owned()],
        |t| t.src = vec![String::new()],
        |t| t.times_location = "Nowhere".to_owned(),
        |t| t.times = vec![TimeRange::default()],
        |t| {
            t.times = vec![TimeRange { start: "25:00:00".to_owned(), end: "06:00:00".to_owned() }];
        },
        |t| t.limits.payload = Limit(-2),
    ];
    let valid = |change: fn(&mut UserTemplate)| {
        let mut user = UserClaims::new(user_key(3));
        change(&mut user.nats.template);
        user.validate(NOW).require_valid().is_ok()
    };
    assert!(good.into_iter().all(valid));
    for (index, change) in bad.into_iter().enumerate() {
        assert!(!valid(change), "{index}");
    }
}

#[test]
fn callout_tracing_and_traffic_are_well_formed() {
    refuses("accounts without users", |a| {
        a.authorization.allowed_accounts = vec!["*".to_owned()];
    });
    let callout = |accounts: &[String]| {
        let accounts = accounts.to_vec();
        move |a: &mut Account| {
            a.authorization.auth_users = vec![user_key(3)];
            a.authorization.allowed_accounts = accounts;
        }
    };
    let key = account_key(5).to_string();
    accepts("any", callout(&["*".to_owned()]));
    accepts("one", callout(std::slice::from_ref(&key)));
    refuses("any and one", callout(&["*".to_owned(), key]));
    refuses("no account", callout(&[user_key(3).to_string()]));
    for (destination, sampling, fine) in [
        ("t", 0, true),
        ("t", 100, true),
        ("t", 101, false),
        ("t", -1, false),
        ("", 1, false),
        ("t.*", 1, false),
        ("t..x", 1, false),
    ] {
        let trace = Some(Trace { destination: destination.to_owned(), sampling });
        if fine {
            accepts(destination, |a| a.trace = trace);
        } else {
            refuses(destination, |a| a.trace = trace);
        }
    }
    accepts("owner", |a| a.cluster_traffic = "owner".to_owned());
    refuses("nobody", |a| a.cluster_traffic = "nobody".to_owned());
}

#[test]
fn oddities_only_warn() {
    let mut claims = acme();
    claims.issuer = claims.subject;
    assert!(claims.validate(NOW).require_valid().is_ok());
    assert!(claims.validate(NOW).require_clean().is_err());
    warns("a revoked key that is none", |a| {
        a.revocations = serde_json::from_str(r#"{"nobody": 1}"#).unwrap();
    });
    warns("twice", |a| {
        a.signing_keys = vec![SigningKey::Plain(account_key(5)); 2];
    });
}

#[test]
fn warnings_do_not_crowd_out_what_blocks() {
    let many: BTreeMap<String, i64> = (0..5000).map(|n| (format!("k{n}"), 1)).collect();
    refuses("many warnings", |a| {
        a.revocations = serde_json::from_value(serde_json::to_value(&many).unwrap()).unwrap();
        a.cluster_traffic = "nobody".to_owned();
    });
    let mut claims = acme();
    claims.nats.exports = vec![service("a..b"); 4000];
    assert!(claims.validate(NOW).issues.len() <= 100);
}

#[test]
fn operators_have_sound_urls_and_versions() {
    let check = |change: fn(&mut Operator)| {
        let mut claims = OperatorClaims::new(operator_key(1));
        change(&mut claims.nats);
        claims.validate(NOW).require_clean().is_ok()
    };
    let good: [fn(&mut Operator); 4] = [
        |o| o.account_server_url = "https://h:8080/jwt/v1".to_owned(),
        |o| o.account_server_url = "nats://h:4222".to_owned(),
        |o| {
            let urls = ["nats://h:4222", "TLS://h", "ws://h", "wss://[::1]:443", ""];
            o.operator_service_urls = urls.map(str::to_owned).to_vec();
        },
        |o| o.assert_server_version = "2.10.11".to_owned(),
    ];
    for (index, change) in good.into_iter().enumerate() {
        assert!(check(change), "{index}");
    }
    let bad: [fn(&mut Operator); 9] = [
        |o| o.account_server_url = "h:4222".to_owned(),
        |o| o.account_server_url = "nats://".to_owned(),
        |o| o.operator_service_urls = vec!["http://h".to_owned()],
        |o| o.operator_service_urls = vec!["nats://u:p@h".to_owned()],
        |o| o.operator_service_urls = vec!["nats://h/x".to_owned()],
        |o| o.operator_service_urls = vec!["h".to_owned()],
        |o| o.assert_server_version = "2.10".to_owned(),
        |o| o.assert_server_version = "2.10.x".to_owned(),
        |o| o.assert_server_version = "2.10.1.1".to_owned(),
    ];
    for (index, change) in bad.into_iter().enumerate() {
        assert!(!check(change), "{index}");
    }
}

#[test]
fn callout_answers_are_one_thing_to_one_server() {
    let server = seed(Role::Server, 5).public().try_into().unwrap();
    let check = |change: fn(&mut AuthorizationResponseClaims)| {
        let mut claims = AuthorizationResponseClaims::new(user_key(3), server);
        change(&mut claims);
        claims.validate(NOW).require_clean().is_ok()
    };
    assert!(check(|c| c.nats.jwt = "j".to_owned()));
    assert!(check(|c| c.nats.error = "e".to_owned()));
    assert!(!check(|_| {}));
    assert!(!check(|c| (c.nats.jwt, c.nats.error) = ("j".to_owned(), "e".to_owned())));
    assert!(!check(|c| {
        c.nats.jwt = "j".to_owned();
        c.audience = String::new();
    }));
    assert!(!check(|c| {
        c.nats.jwt = "j".to_owned();
        c.audience = user_key(3).to_string();
    }));
}
