//! What a program may import.

/// The version of `kekkai:session` that sessions offer.
const SESSION_VERSION: &str = "0.1.0";

/// Interfaces of `kekkai:session`.
const SESSION: &[&str] = &[
    "types", "data", "output", "progress", "log", "args", "scratch",
];

/// Interfaces of WASI 0.2: those that every C library imports, whether a program uses them or not. What a
/// program finds behind them is in `sandbox/wasm-worker/src/wasi.rs`: no file, no variable, no input; making a
/// socket or looking up a name is refused.
const WASI: &[&str] = &[
    "cli/environment",
    "cli/exit",
    "cli/stderr",
    "cli/stdin",
    "cli/stdout",
    "cli/terminal-input",
    "cli/terminal-output",
    "cli/terminal-stderr",
    "cli/terminal-stdin",
    "cli/terminal-stdout",
    "clocks/monotonic-clock",
    "clocks/wall-clock",
    "filesystem/preopens",
    "filesystem/types",
    "io/error",
    "io/poll",
    "io/streams",
    "random/insecure",
    "random/insecure-seed",
    "random/random",
    "sockets/instance-network",
    "sockets/ip-name-lookup",
    "sockets/network",
    "sockets/tcp",
    "sockets/tcp-create-socket",
    "sockets/udp",
    "sockets/udp-create-socket",
];

/// Whether a program may import this, by its full name: `wasi:io/streams@0.2.9`.
pub fn is_allowed(import: &str) -> bool {
    let Some((interface, version)) = import.rsplit_once('@') else {
        return false;
    };
    if let Some(name) = interface.strip_prefix("kekkai:session/") {
        return version == SESSION_VERSION && SESSION.contains(&name);
    }
    let Some(name) = interface.strip_prefix("wasi:") else {
        return false;
    };
    let is_preview_2 = version.strip_prefix("0.2.").is_some_and(|patch| {
        !patch.is_empty() && patch.len() <= 3 && patch.bytes().all(|b| b.is_ascii_digit())
    });
    is_preview_2 && WASI.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    #[test]
    fn names_of_the_allow_list_pass() {
        for name in [
            "kekkai:session/data@0.1.0",
            "kekkai:session/types@0.1.0",
            "wasi:io/streams@0.2.0",
            "wasi:cli/stdout@0.2.9",
            "wasi:sockets/tcp@0.2.9",
        ] {
            assert!(is_allowed(name), "{name}");
        }
    }

    #[test]
    fn other_names_versions_and_spellings_do_not() {
        for name in [
            "kekkai:session/data@0.2.0",
            "kekkai:session/data",
            "kekkai:session/admin@0.1.0",
            "kekkai:other/data@0.1.0",
            "wasi:sockets/tcp@0.3.0",
            "wasi:sockets/raw@0.2.0",
            "wasi:cli/run@0.2.0",
            "wasi:http/outgoing-handler@0.2.0",
            "wasi:keyvalue/store@0.2.0",
            "wasi:io/streams@0.3.0",
            "wasi:io/streams@0.2.",
            "wasi:io/streams@0.2.0-rc-2023-11-10",
            "wasi:io/streams",
            "wasi:io/Streams@0.2.0",
            " wasi:io/streams@0.2.0",
            "env",
            "",
        ] {
            assert!(!is_allowed(name), "{name}");
        }
    }
}
