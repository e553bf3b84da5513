//! Browsers that are signed in: in memory only, so that a restart signs everybody out.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, header};
use kekkai_signin::SignedIn;
use kekkai_types::{Digest, Lang, PersonId, SessionId, TerminalId};
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;

use crate::screen::Admission;

/// `__Host-`: only over TLS, only from this host, for no other.
const COOKIE: &str = "__Host-kekkai";
/// Browsers that are signed in at once.
const BROWSERS_MAX: usize = 1024;
/// A sign-in opens a desktop within this time, once.
const FRESH: Duration = Duration::from_secs(120);
/// A desktop that was opened is shown within this time.
const ADMISSION_LIFE: Duration = Duration::from_secs(30);

/// A browser that is signed in.
#[derive(Debug, Clone)]
pub(crate) struct Browser {
    pub(crate) person: PersonId,
    pub(crate) name: String,
    pub(crate) lang: Lang,
    pub(crate) csrf: String,
    id: Digest,
    terminal: TerminalId,
    spki: Digest,
    expires: Instant,
}

/// What may be spent once, beside it.
struct Entry {
    browser: Browser,
    signed_in: Option<(Instant, SignedIn)>,
    admission: Option<(Instant, Admission)>,
    /// The desktop that was last opened here.
    desktop: Option<SessionId>,
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
    map: Mutex<HashMap<Digest, Entry>>,
}

impl Browsers {
    pub(crate) fn new(life_s: u32) -> Self {
        Self {
            life: Duration::from_secs(life_s.into()),
            map: Mutex::default(),
        }
    }

    // A panic elsewhere leaves the map whole.
    fn map(&self) -> MutexGuard<'_, HashMap<Digest, Entry>> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Signs a browser in, in place of whoever was; gives the `Set-Cookie` header. `None` when there is no
    /// place or randomness.
    pub(crate) fn enter(
        &self,
        signed_in: SignedIn,
        name: String,
        lang: Lang,
        spki: Digest,
        headers: &HeaderMap,
    ) -> Option<String> {
        let (token, csrf) = (random()?, random()?);
        let (now, id) = (Instant::now(), Digest::of(token.as_bytes()));
        let browser = Browser {
            person: signed_in.person().clone(),
            name,
            lang,
            csrf,
            id,
            terminal: signed_in.terminal().clone(),
            spki,
            expires: now + self.life,
        };
        let mut map = self.map();
        map.retain(|_, entry| entry.browser.expires > now);
        if let Some(before) = cookie(headers, COOKIE) {
            map.remove(&Digest::of(before.as_bytes()));
        }
        if map.len() >= BROWSERS_MAX {
            return None;
        }
        let entry = Entry {
            browser,
            signed_in: Some((now + FRESH, signed_in)),
            admission: None,
            desktop: None,
        };
        map.insert(id, entry);
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
        self.map()
            .get(&digest)
            .map(|entry| &entry.browser)
            .filter(|b| b.expires > Instant::now() && &b.terminal == terminal && &b.spki == spki)
            .cloned()
    }

    /// Whether a browser that was found is signed in still.
    pub(crate) fn is_in(&self, browser: &Browser) -> bool {
        browser.expires > Instant::now() && self.map().contains_key(&browser.id)
    }

    /// A browser's sign-in, if it is fresh and was not spent.
    pub(crate) fn spend(&self, browser: &Browser) -> Option<SignedIn> {
        let (until, signed_in) = self.map().get_mut(&browser.id)?.signed_in.take()?;
        (until > Instant::now()).then_some(signed_in)
    }

    /// Keeps what a browser was admitted to, for its next request. False when it is signed out meanwhile.
    pub(crate) fn admit(&self, browser: &Browser, admission: Admission) -> bool {
        let mut map = self.map();
        let Some(entry) = map.get_mut(&browser.id) else {
            return false;
        };
        entry.desktop = Some(admission.live().opened.session.clone());
        entry.admission = Some((Instant::now() + ADMISSION_LIFE, admission));
        true
    }

    /// What a browser was admitted to, once.
    pub(crate) fn take_admission(&self, browser: &Browser) -> Option<Admission> {
        let (until, admission) = self.map().get_mut(&browser.id)?.admission.take()?;
        (until > Instant::now()).then_some(admission)
    }

    /// Signs a browser out; gives the `Set-Cookie` header, and the desktop that it showed last.
    pub(crate) fn leave(&self, headers: &HeaderMap) -> (String, Option<SessionId>) {
        let entry = cookie(headers, COOKIE)
            .and_then(|token| self.map().remove(&Digest::of(token.as_bytes())));
        (
            format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0"),
            entry.and_then(|entry| entry.desktop),
        )
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
