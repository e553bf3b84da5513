//! Plain DataFusion over plain Parquet: what the benchmarks compare with. No policy, no encryption.
//!
//! `plain_sql FOLDER STATEMENT`: each `NAME.parquet` in the folder is a table.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "an example fails by panicking"
)]

use datafusion::prelude::{ParquetReadOptions, SessionContext};

fn main() {
    let mut args = std::env::args().skip(1);
    let (Some(folder), Some(statement)) = (args.next(), args.next()) else {
        panic!("plain_sql FOLDER STATEMENT");
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let context = SessionContext::new();
        for entry in std::fs::read_dir(folder).expect("the folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|e| e == "parquet") {
                let name = path
                    .file_stem()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned();
                let path = path.display().to_string();
                context
                    .register_parquet(&name, path, ParquetReadOptions::default())
                    .await
                    .expect("a table");
            }
        }
        context
            .sql(&statement)
            .await
            .expect("a plan")
            .show()
            .await
            .expect("a result");
    });
}
