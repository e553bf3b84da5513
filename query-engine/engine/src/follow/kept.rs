//! The scan of a temporary table: its persons are those that its statement's rows were about.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, TableScan};
use kekkai_analysis_api::SqlErrorCode;

use super::{Checked, Follow, Followed, Key, Person};
use crate::temporary::Kept;
use crate::text::refuse;

impl Follow<'_> {
    pub(super) fn kept(&mut self, scan: &TableScan, kept: &Kept) -> Checked<Followed> {
        if !scan.filters.is_empty() || scan.fetch.is_some() || scan.projection.is_some() {
            return Err(refuse(SqlErrorCode::Internal, "", None));
        }
        let qualified = |name: &str| Column::new(Some(scan.table_name.clone()), name);
        let hidden: Vec<String> = kept
            .table
            .persons
            .iter()
            .map(|_| self.next_hidden())
            .collect();
        let persons = kept
            .table
            .persons
            .iter()
            .zip(&hidden)
            .map(|(held, hidden)| Person {
                id: qualified(hidden),
                dataset: held.dataset.clone(),
                keys: held
                    .keys
                    .iter()
                    .filter_map(|(at, exact)| {
                        let field = kept.table.schema.fields().get(*at)?;
                        Some(Key {
                            column: qualified(field.name()),
                            exact: *exact,
                        })
                    })
                    .collect(),
                outer: Vec::new(),
            })
            .collect();
        let plan = if self.carrying {
            let source = provider_as_source(Arc::new(kept.with_persons(&hidden)));
            LogicalPlanBuilder::scan(scan.table_name.clone(), source, None)
                .and_then(LogicalPlanBuilder::build)
                .map_err(|e| self.bug(e))?
        } else {
            LogicalPlan::TableScan(scan.clone())
        };
        Ok(Followed { plan, persons })
    }
}
