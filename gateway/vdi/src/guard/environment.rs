//! What the login's environment says.

use super::Finding;

/// Variables that only a remote login sets.
const REMOTE: &[&str] = &[
    "SSH_CONNECTION",
    "SSH_CLIENT",
    "SSH_TTY",
    "XRDP_SESSION",
    "XRDP_SOCKET_PATH",
    "VNCDESKTOP",
    "NX_CONNECTION",
    "X2GO_SESSION",
];

/// The variables that matter, as they were.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    display: Option<String>,
    wayland: Option<String>,
    session_name: Option<String>,
    remote: Vec<&'static str>,
}

impl Environment {
    /// Of this process.
    pub fn of_process() -> Self {
        Self::of(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// Of anything that knows variables.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            display: variable("DISPLAY"),
            wayland: variable("WAYLAND_DISPLAY"),
            session_name: variable("SESSIONNAME"),
            remote: REMOTE
                .iter()
                .copied()
                .filter(|name| variable(name).is_some())
                .collect(),
        }
    }

    /// A Wayland compositor shows the window: winit takes it before X.
    pub fn has_wayland(&self) -> bool {
        self.wayland.is_some()
    }

    /// An X server is, or may be, what shows the window.
    pub fn has_x11(&self) -> bool {
        self.display.is_some()
    }

    /// What is wrong.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings: Vec<_> = self
            .remote
            .iter()
            .copied()
            .map(Finding::RemoteLogin)
            .collect();
        // Windows names a Remote Desktop session so; `SM_REMOTESESSION` says the same and needs a call.
        if let Some(name) = &self.session_name
            && name.to_ascii_uppercase().starts_with("RDP-")
        {
            findings.push(Finding::RemoteLogin("SESSIONNAME"));
        }
        match (&self.wayland, &self.display) {
            (Some(socket), _) if socket.contains("waypipe") => {
                findings.push(Finding::RemoteDisplay(socket.clone()));
            }
            (_, Some(display)) if is_remote(display) => {
                findings.push(Finding::RemoteDisplay(display.clone()));
            }
            _ => {}
        }
        findings
    }
}

/// `HOST:N` goes over a network; `:N`, `unix:N` and a socket's path don't. A tunnel's end is
/// `localhost:N`.
fn is_remote(display: &str) -> bool {
    match display.rsplit_once(':') {
        Some((host, _)) => !(host.is_empty() || host == "unix" || host.starts_with('/')),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(variables: &[(&str, &str)]) -> Vec<Finding> {
        Environment::of(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
        .findings()
    }

    #[test]
    fn remote_logins_are_found() {
        for name in REMOTE {
            assert_eq!(findings(&[(name, "x")]), [Finding::RemoteLogin(name)]);
        }
        assert_eq!(findings(&[("SESSIONNAME", "RDP-Tcp#3")]).len(), 1);
        assert_eq!(findings(&[("SESSIONNAME", "Console")]), []);
    }

    #[test]
    fn displays_of_other_machines_are_found() {
        for display in [
            "host:0",
            "localhost:10.0",
            "192.0.2.1:0.0",
            "[2001:db8::1]:0",
            "host/unix:1",
        ] {
            assert_eq!(findings(&[("DISPLAY", display)]).len(), 1, "{display}");
        }
        for display in [":0", ":0.0", "unix:0", "/run/launchd/org.xquartz:0"] {
            assert_eq!(findings(&[("DISPLAY", display)]), [], "{display}");
        }
        assert_eq!(findings(&[("WAYLAND_DISPLAY", "waypipe-1")]).len(), 1);
    }
}
