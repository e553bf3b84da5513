//! How a query reads a temporary table.

use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};

use super::Temporary;
use crate::person::PERSON_TYPE;
use crate::table::RowsRead;

/// A temporary table as one scan of one query sees it.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) table: Arc<Temporary>,
    rows_read: Arc<RowsRead>,
    schema: SchemaRef,
}

impl Kept {
    /// The table as names resolve to it: the selected columns only.
    pub(crate) fn new(table: Arc<Temporary>, rows_read: Arc<RowsRead>) -> Self {
        let schema = Arc::clone(&table.schema);
        Self {
            table,
            rows_read,
            schema,
        }
    }

    /// The same with the hidden columns behind, by these names.
    pub(crate) fn with_persons(&self, names: &[String]) -> Self {
        let mut fields: Vec<Arc<Field>> = self.table.schema.fields().iter().cloned().collect();
        fields.extend(
            names
                .iter()
                .map(|name| Arc::new(Field::new(name, PERSON_TYPE, true))),
        );
        Self {
            schema: Arc::new(Schema::new(fields)),
            ..self.clone()
        }
    }
}

#[async_trait]
impl TableProvider for Kept {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let projection = match projection {
            Some(projection) => projection.clone(),
            None => (0..self.schema.fields().len()).collect(),
        };
        let schema = Arc::new(self.schema.project(&projection)?);
        let batches = self.table.batches.len();
        let partitions = state.config().target_partitions().min(batches).max(1);
        Ok(Arc::new(KeptScan {
            kept: self.clone(),
            projection,
            partitions,
            properties: Arc::new(PlanProperties::new(
                EquivalenceProperties::new(schema),
                Partitioning::UnknownPartitioning(partitions),
                EmissionType::Incremental,
                Boundedness::Bounded,
            )),
        }))
    }
}

/// Reads a temporary table. As the scan of a granted one it takes no predicate and tells no statistics.
#[derive(Debug, Clone)]
struct KeptScan {
    kept: Kept,
    projection: Vec<usize>,
    partitions: usize,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for KeptScan {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Scan: {}", self.kept.table.name)
    }
}

impl ExecutionPlan for KeptScan {
    fn name(&self) -> &str {
        "KeptScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        partition: usize,
        _context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let (scan, schema) = (self.clone(), self.schema());
        let batches: Vec<RecordBatch> = self
            .kept
            .table
            .batches
            .iter()
            .skip(partition)
            .step_by(self.partitions)
            .cloned()
            .collect();
        let named = Arc::clone(&schema);
        let stream = futures::stream::iter(batches.into_iter().map(
            move |batch| -> Result<RecordBatch> {
                scan.kept.rows_read.add(batch.num_rows());
                let columns = batch.project(&scan.projection)?.columns().to_vec();
                let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
                Ok(RecordBatch::try_new_with_options(
                    Arc::clone(&named),
                    columns,
                    &options,
                )?)
            },
        ));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }
}
