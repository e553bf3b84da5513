//! From a text to one query of the allowed shape, with its parameters bound.
//!
//! This is where refusals know their place best. It is not the only barrier: `follow` and `rows` allow plan
//! nodes and expressions by closed lists of their own.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CeilFloorKind, DataType, Distinct, DuplicateTreatment, Expr, FunctionArg,
    FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, JoinConstraint, JoinOperator,
    LimitClause, ObjectName, OrderByKind, Query, Select, SelectFlavor, SetExpr, SetOperator,
    SetQuantifier, Spanned, Statement, TableFactor, UnaryOperator, Value, Visit, Visitor,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use kekkai_analysis_api::{SqlError, SqlErrorCode, SqlHint};

use crate::dialect::Ours;
use crate::functions::{Functions, Purpose, QUANTILE_FUNCTIONS};
use crate::mistakes::in_grammar;
use crate::parameters;
use crate::text::{Place, Text, candidates, place, refuse};

/// Parentheses and subqueries that may nest.
const NESTING_MAX: usize = 40;
/// Tables that a statement may name.
const TABLES_MAX: usize = 32;

/// Parses the only statement, a query, and binds its parameters.
pub(crate) fn parse(
    text: &Text,
    parameters: &[kekkai_output::Value],
    functions: &Functions,
) -> Result<Statement, SqlError> {
    parameters::check(text, parameters)?;
    let mut statements = Parser::new(&Ours(PostgreSqlDialect {}))
        .with_recursion_limit(NESTING_MAX)
        .with_tokens_with_locations(text.tokens().to_vec())
        .parse_statements()
        .map_err(|error| syntax(&error, text))?;
    let (Some(mut statement), true) = (statements.pop(), statements.is_empty()) else {
        return Err(refuse(SqlErrorCode::SeveralStatements, "", None));
    };
    if !matches!(statement, Statement::Query(_)) {
        return Err(refuse(SqlErrorCode::StatementNotAllowed, "", Some((1, 1))));
    }
    let mut check = Check {
        text,
        functions,
        tables: 0,
    };
    match statement.visit(&mut check) {
        ControlFlow::Continue(()) => {
            parameters::bind(&mut statement, parameters);
            Ok(statement)
        }
        ControlFlow::Break(error) => Err(*error),
    }
}

/// The parser's message ends with the place, and quotes the text only: no data is known yet.
fn syntax(error: &ParserError, text: &Text) -> SqlError {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
            message.as_str()
        }
        ParserError::RecursionLimitExceeded => return refuse(SqlErrorCode::TooLong, "", None),
    };
    let at = message
        .rsplit_once(" at Line: ")
        .and_then(|(_, rest)| rest.split_once(", Column: "))
        .and_then(|(line, column)| place(line.parse().ok()?, column.trim().parse().ok()?))
        .or_else(|| text.end());
    let name = at.and_then(|at| text.word_at(at)).unwrap_or_default();
    in_grammar(refuse(SqlErrorCode::Syntax, name, at), text)
}

type Flow = ControlFlow<Box<SqlError>>;

struct Check<'a> {
    text: &'a Text,
    functions: &'a Functions,
    tables: usize,
}

const GO_ON: Flow = ControlFlow::Continue(());

fn stop(code: SqlErrorCode, name: impl Into<String>, at: Option<Place>) -> Flow {
    ControlFlow::Break(Box::new(refuse(code, name, at)))
}

fn at(node: &impl Spanned) -> Option<Place> {
    let start = node.span().start;
    place(start.line, start.column)
}

fn clause(name: &str, at: Option<Place>) -> Flow {
    stop(SqlErrorCode::ClauseNotAllowed, name, at)
}

impl Check<'_> {
    fn for_rows(&self) -> bool {
        self.functions.purpose == Purpose::Rows
    }

    fn clause_at(&self, name: &str, keywords: &[Keyword]) -> Flow {
        clause(name, self.text.keyword(keywords))
    }

    fn set_expr(&self, body: &SetExpr) -> Flow {
        match body {
            // Nested ones are visited by themselves.
            SetExpr::Select(_) | SetExpr::Query(_) => GO_ON,
            SetExpr::SetOperation {
                op,
                left,
                set_quantifier,
                right,
            } if self.for_rows() || *op == SetOperator::Union => {
                if !matches!(
                    set_quantifier,
                    SetQuantifier::All | SetQuantifier::Distinct | SetQuantifier::None
                ) {
                    return self.clause_at("BY NAME", &[Keyword::BY]);
                }
                // Of a statement in parentheses the visitor sees the query itself.
                self.set_expr(left)?;
                self.set_expr(right)
            }
            SetExpr::SetOperation { op, .. } => stop(
                SqlErrorCode::NotFollowed,
                op.to_string(),
                self.text
                    .keyword(&[Keyword::UNION, Keyword::INTERSECT, Keyword::EXCEPT]),
            ),
            SetExpr::Values(_) => self.clause_at("VALUES", &[Keyword::VALUES]),
            SetExpr::Table(_) => self.clause_at("TABLE", &[Keyword::TABLE]),
            SetExpr::Insert(_) => self.statement_at("INSERT", Keyword::INSERT),
            SetExpr::Update(_) => self.statement_at("UPDATE", Keyword::UPDATE),
            SetExpr::Delete(_) => self.statement_at("DELETE", Keyword::DELETE),
            SetExpr::Merge(_) => self.statement_at("MERGE", Keyword::MERGE),
        }
    }

    /// A number that comes as a parameter is a value: as the position of a column it would be part of the
    /// statement.
    fn no_position(&self, expr: &Expr) -> Flow {
        match expr {
            Expr::Nested(inner) => self.no_position(inner),
            Expr::Value(value) if parameters::index(&value.value).is_some() => {
                clause("?", at(expr))
            }
            _ => GO_ON,
        }
    }

    fn statement_at(&self, name: &str, keyword: Keyword) -> Flow {
        stop(
            SqlErrorCode::StatementNotAllowed,
            name,
            self.text.keyword(&[keyword]),
        )
    }

    fn is_cast_type(&self, data_type: &DataType) -> bool {
        is_cast_type(data_type)
            || (self.for_rows()
                && matches!(
                    data_type,
                    DataType::Decimal(_) | DataType::Dec(_) | DataType::Numeric(_)
                ))
    }

    fn function(&self, function: &datafusion::sql::sqlparser::ast::Function) -> Flow {
        let place = at(&function.name);
        let Some(name) = single_name(&function.name) else {
            return stop(
                SqlErrorCode::FunctionUnknown,
                function.name.to_string(),
                place,
            );
        };
        let lower = name.value.to_lowercase();
        if self.functions.is_refused(&lower) {
            return stop(SqlErrorCode::FunctionNotAllowed, name.value.clone(), place);
        }
        if !self.functions.is_allowed(&lower) {
            return ControlFlow::Break(Box::new(SqlError {
                code: SqlErrorCode::FunctionUnknown,
                name: name.value.clone(),
                at: place,
                candidates: candidates(&lower, self.functions.names()),
                hint: None,
            }));
        }
        if function.over.is_none() && self.functions.is_window_only(&lower) {
            // Some are aggregates as well, of which a statistic knows none that shows one row.
            let code = if self.for_rows() {
                SqlErrorCode::ClauseNotAllowed
            } else {
                SqlErrorCode::FunctionNotAllowed
            };
            return stop(code, name.value.clone(), place);
        }
        let is_quantile = self.functions.aggregate.get(&lower);
        let is_quantile = is_quantile.is_some_and(|f| QUANTILE_FUNCTIONS.contains(&f.name()));
        if !function.within_group.is_empty() && !self.for_rows() && !is_quantile {
            return clause("WITHIN GROUP", place);
        }
        if function.null_treatment.is_some() && function.over.is_none() {
            return clause("NULLS", place);
        }
        if function.uses_odbc_syntax || !matches!(function.parameters, FunctionArguments::None) {
            return clause(&name.value, place);
        }
        let FunctionArguments::List(list) = &function.args else {
            return clause(&name.value, place);
        };
        if !list.clauses.is_empty() {
            return clause("ORDER BY", place);
        }
        let distinct = matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct));
        let may_be_distinct =
            lower == "count" || (self.for_rows() && self.functions.aggregate.contains_key(&lower));
        if distinct && !may_be_distinct {
            return clause("DISTINCT", place);
        }
        for argument in &list.args {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(_)) => {}
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard)
                    if lower == "count" && !distinct => {}
                _ => return clause(&name.value, place),
            }
        }
        GO_ON
    }
}

fn single_name(name: &ObjectName) -> Option<&Ident> {
    match name.0.as_slice() {
        [part] => part.as_ident(),
        _ => None,
    }
}

/// Types that a cast may name for any purpose. No decimals: their arithmetic can overflow.
fn is_cast_type(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::BigInt(_)
            | DataType::Int(_)
            | DataType::Integer(_)
            | DataType::SmallInt(_)
            | DataType::Double(_)
            | DataType::DoublePrecision
            | DataType::Float(_)
            | DataType::Real
            | DataType::Text
            | DataType::Varchar(_)
            | DataType::Boolean
            | DataType::Date
            | DataType::Timestamp(..)
    )
}

fn is_allowed_operator(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo
            | BinaryOperator::StringConcat
            | BinaryOperator::Gt
            | BinaryOperator::Lt
            | BinaryOperator::GtEq
            | BinaryOperator::LtEq
            | BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::And
            | BinaryOperator::Or
            | BinaryOperator::PGRegexMatch
            | BinaryOperator::PGRegexIMatch
            | BinaryOperator::PGRegexNotMatch
            | BinaryOperator::PGRegexNotIMatch
    )
}

impl Visitor for Check<'_> {
    type Break = Box<SqlError>;

    fn pre_visit_query(&mut self, query: &Query) -> Flow {
        if let Some(with) = &query.with
            && with.recursive
        {
            return self.clause_at("RECURSIVE", &[Keyword::RECURSIVE]);
        }
        if query.fetch.is_some() {
            return self.clause_at("FETCH", &[Keyword::FETCH]);
        }
        if !query.locks.is_empty() || query.for_clause.is_some() {
            return self.clause_at("FOR", &[Keyword::FOR]);
        }
        if query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty()
        {
            return self.clause_at("FORMAT", &[Keyword::SETTINGS, Keyword::FORMAT]);
        }
        if let Some(order_by) = &query.order_by {
            let OrderByKind::Expressions(exprs) = &order_by.kind else {
                return self.clause_at("ORDER BY ALL", &[Keyword::ORDER]);
            };
            if order_by.interpolate.is_some() {
                return self.clause_at("ORDER BY ALL", &[Keyword::ORDER]);
            }
            for order in exprs {
                self.no_position(&order.expr)?;
            }
        }
        match &query.limit_clause {
            None => {}
            Some(LimitClause::LimitOffset { limit_by, .. }) if limit_by.is_empty() => {}
            Some(_) => return self.clause_at("LIMIT BY", &[Keyword::LIMIT]),
        }
        self.set_expr(&query.body)
    }

    fn pre_visit_select(&mut self, select: &Select) -> Flow {
        if select.into.is_some() {
            return stop(
                SqlErrorCode::StatementNotAllowed,
                "INTO",
                self.text.keyword(&[Keyword::INTO]),
            );
        }
        if matches!(select.distinct, Some(Distinct::On(_))) {
            return self.clause_at("DISTINCT ON", &[Keyword::DISTINCT]);
        }
        let has_foreign_clause = !select.optimizer_hints.is_empty()
            || select.select_modifiers.is_some()
            || select.top.is_some()
            || select.exclude.is_some()
            || !select.lateral_views.is_empty()
            || select.prewhere.is_some()
            || !select.connect_by.is_empty()
            || !select.cluster_by.is_empty()
            || !select.distribute_by.is_empty()
            || !select.sort_by.is_empty()
            || select.value_table_mode.is_some()
            || !matches!(select.flavor, SelectFlavor::Standard);
        if has_foreign_clause {
            let start = select.select_token.0.span.start;
            return clause("SELECT", place(start.line, start.column));
        }
        match &select.group_by {
            GroupByExpr::Expressions(exprs, modifiers) if modifiers.is_empty() => {
                for expr in exprs {
                    self.no_position(expr)?;
                }
            }
            _ => return self.clause_at("GROUP BY", &[Keyword::GROUP]),
        }
        for join in select.from.iter().flat_map(|from| &from.joins) {
            if let JoinOperator::Join(JoinConstraint::None)
            | JoinOperator::Inner(JoinConstraint::None)
            | JoinOperator::Left(JoinConstraint::None)
            | JoinOperator::LeftOuter(JoinConstraint::None)
            | JoinOperator::Right(JoinConstraint::None)
            | JoinOperator::RightOuter(JoinConstraint::None)
            | JoinOperator::FullOuter(JoinConstraint::None) = &join.join_operator
            {
                let at = self.text.keyword(&[Keyword::JOIN]);
                return ControlFlow::Break(Box::new(SqlError {
                    hint: Some(SqlHint::MissingOn),
                    ..refuse(SqlErrorCode::ClauseNotAllowed, "JOIN", at)
                }));
            }
            let is_known = matches!(
                join.join_operator,
                JoinOperator::Join(_)
                    | JoinOperator::Inner(_)
                    | JoinOperator::Left(_)
                    | JoinOperator::LeftOuter(_)
                    | JoinOperator::Right(_)
                    | JoinOperator::RightOuter(_)
                    | JoinOperator::FullOuter(_)
                    | JoinOperator::CrossJoin(_)
                    | JoinOperator::Semi(_)
                    | JoinOperator::LeftSemi(_)
                    | JoinOperator::RightSemi(_)
                    | JoinOperator::Anti(_)
                    | JoinOperator::LeftAnti(_)
                    | JoinOperator::RightAnti(_)
            );
            if !is_known {
                return self.clause_at("JOIN", &[Keyword::JOIN, Keyword::APPLY]);
            }
        }
        GO_ON
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> Flow {
        match factor {
            TableFactor::Table {
                name,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
                ..
            } => {
                self.tables += 1;
                let place = at(name);
                if args.is_some() {
                    return stop(SqlErrorCode::FunctionNotAllowed, name.to_string(), place);
                }
                if self.tables > TABLES_MAX {
                    return stop(SqlErrorCode::TooLong, name.to_string(), place);
                }
                let is_plain = with_hints.is_empty()
                    && version.is_none()
                    && !with_ordinality
                    && partitions.is_empty()
                    && json_path.is_none()
                    && sample.is_none()
                    && index_hints.is_empty();
                if is_plain {
                    GO_ON
                } else {
                    clause(&name.to_string(), place)
                }
            }
            TableFactor::Derived {
                lateral, sample, ..
            } => {
                if *lateral {
                    return self.clause_at("LATERAL", &[Keyword::LATERAL]);
                }
                if sample.is_some() {
                    return self.clause_at("TABLESAMPLE", &[Keyword::TABLESAMPLE]);
                }
                GO_ON
            }
            TableFactor::NestedJoin { .. } => GO_ON,
            TableFactor::Function { name, .. } => {
                stop(SqlErrorCode::FunctionNotAllowed, name.to_string(), at(name))
            }
            TableFactor::TableFunction { .. } => self.clause_at("TABLE", &[Keyword::TABLE]),
            TableFactor::UNNEST { .. } => stop(
                SqlErrorCode::FunctionNotAllowed,
                "UNNEST",
                self.text.keyword(&[Keyword::UNNEST]),
            ),
            other => clause(
                "FROM",
                at(other).or_else(|| self.text.keyword(&[Keyword::FROM])),
            ),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> Flow {
        match expr {
            Expr::Identifier(_)
            | Expr::CompoundIdentifier(_)
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_)
            | Expr::IsDistinctFrom(..)
            | Expr::IsNotDistinctFrom(..)
            | Expr::InList { .. }
            | Expr::InSubquery { .. }
            | Expr::Between { .. }
            | Expr::Extract { .. }
            | Expr::Position { .. }
            | Expr::Substring { .. }
            | Expr::Nested(_)
            | Expr::Case { .. }
            | Expr::Exists { .. }
            | Expr::Interval(_) => GO_ON,
            Expr::Trim {
                trim_characters, ..
            } if trim_characters.is_none() => GO_ON,
            Expr::Ceil { field, .. } | Expr::Floor { field, .. }
                if matches!(
                    field,
                    CeilFloorKind::DateTimeField(
                        datafusion::sql::sqlparser::ast::DateTimeField::NoDateTime
                    )
                ) =>
            {
                GO_ON
            }
            Expr::Value(value) => match value.value {
                Value::Placeholder(_) if parameters::index(&value.value).is_none() => {
                    clause(&value.value.to_string(), at(expr))
                }
                _ => GO_ON,
            },
            Expr::BinaryOp { left, op, .. } => {
                if is_allowed_operator(op) {
                    GO_ON
                } else {
                    clause(&op.to_string(), at(left.as_ref()))
                }
            }
            Expr::UnaryOp { op, expr } => match op {
                UnaryOperator::Plus | UnaryOperator::Minus | UnaryOperator::Not => GO_ON,
                _ => clause(&op.to_string(), at(expr.as_ref())),
            },
            Expr::Like {
                any, escape_char, ..
            }
            | Expr::ILike {
                any, escape_char, ..
            } => {
                if *any || escape_char.is_some() {
                    clause("LIKE", self.text.keyword(&[Keyword::LIKE, Keyword::ILIKE]))
                } else {
                    GO_ON
                }
            }
            Expr::Cast {
                expr: inner,
                data_type,
                array,
                format,
                ..
            } => {
                if self.is_cast_type(data_type) && !array && format.is_none() {
                    GO_ON
                } else {
                    stop(
                        SqlErrorCode::Type,
                        data_type.to_string(),
                        at(inner.as_ref()),
                    )
                }
            }
            Expr::TypedString(typed) => {
                if self.is_cast_type(&typed.data_type) {
                    GO_ON
                } else {
                    stop(SqlErrorCode::Type, typed.data_type.to_string(), at(expr))
                }
            }
            Expr::Function(function) => self.function(function),
            Expr::Subquery(_) => GO_ON,
            Expr::GroupingSets(sets) if !self.for_rows() => sets
                .iter()
                .flatten()
                .try_for_each(|expr| self.no_position(expr)),
            Expr::Cube(sets) | Expr::Rollup(sets) if !self.for_rows() => sets
                .iter()
                .flatten()
                .try_for_each(|expr| self.no_position(expr)),
            Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_) => self.clause_at(
                "GROUP BY",
                &[Keyword::ROLLUP, Keyword::CUBE, Keyword::GROUPING],
            ),
            Expr::Tuple(_) => clause("()", at(expr)),
            other => {
                let shown: String = other.to_string().chars().take(32).collect();
                clause(&shown, at(other))
            }
        }
    }
}
