//! Malformed configurations, agreements and manifests: line, column, what was expected.

use std::path::Path;

use kekkai_e2e::{repository, said};

use crate::run::{place, refuses, run};

/// Where an error must point.
#[derive(Clone, Copy)]
enum At {
    /// The first place of this text.
    There(&'static str),
    /// The line of it: an unclosed bracket is missed at the end.
    Line(&'static str),
    /// What is missing is missed where the file begins.
    Beginning,
}

use At::{Beginning, Line, There};

/// One mistake: what is replaced by what, where the error must point, and what it must say.
struct Mistake {
    from: &'static str,
    to: &'static str,
    at: At,
    says: &'static [&'static str],
}

const fn mistake(
    from: &'static str,
    to: &'static str,
    at: At,
    says: &'static [&'static str],
) -> Mistake {
    Mistake { from, to, at, says }
}

const POLICY: &[Mistake] = &[
    mistake(
        "state_dir = ",
        "statedir = ",
        There("statedir"),
        &["unknown field", "statedir", "expected one of", "state_dir"],
    ),
    mistake(
        "emulated = false",
        "emulated = \"perhaps\"",
        There("\"perhaps\""),
        &["invalid type", "expected a boolean"],
    ),
    mistake(
        "key = \"/etc/kekkai/policy/ledger.key\"",
        "",
        There("[ledger]"),
        &["missing field", "key"],
    ),
    mistake(
        "listen = \"127.0.0.1:7401\"",
        "listen = 7401",
        There("7401"),
        &["invalid type", "integer", "expected"],
    ),
    mistake("[tls]", "[tls", Line("[tls"), &["expected `]`"]),
];

const GATEWAY: &[Mistake] = &[
    mistake(
        "failures_max",
        "failure_max",
        There("failure_max"),
        &["unknown field", "expected one of", "failures_max"],
    ),
    mistake(
        "code_life_s = 120",
        "code_life_s = \"two minutes\"",
        There("\"two minutes\""),
        &["invalid type", "expected u32"],
    ),
    mistake(
        "rp_id = ",
        "#rp_id = ",
        There("[https]"),
        &["missing field", "rp_id"],
    ),
    mistake(
        "demo = false",
        "demo: false",
        Line("demo:"),
        &["expected `=`"],
    ),
];

const REVIEW: &[Mistake] = &[
    mistake(
        "signing_key",
        "signing-key",
        There("signing-key"),
        &["unknown field", "expected one of", "signing_key"],
    ),
    mistake(
        "policy = \"127.0.0.1:7402\"",
        "policy = true",
        There("true"),
        &["invalid type", "expected a string"],
    ),
    mistake(
        "authority = ",
        "#",
        There("[tls]"),
        &["missing field", "authority"],
    ),
    mistake("[tls]", "tls", Line("tls"), &["expected `=`"]),
];

const ANALYSIS: &[Mistake] = &[
    mistake(
        "threads_per_session = 2",
        "threads = 2",
        There("threads = 2"),
        &["unknown field", "expected one of", "threads_per_session"],
    ),
    mistake(
        "sessions_max = 16",
        "sessions_max = \"many\"",
        There("\"many\""),
        &["invalid type", "expected usize"],
    ),
    mistake(
        "data_dir = ",
        "#",
        Beginning,
        &["missing field", "data_dir"],
    ),
    mistake("[images]", "[images", Line("[images"), &["expected `]`"]),
];

const MEASURE: &[Mistake] = &[
    mistake(
        "binary = ",
        "binaries = ",
        There("binaries"),
        &["unknown field", "expected `binary`"],
    ),
    mistake(
        "binary = \"/usr/lib/kekkai/kekkai-analysis\"",
        "binary = 55555",
        There("55555"),
        &["invalid type", "expected path string"],
    ),
    mistake("[images]", "[images", Line("[images"), &["expected `]`"]),
];

const AGREEMENT: &[Mistake] = &[
    mistake(
        "handlers = ",
        "handelrs = ",
        There("handelrs"),
        &["unknown field", "expected one of", "handlers"],
    ),
    mistake(
        "threshold = 10 ",
        "threshold = \"ten\"",
        There("\"ten\""),
        &["invalid type", "expected u32"],
    ),
    mistake(
        "id = \"stroke-2026\"",
        "",
        Beginning,
        &["missing field \"id\"", "expected"],
    ),
    mistake(
        "to = 2027-03-31",
        "to = 2025-03-31",
        There("2025-03-31"),
        &["before it begins", "expected 2026-04-01 or later"],
    ),
    mistake(
        "class = \"clinical\"",
        "class = \"clinicl\"",
        There("\"clinicl\""),
        &["not defined", "expected", "clinical"],
    ),
    mistake(
        "console = \"statistics\"",
        "console = \"rows\"",
        There("\"rows\""),
        &["expected", "statistics"],
    ),
    mistake("[hours]", "[hours", Line("[hours"), &["expected"]),
];

const MANIFEST: &[Mistake] = &[
    mistake(
        "rule = \"drop\"",
        "rulee = \"drop\"",
        There("rulee"),
        &["unknown field", "expected one of", "rule"],
    ),
    mistake(
        "version = 1",
        "version = \"one\"",
        There("\"one\""),
        &["invalid type", "expected u32"],
    ),
    mistake(
        "role = \"person-key\"\n",
        "",
        There("[[table.column]]"),
        &["missing field", "role"],
    ),
    mistake(
        "rule = \"pseudonym\"",
        "rule = \"keep\"",
        There("\"keep\""),
        &["expected \"pseudonym\" for a person-key"],
    ),
    mistake(
        "role = \"direct-identifier\"",
        "role = \"name\"",
        There("\"name\"\nrule"),
        &["expected one of", "direct-identifier"],
    ),
    mistake(
        "encoding = \"utf-8\"\n",
        "",
        There("\"patients\""),
        &["expected encoding = \"utf-8\" or encoding = \"cp932\""],
    ),
    mistake("[dataset]", "[dataset", Line("[dataset"), &["expected"]),
];

/// Makes each mistake in a good text and looks at what the program says.
fn check(
    dir: &Path,
    good: &str,
    mistakes: &[Mistake],
    run: impl Fn(&Path) -> std::process::Output,
    form: fn((usize, usize)) -> String,
) {
    let path = dir.join("mistake.toml");
    for mistake in mistakes {
        let bad = good.replacen(mistake.from, mistake.to, 1);
        assert_ne!(bad, good, "nothing to replace: {}", mistake.from);
        std::fs::write(&path, &bad).unwrap();
        let output = run(&path);
        let what = format!("{} -> {}", mistake.from, mistake.to);
        let text = refuses(&what, &output, mistake.says);
        assert!(text.contains("mistake.toml"), "{what}: {text}");
        let wanted = match mistake.at {
            There(at) => form(place(&bad, at)),
            Beginning => form((1, 1)),
            Line(at) => {
                let full = form((place(&bad, at).0, 7));
                full.trim_end_matches('7').to_owned()
            }
        };
        assert!(text.contains(&wanted), "{what}: no \"{wanted}\" in {text}");
    }
    // The control: without the mistake the same program says nothing of a line.
    std::fs::write(&path, good).unwrap();
    let text = said(&run(&path));
    assert!(!text.contains("mistake.toml:"), "{text}");
    assert!(!text.contains(", column "), "{text}");
}

fn colons((line, column): (usize, usize)) -> String {
    format!("mistake.toml:{line}:{column}")
}

fn words((line, column): (usize, usize)) -> String {
    format!("line {line}, column {column}")
}

fn example(name: &str) -> String {
    std::fs::read_to_string(repository().join("images/etc").join(name)).unwrap()
}

pub(crate) fn configurations(dir: &Path) {
    for (daemon, mistakes) in [
        ("policy", POLICY),
        ("gateway", GATEWAY),
        ("review", REVIEW),
        ("analysis", ANALYSIS),
    ] {
        let good = example(&format!("kekkai-{daemon}.example.toml"));
        let start = |path: &Path| {
            let path = path.display().to_string();
            let mut arguments = vec!["--config", &path];
            if daemon == "policy" {
                arguments.push("--check");
            }
            run(&format!("kekkai-{daemon}"), &arguments)
        };
        check(dir, &good, mistakes, start, colons);
    }
    let good = example("kekkai-analysis.example.toml");
    let start = |path: &Path| run("kekkai-measure", &["--config", &path.display().to_string()]);
    check(dir, &good, MEASURE, start, words);

    // What types allow and the machine can't do is refused by name.
    let none = good.replacen("sessions_max = 16", "sessions_max = 0", 1);
    let path = dir.join("none.toml");
    std::fs::write(&path, none).unwrap();
    let output = run(
        "kekkai-analysis",
        &["--config", &path.display().to_string()],
    );
    refuses(
        "no sessions",
        &output,
        &["sessions_max", "must be 1 to 256"],
    );
}

pub(crate) fn agreements(dir: &Path) {
    let check_it = |path: &Path| {
        run(
            "kekkai",
            &["agreement", "check", &path.display().to_string()],
        )
    };
    check(
        dir,
        &example("agreement.example.toml"),
        AGREEMENT,
        check_it,
        words,
    );
}

/// `ingest` runs the command with a manifest; it must leave nothing.
pub(crate) fn manifests(dir: &Path, good: &str, ingest: impl Fn(&Path) -> std::process::Output) {
    check(dir, good, MANIFEST, ingest, words);
}
