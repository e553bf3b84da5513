//! A group of too few people: neither its value nor its size may be told by what stands around it.

use crate::Way;

pub fn ways() -> Vec<Way> {
    vec![
        Way::rare(
            "cell of a small group",
            "SELECT dx, avg(amount), count(*) FROM visit GROUP BY dx",
        ),
        Way::rare(
            "small group alone",
            "SELECT count(*), sum(amount) FROM visit WHERE dx = 'rare'",
        ),
        Way::rare(
            "HAVING on its value",
            "SELECT dx, count(*) FROM visit GROUP BY dx HAVING avg(amount) > 50",
        ),
        Way::rare(
            "HAVING on its size",
            "SELECT dx FROM visit GROUP BY dx HAVING count(DISTINCT person) > 3",
        ),
        Way::rare(
            "order by its value",
            "SELECT dx FROM visit GROUP BY dx ORDER BY avg(amount) DESC, dx",
        ),
        Way::rare(
            "order by its size, and a limit",
            "SELECT dx FROM visit GROUP BY dx ORDER BY count(*), dx LIMIT 2",
        ),
        Way::rare(
            "limit that counts it",
            "SELECT dx FROM visit GROUP BY dx ORDER BY avg(amount) LIMIT 3",
        ),
        Way::rare(
            "CASE over its value",
            "SELECT dx, CASE WHEN avg(amount) > 50 THEN 'high' ELSE 'low' END FROM visit GROUP BY dx",
        ),
        Way::rare(
            "its value compared",
            "SELECT avg(amount) > 50 FROM visit WHERE dx = 'rare'",
        ),
        Way::rare(
            "COALESCE over its value",
            "SELECT coalesce(avg(amount), 0) FROM visit WHERE dx = 'rare'",
        ),
        Way::rare(
            "IS NULL of its value",
            "SELECT sum(n) > 20 IS TRUE FROM visit WHERE dx = 'rare'",
        ),
        Way::rare(
            "division by its size",
            "SELECT 100 / (count(*) - 3) FROM visit WHERE dx = 'rare'",
        ),
        Way::rare(
            "division by its size in HAVING",
            "SELECT count(*) FROM visit WHERE dx = 'rare' HAVING 100 / (count(*) - 3) > 1",
        ),
        Way::rare(
            "cast of its value",
            "SELECT CAST(CAST(sum(n) AS text) AS smallint) FROM visit WHERE dx = 'rare'",
        ),
        Way::rare(
            "number of its distinct values",
            "SELECT dx, count(DISTINCT n) FROM visit GROUP BY dx",
        ),
        Way::rare(
            "spread of its values",
            "SELECT dx, stddev(n), var_pop(n) FROM visit GROUP BY dx",
        ),
        Way::rare(
            "correlation within it",
            "SELECT dx, corr(n, amount), covar_pop(n, id) FROM visit GROUP BY dx",
        ),
        Way::rare(
            "group by its value",
            "SELECT amount, count(*) FROM visit WHERE dx = 'rare' GROUP BY amount",
        ),
        Way::rare(
            "group by its people",
            "SELECT person, count(*) FROM visit WHERE dx = 'rare' GROUP BY person",
        ),
        Way::rare(
            "number of withheld groups",
            "SELECT dx, n, count(*) FROM visit WHERE dx IN ('rare', 'left out') GROUP BY dx, n",
        ),
        Way::rare(
            "an empty group beside a small one",
            "SELECT count(*) FROM visit WHERE dx = 'rare' AND person = 5",
        )
        .control("SELECT count(*) FROM visit WHERE dx = 'rare' AND person = 5"),
        Way::rare(
            "persons kept for their value",
            "SELECT count(*) FROM (SELECT person, max(n) AS m FROM visit GROUP BY person) t WHERE m = 888",
        ),
    ]
}
