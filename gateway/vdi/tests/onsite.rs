//! The on-site terminal: what its compositor offers, and that the client looks. Stock cage of Debian, run
//! without a screen, with and without the filter of `images/onsite-terminal/compositor`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use common::gateway::Gateway;
use common::{Person, Terminal};
use wayland_client::globals::{GlobalListContents, registry_queue_init};
use wayland_client::protocol::wl_registry::{Event, WlRegistry};
use wayland_client::{Connection, Dispatch, QueueHandle};

/// An account that may do nothing: cage refuses to run as root.
const NOBODY: u32 = 65534;

fn images() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../images/onsite-terminal")
}

/// A running cage, ended with the test.
struct Cage {
    process: Child,
    folder: tempfile::TempDir,
}

impl Cage {
    /// Needs the package `cage`.
    fn start(filter: Option<&Path>, program: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        let mut command = if is_root {
            std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "env"]);
            command
        } else {
            Command::new("env")
        };
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).unwrap();
        let own = folder.path().display();
        command
            .args(["-i", "PATH=/usr/bin:/bin:/usr/sbin:/sbin"])
            .arg(format!("HOME={own}"))
            .arg(format!("XDG_RUNTIME_DIR={own}"))
            .args([
                "WLR_BACKENDS=headless",
                "WLR_RENDERER=pixman",
                "WLR_LIBINPUT_NO_DEVICES=1",
            ])
            // As the image's unit: no X server beside it.
            .args(["WLR_XWAYLAND=/usr/bin/false", "LANG=C.UTF-8"]);
        // For cage alone: whoever is preloaded with the filter takes it from what they start.
        command.args(filter.map(|filter| format!("LD_PRELOAD={}", filter.display())));
        command.args(["cage", "--"]).args(program);
        Self {
            process: command.spawn().expect("cage: install the package cage"),
            folder,
        }
    }

    fn offers(&self) -> Vec<String> {
        let socket = self.folder.path().join("wayland-0");
        let begun = Instant::now();
        let stream = loop {
            match UnixStream::connect(&socket) {
                Ok(stream) => break stream,
                Err(_) if begun.elapsed() < Duration::from_secs(20) => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(error) => panic!("no compositor: {error}"),
            }
        };
        let connection = Connection::from_socket(stream).unwrap();
        let (globals, _queue) = registry_queue_init::<Nothing>(&connection).unwrap();
        let mut names = globals
            .contents()
            .with_list(|all| all.iter().map(|g| g.interface.clone()).collect::<Vec<_>>());
        names.sort();
        names
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Nothing;

impl Dispatch<WlRegistry, GlobalListContents> for Nothing {
    fn event(
        _: &mut Self,
        _: &WlRegistry,
        _: Event,
        _: &GlobalListContents,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
    }
}

/// The filter, built as the image builds it. Others may read it: cage runs as nobody.
fn filter(folder: &Path) -> PathBuf {
    let library = folder.join("libkekkai-globals.so");
    let built = Command::new(images().join("compositor/build.sh"))
        .arg(&library)
        .status()
        .unwrap();
    assert!(built.success(), "needs cc and libwayland-dev");
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&library, PermissionsExt::from_mode(0o755)).unwrap();
    library
}

#[test]
fn compositor_of_the_terminal_offers_no_capture() {
    // The control: stock cage offers it, and a clipboard besides.
    let stock = Cage::start(None, &["sleep", "60"]).offers();
    for name in [
        "zwlr_screencopy_manager_v1",
        "zwlr_export_dmabuf_manager_v1",
        "wl_data_device_manager",
    ] {
        assert!(stock.iter().any(|offered| offered == name), "{stock:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let library = filter(folder.path());
    let offered = Cage::start(Some(&library), &["sleep", "60"]).offers();
    // headless cage has no seat's keyboard; what there is, is this and nothing else.
    assert_eq!(
        offered,
        [
            "wl_compositor",
            "wl_output",
            "wl_seat",
            "wl_shm",
            "wl_subcompositor",
            "xdg_wm_base",
            "zxdg_decoration_manager_v1",
            "zxdg_output_manager_v1",
        ]
    );
}

#[test]
fn kiosk_shows_nothing_where_capture_is_offered() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let person = Person::enrol();
    let gateway = runtime.block_on(Gateway::start(&person));
    let terminal = Terminal::new(&gateway, &person, "kiosk = true");
    let said = terminal.folder.path().join("said");
    std::fs::write(&said, "").unwrap();
    // Cage runs as nobody; so does its client.
    for path in [terminal.folder.path(), &said, &terminal.config] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
    }
    let key = terminal.folder.path().join("terminal_key");
    std::fs::set_permissions(key, PermissionsExt::from_mode(0o644)).unwrap();
    let client = terminal.folder.path().join("kekkai-vdi");
    std::fs::copy(env!("CARGO_BIN_EXE_kekkai-vdi"), &client).unwrap();
    std::fs::set_permissions(&client, PermissionsExt::from_mode(0o755)).unwrap();
    let program = format!(
        "'{}' --config '{}' hanako > '{}' 2>&1; echo status $? >> '{}'",
        client.display(),
        terminal.config.display(),
        said.display(),
        said.display(),
    );
    let run = |filter: Option<&Path>| Cage::start(filter, &["sh", "-c", &program]);
    let said = || std::fs::read_to_string(&said).unwrap();

    let mut cage = run(None);
    runtime.block_on(common::gateway::until("the client stays", || {
        said().contains("status")
    }));
    assert!(said().contains("zwlr_screencopy_manager_v1"), "{}", said());
    assert!(said().contains("status 3"), "{}", said());
    assert_eq!(gateway.heard(), Vec::<String>::new());
    let _ = cage.process.wait();
    drop(cage);

    let folder = tempfile::tempdir().unwrap();
    let library = filter(folder.path());
    let _cage = run(Some(&library));
    runtime.block_on(common::gateway::until("the client doesn't sign in", || {
        gateway.heard().contains(&"user hanako".to_owned())
    }));
    assert!(!said().contains("status"), "{}", said());
}

#[test]
fn recipes_parts_are_as_they_should_be() {
    let output = Command::new(images().join("test.sh")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
}
