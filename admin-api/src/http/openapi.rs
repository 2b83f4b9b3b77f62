//! The OpenAPI document, from the handlers.

use utoipa::PartialSchema as _;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, ContactBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};

use crate::problem::ProblemBody;

/// What the document says before the handlers add their parts.
pub(super) fn frame() -> OpenApi {
    let scheme = SecurityScheme::Http(Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("cdn_").build());
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Cordon admin API")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(
                    "Issues, changes, revokes, explains and audits access to a multi-tenant NATS broker.\n\n\
                     Single objects answer an ETag; PUT and PATCH need If-Match. POST takes an Idempotency-Key: a repeat answers the \
                     first answer, with secrets blanked. `dry_run=true` on a change answers its effect (`Effect`, status 200) and writes \
                     nothing. Lists go on with `after`. Errors are problems (RFC 9457) whose `type` is stable.",
                ))
                .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
                .contact(Some(ContactBuilder::new().name(Some("Cordon")).build()))
                .build(),
        )
        .components(Some(ComponentsBuilder::new()
                .security_scheme("token", scheme)
                .schema("Problem", ProblemBody::<'static>::schema())
                .build()))
        .build()
}

/// The document.
pub fn document() -> OpenApi {
    super::router::routes().split_for_parts().1
}

/// The document as JSON text.
pub fn document_text() -> String {
    serde_json::to_string_pretty(&document()).unwrap_or_default()
}
