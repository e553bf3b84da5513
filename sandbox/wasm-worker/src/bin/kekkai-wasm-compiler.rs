//! `kekkai-wasm-compiler --memory-mib=MIB [--waive=LAYER]…`, started by the broker only: its socket is
//! descriptor 3. Compiles one component and ends.

use std::process::ExitCode;

use kekkai_sys::{JailSpec, ProcessKind, jail};

fn main() -> ExitCode {
    kekkai_wasm_worker::silence_panics();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let spec = JailSpec::from_args(ProcessKind::WasmCompiler, std::env::args())
        .map_err(|e| e.to_string())?;
    // First of all: one thread, nothing read.
    let report = jail::enter(&spec).map_err(|e| e.to_string())?;
    let socket = jail::take_socket().ok_or("there is no socket at descriptor 3")?;
    kekkai_wasm_worker::serve_compiler(socket, report.layers).map_err(|e| e.to_string())
}
