//! The placeholder table, the rules for what is undefined, and values chosen to widen a template.

use super::*;
use crate::claims::{PermissionsClaim, SubjectsClaim};

const NOTHING: &[String] = &[];

fn values<'a>(name: &'a str, tags: &'a [String]) -> Values<'a> {
    Values { name, subject: "UABC", account_name: "Acme", account_subject: "AXYZ", tags, account_tags: tags }
}

fn tags(list: &[&str]) -> Vec<String> {
    list.iter().map(|tag| (*tag).to_owned()).collect()
}

/// Expands a template whose four lists are as given.
fn expand_lists(allow: &[&str], deny: &[&str], values: &Values<'_>) -> Result<SubjectsClaim, TemplateError> {
    let subscribe = SubjectsClaim { allow: tags(allow), deny: tags(deny) };
    let permissions = PermissionsClaim { subscribe, ..PermissionsClaim::default() };
    let template = UserTemplate { permissions, ..UserTemplate::default() };
    let expanded = expand_values(&template, values)?;
    assert_eq!(expanded.permissions.publish, SubjectsClaim::default());
    Ok(expanded.permissions.subscribe)
}

#[test]
fn each_placeholder_expands() {
    let known = tags(&["team:red", "team:blue.sky", "region:eu", "teamx"]);
    for (entry, wanted) in [
        ("a.{{name()}}", vec!["a.bob"]),
        ("a.{{ NAME( ) }}.>", vec!["a.bob.>"]),
        ("{{subject()}}", vec!["UABC"]),
        ("{{account-name()}}.{{Account-Subject()}}", vec!["Acme.AXYZ"]),
        ("{{tag(team)}}.x", vec!["red.x", "blue.sky.x"]),
        ("{{tag(Team)}}", vec!["red", "blue.sky"]),
        ("{{account-tag(region)}}.*", vec!["eu.*"]),
        ("{{tag(team)}}.{{tag(team)}}", vec!["red.red", "blue.sky.blue.sky"]),
        ("{{tag(team)}}.{{tag(region)}}", vec!["red.eu", "blue.sky.eu"]),
        ("{{tag(team)}}.{{account-tag(team)}}", vec!["red.red", "blue.sky.red", "red.blue.sky", "blue.sky.blue.sky"]),
        ("pre-{{name()}}-post", vec!["pre-bob-post"]),
        ("a.{{name()}} q.{{name()}}", vec!["a.bob q.bob"]),
    ] {
        let lists = expand_lists(&[entry], &[entry], &values("bob", &known)).unwrap();
        assert_eq!(lists.allow, wanted, "{entry}");
        assert_eq!(lists.deny, wanted, "{entry}");
    }
}

#[test]
fn a_list_without_placeholders_is_untouched() {
    let lists = expand_lists(&["a q", "b..c"], &["x y z"], &values("bob", NOTHING)).unwrap();
    assert_eq!((lists.allow, lists.deny), (tags(&["a q", "b..c"]), tags(&["x y z"])));
}

#[test]
fn what_is_undefined_is_dropped_from_allow_and_fatal_in_deny() {
    let values = values("bob", NOTHING);
    let lists = expand_lists(&["{{tag(team)}}", "b.{{name()}}"], &["x"], &values).unwrap();
    assert_eq!((lists.allow, lists.deny), (tags(&["b.bob"]), tags(&["x"])));
    let error = expand_lists(&["b"], &["{{tag(team)}}"], &values).unwrap_err();
    assert!(matches!(error, TemplateError::DenyUnusable { .. }), "{error}");
}

#[test]
fn an_allow_list_that_expands_to_nothing_denies_everything() {
    let lists = expand_lists(&["{{tag(team)}}"], &[], &values("bob", NOTHING)).unwrap();
    assert_eq!((lists.allow, lists.deny), (vec![], tags(&[">"])));
    let unrestricted = expand_lists(&[], &["x.{{name()}}"], &values("bob", NOTHING)).unwrap();
    assert_eq!((unrestricted.allow, unrestricted.deny), (vec![], tags(&["x.bob"])));
}

#[test]
fn malformed_placeholders_fail_in_every_list() {
    for entry in [
        "{{unknown()}}",
        "{{tag(}}",
        "{{tag)}}",
        "{{tag()}}",
        "{{name}}",
        "{{name(x)}}",
        "{{}}",
        "{{()}}",
        "{{tag(a)",
        "a.{{name()}",
        "a.}}",
        "{{name()}}}}",
        "{{{name()}}}",
        "{{name())}}",
    ] {
        for (allow, deny) in [(vec![entry], vec![]), (vec![], vec![entry])] {
            let result = expand_lists(&allow, &deny, &values("bob", NOTHING));
            assert!(matches!(result, Err(TemplateError::UnknownPlaceholder { .. })), "{entry}: {result:?}");
        }
    }
}

#[test]
fn no_value_widens_a_template() {
    for hostile in ["", ">", "*", "a.>", "*.a", "a..b", ".a", "a.", "a b", "a\tb", " ", "a*", "b>c", "x q", "\n"] {
        let hostile_tags = [format!("t:{hostile}")];
        let values = values(hostile, &hostile_tags);
        for entry in ["x.{{name()}}", "{{tag(t)}}", "x.{{name()}}.>", "x {{account-tag(t)}}", "x{{name()}}"] {
            let lists = expand_lists(&[entry], &[], &values).unwrap();
            assert_eq!((lists.allow, lists.deny), (vec![], tags(&[">"])), "{hostile:?} {entry}");
            assert!(expand_lists(&[], &[entry], &values).is_err(), "{hostile:?} {entry}");
        }
    }
}

#[test]
fn one_bad_value_takes_only_its_own_entry_from_an_allow_list() {
    let mixed = tags(&["t:good", "t:*", "t:fine"]);
    let lists = expand_lists(&["x.{{tag(t)}}"], &["d"], &values("bob", &mixed)).unwrap();
    assert_eq!((lists.allow, lists.deny), (tags(&["x.good", "x.fine"]), tags(&["d"])));
    assert!(matches!(
        expand_lists(&[], &["x.{{tag(t)}}"], &values("bob", &mixed)),
        Err(TemplateError::DenyUnusable { .. })
    ));
}

#[test]
fn what_expands_to_no_entry_allows_nothing() {
    let values = values("bob", NOTHING);
    for entry in ["a..{{name()}}", "{{name()}}.>.x", "{{name()}} q r", "a {{name()}}..b"] {
        let lists = expand_lists(&[entry], &[], &values).unwrap();
        assert_eq!((lists.allow, lists.deny), (vec![], tags(&[">"])), "{entry}");
        assert!(matches!(expand_lists(&[], &[entry], &values), Err(TemplateError::DenyUnusable { .. })), "{entry}");
    }
    // Whoever publishes is in no queue group.
    let publish = SubjectsClaim { allow: tags(&["a.{{name()}} q"]), deny: vec![] };
    let permissions = PermissionsClaim { publish, ..PermissionsClaim::default() };
    let expanded = expand_values(&UserTemplate { permissions, ..UserTemplate::default() }, &values).unwrap();
    assert_eq!(expanded.permissions.publish, SubjectsClaim { allow: vec![], deny: tags(&[">"]) });
}

#[test]
fn a_list_holds_as_many_entries_as_it_may_and_not_one_more() {
    let many: Vec<String> = (0..64).map(|n| format!("t:{n}")).collect();
    let values = values("bob", &many);
    let full = "{{tag(t)}}.{{account-tag(t)}}";
    assert_eq!(expand_lists(&[full], &[], &values).unwrap().allow.len(), ENTRIES_MAX);
    for one_more in [["x", full], [full, "x"]] {
        let result = expand_lists(&one_more, &[], &values);
        assert!(matches!(result, Err(TemplateError::TooManyEntries { .. })), "{one_more:?}");
    }
}

#[test]
fn too_many_combinations_fail() {
    let many: Vec<String> = (0..70).map(|n| format!("t:{n}")).collect();
    let values = values("bob", &many);
    let lists = expand_lists(&["{{tag(t)}}.x"], &[], &values).unwrap();
    assert_eq!(lists.allow.len(), 70);
    let entry = "{{tag(t)}}.{{account-tag(t)}}";
    for (allow, deny) in [(vec![entry], vec![]), (vec![], vec![entry])] {
        assert!(matches!(expand_lists(&allow, &deny, &values), Err(TemplateError::TooManyEntries { .. })));
    }
    let wide = "{{tag(t)}}.{{tag( t)}}.{{tag(t )}}.{{tag( t )}}.{{tag(  t)}}.{{tag(  t )}}.{{tag(   t)}}.{{TAG(t)}}\
                .{{Tag(t)}}.{{tAg(t)}}.{{taG(t)}}.{{TAg(t)}}.{{TaG(t)}}";
    assert!(matches!(expand_lists(&[wide], &[], &values), Err(TemplateError::TooManyEntries { .. })));
}
