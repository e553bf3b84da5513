//! Browsers that are signed in: in memory only, so that a restart signs everybody out.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, header};
use kekkai_signin::SignedIn;
use kekkai_types::{Digest, Lang, PersonId, TerminalId};
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;

/// `__Host-`: only over TLS, only from this host, for no other.
const COOKIE: &str = "__Host-kekkai";
/// Browsers that are signed in at once.
const BROWSERS_MAX: usize = 1024;

/// A browser that is signed in.
#[derive(Debug, Clone)]
pub(crate) struct Browser {
    pub(crate) person: PersonId,
    pub(crate) name: String,
    pub(crate) lang: Lang,
    pub(crate) csrf: String,
    terminal: TerminalId,
    spki: Digest,
    expires: Instant,
}

impl Browser {
    /// True when a form sent back the token that its page was given.
    pub(crate) fn csrf_fits(&self, token: &str) -> bool {
        self.csrf.as_bytes().ct_eq(token.as_bytes()).into()
    }
}

/// All of them, by the digest of their cookie.
pub(crate) struct Browsers {
    life: Duration,
    map: Mutex<HashMap<Digest, Browser>>,
}

impl Browsers {
    pub(crate) fn new(life_s: u32) -> Self {
        Self {
            life: Duration::from_secs(life_s.into()),
            map: Mutex::default(),
        }
    }

    /// Signs a browser in; gives the `Set-Cookie` header. `None` when there is no place or randomness.
    pub(crate) fn enter(
        &self,
        signed_in: &SignedIn,
        name: String,
        lang: Lang,
        spki: Digest,
    ) -> Option<String> {
        let (token, csrf) = (random()?, random()?);
        let browser = Browser {
            person: signed_in.person().clone(),
            name,
            lang,
            csrf,
            terminal: signed_in.terminal().clone(),
            spki,
            expires: Instant::now() + self.life,
        };
        let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        map.retain(|_, browser| browser.expires > now);
        if map.len() >= BROWSERS_MAX {
            return None;
        }
        map.insert(Digest::of(token.as_bytes()), browser);
        Some(format!(
            "{COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={}",
            self.life.as_secs()
        ))
    }

    /// The browser that a request comes from: its cookie, at the terminal that it was given to.
    pub(crate) fn find(
        &self,
        headers: &HeaderMap,
        terminal: &TerminalId,
        spki: &Digest,
    ) -> Option<Browser> {
        let digest = Digest::of(cookie(headers, COOKIE)?.as_bytes());
        let map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        map.get(&digest)
            .filter(|b| b.expires > Instant::now() && &b.terminal == terminal && &b.spki == spki)
            .cloned()
    }

    /// Signs a browser out; gives the `Set-Cookie` header.
    pub(crate) fn leave(&self, headers: &HeaderMap) -> String {
        if let Some(token) = cookie(headers, COOKIE) {
            let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
            map.remove(&Digest::of(token.as_bytes()));
        }
        format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0")
    }
}

/// A cookie's value; a name that stands there twice names nothing.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut found = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value);
    match (found.next(), found.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

fn random() -> Option<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(Digest::from_bytes(bytes).to_string())
}
