//! What a recipient reads first, in both languages.

use kekkai_output::BodyKind;
use kekkai_types::Lang;

use crate::document::{File, Record};
use crate::subject::Subject;

pub(crate) fn english(record: &Record, files: &[File]) -> String {
    let Record {
        output,
        agreement,
        digest,
        ..
    } = record;
    let [first, second] = &record.reviewers;
    let profile = record.checks.profile;
    let version = record.checks.profile_version;
    let (what, about) = subject(&record.subject, Lang::En);
    format!(
        "# Release {output}\n\
         \n\
         This {what} left the visiting environment under agreement `{agreement}` after automatic\n\
         checks (profile `{profile}`, version {version}) and the approval of two reviewers\n\
         (`{first}`, `{second}`), neither of them its author.\n\
         \n\
         {about}\
         \n\
         Whoever holds this file may not use it to identify anybody, nor link it with other\n\
         data for that purpose.\n\
         \n\
         ## Verify\n\
         `kekkai release verify FILE` needs this file and the producer's public key.\n\
         It refuses the file when any byte of it was changed. The ledger's entry at `ledger_index`\n\
         names the release digest; anybody with a copy of the ledger can look it up.\n\
         \n\
         - output digest: `{digest}`\n\
         {digests}",
        digest = digest.0,
        digests = digests(files, Lang::En),
    )
}

pub(crate) fn japanese(record: &Record, files: &[File]) -> String {
    let Record {
        output,
        agreement,
        digest,
        ..
    } = record;
    let [first, second] = &record.reviewers;
    let profile = record.checks.profile;
    let version = record.checks.profile_version;
    let (what, about) = subject(&record.subject, Lang::Ja);
    format!(
        "# 持出し許可 {output}\n\
         \n\
         この{what}は、取決め `{agreement}` のもとで、自動検査(プロファイル `{profile}` 第{version}版)と\n\
         作成者以外の審査担当者2名(`{first}`、`{second}`)の承認を経て、ビジティング環境から\n\
         持ち出されたものです。\n\
         \n\
         {about}\
         \n\
         この成果物を用いて本人を識別すること、そのために他の情報と照合することは禁止されています。\n\
         \n\
         ## 検証\n\
         `kekkai release verify FILE` は、このファイルと事業者の公開鍵だけで検証します。\n\
         1バイトでも変更されていれば拒否します。監査台帳の `ledger_index` 番目の項目に、この持出しの\n\
         ダイジェストが記録されており、台帳の写しを持つ人は誰でも確かめられます。\n\
         \n\
         - 成果物のダイジェスト: `{digest}`\n\
         {digests}",
        digest = digest.0,
        digests = digests(files, Lang::Ja),
    )
}

/// What it is, and what its reader must know of it.
fn subject(subject: &Subject, lang: Lang) -> (&'static str, String) {
    const CSV_EN: &str = "Import its columns as text: a spreadsheet may take a name for a formula.";
    const CSV_JA: &str = "表計算ソフトでは、すべての列を文字列として取り込んでください(名前が式と解釈されることがあります)。";
    match (subject, lang) {
        (Subject::Table { lineage, .. }, Lang::En) => (
            "table",
            format!(
                "- `output.csv`: UTF-8, comma-separated. `*` marks a suppressed cell, nothing marks NULL.\n\
                 \x20 {CSV_EN}\n\
                 - Cells with fewer than {} contributors were suppressed by the engine that counted.\n",
                lineage.threshold
            ),
        ),
        (Subject::Table { lineage, .. }, Lang::Ja) => (
            "表",
            format!(
                "- `output.csv`: UTF-8、カンマ区切り。`*` は秘匿されたセル、空欄は NULL です。\n\
                 \x20 {CSV_JA}\n\
                 - 寄与者が{}名未満のセルは、集計を行ったエンジンが秘匿しました。\n",
                lineage.threshold
            ),
        ),
        (Subject::Program { kind, source }, Lang::En) => {
            let (what, form) = match kind {
                BodyKind::Table => (
                    "table",
                    format!("`output.csv`: UTF-8, comma-separated, nothing marks NULL. {CSV_EN}"),
                ),
                BodyKind::Figure => (
                    "figure",
                    "`output.svg`: the drawing. `output.json`: the numbers that it draws."
                        .to_owned(),
                ),
                BodyKind::Text => ("text", "`output.txt`: UTF-8.".to_owned()),
                BodyKind::Model => ("model", "`output.json`: its parameters.".to_owned()),
            };
            let about = format!(
                "- {form}\n\
                 - Computed by the program `{}` (SHA-256 `{}`). The engine counted what the program\n\
                 \x20 read, not the contributors to each number: people judged that.\n",
                source.program, source.digest
            );
            (what, about)
        }
        (Subject::Program { kind, source }, Lang::Ja) => {
            let (what, form) = match kind {
                BodyKind::Table => (
                    "表",
                    format!("`output.csv`: UTF-8、カンマ区切り、空欄は NULL です。{CSV_JA}"),
                ),
                BodyKind::Figure => (
                    "図",
                    "`output.svg`: 図。`output.json`: 図に描かれた数値。".to_owned(),
                ),
                BodyKind::Text => ("文章", "`output.txt`: UTF-8。".to_owned()),
                BodyKind::Model => ("モデル", "`output.json`: 推定されたパラメータ。".to_owned()),
            };
            let about = format!(
                "- {form}\n\
                 - プログラム `{}`(SHA-256 `{}`)が計算しました。エンジンが数えたのはプログラムが\n\
                 \x20 読んだ行と人数であり、各数値の寄与者数ではありません。その判断は人が行いました。\n",
                source.program, source.digest
            );
            (what, about)
        }
    }
}

fn digests(files: &[File], lang: Lang) -> String {
    files
        .iter()
        .map(|file| {
            let (name, digest) = (&file.name, file.sha256);
            match lang {
                Lang::En => format!("- {name}, SHA-256: `{digest}`\n"),
                Lang::Ja => format!("- {name} の SHA-256: `{digest}`\n"),
            }
        })
        .collect()
}
