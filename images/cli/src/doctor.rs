//! What this machine can enforce, and how to mend what it can't.

use std::path::Path;
use std::process::ExitCode;

use kekkai_types::Lang;

/// Programs that a deployment calls: name, and the Debian package that has it.
const PROGRAMS: [(&str, &str); 4] = [
    ("swtpm", "swtpm"),
    ("swtpm_localca", "swtpm-tools"),
    ("certtool", "gnutls-bin"),
    ("setpriv", "util-linux"),
];

/// Prints what was found; fails where a layer of the jail can't be enforced. To be called before any
/// thread starts: it tries the layers in processes of its own.
pub(crate) fn run(lang: Lang) -> ExitCode {
    let mut all = true;
    for finding in kekkai_sys::doctor::doctor() {
        let mark = match (finding.available, finding.required) {
            (true, _) => "✓",
            (false, true) => "✗",
            (false, false) => "–",
        };
        println!("{mark} {:<20} {}", finding.layer, finding.detail);
        if !finding.available {
            all &= !finding.required;
            let (ja, en) = finding.remedy;
            println!(
                "    {}{}",
                lang.pick("対処: ", "remedy: "),
                lang.pick(ja, en)
            );
        }
    }
    for (program, package) in PROGRAMS {
        let found = std::env::var_os("PATH").is_some_and(|path| {
            std::env::split_paths(&path).any(|folder| folder.join(program).exists())
        });
        let mark = if found { "✓" } else { "–" };
        println!("{mark} {program}");
        if !found {
            println!(
                "    {}: apt-get install {package}",
                lang.pick("模擬TPMを使うなら", "for the emulated TPM")
            );
        }
    }
    let device = Path::new("/dev/tpmrm0");
    if device.exists() {
        println!("✓ {}", device.display());
    } else {
        println!(
            "– {}: {}",
            device.display(),
            lang.pick("ハードウェアTPMなし", "no hardware TPM")
        );
    }
    if all {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
