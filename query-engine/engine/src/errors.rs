//! What a person is told when planning or running fails.
//!
//! The library's messages quote expressions, sometimes values: none is passed on. A code, a name that the
//! statement itself wrote, and its place.

use arrow::error::ArrowError;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, SchemaError};
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::sql::sqlparser::keywords::Keyword;
use kekkai_analysis_api::{SqlError, SqlErrorCode, SqlHint};
use kekkai_spill::SpillError;

use crate::follow::first_place;
use crate::functions::AGGREGATE_FUNCTIONS;
use crate::text::{Place, Text, candidates, place, refuse};

/// A failure before any row was read: it depends on the statement and the schema only.
pub(crate) fn planning(error: &DataFusionError, text: &Text) -> SqlError {
    let mut at = None;
    let inner = unwrap(error, &mut at);
    match inner {
        DataFusionError::External(error) => match error.downcast_ref::<SqlError>() {
            Some(error) => error.clone(),
            None => pattern(error.as_ref(), text),
        },
        DataFusionError::SchemaError(error, _) => schema(error, at, text),
        DataFusionError::Plan(message) => plan(message, at, text),
        DataFusionError::NotImplemented(message) => match told_apart(message, at, text) {
            Some(error) => error,
            None => refuse(SqlErrorCode::ClauseNotAllowed, "", at),
        },
        error @ (DataFusionError::ArrowError(..) | DataFusionError::Execution(_)) => {
            evaluation(error, text)
        }
        DataFusionError::ResourcesExhausted(message) => exhausted(message, text),
        _ => refuse(SqlErrorCode::Internal, "", at),
    }
}

/// A failure while rows were read: what was being computed stays unsaid.
pub(crate) fn running(error: &DataFusionError, text: &Text) -> SqlError {
    if let Some(error) = SpillError::below(error) {
        return spilling(error);
    }
    let mut at = None;
    match unwrap(error, &mut at) {
        DataFusionError::ResourcesExhausted(message) => exhausted(message, text),
        error @ (DataFusionError::ArrowError(..) | DataFusionError::Execution(_)) => {
            evaluation(error, text)
        }
        DataFusionError::External(error) => match error.downcast_ref::<SqlError>() {
            Some(error) => error.clone(),
            None => pattern(error.as_ref(), text),
        },
        _ => refuse(SqlErrorCode::Internal, "", None),
    }
}

/// A regular expression that isn't one is the only mistake of a statement that another library finds.
fn pattern(error: &(dyn std::error::Error + Send + Sync), text: &Text) -> SqlError {
    if error.to_string().contains("regex") {
        refuse(SqlErrorCode::Evaluation, "", text.pattern())
    } else {
        refuse(SqlErrorCode::Internal, "", None)
    }
}

/// A quota is the statement's to keep; the rest is the disk's.
fn spilling(error: &SpillError) -> SqlError {
    let code = match error {
        SpillError::Quota { .. } => SqlErrorCode::SpillQuota,
        SpillError::Write(_) | SpillError::Read(_) | SpillError::Changed => {
            SqlErrorCode::SpillFailed
        }
        SpillError::NotFresh
        | SpillError::NoKey
        | SpillError::TooManyFiles
        | SpillError::Bug(_) => SqlErrorCode::Internal,
    };
    refuse(code, "", None)
}

/// The clause whose work needs the memory: the library names its operator, and nothing of the data.
fn exhausted(message: &str, text: &Text) -> SqlError {
    let clauses = [
        ("Join", "JOIN"),
        ("join", "JOIN"),
        ("SMJ", "JOIN"),
        ("Agg", "GROUP BY"),
        ("kept groups", "GROUP BY"),
        ("Sort", "ORDER BY"),
        ("TopK", "ORDER BY"),
        ("window", "OVER"),
    ];
    // "… additional 1 MB for HashJoinInput[0] with 7 MB already …"; where there is no disk to spill to, "Memory
    // Exhausted while HashAggSpill (…"
    let within = |before: &str, after: &str| {
        let (_, rest) = message.split_once(before)?;
        Some(rest.split_once(after)?.0)
    };
    let operator = within(" for ", " with ").or_else(|| within(" while ", " ("));
    let operator = operator.unwrap_or_default();
    let clause = clauses
        .iter()
        .find(|(name, _)| operator.contains(name))
        .map_or("", |(_, clause)| *clause);
    // Joins and windows sort as well where there is no order that anybody asked for.
    let clause = match clause {
        "ORDER BY" if text.name("ORDER").is_none() && text.name("OVER").is_some() => "OVER",
        "ORDER BY" if text.name("ORDER").is_none() => "JOIN",
        clause => clause,
    };
    let word = clause.split(' ').next().unwrap_or_default();
    refuse(SqlErrorCode::Memory, clause, text.name(word))
}

/// What failed is looked for in the text, never in the data: a literal zero, or the only division or
/// conversion that there is.
fn evaluation(error: &DataFusionError, text: &Text) -> SqlError {
    if error.to_string().contains("nterval")
        && let Some(at) = text.keyword(&[Keyword::INTERVAL])
    {
        return SqlError {
            hint: Some(SqlHint::Interval),
            ..refuse(SqlErrorCode::Type, "INTERVAL", Some(at))
        };
    }
    let at = text.zero_divisor().or_else(|| match error {
        DataFusionError::ArrowError(error, _) => match error.as_ref() {
            ArrowError::DivideByZero => text.only_division(),
            ArrowError::CastError(_)
            | ArrowError::ParseError(_)
            | ArrowError::InvalidArgumentError(_) => text.only_cast(),
            _ => None,
        },
        _ => None,
    });
    let divides = at.is_some() && at == text.zero_divisor();
    SqlError {
        hint: divides.then_some(SqlHint::DivisionByZero),
        ..refuse(SqlErrorCode::Evaluation, "", at)
    }
}

fn unwrap<'e>(error: &'e DataFusionError, at: &mut Option<Place>) -> &'e DataFusionError {
    match error {
        DataFusionError::Diagnostic(diagnostic, inner) => {
            if let Some(span) = diagnostic.span {
                *at = place(span.start.line, span.start.column);
            }
            unwrap(inner, at)
        }
        DataFusionError::Context(_, inner) => unwrap(inner, at),
        DataFusionError::Shared(inner) => unwrap(inner, at),
        DataFusionError::Collection(errors) => match errors.first() {
            Some(first) => unwrap(first, at),
            None => error,
        },
        other => other,
    }
}

fn schema(error: &SchemaError, at: Option<Place>, text: &Text) -> SqlError {
    match error {
        SchemaError::FieldNotFound {
            field,
            valid_fields,
        } => SqlError {
            code: SqlErrorCode::ColumnUnknown,
            name: field.name.clone(),
            at: at.or_else(|| text.name(&field.name)),
            candidates: candidates(
                &field.name,
                valid_fields.iter().map(|field| field.name.as_str()),
            ),
            hint: None,
        },
        SchemaError::AmbiguousReference { field } => {
            let place = at.or_else(|| text.name(&field.name));
            refuse(SqlErrorCode::ColumnAmbiguous, field.name.clone(), place)
        }
        SchemaError::DuplicateQualifiedField { name, .. }
        | SchemaError::DuplicateUnqualifiedField { name } => {
            let place = at.or_else(|| text.name(name));
            refuse(SqlErrorCode::ColumnAmbiguous, name.clone(), place)
        }
    }
}

/// The library gives many failures one variant; what tells them apart is in the words.
fn plan(message: &str, at: Option<Place>, text: &Text) -> SqlError {
    if let Some(error) = told_apart(message, at, text) {
        return error;
    }
    let has = |words: &str| message.contains(words);
    let code = if has("must appear in the GROUP BY") || has("must be part of an aggregate") {
        SqlErrorCode::NotGrouped
    } else if has("Invalid function") {
        SqlErrorCode::FunctionUnknown
    } else if has("cannot be nested") || has("cannot contain") {
        SqlErrorCode::NotFollowed
    } else if has("mbiguous") || has("same name") || has("unique expression names") {
        SqlErrorCode::ColumnAmbiguous
    } else if has("Unary operator")
        || has("coerc")
        || has("type")
        || has("No function matches")
        || has("Signature")
        || has("argument")
    {
        SqlErrorCode::Type
    } else {
        SqlErrorCode::ClauseNotAllowed
    };
    let at = at.or_else(|| quoted_name(message, text));
    let name = at.and_then(|at| text.word_at(at)).unwrap_or_default();
    let takes_others = code == SqlErrorCode::Type
        && (has("No function matches") || has("Signature") || has("argument"));
    SqlError {
        hint: takes_others.then_some(SqlHint::Arguments),
        ..refuse(code, name, at)
    }
}

/// Failures whose words say which mistake was made.
fn told_apart(message: &str, at: Option<Place>, text: &Text) -> Option<SqlError> {
    let has = |words: &str| message.contains(words);
    let told = |code, name: &str, place: Option<Place>, hint| {
        let place = at.or(place);
        let name = match place.and_then(|at| text.word_at(at)) {
            Some(word) => word,
            None => name.to_owned(),
        };
        Some(SqlError {
            hint: Some(hint),
            ..refuse(code, name, place)
        })
    };
    let clause = SqlErrorCode::ClauseNotAllowed;
    if has("Aggregate functions are not allowed") {
        let place = text.call_behind(&[Keyword::WHERE, Keyword::ON], AGGREGATE_FUNCTIONS);
        told(clause, "WHERE", place, SqlHint::AggregateInWhere)
    } else if has("cannot be nested") {
        let place = text.call_within(AGGREGATE_FUNCTIONS);
        told(
            SqlErrorCode::NotFollowed,
            "",
            place,
            SqlHint::NestedAggregate,
        )
    } else if let Some((_, rest)) = message.split_once("column with position ") {
        let number = rest.split(' ').next().unwrap_or_default();
        let place = text.number_behind(Keyword::BY, number);
        told(
            SqlErrorCode::ColumnUnknown,
            number,
            place,
            SqlHint::Position,
        )
    } else if let Some((_, rest)) = message.split_once("out of bounds, specified: ") {
        let number = rest.split(',').next().unwrap_or_default();
        let place = text.number_behind(Keyword::BY, number);
        told(
            SqlErrorCode::ColumnUnknown,
            number,
            place,
            SqlHint::Position,
        )
    } else if let Some((_, rest)) = message.split_once("WITH query name ") {
        let name = rest.split('"').nth(1).unwrap_or_default();
        let place = text.last_name(name);
        told(
            SqlErrorCode::ColumnAmbiguous,
            name,
            place,
            SqlHint::SameName,
        )
    } else if has("constraint is not supported") {
        told(
            clause,
            "JOIN",
            text.keyword(&[Keyword::JOIN]),
            SqlHint::MissingOn,
        )
    } else if has("non-boolean predicate") {
        let place = text.keyword(&[Keyword::WHERE, Keyword::HAVING]);
        told(SqlErrorCode::Type, "WHERE", place, SqlHint::Condition)
    } else if has("number of columns") {
        let place = text.keyword(&[Keyword::UNION, Keyword::INTERSECT, Keyword::EXCEPT]);
        told(SqlErrorCode::Type, "UNION", place, SqlHint::ColumnCount)
    } else {
        None
    }
}

/// `… 'upper' …`: the place of the first name in quotes that the statement has too.
fn quoted_name(message: &str, text: &Text) -> Option<Place> {
    let quoted = message.split('\'').skip(1).step_by(2);
    quoted
        .filter_map(|quoted| quoted.split('(').next())
        .find_map(|name| text.name(name))
}

/// A failure of the analyzer, which knows no places: the smallest expression that has no type is at fault.
pub(crate) fn analysis(error: &DataFusionError, plan: &LogicalPlan, text: &Text) -> SqlError {
    let mut told = planning(error, text);
    if told.at.is_none()
        && matches!(
            told.code,
            SqlErrorCode::Type | SqlErrorCode::ClauseNotAllowed
        )
    {
        told.at = untyped(plan);
        if told.at.is_some() {
            told.code = SqlErrorCode::Type;
            // An operator takes no arguments.
            told.hint = told
                .hint
                .filter(|_| told.at.is_some_and(|at| text.is_call(at)));
            told.name = told.at.and_then(|at| text.word_at(at)).unwrap_or_default();
        }
    }
    told
}

fn untyped(plan: &LogicalPlan) -> Option<Place> {
    let mut found = None;
    let walked = plan.apply_with_subqueries(|node| {
        let mut schema = datafusion::common::DFSchema::empty();
        for input in node.inputs() {
            schema.merge(input.schema());
        }
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                let (Expr::BinaryExpr(_) | Expr::ScalarFunction(_) | Expr::AggregateFunction(_)) =
                    part
                else {
                    return Ok(TreeNodeRecursion::Continue);
                };
                if coerces(part, &schema) {
                    return Ok(TreeNodeRecursion::Continue);
                }
                // Parents come first: the last one found is the smallest.
                found = first_place(part).or(found);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    walked.ok().and(found)
}

fn coerces(expr: &Expr, schema: &datafusion::common::DFSchema) -> bool {
    match expr {
        Expr::BinaryExpr(binary) => {
            match (binary.left.get_type(schema), binary.right.get_type(schema)) {
                (Ok(left), Ok(right)) => BinaryTypeCoercer::new(&left, &binary.op, &right)
                    .get_input_types()
                    .is_ok(),
                // The fault is further down.
                _ => true,
            }
        }
        other => other.get_type(schema).is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_used_up_names_the_clause_and_its_place() {
        let text = Text::new("SELECT count(*) FROM a JOIN b ON a.x = b.x GROUP BY y").unwrap();
        let message = |operator: &str| {
            format!("Failed to allocate additional 1 MB for {operator} with 7 MB already allocated")
        };
        for (message, clause, at) in [
            (message("HashJoinInput[0]"), "JOIN", Some((1, 24))),
            (message("SMJStream[1]"), "JOIN", Some((1, 24))),
            // Nobody asked for an order: the join sorts.
            (message("ExternalSorter[0]"), "JOIN", Some((1, 24))),
            (
                message("FinalHashAggregateStream[0]"),
                "GROUP BY",
                Some((1, 44)),
            ),
            (message("RepartitionExec[0]"), "", None),
            (
                "Memory Exhausted while HashAggSpill (DiskManager is disabled)".to_owned(),
                "GROUP BY",
                Some((1, 44)),
            ),
            ("another library's words".to_owned(), "", None),
        ] {
            let error = running(&DataFusionError::ResourcesExhausted(message), &text);
            assert_eq!(
                (error.code, error.name.as_str(), error.at),
                (SqlErrorCode::Memory, clause, at)
            );
        }
    }
}
