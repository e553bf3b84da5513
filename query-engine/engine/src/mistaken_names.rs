//! Names that people bring from other databases, and what stands for them here.

use kekkai_analysis_api::SqlHint as Hint;

/// What begins a statement that isn't a query, in lower case.
pub(crate) fn statement_hint(name: &str) -> Option<Hint> {
    Some(match name {
        "insert" | "update" | "delete" | "merge" | "drop" | "create" | "alter" | "truncate"
        | "into" | "replace" | "grant" | "revoke" | "analyze" | "vacuum" => Hint::ReadOnly,
        "show" | "describe" | "desc" | "list" => Hint::Catalogue,
        "explain" => Hint::Plan,
        "set" | "use" | "begin" | "start" | "commit" | "rollback" | "reset" | "declare"
        | "prepare" | "execute" | "call" | "pragma" => Hint::Settings,
        "copy" | "load" | "unload" | "export" | "import" | "attach" | "install" => Hint::Files,
        "values" | "table" | "from" => Hint::ValuesList,
        _ => return None,
    })
}

/// A function that exists but may not be used, in lower case.
pub(crate) fn function_hint(name: &str) -> Option<Hint> {
    Some(match name {
        "min"
        | "max"
        | "mode"
        | "array_agg"
        | "string_agg"
        | "first_value"
        | "last_value"
        | "nth_value"
        | "any_value"
        | "approx_median"
        | "approx_percentile_cont"
        | "approx_percentile_cont_with_weight"
        | "percentile_disc"
        | "quantile"
        | "quantile_cont"
        | "group_concat"
        | "list"
        | "first"
        | "last" => Hint::SingleValue,
        "now" | "current_date" | "current_time" | "current_timestamp" | "localtime"
        | "localtimestamp" | "today" | "random" | "uuid" | "current_user" | "session_user"
        | "user" | "version" => Hint::Moment,
        "repeat" | "lpad" | "rpad" | "factorial" | "generate_series" | "range" | "pg_sleep"
        | "sleep" => Hint::Costly,
        "row_number" | "rank" | "dense_rank" | "percent_rank" | "cume_dist" | "ntile" | "lag"
        | "lead" => Hint::Window,
        "unnest" | "make_array" | "struct" | "named_struct" | "array_length" | "cardinality"
        | "array_to_string" | "string_to_array" | "make_map" | "map" | "get_field" | "flatten" => {
            Hint::Array
        }
        "current_setting" | "set_config" => Hint::Settings,
        _ if name.starts_with("read_")
            || name.starts_with("parquet_")
            || name.starts_with("pg_")
            || matches!(
                name,
                "glob"
                    | "lo_import"
                    | "load_file"
                    | "dblink"
                    | "query_to_xml"
                    | "getenv"
                    | "system"
                    | "xp_cmdshell"
                    | "input_file_name"
            ) =>
        {
            Hint::Files
        }
        _ => return None,
    })
}

/// Our functions that do what another database's does; empty for names that nobody has.
pub(crate) fn foreign_function(name: &str) -> &'static [&'static str] {
    match name {
        "isnull" => &["coalesce"],
        "if" | "iif" | "decode" | "switch" => &["CASE", "nullif"],
        "len" | "datalength" => &["character_length"],
        "year" | "month" | "day" | "hour" | "weekday" | "dayofweek" | "quarter" | "datepart" => {
            &["date_part"]
        }
        "datediff" | "date_diff" | "dateadd" | "date_add" | "date_sub" | "months_between"
        | "add_months" | "timestampdiff" | "age" => &["date_part", "date_trunc", "INTERVAL"],
        "date_format" | "strftime" | "format" | "to_varchar" => &["to_char"],
        "str_to_date" | "strptime" | "todate" | "parse_date" => &["to_date"],
        "convert" | "try_convert" | "to_number" | "to_int" | "cint" | "safe_cast" => {
            &["CAST", "TRY_CAST"]
        }
        "charindex" | "locate" => &["strpos"],
        "mid" => &["substr"],
        "substring_index" => &["split_part"],
        "ucase" => &["upper"],
        "lcase" => &["lower"],
        "regexp_matches" | "regexp_extract" | "regexp" | "rlike" | "regexp_substr" => {
            &["regexp_like", "regexp_replace"]
        }
        "average" | "mean" => &["avg"],
        "std" | "stdev" | "sd" => &["stddev"],
        "variance" => &["var"],
        "countif" | "count_if" | "sumif" => &["count", "FILTER"],
        "pow" => &["power"],
        "rand" | "newid" => &[],
        "isnumeric" => &["regexp_like"],
        "to_days" | "julianday" => &["date_part"],
        "truncate" => &["trunc"],
        _ => &[],
    }
}
