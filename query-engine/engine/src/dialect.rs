//! PostgreSQL's grammar as the parser knows it, with one mistake of the parser's put right.
//!
//! `a IS DISTINCT FROM b AND c` is `(a IS DISTINCT FROM b) AND c`. The parser takes everything behind `FROM` for
//! its right side: of numbers that makes a wrong type, of booleans another answer without a word.

use std::any::TypeId;

use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

/// What statements are parsed by.
#[derive(Debug)]
pub(crate) struct Ours(pub(crate) PostgreSqlDialect);

macro_rules! as_postgresql {
    ($($is:ident)*) => { $(fn $is(&self) -> bool { self.0.$is() })* };
}

impl Dialect for Ours {
    fn dialect(&self) -> TypeId {
        self.0.dialect()
    }

    fn parse_infix(
        &self,
        parser: &mut Parser<'_>,
        left: &Expr,
        _precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        let make = if parser.parse_keywords(&[Keyword::IS, Keyword::DISTINCT, Keyword::FROM]) {
            Expr::IsDistinctFrom
        } else if parser.parse_keywords(&[
            Keyword::IS,
            Keyword::NOT,
            Keyword::DISTINCT,
            Keyword::FROM,
        ]) {
            Expr::IsNotDistinctFrom
        } else {
            return None;
        };
        let right = parser.parse_subexpr(self.prec_value(Precedence::Is));
        Some(right.map(|right| make(Box::new(left.clone()), Box::new(right))))
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        self.0.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        self.0.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        self.0.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.0.is_identifier_part(ch)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        self.0.is_custom_operator_part(ch)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        self.0.is_reserved_for_identifier(keyword)
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        self.0.get_next_precedence(parser)
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        self.0.prec_value(precedence)
    }

    as_postgresql! {
        allow_extract_custom allow_extract_single_quotes supports_array_typedef_with_brackets
        supports_bitwise_shift_operators supports_comma_separated_trim supports_comment_optimizer_hint
        supports_create_table_like_parenthesized supports_empty_projections
        supports_explain_with_utility_options supports_factorial_operator
        supports_filter_during_aggregation supports_geometric_types supports_group_by_expr
        supports_insert_table_alias supports_interval_options
        supports_named_fn_args_with_colon_operator supports_named_fn_args_with_expr_name
        supports_nested_comments supports_notnull_operator supports_numeric_literal_underscores
        supports_select_wildcard_with_alias supports_string_escape_constant
        supports_unicode_string_literal supports_xml_expressions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(sql: &str) -> Expr {
        let dialect = Ours(PostgreSqlDialect {});
        let mut parser = Parser::new(&dialect).try_with_sql(sql).unwrap();
        parser.parse_expr().unwrap()
    }

    #[test]
    fn is_distinct_from_ends_before_and_and_or() {
        for (sql, op) in [
            ("a IS DISTINCT FROM b AND c", "AND"),
            ("a IS NOT DISTINCT FROM b OR c", "OR"),
            ("x AND a IS DISTINCT FROM b OR c", "OR"),
            ("a IS DISTINCT FROM b + 1 AND c IS DISTINCT FROM d", "AND"),
        ] {
            let Expr::BinaryOp { op: found, .. } = tree(sql) else {
                panic!("{sql}");
            };
            assert_eq!(found.to_string(), op, "{sql}");
        }
        // Comparisons bind more tightly, as in PostgreSQL.
        assert!(matches!(
            tree("a IS DISTINCT FROM b = c"),
            Expr::IsDistinctFrom(..)
        ));
    }
}
