//! Users and accounts of the configuration: what is said of them, and how others are put in force while theirs are
//! connected.

use std::sync::Arc;

use cordon_accounts::reason::Reason;
use cordon_auth::authenticator::Mode;
use cordon_auth::callout::CalloutSettings;
use cordon_auth::configured::{ConfiguredUser, Credential};
use cordon_auth::refusal::ClosePolicy;
use secrecy::ExposeSecret as _;

use crate::broker::Broker;
use crate::config::accounts::Configured;
use crate::reload::change::Setting;
use crate::tenant::{Terms, apply};

/// Every user and account, without secrets.
pub(super) fn describe(configured: &Configured) -> Vec<Setting> {
    let Configured { users, accounts, timeout: _ } = configured;
    let system = accounts.system().map_or_else(|| "none".to_owned(), ToString::to_string);
    let mut settings = vec![
        Setting::at_start("operator", "TrustedOperators", "none"),
        Setting::at_start("system_account", "SystemAccount", system),
        Setting::live("authorization required", users.is_required()),
        Setting::live("anonymous clients admitted", users.admits_anonymous()),
    ];
    settings.extend(users.all().map(|user| of_user(&format!("user `{}`", user.name), user)));
    settings.extend(users.token_user().map(|user| of_user("authorization token", user)));
    settings.extend(users.no_auth_user().map(|user| Setting::live("no_auth_user", &user.name)));
    settings.extend(users.callout().map(of_callout));
    settings.extend(accounts.all().map(of_account));
    settings
}

fn of_user(name: &str, user: &ConfiguredUser) -> Setting {
    let ConfiguredUser { name: _, credential, account, permissions, limits: _, connection_types, proxy_required } =
        user;
    let permissions = serde_json::to_string(permissions.claim()).unwrap_or_default();
    let mut parts = vec![format!("in {account} by {credential:?}"), permissions];
    if !connection_types.is_empty() {
        parts.push(format!("as {}", connection_types.join(" or ")));
    }
    if *proxy_required {
        parts.push("through a proxy".to_owned());
    }
    let setting = Setting::live(name, parts.join(", "));
    match credential {
        Credential::Password(stored) => setting.with_secret(stored.expose_secret()),
        Credential::Certificate | Credential::Nkey(_) => setting,
    }
}

/// The broker listens for answers where it was told to at the start.
fn of_callout(callout: &CalloutSettings) -> Setting {
    let CalloutSettings { issuer, account, users, xkey, allowed_accounts } = callout;
    let sealed = if xkey.is_some() { "sealed" } else { "open" };
    let mut users: Vec<_> = users.iter().map(String::as_str).collect();
    users.sort_unstable();
    let allowed: Vec<_> = allowed_accounts.iter().map(ToString::to_string).collect();
    let shown =
        format!("{sealed}, by {issuer} in {account}, users [{}], for [{}]", users.join(", "), allowed.join(", "));
    Setting::at_start("auth_callout", "AuthCallout", shown).with_secret(format!("{xkey:?}"))
}

fn of_account(terms: &Arc<Terms>) -> Setting {
    let Terms { name, sharing, max_connections, .. } = &**terms;
    let exports: Vec<String> = sharing.exports.iter().map(|export| export.subject.to_string()).collect();
    let imports: Vec<String> = sharing.imports.iter().map(|import| format!("from {}", import.exporter)).collect();
    let most = max_connections.map(|most| format!(", {most} connections")).unwrap_or_default();
    let shown = format!("exports [{}], imports [{}]{most}", exports.join(", "), imports.join(", "));
    Setting::live(format!("account `{name}`"), shown).with_terms(terms.clone())
}

/// Puts them in force: on who connects from now on, and on what is connected.
///
/// The accounts come first, so that nobody is accepted into one that is not there yet; and once more after the users,
/// for connections are held against the users of that moment.
pub(super) async fn put_in_force(configured: Configured, broker: &Arc<Broker>) {
    let Configured { users, accounts, timeout: _ } = configured;
    broker.tenants.configure(broker, accounts.clone()).await;
    broker.replace_identities(Mode::Configured(users));
    close_unasked(broker);
    broker.tenants.configure(broker, accounts).await;
}

/// Ends connections that are served without ever having been asked who they are, once everybody is.
fn close_unasked(broker: &Arc<Broker>) {
    for connection in broker.connections.open() {
        if connection.is_served_unasked() && broker.demands_credentials(connection.transport.client_type()) {
            let detail = "clients are asked who they are from now on";
            apply::end(&connection, ClosePolicy::AUTHORIZATION_VIOLATION, Reason::MissingCredentials, detail);
        }
    }
}
