//! Distinguished names as parsed sequences of attribute sets, compared as such and never as text.
//!
//! Matching in any order counts each part of the certificate once (CVE-2026-33248): both sides are
//! compared as multisets.

use std::fmt::Write as _;
use std::str::FromStr;

use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Relative names in a distinguished name at most.
const RDNS_MAX: usize = 64;

/// An attribute type that takes part in comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Attribute {
    CommonName,
    Country,
    DomainComponent,
    Locality,
    Organization,
    OrganizationalUnit,
    PostalCode,
    SerialNumber,
    State,
    Street,
}

/// The order in which Go prints the groups of a subject, first to last.
const PRINT_ORDER: [Attribute; 9] = [
    Attribute::SerialNumber,
    Attribute::CommonName,
    Attribute::PostalCode,
    Attribute::Street,
    Attribute::State,
    Attribute::Locality,
    Attribute::OrganizationalUnit,
    Attribute::Organization,
    Attribute::Country,
];

impl Attribute {
    fn of_text(text: &str) -> Option<Self> {
        Some(match text.to_ascii_uppercase().as_str() {
            "CN" => Self::CommonName,
            "C" => Self::Country,
            "DC" => Self::DomainComponent,
            "L" => Self::Locality,
            "O" => Self::Organization,
            "OU" => Self::OrganizationalUnit,
            "POSTALCODE" => Self::PostalCode,
            "SERIALNUMBER" => Self::SerialNumber,
            "ST" => Self::State,
            "STREET" => Self::Street,
            _ => return None,
        })
    }

    fn of_oid(oid: &str) -> Option<Self> {
        Some(match oid {
            "2.5.4.3" => Self::CommonName,
            "2.5.4.6" => Self::Country,
            "0.9.2342.19200300.100.1.25" => Self::DomainComponent,
            "2.5.4.7" => Self::Locality,
            "2.5.4.10" => Self::Organization,
            "2.5.4.11" => Self::OrganizationalUnit,
            "2.5.4.17" => Self::PostalCode,
            "2.5.4.5" => Self::SerialNumber,
            "2.5.4.8" => Self::State,
            "2.5.4.9" => Self::Street,
            _ => return None,
        })
    }

    const fn text(self) -> &'static str {
        match self {
            Self::CommonName => "CN",
            Self::Country => "C",
            Self::DomainComponent => "DC",
            Self::Locality => "L",
            Self::Organization => "O",
            Self::OrganizationalUnit => "OU",
            Self::PostalCode => "POSTALCODE",
            Self::SerialNumber => "SERIALNUMBER",
            Self::State => "ST",
            Self::Street => "STREET",
        }
    }
}

/// One relative name: a multiset of attributes, kept sorted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rdn(Vec<(Attribute, String)>);

/// A distinguished name in the order of RFC 4514: most specific part first.
///
/// `==` compares part by part in order; attribute types regardless of case, values exactly, attributes
/// within one part as a set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DistinguishedName {
    rdns: Vec<Rdn>,
}

/// Text that is no distinguished name of attribute types known here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no distinguished name")]
pub struct InvalidName(String);

impl DistinguishedName {
    /// Whether both names have the same parts, each the same number of times, in whatever order.
    pub fn matches_in_any_order(&self, other: &Self) -> bool {
        let (mut left, mut right) = (self.rdns.clone(), other.rdns.clone());
        left.sort();
        right.sort();
        left == right
    }

    /// Whether the name has no part at all.
    pub fn is_empty(&self) -> bool {
        self.rdns.is_empty()
    }
}

impl FromStr for DistinguishedName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_text(text).map(|rdns| Self { rdns }).ok_or_else(|| InvalidName(text.to_owned()))
    }
}

/// The subject of a certificate, in the forms in which it is compared.
pub(super) struct Subject {
    /// `None` if an attribute has a type unknown here: parts that cannot be compared must not be skipped.
    pub(super) name: Option<DistinguishedName>,
    pub(super) texts: Vec<String>,
}

/// Reads the subject of a certificate.
pub(super) fn parse_subject(subject: &X509Name<'_>) -> Result<Subject, InvalidName> {
    let mut known = Vec::new();
    let mut rdns = Vec::new();
    let mut complete = true;
    for part in subject.iter().take(RDNS_MAX + 1) {
        let mut attributes = Vec::new();
        for attribute in part.iter() {
            match Attribute::of_oid(&attribute.attr_type().to_id_string()) {
                Some(kind) => attributes.push((kind, value_of(attribute)?)),
                None => complete = false,
            }
        }
        known.extend(attributes.iter().cloned());
        attributes.sort();
        if !attributes.is_empty() {
            rdns.push(Rdn(attributes));
        }
    }
    complete &= rdns.len() <= RDNS_MAX;
    rdns.reverse();
    Ok(Subject { name: complete.then_some(DistinguishedName { rdns }), texts: printed(&known) })
}

fn value_of(attribute: &AttributeTypeAndValue<'_>) -> Result<String, InvalidName> {
    let text = attribute.as_str().map_err(|error| InvalidName(error.to_string()))?;
    Ok(text.to_owned())
}

/// The subject as Go's `pkix.Name` prints it: first with the domain components appended, then without.
///
/// Go keeps only the last of several common names or serial numbers. Such a subject has no text here, or a
/// certificate could stand for a user by one of its names and hide the other.
fn printed(attributes: &[(Attribute, String)]) -> Vec<String> {
    let group = |wanted: Attribute| attributes.iter().filter(move |(kind, _)| *kind == wanted);
    if [Attribute::CommonName, Attribute::SerialNumber].iter().any(|kind| group(*kind).count() > 1) {
        return Vec::new();
    }
    let mut text = String::new();
    for kind in PRINT_ORDER {
        for (position, (_, value)) in group(kind).enumerate() {
            let separator = match (position, text.is_empty()) {
                (1.., _) => "+",
                (0, true) => "",
                (0, false) => ",",
            };
            let _ = write!(text, "{separator}{}={}", kind.text(), escaped(value));
        }
    }
    let mut texts = Vec::new();
    if group(Attribute::DomainComponent).next().is_some() {
        let mut with_domain = text.clone();
        for (_, value) in group(Attribute::DomainComponent) {
            let _ = write!(with_domain, ",DC={}", escaped(value));
        }
        texts.push(with_domain);
    }
    if !text.is_empty() {
        texts.push(text);
    }
    texts
}

/// Escapes as RFC 4514 asks and Go does.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (position, character) in value.chars().enumerate() {
        let special = match character {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => true,
            ' ' => position == 0 || position == last,
            '#' => position == 0,
            _ => false,
        };
        if special {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

/// Reads the string form of RFC 4514; `None` if it is malformed or has an unknown attribute type.
fn parse_text(text: &str) -> Option<Vec<Rdn>> {
    if text.is_empty() || text.len() > 4096 {
        return None;
    }
    let mut rdns = Vec::new();
    let mut attributes = Vec::new();
    let mut rest = text;
    loop {
        let (kind, after) = rest.split_once('=')?;
        let kind = Attribute::of_text(kind.trim())?;
        let (value, separator, after) = parse_value(after)?;
        attributes.push((kind, value));
        if separator != Some('+') {
            attributes.sort();
            rdns.push(Rdn(std::mem::take(&mut attributes)));
        }
        if rdns.len() > RDNS_MAX {
            return None;
        }
        if separator.is_none() {
            return Some(rdns);
        }
        rest = after;
    }
}

/// Reads a value up to an unescaped `,`, `;` or `+`. Returns it with the separator and what follows.
fn parse_value(text: &str) -> Option<(String, Option<char>, &str)> {
    let text = text.trim_start_matches(' ');
    if text.starts_with('#') {
        return None;
    }
    let mut bytes = Vec::new();
    // Trailing spaces do not belong to the value unless they were escaped.
    let mut kept = 0;
    let mut characters = text.chars();
    loop {
        let separator = match characters.next() {
            None => None,
            Some(end @ (',' | ';' | '+')) => Some(end),
            Some('\\') => {
                unescape(&mut characters, &mut bytes)?;
                kept = bytes.len();
                continue;
            }
            Some('"' | '<' | '>' | '\0') => return None,
            Some(plain) => {
                bytes.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes());
                if plain != ' ' {
                    kept = bytes.len();
                }
                continue;
            }
        };
        bytes.truncate(kept);
        let value = String::from_utf8(bytes).ok()?;
        return Some((value, separator, characters.as_str()));
    }
}

/// Reads what follows a backslash: a special character, or two hexadecimal digits of one byte.
fn unescape(characters: &mut std::str::Chars<'_>, bytes: &mut Vec<u8>) -> Option<()> {
    let first = characters.next()?;
    if matches!(first, ' ' | '"' | '#' | '+' | ',' | ';' | '<' | '=' | '>' | '\\') {
        bytes.push(u8::try_from(first).ok()?);
        return Some(());
    }
    let (high, low) = (first.to_digit(16)?, characters.next()?.to_digit(16)?);
    bytes.push(u8::try_from(high * 16 + low).ok()?);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DistinguishedName {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn types_ignore_case_and_values_do_not() {
        assert_eq!(name("cn=a,ou=b"), name("CN=a, OU=b"));
        assert_ne!(name("CN=a"), name("CN=A"));
    }

    #[test]
    fn order_matters_between_parts_and_not_within_one() {
        assert_eq!(name("CN=a+OU=b,O=c"), name("OU=b+CN=a,O=c"));
        assert_ne!(name("CN=a,O=c"), name("O=c,CN=a"));
        assert!(name("CN=a,O=c").matches_in_any_order(&name("O=c,CN=a")));
    }

    #[test]
    fn each_part_counts_once() {
        let cases = [
            ("OU=a,OU=a", "OU=a,OU=b", false),
            ("OU=a,OU=b", "OU=a,OU=a", false),
            ("OU=a,OU=a", "OU=a", false),
            ("CN=x,OU=a,OU=b", "OU=b,CN=x,OU=a", true),
            ("CN=x+CN=x", "CN=x", false),
            ("CN=x+OU=a", "CN=x,OU=a", false),
        ];
        for (left, right, expected) in cases {
            assert_eq!(name(left).matches_in_any_order(&name(right)), expected, "{left} {right}");
            assert_eq!(name(right).matches_in_any_order(&name(left)), expected, "{right} {left}");
        }
    }

    #[test]
    fn escapes_are_read() {
        assert_eq!(name(r"CN=a\,b"), name(r"CN=a\2cb"));
        assert_eq!(name(r"CN=a\ ").rdns, [Rdn(vec![(Attribute::CommonName, "a ".into())])]);
        assert_eq!(name("CN=a  ,O= b").rdns.len(), 2);
        assert_eq!(name("CN=a  ,O= b"), name("CN=a,O=b"));
        assert_eq!(name(r"CN=\c3\a4"), name("CN=ä"));
        assert_eq!(name("CN="), name("CN= "));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for bad in [
            "",
            "alice",
            "CN",
            "=x",
            "UID=x",
            "CN=a,",
            "CN=a+",
            "CN=a,,O=b",
            r"CN=a\",
            r"CN=\zz",
            r"CN=\ff",
            "CN=#04",
            "CN=\"a\"",
            "1.2.3=a",
            "CN=a<b",
        ] {
            assert!(bad.parse::<DistinguishedName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_escaped_value_reads_back() {
        for value in ["plain", " lead", "trail ", "#hash", "a,b+c\"d\\e<f>g;h", " ", "", "ä"] {
            let parsed = name(&format!("CN={}", escaped(value)));
            assert_eq!(parsed.rdns, [Rdn(vec![(Attribute::CommonName, value.into())])], "{value:?}");
        }
    }

    proptest::proptest! {
        /// Names built of the same parts match in any order; with one part changed they never do.
        #[test]
        fn matching_in_any_order_is_multiset_equality(
            parts in proptest::collection::vec(("[A-Z]{1,2}", "[a-c]{1,2}"), 1..6),
            turn in 0usize..6,
        ) {
            let types = ["CN", "OU", "O", "DC"];
            let text = |parts: &[(String, String)]| {
                let parts = parts.iter().map(|(kind, value)| format!("{}={value}", types[kind.len() % types.len()]));
                parts.collect::<Vec<_>>().join(",")
            };
            let mut turned = parts.clone();
            turned.rotate_left(turn % parts.len());
            proptest::prop_assert!(name(&text(&parts)).matches_in_any_order(&name(&text(&turned))));
            turned[0].1.push('x');
            proptest::prop_assert!(!name(&text(&parts)).matches_in_any_order(&name(&text(&turned))));
        }

        #[test]
        fn arbitrary_text_never_panics(text in ".{0,60}") {
            let _ = text.parse::<DistinguishedName>();
        }
    }
}
