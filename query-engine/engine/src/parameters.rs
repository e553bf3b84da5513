//! Values for the `?` of a statement.
//!
//! They become literals of the parsed statement, typed as they came: no text is put together, so that no
//! value can become syntax.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Statement, Value, VisitMut, VisitorMut};
use kekkai_analysis_api::{SQL_MAX, SqlError, SqlErrorCode};
use kekkai_output as output;

use crate::text::{Text, parameter_name, refuse};

/// Refuses values that are more or fewer than `?`, or longer together than a statement may be.
pub(crate) fn check(text: &Text, values: &[output::Value]) -> Result<(), SqlError> {
    let places = text.parameters();
    if places.len() != values.len() {
        // The first `?` without a value; where there are too many values, none is at fault.
        let at = places.get(values.len()).copied().flatten();
        let name = if places.is_empty() { "" } else { "?" };
        return Err(refuse(SqlErrorCode::Parameters, name, at));
    }
    let mut bytes = 0_usize;
    for (value, at) in values.iter().zip(places) {
        if let output::Value::Text(text) = value {
            bytes = bytes.saturating_add(text.len());
        }
        if bytes > SQL_MAX {
            return Err(refuse(SqlErrorCode::TooLong, "?", *at));
        }
    }
    Ok(())
}

/// Which parameter a literal of a parsed statement stands for, from 0.
pub(crate) fn index(value: &Value) -> Option<usize> {
    let Value::Placeholder(name) = value else {
        return None;
    };
    let index = name.strip_prefix('?')?.parse().ok()?;
    (parameter_name(index) == *name).then_some(index)
}

/// Puts the values in their places.
pub(crate) fn bind(statement: &mut Statement, values: &[output::Value]) {
    // Nothing stops the visit. What it didn't reach is refused as a placeholder later.
    let _ = VisitMut::visit(statement, &mut Bind(values));
}

struct Bind<'v>(&'v [output::Value]);

impl VisitorMut for Bind<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Value(literal) = expr
            && let Some(value) = index(&literal.value).and_then(|index| self.0.get(index))
        {
            literal.value = match value {
                output::Value::Null => Value::Null,
                output::Value::Bool(value) => Value::Boolean(*value),
                output::Value::Int(value) => Value::Number(value.to_string(), false),
                // With a point or an exponent, so that the planner takes it for a float.
                output::Value::Float(value) => Value::Number(format!("{value:?}"), false),
                output::Value::Text(value) => Value::SingleQuotedString(value.clone()),
            };
            // `-?` with a value below 0 would be a number of two signs.
            if let Value::Number(number, _) = &literal.value
                && number.starts_with('-')
            {
                let literal = Expr::Value(literal.clone());
                *expr = Expr::Nested(Box::new(literal));
            }
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_placeholders_are_parameters() {
        let index = |name: &str| index(&Value::Placeholder(name.to_owned()));
        assert_eq!(index("?0"), Some(0));
        assert_eq!(index("?17"), Some(17));
        for name in ["$1", "?", "?01", "?+1", ":a", "$$", "?-1"] {
            assert_eq!(index(name), None, "{name}");
        }
    }

    #[test]
    fn each_question_mark_is_counted_where_it_stands() {
        let sql =
            "SELECT ?||'?' -- ?\nFROM t WHERE a > ?-1 AND b = '?' AND c=?\nAND 5-?<?+? OR x||? >=?";
        let text = Text::new(sql).unwrap();
        let third = [(3, 7), (3, 9), (3, 11), (3, 19), (3, 23)].map(Some);
        let places = [
            [(1, 8), (2, 18), (2, 40)].map(Some).as_slice(),
            third.as_slice(),
        ]
        .concat();
        assert_eq!(text.parameters(), places);
        let values = [output::Value::Int(1)];
        let error = check(&text, &values).unwrap_err();
        assert_eq!(
            (error.code, error.at),
            (SqlErrorCode::Parameters, Some((2, 18)))
        );
    }
}
