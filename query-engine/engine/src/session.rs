//! A session: granted tables under terms, and statements run against them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::optimizer::OptimizerConfig;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::sql::planner::{ParserOptions, SqlToRel};
use futures::StreamExt;
use kekkai_analysis_api::{SqlError, SqlErrorCode};
use kekkai_output::{DEFINITION_END, Lineage, Populations, TABLE_CELLS_MAX, Table, Value};
use kekkai_spill::Spill;
use kekkai_types::{DatasetId, Digest, rounded_rows};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::above::{Rows, above};
use crate::count::{Counted, count, cut, each_key_once};
use crate::errors::{planning, running};
use crate::follow::{Checked, Follow};
use crate::functions::{Functions, Purpose};
use crate::head::Head;
use crate::in_order::OutOfOrder;
use crate::keep::definitions;
use crate::mistakes::advised;
use crate::model::gathered;
use crate::names::{Names, Tables};
use crate::ordered::ordered;
use crate::person::Register;
use crate::rows::metered;
use crate::runtime::{Joins, States};
use crate::spread::{PlanFunctions, Spreading};
use crate::statement::parse;
use crate::suppress::{Bounds, Kept, Suppress};
use crate::table::{Granted, LoadError, Loaded, RowsRead, TableSource};
use crate::temporary::{TemporaryTables, making, read_by};
use crate::text::{Text, refuse};

/// The engine that counts, for the lineage: DataFusion's version belongs to it.
pub fn engine() -> String {
    format!(
        "kekkai-engine {} datafusion {}",
        env!("CARGO_PKG_VERSION"),
        datafusion::DATAFUSION_VERSION
    )
}

/// The stack that a runtime's threads need for the deepest statement that is let through, in bytes.
pub const STACK_BYTES: usize = 32 * 1024 * 1024;

/// Between two reports of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// What a session is bound by.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Persons below which a cell is suppressed; 0 counts as 1.
    pub threshold: u32,
    /// The largest share of a magnitude that one person may have, in permille.
    pub dominance_permille: u32,
    /// The digest of the terms, for the lineage.
    pub policy: Digest,
    /// Memory for queries, in bytes. What needs more spills where the session has a [`Spill`] and the work is
    /// one that can; otherwise it fails.
    pub memory_limit_bytes: usize,
    /// Partitions of a query.
    pub threads: usize,
}

/// What comes of a statistic.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What is shown.
    pub table: Table,
    /// The persons behind it, for the guard against differencing: shown to nobody.
    pub populations: Populations,
}

/// How far a query is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Rows read so far.
    pub rows_read: u64,
    /// Rows in the tables that it reads; 0 where it isn't told. Both numbers are rounded.
    pub rows_total: u64,
}

/// Why there is no table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// The statement is at fault, or the data, or we are.
    #[error(transparent)]
    Failed(#[from] SqlError),
    /// Stopped as asked.
    #[error("cancelled")]
    Cancelled,
}

/// Stops a query; clones stop the same one.
#[derive(Debug, Clone)]
pub struct Cancel(Arc<watch::Sender<bool>>);

impl Default for Cancel {
    fn default() -> Self {
        Self::new()
    }
}

impl Cancel {
    /// Nothing is stopped yet.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Stops the query that runs under this, or will.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    /// Waits until it is stopped.
    pub async fn cancelled(&self) {
        // The sender lives in `self`: waiting ends with `true` or never.
        if self.0.subscribe().wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Work that nobody waits for any more ends at its next pause.
struct Abandon<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for Abandon<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Waits for `work` on another runtime; meanwhile it tells how far `rows` are, and may be stopped.
pub(crate) async fn drive<T: Send + 'static>(
    compute: &Handle,
    rows: &RowsRead,
    cancel: &Cancel,
    progress: impl Fn(Progress) + Send,
    work: impl Future<Output = Result<T, Stopped>> + Send + 'static,
) -> Result<T, Stopped> {
    // Whoever drops this future wants the work to stop as well.
    let mut work = Abandon(compute.spawn(work));
    let stop = cancel.cancelled();
    tokio::pin!(stop);
    let mut ticks = tokio::time::interval(PROGRESS_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        tokio::select! {
            biased;
            () = &mut stop => return Err(Stopped::Cancelled),
            done = &mut work.0 => return match done {
                Ok(done) => {
                    progress(Progress { rows_read: rows.read(), rows_total: rows.total() });
                    done
                }
                // A panic: what it said is lost on purpose.
                Err(_) => Err(refuse(SqlErrorCode::Internal, "", None).into()),
            },
            _ = ticks.tick() => progress(Progress { rows_read: rows.read().min(rows.total()), rows_total: rows.total() }),
        }
    }
}

/// Granted tables under terms.
pub struct Session {
    pub(crate) terms: Terms,
    pub(crate) tables: Tables,
    /// What a person's statements have kept.
    pub(crate) temporary: TemporaryTables,
    pub(crate) statistics: Functions,
    pub(crate) rows: Functions,
    planners: Vec<Arc<dyn ExprPlanner>>,
    pub(crate) states: States,
    datasets: Vec<(DatasetId, u32)>,
    /// All persons are numbered by the files, none by the session's registers, which number them in the
    /// order in which rows happen to be read.
    pub(crate) has_stable_numbers: bool,
    pub(crate) plan_functions: OnceLock<PlanFunctions>,
    pub(crate) spreading: Spreading,
}

impl Session {
    /// A session that spills nothing: see [`Session::with_spill`].
    pub fn new(terms: Terms, sources: Vec<TableSource>) -> Result<Self, LoadError> {
        Self::with_spill(terms, sources, None)
    }

    /// Reads the tables' footers and compares them with what is granted. Sorts, aggregations and joins that
    /// outgrow the memory go on in `spill`.
    pub fn with_spill(
        terms: Terms,
        sources: Vec<TableSource>,
        spill: Option<Spill>,
    ) -> Result<Self, LoadError> {
        let mut registers: BTreeMap<DatasetId, Arc<Register>> = BTreeMap::new();
        let mut tables = Tables::default();
        let mut datasets = Vec::new();
        let mut numbered = BTreeMap::new();
        // Numbers are one version's: beside another version, persons are known by their keys.
        let mut versions: BTreeMap<DatasetId, u32> = BTreeMap::new();
        let mut mixed = BTreeSet::new();
        for source in &sources {
            let version = *versions
                .entry(source.dataset.clone())
                .or_insert(source.version);
            if version != source.version {
                mixed.insert(source.dataset.clone());
            }
        }
        for source in sources {
            let name = source.name.clone();
            let dataset = (source.dataset.clone(), source.version);
            if !datasets.contains(&dataset) {
                datasets.push(dataset);
            }
            let register = Arc::clone(registers.entry(source.dataset.clone()).or_default());
            let by_number = !mixed.contains(&source.dataset);
            let loaded = Loaded::new(source, register, by_number)?;
            // The files' numbers and the register's would mean different persons.
            if loaded.person_key.is_some()
                && *numbered
                    .entry(loaded.dataset.clone())
                    .or_insert(loaded.is_numbered)
                    != loaded.is_numbered
            {
                return Err(LoadError::PersonNumbers(name));
            }
            if !tables.add(loaded) {
                return Err(LoadError::Twice(name));
            }
        }
        datasets.sort();
        let states = States::new(&terms, spill)?;
        Ok(Self {
            terms,
            tables,
            temporary: TemporaryTables::default(),
            statistics: Functions::new(Purpose::Statistic),
            rows: Functions::new(Purpose::Rows),
            planners: SessionStateDefaults::default_expr_planners(),
            states,
            datasets,
            has_stable_numbers: numbered.values().all(|is_numbered| *is_numbered),
            plan_functions: OnceLock::new(),
            spreading: Spreading::new(),
        })
    }

    /// Parses, plans and follows a statement without running it: what it returns, `run` would too.
    pub fn check(&self, sql: &str) -> Result<(), SqlError> {
        let text = Text::new(sql)?;
        if let Head::Drop { name, at } = text.head() {
            return self.check_drop(name, *at);
        }
        let plan = self.persons_plan(&text, &Arc::default())?;
        if let Head::Create { name, at } = text.head() {
            self.check_name(name, *at)?;
            return making(&plan, &text).map(drop);
        }
        self.check_counted(&plan, &text)
    }

    /// Runs a statement on the current runtime. `progress` is called at most four times a second, and
    /// once more when the work is done.
    pub async fn run(
        self: &Arc<Self>,
        sql: &str,
        cancel: &Cancel,
        progress: impl Fn(Progress) + Send,
    ) -> Result<Answer, Stopped> {
        self.run_on(&Handle::current(), sql, cancel, progress).await
    }

    /// Runs a statement on another runtime, whose threads need [`STACK_BYTES`] of stack: there may be moments
    /// in which all of them are busy, while progress and cancelling are this one's.
    pub async fn run_on(
        self: &Arc<Self>,
        compute: &Handle,
        sql: &str,
        cancel: &Cancel,
        progress: impl Fn(Progress) + Send,
    ) -> Result<Answer, Stopped> {
        let rows = Arc::new(RowsRead::default());
        let (session, sql, counting) = (Arc::clone(self), sql.to_owned(), Arc::clone(&rows));
        let work = async move { Ok(session.asked(&sql, &counting).await?) };
        drive(compute, &rows, cancel, progress, work).await
    }

    /// A person's statement: it may keep what it makes, and read what others have kept.
    async fn asked(&self, sql: &str, rows: &Arc<RowsRead>) -> Checked<Answer> {
        let text = Text::new(sql)?;
        match text.head() {
            Head::Create { name, at } => self.create((name.as_str(), *at), sql, &text, rows).await,
            Head::Drop { name, at } => self.drop_table(name, *at, sql),
            Head::Explain => {
                let plan = self.persons_plan(&text, rows)?;
                // What may not run is not explained.
                self.check_counted(&plan, &text)?;
                Ok(self.explained(&plan, sql))
            }
            Head::Query => {
                let plan = self.persons_plan(&text, rows)?;
                let answer = self.answer(sql, &text, &plan).await;
                answer.map_err(|error| advised(error, &text))
            }
        }
    }

    fn check_counted(&self, plan: &LogicalPlan, text: &Text) -> Checked<()> {
        let mut follow = Follow::new(text, Purpose::Statistic);
        cut(plan, &follow)
            .and_then(|cut| match gathered(&cut, &mut follow)? {
                Some(_) => Ok(()),
                None => count(&cut, &mut follow).map(drop),
            })
            .map_err(|error| advised(error, text))
    }

    pub(crate) async fn whole(
        &self,
        sql: &str,
        parameters: &[Value],
        rows: &Arc<RowsRead>,
    ) -> Checked<Answer> {
        let text = Text::new(sql)?;
        text.only_query()?;
        let plan = self.plan(&text, parameters, Purpose::Statistic, rows)?;
        let answer = self.answer(sql, &text, &plan).await;
        answer.map_err(|error| advised(error, &text))
    }

    /// A program's plan. Programs keep results in memory of their own: whoever reviews what they read must find
    /// it in their statements alone.
    pub(crate) fn plan(
        &self,
        text: &Text,
        parameters: &[Value],
        purpose: Purpose,
        rows_read: &Arc<RowsRead>,
    ) -> Checked<LogicalPlan> {
        self.plan_over(None, text, parameters, purpose, rows_read)
    }

    /// A plan of a person's statement, which sees temporary tables.
    pub(crate) fn persons_plan(
        &self,
        text: &Text,
        rows_read: &Arc<RowsRead>,
    ) -> Checked<LogicalPlan> {
        self.plan_over(
            Some(&self.temporary),
            text,
            &[],
            Purpose::Statistic,
            rows_read,
        )
    }

    fn plan_over(
        &self,
        temporary: Option<&TemporaryTables>,
        text: &Text,
        parameters: &[Value],
        purpose: Purpose,
        rows_read: &Arc<RowsRead>,
    ) -> Checked<LogicalPlan> {
        self.analyzed(temporary, text, parameters, purpose, rows_read)
            .map_err(|error| advised(error, text))
    }

    fn analyzed(
        &self,
        temporary: Option<&TemporaryTables>,
        text: &Text,
        parameters: &[Value],
        purpose: Purpose,
        rows_read: &Arc<RowsRead>,
    ) -> Checked<LogicalPlan> {
        let functions = match purpose {
            Purpose::Statistic => &self.statistics,
            Purpose::Rows => &self.rows,
        };
        let statement = parse(text, parameters, functions)?;
        let options = self.state().config_options();
        let names = Names {
            tables: &self.tables,
            temporary,
            functions,
            text,
            options,
            planners: &self.planners,
            rows_read: Arc::clone(rows_read),
        };
        let parser_options = ParserOptions::from(&options.sql_parser);
        let plan = SqlToRel::new_with_options(&names, parser_options)
            .sql_statement_to_plan(statement)
            .and_then(each_key_once)
            .map_err(|e| planning(&e, text))?;
        let analyzed = self
            .state()
            .analyzer()
            .execute_and_check(plan.clone(), options, |_, _| {})
            .map_err(|e| crate::errors::analysis(&e, &plan, text))?;
        rows_read.expect(rows_total(&analyzed));
        Ok(analyzed)
    }

    pub(crate) async fn answer(
        &self,
        sql: &str,
        text: &Text,
        plan: &LogicalPlan,
    ) -> Checked<Answer> {
        let answer = self.answer_with(sql, text, plan, Joins::Hashed).await;
        match answer {
            // Nothing was given out yet: the same once more, at the pace of the disk.
            Err(error) if error.code == SqlErrorCode::Memory && self.can_sort(plan) => {
                self.answer_with(sql, text, plan, Joins::Sorted).await
            }
            answer => answer,
        }
    }

    /// Whether joins that sort may do where hashed ones outgrew the memory.
    fn can_sort(&self, plan: &LogicalPlan) -> bool {
        let is_join = |node: &LogicalPlan| Ok(matches!(node, LogicalPlan::Join(_)));
        self.states.can_sort() && plan.exists(is_join).unwrap_or(false)
    }

    pub(crate) fn state(&self) -> &SessionState {
        self.states.get(Joins::Hashed)
    }

    async fn answer_with(
        &self,
        sql: &str,
        text: &Text,
        plan: &LogicalPlan,
        joins: Joins,
    ) -> Checked<Answer> {
        let mut follow = Follow::new(text, Purpose::Statistic);
        let cut = cut(plan, &follow)?;
        let bounds = Bounds {
            threshold: u64::from(self.terms.threshold.max(1)),
            dominance_permille: self.terms.dominance_permille,
        };
        if let Some(gathered) = gathered(&cut, &mut follow)? {
            let modelled = self.modelled(text, &gathered, bounds, joins).await?;
            return Ok(Answer {
                populations: Populations {
                    stable: self.has_stable_numbers,
                    cells: modelled.populations,
                },
                table: Table {
                    columns: modelled.columns,
                    rows: modelled.rows,
                    groups_withheld: modelled.groups_withheld,
                    lineage: self.lineage(sql, Some(plan)),
                },
            });
        }
        let counted = count(&cut, &mut follow)?;

        let optimized = self
            .optimize(&counted.plan)
            .map_err(|e| planning(&e, text))?;
        if !counted.survived(&optimized) {
            return Err(refuse(SqlErrorCode::Internal, "", None));
        }
        let kept = self
            .suppressed(&counted, &optimized, bounds, joins)
            .await
            .map_err(|e| running(&e, text))?
            .ok_or_else(|| refuse(SqlErrorCode::TooLarge, "", None))?;

        let above = above(&cut.above, &counted, kept.batch).map_err(|e| planning(&e, text))?;
        let optimized = self.optimize(&above.plan).map_err(|e| planning(&e, text))?;
        let mut rows = Rows::new(&above, &counted, &kept.verdicts);
        let mut stream = self
            .execute(&optimized, joins)
            .await
            .map_err(|e| running(&e, text))?;
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(|e| running(&e, text))?;
            rows.add(&batch).map_err(|e| running(&e, text))?;
            if rows.cells() > TABLE_CELLS_MAX {
                return Err(refuse(SqlErrorCode::TooLarge, "", None));
            }
        }
        let populations = rows
            .populations(&kept.sets, self.has_stable_numbers)
            .map_err(|e| running(&e, text))?
            .ok_or_else(|| refuse(SqlErrorCode::TooLarge, "", None))?;
        let (columns, rows) = rows.finish();
        let table = Table {
            columns,
            rows,
            groups_withheld: kept.groups_withheld,
            lineage: self.lineage(sql, Some(plan)),
        };
        Ok(Answer { table, populations })
    }

    /// Runs the lower half of a statement; `None` where it has more groups than an answer may have.
    async fn suppressed(
        &self,
        counted: &Counted,
        optimized: &LogicalPlan,
        bounds: Bounds,
        joins: Joins,
    ) -> datafusion::common::Result<Option<Kept>> {
        let plan = self.physical(optimized, joins).await?;
        let Some(ordered) = self.ordered(&plan)? else {
            return self.suppressed_by(counted, plan, bounds, joins).await;
        };
        match self.suppressed_by(counted, ordered, bounds, joins).await {
            // Nothing was given out yet: the same once more, and nobody is forgotten. By a plan of its own: a
            // join keeps what it has read, and which rows found a partner.
            Err(error) if OutOfOrder::is_below(&error) => {
                let plan = self.physical(optimized, joins).await?;
                self.suppressed_by(counted, plan, bounds, joins).await
            }
            done => done,
        }
    }

    /// The plan for persons that come in their order, if they are expected to. Other servers would have to tell
    /// that they didn't.
    pub(crate) fn ordered(
        &self,
        plan: &Arc<dyn ExecutionPlan>,
    ) -> datafusion::common::Result<Option<Arc<dyn ExecutionPlan>>> {
        match self.spreading.get() {
            Some(_) => Ok(None),
            None => ordered(plan),
        }
    }

    async fn suppressed_by(
        &self,
        counted: &Counted,
        plan: Arc<dyn ExecutionPlan>,
        bounds: Bounds,
        joins: Joins,
    ) -> datafusion::common::Result<Option<Kept>> {
        let mut suppress = Suppress::new(counted, bounds);
        let memory = MemoryConsumer::new("kept groups").register(self.memory_pool());
        let mut stream = self.run_plan(plan, self.states.get(joins)).await?;
        while let Some(batch) = stream.next().await {
            suppress.add(&batch?)?;
            memory.try_resize(suppress.kept_bytes())?;
            if suppress.is_too_large() {
                return Ok(None);
            }
        }
        drop(stream);
        suppress.finish().map(Some)
    }

    /// Where an answer comes from: the statement behind the definitions of the temporary tables that it reads.
    pub(crate) fn lineage(&self, sql: &str, plan: Option<&LogicalPlan>) -> Lineage {
        let mut text: String = plan
            .map(definitions)
            .unwrap_or_default()
            .into_values()
            .map(|definition| definition + DEFINITION_END)
            .collect();
        text.push_str(sql);
        Lineage {
            sql: text,
            datasets: plan
                .map(|plan| self.read_datasets(plan))
                .unwrap_or_default(),
            threshold: self.terms.threshold.max(1),
            dominance_permille: self.terms.dominance_permille,
            engine: engine(),
            policy: self.terms.policy,
        }
    }

    pub(crate) fn has_table(&self, name: &str) -> bool {
        self.tables.has(name)
    }

    pub(crate) fn memory_pool(&self) -> &Arc<dyn MemoryPool> {
        &self.state().runtime_env().memory_pool
    }

    pub(crate) fn optimize(&self, plan: &LogicalPlan) -> datafusion::common::Result<LogicalPlan> {
        let state = self.state();
        let config: &dyn OptimizerConfig = state;
        state.optimizer().optimize(plan.clone(), config, |_, _| {})
    }

    pub(crate) async fn execute(
        &self,
        plan: &LogicalPlan,
        joins: Joins,
    ) -> datafusion::common::Result<datafusion::execution::SendableRecordBatchStream> {
        let physical = self.physical(plan, joins).await?;
        self.run_plan(physical, self.states.get(joins)).await
    }

    pub(crate) async fn physical(
        &self,
        plan: &LogicalPlan,
        joins: Joins,
    ) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
        let state = self.states.get(joins);
        let physical: Arc<dyn ExecutionPlan> = state
            .query_planner()
            .create_physical_plan(plan, state)
            .await?;
        // A join can make a million rows of one batch: without this it would make them without a pause,
        // and could not be cancelled meanwhile.
        physical
            .transform_up(|node| {
                let node = metered(node)?;
                Ok(if node.name().ends_with("JoinExec") {
                    let pausing: Arc<dyn ExecutionPlan> = Arc::new(CooperativeExec::new(node));
                    Transformed::yes(pausing)
                } else {
                    Transformed::yes(node)
                })
            })
            .map(|transformed| transformed.data)
    }

    pub(crate) fn read_datasets(&self, plan: &LogicalPlan) -> Vec<(DatasetId, u32)> {
        let mut read: Vec<(DatasetId, u32)> = Vec::new();
        each_scan(plan, |granted| {
            let dataset = (granted.table.dataset.clone(), granted.table.version);
            if !read.contains(&dataset) {
                read.push(dataset);
            }
        });
        read.extend(
            read_by(plan)
                .iter()
                .flat_map(|table| table.datasets.clone()),
        );
        read.sort();
        read.dedup();
        read
    }

    /// The datasets whose tables are granted.
    pub fn datasets(&self) -> &[(DatasetId, u32)] {
        &self.datasets
    }
}

fn rows_total(plan: &LogicalPlan) -> u64 {
    let mut rows = Some(0_u64);
    each_scan(plan, |granted| {
        rows = rows.and_then(|rows| Some(rows.saturating_add(granted.table.rows?)));
    });
    let kept = read_by(plan);
    let kept = kept.iter().map(|table| rounded_rows(table.rows));
    rows.map_or(0, |rows| kept.fold(rows, u64::saturating_add))
}

fn each_scan(plan: &LogicalPlan, mut f: impl FnMut(&Granted)) {
    // The closure never fails, so neither does the walk.
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = datafusion::datasource::source_as_provider(&scan.source)
            && let Some(granted) = provider.downcast_ref::<Granted>()
        {
            f(granted);
        }
        Ok(TreeNodeRecursion::Continue)
    });
}
