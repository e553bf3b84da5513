//! Programs of the same account that record, share or remote-control screens, by name.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::Finding;

/// As in `/proc/PID/comm`, which keeps 15 bytes. VNC servers with a display of their own see no other:
/// `x11.rs` asks ours whether it is one.
const RECORDERS: &[&str] = &[
    "anydesk",
    "byzanz-record",
    "deskreen",
    "ffmpeg",
    "flameshot",
    "gnome-remote-de",
    "gnome-screensho",
    "gpu-screen-reco",
    "gst-launch-1.0",
    "kazam",
    "kooha",
    "krfb",
    "ksnip",
    "maim",
    "obs",
    "parsecd",
    "peek",
    "recordmydesktop",
    "rustdesk",
    "scrot",
    "shutter",
    "simplescreenrec",
    "spectacle",
    "sunshine",
    "teamviewer",
    "teamviewerd",
    "vino-server",
    "vokoscreen",
    "vokoscreenNG",
    "waypipe",
    "wayvnc",
    "wf-recorder",
    "wl-screenrec",
    "x0vncserver",
    "x11vnc",
    "xrdp-chansrv",
];
/// Bytes of a name that the kernel keeps.
const NAME_BYTES: usize = 15;

pub(super) fn findings() -> Vec<Finding> {
    findings_in(Path::new("/proc"), RECORDERS)
}

/// A process list that can't be read finds nothing: a container may hide it, and it is no boundary.
fn findings_in(proc: &Path, recorders: &[&str]) -> Vec<Finding> {
    let Ok(owner) = std::fs::metadata(proc.join("self")).map(|own| own.uid()) else {
        return Vec::new();
    };
    let mut names: Vec<String> = std::fs::read_dir(proc)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let is_process = name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
            is_process && entry.metadata().is_ok_and(|of| of.uid() == owner)
        })
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("comm")).ok())
        .map(|name| name.trim_end().to_owned())
        .filter(|name| {
            let is_it = |recorder: &&str| recorder.get(..NAME_BYTES).unwrap_or(recorder) == name;
            recorders.iter().any(is_it)
        })
        .collect();
    names.sort();
    names.dedup();
    names.into_iter().map(Finding::Recorder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorders_are_found_by_name() {
        let proc = tempfile::tempdir().unwrap();
        std::fs::create_dir(proc.path().join("self")).unwrap();
        for (pid, name) in [
            ("10", "bash\n"),
            ("11", "obs\n"),
            ("12", "simplescreenrec\n"),
            ("net", "obs\n"),
        ] {
            let folder = proc.path().join(pid);
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join("comm"), name).unwrap();
        }
        let found = findings_in(proc.path(), RECORDERS);
        let expected = ["obs", "simplescreenrec"].map(|name| Finding::Recorder(name.into()));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_running_recorder_is_found() {
        // A real process under a listed name, and the same one under another as the control. The names are
        // no recorder's: tests of the program run beside this one.
        let folder = tempfile::tempdir().unwrap();
        let found_as = |name: &str| {
            let program = folder.path().join(name);
            std::fs::copy("/bin/sleep", &program).unwrap();
            let mut child = std::process::Command::new(&program)
                .arg("30")
                .spawn()
                .unwrap();
            let begun = std::time::Instant::now();
            let is_found = loop {
                let comm = format!("/proc/{}/comm", child.id());
                let is_running = std::fs::read_to_string(comm).is_ok_and(|c| c.trim() == name);
                if is_running || begun.elapsed().as_secs() > 5 {
                    let found = findings_in(Path::new("/proc"), &["kekkai-listed"]);
                    break found.contains(&Finding::Recorder(name.into()));
                }
            };
            child.kill().unwrap();
            child.wait().unwrap();
            is_found
        };
        assert!(found_as("kekkai-listed"));
        assert!(!found_as("kekkai-sleeper"));
    }

    #[test]
    fn names_are_sorted_and_once() {
        assert!(RECORDERS.is_sorted());
    }
}
