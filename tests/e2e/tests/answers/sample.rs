//! What is asked of the Japanese sample, and the same from its raw CSV files.

use std::path::Path;

use crate::plain::{self, Agg, Plain, age_band, prefecture};
use crate::{Question, fact};

pub(crate) fn questions(raw: &Path) -> Vec<Question> {
    use Agg::{Deviation, Mean, Persons, Rows, Sum, Values};
    let patients = Plain::csv(&raw.join("patients.csv"));
    let labs = Plain::csv(&raw.join("labs.csv"));
    let dpc = Plain::csv(&raw.join("dpc.csv"));
    let drugs = Plain::csv(&raw.join("drugs.csv"));
    let by_patient = patients.by("患者ID");
    let patient = |row: &plain::Row<'_>| by_patient[row.get("患者ID").unwrap()][0];
    let of = |row: &plain::Row<'_>| row.text("患者ID");
    let admissions = dpc.by("患者ID");
    let none: &[Option<f64>] = &[];
    let mut orders: std::collections::BTreeMap<String, f64> = std::collections::BTreeMap::new();
    for row in labs.rows() {
        *orders.entry(of(&row)).or_default() += 1.0;
    }
    vec![
        Question {
            sql: "SELECT sex, count(*) AS n FROM patients GROUP BY sex",
            keys: 1,
            columns: &[Rows],
            facts: patients
                .rows()
                .map(|row| fact(&[row.text("性別")], &of(&row), none))
                .collect(),
            has_small_groups: false,
        },
        Question {
            sql: "SELECT age_band, sex, count(*), count(DISTINCT person_id) FROM patients GROUP BY age_band, sex",
            keys: 2,
            columns: &[Rows, Persons],
            facts: patients
                .rows()
                .map(|row| {
                    let band = age_band(&row.text("生年月日"));
                    fact(&[band, row.text("性別")], &of(&row), none)
                })
                .collect(),
            has_small_groups: false,
        },
        Question {
            sql: "SELECT prefecture, count(*) FROM patients GROUP BY prefecture",
            keys: 1,
            columns: &[Rows],
            facts: patients
                .rows()
                .map(|row| fact(&[prefecture(&row.text("住所"))], &of(&row), none))
                .collect(),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT date_part('year', first_visit_month) AS y, date_part('month', first_visit_month) AS m, count(*) \
                  FROM patients GROUP BY 1, 2",
            keys: 2,
            columns: &[Rows],
            facts: patients
                .rows()
                .map(|row| {
                    let day = row.text("初診日");
                    let month = day[5..7].trim_start_matches('0').to_owned();
                    fact(&[day[..4].to_owned(), month], &of(&row), none)
                })
                .collect(),
            has_small_groups: false,
        },
        Question {
            sql: "SELECT icd10, disease_name, count(*), count(DISTINCT person_id), avg(points), sum(points) \
                  FROM dpc GROUP BY icd10, disease_name",
            keys: 2,
            columns: &[Rows, Persons, Mean(0), Sum(0)],
            facts: dpc
                .rows()
                .map(|row| {
                    let key = [row.text("ICD10"), row.text("傷病名")];
                    fact(&key, &of(&row), &[row.number("請求点数")])
                })
                .collect(),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT outcome, count(*), stddev_pop(points) FROM dpc GROUP BY outcome",
            keys: 1,
            columns: &[Rows, Deviation(0)],
            facts: dpc
                .rows()
                .map(|row| fact(&[row.text("転帰")], &of(&row), &[row.number("請求点数")]))
                .collect(),
            has_small_groups: false,
        },
        Question {
            sql: "SELECT test_name, unit, count(value), avg(value), stddev_pop(value) FROM labs GROUP BY test_name, unit",
            keys: 2,
            columns: &[Values(0), Mean(0), Deviation(0)],
            facts: labs
                .rows()
                .map(|row| {
                    let key = [row.text("検査名"), row.text("単位")];
                    fact(&key, &of(&row), &[row.number("結果値")])
                })
                .collect(),
            has_small_groups: false,
        },
        Question {
            sql: "SELECT CASE WHEN value >= 6.5 THEN 'high' ELSE 'low' END AS hba1c, count(*), count(DISTINCT person_id) \
                  FROM labs WHERE jlac10 = '3D046000001906202' AND value IS NOT NULL GROUP BY 1",
            keys: 1,
            columns: &[Rows, Persons],
            facts: labs
                .rows()
                .filter(|row| row.get("JLAC10") == Some("3D046000001906202"))
                .filter_map(|row| {
                    let level = if row.number("結果値")? >= 6.5 {
                        "high"
                    } else {
                        "low"
                    };
                    Some(fact(&[level.to_owned()], &of(&row), none))
                })
                .collect(),
            has_small_groups: false,
        },
        Question {
            sql: "SELECT p.sex, d.icd10, count(*), avg(d.points) \
                  FROM patients p JOIN dpc d ON p.person_id = d.person_id GROUP BY p.sex, d.icd10",
            keys: 2,
            columns: &[Rows, Mean(0)],
            facts: dpc
                .rows()
                .map(|row| {
                    let key = [patient(&row).text("性別"), row.text("ICD10")];
                    fact(&key, &of(&row), &[row.number("請求点数")])
                })
                .collect(),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT p.age_band, count(*), count(d.points), sum(d.points) \
                  FROM patients p LEFT JOIN dpc d ON p.person_id = d.person_id GROUP BY p.age_band",
            keys: 1,
            columns: &[Rows, Values(0), Sum(0)],
            facts: patients
                .rows()
                .flat_map(|row| {
                    let key = [age_band(&row.text("生年月日"))];
                    let stays = admissions.get(row.get("患者ID").unwrap());
                    let points: Vec<Option<f64>> = match stays {
                        None => vec![None],
                        Some(stays) => stays.iter().map(|stay| stay.number("請求点数")).collect(),
                    };
                    let person = of(&row);
                    points
                        .into_iter()
                        .map(|points| fact(&key, &person, &[points]))
                        .collect::<Vec<_>>()
                })
                .collect(),
            has_small_groups: false,
        },
        Question {
            sql: "SELECT date_part('year', prescribed_on) AS y, drug_name, sum(days), avg(quantity), count(*) \
                  FROM drugs GROUP BY 1, drug_name",
            keys: 2,
            columns: &[Sum(0), Mean(1), Rows],
            facts: drugs
                .rows()
                .map(|row| {
                    let key = [row.text("処方日")[..4].to_owned(), row.text("医薬品名")];
                    fact(&key, &of(&row), &[row.number("日数"), row.number("数量")])
                })
                .collect(),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT count(*), count(*) FILTER (WHERE icd10 = 'C349'), count(*) FILTER (WHERE icd10 = 'I639'), \
                  sum(points) FILTER (WHERE icd10 = 'C189') FROM dpc",
            keys: 0,
            columns: &[Rows, Values(0), Values(1), Sum(2)],
            facts: dpc
                .rows()
                .map(|row| {
                    let if_is =
                        |code: &str, value| (row.get("ICD10") == Some(code)).then_some(value);
                    let points = row.number("請求点数").unwrap();
                    let values = [
                        if_is("C349", 1.0),
                        if_is("I639", 1.0),
                        if_is("C189", points),
                    ];
                    fact(&[], &of(&row), &values)
                })
                .collect(),
            has_small_groups: false,
        },
        Question {
            sql: "SELECT p.prefecture, count(*), avg(t.n) FROM patients p \
                  JOIN (SELECT person_id, count(*) AS n FROM labs GROUP BY person_id) t ON t.person_id = p.person_id \
                  GROUP BY p.prefecture",
            keys: 1,
            columns: &[Rows, Mean(0)],
            facts: orders
                .iter()
                .map(|(person, n)| {
                    let home = prefecture(&by_patient[person.as_str()][0].text("住所"));
                    fact(&[home], person, &[Some(*n)])
                })
                .collect(),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT sex, sum(CASE WHEN first_visit_month IS NULL THEN 0 ELSE 1 END), count(*) FROM patients GROUP BY sex",
            keys: 1,
            columns: &[Sum(0), Rows],
            facts: patients
                .rows()
                .map(|row| {
                    let known = f64::from(u8::from(row.get("初診日").is_some()));
                    fact(&[row.text("性別")], &of(&row), &[Some(known)])
                })
                .collect(),
            has_small_groups: false,
        },
    ]
}
