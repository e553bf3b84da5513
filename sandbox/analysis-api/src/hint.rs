//! What was perhaps meant by a wrong statement: finer than its code, so that the advice fits.

use serde::{Deserialize, Serialize};

/// The kind of mistake behind a [`crate::SqlError`], where it was recognised. Stable; the advice is made where
/// it is shown, in the person's language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SqlHint {
    /// A full-width or typographic character outside quotes; the candidate is the plain one.
    FullWidth,
    /// A typographic quotation mark.
    CurlyQuote,
    /// `==`.
    DoubleEquals,
    /// `&&`, `||` between conditions, or `!`.
    AndOrNot,
    /// `=<`, `=>`, `<=>`, `=!`.
    Comparison,
    /// `**` or `^`.
    Power,
    /// A backtick.
    Backtick,
    /// `[name]`.
    Bracket,
    /// `@x`, `:x`, `$1`, `{x}`.
    Variable,
    /// `#` or `//` as a comment.
    Comment,
    /// A backslash command or escape.
    Backslash,
    /// A text without its closing quote.
    UnclosedText,
    /// A quoted name without its closing quote.
    UnclosedName,
    /// A comment without its end.
    UnclosedComment,
    /// More `(` than `)`.
    UnclosedParenthesis,
    /// More `)` than `(`.
    ExtraParenthesis,
    /// `CASE` without `END`.
    UnclosedCase,
    /// A comma with nothing behind or before it.
    ExtraComma,
    /// Two things side by side.
    MissingComma,
    /// An operator with nothing beside it.
    MissingOperand,
    /// A word that is nearly a keyword; the candidate is it.
    Misspelt,
    /// A keyword where a name should be.
    ReservedName,
    /// Clauses in another order.
    ClauseOrder,
    /// A clause that is there already.
    ClauseTwice,
    /// `GROUP` or `ORDER` without `BY`.
    MissingBy,
    /// Columns without a table.
    MissingFrom,
    /// A join without its condition.
    MissingOn,
    /// The text ends too early.
    Unfinished,
    /// `IN` without a list.
    InParentheses,
    /// `BETWEEN` without `AND`.
    BetweenAnd,
    /// `= NULL`.
    IsNull,
    /// A limit as other databases write it.
    Limit,
    /// A text in double quotes.
    TextQuotes,
    /// An aggregate in `WHERE`, `GROUP BY` or `ON`.
    AggregateInWhere,
    /// An aggregate of an aggregate.
    NestedAggregate,
    /// A name from the `SELECT` list in `WHERE`.
    AliasTooEarly,
    /// A table's name or alias that `FROM` doesn't have.
    TableAlias,
    /// A number in `ORDER BY` or `GROUP BY` that no column has.
    Position,
    /// Arguments that a function doesn't take.
    Arguments,
    /// A type that casts don't know.
    CastType,
    /// A condition that is no truth value.
    Condition,
    /// Another database's function; the candidates are ours.
    ForeignFunction,
    /// An aggregate that shows one person's value.
    SingleValue,
    /// A function whose value changes from run to run.
    Moment,
    /// A function that makes much of little.
    Costly,
    /// Files and copies.
    Files,
    /// A statement that changes data.
    ReadOnly,
    /// Another database's way to see the catalogue.
    Catalogue,
    /// `EXPLAIN`.
    Plan,
    /// `SET`, `USE`, transactions.
    Settings,
    /// `DISTINCT` of rows.
    Distinct,
    /// `UNION` and its like.
    SetOperation,
    /// Window functions.
    Window,
    /// `LIMIT` below an aggregate.
    LimitInside,
    /// A subquery that gives a value.
    InnerQuery,
    /// A statistic of statistics.
    Nested,
    /// A condition on one person's key.
    PersonKey,
    /// `WITH RECURSIVE`.
    Recursion,
    /// Samples, locks and other clauses of one database.
    Sample,
    /// Arrays and structs.
    Array,
    /// Bit operators.
    Bits,
    /// `SIMILAR TO`, `REGEXP`, `ESCAPE`.
    Pattern,
    /// `ROLLUP`, `CUBE`, `GROUP BY ALL`.
    Grouping,
    /// `VALUES` or `TABLE` instead of a query.
    ValuesList,
    /// A literal zero as a divisor.
    DivisionByZero,
    /// One name for two things.
    SameName,
    /// Parts of a union with other numbers of columns.
    ColumnCount,
    /// An interval that is written otherwise.
    Interval,
}

impl SqlHint {
    /// Each of them.
    pub const ALL: &[Self] = &[
        Self::FullWidth,
        Self::CurlyQuote,
        Self::DoubleEquals,
        Self::AndOrNot,
        Self::Comparison,
        Self::Power,
        Self::Backtick,
        Self::Bracket,
        Self::Variable,
        Self::Comment,
        Self::Backslash,
        Self::UnclosedText,
        Self::UnclosedName,
        Self::UnclosedComment,
        Self::UnclosedParenthesis,
        Self::ExtraParenthesis,
        Self::UnclosedCase,
        Self::ExtraComma,
        Self::MissingComma,
        Self::MissingOperand,
        Self::Misspelt,
        Self::ReservedName,
        Self::ClauseOrder,
        Self::ClauseTwice,
        Self::MissingBy,
        Self::MissingFrom,
        Self::MissingOn,
        Self::Unfinished,
        Self::InParentheses,
        Self::BetweenAnd,
        Self::IsNull,
        Self::Limit,
        Self::TextQuotes,
        Self::AggregateInWhere,
        Self::NestedAggregate,
        Self::AliasTooEarly,
        Self::TableAlias,
        Self::Position,
        Self::Arguments,
        Self::CastType,
        Self::Condition,
        Self::ForeignFunction,
        Self::SingleValue,
        Self::Moment,
        Self::Costly,
        Self::Files,
        Self::ReadOnly,
        Self::Catalogue,
        Self::Plan,
        Self::Settings,
        Self::Distinct,
        Self::SetOperation,
        Self::Window,
        Self::LimitInside,
        Self::InnerQuery,
        Self::Nested,
        Self::PersonKey,
        Self::Recursion,
        Self::Sample,
        Self::Array,
        Self::Bits,
        Self::Pattern,
        Self::Grouping,
        Self::ValuesList,
        Self::DivisionByZero,
        Self::SameName,
        Self::ColumnCount,
        Self::Interval,
    ];
}
