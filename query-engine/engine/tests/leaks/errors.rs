//! A value on which an expression fails, in a row that must not be known of: the failure is the answer.

use crate::Way;

pub fn ways() -> Vec<Way> {
    vec![
        Way::view("division by zero", "SELECT id FROM visit WHERE 10 / n > 0"),
        Way::view(
            "remainder of a division by zero",
            "SELECT id FROM visit WHERE 10 % n >= 0",
        ),
        Way::view(
            "division by a difference that is zero for one value",
            "SELECT count(*) FROM visit WHERE 1 / (n - 777) = 5",
        ),
        Way::view(
            "text that is no number",
            "SELECT id FROM visit WHERE CAST(digits AS bigint) > 0",
        ),
        Way::view(
            "text that is no fraction",
            "SELECT id FROM visit WHERE CAST(digits AS double) > 0",
        ),
        Way::view(
            "text that is no truth",
            "SELECT id FROM visit WHERE CAST(pattern = 'a+' AS boolean) AND CAST(replace(pattern, 'a+', 'true') AS boolean)",
        ),
        Way::view(
            "text that is no date",
            "SELECT id FROM visit WHERE CAST(date AS date) > DATE '1900-01-01'",
        ),
        Way::view(
            "text that is no time",
            "SELECT id FROM visit WHERE CAST(date AS timestamp) > TIMESTAMP '1900-01-01'",
        ),
        Way::view(
            "number too large for a small type",
            "SELECT id FROM visit WHERE CAST(n AS smallint) % 7 >= 0",
        ),
        Way::view(
            "number too large for a decimal",
            "SELECT id FROM visit WHERE CAST(n AS decimal(4, 0)) % 7 >= 0",
        ),
        Way::view(
            "absolute value that overflows",
            "SELECT id FROM visit WHERE abs(n) > 0",
        ),
        Way::view(
            "greatest common divisor that overflows",
            "SELECT id FROM visit WHERE gcd(n, n) > 0",
        ),
        Way::view(
            "least common multiple that overflows",
            "SELECT id FROM visit WHERE lcm(n, n) > 0",
        ),
        Way::view(
            "power that overflows",
            "SELECT id FROM visit WHERE CAST(power(10.0, n) AS bigint) % 7 >= 0",
        ),
        Way::view(
            "index of an array",
            "SELECT id FROM visit WHERE cardinality(range(0, 10, n)) > 0",
        ),
        Way::view(
            "length of an array",
            "SELECT id FROM visit WHERE cardinality(array_resize(make_array(1), n)) > 0",
        ),
        Way::view(
            "broken regular expression",
            "SELECT id FROM visit WHERE regexp_like('aa', pattern)",
        ),
        Way::view(
            "broken regular expression as an operator",
            "SELECT id FROM visit WHERE 'aa' ~ pattern",
        ),
        Way::view(
            "broken regular expression in a replacement",
            "SELECT id FROM visit WHERE regexp_replace('aa', pattern, 'b') = 'b'",
        ),
        Way::view(
            "broken regular expression that counts",
            "SELECT id FROM visit WHERE regexp_count('aa', pattern) > 0",
        ),
        Way::view(
            "date that can't be parsed",
            "SELECT id FROM visit WHERE to_date(date) > DATE '1900-01-01'",
        ),
        Way::view(
            "date that a format doesn't fit",
            "SELECT id FROM visit WHERE to_date(date, '%Y-%m-%d') > DATE '1900-01-01'",
        ),
        Way::view(
            "time that can't be parsed",
            "SELECT id FROM visit WHERE to_timestamp(date) > TIMESTAMP '1900-01-01'",
        ),
        Way::view(
            "day that no calendar has",
            "SELECT id FROM visit WHERE make_date(2000, n, 1) > DATE '1900-01-01'",
        ),
        Way::view(
            "substring of a negative length",
            "SELECT id FROM visit WHERE substr(digits, 1, n) <> ''",
        ),
        Way::view(
            "part of number zero",
            "SELECT id FROM visit WHERE split_part(digits, '-', n) <> 'x'",
        ),
        Way::view(
            "character that is none",
            "SELECT id FROM visit WHERE chr(n + 64) <> ''",
        ),
        Way::view(
            "root of a negative number",
            "SELECT id FROM visit WHERE CAST(sqrt(x) AS bigint) > 0",
        ),
        Way::view(
            "logarithm of a negative number",
            "SELECT id FROM visit WHERE CAST(ln(x) AS bigint) > 0",
        ),
        Way::view(
            "interval that overflows",
            "SELECT id FROM visit WHERE day + CAST(concat(digits, ' days') AS interval) > DATE '1900-01-01'",
        ),
        Way::view(
            "bits shifted by a text",
            "SELECT id FROM visit WHERE decode(digits, 'hex') IS NOT NULL",
        ),
    ]
}
