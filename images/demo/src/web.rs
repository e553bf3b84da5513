//! What a terminal's browser does, without a browser: HTTPS with the terminal's certificate, JSON,
//! one cookie jar.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use kekkai_service::tls;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::DemoError;
use crate::info::Pem;

/// An exchange takes at most this long.
const LIMIT: Duration = Duration::from_secs(30);

/// A terminal's HTTPS client.
pub struct Web {
    config: Arc<ClientConfig>,
    address: SocketAddr,
    origin: String,
    cookies: Vec<(String, String)>,
}

/// What came back.
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The `Location` header.
    pub location: Option<String>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Web {
    /// A client at a terminal; `terminal` is absent for one that shows no certificate.
    pub fn new(origin: &str, authority: &Path, terminal: Option<&Pem>) -> Result<Self, DemoError> {
        let bad = |e: &dyn std::fmt::Display| DemoError::Web(e.to_string());
        let builder = ClientConfig::builder_with_provider(tls::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|e| bad(&e))?
            .with_root_certificates(tls::roots(authority).map_err(|e| bad(&e))?);
        let config = match terminal {
            None => builder.with_no_client_auth(),
            Some(pem) => builder
                .with_client_auth_cert(
                    tls::certificates(&pem.certificate).map_err(|e| bad(&e))?,
                    tls::private_key(&pem.key).map_err(|e| bad(&e))?,
                )
                .map_err(|e| bad(&e))?,
        };
        let port = origin
            .rsplit(':')
            .next()
            .and_then(|p| p.trim_end_matches('/').parse::<u16>().ok())
            .ok_or_else(|| DemoError::Web(format!("\"{origin}\" names no port")))?;
        Ok(Self {
            config: Arc::new(config),
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            origin: origin.trim_end_matches('/').to_owned(),
            cookies: Vec::new(),
        })
    }

    /// Where this browser is: WebAuthn binds assertions to it.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// `GET` of a page.
    pub async fn get(&mut self, path: &str) -> Result<Answer, DemoError> {
        self.send(Method::GET, path, None, Bytes::new()).await
    }

    /// `POST` of JSON, answered by JSON.
    pub async fn post<T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, DemoError> {
        let json = serde_json::to_vec(body).map_err(|_| DemoError::Bug("request"))?;
        let answer = self
            .send(
                Method::POST,
                path,
                Some("application/json"),
                Bytes::from(json),
            )
            .await?;
        if answer.status != 200 {
            return Err(DemoError::Refused {
                path: path.to_owned(),
                status: answer.status,
                body: answer.text(),
            });
        }
        serde_json::from_slice(&answer.body)
            .map_err(|_| DemoError::Web(format!("{path} answered no JSON of the expected shape")))
    }

    /// `POST` of a form, as a page's button does it.
    pub async fn submit(
        &mut self,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Result<Answer, DemoError> {
        let body: Vec<String> = fields
            .iter()
            .map(|(k, v)| format!("{k}={}", encode(v)))
            .collect();
        self.send(
            Method::POST,
            path,
            Some("application/x-www-form-urlencoded"),
            Bytes::from(body.join("&")),
        )
        .await
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        content: Option<&str>,
        body: Bytes,
    ) -> Result<Answer, DemoError> {
        tokio::time::timeout(LIMIT, self.exchange(method, path, content, body))
            .await
            .map_err(|_| DemoError::Web(format!("{path}: no answer in time")))?
    }

    async fn exchange(
        &mut self,
        method: Method,
        path: &str,
        content: Option<&str>,
        body: Bytes,
    ) -> Result<Answer, DemoError> {
        let bad = |e: &dyn std::fmt::Display| DemoError::Web(format!("{path}: {e}"));
        let stream = TcpStream::connect(self.address)
            .await
            .map_err(|e| bad(&e))?;
        let name = ServerName::try_from("localhost").map_err(|e| bad(&e))?;
        let stream = TlsConnector::from(self.config.clone())
            .connect(name, stream)
            .await
            .map_err(|e| bad(&e))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| bad(&e))?;
        let driver = tokio::spawn(connection);
        let host = self.origin.trim_start_matches("https://");
        let mut request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header("host", host)
            .header("accept-language", "en");
        if method == Method::POST {
            request = request.header("origin", &self.origin);
        }
        if let Some(content) = content {
            request = request.header("content-type", content);
        }
        if !self.cookies.is_empty() {
            let jar: Vec<String> = self
                .cookies
                .iter()
                .map(|(k, v)| format!("{k}={v}"))
                .collect();
            request = request.header("cookie", jar.join("; "));
        }
        let request = request.body(Full::new(body)).map_err(|e| bad(&e))?;
        let response = sender.send_request(request).await.map_err(|e| bad(&e))?;
        for value in response.headers().get_all("set-cookie") {
            let pair = value
                .to_str()
                .unwrap_or_default()
                .split(';')
                .next()
                .unwrap_or_default();
            if let Some((key, value)) = pair.split_once('=') {
                self.cookies.retain(|(k, _)| k != key);
                self.cookies.push((key.to_owned(), value.to_owned()));
            }
        }
        let status = response.status().as_u16();
        let location = response
            .headers()
            .get("location")
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned);
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(|e| bad(&e))?
            .to_bytes();
        driver.abort();
        Ok(Answer {
            status,
            location,
            body,
        })
    }
}

/// Percent-encodes a form value.
fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(b).to_string()
            }
            _ => format!("%{b:02X}"),
        })
        .collect()
}
