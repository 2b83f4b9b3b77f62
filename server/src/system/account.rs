//! Requests about one account: by the account in the subject, whatever the body says.
//!
//! Tenants reach these by the border, which puts their own account into the subject. An asker from
//! outside the system account gets no address of the host: the server's name stands in its place.

use serde_json::{Value, json};

use crate::broker::Broker;
use crate::monitoring::Fault;
use crate::monitoring::accounts::{self, AccountStatOptions};
use crate::monitoring::connz::{self, ConnzOptions};
use crate::monitoring::jsz;
use crate::monitoring::leafz::{self, LeafzOptions};
use crate::monitoring::subsz::{self, SubszOptions};
use crate::system::ask::AccountAsk;
use crate::system::desk::Request;
use crate::system::server::Filter;
use crate::system::{envelope, event};

/// The place of an account in the subject that means all of them.
const ALL: &str = "PING";

/// Answers a request about `account`.
pub fn answer(broker: &Broker, request: &Request, account: &str, kind: AccountAsk) {
    match request.options::<Filter>() {
        Ok(filter) if !filter.admits(broker) => return,
        Ok(_) => {}
        Err(error) => return request.fail(broker, 400, &error),
    }
    let outcome = match view(broker, request, account, kind) {
        Ok(Some(outcome)) => outcome,
        Ok(None) => return,
        Err(error) => return request.fail(broker, 400, &error),
    };
    match outcome {
        Ok(data) if kind == AccountAsk::Conns => request.answer(broker, &data),
        Ok(data) => request.answer(broker, &with_asker(broker, request, data)),
        Err(fault) => request.fail(broker, 500, &fault.to_string()),
    }
}

/// The outer error is one of the request's body, the inner one of what it asks; `None` is silence.
type View = Result<Option<Result<Value, Fault>>, String>;

fn view(broker: &Broker, request: &Request, account: &str, kind: AccountAsk) -> View {
    if account == ALL && kind != AccountAsk::Statz {
        return Ok(None);
    }
    let only = Some(account);
    Ok(Some(match kind {
        AccountAsk::Connz => connz::connz(broker, &request.options::<ConnzOptions>()?, only),
        AccountAsk::Conns => match tenant(broker, account).filter(|tenant| tenant.connection_count() > 0) {
            Some(tenant) => Ok(event::connection_count(broker, &tenant)),
            None => return Ok(None),
        },
        AccountAsk::Info => accounts::detail(broker, account, true),
        AccountAsk::Jsz => jsz::of_account(broker, &request.options()?, account),
        AccountAsk::Leafz => Ok(leafz::leafz(broker, &request.options::<LeafzOptions>()?, only)),
        AccountAsk::Statz => {
            let options: AccountStatOptions = request.options()?;
            let only = only.filter(|account| *account != ALL);
            let idle =
                only.is_some_and(|account| tenant(broker, account).is_none_or(|tenant| tenant.connection_count() == 0));
            if idle && !options.include_unused {
                return Ok(None);
            }
            Ok(accounts::accstatz(broker, &options, only))
        }
        AccountAsk::Subsz => {
            let options = SubszOptions { subscriptions: true, ..request.options()? };
            subsz::subsz(broker, &options, only)
        }
    }))
}

fn tenant(broker: &Broker, account: &str) -> Option<std::sync::Arc<crate::tenant::Tenant>> {
    broker.tenants.find(&cordon_accounts::name::AccountName::new(account))
}

fn with_asker(broker: &Broker, request: &Request, data: Value) -> Value {
    let mut server = envelope::server_info(broker);
    if request.asker.is_none()
        && let Value::Object(fields) = &mut server
    {
        fields.insert("host".to_owned(), json!(&*broker.name));
    }
    json!({"server": server, "data": data})
}
