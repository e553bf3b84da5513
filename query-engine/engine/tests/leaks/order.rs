//! What runs first. Each statement fails on a hidden row only if its expression runs before the row is gone.

use crate::Way;

pub fn ways() -> Vec<Way> {
    vec![
        Way::view(
            "AND that ends early",
            "SELECT id FROM visit WHERE n > 4 AND 1 / (n - 777) = 1",
        ),
        Way::view(
            "AND written the other way round",
            "SELECT id FROM visit WHERE 1 / (n - 777) = 1 AND n < 0",
        ),
        Way::view(
            "OR that ends early",
            "SELECT id FROM visit WHERE n <> 777 OR 1 / (n - 777) = 1",
        ),
        Way::view(
            "NOT around what fails",
            "SELECT id FROM visit WHERE NOT (1 / (n - 777) = 1)",
        ),
        Way::view(
            "CASE that fails for one value",
            "SELECT id FROM visit WHERE CASE WHEN n = 777 THEN 1 / (n - 777) ELSE 1 END = 1",
        ),
        Way::view(
            "CASE over the values themselves",
            "SELECT id FROM visit WHERE CASE n WHEN 777 THEN 1 / (n - 777) ELSE 1 END = 1",
        ),
        Way::view(
            "COALESCE that reaches its second",
            "SELECT id FROM visit WHERE coalesce(nullif(n, 777), 1 / (n - 777)) > 0",
        ),
        Way::view(
            "NULLIF beside a division",
            "SELECT id FROM visit WHERE 1 / (n - 777) = coalesce(nullif(n, 1), 2)",
        ),
        Way::view(
            "GREATEST of what fails",
            "SELECT id FROM visit WHERE greatest(n, 1 / (n - 777)) > 0",
        ),
        Way::view(
            "IN list of what fails",
            "SELECT id FROM visit WHERE 1 IN (n, 1 / (n - 777))",
        ),
        Way::view(
            "BETWEEN bounds that fail",
            "SELECT id FROM visit WHERE 1 BETWEEN 1 / (n - 777) AND n",
        ),
        Way::view(
            "LIKE of a cast that fails",
            "SELECT id FROM visit WHERE CAST(CAST(digits AS bigint) AS text) LIKE '1%'",
        ),
        Way::view(
            "predicate pushed below a subquery in FROM",
            "SELECT id FROM (SELECT id, n FROM visit) t WHERE 1 / (n - 777) < 5",
        ),
        Way::view(
            "predicate pushed below WITH",
            "WITH t AS (SELECT id, n FROM visit) SELECT id FROM t WHERE 1 / (n - 777) < 5",
        ),
        Way::view(
            "predicate pushed below a join",
            "SELECT v.id FROM visit v JOIN person p ON v.person = p.person WHERE 1 / (v.n - 777) < 5",
        ),
        Way::view(
            "predicate of a join pushed into its side",
            "SELECT p.born FROM person p LEFT JOIN visit v ON v.person = p.person AND 1 / (v.n - 777) < 5",
        ),
        Way::view(
            "predicate pushed below UNION ALL",
            "SELECT id FROM (SELECT id, n FROM visit UNION ALL SELECT id, n FROM visit) t WHERE 1 / (n - 777) < 5",
        ),
        Way::view(
            "predicate pushed below DISTINCT",
            "SELECT n FROM (SELECT DISTINCT n FROM visit) t WHERE 1 / (n - 777) < 5",
        ),
        Way::view(
            "HAVING pushed below the grouping",
            "SELECT n, count(*) FROM visit GROUP BY n HAVING 1 / (n - 777) < 5",
        ),
        Way::view(
            "predicate pushed below a window by its partition",
            "SELECT r FROM (SELECT n, row_number() OVER (PARTITION BY n ORDER BY id) AS r FROM visit) t WHERE 1 / (n - 777) < 5",
        ),
        Way::view(
            "predicate pushed below ORDER BY",
            "SELECT id FROM (SELECT id, n FROM visit ORDER BY id) t WHERE 1 / (n - 777) < 5",
        ),
        Way::view(
            "condition of the agreement said again",
            "SELECT count(*) FROM visit WHERE 1 / (n - 777) < 5 AND person < 1000",
        ),
    ]
}
