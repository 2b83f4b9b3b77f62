//! The local certificate authority: one CA, server certificates for our listeners, client certificates
//! for those who connect with one.
//!
//! The CA's key lives in a file beside its certificate, readable by its owner alone. A certificate proves
//! a name and nothing more: what a client may do follows from the user that the name is mapped to.

mod authority;
mod files;
mod request;

pub use authority::{Authority, Issued};
pub use files::write_private;
pub use request::{CertificateNames, ClientRequest};

use std::path::PathBuf;

/// Why the authority could not do something.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file could not be read or written.
    #[error("cannot {act} `{path}`: {cause}")]
    File {
        /// `read` or `write`.
        act: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The files of the authority do not belong together, or are damaged.
    #[error(
        "the authority in `{path}` cannot be used: {cause}; restore its files from a backup, or move them away to make a new one"
    )]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// The request cannot be granted.
    #[error("{detail}")]
    Request {
        /// The field of the request.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The certificate library failed.
    #[error("the certificate could not be made: {0}")]
    Library(#[from] rcgen::Error),
}

impl PkiError {
    fn request(field: &'static str, detail: impl Into<String>) -> Self {
        Self::Request { field, detail: detail.into() }
    }
}
