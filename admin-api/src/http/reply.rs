//! Answers: bodies with their ETag and location, early ends, problems.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::etag;
use crate::issuing::IssueError;
use crate::model::Answer;
use crate::problem::Problem;
use crate::store::{IdempotencyRow, StoreError};

/// Where the API begins.
pub const ROOT: &str = "/api/v1";

/// A JSON answer.
#[derive(Debug)]
pub struct Reply<T> {
    status: StatusCode,
    version: Option<i64>,
    location: Option<String>,
    body: T,
}

impl<T> Reply<T> {
    /// What is answered.
    pub(crate) fn into_body(self) -> T {
        self.body
    }
}

impl<T: Serialize> Reply<T> {
    /// 200 without a version.
    pub fn plain(body: T) -> Self {
        Self { status: StatusCode::OK, version: None, location: None, body }
    }

    /// 200 at a version of something.
    pub fn at_version(body: T, version: i64) -> Self {
        Self { status: StatusCode::OK, version: Some(version), location: None, body }
    }
}

impl<T: Answer> Reply<T> {
    /// 200 with the object's version.
    pub fn object(body: T) -> Self {
        Self { status: StatusCode::OK, version: body.version(), location: None, body }
    }

    /// 201 with the object's version and place.
    pub fn created(body: T) -> Self {
        let (version, location) = (body.version(), body.location());
        Self { status: StatusCode::CREATED, version, location, body }
    }
}

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        let body = match serde_json::to_vec(&self.body) {
            Ok(body) => body,
            Err(error) => return Problem::internal(&error).into_response(),
        };
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(version) = self.version {
            headers.insert(header::ETAG, etag::tag(version));
        }
        if let Some(place) = self.location.and_then(|place| HeaderValue::from_str(&format!("{ROOT}/{place}")).ok()) {
            headers.insert(header::LOCATION, place);
        }
        response
    }
}

/// 204.
#[derive(Debug)]
pub struct Done;

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// Why a handler has no answer of its own: a problem, the effect of a dry run, or an earlier answer.
#[derive(Debug)]
pub struct Otherwise(Box<IssueError>);

impl Otherwise {
    /// Why there is no answer.
    pub(crate) fn into_error(self) -> IssueError {
        *self.0
    }
}

impl From<IssueError> for Otherwise {
    fn from(error: IssueError) -> Self {
        Self(Box::new(error))
    }
}

impl From<Problem> for Otherwise {
    fn from(problem: Problem) -> Self {
        Self(Box::new(IssueError::from(problem)))
    }
}

impl From<StoreError> for Otherwise {
    fn from(error: StoreError) -> Self {
        Self(Box::new(IssueError::Store(error)))
    }
}

impl IntoResponse for Otherwise {
    fn into_response(self) -> Response {
        match self.0.into_problem() {
            Ok(problem) => problem.into_response(),
            Err(IssueError::DryRun(effect)) => Reply::plain(effect).into_response(),
            Err(IssueError::Replay(row)) => replay(*row),
            Err(other) => Problem::internal(&other).into_response(),
        }
    }
}

fn replay(row: IdempotencyRow) -> Response {
    let status = StatusCode::from_u16(row.status).unwrap_or(StatusCode::OK);
    let mut response = (status, row.body).into_response();
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_str(&row.content_type).unwrap_or(HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
    if let Some(etag) = row.etag.and_then(|etag| HeaderValue::from_str(&etag).ok()) {
        headers.insert(header::ETAG, etag);
    }
    if let Some(place) = row.location.and_then(|place| HeaderValue::from_str(&format!("{ROOT}/{place}")).ok()) {
        headers.insert(header::LOCATION, place);
    }
    response
}
