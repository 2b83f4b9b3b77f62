//! Client certificates from the local authority, with their ledger entries.

use cordon_accounts::key::{AccountKey, UserKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Act, IssueError, Issuer, effect};
use crate::ledger::Reference;
use crate::limits::CERTIFICATE_SECONDS_DEFAULT;
use crate::model::{Answer, Time};
use crate::pki::{Authority, CertificateNames, ClientRequest};
use crate::store::{CertificateKind, CertificateRow, Page};

/// A certificate, without its key.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Certificate {
    /// Serial number, lower-case hexadecimal.
    pub serial: String,
    /// Subject common name.
    pub common_name: String,
    /// Alternative names with their kind: `email:..`, `dns:..`, `uri:..`.
    pub names: Vec<String>,
    /// SHA-256 of the certificate, lower-case hexadecimal.
    pub fingerprint: String,
    /// When it begins.
    pub not_before: Time,
    /// When it ends.
    pub not_after: Time,
    /// When it was made.
    pub created_at: Time,
}

/// A client certificate to be issued.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewCertificate {
    /// A PEM signing request, of which only the key is taken; without it a key is generated and shown once.
    pub csr: Option<String>,
    /// Subject common name.
    pub common_name: String,
    /// E-mail addresses.
    pub emails: Vec<String>,
    /// DNS names.
    pub dns: Vec<String>,
    /// URIs, such as a SPIFFE id.
    pub uris: Vec<String>,
    /// How long it is valid; 90 days when absent, 825 days at most.
    pub expires_in_seconds: Option<i64>,
}

/// A certificate that was just issued.
#[derive(Clone, Serialize, ToSchema)]
pub struct IssuedCertificate {
    /// The certificate.
    pub certificate: Certificate,
    /// As PEM.
    pub pem: String,
    /// The certificate of the authority, as PEM.
    pub ca_pem: String,
    /// The private key, as PEM, when it was generated here. Null when the request is repeated: it is stored nowhere.
    pub private_key_pem: Option<String>,
}

impl std::fmt::Debug for IssuedCertificate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("IssuedCertificate").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Answer for IssuedCertificate {
    fn blanked(&self) -> Value {
        serde_json::json!({
            "certificate": self.certificate,
            "pem": self.pem,
            "ca_pem": self.ca_pem,
            "private_key_pem": null,
        })
    }

    fn version(&self) -> Option<i64> {
        None
    }

    fn location(&self) -> Option<String> {
        None
    }
}

impl Issuer {
    /// Issues a client certificate.
    ///
    /// # Errors
    ///
    /// [`IssueError::Pki`], with the field that is wrong.
    pub async fn create_certificate(
        &self,
        act: &Act,
        authority: &Authority,
        new: NewCertificate,
    ) -> Result<IssuedCertificate, IssueError> {
        let now = self.now();
        let names = CertificateNames { common_name: new.common_name, emails: new.emails, dns: new.dns, uris: new.uris };
        let valid_seconds = new.expires_in_seconds.unwrap_or(CERTIFICATE_SECONDS_DEFAULT);
        let request = ClientRequest { names, csr: new.csr, valid_seconds };
        let mut unit = self.begin(act, "certificate.create").await?;
        let issued = authority.issue_client(&request)?;
        if act.dry_run {
            return Err(IssueError::DryRun(Box::new(effect::none())));
        }
        let mut row = CertificateRow {
            id: issued.serial.clone(),
            kind: CertificateKind::Client,
            account: None::<AccountKey>,
            user: None::<UserKey>,
            subject: request.names.common_name.clone(),
            names: request.names.to_texts(),
            pem: issued.pem.clone(),
            fingerprint: issued.fingerprint.clone(),
            not_before: issued.not_before,
            not_after: issued.not_after,
            revoked_at: None,
            created_at: now,
            version: 0,
        };
        unit.certificates().insert(&mut row).await?;
        let certificate = view(&row);
        let entry = act
            .entry("certificate.create", now)
            .on_object(row.id.clone())
            .changing(None, Some(row.pem.as_bytes()))
            .referring_to(Reference::Certificate(row.id.clone()))
            .with_detail(serde_json::to_value(&certificate)?);
        let answer = IssuedCertificate {
            certificate,
            pem: issued.pem,
            ca_pem: authority.certificate_pem().to_owned(),
            private_key_pem: issued.private_key_pem.map(|pem| pem.to_string()),
        };
        self.save(act, unit, vec![entry], &answer).await?;
        Ok(answer)
    }

    /// Client certificates that were issued, one page of them.
    ///
    /// # Errors
    ///
    /// [`IssueError::Store`].
    pub async fn certificates(&self, page: &Page) -> Result<Vec<Certificate>, IssueError> {
        let mut reader = self.store().read().await?;
        Ok(reader.certificates().list(page).await?.iter().map(view).collect())
    }
}

fn view(row: &CertificateRow) -> Certificate {
    Certificate {
        serial: row.id.clone(),
        common_name: row.subject.clone(),
        names: row.names.clone(),
        fingerprint: row.fingerprint.clone(),
        not_before: Time(row.not_before),
        not_after: Time(row.not_after),
        created_at: Time(row.created_at),
    }
}
