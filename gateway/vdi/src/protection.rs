//! Keeping other programs of this machine from the window's pixels, and looking whether that took.
//!
//! | platform | what is set | what is looked at | what is left |
//! |---|---|---|---|
//! | Windows 10 2004 and later | `WDA_EXCLUDEFROMCAPTURE` | the affinity that the system reports for the window | drivers, capture cards, cameras |
//! | macOS | `NSWindowSharingNone` | the sharing state that the window server reports | ScreenCaptureKit of macOS 15 and later ignores it |
//! | Linux, X11 and Wayland | nothing exists | | every program of the account under X11 |
//!
//! The window is asked for protection before it is first shown. This crate has no `unsafe`, and reading the
//! state back is a foreign call on both platforms: it is made by a script of the system's own interpreter,
//! from another process, which is also how a recorder would see the window. What can't be read back counts
//! as unprotected: the client then needs `unprotected_display = "accepted"`.
//!
//! The Windows and macOS parts never ran here, and were not compiled by this repository's tests.

use winit::window::Window;

/// Whether the operating system keeps others from the window's pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protection {
    /// It was set, and the system confirms it.
    Confirmed,
    /// It doesn't exist here, or the system doesn't confirm it.
    Missing(String),
}

/// Asks for protection, and looks whether it took.
pub fn protect(window: &Window) -> Protection {
    window.set_content_protected(true);
    platform::look(window)
}

#[cfg(all(not(windows), not(target_os = "macos")))]
mod platform {
    use super::{Protection, Window};

    pub(super) fn look(_: &Window) -> Protection {
        Protection::Missing("this platform has no protection of windows".to_owned())
    }
}

#[cfg(windows)]
mod platform {
    use winit::raw_window_handle::{HasWindowHandle as _, RawWindowHandle};

    use super::{Protection, Window, asked};

    pub(super) fn look(window: &Window) -> Protection {
        let Ok(RawWindowHandle::Win32(handle)) = window.window_handle().map(|h| h.as_raw()) else {
            return Protection::Missing("the window has no handle".to_owned());
        };
        // `GetWindowDisplayAffinity` may be asked from any process.
        let script = format!(
            "$t = Add-Type -PassThru -Name A -Namespace K -MemberDefinition \
             '[DllImport(\"user32.dll\")] public static extern bool \
             GetWindowDisplayAffinity(System.IntPtr w, out uint a);'; \
             $a = 0; if ($t::GetWindowDisplayAffinity([System.IntPtr]{}, [ref]$a)) {{ $a }}",
            handle.hwnd
        );
        // Of the system's folder, so that nothing on the path stands in for it.
        let root = std::env::var("SystemRoot").unwrap_or_else(|_| "C:\\Windows".to_owned());
        let program = format!("{root}\\System32\\WindowsPowerShell\\v1.0\\powershell.exe");
        const EXCLUDED: &str = "17";
        asked(
            &program,
            &["-NoProfile", "-NonInteractive", "-Command", &script],
            EXCLUDED,
        )
    }
}

#[cfg(target_os = "macos")]
mod platform {
    use super::{Protection, Window, asked};

    pub(super) fn look(_: &Window) -> Protection {
        // All windows of this process: it has one. A sharing state of 0 is none.
        let script = format!(
            "ObjC.import('CoreGraphics'); \
             const all = ObjC.deepUnwrap($.CGWindowListCopyWindowInfo($.kCGWindowListOptionAll, 0)); \
             const own = all.filter(w => w.kCGWindowOwnerPID === {}); \
             own.length > 0 && own.every(w => w.kCGWindowSharingState === 0) ? 'none' : 'shared'",
            std::process::id()
        );
        asked(
            "/usr/bin/osascript",
            &["-l", "JavaScript", "-e", &script],
            "none",
        )
    }
}

/// Runs a system program and compares what it prints.
#[cfg(any(windows, target_os = "macos", test))]
fn asked(program: &str, arguments: &[&str], expected: &str) -> Protection {
    match std::process::Command::new(program).args(arguments).output() {
        Ok(output) if output.status.success() => {
            let said = String::from_utf8_lossy(&output.stdout);
            if said.trim() == expected {
                Protection::Confirmed
            } else {
                Protection::Missing(format!("the system reports \"{}\"", said.trim()))
            }
        }
        Ok(output) => Protection::Missing(format!("the system doesn't tell: {}", output.status)),
        Err(error) => Protection::Missing(format!("the system can't be asked: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_isnt_confirmed_is_missing() {
        assert_eq!(asked("/bin/echo", &["17"], "17"), Protection::Confirmed);
        for (program, argument) in [
            ("/bin/echo", "1"),
            ("/bin/echo", ""),
            ("/bin/false", "17"),
            ("/none", "17"),
        ] {
            let protection = asked(program, &[argument], "17");
            assert!(
                matches!(protection, Protection::Missing(_)),
                "{program} {argument}"
            );
        }
    }
}
