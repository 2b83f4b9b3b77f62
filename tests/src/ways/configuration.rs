//! Scenes as `cordon broker` reads them from a configuration file.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use cordon_accounts::claims::{PermissionsClaim, SubjectsClaim};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::ClientConfig;
use serde_json::{Value, json};

use super::scene::{Person, Scene};
use super::site::{options, signature};
use super::way::Way;
use crate::tls;

/// The configured token.
const TOKEN: &str = "a-token-of-these-tests";

/// The configuration for these scenes, each in an account of its own. Files that it needs go into `folder`.
pub fn of(scenes: &[&Scene], folder: &Path) -> String {
    let mut config = "listen: \"127.0.0.1:-1\"\n".to_owned();
    let people = scenes.iter().flat_map(|scene| [&scene.sender, &scene.receiver]);
    if people.clone().any(|person| person.way == Way::Certificate) {
        certify(people.clone().filter(|person| person.way == Way::Certificate), folder);
        config.push_str(
            "tls { cert_file: server.pem, key_file: server.key, ca_file: ca.pem, verify_and_map: true, timeout: 30 }\n",
        );
    }
    if people.clone().any(|person| person.way == Way::Token) {
        writeln!(config, "authorization {{ token: {TOKEN}, timeout: 30 }}").unwrap();
        return config;
    }
    if let Some(person) = people.clone().find(|person| matches!(person.way, Way::NoAuthUser | Way::NoConnect)) {
        writeln!(config, "no_auth_user: {}", name(person)).unwrap();
    }
    // However busy the machine is.
    config.push_str("authorization { timeout: 30 }\naccounts {\n");
    for scene in scenes {
        let users: Vec<_> = [&scene.sender, &scene.receiver].map(user).into();
        writeln!(config, "  \"{}\" {{ users: [ {} ] }}", scene.home.seed.public(), users.join(", ")).unwrap();
    }
    config.push_str("}\n");
    config
}

/// How a certificate client speaks TLS; nothing for others.
pub fn tls(person: &Person, folder: &Path) -> Option<Arc<ClientConfig>> {
    let read = |name: String| fs::read_to_string(folder.join(name)).unwrap();
    (person.way == Way::Certificate).then(|| {
        let name = if person.forged { "nobody".to_owned() } else { person.seed.public().to_string() };
        tls::presenting(&folder.join("ca.pem"), &read(format!("{name}.pem")), &read(format!("{name}.key")))
    })
}

/// The CONNECT of a configured user.
pub fn connect_line(info: &Value, person: &Person) -> String {
    let mut fields = options(person);
    let secret = |right: String| if person.forged { "wrong".to_owned() } else { right };
    match person.way {
        Way::Password => {
            fields["user"] = json!(name(person));
            fields["pass"] = json!(secret(password(person)));
        }
        Way::Token => fields["auth_token"] = json!(secret(TOKEN.to_owned())),
        Way::Nkey => {
            fields["nkey"] = json!(person.seed.public());
            fields["sig"] = json!(signature(info, person));
        }
        _ => {}
    }
    format!("CONNECT {fields}\r\n")
}

fn name(person: &Person) -> String {
    let key = person.seed.public().to_string();
    if person.way == Way::Certificate { format!("{key}@example.org") } else { format!("user-{key}") }
}

fn password(person: &Person) -> String {
    format!("password-{}", person.seed.public())
}

fn user(person: &Person) -> String {
    let who = match person.way {
        Way::Nkey => format!("nkey: {}", person.seed.public()),
        Way::Certificate => format!("user: \"{}\"", name(person)),
        _ => format!("user: {}, password: {}", name(person), password(person)),
    };
    let types = &person.template.allowed_connection_types;
    let types = if types.is_empty() { String::new() } else { format!(", allowed_connection_types: {}", list(types)) };
    format!("{{ {who}{types}{} }}", permissions(&person.template.permissions))
}

fn permissions(claim: &PermissionsClaim) -> String {
    if claim.is_empty() {
        return String::new();
    }
    let mut text = ", permissions: {".to_owned();
    for (verb, subjects) in [("publish", &claim.publish), ("subscribe", &claim.subscribe)] {
        write!(text, " {verb}: {{ {} }},", lists(subjects)).unwrap();
    }
    if let Some(response) = claim.response {
        let expires = if response.ttl == 0 { "2m".to_owned() } else { format!("{}ns", response.ttl) };
        write!(text, " allow_responses: {{max: {}, expires: \"{expires}\"}}", response.max).unwrap();
    }
    text + " }"
}

fn lists(subjects: &SubjectsClaim) -> String {
    [("allow", &subjects.allow), ("deny", &subjects.deny)]
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(word, entries)| format!("{word}: {}", list(entries)))
        .collect::<Vec<_>>()
        .join(", ")
}

fn list(entries: &[String]) -> String {
    let quoted: Vec<_> = entries.iter().map(|entry| format!("\"{entry}\"")).collect();
    format!("[{}]", quoted.join(", "))
}

/// Writes an authority, a certificate of the broker, and one for each of these people and for nobody.
fn certify<'a>(people: impl Iterator<Item = &'a Person>, folder: &Path) {
    tls::install_provider();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    let issue = |file: &str, name: SanType| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = vec![name];
        fs::write(folder.join(format!("{file}.pem")), params.signed_by(&key, &authority).unwrap().pem()).unwrap();
        fs::write(folder.join(format!("{file}.key")), key.serialize_pem()).unwrap();
    };
    issue("server", SanType::IpAddress([127, 0, 0, 1].into()));
    issue("nobody", SanType::Rfc822Name("nobody@example.org".try_into().unwrap()));
    for person in people {
        let email = SanType::Rfc822Name(name(person).try_into().unwrap());
        issue(&person.seed.public().to_string(), email);
    }
}
