//! Good and bad agreements. The bad ones are the example with one thing changed, so that each row
//! shows which line the error must name.

use std::collections::BTreeSet;

use kekkai_types::{
    ColumnCatalog, ColumnRole, Constant, DatasetCatalog, PersonId, Recipient, RowTest,
    TableCatalog, Text, Timestamp, WrappedKey,
};

use super::*;

const EXAMPLE: &str = include_str!("../../../../images/etc/agreement.example.toml");

fn known_people() -> BTreeSet<PersonId> {
    ["sato", "suzuki", "takahashi", "tanaka"]
        .map(|id| PersonId::new(id).unwrap())
        .into()
}

fn catalog() -> DatasetCatalog {
    let table = |name: &str, columns: &[&str]| TableCatalog {
        name: name.to_owned(),
        description: Text::default(),
        person_key: Some("person_id".to_owned()),
        columns: columns
            .iter()
            .map(|name| ColumnCatalog {
                name: (*name).to_owned(),
                sql_type: "text".to_owned(),
                role: ColumnRole::Value,
                description: Text::default(),
            })
            .collect(),
        files: Vec::new(),
        rows: 0,
    };
    DatasetCatalog {
        id: DatasetId::new("sample").unwrap(),
        version: 1,
        title: Text::default(),
        description: Text::default(),
        tables: vec![
            table(
                "patients",
                &["person_id", "sex", "birth_year", "prefecture"],
            ),
            table(
                "admissions",
                &[
                    "person_id",
                    "admitted",
                    "discharged",
                    "icd10",
                    "disease_name",
                ],
            ),
        ],
    }
}

fn parse_known(text: &str) -> Result<Agreement, AgreementError> {
    let (people, catalog) = (known_people(), catalog());
    Agreement::parse_known(
        text,
        &Known {
            people: &people,
            catalog: &|id, version| (*id == catalog.id && version == 1).then_some(&catalog),
        },
    )
}

/// 1-based line of the first line that contains `text`.
fn line_of(whole: &str, text: &str) -> u32 {
    let index = whole.lines().position(|line| line.contains(text)).unwrap();
    u32::try_from(index).unwrap() + 1
}

#[test]
fn example_agreement_has_every_term() {
    let agreement = parse_known(EXAMPLE).unwrap();
    assert_eq!(agreement.id.as_str(), "stroke-2026");
    assert_eq!(agreement.sdc.threshold, 10);
    assert_eq!(agreement.people.handlers.len(), 2);
    assert_eq!(
        agreement.data[0].tables["patients"].rows_need,
        DisplayClass::Onsite
    );
    assert_eq!(agreement.hours.to, Clock(20 * 60));
    assert_eq!(agreement.end_measures.len(), 4);
}

#[test]
fn threshold_is_ten_where_the_text_is_silent() {
    let text = EXAMPLE.replace("threshold = 10 ", "# ");
    assert_eq!(parse_known(&text).unwrap().sdc.threshold, THRESHOLD_DEFAULT);
}

#[test]
fn programs_run_only_where_the_agreement_says_so() {
    let programs = parse_known(EXAMPLE).unwrap().programs.unwrap();
    assert!(programs.python && programs.rows);
    assert_eq!(programs.tools, ["riskratio"]);
    assert_eq!((programs.time_limit_s, programs.clock_ms), (600, 10));
    // The table is cut out, up to the next one's comment.
    let (before, rest) = EXAMPLE.split_once("[programs]").unwrap();
    let (_, after) = rest.split_once("[desktop]").unwrap();
    let without = parse_known(&format!("{before}[desktop]{after}")).unwrap();
    assert_eq!(without.programs, None);
    assert_eq!(without.provision.own_tools, ["riskratio"]);
}

#[test]
fn desktop_is_shown_only_where_the_agreement_says_so() {
    let desktop = parse_known(EXAMPLE).unwrap().desktop.unwrap();
    assert_eq!(
        (desktop.lock_after_s, desktop.reconnect_limit_s),
        (300, 600)
    );
    let (before, rest) = EXAMPLE.split_once("[desktop]").unwrap();
    let (_, after) = rest.split_once("# Statistical").unwrap();
    let without = parse_known(&format!("{before}# Statistical{after}")).unwrap();
    assert_eq!(without.desktop, None);
    assert!(!without.same_in_session(&parse_known(EXAMPLE).unwrap()));
}

#[test]
fn screen_locks_before_the_session_ends() {
    let text = EXAMPLE.replacen("lock_after_s = 300", "lock_after_s = 901", 1);
    let error = parse_known(&text).unwrap_err();
    assert_eq!(
        error.expected,
        "at most 900 s, after which the session ends"
    );
}

#[test]
fn session_closes_with_its_hours_and_a_night_between_open_days_ends_nothing() {
    let at = |text: &str| Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
    let mut terms = parse_known(EXAMPLE).unwrap();
    assert_eq!(
        terms.closes(at("2026-11-24T12:00:00+09:00")),
        at("2026-11-24T20:00:00+09:00")
    );
    // Around the clock on weekdays, a Tuesday: until Friday's midnight.
    (terms.hours.from, terms.hours.to) = (Clock(0), Clock(24 * 60));
    terms.hours.days = [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri].into();
    terms.hours.closed.clear();
    assert_eq!(
        terms.closes(at("2026-11-24T12:00:00+09:00")),
        at("2026-11-28T00:00:00+09:00")
    );
    // Every day: until the period's end.
    terms.hours.days.extend([Day::Sat, Day::Sun]);
    let last = terms.period.to.tomorrow().unwrap();
    let end = last.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(9)));
    assert_eq!(
        terms.closes(at("2026-11-24T12:00:00+09:00")).0,
        end.unwrap().timestamp().as_millisecond()
    );
}

#[test]
fn session_does_not_outlive_a_change_of_any_term_of_programs_or_desktops() {
    let before = parse_known(EXAMPLE).unwrap();
    #[rustfmt::skip]
    let changes = [
        ("python = true", "python = false"), ("rows = true", "rows = false"),
        ("own_tools = [\"riskratio\"]", "own_tools = []"),
        ("time_limit_s = 600", "time_limit_s = 601"),
        ("memory_limit_mib = 1024", "memory_limit_mib = 1023"),
        ("table_elements_max = 100000", "table_elements_max = 100001"),
        ("instances_max = 100", "instances_max = 101"), ("outputs_max = 20", "outputs_max = 21"),
        ("output_kib_max = 256", "output_kib_max = 257"), ("log_kib_max = 1024", "log_kib_max = 1025"),
        ("scratch_kib_max = 16384", "scratch_kib_max = 16385"), ("clock_ms = 10 ", "clock_ms = 11 "),
        ("lock_after_s = 300", "lock_after_s = 301"), ("reconnect_limit_s = 600", "reconnect_limit_s = 601"),
        ("typed_chars_max = 100000", "typed_chars_max = 100001"),
        ("typed_chars_per_s_max = 25", "typed_chars_per_s_max = 26"),
        ("notebooks_kib_max = 10240", "notebooks_kib_max = 10241"),
        ("rows_per_minute = 50000", "rows_per_minute = 49999"), ("rows_per_day = 200000", "rows_per_day = 0"),
    ];
    for (old, new) in changes {
        assert!(EXAMPLE.contains(old), "{old}");
        let after = parse_known(&EXAMPLE.replacen(old, new, 1)).unwrap();
        assert!(!before.same_in_session(&after), "{new}");
    }
    assert!(before.same_in_session(&parse_known(EXAMPLE).unwrap()));
}

#[test]
fn unregistered_dataset_is_not_looked_into() {
    let text = EXAMPLE.replace("dataset = \"sample\"", "dataset = \"later\"");
    assert!(parse_known(&text).is_ok());
}

#[test]
fn malformed_agreement_is_refused_with_its_place_and_what_was_expected() {
    // Replace the first by the second; the error is at the line that contains the third, at this
    // column, and says these.
    #[rustfmt::skip]
    let rows: &[(&str, &str, &str, u32, &str, &str)] = &[
        ("format = 1", "format = 2", "format = 2", 10, "format is 2", "1"),
        ("format = 1", "formats = 1", "formats", 1, "unknown field \"formats\"", "one of \"format\", \"id\""),
        ("id = \"stroke-2026\"", "id = \"Stroke 2026\"", "id = \"Stroke", 6, "\"Stroke 2026\" is not an id", "beginning with a letter or digit"),
        ("id = \"stroke-2026\"", "id = 7", "id = 7", 6, "invalid type: integer \"7\"", "string"),
        ("title = { ja = \"脳卒中治療と再入院の関連\", ", "title = { ja = \"\", ", "title = {", 9, "\"title\" has an empty \"ja\"", "words in both languages"),
        ("title = { ja = \"脳卒中治療と再入院の関連\", ", "title = { ", "title = {", 9, "missing field \"ja\"", "that key"),
        ("purpose = {", "purpos = {", "purpos =", 1, "unknown field \"purpos\"", "\"purpose\""),
        ("responsible = \"II-2026-001\"", "responsible = \"II-9\"", "responsible = ", 15, "\"II-9\" is the certification of no party", "\"II-2026-001\""),
        ("handlers = [\"sato\", \"suzuki\"]", "handlers = [\"sato\", \"nobody\"]", "handlers", 21, "nobody is registered as \"nobody\"", "a registered person"),
        ("handlers = [\"sato\", \"suzuki\"]", "handlers = [\"sato\", \"sato\"]", "handlers", 21, "handler \"sato\" is named twice", "each handler once"),
        ("handlers = [\"sato\", \"suzuki\"]", "handlers = []", "handlers", 12, "\"handlers\" names 0 people", "1 to 1000 people"),
        ("security_manager = \"tanaka\"", "", "[people]", 1, "missing field \"security_manager\"", "that key"),
        ("terminals = [\"console\", \"browser\"]", "terminals = [\"console\", \"operator\"]", "terminals =", 25, "terminal class \"operator\" shows no data", "\"console\", \"browser\""),
        ("terminals = [\"console\", \"browser\"]", "terminals = [\"console\", \"onsite\"]", "terminals =", 25, "needs the provision method \"on-site\"", "\"on-site\" among \"methods\""),
        ("terminals = [\"console\", \"browser\"]", "terminals = [\"laptop\"]", "terminals =", 14, "unknown variant \"laptop\"", "\"vdi\""),
        ("methods = [\"vdi\"]", "methods = []", "methods = []", 11, "\"methods\" is empty", "at least one"),
        ("rows_need = \"onsite\"", "rows_need = \"paper\"", "rows_need = \"paper\"", 13, "unknown variant \"paper\"", "\"onsite\""),
        ("class = \"clinical\"", "class = \"clinic\"", "class = \"clinic\"", 9, "data class \"clinic\" is not defined", "one of [data_classes]: one of \"clinical\", \"vocabulary\""),
        ("name = \"patients\"", "name = \"patient\"", "name = \"patient\"", 8, "dataset \"sample\" has no table \"patient\"", "one of \"patients\", \"admissions\""),
        ("\"sex\", \"birth_year\"", "\"sex\", \"birthday\"", "birthday", 32, "table \"patients\" has no column \"birthday\"", "\"birth_year\""),
        ("\"sex\", \"birth_year\"", "\"sex\", \"sex\"", "\"sex\", \"sex\"", 32, "column \"sex\" is named twice", "each column once"),
        ("name = \"admissions\"", "name = \"patients\"\ncolumns = [\"sex\"]\nclass = \"clinical\"\n[[data.tables]]\nname = \"admissions\"", "columns = [\"sex\"]", 0, "table \"patients\" is named twice", "each table once"),
        ("version = 1\n", "version = 0\n", "version = 0", 11, "\"version\" is 0", "1 to"),
        ("final = [\"table\", \"plot\"]", "final = [\"rows\"]", "final = ", 10, "unknown variant \"rows\"", "\"table\""),
        ("from = 2026-04-01", "from = \"2026-04-01\"", "from = \"2026-04-01\"", 8, "invalid type: string", "datetime"),
        ("from = 2026-04-01", "from = 2026-04-01T00:00:00Z", "from = 2026-04-01T", 8, "\"from\" is \"2026-04-01T00:00:00Z\"", "a date such as 2026-04-01"),
        ("to = 2027-03-31", "to = 2026-03-31", "to = 2026-03-31", 6, "the period ends on 2026-03-31, before it begins", "2026-04-01 or later"),
        ("[\"destroy-keys\", ", "[", "end_measures = [\"", 16, "\"destroy-keys\" is missing", "\"destroy-keys\" and \"erase-scripts\""),
        ("from = \"08:30\"", "from = \"8:30\"", "from = \"8:30\"", 8, "\"from\" is \"8:30\"", "\"00:00\" to \"24:00\""),
        ("to = \"20:00\"", "to = \"24:01\"", "to = \"24:01\"", 6, "\"to\" is \"24:01\"", "\"00:00\" to \"24:00\""),
        ("to = \"20:00\"", "to = \"08:30\"", "to = \"08:30\"", 6, "the hours end at \"08:30\"", "a time after \"08:30\""),
        ("days = [\"mon\"", "days = [\"Monday\"", "days = [\"Monday\"", 9, "unknown variant \"Monday\"", "\"mon\""),
        ("console = \"statistics\"", "console = \"rows\"", "console = \"rows\"", 11, "unknown variant \"rows\"", "\"off\""),
        ("idle_limit_s = 900", "idle_limit_s = 0", "idle_limit_s = 0", 16, "\"idle_limit_s\" is 0", "1 to 28800 s"),
        ("idle_limit_s = 900", "idle_limit_s = -1", "idle_limit_s = -1", 16, "invalid value: integer \"-1\"", "u32"),
        ("memory_limit_mib = 2048", "memory_limit_mib = 1", "memory_limit_mib = 1", 20, "\"memory_limit_mib\" is 1", "64 to 1048576 MiB"),
        ("profile = \"strict\"", "profile = \"lax\"", "profile = \"lax\"", 11, "no disclosure control profile is called \"lax\"", "\"strict\""),
        ("threshold = 10", "threshold = 0", "threshold = 0", 13, "\"threshold\" is 0", "1 to 1000 persons"),
        ("dominance_permille = 850", "dominance_permille = 8500", "dominance_permille = 8500", 22, "\"dominance_permille\" is 8500", "1 to 1000 permille"),
        ("own_tools = [\"riskratio\"]", "own_tools = [\"../x\"]", "own_tools = ", 14, "\"../x\" is no tool's name", "1 to 64 of a-z"),
        ("own_tools = [\"riskratio\"]", "own_tools = [\"x\", \"x\"]", "own_tools = ", 19, "tool \"x\" is named twice", "each tool once"),
        ("python = true", "python = 1", "python = 1", 10, "invalid type: integer \"1\"", "boolean"),
        ("rows = true", "row = true", "row = true", 1, "unknown field \"row\"", "\"rows\""),
        ("clock_ms = 10 ", "# ", "[programs]", 1, "missing field \"clock_ms\"", "that key"),
        ("time_limit_s = 600", "time_limit_s = 0", "time_limit_s = 0", 16, "\"time_limit_s\" is 0", "1 to 86400 s"),
        ("memory_limit_mib = 1024", "memory_limit_mib = 5000", "memory_limit_mib = 5000", 20, "\"memory_limit_mib\" is 5000", "1 to 4096 MiB"),
        ("memory_limit_mib = 1024", "memory_limit_mib = 4096", "memory_limit_mib = 4096", 20, "a program's \"memory_limit_mib\" is 4096", "at most 2048 MiB, which its session has"),
        ("table_elements_max = 100000", "table_elements_max = 1000001", "table_elements_max = ", 22, "\"table_elements_max\" is 1000001", "1 to 1000000 elements"),
        ("instances_max = 100", "instances_max = 0", "instances_max = 0", 17, "\"instances_max\" is 0", "1 to 1000 instances"),
        ("outputs_max = 20", "outputs_max = 1001", "outputs_max = 1001", 15, "\"outputs_max\" is 1001", "0 to 1000 outputs"),
        ("output_kib_max = 256", "output_kib_max = 0", "output_kib_max = 0", 18, "\"output_kib_max\" is 0", "1 to 16384 KiB"),
        ("log_kib_max = 1024", "log_kib_max = 99999", "log_kib_max = 99999", 15, "\"log_kib_max\" is 99999", "1 to 16384 KiB"),
        ("scratch_kib_max = 16384", "scratch_kib_max = -1", "scratch_kib_max = -1", 19, "invalid value: integer \"-1\"", "u32"),
        ("clock_ms = 10 ", "clock_ms = 0 ", "clock_ms = 0", 12, "\"clock_ms\" is 0", "1 to 60000 ms"),
        ("[sdc]", "[sdc", "[sdc", 5, "unclosed table", "]"),
        ("[sdc]", "[session]", "memory_limit_mib = 2048", 0, "duplicate key", "each key once"),
    ];
    let mut wrong = Vec::new();
    for (old, new, at, column, found, expected) in rows {
        assert!(EXAMPLE.contains(old), "{old}");
        let text = EXAMPLE.replacen(old, new, 1);
        let error = match parse_known(&text) {
            Ok(_) => {
                wrong.push(format!("{new}: was taken"));
                continue;
            }
            Err(error) => error,
        };
        let mut line = line_of(&text, at);
        // Column 0: the error is not on the line that can be searched for, but next to it.
        match *new {
            "[session]" => {
                line = u32::try_from(
                    text.lines()
                        .collect::<Vec<_>>()
                        .iter()
                        .rposition(|l| *l == "[session]")
                        .unwrap(),
                )
                .unwrap()
                    + 1
            }
            _ if *column == 0 => line -= 1,
            _ => {}
        }
        let fits = error.line == line
            && (*column == 0 || error.column == *column)
            && error.found.contains(found)
            && error.expected.contains(expected);
        if !fits {
            wrong.push(format!(
                "{new}: line {line}, column {column} wanted; got {error}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows.len() >= 15);
}

/// The example with row conditions on the table of patients, whose `birth_year` is a number.
fn with_rows(conditions: &str) -> (String, DatasetCatalog) {
    let columns = "columns = [\"person_id\", \"sex\", \"birth_year\", \"prefecture\"]\n";
    let rows = format!(
        "rows.description = {{ ja = \"成人\", en = \"adults\" }}\nrows.conditions = [\n{conditions}\n]\n"
    );
    let mut catalog = catalog();
    for column in &mut catalog.tables[0].columns {
        column.sql_type = match column.name.as_str() {
            "birth_year" => "bigint",
            "prefecture" => "date",
            _ => "text",
        }
        .to_owned();
    }
    (
        EXAMPLE.replacen(columns, &format!("{columns}{rows}"), 1),
        catalog,
    )
}

fn parse_with_rows(conditions: &str) -> Result<Agreement, AgreementError> {
    let (text, catalog) = with_rows(conditions);
    let people = known_people();
    let known = Known {
        people: &people,
        catalog: &|id, version| (*id == catalog.id && version == 1).then_some(&catalog),
    };
    Agreement::parse_known(&text, &known)
}

#[test]
fn row_conditions_are_read_as_written() {
    let agreement = parse_with_rows(
        "{ column = \"birth_year\", at_least = 1920, below = 2008 },
         { column = \"sex\", one_of = [\"M\", \"F\"] },
         { column = \"prefecture\", above = 1970-01-03, is_not = 1969-12-31 },",
    )
    .unwrap();
    let rows = agreement.data[0].tables["patients"].rows.clone().unwrap();
    let condition = |column: &str, test| RowCondition {
        column: column.to_owned(),
        test,
    };
    let text = |text: &str| Constant::Text(text.to_owned());
    assert_eq!(
        rows.conditions,
        [
            condition("birth_year", RowTest::AtLeast(Constant::Int(1920))),
            condition("birth_year", RowTest::Below(Constant::Int(2008))),
            condition("sex", RowTest::OneOf(vec![text("M"), text("F")])),
            condition("prefecture", RowTest::IsNot(Constant::Day(-1))),
            condition("prefecture", RowTest::Above(Constant::Day(2))),
        ]
    );
    assert_eq!(rows.description.en, "adults");
    let whole = parse_known(EXAMPLE).unwrap();
    assert_eq!(whole.data[0].tables["patients"].rows, None);
    assert!(!whole.same_in_session(&agreement));
}

#[test]
fn row_condition_that_its_column_cannot_have_is_refused_with_its_place() {
    #[rustfmt::skip]
    let wrong = [
        ("{ column = \"birth_year\", is = \"1920\" }", "\"1920\"", "column \"birth_year\" is bigint", "whole numbers"),
        ("{ column = \"sex\", above = \"M\" }", "\"M\" }", "column \"sex\" is text", "\"one_of\""),
        ("{ column = \"prefecture\", is = 13 }", "13 }", "column \"prefecture\" is date", "2026-04-01"),
        ("{ column = \"birth_year\", is = 1920.5 }", "1920.5", "a float as a constant", "a whole number"),
        ("{ column = \"prefecture\", is = 1970-01-01T00:00:00Z }", "1970-01-01T", "a constant is", "2026-04-01"),
        ("{ column = \"birthday\", is = 1 }", "\"birthday\"", "has no column \"birthday\"", "\"birth_year\""),
        ("{ column = \"sex\" }", "{ column", "a condition without a test", "\"is\""),
        ("{ column = \"sex\", one_of = [] }", "[] }", "\"one_of\" holds 0", "1 to"),
        ("{ column = \"sex\", one_of = [\"M\", 1] }", "[\"M\", 1]", "column \"sex\" is text", "texts"),
        ("{ column = \"sex\", like = \"M\" }", "like", "unknown field \"like\"", "\"is\""),
        ("", "[\n\n]", "\"conditions\" holds 0", "1 to 64 conditions"),
    ];
    for (conditions, at, found, expected) in wrong {
        let (text, _) = with_rows(conditions);
        let error = parse_with_rows(conditions).unwrap_err();
        let offset = text.find("rows.conditions").unwrap();
        let offset = offset + text[offset..].find(at).unwrap();
        let line = text[..offset].matches('\n').count() + 1;
        let column = offset - text[..offset].rfind('\n').unwrap();
        let place = (error.line as usize, error.column as usize);
        assert_eq!(place, (line, column), "{conditions}: {error}");
        assert!(error.found.contains(found), "{conditions}: {error}");
        assert!(error.expected.contains(expected), "{conditions}: {error}");
    }
}

#[test]
fn session_is_told_which_rows_are_provided_but_not_how_many_there_are() {
    let conditions = "{ column = \"birth_year\", below = 2008 }";
    let agreement = parse_with_rows(conditions).unwrap();
    let (_, mut whole) = with_rows(conditions);
    whole.tables[0].rows = 12_345;
    whole.tables[1].rows = 12_345;
    let key = |dataset: &DatasetId, version| {
        Some(WrappedKey {
            dataset: dataset.clone(),
            version,
            recipient: Recipient::Recovery,
            enc: String::new(),
            ciphertext: String::new(),
        })
    };
    let granted = crate::grant(&agreement, |_, _| Some(&whole), key).unwrap();
    let tables = &granted[0].catalog.tables;
    let of = |name: &str| tables.iter().find(|table| table.name == name).unwrap();
    assert_eq!((of("patients").rows, of("admissions").rows), (0, 13_000));
    assert!(
        of("patients")
            .description
            .en
            .ends_with("Rows provided: adults")
    );
    assert!(
        of("patients")
            .description
            .ja
            .ends_with("提供される行: 成人")
    );
    assert_eq!(granted[0].tables["patients"].rows.len(), 1);
    assert!(granted[0].tables["admissions"].rows.is_empty());
    // Registered again with another type: nothing is granted rather than everything.
    for column in &mut whole.tables[0].columns {
        column.sql_type = "text".to_owned();
    }
    let refused = crate::grant(&agreement, |_, _| Some(&whole), key).unwrap_err();
    let name = |name: &str| name.to_owned();
    assert_eq!(
        refused,
        crate::GrantError::Condition(name("patients"), name("birth_year"))
    );
}

#[test]
fn hours_are_japans() {
    let agreement = parse_known(EXAMPLE).unwrap();
    // 2026-11-24 is a Tuesday.
    let at = |text: &str| Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
    assert!(!agreement.in_hours(at("2026-11-24T08:29:59+09:00")));
    assert!(agreement.in_hours(at("2026-11-24T08:30:00+09:00")));
    assert!(agreement.in_hours(at("2026-11-24T19:59:59+09:00")));
    assert!(!agreement.in_hours(at("2026-11-24T20:00:00+09:00")));
    assert!(
        !agreement.in_hours(at("2026-11-22T12:00:00+09:00")),
        "a Sunday"
    );
    assert!(
        !agreement.in_hours(at("2026-12-29T12:00:00+09:00")),
        "a closed day"
    );
    assert!(agreement.in_period(at("2027-03-31T23:59:59+09:00")));
    assert!(!agreement.in_period(at("2027-04-01T00:00:00+09:00")));
    assert!(!agreement.in_period(at("2026-03-31T23:59:59+09:00")));
}

#[test]
fn endless_text_is_refused_before_it_is_parsed() {
    let text = "#".repeat(AGREEMENT_BYTES_MAX + 1);
    assert!(
        Agreement::parse(&text)
            .unwrap_err()
            .expected
            .contains("bytes")
    );
}
