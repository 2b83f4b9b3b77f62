//! The advisories of NATS and the traps beside them: what each was, and which tests show that it cannot happen here.
//!
//! The page `docs/advisories.md` is written from this table, and a test holds every name in it against the sources.

use std::fmt::Write as _;

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Advisory {
    /// Its id, or several of one kind.
    pub id: &'static str,
    /// What it was.
    pub class: &'static str,
    /// What is done here, or why it cannot be.
    pub here: &'static str,
    /// The tests that show it; none when the feature is not in the product.
    pub tests: &'static [&'static str],
    /// Whether the feature is not in the product.
    pub absent: bool,
}

const fn shown(id: &'static str, class: &'static str, here: &'static str, tests: &'static [&'static str]) -> Advisory {
    Advisory { id, class, here, tests, absent: false }
}

/// The tests of an absent feature show that nothing answers in its place.
const fn absent(id: &'static str, class: &'static str, here: &'static str, tests: &'static [&'static str]) -> Advisory {
    Advisory { id, class, here, tests, absent: true }
}

/// Cells of the table in `docs/ways-in.md` that are about messages.
const MESSAGES: &str = "every_check_holds_for_messages_on_every_way";
/// Cells of the same table that are about users under an operator.
const IDENTITIES: &str = "every_check_holds_for_every_identity_under_an_operator";
/// Cells of the same table that are about users of the configuration.
const CONFIGURED: &str = "every_check_holds_for_every_identity_of_the_configuration";
const NO_MQTT: &str = "mqtt_packets_and_paths_open_nothing";
const NO_WEBSOCKET: &str = "a_websocket_upgrade_opens_nothing";
const NO_SERVERS: &str = "what_servers_say_to_each_other_opens_nothing";
const NO_JETSTREAM: &str = "who_has_no_streams_makes_none_and_is_heard_by_nobody";

/// The published advisories.
pub const ADVISORIES: &[Advisory] = &[
    shown(
        "CVE-2020-26149",
        "secrets sent to the server and shown",
        "CONNECT is not logged or echoed",
        &[
            "debug_shows_no_credential",
            "refused_logins_are_events_without_secrets",
            "secrets_are_in_no_log_no_answer_and_no_file_but_their_own",
        ],
    ),
    shown(
        "CVE-2020-26521",
        "panic on a crafted user JWT",
        "own codec: null is absent or refused; size and depth are bounded first",
        &[
            "null_anywhere_is_absent_or_refused_and_never_a_panic",
            "a_wrong_type_anywhere_is_a_clean_error",
            "tokens_of_the_wrong_shape_are_refused",
        ],
    ),
    shown(
        "CVE-2020-26892",
        "expiry and revocation not applied",
        "compared with the time of issue, at connect, at every change, and by a timer",
        &[
            "a_revocation_reaches_what_was_issued_up_to_its_second",
            "expired_and_early_users_are_refused_and_the_last_second_counts",
            "a_revocation_of_everyone_spares_those_who_are_issued_later",
            IDENTITIES,
        ],
    ),
    shown(
        "CVE-2020-28466, CVE-2022-42709",
        "an import cycle ends the server",
        "found when claims are compiled, with bounded work; at run time 16 crossings in a row at most",
        &[
            "cycles_of_every_length_are_refused_for_both_kinds",
            "branches_without_end_are_given_up_and_refused",
            "import_cycles_are_not_in_force_and_the_broker_stays_responsive",
            "cycles_of_one_to_four_accounts_carry_nothing",
        ],
    ),
    shown(
        "CVE-2021-3127",
        "activation usable by anybody for anything",
        "bound to importer, exporter, kind, subject, signer, time and revocation",
        &[
            "an_activation_binds_importer_exporter_kind_and_subject",
            "only_the_holder_of_an_activation_gets_in",
            "an_activation_of_one_subject_is_none_of_another",
            MESSAGES,
        ],
    ),
    shown(
        "CVE-2021-32026",
        "cipher policy lost by command line flags",
        "no TLS flags; one constructor for file and reload",
        &["tls_is_made_from_its_files"],
    ),
    shown(
        "CVE-2022-24450",
        "client chooses its account in CONNECT",
        "a CONNECT that names an account is refused whatever else it has",
        &["the_obsolete_account_field_is_refused_whatever_the_credentials", IDENTITIES, CONFIGURED],
    ),
    absent("CVE-2022-26652", "path traversal when a stream is restored", "no streams", &[NO_JETSTREAM]),
    shown(
        "CVE-2022-28357",
        "file written through an account JWT's name",
        "file names are made from parsed, checksummed keys only",
        &["a_key_that_is_a_path_touches_no_file", "leftovers_and_foreign_files_are_not_served"],
    ),
    shown(
        "CVE-2022-29946, 2026-17, 2026-18 (GHSA-jx8g, GHSA-wh7g)",
        "deny passed by wildcards and queue groups",
        "allow by containment; where patterns overlap a deny, each delivery is checked",
        &[
            "deny_beats_allow",
            "deliveries_that_merely_overlap_a_deny_are_filtered",
            "subscriptions_are_decided_as_the_reference_says",
            "a_denied_queue_member_leaves_the_message_to_another",
            "a_wildcard_subscription_is_not_a_way_around_a_deny",
            MESSAGES,
        ],
    ),
    shown(
        "CVE-2022-42708",
        "panic on a number in a request",
        "every number has a type and a range",
        &["limits_clamp_and_never_wrap", "bad_limits_are_named", "a_wrong_field_is_named_and_nothing_is_written"],
    ),
    shown(
        "CVE-2023-46129",
        "sealing with a key of zeros",
        "a fresh key for each seal; vectors of the reference",
        &["sealing_gives_the_bytes_of_the_vector", "a_box_that_was_changed_or_is_another_senders_stays_shut"],
    ),
    shown(
        "CVE-2023-47090",
        "configured accounts switched authentication off",
        "an empty list of users lets nobody in; open brokers are warned of, and refused with `strict`",
        &[
            "an_empty_list_of_users_lets_nobody_in",
            "what_is_insecure_is_warned_of_and_refused_when_strict",
            "no_shape_of_configuration_lets_a_stranger_in_unasked",
        ],
    ),
    shown(
        "CVE-2025-30215",
        "requests about another tenant's things",
        "the border writes the asker's account into the subject; the body is not believed",
        &[
            "a_tenant_sees_only_its_own_connections_whatever_it_asks_for",
            "connections_of_others_are_never_shown_whatever_is_asked",
            "no_import_that_a_tenant_writes_lets_it_into_the_system_account",
            "a_tenants_requests_about_others_tell_nothing_of_them",
        ],
    ),
    shown(
        "2026-01 (CVE-2025-68121)",
        "TLS session resumed under another trust root",
        "listeners that ask for certificates issue no tickets and keep no sessions",
        &["a_tls_session_is_not_resumed_where_certificates_count", "a_connection_ends_with_its_certificate"],
    ),
    shown(
        "2026-02, 2026-03, 2026-11 (CVE-2026-27571, -27889, -33219)",
        "WebSocket: memory and crashes before authentication",
        "nothing is allocated by a frame's length; messages are inflated piece by piece, as the parser takes them",
        &[
            "w17_what_is_inflated_has_a_bound",
            "w22_w23_broken_frames_end_the_connection",
            "w23_a_frame_costs_what_it_holds_and_not_what_it_announces",
            "a_consumer_that_pauses_stops_a_bomb",
            NO_WEBSOCKET,
        ],
    ),
    shown(
        "2026-04, 2026-10, 2026-19 (CVE-2026-29785, -33218, GHSA-3g5q)",
        "leaf node: panics before authentication",
        "each stage of the handshake takes its own operations, once; before CONNECT nothing else is looked at",
        &[
            "nothing_but_connect_is_taken_before_it",
            "connect_is_taken_once",
            "nothing_but_info_is_taken_before_the_account_is_joined",
            NO_SERVERS,
            "with_authentication_nothing_comes_before_connect",
            "noise_before_connect_ends_only_that_connection",
        ],
    ),
    shown(
        "2026-05, 2026-14 (CVE-2026-33216, -33247)",
        "secrets on monitoring pages",
        "pages have no place for them, nor for the command line",
        &["no_page_shows_a_password", "no_page_of_monitoring_shows_a_credential_or_the_command_line"],
    ),
    absent(
        "2026-06, -07, -21, -22, -25, -26, -27 (CVE-2026-33215, -33217, GHSA-r72h, -4g68, -7qmq, -qrcv)",
        "MQTT: sessions taken over, permissions not asked, crashes",
        "no MQTT listener",
        &[NO_MQTT],
    ),
    shown(
        "2026-08, 2026-09 (CVE-2026-33223, -33246)",
        "forged `Nats-Request-Info`",
        "removed in every spelling and number from what clients send",
        &[
            "every_copy_of_a_field_goes_whatever_its_case",
            "a_field_cannot_be_hidden_or_forged_by_the_shape_of_the_block",
            "every_forged_copy_of_the_request_info_is_replaced",
            "a_forged_request_info_does_not_cross_and_other_headers_do",
            "who_asks_cannot_be_hidden_from_a_service_by_the_shape_of_the_header",
        ],
    ),
    absent("2026-12 (CVE-2026-33222)", "a stream restored as another", "no streams", &[NO_JETSTREAM]),
    shown(
        "2026-13 (CVE-2026-33248)",
        "mapping of distinguished names passed by",
        "compared as parsed parts, each once, on the verified leaf only",
        &[
            "subjects_match_in_any_order_but_each_part_once",
            "a_subject_with_two_common_names_has_no_text_to_hide_one_behind",
            "a_certificate_user_cannot_log_in_by_name",
        ],
    ),
    shown(
        "2026-15, 2026-20 (CVE-2026-33249, GHSA-p3j5)",
        "trace destination without permission",
        "a report is a publication of its publisher, and ends at the border unless `allow_trace` says otherwise",
        &[
            "traces_stay_in_the_account_that_asked_for_them",
            "what_keeps_a_message_from_its_receivers_is_reported",
            MESSAGES,
        ],
    ),
    shown(
        "2026-16, 2026-24 (GHSA-38x3, GHSA-hmmp)",
        "checks skipped for the `no_auth_user`",
        "one way to being authenticated, with or without CONNECT",
        &[
            "the_no_auth_user_does_not_admit_leaf_nodes",
            "a_restricted_no_auth_user_is_not_usable_without_connect",
            "the_no_auth_user_stands_in_for_nothing_only",
            CONFIGURED,
        ],
    ),
    shown(
        "2026-23 (GHSA-g33f)",
        "a short key ends the server before authentication",
        "a key is 32 bytes with role and checksum, or is not there",
        &[
            "texts_that_are_no_public_key_are_refused",
            "no_text_makes_reading_panic",
            "bad_signatures_are_refused_without_panic",
            "keys_of_any_shape_in_connect_end_only_that_connection",
        ],
    ),
    shown(
        "2026-28 (GHSA-q59r)",
        "overflow in paging",
        "parameters are bounded; arithmetic is checked in release builds",
        &[
            "bad_parameters_are_told_in_a_line",
            "nonsense_and_too_long_requests_do_no_harm",
            "extreme_paging_is_answered_everywhere",
        ],
    ),
];

/// The traps of the implementer's reference, section 10.
pub const TRAPS: &[Advisory] = &[
    shown("T1", "keys that are not 32 bytes", "as 2026-23", &["texts_that_are_no_public_key_are_refused"]),
    shown(
        "T2",
        "null and missing members",
        "as CVE-2020-26521",
        &["null_anywhere_is_absent_or_refused_and_never_a_panic"],
    ),
    shown(
        "T3",
        "tokens without bound",
        "1 MiB and 32 levels, looked at before anything is parsed",
        &["tokens_of_the_wrong_shape_are_refused"],
    ),
    shown(
        "T4",
        "revocation compared with the clock",
        "compared with the time of issue",
        &["what_was_issued_up_to_the_time_is_revoked"],
    ),
    shown(
        "T5",
        "`*` and exports in revocations",
        "both are read, activations for each export",
        &["revocations_are_per_export_and_by_time_of_issue", MESSAGES],
    ),
    shown(
        "T6",
        "activation not bound",
        "as CVE-2021-3127",
        &["an_activation_binds_importer_exporter_kind_and_subject"],
    ),
    shown(
        "T7",
        "issuer of a user taken on its word",
        "the issuer must be one of the account's signers",
        &["a_user_jwt_signed_by_anothers_key_in_its_place_is_forged", "under_a_strict_operator_only_signing_keys_sign"],
    ),
    shown("T8", "limits that wrap", "clamped", &["limits_clamp_and_never_wrap"]),
    shown(
        "T9",
        "connection types before the scope",
        "asked of what the scope says",
        &["connection_types_of_a_scope_are_enforced", IDENTITIES],
    ),
    shown(
        "T10",
        "templates that expand to nothing",
        "nothing allows nothing; malformed ones fail; combinations are bounded",
        &[
            "an_allow_list_that_expands_to_nothing_denies_everything",
            "malformed_placeholders_fail_in_every_list",
            "too_many_combinations_fail",
        ],
    ),
    shown(
        "T11",
        "account named in CONNECT",
        "as CVE-2022-24450",
        &["the_obsolete_account_field_is_refused_whatever_the_credentials"],
    ),
    shown(
        "T12",
        "the client's JWT read again after a callout",
        "forgotten: limits and revocation are those of the answer",
        &[
            "a_sentinel_only_says_whom_to_ask",
            "revocations_reach_users_of_a_service_by_key_and_time_of_issue",
            "a_service_can_be_told_to_end_its_users",
        ],
    ),
    shown(
        "T13",
        "rights outlive a signing key",
        "its users end when it goes, or its scope changes",
        &[
            "users_of_a_removed_signing_key_go_silently",
            "a_changed_scope_ends_its_users_and_binds_them_on_return",
            MESSAGES,
        ],
    ),
    shown(
        "T14",
        "stored or packed JWTs believed",
        "verified against the operator when used",
        &["a_peer_is_believed_no_more_than_a_stranger", "a_strangers_account_is_not_preloaded"],
    ),
    shown("T15", "keys as paths", "as CVE-2022-28357", &["a_key_that_is_a_path_touches_no_file"]),
    shown(
        "T16",
        "fast path of the `no_auth_user`",
        "as 2026-16",
        &["a_restricted_no_auth_user_is_not_usable_without_connect"],
    ),
    shown("T17", "an implicit anonymous user", "as CVE-2023-47090", &["an_empty_list_of_users_lets_nobody_in"]),
    shown(
        "T18",
        "what outlives a second CONNECT",
        "subscriptions, place, cached matches and grants go",
        &[
            "a_second_connect_begins_anew_without_subscriptions",
            "a_second_connect_must_prove_itself_again",
            "a_connect_into_another_account_leaves_nothing_in_the_first",
            IDENTITIES,
        ],
    ),
    shown(
        "T19",
        "memory before authentication",
        "one control line, two signatures, places for handshakes",
        &[
            "control_lines_are_bounded_with_and_without_their_end",
            "handshakes_at_the_same_time_are_bounded_and_the_others_wait",
            "credentials_that_cannot_be_checked_hold_a_connection_no_longer_than_its_time",
        ],
    ),
    shown(
        "T20",
        "authentication timer and TLS",
        "the time begins after the handshake",
        &["the_time_to_authenticate_begins_after_the_tls_handshake"],
    ),
    shown(
        "T21",
        "a closed connection counted",
        "a place is given back at every end",
        &[
            "connections_over_the_limit_are_turned_away_and_a_lower_limit_closes_the_newest",
            "who_left_before_the_answer_is_in_no_account",
        ],
    ),
    shown(
        "T22",
        "distinguished names",
        "as 2026-13",
        &["matching_in_any_order_is_multiset_equality", "a_certificate_user_cannot_log_in_by_name"],
    ),
    shown(
        "T23",
        "resumption across trust roots",
        "as 2026-01",
        &["a_tls_session_is_not_resumed_where_certificates_count"],
    ),
    shown(
        "T24",
        "secrets in traces and pages",
        "as CVE-2020-26149 and 2026-05",
        &["debug_shows_no_credential", "no_page_of_monitoring_shows_a_credential_or_the_command_line"],
    ),
    shown("T25", "sealing", "as CVE-2023-46129", &["sealing_gives_the_bytes_of_the_vector"]),
    shown(
        "T26",
        "plain denies and queue groups",
        "a plain deny holds for queue groups too",
        &["deny_beats_allow", MESSAGES],
    ),
    shown(
        "T27",
        "subscriptions that merely overlap a deny",
        "as CVE-2022-29946",
        &["deliveries_are_filtered_where_a_deny_merely_overlaps", MESSAGES],
    ),
    shown("T28", "allow by look-up", "by containment", &["containment_overlap_and_intersection_are_exact"]),
    absent("T29", "private namespaces of other protocols", "one protocol", &[NO_MQTT]),
    shown(
        "T30",
        "bytes that are sent on as protocol",
        "subjects hold no blank and no line end; error texts are quoted",
        &["malformed_lines_are_refused_in_their_class", "quoted_subjects_are_escaped_as_clients_expect"],
    ),
    shown("T31", "trace destinations", "as 2026-15", &[MESSAGES]),
    shown(
        "T32",
        "a permission of blanks",
        "refused when claims are read",
        &["permissions_name_subjects_and_only_subscribing_queues"],
    ),
    shown(
        "T33",
        "subscriptions and caches after a change",
        "checked again; caches go",
        &["narrowed_default_permissions_end_subscriptions_and_clear_what_was_cached", MESSAGES],
    ),
    shown(
        "T34",
        "import cycles",
        "as CVE-2020-28466",
        &["cycles_agree_with_brute_force", "a_cycle_that_closes_and_opens_far_away_is_noticed_by_everybody_on_it"],
    ),
    shown(
        "T35",
        "forged `Nats-Request-Info`",
        "as 2026-08",
        &["forged_copies_are_seen_behind_lone_returns_and_blanks"],
    ),
    shown(
        "T36",
        "requests for other accounts",
        "as CVE-2025-30215",
        &["a_tenants_requests_about_others_tell_nothing_of_them"],
    ),
    shown(
        "T37",
        "reserved reply subjects",
        "refused to everybody",
        &[
            "what_belongs_to_the_broker_is_refused_to_everybody",
            "neither_requests_nor_answers_reach_those_who_import_the_exporters_streams",
            MESSAGES,
        ],
    ),
    shown(
        "T38",
        "answers by other ways than their request's",
        "one mapping for each request, unguessable, bounded, gone with its request",
        &[
            "nobody_can_answer_in_anothers_place",
            "importers_do_not_use_up_what_others_need",
            "an_answer_after_the_threshold_is_dropped",
            "an_exporter_cannot_answer_by_an_import_that_is_no_more",
        ],
    ),
    shown(
        "T39",
        "wildcards in a reply subject",
        "such a request crosses no border",
        &["a_reply_with_wildcards_crosses_no_border"],
    ),
    shown(
        "T40",
        "importers after a change of the export",
        "compiled anew at once",
        &[
            "an_exporter_that_becomes_private_loses_its_importers_and_regains_them",
            "a_revoked_activation_stops_at_once_and_only_on_that_export",
            MESSAGES,
        ],
    ),
    shown("T41", "what vanishes from a JWT", "a record is replaced whole", &["what_goes_from_the_claims_goes_live"]),
    shown(
        "T42",
        "who goes when a limit shrinks",
        "the newest; never the broker's own",
        &["the_newest_connections_go_when_the_limit_shrinks", "services_of_the_broker_outlast_a_limit_of_connections"],
    ),
    shown(
        "T43",
        "arithmetic of paging and of transforms",
        "as 2026-28",
        &["extreme_paging_is_answered_everywhere", "a_random_source_out_of_its_bounds_does_no_harm"],
    ),
    shown(
        "T44",
        "the account in a request's body",
        "as CVE-2025-30215",
        &["connections_of_others_are_never_shown_whatever_is_asked"],
    ),
    shown(
        "T45",
        "callout skipped by a name in CONNECT",
        "the proved identity counts, and no other",
        &["auth_users_prove_themselves_and_nobody_passes_for_one_by_name", "auth_users_in_name_only_are_asked_about"],
    ),
    shown(
        "T46",
        "caches after a change of account",
        "of one connection, cleared with its account and rights",
        &[
            "a_connect_into_another_account_leaves_nothing_in_the_first",
            "narrowed_default_permissions_end_subscriptions_and_clear_what_was_cached",
        ],
    ),
];

/// The page.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    for (title, list) in [("Published advisories", ADVISORIES), ("Traps that others fell into", TRAPS)] {
        write!(page, "\n## {title}\n\n| id | what it was | here | tests |\n|---|---|---|---|\n").unwrap();
        for advisory in list {
            let tests: Vec<_> = advisory.tests.iter().map(|test| format!("`{test}`")).collect();
            let here = if advisory.absent { format!("*absent:* {}", advisory.here) } else { advisory.here.to_owned() };
            writeln!(page, "| {} | {} | {here} | {} |", advisory.id, advisory.class, tests.join(", ")).unwrap();
        }
    }
    page
}

const HEAD: &str = "# The advisories of NATS

Each published advisory for nats-server and its libraries, and each trap of the same kind: what it was, what keeps Cordon from it,
and the tests that show it. Where a feature is not in the product the line says so, and its test shows that nothing answers in its
place. A test fails when a name on this page is no test, or when the page is not what the tests say.

This page is written by `CORDON_WRITE_DOCS=1 cargo test -p cordon-tests --test advisories`. What is checked where is in
[ways-in.md](ways-in.md).
";
