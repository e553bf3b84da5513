//! Subqueries, set operations and parameters: every other place in which a table can be named.

use kekkai_output::Value;

use crate::Way;

pub fn ways() -> Vec<Way> {
    vec![
        Way::plain(
            "scalar subquery of more than one row",
            "SELECT (SELECT id FROM visit WHERE n < -5) AS x",
        ),
        Way::plain(
            "scalar subquery in a condition",
            "SELECT id FROM visit WHERE n = (SELECT max(n) FROM visit) AND id < 1000",
        ),
        Way::plain(
            "EXISTS",
            "SELECT count(*) FROM person WHERE EXISTS (SELECT 1 FROM visit WHERE n = 777)",
        ),
        Way::plain(
            "correlated EXISTS",
            "SELECT person FROM person p WHERE EXISTS (SELECT 1 FROM visit v WHERE v.person = p.person AND v.n = 777)",
        ),
        Way::plain(
            "correlated count",
            "SELECT person, (SELECT count(*) FROM visit v WHERE v.person = p.person) AS c FROM person p ORDER BY person",
        ),
        Way::plain(
            "IN of a subquery",
            "SELECT count(*) FROM person WHERE 777 IN (SELECT n FROM visit)",
        ),
        Way::plain(
            "NOT IN of a subquery",
            "SELECT count(*) FROM person WHERE 777 NOT IN (SELECT n FROM visit)",
        ),
        Way::plain(
            "nested three deep",
            "SELECT count(*) FROM person WHERE person IN (SELECT person FROM visit WHERE n IN (SELECT n FROM visit WHERE n > 700))",
        ),
        Way::plain(
            "EXCEPT",
            "SELECT id FROM visit EXCEPT SELECT id FROM visit WHERE n > 0 AND n < 700",
        ),
        Way::plain("INTERSECT", "SELECT n FROM visit INTERSECT SELECT 777"),
        Way::plain(
            "UNION that removes duplicates",
            "SELECT n FROM visit UNION SELECT 1 ORDER BY 1",
        ),
        Way::view(
            "UNION of texts, cast above it",
            "SELECT t FROM (SELECT digits AS t FROM visit UNION ALL SELECT '12') u WHERE CAST(t AS bigint) > 0 ORDER BY t",
        ),
        Way::view(
            "subquery that fails for one row",
            "SELECT count(*) FROM person WHERE person IN (SELECT person FROM visit WHERE 1 / (n - 777) < 5)",
        ),
        Way::plain(
            "guess as a parameter",
            "SELECT count(*) FROM visit WHERE n = ?",
        )
        .with(vec![Value::Int(777)])
        .control("SELECT count(*) FROM visit WHERE n = 777"),
        Way::view(
            "divisor as a parameter",
            "SELECT id FROM visit WHERE 1 / (n - ?) < 5",
        )
        .with(vec![Value::Int(777)])
        .control("SELECT id FROM visit WHERE 1 / (n - 777) < 5"),
        Way::plain("parameter as a limit", "SELECT id FROM visit LIMIT ?")
            .with(vec![Value::Int(2)])
            .control("SELECT id FROM visit LIMIT 2"),
        Way::plain("column's name as a parameter", "SELECT ? FROM visit")
            .with(vec![Value::Text("secret".to_owned())])
            .control("SELECT secret FROM visit"),
        Way::plain(
            "broken pattern as a parameter",
            "SELECT count(*) FROM visit WHERE secret ~ ?",
        )
        .with(vec![Value::Text("SENT".to_owned())])
        .control("SELECT count(*) FROM visit WHERE secret ~ 'SENT'"),
    ]
}
