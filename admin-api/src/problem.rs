//! What a caller is told when a request fails: `application/problem+json` (RFC 9457).
//!
//! The `type` is stable and closed: [`Code`] is the whole list. `detail` says what was wrong with this
//! request, `field` where, and `remedy` what to do about it. Nothing of our insides is in it: a cause
//! that is ours goes to the log under the request's id.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// Kinds of problems. The text after `urn:cordon:problem:` never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request body is longer than is read.
    BodyTooLarge,
    /// No broker could be asked.
    BrokerUnavailable,
    /// The resulting claims would not be valid.
    ClaimsInvalid,
    /// The state of the object does not allow this now.
    Conflict,
    /// The token is good, its role is not enough.
    Forbidden,
    /// The idempotency key was used for another request.
    IdempotencyMismatch,
    /// The import cannot work as asked.
    ImportRefused,
    /// Our fault.
    Internal,
    /// The request is malformed.
    Invalid,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// There is no such object, or none that this caller may know of.
    NotFound,
    /// The object changed since it was read.
    PreconditionFailed,
    /// A change without `If-Match`.
    PreconditionRequired,
    /// The vault does not hold the seed that would have to sign.
    SeedUnavailable,
    /// The database cannot be reached or is full.
    StoreUnavailable,
    /// The request took too long.
    Timeout,
    /// Too many requests.
    TooManyRequests,
    /// No token, or one that is unknown, expired or revoked. Which of them is not told.
    Unauthenticated,
    /// The body is not JSON by its content type.
    UnsupportedMediaType,
}

impl Code {
    /// Every code, for the document and for tests.
    pub const ALL: [Self; 19] = [
        Self::BodyTooLarge,
        Self::BrokerUnavailable,
        Self::ClaimsInvalid,
        Self::Conflict,
        Self::Forbidden,
        Self::IdempotencyMismatch,
        Self::ImportRefused,
        Self::Internal,
        Self::Invalid,
        Self::MethodNotAllowed,
        Self::NotFound,
        Self::PreconditionFailed,
        Self::PreconditionRequired,
        Self::SeedUnavailable,
        Self::StoreUnavailable,
        Self::Timeout,
        Self::TooManyRequests,
        Self::Unauthenticated,
        Self::UnsupportedMediaType,
    ];

    /// The stable name: what follows `urn:cordon:problem:`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BodyTooLarge => "body-too-large",
            Self::BrokerUnavailable => "broker-unavailable",
            Self::ClaimsInvalid => "claims-invalid",
            Self::Conflict => "conflict",
            Self::Forbidden => "forbidden",
            Self::IdempotencyMismatch => "idempotency-mismatch",
            Self::ImportRefused => "import-refused",
            Self::Internal => "internal",
            Self::Invalid => "invalid",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::NotFound => "not-found",
            Self::PreconditionFailed => "precondition-failed",
            Self::PreconditionRequired => "precondition-required",
            Self::SeedUnavailable => "seed-unavailable",
            Self::StoreUnavailable => "store-unavailable",
            Self::Timeout => "timeout",
            Self::TooManyRequests => "too-many-requests",
            Self::Unauthenticated => "unauthenticated",
            Self::UnsupportedMediaType => "unsupported-media-type",
        }
    }

    /// The HTTP status that goes with it.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BrokerUnavailable | Self::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::ClaimsInvalid | Self::ImportRefused | Self::Invalid | Self::SeedUnavailable => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::Conflict | Self::IdempotencyMismatch => StatusCode::CONFLICT,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    /// The same sentence for every problem of this kind.
    pub const fn title(self) -> &'static str {
        match self {
            Self::BodyTooLarge => "the request body is too long",
            Self::BrokerUnavailable => "no broker could be reached",
            Self::ClaimsInvalid => "the resulting claims would not be valid",
            Self::Conflict => "the present state does not allow this",
            Self::Forbidden => "this token may not do that",
            Self::IdempotencyMismatch => "the idempotency key belongs to another request",
            Self::ImportRefused => "the import cannot work as asked",
            Self::Internal => "something failed on our side",
            Self::Invalid => "the request is not valid",
            Self::MethodNotAllowed => "this path does not know that method",
            Self::NotFound => "there is no such object",
            Self::PreconditionFailed => "the object has changed since it was read",
            Self::PreconditionRequired => "a change must say which version it changes",
            Self::SeedUnavailable => "the vault does not hold the key that must sign",
            Self::StoreUnavailable => "the store could not be reached",
            Self::Timeout => "the request took too long",
            Self::TooManyRequests => "too many requests",
            Self::Unauthenticated => "a valid token is needed",
            Self::UnsupportedMediaType => "the body must be JSON",
        }
    }

    /// What to do about it, where the one who raises the problem has nothing better to say.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::BodyTooLarge => "send at most 1 MiB; split the change into several requests",
            Self::BrokerUnavailable => {
                "look at GET /api/v1/brokers; what was changed is stored and is pushed when a broker answers"
            }
            Self::ClaimsInvalid => "correct what `detail` names and send the request again",
            Self::Conflict => "read the object again and bring it into the state that `detail` asks for",
            Self::Forbidden => {
                "use a token whose role and accounts cover this; GET /api/v1/whoami shows what yours may do"
            }
            Self::IdempotencyMismatch => "take a new Idempotency-Key for a new request",
            Self::ImportRefused => {
                "ask the exporter to change the export or to issue an activation, or correct the import"
            }
            Self::Internal => "try again; if it stays, give the request_id to whoever runs this server",
            Self::Invalid => "correct the field that is named; /openapi.json describes every body",
            Self::MethodNotAllowed => "see the `Allow` header and /openapi.json",
            Self::NotFound => "check the key or id in the path; the list of the collection shows those that exist",
            Self::PreconditionFailed => {
                "read the object again, apply your change to it, and send the new ETag in If-Match"
            }
            Self::PreconditionRequired => {
                "send `If-Match` with the ETag of the object as you read it, or `If-Match: *`"
            }
            Self::SeedUnavailable => "name a signing key whose seed is in the vault, or make one",
            Self::StoreUnavailable => "try again; GET /api/v1/health shows whether the store is up",
            Self::Timeout => "try again with a smaller request; with an Idempotency-Key a repeat is safe",
            Self::TooManyRequests => "wait as long as `Retry-After` says",
            Self::Unauthenticated => {
                "send `Authorization: Bearer cdn_...`; an owner makes tokens with POST /api/v1/tokens"
            }
            Self::UnsupportedMediaType => "send `Content-Type: application/json`",
        }
    }
}

/// One failed request, as the caller sees it.
///
/// Made where the request fails; becomes the answer when it leaves the router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which kind.
    pub code: Code,
    /// What was wrong with this request, for people.
    pub detail: String,
    /// The field of the body, the query parameter or the header that was wrong.
    pub field: Option<String>,
    /// What to do, when it is more than the code's own advice.
    pub remedy: Option<String>,
}

/// The wire form of a [`Problem`].
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody<'a> {
    /// `urn:cordon:problem:<code>`; stable.
    #[serde(rename = "type")]
    kind: String,
    /// The same for every problem of this type.
    title: &'a str,
    /// HTTP status.
    status: u16,
    /// What was wrong with this request.
    detail: &'a str,
    /// Where, when one place can be named.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// What to do about it.
    remedy: &'a str,
    /// Under this id the server's log knows the request.
    request_id: &'a str,
}

impl Problem {
    /// A problem of this kind.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), field: None, remedy: None }
    }

    /// A malformed request, and where.
    pub fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Code::Invalid, detail).at(field)
    }

    /// No such object.
    pub fn not_found(what: &str, id: impl std::fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("there is no {what} `{id}`"))
    }

    /// Something of ours failed. The cause goes to the log and stays there.
    pub fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed for a reason of our own");
        Self::new(Code::Internal, "the request could not be completed")
    }

    /// Names the field.
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Says what to do, better than the code can.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// The answer's body, under the id of the request.
    pub fn body<'a>(&'a self, request_id: &'a str) -> ProblemBody<'a> {
        ProblemBody {
            kind: format!("urn:cordon:problem:{}", self.code.name()),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: &self.detail,
            field: self.field.as_deref(),
            remedy: self.remedy.as_deref().unwrap_or(self.code.remedy()),
            request_id,
        }
    }

    /// The whole answer, under the id of the request.
    pub fn respond(&self, request_id: &str) -> Response {
        let body = serde_json::to_vec(&self.body(request_id)).unwrap_or_default();
        let mut response = (self.code.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.code == Code::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"cordon\""));
        }
        if self.code == Code::TooManyRequests {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl IntoResponse for Problem {
    /// Hands the problem to the outermost layer, which knows the request's id and writes the body.
    fn into_response(self) -> Response {
        let mut response = self.respond("");
        response.extensions_mut().insert(self);
        response
    }
}

/// Every failure of every operation, for the OpenAPI document.
#[derive(Debug)]
pub struct Problems;

impl utoipa::IntoResponses for Problems {
    fn responses() -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::Response>> {
        use utoipa::openapi::{ContentBuilder, Ref, ResponseBuilder};
        let response = |description: &str| {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
            ResponseBuilder::new().description(description).content("application/problem+json", content).build().into()
        };
        [
            ("4XX".to_owned(), response("The request was refused; `type` says why and `remedy` what to do.")),
            ("5XX".to_owned(), response("Something failed on our side; `request_id` finds it in the log.")),
        ]
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
    }

    #[test]
    fn every_code_is_an_error_status_and_says_what_to_do() {
        for code in Code::ALL {
            assert!(code.status().as_u16() >= 400, "{code:?}");
            assert!(code.remedy().len() > 20, "{code:?}");
            assert!(!code.title().ends_with('.'), "{code:?}");
        }
    }

    #[test]
    fn the_body_names_type_field_and_remedy() {
        let problem = Problem::invalid("limits.connections", "`-5` is not a limit").remedy("use null for no limit");
        let body = serde_json::to_value(problem.body("r1")).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "type": "urn:cordon:problem:invalid",
                "title": "the request is not valid",
                "status": 422,
                "detail": "`-5` is not a limit",
                "field": "limits.connections",
                "remedy": "use null for no limit",
                "request_id": "r1",
            })
        );
    }

    #[test]
    fn an_unauthenticated_answer_asks_for_a_bearer_token() {
        let response = Problem::new(Code::Unauthenticated, "no token").respond("r");
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer realm=\"cordon\"");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    }
}
