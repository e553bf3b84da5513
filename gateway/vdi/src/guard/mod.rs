//! Looks for who else may be seeing this display: remote sessions, recorders.
//!
//! It is a deterrent and a help against mistakes, not a boundary: whoever owns the machine can hide a
//! recorder, and a camera needs none. What it can't know: recorders of other accounts, screen casts through
//! `xdg-desktop-portal`, hypervisors, capture cards. The on-site
//! terminal's image is the display class where there is nobody to look for.

mod environment;
#[cfg(target_os = "linux")]
mod processes;
#[cfg(all(unix, not(target_os = "macos")))]
mod wayland;
#[cfg(all(unix, not(target_os = "macos")))]
mod x11;

use kekkai_types::Lang;

pub use environment::Environment;

/// Why the client doesn't show anything here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The login came over the network.
    RemoteLogin(&'static str),
    /// The display is on another machine.
    RemoteDisplay(String),
    /// The display server is a remote-control server.
    RemoteControlServer(&'static str),
    /// A client of the display records input and output.
    Recording,
    /// A program that records or shares screens runs under this account.
    Recorder(String),
    /// The compositor of a kiosk offers a capture protocol.
    CaptureOffered(String),
    /// The display can't be asked.
    Unknown(String),
}

impl Finding {
    /// What is said about it.
    pub fn text(&self, lang: Lang) -> String {
        match self {
            Self::RemoteLogin(variable) => format!(
                "{} ({variable})",
                lang.pick(
                    "リモート接続のログインでは使えません。端末の前で起動してください。",
                    "this is a remote login; start it at the terminal itself",
                )
            ),
            Self::RemoteDisplay(display) => format!(
                "{} ({display})",
                lang.pick(
                    "画面が別の計算機にあるため使えません。",
                    "the display is on another machine",
                )
            ),
            Self::RemoteControlServer(name) => format!(
                "{} ({name})",
                lang.pick(
                    "画面が遠隔操作サーバー上にあるため使えません。",
                    "the display is a remote-control server",
                )
            ),
            Self::Recording => lang
                .pick(
                    "入力を記録しているプログラムがあるため使えません。終了してから起動してください。",
                    "a program records this display's input; end it first",
                )
                .to_owned(),
            Self::Recorder(name) => format!(
                "{} ({name})",
                lang.pick(
                    "画面の録画・共有プログラムが動いています。終了してから起動してください。",
                    "a program that records or shares the screen is running; end it first",
                )
            ),
            Self::CaptureOffered(protocol) => format!(
                "{} ({protocol})",
                lang.pick(
                    "この端末の画面は撮影のプロトコルを提供しています。運用担当者に知らせてください。",
                    "this terminal's compositor offers a capture protocol; tell the operator",
                )
            ),
            Self::Unknown(why) => format!(
                "{} ({why})",
                lang.pick("画面の状態を確認できません。", "the display can't be asked")
            ),
        }
    }
}

/// Everything that was found; nothing: go on. A kiosk's compositor is held to what the image promises: on
/// other desktops the operator accepted what its programs can do to each other.
pub fn findings(is_kiosk: bool) -> Vec<Finding> {
    let environment = Environment::of_process();
    let mut findings = environment.findings();
    #[cfg(target_os = "linux")]
    findings.extend(processes::findings());
    // A remote display is not even called.
    #[cfg(all(unix, not(target_os = "macos")))]
    if findings.is_empty() {
        if environment.has_wayland() {
            findings.extend(wayland::findings(is_kiosk));
        } else if environment.has_x11() {
            findings.extend(x11::findings());
        }
    }
    #[cfg(any(not(unix), target_os = "macos"))]
    let _ = is_kiosk;
    findings
}
