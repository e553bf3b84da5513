//! Bad input through the real command and daemons: a clear error each, no value of anybody's in it, and
//! nothing half done (issue 2, Shows 12).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod moved;
mod run;
mod sources;
mod texts;

use tempfile::TempDir;

use sources::Scene;

#[test]
fn malformed_texts_are_refused_with_line_column_and_what_was_expected() {
    let dir = TempDir::with_prefix("kekkai-e2e-").unwrap();
    texts::configurations(dir.path());
    texts::agreements(dir.path());
    let scene = Scene::new(dir.path().join("scene"), "csv");
    let good = std::fs::read_to_string(scene.manifest()).unwrap();
    texts::manifests(dir.path(), &good, |manifest| scene.ingest(manifest, "en"));
}

#[test]
fn bad_data_is_refused_without_its_values_and_leaves_nothing() {
    let dir = TempDir::with_prefix("kekkai-e2e-").unwrap();
    let scene = Scene::new(dir.path().join("csv"), "csv");
    sources::identifiers(&scene);
    sources::rows_and_cells(&scene);
    scene.accepts();
    sources::encodings(&Scene::new(dir.path().join("cp932"), "csv-cp932"));
    sources::parquet(&Scene::new(dir.path().join("parquet"), "parquet"));
}

#[tokio::test(flavor = "multi_thread")]
async fn moved_or_foreign_files_are_never_read_and_bad_input_is_never_registered() {
    moved::nothing_moved_is_read_and_nothing_bad_is_registered().await;
}
