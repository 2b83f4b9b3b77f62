//! The ways in: how a message gets in, and by what somebody is who they are.

/// One way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Way {
    /// PUB to a plain subscription.
    Publish,
    /// HPUB.
    Headers,
    /// PUB with a reply subject.
    WithReply,
    /// PUB of a verbose connection.
    Verbose,
    /// PUB of a pedantic connection.
    Pedantic,
    /// HPUB with header fields that only the broker sets.
    ForgedHeaders,
    /// PUB to a queue subscription.
    Queue,
    /// PUB to a wildcard subscription.
    Wildcard,
    /// PUB to a subscription that ends by itself.
    AutoUnsubscribe,
    /// PUB that the account's mappings send elsewhere.
    AccountMapping,
    /// A request through a service import.
    ServiceImport,
    /// A request through a service import under another subject.
    MappedServiceImport,
    /// A message through a stream import.
    StreamImport,
    /// A message through a stream import under another subject.
    MappedStreamImport,
    /// The answer to a request through an import.
    ServiceReply,
    /// An answer by a response permission.
    ResponsePermission,
    /// A message with `Nats-Trace-Dest`, on its own way.
    TracedMessage,
    /// The report that `Nats-Trace-Dest` asks for.
    TraceDestination,
    /// The same, of a message that is not delivered.
    TraceOnly,
    /// What a tenant may ask the system account about itself.
    TenantSystemRequest,
    /// A request of the system account.
    SystemRequest,
    /// A user JWT that the account's identity signed.
    Creds,
    /// A user JWT that a signing key signed.
    SigningKey,
    /// A user JWT that a scoped signing key signed.
    ScopedKey,
    /// A bearer JWT.
    Bearer,
    /// A second CONNECT of a connection that was somebody else.
    SecondConnect,
    /// The user JWT that stands in for clients without one.
    Sentinel,
    /// A user made by the admin API.
    ApiUser,
    /// A user made by the admin API under a scoped signing key.
    ApiScopedUser,
    /// A configured name and password.
    Password,
    /// A configured nkey.
    Nkey,
    /// The configured token.
    Token,
    /// A client certificate that names a configured user.
    Certificate,
    /// The `no_auth_user`, by a CONNECT without credentials.
    NoAuthUser,
    /// The `no_auth_user`, without CONNECT.
    NoConnect,
    /// A client certificate that is mapped to a user JWT.
    CertificateJwt,
    /// A connection vouched for by a trusted proxy.
    Proxy,
    /// A client over WebSocket.
    WebSocket,
    /// A user that the account's own service let in.
    Callout,
    /// An MQTT client.
    Mqtt,
    /// A leaf node.
    LeafNode,
    /// Another server of a cluster or super-cluster.
    Route,
    /// A message that JetStream stores or sends again.
    JetStream,
    /// A connection inside the process.
    InProcess,
    /// Nobody is asked who they are.
    Anonymous,
}

/// What a way is about, which decides how its cells are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// A message, between users of accounts under an operator.
    Message,
    /// An identity under an operator.
    Identity,
    /// An identity made by the admin API.
    Api,
    /// An identity of the configuration.
    Configured,
    /// Shown by other tests, which this names.
    Elsewhere(&'static str),
    /// Not in the product: the configuration that would switch it on, which is refused.
    Absent(&'static str),
}

impl Way {
    /// Every way there is, and those that will come.
    pub const ALL: [Self; 45] = [
        Self::Publish,
        Self::Headers,
        Self::WithReply,
        Self::Verbose,
        Self::Pedantic,
        Self::ForgedHeaders,
        Self::Queue,
        Self::Wildcard,
        Self::AutoUnsubscribe,
        Self::AccountMapping,
        Self::ServiceImport,
        Self::MappedServiceImport,
        Self::StreamImport,
        Self::MappedStreamImport,
        Self::ServiceReply,
        Self::ResponsePermission,
        Self::TracedMessage,
        Self::TraceDestination,
        Self::TraceOnly,
        Self::TenantSystemRequest,
        Self::SystemRequest,
        Self::Creds,
        Self::SigningKey,
        Self::ScopedKey,
        Self::Bearer,
        Self::SecondConnect,
        Self::Sentinel,
        Self::ApiUser,
        Self::ApiScopedUser,
        Self::Password,
        Self::Nkey,
        Self::Token,
        Self::Certificate,
        Self::NoAuthUser,
        Self::NoConnect,
        Self::CertificateJwt,
        Self::Proxy,
        Self::Anonymous,
        Self::WebSocket,
        Self::Callout,
        Self::Mqtt,
        Self::LeafNode,
        Self::Route,
        Self::JetStream,
        Self::InProcess,
    ];

    /// What it is called in the table.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Publish => "plain publish",
            Self::Headers => "publish with headers",
            Self::WithReply => "publish with reply",
            Self::Verbose => "publish, verbose",
            Self::Pedantic => "publish, pedantic",
            Self::ForgedHeaders => "headers with forged internal fields",
            Self::Queue => "queue subscription",
            Self::Wildcard => "wildcard subscription",
            Self::AutoUnsubscribe => "auto-unsubscribe",
            Self::AccountMapping => "subject mapped by the account",
            Self::ServiceImport => "request through an import",
            Self::MappedServiceImport => "request through an import under another subject",
            Self::StreamImport => "stream import",
            Self::MappedStreamImport => "stream import under another subject",
            Self::ServiceReply => "reply to a service request (`_R_`)",
            Self::ResponsePermission => "reply by response permission",
            Self::TracedMessage => "traced message",
            Self::TraceDestination => "trace destination",
            Self::TraceOnly => "trace only",
            Self::TenantSystemRequest => "account-scoped `$SYS.REQ`",
            Self::SystemRequest => "system account request",
            Self::Creds => "nonce-signing JWT",
            Self::SigningKey => "JWT by a signing key",
            Self::ScopedKey => "JWT by a scoped signing key",
            Self::Bearer => "bearer JWT",
            Self::SecondConnect => "second CONNECT",
            Self::Sentinel => "`default_sentinel`",
            Self::ApiUser => "user made by the API",
            Self::ApiScopedUser => "scoped user made by the API",
            Self::Password => "user and password",
            Self::Nkey => "nkey",
            Self::Token => "token",
            Self::Certificate => "certificate-mapped user",
            Self::NoAuthUser => "`no_auth_user`",
            Self::NoConnect => "`no_auth_user` without CONNECT",
            Self::CertificateJwt => "certificate mapped to a JWT",
            Self::Proxy => "trusted proxy",
            Self::Anonymous => "`insecure_no_auth`",
            Self::WebSocket => "WebSocket",
            Self::Callout => "auth callout",
            Self::Mqtt => "MQTT",
            Self::LeafNode => "leaf node",
            Self::Route => "route, gateway",
            Self::JetStream => "JetStream",
            Self::InProcess => "in process",
        }
    }

    /// How its cells are made.
    pub const fn group(self) -> Group {
        match self {
            Self::Creds
            | Self::SigningKey
            | Self::ScopedKey
            | Self::Bearer
            | Self::SecondConnect
            | Self::Sentinel
            | Self::WebSocket
            | Self::Callout => Group::Identity,
            Self::ApiUser | Self::ApiScopedUser => Group::Api,
            Self::Password | Self::Nkey | Self::Token | Self::Certificate | Self::NoAuthUser | Self::NoConnect => {
                Group::Configured
            }
            Self::CertificateJwt => {
                Group::Elsewhere("a_certificate_of_the_authority_connects_as_the_user_it_is_mapped_to")
            }
            Self::Proxy => Group::Elsewhere("a_proxy_that_is_required_must_have_signed_the_nonce"),
            Self::Anonymous => Group::Elsewhere("what_is_insecure_is_warned_of_and_refused_when_strict"),
            Self::Mqtt => Group::Absent("mqtt { port: -1 }"),
            Self::LeafNode => Group::Elsewhere("a_user_of_an_account_joins_that_account_whatever_it_says"),
            Self::Route => Group::Absent("cluster { name: c, port: -1 }"),
            Self::JetStream => Group::Elsewhere("a_domains_name_and_another_account_give_no_more_rights_over_streams"),
            Self::InProcess => Group::Absent("in_process { }"),
            _ => Group::Message,
        }
    }

    /// Kinds of connection, of identification and of operation of the product that this row is about, by
    /// their names in the source.
    pub const fn covers(self) -> &'static [&'static str] {
        match self {
            Self::Publish => &["ConnectionType::Standard", "Frame::Publish", "Frame::Ping", "Frame::Pong"],
            Self::Verbose => &["Frame::Ok", "Frame::Info", "Frame::PeerError"],
            Self::WithReply => &["Frame::Subscribe"],
            Self::AutoUnsubscribe => &["Frame::Unsubscribe"],
            Self::TenantSystemRequest => &[
                "$SYS.REQ.USER.INFO",
                "$SYS.REQ.ACCOUNT.PING.CONNZ",
                "$SYS.REQ.SERVER.PING.CONNZ",
                "$SYS.REQ.ACCOUNT.PING.STATZ",
            ],
            Self::Creds => &["Method::Jwt"],
            Self::Bearer => &["Method::Bearer"],
            Self::SecondConnect => &["Frame::Connect"],
            Self::Password => &["Method::Password"],
            Self::Nkey => &["Method::Nkey"],
            Self::Token => &["Method::Token"],
            Self::Certificate => &["Method::Certificate"],
            Self::NoAuthUser => &["Method::NoAuthUser"],
            Self::Anonymous => &["Method::Anonymous"],
            Self::Callout => &["Method::Callout"],
            Self::WebSocket => &["ConnectionType::Websocket"],
            Self::Mqtt => &["ConnectionType::Mqtt", "ConnectionType::MqttWs"],
            Self::LeafNode => &["ConnectionType::Leafnode", "ConnectionType::LeafnodeWs"],
            Self::InProcess => &["ConnectionType::InProcess"],
            _ => &[],
        }
    }
}
