//! Work as a clock: how much is done must not depend on hidden rows. It is counted, since clocks in tests lie:
//! here by the rows that passed the barrier, which [`crate::world::Data::seen`] holds beside the answer; in the
//! control by the rows for which `slow` was called.

use crate::Way;

pub fn ways() -> Vec<Way> {
    vec![
        Way::view("time of a function that runs for each row", "SELECT count(*) FROM visit WHERE regexp_count(digits, '1') > 5")
            .control("SELECT count(*) FROM visit WHERE slow(n) > 5000"),
        Way::view("time of CASE that does more for one value", "SELECT count(*) FROM visit WHERE CASE WHEN n = 777 THEN regexp_count(digits, '1') ELSE 0 END > 5")
            .control("SELECT count(*) FROM visit WHERE CASE WHEN n = 777 THEN slow(n) ELSE 0 END > 5"),
        Way::view("time of AND that ends early", "SELECT count(*) FROM visit WHERE n > 4 AND regexp_count(digits, '1') > 5")
            .control("SELECT count(*) FROM visit WHERE n > 4 AND slow(n) > 5000"),
        Way::plain("time until a limit is reached", "SELECT id FROM visit WHERE n = 6 LIMIT 400")
            .control("SELECT id FROM visit WHERE slow(n) = 6 LIMIT 400"),
        Way::plain("time of a subquery for each row", "SELECT count(*) FROM person p WHERE EXISTS (SELECT 1 FROM visit v WHERE v.person = p.person AND regexp_count(v.digits, '1') > 0)")
            .control("SELECT count(*) FROM person p WHERE EXISTS (SELECT 1 FROM visit v WHERE v.person = p.person AND slow(v.n) > 0)"),
        Way::plain("time of grouping more people", "SELECT person, count(*) FROM visit GROUP BY person")
            .control("SELECT slow(person), count(*) FROM visit GROUP BY 1"),
    ]
}
