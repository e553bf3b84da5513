//! Catalogues, plans and settings: what a database tells of itself.

use crate::Way;

pub fn ways() -> Vec<Way> {
    vec![
        Way::plain(
            "tables of information_schema",
            "SELECT table_name FROM information_schema.tables ORDER BY 1",
        ),
        Way::plain(
            "columns of information_schema",
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'visit'",
        ),
        Way::view(
            "definitions of views",
            "SELECT definition FROM information_schema.views",
        ),
        Way::view("definition of a view", "SHOW CREATE TABLE visit"),
        Way::plain("SHOW TABLES", "SHOW TABLES"),
        Way::plain("SHOW COLUMNS", "SHOW COLUMNS FROM visit"),
        Way::plain("DESCRIBE", "DESCRIBE visit"),
        Way::plain("pg_catalog", "SELECT count(*) FROM pg_catalog.pg_class")
            .control("SELECT count(*) FROM information_schema.columns"),
        Way::plain(
            "catalogue by a full name",
            "SELECT count(*) FROM datafusion.information_schema.columns",
        ),
        Way::view(
            "EXPLAIN, for the condition",
            "EXPLAIN SELECT count(*) FROM visit",
        ),
        Way::view(
            "EXPLAIN VERBOSE",
            "EXPLAIN VERBOSE SELECT count(*) FROM visit",
        ),
        Way::view(
            "EXPLAIN ANALYZE, for the rows that went by",
            "EXPLAIN ANALYZE SELECT count(*) FROM visit",
        ),
        Way::plain(
            "EXPLAIN ANALYZE VERBOSE, for pruned row groups",
            "EXPLAIN ANALYZE VERBOSE SELECT id FROM visit WHERE n < -1000",
        ),
        Way::plain(
            "EXPLAIN of a count that the footer answers",
            "EXPLAIN SELECT count(*) FROM visit",
        ),
        Way::plain(
            "EXPLAIN FORMAT TREE",
            "EXPLAIN FORMAT TREE SELECT max(id) FROM visit",
        ),
        Way::plain(
            "EXPLAIN inside FROM",
            "SELECT * FROM (EXPLAIN SELECT count(*) FROM visit) t",
        )
        .control("EXPLAIN SELECT count(*) FROM visit"),
        Way::plain(
            "file behind the table",
            "SELECT count(*) FROM 'visit.parquet'",
        )
        .control("SELECT count(*) FROM visit"),
        Way::plain(
            "function that reads a footer",
            "SELECT * FROM parquet_metadata('visit.parquet')",
        )
        .control("EXPLAIN ANALYZE VERBOSE SELECT id FROM visit WHERE n < -1000"),
        Way::plain("copy of it all", "COPY visit TO 'x.csv'").control("SELECT * FROM visit"),
        Way::plain(
            "table made of it",
            "CREATE TABLE x AS SELECT secret FROM visit",
        )
        .control("SELECT secret FROM visit"),
        Way::plain(
            "prepared statement",
            "PREPARE p AS SELECT count(*) FROM visit WHERE secret = 'SENTINEL-positive'",
        )
        .control("SELECT count(*) FROM visit WHERE secret = 'SENTINEL-positive'"),
    ]
}
