use kekkai_analysis_api::{ARG_MAX, ARGS_MAX};

use super::*;

fn id(number: &str) -> JobId {
    JobId::new(number).unwrap()
}

#[test]
fn commands_are_understood() {
    let cases = [
        ("help", Command::Help(None)),
        ("", Command::Help(None)),
        ("help sql", Command::Help(Some(Topic::Sql))),
        ("schema", Command::Schema(None)),
        ("schema Patient", Command::Schema(Some("patient".into()))),
        ("sql SELECT 1", Command::Sql("SELECT 1".into())),
        (
            "sql SELECT 'it''s'  ;",
            Command::Sql("SELECT 'it''s'  ;".into()),
        ),
        (
            "sql SELECT\n  count(*)",
            Command::Sql("SELECT\n  count(*)".into()),
        ),
        ("jobs", Command::Jobs),
        ("jobs show 3", Command::ShowJob(id("3"))),
        ("jobs cancel 12", Command::CancelJob(id("12"))),
        ("result 3", Command::ShowJob(id("3"))),
        ("cancel 12", Command::CancelJob(id("12"))),
        ("tools", Command::Tools),
        ("script", Command::Scripts),
        ("script list", Command::Scripts),
        ("script save a.py", Command::SaveScript("a.py".into())),
        ("script show a.py", Command::ShowScript("a.py".into())),
        (
            "script remove A_1-b.py",
            Command::RemoveScript("A_1-b.py".into()),
        ),
        ("outputs", Command::Outputs),
        ("status", Command::Status),
        ("lang ja", Command::Lang(Lang::Ja)),
        ("lang en", Command::Lang(Lang::En)),
        ("  exit  ", Command::Exit),
    ];
    for (line, command) in cases {
        assert_eq!(parse(line), Ok(command), "{line}");
    }
}

#[test]
fn programs_are_started_with_words_quoted_as_in_a_shell() {
    let script = |name: Option<&str>, args: &[&str]| {
        Ok(Command::RunScript {
            name: name.map(str::to_owned),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        })
    };
    let tool = |args: &[&str]| {
        Ok(Command::RunTool {
            name: ToolName::new("riskratio").unwrap(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        })
    };
    let study = Some("study.py");
    assert_eq!(parse("run python study.py"), script(study, &[]));
    assert_eq!(parse("run python - -x"), script(None, &["-x"]));
    assert_eq!(
        parse("run python study.py '脳 梗塞' --year=2024 \"$HOME\" ''"),
        script(study, &["脳 梗塞", "--year=2024", "$HOME", ""])
    );
    assert_eq!(
        parse("run tool riskratio a\\ b ; id"),
        tool(&["a b", ";", "id"])
    );
    let needs = |line| parse(line).unwrap().needs_source();
    assert!(needs("run python -") && needs("script save x"));
    assert!(!needs("run python x") && !needs("run tool x -") && !needs("script show x"));
}

#[test]
fn name_of_a_program_leads_nowhere_else() {
    for name in [
        "../x",
        "/etc/passwd",
        ".x",
        "-x",
        "a/b",
        "a b",
        "患者.py",
        "",
        "x\u{0}",
        "x\u{202e}",
    ] {
        for line in [
            "run python",
            "run tool",
            "script save",
            "script show",
            "script remove",
        ] {
            let parsed = parse(&format!("{line} '{name}'"));
            let is_refused = matches!(&parsed, Err(ParseError::Usage(_, Usage::NameMalformed(_))));
            assert!(is_refused, "{line} {name}: {parsed:?}");
        }
    }
    let long = "x".repeat(65);
    assert!(parse(&format!("run python {long}")).is_err());
    assert!(parse(&format!("run tool {long}")).is_err());
}

#[test]
fn arguments_are_bounded_and_plain() {
    let wrong = |usage| Err(ParseError::Usage(Topic::Run, usage));
    let many = "x ".repeat(ARGS_MAX + 1);
    assert_eq!(
        parse(&format!("run tool a {many}")),
        wrong(Usage::TooManyArguments(ARGS_MAX + 1))
    );
    let long = "x".repeat(ARG_MAX + 1);
    assert_eq!(
        parse(&format!("run python - {long}")),
        wrong(Usage::ArgumentTooLong(ARG_MAX + 1))
    );
    for c in ['\u{1b}', '\u{7}', '\u{202e}', '\u{200b}', '\0'] {
        assert_eq!(
            parse(&format!("run tool a 'x{c}'")),
            wrong(Usage::ArgumentNotPlain),
            "{c:?}"
        );
    }
}

#[test]
fn submit_takes_quoted_words_and_words_whose_quotes_ssh_took_away() {
    let submit = |title: &str, purpose: &str| {
        Ok(Command::Submit {
            job: id("2"),
            title: title.into(),
            purpose: purpose.into(),
        })
    };
    let both = submit("年齢別 件数", "論文の表1");
    assert_eq!(
        parse("submit 2 --title '年齢別 件数' --purpose 論文の表1"),
        both
    );
    assert_eq!(
        parse("submit 2 --title 年齢別 件数 --purpose 論文の表1"),
        both
    );
    assert_eq!(
        parse("submit 2 --purpose=論文の表1 --title='年齢別 件数'"),
        both
    );
    assert_eq!(parse("submit 2 --title \"a -- b\""), submit("a -- b", ""));
}

#[test]
fn what_is_no_command_is_refused_as_such() {
    for line in [
        "sh",
        "bash -c id",
        "cat /etc/passwd",
        "scp -t /tmp/x",
        "scp -f data",
        "rsync --server -e.L .",
        "sftp-server",
        "/usr/lib/openssh/sftp-server",
        "SELECT 1",
        "HELP",
        "help;id",
        "sql;id",
        "sqlite3",
        "exit; sh",
        "exit&&sh",
        "true",
        "$(id)",
        "`id`",
        "tmux",
        "git-upload-pack 'x'",
        "\u{1b}[A",
        "ｈｅｌｐ",
    ] {
        let parsed = parse(line);
        let is_refused = match &parsed {
            Err(ParseError::NotACommand(_)) => true,
            Err(ParseError::Usage(..)) => line.starts_with("exit"),
            _ => false,
        };
        assert!(is_refused, "{line}: {parsed:?}");
        assert_eq!(Lines::default().push(line), Some(parsed), "{line}");
    }
    assert_eq!(parse("sh -c id"), Err(ParseError::NotACommand("sh".into())));
}

#[test]
fn wrong_use_is_named() {
    let cases = [
        ("sql", Topic::Sql, Usage::StatementMissing),
        ("jobs show", Topic::Jobs, Usage::JobMissing),
        (
            "jobs cancel 0",
            Topic::Jobs,
            Usage::JobMalformed("0".into()),
        ),
        (
            "jobs show ../1",
            Topic::Jobs,
            Usage::JobMalformed("../1".into()),
        ),
        (
            "jobs show -1",
            Topic::Jobs,
            Usage::JobMalformed("-1".into()),
        ),
        ("jobs kill 1", Topic::Jobs, Usage::Extra("kill".into())),
        ("jobs show 1 2", Topic::Jobs, Usage::Extra("2".into())),
        ("submit", Topic::Submit, Usage::JobMissing),
        ("submit 1", Topic::Submit, Usage::TitleMissing),
        ("submit 1 --title ''", Topic::Submit, Usage::TitleMissing),
        ("submit 1 --title 'x", Topic::Submit, Usage::QuoteOpen),
        (
            "submit 1 --title x --title y",
            Topic::Submit,
            Usage::Extra("--title".into()),
        ),
        (
            "submit 1 --title 'x\u{1b}[2J'",
            Topic::Submit,
            Usage::ControlCharacter,
        ),
        (
            "submit 1 --force",
            Topic::Submit,
            Usage::OptionUnknown("--force".into()),
        ),
        ("submit 1 word", Topic::Submit, Usage::Extra("word".into())),
        (
            "submit x --title y",
            Topic::Submit,
            Usage::JobMalformed("x".into()),
        ),
        ("run", Topic::Run, Usage::ProgramMissing),
        ("run tool", Topic::Run, Usage::ProgramMissing),
        (
            "run study.py",
            Topic::Run,
            Usage::ProgramUnknown("study.py".into()),
        ),
        ("run python 'x", Topic::Run, Usage::QuoteOpen),
        ("script save", Topic::Script, Usage::NameMissing),
        ("script save a b", Topic::Script, Usage::Extra("b".into())),
        ("script list a", Topic::Script, Usage::Extra("a".into())),
        ("script get a", Topic::Script, Usage::Extra("get".into())),
        ("tools all", Topic::Tools, Usage::Extra("all".into())),
        ("result", Topic::Result, Usage::JobMissing),
        (
            "cancel all",
            Topic::Cancel,
            Usage::JobMalformed("all".into()),
        ),
        ("lang fr", Topic::Lang, Usage::LangUnknown("fr".into())),
        (
            "lang japanese",
            Topic::Lang,
            Usage::LangUnknown("japanese".into()),
        ),
        ("lang", Topic::Lang, Usage::LangUnknown(String::new())),
        ("help me", Topic::Help, Usage::TopicUnknown("me".into())),
        ("status now", Topic::Status, Usage::Extra("now".into())),
        ("schema a b", Topic::Schema, Usage::Extra("b".into())),
    ];
    for (line, topic, usage) in cases {
        assert_eq!(parse(line), Err(ParseError::Usage(topic, usage)), "{line}");
    }
    let long = "あ".repeat(TITLE_MAX + 1);
    let wrong = ParseError::Usage(Topic::Submit, Usage::TitleTooLong(TITLE_MAX + 1));
    assert_eq!(parse(&format!("submit 1 --title {long}")), Err(wrong));
    let long = "あ".repeat(PURPOSE_MAX + 1);
    let wrong = ParseError::Usage(Topic::Submit, Usage::PurposeTooLong(PURPOSE_MAX + 1));
    assert_eq!(
        parse(&format!("submit 1 --title x --purpose {long}")),
        Err(wrong)
    );
    assert_eq!(parse(&"x".repeat(LINE_MAX + 1)), Err(ParseError::TooLong));
}

#[test]
fn statement_goes_on_until_its_semicolon() {
    let mut lines = Lines::default();
    assert_eq!(lines.push("sql SELECT sex, -- not; here"), None);
    assert!(lines.is_open());
    assert_eq!(lines.push("  ';', \";\" /* ; /* ; */ */"), None);
    assert_eq!(
        lines.push("help"),
        None,
        "inside a statement everything is SQL"
    );
    let sql = "SELECT sex, -- not; here\n  ';', \";\" /* ; /* ; */ */\nhelp\nFROM t;";
    assert_eq!(lines.push("FROM t;"), Some(Ok(Command::Sql(sql.into()))));
    assert!(!lines.is_open());
    assert_eq!(lines.push("status"), Some(Ok(Command::Status)));
    // The engine refuses the second statement, not the console.
    let two = Command::Sql("SELECT 1; DROP TABLE x".into());
    assert_eq!(lines.push("sql SELECT 1; DROP TABLE x"), Some(Ok(two)));
    assert_eq!(lines.push("   "), None);
    assert_eq!(lines.push("sql"), None);
    assert_eq!(lines.prompt(), "     -> ");
    lines.clear();
    assert_eq!(lines.prompt(), "kekkai> ");
    let missing = ParseError::Usage(Topic::Sql, Usage::StatementMissing);
    assert_eq!(lines.push("sql ;"), Some(Err(missing)));
}

#[test]
fn endless_statement_is_cut_off() {
    let mut lines = Lines::default();
    let line = "x".repeat(1000);
    assert_eq!(lines.push(&format!("sql {line}")), None);
    let over = (0..SQL_MAX).find_map(|_| lines.push(&line));
    assert_eq!(over, Some(Err(ParseError::TooLong)));
    assert!(!lines.is_open());
}

#[test]
fn no_line_makes_the_parser_panic_or_find_a_command_that_is_not_there() {
    let pieces = [
        "sql",
        "help",
        "jobs",
        "submit",
        "show",
        "cancel",
        "lang",
        "schema",
        "exit",
        "run",
        "python",
        "tool",
        "script",
        "save",
        "-",
        " ",
        "  ",
        "\t",
        "\n",
        ";",
        "'",
        "\"",
        "\\",
        "--",
        "--title",
        "--purpose",
        "=",
        "1",
        "0",
        "-1",
        "あ",
        "\u{3000}",
        "\u{1b}",
        "\u{0}",
        "/*",
        "*/",
        "$(",
        "`",
        "|",
        "&",
        "999999999999",
        "ja",
        "🦠",
    ];
    let mut seed: u64 = 2;
    let mut next = |bound: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % bound
    };
    let mut lines = Lines::default();
    let mut commands = 0;
    for _ in 0..50_000 {
        let line: String = (0..next(9)).map(|_| pieces[next(pieces.len())]).collect();
        if let Ok(command) = parse(&line) {
            commands += 1;
            let word = line.split_whitespace().next().unwrap_or("help");
            assert!(Topic::find(word).is_some(), "{line:?}: {command:?}");
        }
        if lines.push(&line).is_some() {
            assert!(!lines.is_open());
        }
        if next(20) == 0 {
            lines.clear();
        }
    }
    assert!(commands > 1_000, "{commands}");
}
