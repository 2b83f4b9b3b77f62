//! What a change of an account would do: whom brokers would disconnect, which imports would stop.

use std::collections::HashMap;

use cordon_accounts::claims::{AccountClaims, Signer};
use cordon_accounts::key::{AccountKey, PublicKey, UserKey};
use cordon_accounts::name::AccountName;
use cordon_accounts::reason::Reason;
use cordon_accounts::sharing::{AccountSharing, ImportRefusal};

use super::web::Web;
use super::{IssueError, Issuer};
use crate::broker::{Connection, ConnectionFilter};
use crate::model::{BrokenImport, Disconnect, Effect};
use crate::store::{AccountRow, Unit, UserRow};

/// A change that is looked at and not made.
pub(crate) struct Changed {
    pub(crate) row: Box<AccountRow>,
    pub(crate) before: Box<AccountClaims>,
    pub(crate) after: Box<AccountClaims>,
    pub(crate) strict: bool,
    pub(crate) now: i64,
}

/// The effect of a change. The unit is given up before brokers are asked: nobody waits for them to write.
pub(crate) async fn of(issuer: &Issuer, mut unit: Unit, changed: Changed) -> Result<Effect, IssueError> {
    let mut effect = Effect { dry_run: true, ..Effect::default() };
    effect.imports_broken = broken_imports(&mut unit, &changed).await?;
    drop(unit);
    let Some(broker) = issuer.broker() else {
        effect.warnings.push("there is no way to a broker, so live connections are not known".to_owned());
        return Ok(effect);
    };
    let filter = ConnectionFilter { account: Some(changed.row.key), one: None };
    match broker.connections(&filter).await {
        Ok(connections) => {
            effect.disconnects_known = true;
            effect.disconnects = disconnects(issuer, &changed, connections).await?;
        }
        Err(error) => effect.warnings.push(format!("live connections are not known: {error}")),
    }
    if changed.after.nats.revocations.len() > 1000 {
        effect.warnings.push("the account has more than 1,000 revocations; each push carries all of them".to_owned());
    }
    Ok(effect)
}

/// The imports that work now and would not afterwards: the account's own, and those of its importers.
async fn broken_imports(unit: &mut Unit, changed: &Changed) -> Result<Vec<BrokenImport>, IssueError> {
    let mut web = Web::whole(unit).await?;
    let name = AccountName::from(changed.row.key);
    web.put(&changed.before, changed.strict);
    let mut concerned = web.importers_of(&name);
    concerned.extend(web.get(&name).filter(|own| !own.imports.iter().any(|import| import.exporter == name)).cloned());
    let refused_before: HashMap<AccountName, Vec<ImportRefusal>> =
        concerned.iter().map(|importer| (importer.name.clone(), web.resolve(importer, changed.now).refused)).collect();
    web.put(&changed.after, changed.strict);
    let mut broken = Vec::new();
    for importer in concerned {
        let before = refused_before.get(&importer.name).map(Vec::as_slice).unwrap_or_default();
        let Some(importer) = web.get(&importer.name) else { continue };
        for refusal in web.resolve(importer, changed.now).refused {
            let same = |old: &ImportRefusal| {
                old.kind == refusal.kind && old.subject == refusal.subject && old.exporter == refusal.exporter
            };
            if !before.iter().any(same) {
                broken.push(broken_import(&web, importer, refusal));
            }
        }
    }
    Ok(broken)
}

fn broken_import(web: &Web, importer: &AccountSharing, refusal: ImportRefusal) -> BrokenImport {
    let local = importer.imports.get(refusal.index).and_then(|import| import.local()).map(ToString::to_string);
    BrokenImport {
        importer: importer.name.to_string(),
        importer_name: web.display_name(&importer.name),
        exporter: refusal.exporter.to_string(),
        kind: refusal.kind.to_string(),
        subject: refusal.subject,
        local_subject: local.unwrap_or_default(),
        reason: refusal.reason.code().to_owned(),
        detail: refusal.text,
    }
}

/// Which of the connections would end, and why.
async fn disconnects(
    issuer: &Issuer,
    changed: &Changed,
    mut connections: Vec<Connection>,
) -> Result<Vec<Disconnect>, IssueError> {
    let mut reader = issuer.store().read().await?;
    let mut ends = Vec::new();
    // Brokers keep the oldest when there are too many.
    connections.sort_by(|a, b| (&a.start, a.cid).cmp(&(&b.start, b.cid)));
    let mut kept: u32 = 0;
    let bound = changed.after.nats.limits.conn.bound();
    for connection in connections {
        let user = UserKey::parse(&connection.authorized_user).ok();
        let row = match user {
            Some(user) => reader.users().lookup(&changed.row.key, &user).await?,
            None => None,
        };
        let standing = Standing::of(&connection, row.as_ref());
        let reason = match standing.end(changed) {
            None if bound.is_some_and(|bound| kept >= bound) => Some(Reason::AccountConnectionLimit),
            reason => reason,
        };
        match reason {
            None => kept += 1,
            Some(reason) => ends.push(Disconnect {
                server: connection.server,
                cid: connection.cid,
                account: changed.row.key.to_string(),
                user: connection.authorized_user,
                user_name: row.map(|row| row.name).unwrap_or_default(),
                ip: connection.ip,
                reason: reason.code().to_owned(),
            }),
        }
    }
    Ok(ends)
}

/// What is known of how a connection was let in.
struct Standing {
    user: Option<UserKey>,
    issued_at: Option<i64>,
    signer: Option<PublicKey>,
    bearer: bool,
}

impl Standing {
    /// From the JWT that the connection presented, where the broker shows it; from the store otherwise.
    fn of(connection: &Connection, row: Option<&UserRow>) -> Self {
        let presented = cordon_accounts::claims::decode::<cordon_accounts::claims::User>(&connection.jwt).ok();
        let stored =
            row.and_then(|row| cordon_accounts::claims::decode::<cordon_accounts::claims::User>(&row.claims_jwt).ok());
        let claims = presented.or(stored);
        Self {
            user: UserKey::parse(&connection.authorized_user).ok(),
            issued_at: claims.as_ref().map(|claims| claims.issued_at),
            signer: claims.as_ref().map(|claims| claims.issuer),
            bearer: claims.is_some_and(|claims| claims.nats.template.bearer_token),
        }
    }

    /// Why the change would end the connection, if it would (auth.md, section 7).
    fn end(&self, changed: &Changed) -> Option<Reason> {
        let after = &changed.after;
        if let (Some(user), Some(issued_at)) = (self.user, self.issued_at)
            && after.nats.revocations.is_revoked(&user.public(), issued_at)
        {
            return Some(Reason::Revoked);
        }
        let scope_bearer = |claims: &AccountClaims| {
            self.signer.and_then(|signer| claims.scope(&signer)).is_some_and(|scope| scope.template.bearer_token)
        };
        if after.nats.limits.disallow_bearer && (self.bearer || scope_bearer(&changed.before)) {
            return Some(Reason::BearerNotAllowed);
        }
        let signer = self.signer?;
        match (changed.before.signer(&signer, changed.strict), after.signer(&signer, changed.strict)) {
            (_, None) => Some(Reason::SigningKeyRemoved),
            (Some(before), Some(now)) if !same_right(&before, &now) => Some(Reason::CredentialsChanged),
            _ => None,
        }
    }
}

fn same_right(before: &Signer<'_>, now: &Signer<'_>) -> bool {
    match (before, now) {
        (Signer::Scoped(before), Signer::Scoped(now)) => before.template == now.template,
        (Signer::Scoped(_), _) | (_, Signer::Scoped(_)) => false,
        _ => true,
    }
}

/// An effect that touches nobody: for objects that no connection uses yet.
pub(crate) fn none() -> Effect {
    Effect { dry_run: true, disconnects_known: true, ..Effect::default() }
}

/// The effect of ending all connections of some users.
pub(crate) async fn ending(issuer: &Issuer, account: &AccountKey, user: &UserKey, reason: Reason) -> Effect {
    let mut effect = Effect { dry_run: true, ..Effect::default() };
    let Some(broker) = issuer.broker() else { return effect };
    let filter = ConnectionFilter { account: Some(*account), one: None };
    if let Ok(connections) = broker.connections(&filter).await {
        effect.disconnects_known = true;
        let of_user = connections
            .into_iter()
            .filter(|connection| UserKey::parse(&connection.authorized_user).ok() == Some(*user));
        effect.disconnects = of_user
            .map(|connection| Disconnect {
                server: connection.server,
                cid: connection.cid,
                account: account.to_string(),
                user: user.to_string(),
                user_name: String::new(),
                ip: connection.ip,
                reason: reason.code().to_owned(),
            })
            .collect();
    }
    effect
}
