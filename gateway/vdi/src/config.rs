//! The configuration file: TOML, unknown keys refused. Whoever can write it chooses the gateway that is
//! trusted, so that it belongs to the terminal's administrator, not to the person who sits there.

use std::path::{Path, PathBuf};

use kekkai_types::Lang;
use russh::keys::ssh_key::Fingerprint;
use russh::keys::{HashAlg, PublicKey};
use serde::Deserialize;

/// The longest configuration file, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Host keys that may be pinned: the one in use and its successors.
const HOST_KEYS_MAX: usize = 8;
/// Where the first font that exists is taken from when the configuration names none.
const FONTS: &[&str] = &[
    "/usr/share/fonts/opentype/ipaexfont-gothic/ipaexg.ttf",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "C:\\Windows\\Fonts\\YuGothM.ttc",
    "C:\\Windows\\Fonts\\msgothic.ttc",
    "/System/Library/Fonts/ヒラギノ角ゴシック W3.ttc",
];

/// Why the configuration can't be used: the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not there, or not readable.
    #[error("the configuration \"{path}\" can't be read")]
    File {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Longer than 64 KiB.
    #[error("the configuration \"{0}\" is longer than 64 KiB")]
    TooLong(String),
    /// Not TOML, or with a key that doesn't exist.
    #[error("the configuration \"{path}\" is malformed")]
    Malformed {
        /// Which.
        path: String,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A value that can't be used.
    #[error("{key}: {reason}")]
    Value {
        /// As in the file.
        key: &'static str,
        /// What is wrong, and what to write.
        reason: String,
    },
    /// No font.
    #[error(
        "no font with Japanese characters was found; install fonts-ipaexfont-gothic or name a file as `font`"
    )]
    NoFont,
}

fn value(key: &'static str, reason: impl Into<String>) -> ConfigError {
    ConfigError::Value {
        key,
        reason: reason.into(),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    lang: Option<Lang>,
    #[serde(default)]
    kiosk: bool,
    unprotected_display: Option<String>,
    font: Option<PathBuf>,
    gateway: GatewayFile,
    terminal: TerminalFile,
    #[serde(default)]
    authenticator: AuthenticatorFile,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GatewayFile {
    address: String,
    host_keys: Vec<String>,
    origin: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TerminalFile {
    key: Option<PathBuf>,
    agent: Option<PathBuf>,
    public_key: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthenticatorFile {
    device: Option<PathBuf>,
}

/// What `kekkai-vdi` is told by its administrator.
#[derive(Debug, Clone)]
pub struct Config {
    /// The language of the client's own words.
    pub lang: Lang,
    /// Full screen, and back to the sign-in after each session.
    pub kiosk: bool,
    /// The operator accepts a display whose operating system can't keep others from its pixels.
    pub is_unprotected_display_accepted: bool,
    /// A TrueType or OpenType font with Japanese characters.
    pub font: PathBuf,
    /// `HOST:PORT`.
    pub address: String,
    /// The gateway shows one of these keys, or nothing is sent to it.
    pub host_keys: Vec<Pin>,
    /// What credentials are bound to.
    pub origin: Origin,
    /// This terminal's own key.
    pub terminal_key: TerminalKey,
    /// The authenticator's device; `None`: the first that is plugged in.
    pub authenticator: Option<PathBuf>,
}

/// Where the terminal's private key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TerminalKey {
    /// In a file of OpenSSH's format, without a passphrase.
    File(PathBuf),
    /// In an agent, which may keep it in a TPM.
    Agent {
        /// The agent's socket.
        socket: PathBuf,
        /// The public half, `.pub`.
        public_key: PathBuf,
    },
}

/// The SHA-256 fingerprint of a host key, as `ssh-keygen -l` prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin(Fingerprint);

impl Pin {
    /// Whether a key is the pinned one.
    pub fn is_of(&self, key: &PublicKey) -> bool {
        key.fingerprint(HashAlg::Sha256) == self.0
    }
}

impl std::str::FromStr for Pin {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        match text.parse::<Fingerprint>() {
            Ok(fingerprint) if fingerprint.algorithm() == HashAlg::Sha256 => Ok(Self(fingerprint)),
            _ => Err(()),
        }
    }
}

/// `https://HOST[:PORT]`, as browsers write it: lower case, no path, no default port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    text: String,
    host: String,
}

impl Origin {
    /// As in client data.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether credentials of a relying party may be used at this origin: its host is the relying party's
    /// id or lies under it (WebAuthn §5.1.4.1 step 8, without a list of public suffixes: an id of one label
    /// is refused).
    pub fn may_use(&self, rp_id: &str) -> bool {
        let is_under = self
            .host
            .strip_suffix(rp_id)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        is_under && (rp_id.contains('.') || rp_id == "localhost")
    }
}

impl std::str::FromStr for Origin {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let rest = text.strip_prefix("https://").ok_or(())?;
        let (host, port) = match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        };
        let is_host = !host.is_empty()
            && host
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-');
        let is_port = port.is_none_or(|port| {
            !port.starts_with('0') && port != "443" && port.parse::<u16>().is_ok_and(|p| p > 0)
        });
        if is_host && is_port {
            Ok(Self {
                text: text.to_owned(),
                host: host.to_owned(),
            })
        } else {
            Err(())
        }
    }
}

impl Config {
    /// Reads the file and looks that what it names is there.
    ///
    /// # Errors
    /// The file can't be read, isn't TOML of these keys, or has a value that can't be used.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let read = || {
            let length = std::fs::metadata(path)?.len();
            Ok((length, std::fs::read_to_string(path)?))
        };
        let (length, text) = read().map_err(|source| ConfigError::File {
            path: name.clone(),
            source,
        })?;
        if length > FILE_BYTES_MAX {
            return Err(ConfigError::TooLong(name));
        }
        let file: File = toml::from_str(&text).map_err(|source| ConfigError::Malformed {
            path: name,
            source: Box::new(source),
        })?;
        Self::parse(file)
    }

    fn parse(file: File) -> Result<Self, ConfigError> {
        let File {
            gateway, terminal, ..
        } = file;
        let has_port = gateway
            .address
            .rsplit_once(':')
            .is_some_and(|(host, port)| {
                !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
            });
        if !has_port {
            return Err(value(
                "gateway.address",
                format!("\"{}\" is not HOST:PORT", gateway.address),
            ));
        }
        if gateway.host_keys.is_empty() || gateway.host_keys.len() > HOST_KEYS_MAX {
            return Err(value(
                "gateway.host_keys",
                format!(
                    "name 1 to {HOST_KEYS_MAX} fingerprints of the gateway's host key \
                     (ssh-keygen -l -f KEY.pub); there is no trust on first use"
                ),
            ));
        }
        let pin = |text: &String| {
            text.parse().map_err(|()| {
                value(
                    "gateway.host_keys",
                    format!("\"{text}\" is no fingerprint of the form SHA256:…"),
                )
            })
        };
        let host_keys = gateway
            .host_keys
            .iter()
            .map(pin)
            .collect::<Result<_, _>>()?;
        let origin = gateway.origin.parse().map_err(|()| {
            value(
                "gateway.origin",
                format!(
                    "\"{}\" is not https://HOST or https://HOST:PORT in lower case without a path",
                    gateway.origin
                ),
            )
        })?;
        let terminal_key = match (terminal.key, terminal.agent, terminal.public_key) {
            (Some(key), None, None) => TerminalKey::File(key),
            (None, Some(socket), Some(public_key)) => TerminalKey::Agent { socket, public_key },
            _ => {
                return Err(value(
                    "terminal",
                    "give either `key` or both `agent` and `public_key`",
                ));
            }
        };
        let is_unprotected_display_accepted = match file.unprotected_display.as_deref() {
            None => false,
            Some("accepted") => true,
            Some(other) => {
                return Err(value(
                    "unprotected_display",
                    format!("\"{other}\" is not \"accepted\"; leave the key out otherwise"),
                ));
            }
        };
        let font = match file.font {
            Some(font) => font,
            None => FONTS
                .iter()
                .map(PathBuf::from)
                .find(|path| path.exists())
                .ok_or(ConfigError::NoFont)?,
        };
        Ok(Self {
            lang: file.lang.unwrap_or_else(lang_of_environment),
            kiosk: file.kiosk,
            is_unprotected_display_accepted,
            font,
            address: gateway.address,
            host_keys,
            origin,
            terminal_key,
            authenticator: file.authenticator.device,
        })
    }
}

/// The language that the locale asks for; Japanese where it asks for another or for none.
pub fn lang_of_environment() -> Lang {
    ["LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find_map(|value| value.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
lang = "en"
font = "font.ttf"
[gateway]
address = "gateway.kekkai.example:22"
host_keys = ["SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"]
origin = "https://gateway.kekkai.example"
[terminal]
key = "terminal_key"
"#;

    fn parse(text: &str) -> Result<Config, String> {
        let file = toml::from_str(text).map_err(|e| e.to_string())?;
        Config::parse(file).map_err(|e| e.to_string())
    }

    #[test]
    fn a_full_configuration_is_taken() {
        let config = parse(GOOD).unwrap();
        assert_eq!(config.lang, Lang::En);
        assert!(!config.is_unprotected_display_accepted && !config.kiosk);
        assert_eq!(config.host_keys.len(), 1);
    }

    #[test]
    fn the_example_is_a_configuration() {
        let example = include_str!("../../../images/etc/kekkai-vdi.example.toml");
        // On a machine without Japanese fonts it has to name one.
        let example = example.replace("# font =", "font =");
        let config = parse(&example).unwrap();
        assert_eq!(config.origin.as_str(), "https://gateway.kekkai.example");
    }

    #[test]
    fn no_pin_no_start() {
        for (from, to) in [
            (
                r#"["SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"]"#,
                "[]",
            ),
            ("SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU", "any"),
            ("SHA256:", "MD5:"),
            ("host_keys", "known_hosts"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            assert!(parse(&GOOD.replace(from, to)).is_err(), "{to}");
        }
    }

    #[test]
    fn what_cant_be_used_is_named() {
        for (from, to, said) in [
            ("example:22", "example", "gateway.address"),
            ("\"https://", "\"http://", "gateway.origin"),
            (
                "kekkai.example\"\n[terminal]",
                "kekkai.example/\"\n[terminal]",
                "gateway.origin",
            ),
            ("key = \"terminal_key\"", "agent = \"a\"", "terminal"),
            (
                "lang = \"en\"",
                "unprotected_display = \"yes\"",
                "unprotected_display",
            ),
            ("lang = \"en\"", "lang = \"fr\"", "fr"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let error = parse(&GOOD.replace(from, to)).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn credentials_stay_under_the_relying_partys_name() {
        let origin: Origin = "https://gateway.kekkai.example:8443".parse().unwrap();
        assert!(origin.may_use("gateway.kekkai.example"));
        assert!(origin.may_use("kekkai.example"));
        for foreign in [
            "",
            "example",
            "ekkai.example",
            "evil.example",
            "x.gateway.kekkai.example",
        ] {
            assert!(!origin.may_use(foreign), "{foreign}");
        }
    }
}
