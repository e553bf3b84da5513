//! What a recipient reads first, in both languages.

use crate::document::Record;

pub(crate) fn english(record: &Record) -> String {
    let Record {
        output,
        agreement,
        digest,
        csv_sha256,
        ..
    } = record;
    let [first, second] = &record.reviewers;
    let threshold = record.lineage.threshold;
    let profile = record.checks.profile;
    let version = record.checks.profile_version;
    format!(
        "# Release {output}\n\
         \n\
         This table left the visiting environment under agreement `{agreement}` after automatic\n\
         checks (profile `{profile}`, version {version}) and the approval of two reviewers\n\
         (`{first}`, `{second}`), neither of them its author.\n\
         \n\
         - `output.csv`: UTF-8, comma-separated. `*` marks a suppressed cell, nothing marks NULL.\n\
         \x20 Import its columns as text: a spreadsheet may take a name for a formula.\n\
         - Cells with fewer than {threshold} contributors were suppressed by the engine that counted.\n\
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
         - output.csv, SHA-256: `{csv_sha256}`\n",
        digest = digest.0,
    )
}

pub(crate) fn japanese(record: &Record) -> String {
    let Record {
        output,
        agreement,
        digest,
        csv_sha256,
        ..
    } = record;
    let [first, second] = &record.reviewers;
    let threshold = record.lineage.threshold;
    let profile = record.checks.profile;
    let version = record.checks.profile_version;
    format!(
        "# 持出し許可 {output}\n\
         \n\
         この表は、取決め `{agreement}` のもとで、自動検査(プロファイル `{profile}` 第{version}版)と\n\
         作成者以外の審査担当者2名(`{first}`、`{second}`)の承認を経て、ビジティング環境から\n\
         持ち出されたものです。\n\
         \n\
         - `output.csv`: UTF-8、カンマ区切り。`*` は秘匿されたセル、空欄は NULL です。\n\
         \x20 表計算ソフトでは、すべての列を文字列として取り込んでください(名前が式と解釈されることがあります)。\n\
         - 寄与者が{threshold}名未満のセルは、集計を行ったエンジンが秘匿しました。\n\
         \n\
         この成果物を用いて本人を識別すること、そのために他の情報と照合することは禁止されています。\n\
         \n\
         ## 検証\n\
         `kekkai release verify FILE` は、このファイルと事業者の公開鍵だけで検証します。\n\
         1バイトでも変更されていれば拒否します。監査台帳の `ledger_index` 番目の項目に、この持出しの\n\
         ダイジェストが記録されており、台帳の写しを持つ人は誰でも確かめられます。\n\
         \n\
         - 成果物のダイジェスト: `{digest}`\n\
         - output.csv の SHA-256: `{csv_sha256}`\n",
        digest = digest.0,
    )
}
