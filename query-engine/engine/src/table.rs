//! Granted tables, and the barrier below every query.
//!
//! [`Granted`] is what the planner sees: granted columns, nothing else. [`Scan`] is what runs: it reads
//! granted columns and the person key, takes no predicate and no limit from above, tells no statistics but the
//! rounded number of rows that people are told, and gives the person as a number in a column whose name no
//! statement can write. Rows that the agreement doesn't provide end here ([`kekkai_condition`]). Whatever a
//! researcher's expression does, it runs above this node.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, StatisticsArgs,
};
use kekkai_condition::{ColumnTest, provided};
use kekkai_types::{DatasetId, PERSON_NUMBER_COLUMN, RowCondition, rounded_rows};
use parquet::encryption::decrypt::FileDecryptionProperties;

use crate::file::{BATCH_ROWS, OpenFile};
use crate::person::{PERSON_TYPE, Register, is_key_type};

/// A granted table as it is handed to a session.
pub struct TableSource {
    /// The dataset.
    pub dataset: DatasetId,
    /// Its version.
    pub version: u32,
    /// The SQL name, in lower case.
    pub name: String,
    /// The granted columns, in the order in which `SELECT *` would show them.
    pub columns: Vec<GrantedColumn>,
    /// The column with each row's person; need not be granted. `None` for vocabularies.
    pub person_key: Option<String>,
    /// What a row must meet, all of it, to be provided; empty: all rows are. The columns need not be granted.
    pub rows: Vec<RowCondition>,
    /// Its files, in order.
    pub files: Vec<TableFile>,
}

/// A granted column.
#[derive(Debug, Clone)]
pub struct GrantedColumn {
    /// The SQL name, in lower case.
    pub name: String,
    /// The catalogue's type (`bigint`, `text` …), compared with the files; `None`: whatever they hold.
    pub sql_type: Option<String>,
}

/// One Parquet file of a table, opened by somebody else.
pub struct TableFile {
    /// The descriptor.
    pub file: File,
    /// `None` for plain Parquet.
    pub decryption: Option<Arc<FileDecryptionProperties>>,
}

/// Why a table can't be loaded. Names tables, columns and files, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Broken, foreign, or of another key.
    #[error("file {file} of table \"{table}\" can't be read as parquet under its key")]
    Unreadable {
        /// The table.
        table: String,
        /// Counted from 0.
        file: usize,
    },
    /// A column that the grant or the catalogue names is not in the file.
    #[error("file {file} of table \"{table}\" has no column \"{column}\"")]
    MissingColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Counted from 0.
        file: usize,
    },
    /// A column has another type than the catalogue or the first file says.
    #[error(
        "column \"{column}\" in file {file} of table \"{table}\" has another type than expected"
    )]
    ColumnType {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Counted from 0.
        file: usize,
    },
    /// A column of a type that queries don't know.
    #[error("column \"{column}\" of table \"{table}\" has a type that queries don't know")]
    UnknownType {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// A person key that is neither integer nor text.
    #[error("person key \"{column}\" of table \"{table}\" is neither integer nor text")]
    PersonKeyType {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// Numbered persons where others of the dataset have none, or in a table that is said to be about
    /// nobody: persons would be counted twice, or not at all.
    #[error("table \"{0}\" and the rest of its dataset disagree on whether persons are numbered")]
    PersonNumbers(String),
    /// A row condition that doesn't fit its column's type.
    #[error("column \"{column}\" of table \"{table}\" can't have the agreement's row condition")]
    Condition {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// A table without files.
    #[error("table \"{0}\" has no files")]
    NoFiles(String),
    /// Two tables of one dataset have one name.
    #[error("table \"{0}\" is given twice")]
    Twice(String),
    /// The session's runtime can't be made.
    #[error("the query runtime can't be made")]
    Runtime,
}

/// True when a file's type is what the catalogue's `sql_type` says.
fn is_type(data_type: &DataType, sql_type: &str) -> bool {
    match sql_type {
        "bigint" => data_type.is_integer(),
        "double" => data_type.is_floating(),
        "text" => matches!(data_type, DataType::Utf8View),
        "boolean" => matches!(data_type, DataType::Boolean),
        "date" => matches!(data_type, DataType::Date32),
        "timestamp" => matches!(data_type, DataType::Timestamp(_, _)),
        _ => false,
    }
}

/// True for the types that queries know. Decimals are not among them: their arithmetic can overflow.
pub(crate) fn is_known_type(data_type: &DataType) -> bool {
    data_type.is_integer()
        || data_type.is_floating()
        || matches!(
            data_type,
            DataType::Utf8View | DataType::Boolean | DataType::Date32 | DataType::Timestamp(_, _)
        )
}

/// A loaded table.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) dataset: DatasetId,
    pub(crate) version: u32,
    pub(crate) name: String,
    /// Rounded. `None` where only some rows are provided: a file's number counts the others too.
    pub(crate) rows: Option<u64>,
    pub(crate) person_key: Option<String>,
    /// Its files number persons, or the session's register does.
    pub(crate) is_numbered: bool,
    /// All rows are provided, and by all that the files tell of themselves, persons ascend from the first to the
    /// last. What they tell is not proof: two persons' rows may be mixed within a row group.
    pub(crate) is_in_order: bool,
    /// Granted columns.
    schema: SchemaRef,
    register: Arc<Register>,
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    file: OpenFile,
    /// For each granted column, its index in the file.
    columns: Vec<usize>,
    /// The index in the file of the persons' numbers, or else of the person key.
    person: Option<usize>,
    /// What rows must meet, with the tested column's index in the file.
    conditions: Vec<(usize, ColumnTest)>,
    row_groups: Vec<u64>,
}

impl Loaded {
    /// Reads the footers and compares them with the grant. `by_number`: the numbers in its files, where
    /// there are some, mean the same persons in all that the session may read of the dataset.
    pub(crate) fn new(
        source: TableSource,
        register: Arc<Register>,
        by_number: bool,
    ) -> std::result::Result<Self, LoadError> {
        let table = source.name;
        let mut schema: Option<SchemaRef> = None;
        let mut is_numbered = None;
        let mut parts = Vec::with_capacity(source.files.len());
        for (index, handed) in source.files.into_iter().enumerate() {
            let file = OpenFile::new(handed.file, handed.decryption).map_err(|_| {
                LoadError::Unreadable {
                    table: table.clone(),
                    file: index,
                }
            })?;
            let find = |column: &str| {
                file.schema()
                    .index_of(column)
                    .ok()
                    // Hidden: for a grant it is not there.
                    .filter(|_| column != PERSON_NUMBER_COLUMN)
                    .ok_or_else(|| LoadError::MissingColumn {
                        table: table.clone(),
                        column: column.to_owned(),
                        file: index,
                    })
            };
            let mut columns = Vec::with_capacity(source.columns.len());
            let mut fields = Vec::with_capacity(source.columns.len());
            for granted in &source.columns {
                let at = find(&granted.name)?;
                let data_type = file.schema().field(at).data_type().clone();
                let fits = granted
                    .sql_type
                    .as_deref()
                    .is_none_or(|t| is_type(&data_type, t));
                if !fits {
                    return Err(LoadError::ColumnType {
                        table: table.clone(),
                        column: granted.name.clone(),
                        file: index,
                    });
                }
                if !is_known_type(&data_type) {
                    return Err(LoadError::UnknownType {
                        table: table.clone(),
                        column: granted.name.clone(),
                    });
                }
                columns.push(at);
                // Another file may have nulls where this one has none.
                fields.push(Field::new(&granted.name, data_type, true));
            }
            let key = source.person_key.as_deref().map(find).transpose()?;
            if let (Some(at), Some(key)) = (key, &source.person_key)
                && !is_key_type(file.schema().field(at).data_type())
            {
                return Err(LoadError::PersonKeyType {
                    table: table.clone(),
                    column: key.clone(),
                });
            }
            let number = file.schema().index_of(PERSON_NUMBER_COLUMN).ok();
            if *is_numbered.get_or_insert(number.is_some()) != number.is_some()
                || (number.is_some() && key.is_none())
            {
                return Err(LoadError::PersonNumbers(table));
            }
            if let Some(at) = number {
                let field = file.schema().field(at);
                // A row without a number would be counted to nobody.
                if *field.data_type() != PERSON_TYPE || field.is_nullable() {
                    return Err(LoadError::ColumnType {
                        table: table.clone(),
                        column: PERSON_NUMBER_COLUMN.to_owned(),
                        file: index,
                    });
                }
            }
            let person = number.filter(|_| by_number).or(key);
            let conditions = source
                .rows
                .iter()
                .map(|condition| {
                    let at = find(&condition.column)?;
                    let test =
                        ColumnTest::new(&condition.test, file.schema().field(at).data_type());
                    let misfit = || LoadError::Condition {
                        table: table.clone(),
                        column: condition.column.clone(),
                    };
                    Ok((at, test.ok_or_else(misfit)?))
                })
                .collect::<std::result::Result<Vec<_>, _>>()?;
            match &schema {
                None => schema = Some(Arc::new(Schema::new(fields))),
                Some(first) => {
                    for (expected, found) in first.fields().iter().zip(&fields) {
                        if expected.data_type() != found.data_type() {
                            return Err(LoadError::ColumnType {
                                table: table.clone(),
                                column: found.name().clone(),
                                file: index,
                            });
                        }
                    }
                }
            }
            let row_groups = file.row_groups();
            parts.push(Part {
                file,
                columns,
                person,
                conditions,
                row_groups,
            });
        }
        let Some(schema) = schema else {
            return Err(LoadError::NoFiles(table));
        };
        let is_numbered = by_number && is_numbered.unwrap_or(false);
        let ranges = parts.iter().map(|part| {
            let number = part.person.filter(|_| is_numbered);
            number.and_then(|number| part.file.numbers(number))
        });
        // What row groups tell of themselves tells of rows that are not provided, too: nothing may depend on it.
        let is_in_order = source.rows.is_empty() && ascend(ranges);
        Ok(Self {
            is_in_order,
            is_numbered,
            dataset: source.dataset,
            version: source.version,
            name: table,
            rows: (source.rows.is_empty())
                .then(|| rounded_rows(parts.iter().flat_map(|part| &part.row_groups).sum())),
            person_key: source.person_key,
            schema,
            register,
            parts,
        })
    }
}

/// True where each row group's lowest and highest number are known and none begins before the one before it ends.
fn ascend(files: impl Iterator<Item = Option<Vec<(u32, u32)>>>) -> bool {
    let mut last = 0;
    for file in files {
        let Some(ranges) = file else { return false };
        for (lowest, highest) in ranges {
            if lowest < last {
                return false;
            }
            last = highest;
        }
    }
    true
}

impl Loaded {
    /// The granted columns.
    pub(crate) fn columns(&self) -> &SchemaRef {
        &self.schema
    }

    /// Row groups of all its files.
    pub(crate) fn row_groups(&self) -> usize {
        self.parts.iter().map(|part| part.row_groups.len()).sum()
    }
}

/// Rows read so far, shared between a query's scans, and of how many.
#[derive(Debug, Default)]
pub(crate) struct RowsRead {
    read: AtomicU64,
    total: AtomicU64,
}

impl RowsRead {
    /// Rounded, as [`rounded_rows`] does: a clock that counted rows would count those of one person.
    pub(crate) fn read(&self) -> u64 {
        let read = rounded_rows(self.read.load(Ordering::Relaxed));
        match self.total() {
            0 => read,
            total => read.min(total),
        }
    }

    /// Counts rows that were read.
    pub(crate) fn add(&self, rows: usize) {
        self.read.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// 0 where it isn't told.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    pub(crate) fn expect(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
    }
}

/// A granted table as one scan of one query sees it.
#[derive(Debug, Clone)]
pub(crate) struct Granted {
    pub(crate) table: Arc<Loaded>,
    /// The hidden column's name, where this scan carries its persons.
    pub(crate) hidden: Option<String>,
    rows_read: Arc<RowsRead>,
    schema: SchemaRef,
}

impl Granted {
    /// The table as the planner resolves names: granted columns only.
    pub(crate) fn new(table: Arc<Loaded>, rows_read: Arc<RowsRead>) -> Self {
        let schema = Arc::clone(&table.schema);
        Self {
            table,
            hidden: None,
            rows_read,
            schema,
        }
    }

    /// The same with the hidden person column at its end; `None` for a table without persons.
    pub(crate) fn with_persons(&self, name: &str) -> Option<Self> {
        self.table.person_key.as_ref()?;
        let mut fields: Vec<Arc<Field>> = self.table.schema.fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new(name, PERSON_TYPE, true)));
        Some(Self {
            hidden: Some(name.to_owned()),
            schema: Arc::new(Schema::new(fields)),
            ..self.clone()
        })
    }
}

#[async_trait]
impl TableProvider for Granted {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
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
        let partitions = state.config().target_partitions();
        let scan = Scan::new(self.clone(), projection, partitions, Share::WHOLE)?;
        Ok(Arc::new(scan))
    }
}

/// The row groups that one scan of several reads: the `number`th of `of` parts of them, each of row groups that
/// follow one another, so that a person's rows stay together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) number: usize,
    pub(crate) of: usize,
}

impl Share {
    pub(crate) const WHOLE: Self = Self { number: 0, of: 1 };

    /// Which of so many, in their order.
    fn range(self, all: usize) -> Range<usize> {
        let start = |number: usize| all * number / self.of.max(1);
        start(self.number)..start(self.number + 1)
    }
}

/// The leaf of every plan.
#[derive(Debug, Clone)]
pub(crate) struct Scan {
    pub(crate) granted: Granted,
    pub(crate) projection: Vec<usize>,
    pub(crate) share: Share,
    partitions: usize,
    properties: Arc<PlanProperties>,
}

impl Scan {
    /// A scan in at most `partitions_max` partitions, and in no more than there are row groups to read.
    pub(crate) fn new(
        granted: Granted,
        projection: Vec<usize>,
        partitions_max: usize,
        share: Share,
    ) -> Result<Self> {
        let schema = Arc::new(granted.schema.project(&projection)?);
        let row_groups = granted.table.row_groups().div_ceil(share.of.max(1));
        // Which rows are together in a row group depends on rows that are not provided; cut into batches anew, and
        // in one order, those that are show nothing of it.
        let partitions = match granted.table.rows {
            Some(_) => partitions_max.min(row_groups).max(1),
            None => 1,
        };
        Ok(Self {
            granted,
            projection,
            share,
            partitions,
            properties: Arc::new(PlanProperties::new(
                EquivalenceProperties::new(schema),
                Partitioning::UnknownPartitioning(partitions),
                EmissionType::Incremental,
                Boundedness::Bounded,
            )),
        })
    }
}

impl DisplayAs for Scan {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Scan: {}", self.granted.table.name)
    }
}

impl ExecutionPlan for Scan {
    fn name(&self) -> &str {
        "Scan"
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

    /// The number of rows that people are told, where they are told one, and nothing of any value. By it joins
    /// hold their smaller side in memory.
    fn statistics_from_inputs(
        &self,
        _inputs: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema());
        let rows = self.granted.table.rows;
        if let Some(rows) = rows.and_then(|rows| usize::try_from(rows).ok()) {
            let partitions = args.partition().map_or(1, |_| self.partitions);
            statistics.num_rows = Precision::Inexact(rows.div_ceil(partitions));
        }
        Ok(Arc::new(statistics))
    }

    fn execute(
        &self,
        partition: usize,
        _context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let schema = self.schema();
        let work = self
            .granted
            .table
            .parts
            .iter()
            .enumerate()
            .flat_map(|(part, p)| (0..p.row_groups.len()).map(move |group| (part, group)))
            .collect::<Vec<_>>();
        let share = work.get(self.share.range(work.len())).unwrap_or_default();
        let partition = Share {
            number: partition,
            of: self.partitions,
        };
        let own = share.get(partition.range(share.len())).unwrap_or_default();
        let reading = Reading {
            scan: self.clone(),
            schema: Arc::clone(&schema),
            work: VecDeque::from(own.to_vec()),
            current: None,
            waiting: self.granted.table.rows.is_none().then(Vec::new),
        };
        let stream = futures::stream::iter(reading);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }
}

/// One partition being read.
struct Reading {
    scan: Scan,
    schema: SchemaRef,
    work: VecDeque<(usize, usize)>,
    current: Option<Current>,
    /// Rows that wait until there is a batch of them; `None`: batches are given as they are read.
    waiting: Option<Vec<RecordBatch>>,
}

struct Current {
    reader: parquet::arrow::arrow_reader::ParquetRecordBatchReader,
    picks: Vec<Pick>,
    /// Where the person key is among the read columns, if it can be null.
    person: Option<usize>,
    /// What rows must meet, with the tested column's place among the read columns.
    conditions: Vec<(usize, ColumnTest)>,
}

/// Where a column of the scan comes from: a position among the read columns, perhaps as a person.
#[derive(Clone, Copy)]
struct Pick {
    at: usize,
    is_person: bool,
}

impl Reading {
    fn open(&self, part: usize, row_group: usize) -> Result<Current> {
        let bug = || DataFusionError::Internal("a scan of a column that is not there".to_owned());
        let part = self.scan.granted.table.parts.get(part).ok_or_else(bug)?;
        let visible = self.scan.granted.table.schema.fields().len();
        let wanted = self
            .scan
            .projection
            .iter()
            .map(|index| match part.columns.get(*index) {
                Some(column) => Ok((*column, false)),
                None if *index == visible && self.scan.granted.hidden.is_some() => {
                    part.person.map(|column| (column, true)).ok_or_else(bug)
                }
                None => Err(bug()),
            })
            .collect::<Result<Vec<_>>>()?;
        let mut read: Vec<usize> = wanted.iter().map(|(column, _)| *column).collect();
        // A key may be null, a number never is.
        let nullable = part.person.filter(|_| !self.scan.granted.table.is_numbered);
        read.extend(nullable);
        read.extend(part.conditions.iter().map(|(column, _)| *column));
        read.sort_unstable();
        read.dedup();
        let picks = wanted
            .iter()
            .map(|(column, is_person)| {
                let at = read.binary_search(column).map_err(|_| bug())?;
                Ok(Pick {
                    at,
                    is_person: *is_person,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let person = match &nullable {
            Some(column) => Some(read.binary_search(column).map_err(|_| bug())?),
            None => None,
        };
        let conditions = part
            .conditions
            .iter()
            .map(|(column, test)| {
                let at = read.binary_search(column).map_err(|_| bug())?;
                Ok((at, test.clone()))
            })
            .collect::<Result<Vec<_>>>()?;
        let reader = part.file.read(row_group, &read).map_err(unreadable)?;
        Ok(Current {
            reader,
            picks,
            person,
            conditions,
        })
    }

    fn pick(&self, picks: &[Pick], batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = picks
            .iter()
            .map(|pick| {
                let column = batch.columns().get(pick.at).ok_or_else(|| {
                    DataFusionError::Internal("a file gave fewer columns than asked".to_owned())
                })?;
                if pick.is_person && !self.scan.granted.table.is_numbered {
                    self.scan.granted.table.register.number(column)
                } else {
                    Ok(Arc::clone(column))
                }
            })
            .collect::<Result<Vec<_>>>()?;
        let options =
            arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(
            Arc::clone(&self.schema),
            columns,
            &options,
        )?)
    }

    /// The next batch of a file, without the rows that are nobody's or not provided.
    fn provided(&mut self) -> Option<Result<RecordBatch>> {
        loop {
            if let Some(current) = &mut self.current {
                match current.reader.next() {
                    Some(Ok(batch)) => {
                        let picks = current.picks.clone();
                        let batch = somebodys(batch, current.person)
                            .and_then(|batch| Ok(provided(batch, &current.conditions)?));
                        return Some(batch.and_then(|batch| self.pick(&picks, &batch)));
                    }
                    Some(Err(_)) => return Some(Err(unreadable(()))),
                    None => self.current = None,
                }
            }
            let (part, row_group) = self.work.pop_front()?;
            match self.open(part, row_group) {
                Ok(current) => self.current = Some(current),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Reading {
    /// The next full batch of what waits, and at the end what is left.
    fn gathered(&mut self, is_end: bool) -> Option<Result<RecordBatch>> {
        let waiting = self.waiting.as_mut()?;
        let rows: usize = waiting.iter().map(RecordBatch::num_rows).sum();
        if rows == 0 || (rows < BATCH_ROWS && !is_end) {
            return None;
        }
        let whole = match concat_batches(&self.schema, waiting.iter()) {
            Ok(whole) => whole,
            Err(error) => return Some(Err(error.into())),
        };
        let given = rows.min(BATCH_ROWS);
        *waiting = vec![whole.slice(given, rows - given)];
        Some(Ok(whole.slice(0, given)))
    }

    fn batch(&mut self) -> Option<Result<RecordBatch>> {
        loop {
            if let Some(batch) = self.gathered(false) {
                return Some(batch);
            }
            match (self.provided(), &mut self.waiting) {
                (Some(Ok(batch)), Some(waiting)) => waiting.push(batch),
                (None, Some(_)) => return self.gathered(true),
                (batch, _) => return batch,
            }
        }
    }
}

impl Iterator for Reading {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batch()?;
        if let Ok(batch) = &batch {
            self.scan.granted.rows_read.add(batch.num_rows());
        }
        Some(batch)
    }
}

/// A row of a table of persons that names none can't be counted to anybody: it is left out.
fn somebodys(batch: RecordBatch, person: Option<usize>) -> Result<RecordBatch> {
    match person.and_then(|at| batch.columns().get(at)) {
        Some(key) if key.null_count() > 0 => {
            let named = arrow::compute::is_not_null(key)?;
            Ok(filter_record_batch(&batch, &named)?)
        }
        _ => Ok(batch),
    }
}

/// The reader's own message may quote bytes of the file.
fn unreadable<E>(_: E) -> DataFusionError {
    DataFusionError::Internal("a file can't be read".to_owned())
}
