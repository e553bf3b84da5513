//! Columns that are not granted: no spelling, place or shape reaches them, and no error knows of them.

use crate::Way;

pub fn ways() -> Vec<Way> {
    vec![
        Way::plain("star", "SELECT * FROM visit ORDER BY id LIMIT 5"),
        Way::plain(
            "star of a table",
            "SELECT v.* FROM visit v ORDER BY id LIMIT 5",
        ),
        Way::plain(
            "star of a join",
            "SELECT * FROM visit v JOIN person p ON v.person = p.person ORDER BY id LIMIT 5",
        ),
        Way::plain(
            "star but for a column",
            "SELECT * EXCLUDE (extra) FROM visit WHERE id < 0",
        ),
        Way::plain(
            "star but for a column, as others write it",
            "SELECT * EXCEPT (extra) FROM visit WHERE id < 0",
        ),
        Way::plain(
            "star with a column replaced",
            "SELECT * REPLACE (1 AS n) FROM visit ORDER BY id LIMIT 5",
        ),
        Way::plain(
            "column by its name",
            "SELECT secret FROM visit ORDER BY id LIMIT 20",
        ),
        Way::plain(
            "column by its table and name",
            "SELECT visit.secret FROM visit ORDER BY id LIMIT 20",
        ),
        Way::plain(
            "column by an alias of the table",
            "SELECT v.secret FROM visit AS v ORDER BY id LIMIT 20",
        ),
        Way::plain(
            "column in quotes",
            "SELECT \"secret\" FROM visit ORDER BY id LIMIT 20",
        ),
        Way::plain(
            "column in capitals",
            "SELECT SECRET FROM visit ORDER BY id LIMIT 20",
        ),
        Way::plain(
            "hidden person number",
            "SELECT \"__kekkai_n\" FROM visit ORDER BY id LIMIT 20",
        ),
        Way::plain(
            "hidden person number in capitals",
            "SELECT __KEKKAI_N FROM visit ORDER BY id LIMIT 20",
        ),
        Way::plain(
            "column that only one data set has",
            "SELECT count(extra) FROM visit",
        ),
        Way::plain(
            "condition on it",
            "SELECT count(*) FROM visit WHERE secret = 'SENTINEL-positive'",
        ),
        Way::plain(
            "condition on the agreement's own column",
            "SELECT count(*) FROM visit WHERE site = 9",
        ),
        Way::plain(
            "order by it",
            "SELECT id FROM visit ORDER BY secret, id LIMIT 5",
        ),
        Way::plain(
            "order by a position beyond the granted ones",
            "SELECT * FROM visit ORDER BY 16 LIMIT 5",
        ),
        Way::plain(
            "group by it",
            "SELECT count(*) FROM visit GROUP BY secret ORDER BY 1",
        ),
        Way::plain(
            "group by a position",
            "SELECT secret, count(*) FROM visit GROUP BY 1 ORDER BY 1",
        ),
        Way::plain(
            "group by an alias that hides it",
            "SELECT count(*) AS secret FROM visit GROUP BY visit.secret ORDER BY 1",
        ),
        Way::plain(
            "HAVING on it",
            "SELECT count(*) FROM visit HAVING min(secret) < 'T'",
        ),
        Way::plain(
            "aggregate filtered by it",
            "SELECT count(*) FILTER (WHERE secret < 'T') FROM visit WHERE id > 0",
        ),
        Way::plain(
            "aggregate ordered by it",
            "SELECT first_value(id ORDER BY secret) FROM visit",
        ),
        Way::plain(
            "partition by it",
            "SELECT id, row_number() OVER (PARTITION BY secret ORDER BY id) AS r FROM visit WHERE id < 500 ORDER BY id",
        ),
        Way::plain(
            "distinct on it",
            "SELECT DISTINCT ON (secret) id FROM visit ORDER BY secret, id",
        ),
        Way::plain(
            "join on it",
            "SELECT count(*) FROM visit v JOIN person p ON v.secret = p.secret AND v.person = p.person WHERE v.id > 0",
        ),
        Way::plain(
            "USING it",
            "SELECT count(*) FROM visit JOIN person USING (person, secret) WHERE id > 0",
        ),
        Way::plain(
            "natural join by what both tables hide",
            "SELECT count(*) FROM visit NATURAL JOIN person WHERE id > 0",
        ),
        Way::plain(
            "correlated by it",
            "SELECT count(*) FROM person p WHERE EXISTS (SELECT 1 FROM visit v WHERE v.secret = 'SENTINEL-positive' AND p.secret = v.secret)",
        ),
        Way::plain(
            "its type, by a union",
            "SELECT id FROM visit WHERE id = 100 UNION ALL SELECT code FROM visit WHERE id = 100",
        ),
        Way::plain(
            "its type, by arithmetic",
            "SELECT count(code * 2) FROM visit",
        ),
        Way::plain(
            "its type, by CASE",
            "SELECT CASE WHEN id > 200 THEN id ELSE code END FROM visit WHERE id = 100",
        ),
        Way::plain(
            "its type, by a function",
            "SELECT arrow_typeof(code) FROM visit LIMIT 1",
        ),
        Way::plain("whole row", "SELECT visit FROM visit"),
        Way::plain(
            "values packed into a struct",
            "SELECT struct(secret, code) FROM visit WHERE id = 105",
        ),
        Way::plain("near name that an error offers", "SELECT extr FROM visit"),
        Way::plain(
            "wrong name, for the list of right ones",
            "SELECT nosuchcolumn FROM visit",
        ),
        Way::plain(
            "place of an error behind it",
            "SELECT extra, nosuchcolumn FROM visit",
        ),
        Way::plain(
            "table that only one data set has",
            "SELECT count(*) FROM ward",
        ),
        Way::plain(
            "near table that an error offers",
            "SELECT count(*) FROM wards",
        )
        .control("SELECT count(*) FROM ward"),
        Way::plain(
            "hidden column of another table",
            "SELECT name FROM person ORDER BY person LIMIT 3",
        ),
    ]
}
