//! Rows outside the agreement's conditions: nothing of them counts, joins, sorts or is numbered.

use crate::Way;

pub fn ways() -> Vec<Way> {
    vec![
        Way::plain(
            "count of rows, answered from the file's footer",
            "SELECT count(*) FROM visit",
        ),
        Way::plain(
            "count of persons",
            "SELECT count(DISTINCT person) FROM visit",
        ),
        Way::plain(
            "largest value, answered from the file's footer",
            "SELECT max(id) FROM visit",
        ),
        Way::plain(
            "smallest value, answered from the file's footer",
            "SELECT min(n) FROM visit",
        ),
        Way::plain(
            "pruning by what no row group holds",
            "SELECT count(*) FROM visit WHERE n < -1000",
        ),
        Way::plain(
            "predicate that only hidden rows meet",
            "SELECT count(*) FROM visit WHERE dx = 'SENTINEL-dx'",
        ),
        Way::plain("sum over all", "SELECT sum(id), avg(x) FROM visit"),
        Way::plain(
            "values that one hidden row has",
            "SELECT DISTINCT n FROM visit ORDER BY n",
        ),
        Way::plain("first row of the file", "SELECT id FROM visit LIMIT 1"),
        Way::plain(
            "row at an offset",
            "SELECT id FROM visit LIMIT 3 OFFSET 1500",
        ),
        Way::plain("order of the file", "SELECT id FROM visit"),
        Way::plain(
            "order of hashed groups",
            "SELECT digits, count(*) FROM visit GROUP BY digits",
        ),
        Way::plain(
            "order of hashed distinct values",
            "SELECT DISTINCT digits FROM visit",
        ),
        Way::plain(
            "order of a hashed join",
            "SELECT v.id FROM visit v JOIN person p ON v.person = p.person LIMIT 50",
        ),
        Way::plain(
            "number of a row",
            "SELECT id, row_number() OVER () AS r FROM visit",
        ),
        Way::plain(
            "row before, by a window",
            "SELECT id, lag(id) OVER (ORDER BY id) AS before, lead(id) OVER (ORDER BY id) AS after FROM visit",
        ),
        Way::plain(
            "running sum",
            "SELECT id, sum(n) OVER (ORDER BY id) AS s FROM visit WHERE n > 0 AND n < 1000",
        ),
        Way::plain(
            "rank among all",
            "SELECT id, rank() OVER (ORDER BY n DESC) AS r, ntile(4) OVER (ORDER BY id) AS q FROM visit",
        ),
        Way::plain(
            "first value without an order",
            "SELECT sex, first_value(id) AS f, last_value(id) AS l FROM visit GROUP BY sex ORDER BY sex",
        ),
        Way::plain(
            "median and percentiles",
            "SELECT median(n), approx_percentile_cont(n, 0.99) FROM visit",
        ),
        Way::plain(
            "approximate count of distinct values",
            "SELECT approx_distinct(id) FROM visit",
        ),
        Way::plain(
            "self join that finds partners",
            "SELECT count(*) FROM visit a JOIN visit b ON a.person = b.person AND a.n = b.n",
        ),
        Way::plain(
            "outer join that leaves nulls",
            "SELECT p.person, v.id FROM person p LEFT JOIN visit v ON p.person = v.person AND v.n = 777 ORDER BY 1, 2",
        ),
        Way::plain(
            "full join that shows who has no person",
            "SELECT count(*) AS c FROM visit v FULL JOIN person p ON v.person = p.person WHERE p.person IS NULL",
        ),
        Way::plain(
            "groups of two tables side by side",
            "SELECT dx, count(DISTINCT person) FROM visit GROUP BY dx ORDER BY dx",
        ),
        Way::plain(
            "persons above a number of rows",
            "SELECT count(*) FROM (SELECT person FROM visit GROUP BY person HAVING count(*) > 20) t",
        ),
        Way::plain(
            "newest date of the file",
            "SELECT max(day), min(day), count(DISTINCT day) FROM visit WHERE id > 0",
        ),
    ]
}
