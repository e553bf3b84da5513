//! A browser, as far as the gateway can tell: TLS with a terminal's certificate, cookies, `Origin`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use kekkai_service::tls;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Stage;
use super::pki::Identity;
use super::socket::Socket;

pub struct Browser {
    address: SocketAddr,
    connector: TlsConnector,
    pub origin: Option<String>,
    pub cookies: BTreeMap<String, String>,
    pub lang: &'static str,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: hyper::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl Browser {
    pub fn new(stage: &Stage, identity: Option<Identity>) -> Self {
        let mut roots = RootCertStore::empty();
        let pem = stage.pki.web.pem.clone();
        for certificate in rustls_pki_types::pem::PemObject::pem_slice_iter(pem.as_bytes()) {
            let certificate: rustls_pki_types::CertificateDer<'_> = certificate.unwrap();
            roots.add(certificate).unwrap();
        }
        let builder = ClientConfig::builder_with_provider(tls::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots);
        let config = match identity {
            Some(identity) => builder
                .with_client_auth_cert(vec![identity.certificate], identity.key)
                .unwrap(),
            None => builder.with_no_client_auth(),
        };
        Self {
            address: stage.config.https.listen,
            connector: TlsConnector::from(Arc::new(config)),
            origin: Some(stage.origin.clone()),
            cookies: BTreeMap::new(),
            lang: "en",
        }
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[], Vec::new()).await.unwrap()
    }

    pub async fn post(&mut self, path: &str, body: &Value) -> Answer {
        let kind = [("content-type", "application/json")];
        self.send("POST", path, &kind, body.to_string().into_bytes())
            .await
            .unwrap()
    }

    pub async fn form(&mut self, path: &str, body: &str) -> Answer {
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        self.send("POST", path, &kind, body.as_bytes().to_vec())
            .await
            .unwrap()
    }

    async fn connect(
        &self,
    ) -> Result<hyper::client::conn::http1::SendRequest<Full<Bytes>>, String> {
        let stream = TcpStream::connect(self.address)
            .await
            .map_err(|e| e.to_string())?;
        let name = ServerName::try_from("localhost").unwrap();
        let stream = self
            .connector
            .connect(name, stream)
            .await
            .map_err(|e| e.to_string())?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| e.to_string())?;
        tokio::spawn(async move {
            let _ = connection.with_upgrades().await;
        });
        Ok(sender)
    }

    /// A WebSocket, or the status with which it is refused.
    pub async fn socket(&self, path: &str) -> Result<Socket, u16> {
        self.socket_as(path, "kekkai-frames-1").await
    }

    pub async fn socket_as(&self, path: &str, protocol: &str) -> Result<Socket, u16> {
        let mut sender = self.connect().await.unwrap();
        let mut request = hyper::Request::get(path)
            .header("host", "localhost")
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-protocol", protocol)
            .header("cookie", self.cookie_header());
        if let Some(origin) = &self.origin {
            request = request.header("origin", origin);
        }
        let request = request.body(Full::new(Bytes::new())).unwrap();
        let response = sender.send_request(request).await.unwrap();
        if response.status() != 101 {
            return Err(response.status().as_u16());
        }
        assert_eq!(response.headers()["sec-websocket-protocol"], protocol);
        Ok(Socket::new(hyper::upgrade::on(response).await.unwrap()))
    }

    /// A researcher's screen.
    pub async fn screen(&self) -> Result<Socket, u16> {
        self.socket("/desktop/screen?w=640&h=400&scale=100").await
    }

    fn cookie_header(&self) -> String {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        cookies.join("; ")
    }

    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, String> {
        let mut sender = self.connect().await?;
        let mut request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("accept-language", self.lang);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let (Some(origin), "POST") = (&self.origin, method) {
            request = request.header("origin", origin);
        }
        if !self.cookies.is_empty() {
            request = request.header("cookie", self.cookie_header());
        }
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let response = sender
            .send_request(request)
            .await
            .map_err(|e| e.to_string())?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
        for cookie in parts.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        Ok(Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}
