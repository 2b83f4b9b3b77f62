//! The console, as a browser uses it: a cookie, pages, forms.

use std::fs;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Method};

use crate::api::escape;
use crate::{Serve, tls};

/// A browser that is signed in at the console.
#[derive(Debug)]
pub struct Console {
    http: reqwest::Client,
    root: String,
    cookie: String,
    form_token: String,
}

impl Console {
    /// Signs in as the owner.
    pub async fn sign_in(serve: &Serve) -> Self {
        tls::install_provider();
        let ca = Certificate::from_pem(&fs::read(serve.ca()).unwrap()).unwrap();
        let http = reqwest::Client::builder()
            .tls_certs_only([ca])
            .redirect(Policy::none())
            .timeout(crate::wait::PATIENCE)
            .build()
            .unwrap();
        let root = format!("https://{}", serve.admin_address);
        let mut console = Self { http, root, cookie: String::new(), form_token: String::new() };
        let token = fs::read_to_string(serve.data("admin-token")).unwrap();
        let (status, place, cookie, _) = console.send("/console/sign-in", &[("token", token.trim())]).await;
        assert_eq!((status, place.as_str()), (303, "/console"));
        console.cookie = cookie.split(';').next().unwrap().to_owned();
        let page = console.page("/console/accounts").await;
        hidden(&page, "form_token").clone_into(&mut console.form_token);
        console
    }

    /// A page that must be shown.
    pub async fn page(&self, path: &str) -> String {
        let request = self.http.get(format!("{}{path}", self.root)).header("cookie", &self.cookie);
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status.as_u16(), 200, "{path}: {text}");
        text
    }

    /// Sends a form that must be done; where it leads to.
    pub async fn form(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let (status, place, _, text) = self.send(path, fields).await;
        assert_eq!(status, 303, "{path}: {text}");
        place
    }

    /// Opens a page that asks, and says yes.
    pub async fn confirm(&self, path: &str) -> String {
        let page = self.page(path).await;
        self.form(path, &[("once", hidden(&page, "once")), ("version", hidden(&page, "version"))]).await
    }

    async fn send(&self, path: &str, fields: &[(&str, &str)]) -> (u16, String, String, String) {
        let own = [("form_token", self.form_token.as_str())];
        let pairs = fields.iter().chain(&own).map(|(name, value)| format!("{name}={}", escape(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let request = self
            .http
            .request(Method::POST, format!("{}{path}", self.root))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", &self.root)
            .header("cookie", &self.cookie)
            .body(body);
        let answer = request.send().await.unwrap();
        let header =
            |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        let (status, place, cookie) = (answer.status().as_u16(), header("location"), header("set-cookie"));
        (status, place, cookie, answer.text().await.unwrap())
    }
}

/// The value of a hidden field.
fn hidden<'p>(page: &'p str, name: &str) -> &'p str {
    let lead = format!("name=\"{name}\" value=\"");
    let (_, rest) = page.split_once(&lead).unwrap_or_else(|| panic!("no {name} in {page}"));
    rest.split('"').next().unwrap()
}
