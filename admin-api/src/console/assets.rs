//! The stylesheet and the script. Pages work without the script.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};

/// `GET /console/style.css`
pub(super) async fn style() -> Response {
    file("text/css; charset=utf-8", include_str!("../../templates/console/style.css"))
}

/// `GET /console/script.js`
pub(super) async fn script() -> Response {
    file("text/javascript; charset=utf-8", include_str!("../../templates/console/script.js"))
}

fn file(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], text).into_response()
}
