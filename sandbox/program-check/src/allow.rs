//! What a program may import.

/// The version of `kekkai:session` that sessions offer.
const SESSION_VERSION: &str = "0.1.0";

/// Interfaces of `kekkai:session`.
const SESSION: &[&str] = &[
    "types", "data", "output", "progress", "log", "args", "scratch",
];

/// Interfaces of WASI 0.2. Nothing here makes a descriptor: `preopens` answers with an empty list, and the
/// interfaces that make sockets or look up names (`tcp-create-socket`, `udp-create-socket`,
/// `instance-network`, `ip-name-lookup`) are absent. `filesystem/types` and `sockets/{network,tcp,udp}` are
/// there because every C library imports them; without a descriptor none of their functions can be called.
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
    "sockets/network",
    "sockets/tcp",
    "sockets/udp",
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
            "wasi:sockets/tcp-create-socket@0.2.0",
            "wasi:sockets/udp-create-socket@0.2.0",
            "wasi:sockets/instance-network@0.2.0",
            "wasi:sockets/ip-name-lookup@0.2.0",
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
