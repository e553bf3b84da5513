//! What is asked of GiBleed, and the same from its plain Parquet files.

use std::path::Path;

use crate::plain::{self, Agg, Fact, Plain};
use crate::{Question, fact};

pub(crate) fn questions(source: &Path) -> Vec<Question> {
    use Agg::{Mean, Persons, Rows, Sum};
    let table = |name: &str, columns: &[&str]| {
        Plain::parquet(&source.join(format!("{name}.parquet")), columns)
    };
    let persons = table(
        "person",
        &[
            "person_id",
            "gender_concept_id",
            "year_of_birth",
            "race_source_value",
            "ethnicity_source_value",
        ],
    );
    let visits = table(
        "visit_occurrence",
        &["visit_occurrence_id", "person_id", "visit_concept_id"],
    );
    let conditions = table(
        "condition_occurrence",
        &[
            "person_id",
            "condition_concept_id",
            "condition_start_date",
            "visit_occurrence_id",
        ],
    );
    let drugs = table(
        "drug_exposure",
        &["person_id", "drug_concept_id", "days_supply", "quantity"],
    );
    let measurements = table(
        "measurement",
        &["person_id", "measurement_concept_id", "value_as_number"],
    );
    let observations = table("observation", &["person_id", "observation_concept_id"]);
    let concepts = table("concept", &["concept_id", "concept_name"]);
    let of = |row: &plain::Row<'_>| row.text("person_id");
    let by_person = persons.by("person_id");
    let concept = concepts.by("concept_id");
    let visit = visits.by("visit_occurrence_id");
    let none: &[Option<f64>] = &[];
    let bleeders: std::collections::BTreeSet<String> = conditions
        .rows()
        .filter(|row| row.get("condition_concept_id") == Some("192671"))
        .map(|row| of(&row))
        .collect();
    assert!(bleeders.len() > 100, "GiBleed without bleeding");
    let simple = |table: &Plain, column: &str| -> Vec<Fact> {
        table
            .rows()
            .map(|row| fact(&[row.text(column)], &of(&row), none))
            .collect()
    };
    vec![
        Question {
            sql: "SELECT gender_concept_id, count(*) FROM person GROUP BY 1",
            keys: 1,
            columns: &[Rows],
            facts: simple(&persons, "gender_concept_id"),
            has_small_groups: false,
        },
        Question {
            sql: "SELECT year_of_birth, count(*) FROM person GROUP BY year_of_birth",
            keys: 1,
            columns: &[Rows],
            facts: simple(&persons, "year_of_birth"),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT race_source_value, ethnicity_source_value, count(*), avg(2020 - year_of_birth) FROM person GROUP BY 1, 2",
            keys: 2,
            columns: &[Rows, Mean(0)],
            facts: persons
                .rows()
                .map(|row| {
                    let key = [
                        row.text("race_source_value"),
                        row.text("ethnicity_source_value"),
                    ];
                    let age = row.number("year_of_birth").map(|year| 2020.0 - year);
                    fact(&key, &of(&row), &[age])
                })
                .collect(),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT condition_concept_id, count(*), count(DISTINCT person_id) FROM condition_occurrence GROUP BY 1",
            keys: 1,
            columns: &[Rows, Persons],
            facts: simple(&conditions, "condition_concept_id"),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT visit_concept_id, count(*), count(DISTINCT person_id) FROM visit_occurrence GROUP BY 1",
            keys: 1,
            columns: &[Rows, Persons],
            facts: simple(&visits, "visit_concept_id"),
            has_small_groups: false,
        },
        Question {
            sql: "SELECT drug_concept_id, count(*), sum(days_supply), avg(quantity) FROM drug_exposure GROUP BY 1",
            keys: 1,
            columns: &[Rows, Sum(0), Mean(1)],
            facts: drugs
                .rows()
                .map(|row| {
                    let values = [row.number("days_supply"), row.number("quantity")];
                    fact(&[row.text("drug_concept_id")], &of(&row), &values)
                })
                .collect(),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT measurement_concept_id, count(*), avg(value_as_number) FROM measurement GROUP BY 1",
            keys: 1,
            columns: &[Rows, Mean(0)],
            facts: measurements
                .rows()
                .map(|row| {
                    let key = [row.text("measurement_concept_id")];
                    fact(&key, &of(&row), &[row.number("value_as_number")])
                })
                .collect(),
            has_small_groups: false,
        },
        Question {
            sql: "SELECT observation_concept_id, count(*) FROM observation GROUP BY 1",
            keys: 1,
            columns: &[Rows],
            facts: simple(&observations, "observation_concept_id"),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT p.gender_concept_id, date_part('year', c.condition_start_date) AS y, count(*), count(DISTINCT p.person_id) \
                  FROM person p JOIN condition_occurrence c ON c.person_id = p.person_id GROUP BY 1, 2",
            keys: 2,
            columns: &[Rows, Persons],
            facts: conditions
                .rows()
                .map(|row| {
                    let person = by_person[row.get("person_id").unwrap()][0];
                    let year = row.text("condition_start_date")[..4].to_owned();
                    fact(&[person.text("gender_concept_id"), year], &of(&row), none)
                })
                .collect(),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT n.concept_name, count(*), count(DISTINCT o.person_id) FROM condition_occurrence o \
                  JOIN concept n ON n.concept_id = o.condition_concept_id GROUP BY n.concept_name",
            keys: 1,
            columns: &[Rows, Persons],
            facts: conditions
                .rows()
                .flat_map(|row| {
                    let names = concept.get(row.get("condition_concept_id").unwrap());
                    let person = of(&row);
                    names
                        .into_iter()
                        .flatten()
                        .map(|name| fact(&[name.text("concept_name")], &person, none))
                        .collect::<Vec<_>>()
                })
                .collect(),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT v.visit_concept_id, o.condition_concept_id, count(*) FROM condition_occurrence o \
                  JOIN visit_occurrence v ON v.visit_occurrence_id = o.visit_occurrence_id AND v.person_id = o.person_id \
                  GROUP BY 1, 2",
            keys: 2,
            columns: &[Rows],
            facts: conditions
                .rows()
                .flat_map(|row| {
                    let found = row.get("visit_occurrence_id").and_then(|id| visit.get(id));
                    let condition = row.text("condition_concept_id");
                    let person = of(&row);
                    found
                        .into_iter()
                        .flatten()
                        .filter(|visit| visit.text("person_id") == person)
                        .map(|visit| {
                            let key = [visit.text("visit_concept_id"), condition.clone()];
                            fact(&key, &person, none)
                        })
                        .collect::<Vec<_>>()
                })
                .collect(),
            has_small_groups: true,
        },
        Question {
            sql: "SELECT gender_concept_id, count(*), avg(year_of_birth) FROM person WHERE person_id IN \
                  (SELECT person_id FROM condition_occurrence WHERE condition_concept_id = 192671) GROUP BY 1",
            keys: 1,
            columns: &[Rows, Mean(0)],
            facts: persons
                .rows()
                .filter(|row| bleeders.contains(&of(row)))
                .map(|row| {
                    let key = [row.text("gender_concept_id")];
                    fact(&key, &of(&row), &[row.number("year_of_birth")])
                })
                .collect(),
            has_small_groups: false,
        },
        Question {
            sql: "SELECT d.drug_concept_id, count(DISTINCT d.person_id) FROM drug_exposure d \
                  WHERE EXISTS (SELECT 1 FROM condition_occurrence c \
                                WHERE c.person_id = d.person_id AND c.condition_concept_id = 192671) \
                  GROUP BY d.drug_concept_id",
            keys: 1,
            columns: &[Persons],
            facts: drugs
                .rows()
                .filter(|row| bleeders.contains(&of(row)))
                .map(|row| fact(&[row.text("drug_concept_id")], &of(&row), none))
                .collect(),
            has_small_groups: true,
        },
    ]
}
