//! Expressions that can't fail on a row.
//!
//! An error is an answer: `sum(1 / (x - 7))` fails when some row has `x = 7`, and a researcher who sees the
//! failure has learnt it of one person, under any threshold. So below the aggregate nothing may depend on
//! a row to fail: casts become `TRY_CAST`, and every operator and function that can fail is wrapped so that
//! the rows on which it would fail get `NULL`.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{Cast, Like, ScalarFunction, TryCast};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, Operator, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column as PhysicalColumn, binary};

use crate::functions::TOTAL_FUNCTIONS;

/// Rewrites an analyzed expression so that no row can make it fail.
pub(crate) fn total(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    expr.transform_up(|expr| step(expr, schema)).map(|t| t.data)
}

fn step(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::Cast(Cast { expr, field }) => {
            Transformed::yes(Expr::TryCast(TryCast { expr, field }))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let types = (left.get_type(schema)?, right.get_type(schema)?);
            if is_total(op, &types.0, &types.1) {
                Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right }))
            } else {
                Transformed::yes(wrap_operator(*left, op, *right, schema)?)
            }
        }
        Expr::Like(Like {
            negated,
            expr,
            pattern,
            escape_char: None,
            case_insensitive,
        }) => {
            let op = match (negated, case_insensitive) {
                (false, false) => Operator::LikeMatch,
                (false, true) => Operator::ILikeMatch,
                (true, false) => Operator::NotLikeMatch,
                (true, true) => Operator::NotILikeMatch,
            };
            Transformed::yes(wrap_operator(*expr, op, *pattern, schema)?)
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) => {
            if TOTAL_FUNCTIONS.contains(&func.name()) || func.inner().is::<Try>() {
                Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args }))
            } else {
                let func = Arc::new(ScalarUDF::new_from_impl(Try::new(func)));
                Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args }))
            }
        }
        other => Transformed::no(other),
    })
}

/// Comparisons and logic can't fail; nor does arithmetic of floats, nor that of integers but for division,
/// since it wraps.
fn is_total(op: Operator, left: &DataType, right: &DataType) -> bool {
    let integers = left.is_integer() && right.is_integer();
    let floats = left.is_floating() && right.is_floating();
    match op {
        Operator::Plus | Operator::Minus | Operator::Multiply => integers || floats,
        Operator::Divide | Operator::Modulo => floats,
        Operator::Eq
        | Operator::NotEq
        | Operator::Lt
        | Operator::LtEq
        | Operator::Gt
        | Operator::GtEq
        | Operator::And
        | Operator::Or
        | Operator::IsDistinctFrom
        | Operator::IsNotDistinctFrom
        | Operator::StringConcat => true,
        _ => false,
    }
}

fn wrap_operator(left: Expr, op: Operator, right: Expr, schema: &DFSchema) -> Result<Expr> {
    let whole = Expr::BinaryExpr(BinaryExpr::new(
        Box::new(left.clone()),
        op,
        Box::new(right.clone()),
    ));
    let returned = whole.get_type(schema)?;
    let func = Arc::new(ScalarUDF::new_from_impl(TryOperator::new(op, returned)));
    Ok(Expr::ScalarFunction(ScalarFunction {
        func,
        args: vec![left, right],
    }))
}

/// Runs `whole` on all rows at once and, when that fails, on each row by itself.
fn row_by_row(
    rows: usize,
    returned: &DataType,
    run: impl Fn(Option<usize>) -> Result<ColumnarValue>,
) -> Result<ColumnarValue> {
    if let Ok(value) = run(None) {
        return Ok(value);
    }
    let each: Vec<ArrayRef> = (0..rows)
        .map(|row| {
            run(Some(row))
                .and_then(|value| value.into_array(1))
                .ok()
                .filter(|array| array.len() == 1 && array.data_type() == returned)
                .unwrap_or_else(|| new_null_array(returned, 1))
        })
        .collect();
    if each.is_empty() {
        return Ok(ColumnarValue::Array(new_null_array(returned, 0)));
    }
    let each: Vec<&dyn Array> = each.iter().map(AsRef::as_ref).collect();
    Ok(ColumnarValue::Array(concat(&each)?))
}

fn at_row(args: &[ColumnarValue], row: Option<usize>) -> Vec<ColumnarValue> {
    match row {
        None => args.to_vec(),
        Some(row) => args
            .iter()
            .map(|arg| match arg {
                ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(row, 1)),
                ColumnarValue::Scalar(scalar) => ColumnarValue::Scalar(scalar.clone()),
            })
            .collect(),
    }
}

/// The operators that are wrapped somewhere.
const WRAPPED: &[Operator] = &[
    Operator::Plus,
    Operator::Minus,
    Operator::Multiply,
    Operator::Divide,
    Operator::Modulo,
    Operator::BitwiseAnd,
    Operator::BitwiseOr,
    Operator::BitwiseXor,
    Operator::BitwiseShiftLeft,
    Operator::BitwiseShiftRight,
    Operator::LikeMatch,
    Operator::ILikeMatch,
    Operator::NotLikeMatch,
    Operator::NotILikeMatch,
    Operator::RegexMatch,
    Operator::RegexIMatch,
    Operator::RegexNotMatch,
    Operator::RegexNotIMatch,
];

/// The wrapped forms of `functions` and of all operators. A plan that goes to another server names its
/// functions, and nothing but the name goes with it.
pub(crate) fn wrapped<'f>(
    functions: impl Iterator<Item = &'f Arc<ScalarUDF>>,
) -> impl Iterator<Item = Arc<ScalarUDF>> {
    let operators = WRAPPED.iter().map(|op| {
        // What an operator gives is written beside its name.
        let operator = TryOperator::new(*op, DataType::Null);
        Arc::new(ScalarUDF::new_from_impl(operator))
    });
    functions
        .map(|function| Arc::new(ScalarUDF::new_from_impl(Try::new(Arc::clone(function)))))
        .chain(operators)
}

/// A function, with `NULL` where it would fail.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Try {
    function: Arc<ScalarUDF>,
    /// Another than the function's own: where only the name is known, the function that fails must not be
    /// taken for it.
    name: String,
}

impl Try {
    fn new(function: Arc<ScalarUDF>) -> Self {
        Self {
            name: format!("kekkai_try_{}", function.name()),
            function,
        }
    }
}

impl ScalarUDFImpl for Try {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.function.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = self.function.return_field_from_args(args)?;
        Ok(Arc::new(field.as_ref().clone().with_nullable(true)))
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(arg_types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let returned = args.return_type().clone();
        row_by_row(args.number_rows, &returned, |row| {
            self.function.invoke_with_args(ScalarFunctionArgs {
                args: at_row(&args.args, row),
                arg_fields: args.arg_fields.clone(),
                number_rows: if row.is_some() { 1 } else { args.number_rows },
                return_field: Arc::clone(&args.return_field),
                config_options: Arc::clone(&args.config_options),
            })
        })
    }
}

/// An operator, with `NULL` where it would fail.
#[derive(Debug)]
struct TryOperator {
    op: Operator,
    returned: DataType,
    signature: Signature,
    name: String,
}

impl TryOperator {
    fn new(op: Operator, returned: DataType) -> Self {
        Self {
            op,
            returned,
            signature: Signature::any(2, Volatility::Immutable),
            name: format!("kekkai_operator_{op:?}"),
        }
    }
}

// What it returns follows from its arguments.
impl PartialEq for TryOperator {
    fn eq(&self, other: &Self) -> bool {
        self.op == other.op
    }
}
impl Eq for TryOperator {}
impl Hash for TryOperator {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.op.hash(state);
    }
}

impl ScalarUDFImpl for TryOperator {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.returned.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let fields: Vec<Field> = args
            .args
            .iter()
            .zip(["l", "r"])
            .map(|(arg, name)| Field::new(name, arg.data_type(), true))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let left: Arc<dyn PhysicalExpr> = Arc::new(PhysicalColumn::new("l", 0));
        let right: Arc<dyn PhysicalExpr> = Arc::new(PhysicalColumn::new("r", 1));
        let whole = binary(left, self.op, right, &schema)?;
        row_by_row(args.number_rows, args.return_type(), |row| {
            let rows = if row.is_some() { 1 } else { args.number_rows };
            let columns = at_row(&args.args, row)
                .into_iter()
                .map(|arg| arg.into_array(rows))
                .collect::<Result<Vec<_>>>()?;
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)?;
            whole.evaluate(&batch)
        })
    }
}
