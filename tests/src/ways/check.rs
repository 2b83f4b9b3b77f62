//! The checks, each of which has to hold on every way in.

/// One check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Check {
    /// The sender may publish elsewhere only.
    PublishAllow,
    /// The sender may not publish there.
    PublishDeny,
    /// The account's default permissions come to deny it.
    DefaultPermissions,
    /// The receiver may subscribe elsewhere only.
    SubscribeAllow,
    /// A deny contains the receiver's subscription.
    SubscribeDeny,
    /// A deny overlaps the receiver's wildcard subscription.
    SubscribeOverlap,
    /// The receiver may join another queue group only.
    QueueAllow,
    /// The receiver may not join its queue group.
    QueueDeny,
    /// A queue group's wildcard subscription overlaps a deny.
    QueueOverlap,
    /// One answer more than is granted.
    ResponseCount,
    /// An answer after the grant's time.
    ResponseTime,
    /// A message larger than the broker takes.
    ServerPayload,
    /// A message larger than the account may send.
    AccountPayload,
    /// A message larger than the user may send.
    UserPayload,
    /// A subscription more than each connection of the account may have.
    AccountSubscriptions,
    /// A subscription more than the user may have.
    UserSubscriptions,
    /// A connection more than the account may have.
    AccountConnections,
    /// Bytes in all.
    Data,
    /// The user may connect in another manner only.
    ConnectionType,
    /// The user may connect from elsewhere only.
    Network,
    /// The user may connect at another time of day only.
    TimeOfDay,
    /// The user may connect later only.
    NotBefore,
    /// The user could connect earlier only.
    Expired,
    /// The user's time ends while it is connected.
    Expires,
    /// The sender is revoked while it is connected.
    UserRevoked,
    /// All users of the sender's account are revoked.
    EverybodyRevoked,
    /// The receiver is revoked while it is connected.
    ReceiverRevoked,
    /// The key that signed the sender goes from its account.
    SigningKeyRemoved,
    /// The sender's account expires.
    AccountExpires,
    /// The sender's account is deleted.
    AccountDeleted,
    /// The importer has no activation of a private export.
    ActivationMissing,
    /// The importer's activation is revoked.
    ActivationRevoked,
    /// The import takes less than it did.
    ImportNarrowed,
    /// The export offers less than it did.
    ExportNarrowed,
    /// A subject that only the broker uses.
    ReservedSubject,
    /// A reply subject that only the broker uses.
    ReservedReply,
    /// A queue group that only the broker uses.
    ReservedQueue,
    /// A subject that is none.
    InvalidSubject,
    /// A subject of too many tokens.
    TooManyTokens,
    /// A proof that is not the identity's.
    Proof,
    /// An account named in CONNECT.
    AccountNamed,
    /// Bearer JWTs are forbidden while one is connected.
    BearerForbidden,
}

/// Whom a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Who publishes.
    Sender,
    /// Who subscribes.
    Receiver,
}

impl Check {
    /// Every check, in the order of the table.
    pub const ALL: [Self; 42] = [
        Self::PublishAllow,
        Self::PublishDeny,
        Self::DefaultPermissions,
        Self::SubscribeAllow,
        Self::SubscribeDeny,
        Self::SubscribeOverlap,
        Self::QueueAllow,
        Self::QueueDeny,
        Self::QueueOverlap,
        Self::ResponseCount,
        Self::ResponseTime,
        Self::ServerPayload,
        Self::AccountPayload,
        Self::UserPayload,
        Self::AccountSubscriptions,
        Self::UserSubscriptions,
        Self::AccountConnections,
        Self::Data,
        Self::ConnectionType,
        Self::Network,
        Self::TimeOfDay,
        Self::NotBefore,
        Self::Expired,
        Self::Expires,
        Self::UserRevoked,
        Self::EverybodyRevoked,
        Self::ReceiverRevoked,
        Self::SigningKeyRemoved,
        Self::AccountExpires,
        Self::AccountDeleted,
        Self::ActivationMissing,
        Self::ActivationRevoked,
        Self::ImportNarrowed,
        Self::ExportNarrowed,
        Self::ReservedSubject,
        Self::ReservedReply,
        Self::ReservedQueue,
        Self::InvalidSubject,
        Self::TooManyTokens,
        Self::Proof,
        Self::AccountNamed,
        Self::BearerForbidden,
    ];

    /// What it is called in the table.
    pub const fn title(self) -> &'static str {
        match self {
            Self::PublishAllow => "publish allow",
            Self::PublishDeny => "publish deny",
            Self::DefaultPermissions => "default permissions, narrowed live",
            Self::SubscribeAllow => "subscribe allow",
            Self::SubscribeDeny => "subscribe deny, containing",
            Self::SubscribeOverlap => "subscribe deny, overlapping",
            Self::QueueAllow => "queue allow",
            Self::QueueDeny => "queue deny",
            Self::QueueOverlap => "queue deny, overlapping",
            Self::ResponseCount => "responses, count",
            Self::ResponseTime => "responses, time",
            Self::ServerPayload => "payload, server",
            Self::AccountPayload => "payload, account",
            Self::UserPayload => "payload, user",
            Self::AccountSubscriptions => "subscriptions, account",
            Self::UserSubscriptions => "subscriptions, user",
            Self::AccountConnections => "connections, account",
            Self::Data => "data, account and user",
            Self::ConnectionType => "connection types",
            Self::Network => "source networks",
            Self::TimeOfDay => "times of day",
            Self::NotBefore => "not before",
            Self::Expired => "expired",
            Self::Expires => "expires live",
            Self::UserRevoked => "sender revoked live",
            Self::EverybodyRevoked => "`*` revoked live",
            Self::ReceiverRevoked => "receiver revoked live",
            Self::SigningKeyRemoved => "signing key removed live",
            Self::AccountExpires => "account expires live",
            Self::AccountDeleted => "account deleted live",
            Self::ActivationMissing => "activation missing",
            Self::ActivationRevoked => "activation revoked live",
            Self::ImportNarrowed => "import narrowed live",
            Self::ExportNarrowed => "export narrowed live",
            Self::ReservedSubject => "reserved subject",
            Self::ReservedReply => "reserved reply",
            Self::ReservedQueue => "reserved queue group",
            Self::InvalidSubject => "subject validity",
            Self::TooManyTokens => "maximum of tokens",
            Self::Proof => "proof of identity",
            Self::AccountNamed => "account named in CONNECT",
            Self::BearerForbidden => "bearer forbidden live",
        }
    }

    /// Whom it is about.
    pub const fn side(self) -> Side {
        match self {
            Self::SubscribeAllow
            | Self::SubscribeDeny
            | Self::SubscribeOverlap
            | Self::QueueAllow
            | Self::QueueDeny
            | Self::QueueOverlap
            | Self::AccountSubscriptions
            | Self::UserSubscriptions
            | Self::ReceiverRevoked
            | Self::ReservedQueue
            | Self::InvalidSubject
            | Self::TooManyTokens => Side::Receiver,
            _ => Side::Sender,
        }
    }
}
