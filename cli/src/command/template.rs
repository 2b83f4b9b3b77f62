//! What a user may do: arguments shared by users and by scopes of signing keys.

use clap::Args;
use serde_json::{Value, json};

use super::body::Body;
use super::time::milliseconds;

/// Permissions, limits and conditions of a user or of all users of a scoped key.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Template {
    #[command(flatten)]
    permissions: Permissions,
    /// Most subscriptions
    #[arg(long, value_name = "N")]
    max_subscriptions: Option<u64>,
    /// Longest message, in bytes
    #[arg(long, value_name = "BYTES")]
    max_payload: Option<u64>,
    /// The JWT alone is enough: no proof of the key is asked for
    #[arg(long)]
    bearer: bool,
    /// Only connections that a trusted proxy vouches for
    #[arg(long)]
    proxy_required: bool,
    /// Way to connect that is allowed: STANDARD, WEBSOCKET, LEAFNODE, MQTT
    #[arg(long, value_name = "TYPE")]
    connection_type: Vec<String>,
    /// Network to connect from: 10.0.0.0/8
    #[arg(long, value_name = "CIDR")]
    source_network: Vec<String>,
    /// Time of day to connect at: 08:00:00-18:00:00
    #[arg(long, value_name = "FROM-TO", value_parser = window)]
    time: Vec<Value>,
    /// Zone of the times: Europe/Berlin
    #[arg(long, value_name = "ZONE", requires = "time")]
    time_zone: Option<String>,
}

/// Subjects that may be used.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Permissions {
    /// What is allowed of streams, buckets and object stores, in words: "stream ORDERS: consume eu.>"
    #[arg(long, value_name = "WORDS")]
    allow: Vec<String>,
    /// Subject to which publishing is allowed; without any, all are
    #[arg(long, value_name = "SUBJECT")]
    allow_pub: Vec<String>,
    /// Subject to which publishing is denied
    #[arg(long, value_name = "SUBJECT")]
    deny_pub: Vec<String>,
    /// Subject that may be subscribed to; without any, all may. `SUBJECT QUEUE` for one queue
    #[arg(long, value_name = "SUBJECT")]
    allow_sub: Vec<String>,
    /// Subject that may not be subscribed to
    #[arg(long, value_name = "SUBJECT")]
    deny_sub: Vec<String>,
    /// Allow so many replies to each request that is received
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "1")]
    allow_responses: Option<i64>,
    /// How long a reply is allowed after the request
    #[arg(long, value_name = "TIME", value_parser = milliseconds, requires = "allow_responses")]
    response_ttl: Option<i64>,
}

impl Permissions {
    /// Empty if nothing was said.
    pub(crate) fn body(&self) -> Body {
        let publish = Body::default().list("allow", &self.allow_pub).list("deny", &self.deny_pub);
        let subscribe = Body::default().list("allow", &self.allow_sub).list("deny", &self.deny_sub);
        let response = self
            .allow_responses
            .map(|max| Body::default().set("max", max).set("ttl_ms", self.response_ttl.unwrap_or(0)));
        Body::default()
            .list("words", &self.allow)
            .object("publish", publish)
            .object("subscribe", subscribe)
            .object("response", response.unwrap_or_default())
    }
}

impl Template {
    /// The fields that were said, as the API names them.
    pub(crate) fn body(&self) -> Body {
        let limits =
            Body::default().maybe("subscriptions", self.max_subscriptions).maybe("payload_bytes", self.max_payload);
        Body::default()
            .object("permissions", self.permissions.body())
            .object("limits", limits)
            .flag("bearer", self.bearer)
            .flag("proxy_required", self.proxy_required)
            .list("connection_types", &self.connection_type)
            .list("source_networks", &self.source_network)
            .maybe("times", (!self.time.is_empty()).then(|| self.time.clone()))
            .maybe("time_zone", self.time_zone.clone())
    }
}

fn window(text: &str) -> Result<Value, String> {
    let (start, end) =
        text.split_once('-').ok_or_else(|| format!("`{text}` is no time of day; write 08:00:00-18:00:00"))?;
    Ok(json!({ "start": start, "end": end }))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        template: Template,
    }

    fn body(line: &str) -> Value {
        Line::try_parse_from(std::iter::once("x").chain(line.split_whitespace())).unwrap().template.body().into_value()
    }

    #[test]
    fn arguments_become_the_fields_of_the_api() {
        let given = "--allow-pub a.> --allow-pub b --deny-sub c --allow-responses --max-subscriptions 3 --time 08:00:00-18:00:00 --time-zone UTC";
        let expected = json!({
            "permissions": { "publish": { "allow": ["a.>", "b"] }, "subscribe": { "deny": ["c"] }, "response": { "max": 1, "ttl_ms": 0 } },
            "limits": { "subscriptions": 3 },
            "times": [{ "start": "08:00:00", "end": "18:00:00" }],
            "time_zone": "UTC",
        });
        assert_eq!(body(given), expected);
        assert_eq!(body(""), json!({}));
    }

    #[test]
    fn half_of_a_condition_is_refused() {
        for line in ["--time-zone UTC", "--time 08:00:00", "--response-ttl 5s", "--max-payload -1"] {
            assert!(Line::try_parse_from(std::iter::once("x").chain(line.split(' '))).is_err(), "{line}");
        }
    }
}
