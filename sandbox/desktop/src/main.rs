//! `kekkai-desktop --memory-mib=MIB [--waive=LAYER]…`, started by the broker only: its socket is descriptor 3.

use std::process::ExitCode;

use kekkai_sys::{JailSpec, ProcessKind, jail};

fn main() -> ExitCode {
    kekkai_desktop::silence_panics();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // The broker's log: errors of this program name files and layers, never values.
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let spec =
        JailSpec::from_args(ProcessKind::Desktop, std::env::args()).map_err(|e| e.to_string())?;
    // First of all: one thread, no secret, nothing read.
    let report = jail::enter(&spec).map_err(|e| e.to_string())?;
    let socket = jail::take_socket().ok_or("there is no socket at descriptor 3")?;
    kekkai_desktop::process::serve(socket, report.layers).map_err(|e| e.to_string())
}
