//! Codes with which services refuse, and what a researcher reads for each.

/// What happened, and what to do next.
type Pair = (&'static str, &'static str);

/// The session is over; the detail is the reason's code.
pub(crate) const SESSION_ENDED: &str = "session-ended";

/// Codes that are neither an `EndReason` nor a `SignInRefusal`: the code, Japanese, English.
#[rustfmt::skip]
pub(crate) const CODES: &[(&str, Pair, Pair)] = &[
    (
        "not-found",
        ("見つかりません。", "名前や番号を確かめてください。jobs、outputs、schema で一覧が見られます。"),
        ("There is no such thing.", "check the name or number; jobs, outputs and schema list what there is."),
    ),
    (
        "internal",
        ("システム内部の誤りです。記録されました。", "運用担当者に日時を伝えてください。"),
        ("This is an error of ours; it was recorded.", "tell the operator the time."),
    ),
    (
        "ledger-unavailable",
        ("監査台帳に記録できないため、実行しませんでした。", "運用担当者に知らせてください。記録できるまで操作はできません。"),
        ("It was not done: the ledger can't be written.", "tell the operator; nothing works until it can be recorded."),
    ),
    (
        "state-unavailable",
        ("ポリシーサービスの状態を読めないため、実行しませんでした。", "運用担当者に知らせてください。"),
        ("It was not done: the policy service can't read its state.", "tell the operator."),
    ),
    (
        "caller-not-allowed",
        ("この要求は許可されていません。", "運用担当者に知らせてください。"),
        ("This request is not allowed.", "tell the operator."),
    ),
    (
        "event-not-allowed",
        ("サービス間の記録に食い違いがあるため、実行しませんでした。", "運用担当者に日時を伝えてください。"),
        ("It was not done: two services disagree about what is going on.", "tell the operator the time."),
    ),
    (
        "request-too-large",
        ("要求が大きすぎます。", "文や題名を短くしてください。"),
        ("The request is too large.", "shorten the statement or the text."),
    ),
    (
        "entry-too-large",
        ("記録するには長すぎるため、実行しませんでした。", "文や題名を短くしてください。"),
        ("It was not done: it is too long to be recorded.", "shorten the statement or the text."),
    ),
    (
        "request-malformed",
        ("要求を解釈できませんでした。", "入力を確かめてください。続くときは運用担当者に知らせてください。"),
        ("The request could not be understood.", "check the input; tell the operator if it goes on."),
    ),
    (
        SESSION_ENDED,
        ("セッションは終了しています。", "もう一度サインインしてください。"),
        ("The session is over.", "sign in again."),
    ),
    (
        "session-not-ready",
        ("セッションの準備がまだ終わっていません。", "少し待ってから、やり直してください。"),
        ("The session is not ready yet.", "wait a moment and try again."),
    ),
    (
        "already-launched",
        ("このセッションは、すでに開始されています。", "もう一度サインインしてください。"),
        ("This session was launched before.", "sign in again."),
    ),
    (
        "keys-already-released",
        ("このセッションの鍵は、すでに渡されています。", "もう一度サインインしてください。"),
        ("This session's keys were released before.", "sign in again."),
    ),
    (
        "too-many-sessions",
        ("同時に利用できるセッションの上限に達しています。", "しばらくしてからやり直してください。使っていないセッションは終了してください。"),
        ("Too many sessions run at once.", "end those that you don't use, or try again later."),
    ),
    (
        "sign-in-needed",
        ("デスクトップを開くには、本人確認が必要です。", "もう一度サインインしてください。サインインは2分以内に1回だけ使えます。"),
        ("Opening a desktop needs a sign-in of its own.", "sign in again; each sign-in opens one desktop, within 2 minutes."),
    ),
    (
        "too-many-challenges",
        ("構成証明の要求が集中しています。", "しばらくしてからやり直してください。"),
        ("Too many attestations are under way.", "try again later."),
    ),
    (
        "nonce-not-valid",
        ("構成証明の確認が時間内に終わりませんでした。", "もう一度サインインしてください。"),
        ("The attestation took too long.", "sign in again."),
    ),
    (
        "server-not-enrolled",
        ("解析サーバーが登録されていません。", "運用担当者に知らせてください。データの鍵は渡されていません。"),
        ("The analysis server is not enrolled.", "tell the operator; no data key was released to it."),
    ),
    (
        "another-server",
        ("指定と異なる解析サーバーが応答しました。", "運用担当者に知らせてください。設定の [peers] を確かめます。"),
        ("Another analysis server answered than was meant.", "tell the operator, who looks at [peers] in the configuration."),
    ),
    (
        "part-is-the-session",
        ("解析サーバーが、自分自身をセッションの分担先にしようとしました。", "運用担当者に知らせてください。設定の [peers] を確かめます。"),
        ("An analysis server named itself for a part of its own session.", "tell the operator, who looks at [peers] in the configuration."),
    ),
    (
        "too-many-parts",
        ("セッションを分担する解析サーバーが多すぎます。", "運用担当者に知らせてください。設定の [peers] を減らします。"),
        ("A session has too many parts on other analysis servers.", "tell the operator, who names fewer in [peers] of the configuration."),
    ),
    (
        "tpm-unavailable",
        ("解析サーバーのTPMが応答しないため、セッションを開始できません。", "運用担当者に知らせてください。"),
        ("No session can start: the analysis server's TPM does not answer.", "tell the operator."),
    ),
    (
        "jail-unavailable",
        ("解析サーバーで隔離された実行環境を用意できないため、セッションを開始できません。", "運用担当者に知らせてください。"),
        ("No session can start: the analysis server can't set up its jail.", "tell the operator."),
    ),
    (
        "too-many-waiting",
        ("順番を待っている文が多すぎます。", "しばらくしてからもう一度実行してください。"),
        ("Too many statements wait for their turn on this server.", "run it again in a while."),
    ),
    (
        "rows-minute-used",
        ("この1分間に表示できる行数の上限に達しました。", "示された秒数だけ待つか、WHERE で必要な行に絞ってください。"),
        ("The rows that may be shown in this minute are used up.", "wait for the seconds given, or narrow the statement with WHERE."),
    ),
    (
        "rows-day-used",
        ("本日表示できる行数の上限に達しました。", "日本時間の0時以降に再開できます。集計はこれまでどおり行えます。"),
        ("The rows that may be shown today are used up.", "more can be shown after midnight in Japan; statistics go on as before."),
    ),
    (
        "use-suspended",
        ("通常と大きく異なる量の利用を検知したため、この取決めでの利用を停止しました。記録されました。", "運用担当者に連絡してください。確認のうえ再開できます。"),
        ("Use far beyond the usual was detected: your use under this agreement is suspended. It was recorded.", "contact the operator, who can lift it."),
    ),
    (
        "spill-unavailable",
        ("解析サーバーで途中結果を置くディスクを使えないため、セッションを開始できません。", "運用担当者に知らせてください。"),
        ("No session can start: the analysis server has no disk for intermediate results.", "tell the operator."),
    ),
    (
        "terms-not-grantable",
        ("取決めの条件どおりにデータを提供できません。", "研究開発責任者を通じて運用担当者に知らせてください。"),
        ("The agreement's terms can't be granted as they stand.", "tell the operator, by way of your principal investigator."),
    ),
    (
        "data-unavailable",
        ("データセットのファイルを開けません。", "運用担当者に知らせてください。"),
        ("The dataset's files can't be opened.", "tell the operator."),
    ),
    (
        "sql-too-long",
        ("文が長すぎます。", "文を短くするか、分けてください。"),
        ("The statement is too long.", "shorten it or split it."),
    ),
    (
        "too-many-active-jobs",
        ("同時に実行できるジョブの上限に達しています。", "jobs で確かめ、終わるのを待つか、jobs cancel N で取り消してください。"),
        ("Too many jobs are running.", "see jobs; wait for one, or stop one with jobs cancel N."),
    ),
    (
        "too-many-jobs",
        ("1つのセッションで実行できるジョブの上限に達しました。", "exit で終了し、もう一度サインインしてください。"),
        ("This session has run as many jobs as it may.", "exit and sign in again."),
    ),
    (
        "job-has-no-result",
        ("このジョブには結果がありません。", "jobs で状態を確かめ、完了したジョブの番号を指定してください。"),
        ("This job has no result.", "see jobs, and name one that is done."),
    ),
    (
        "result-forgotten",
        ("このジョブの結果は、もう保持されていません。", "同じ文を sql でもう一度実行してください。"),
        ("This job's result is no longer kept.", "run the statement again with sql."),
    ),
    (
        "too-many-outputs",
        ("同じ結果から申請できる成果物の上限に達しています。", "outputs で、すでに申請したものを確かめてください。"),
        ("This result was submitted as often as it may be.", "see outputs for what was submitted."),
    ),
    (
        "output-exists",
        ("同じ識別子の成果物が、別の内容ですでにあります。", "もう一度 submit してください。続くときは運用担当者に知らせてください。"),
        ("Another output has this id already.", "submit again; tell the operator if it goes on."),
    ),
    (
        "queue-full",
        ("審査待ちの成果物が上限に達しています。", "審査が進んでから、もう一度申請してください。"),
        ("The review queue is full.", "submit again when reviewers have caught up."),
    ),
    (
        "author-queue-full",
        ("あなたの審査待ちの成果物が上限に達しています。", "審査が終わってから、もう一度申請してください。"),
        ("Too many outputs of yours wait for review.", "submit again when one of them has been decided."),
    ),
    (
        "text-length",
        ("題名または目的の長さが範囲外です。", "題名は1～200文字、目的は2,000文字までにしてください。"),
        ("The title or purpose has the wrong length.", "give a title of 1 to 200 characters and a purpose of at most 2,000."),
    ),
    (
        "title-length",
        ("題名の長さが範囲外です。", "題名は1～200文字にしてください。"),
        ("The title has the wrong length.", "give a title of 1 to 200 characters."),
    ),
    (
        "purpose-length",
        ("目的が長すぎます。", "目的は2,000文字までにしてください。"),
        ("The purpose is too long.", "shorten it to at most 2,000 characters."),
    ),
    (
        "control-characters",
        ("題名、目的または方法に制御文字が含まれています。", "制御文字を除いて、もう一度申請してください。"),
        ("The title, purpose or method has control characters.", "submit again without them."),
    ),
    (
        "method-length",
        ("方法が長すぎます。", "方法は2,000文字までにしてください。"),
        ("The method is too long.", "shorten it to at most 2,000 characters."),
    ),
    (
        "replaces-not-returned",
        ("差し替えの対象にできない成果物です。", "outputs で確かめてください。対象は、自分の成果物のうち、差戻し・却下・検査で不可となり、まだ差し替えていないものです。"),
        ("That output can't be replaced.", "see outputs; it must be your own, have come back or failed the checks, and not be replaced yet."),
    ),
    (
        "table-columns",
        ("結果の列数が、申請できる範囲を超えています。", "SELECT の列を減らして集計し直してください。"),
        ("The result has more columns than an output may have.", "select fewer columns and run it again."),
    ),
    (
        "profile-unknown",
        ("取決めの開示制御プロファイルが、審査サービスにありません。", "運用担当者に知らせてください。"),
        ("The review service doesn't have the agreement's disclosure profile.", "tell the operator."),
    ),
    (
        "table-shape",
        ("結果の形が正しくないため、申請できません。", "運用担当者に日時とジョブ番号を伝えてください。"),
        ("The result's shape is wrong and can't be submitted.", "tell the operator the time and the job's number."),
    ),
    (
        "programs-not-agreed",
        ("この取決めでは、プログラムを実行できません。", "必要な場合は、研究開発責任者から提供者へ、取決めへの [programs] の追加を依頼してください。"),
        ("The agreement lets no program run.", "if you need one, your principal investigator asks the producer to add [programs] to the agreement."),
    ),
    (
        "programs-unavailable",
        ("この解析サーバーでは、プログラムを実行する準備ができていません。", "運用担当者に知らせてください。"),
        ("This analysis server is not set up to run programs.", "tell the operator."),
    ),
    (
        "python-not-agreed",
        ("この取決めでは、Python スクリプトを実行できません。", "必要な場合は、研究開発責任者から提供者へ、取決めの [programs] python の変更を依頼してください。"),
        ("The agreement lets no Python script run.", "if you need one, your principal investigator asks the producer to amend [programs] python of the agreement."),
    ),
    (
        "tool-not-agreed",
        ("取決めにないツールです。", "tools で使えるツールを確かめてください。必要な場合は、研究開発責任者から提供者へ、取決めの own_tools への追加を依頼してください。"),
        ("The agreement names no such tool.", "see tools; if you need another, your principal investigator asks the producer to add it to the agreement's own_tools."),
    ),
    (
        "tool-unknown",
        ("このツールは、まだ審査を経て受け入れられていません。", "tools で使えるツールを確かめてください。持込みはツールの申請 (kekkai tool submit) によります。"),
        ("This tool was not admitted by review, or not yet.", "see tools for those that were; kekkai tool submit, outside, brings one in."),
    ),
    (
        "tool-changed",
        ("ツールの内容が審査を経たものと違うため、実行しませんでした。記録されました。", "運用担当者に知らせてください。"),
        ("The tool is not the one that was admitted, and was not run; this was recorded.", "tell the operator."),
    ),
    (
        "script-unknown",
        ("その名前のスクリプトは保存されていません。", "script list で名前を確かめるか、script save で保存してください。"),
        ("No script of that name is kept.", "see script list, or keep it with script save."),
    ),
    (
        "script-name",
        ("スクリプトの名前として使えません。", "英数字で始まる、英数字と . _ - で64文字までの名前にしてください。"),
        ("That is no name for a script.", "use at most 64 letters, digits, . _ -, beginning with a letter or digit."),
    ),
    (
        "script-too-long",
        ("スクリプトが長すぎます。", "短くするか、繰り返し使う部分をツールとして申請してください。"),
        ("The script is too long.", "shorten it, or bring what you use again and again in as a tool."),
    ),
    (
        "too-many-scripts",
        ("保存できるスクリプトの数の上限に達しています。", "script list で確かめ、使わないものを script remove で消してください。"),
        ("As many scripts are kept as may be.", "see script list, and remove those that you don't use."),
    ),
    (
        "scripts-unavailable",
        ("スクリプトの保存領域を使えません。", "運用担当者に知らせてください。run python - なら、保存せずに実行できます。"),
        ("The place where scripts are kept can't be used.", "tell the operator; run python - runs one without keeping it."),
    ),
    (
        "scripts-unreadable",
        ("保存したスクリプトを開けません。", "運用担当者に知らせてください。run python - なら、保存せずに実行できます。"),
        ("The scripts that are kept can't be opened.", "tell the operator; run python - runs one without keeping it."),
    ),
    (
        "notebook-unknown",
        ("その名前のノートブックは保存されていません。", "ノートブックの一覧で名前を確かめてください。"),
        ("No notebook of that name is kept.", "see the list of notebooks."),
    ),
    (
        "notebook-name",
        ("ノートブックの名前として使えません。", "前後に空白のない、64文字までの名前にしてください。"),
        ("That is no name for a notebook.", "use at most 64 characters, without space at either end."),
    ),
    (
        "notebook-too-long",
        ("ノートブックが大きすぎます。", "複数のノートブックに分けてください。"),
        ("The notebook is too large.", "split it into several."),
    ),
    (
        "notebooks-full",
        ("ノートブックの保存量の上限に達しているため、保存しませんでした。", "使わないノートブックを削除してください。上限は取決めの notebooks_kib_max です。"),
        ("The notebook was not kept: there is no room for more.", "remove those that you don't use; the bound is the agreement's notebooks_kib_max."),
    ),
    (
        "notebooks-unreadable",
        ("保存したノートブックを開けません。", "運用担当者に知らせてください。"),
        ("The notebooks that are kept can't be opened.", "tell the operator."),
    ),
    (
        "notebooks-unavailable",
        ("ノートブックの保存領域を使えません。", "運用担当者に知らせてください。"),
        ("The place where notebooks are kept can't be used.", "tell the operator."),
    ),
    (
        "rows-need-display",
        ("この端末では、個票を表示できません。", "示された区分の端末 (browser: ブラウザー、vdi: 専用クライアント、onsite: オンサイト端末) でサインインしてください。統計は、この端末でも見られます。"),
        ("Rows of single persons can't be shown at this terminal.", "sign in at a terminal of the class that is named (browser, vdi: the native client, onsite: an on-site terminal); statistics can be seen here."),
    ),
    (
        "typed-too-much",
        ("このセッションで入力できる文字数の上限を超えるため、受け付けませんでした。", "短く分けて入力してください。上限は取決めの typed_chars_max です。大きなプログラムやデータは、審査を経て持ち込めます。"),
        ("It was not let in: it is more than may still be typed in this session.", "type less; the bound is the agreement's typed_chars_max. Large programs and data come in through review."),
    ),
    (
        "recording-unavailable",
        ("画面を記録できないため、デスクトップを開始できません。", "運用担当者に知らせてください。"),
        ("No desktop can start: its screen can't be recorded.", "tell the operator."),
    ),
    (
        "desktop-unavailable",
        ("この解析サーバーでは、デスクトップを利用できません。", "運用担当者に知らせてください。ssh のテキストコンソールは利用できます。"),
        ("This analysis server has no desktops.", "tell the operator; the text console over ssh can be used."),
    ),
    (
        "no-desktop",
        ("このセッションには、デスクトップの画面がありません。", "デスクトップとして、もう一度サインインしてください。"),
        ("This session has no desktop.", "sign in again for a desktop."),
    ),
    (
        "screen-size",
        ("画面の大きさが、扱える範囲にありません。", "320 x 320 から 2560 x 1600 画素までの大きさにしてください。"),
        ("The screen has a size that can't be shown.", "use 320 x 320 to 2560 x 1600 pixels."),
    ),
    (
        "too-many-watchers",
        ("このセッションを見ている担当者の数が上限に達しています。", "ほかの担当者が見終わってから、やり直してください。"),
        ("As many staff watch this session as may.", "try again when one of them has stopped."),
    ),
    (
        "arguments",
        ("引数が多すぎるか、長すぎます。", "引数を減らすか、短くしてください。"),
        ("There are too many arguments, or one is too long.", "give fewer or shorter ones."),
    ),
    (
        "output-too-large",
        ("成果物が大きすぎます。", "集計を粗くするか、成果物を分けてください。"),
        ("The output is too large.", "use coarser groups, or several outputs."),
    ),
    (
        "output-kind",
        ("取決めは、この種類の成果物の持出しを認めていません。", "取決めの [outputs] final にある種類 (表・図・モデル) で申請してください。文章は表として扱われます。"),
        ("The agreement doesn't let outputs of this kind out.", "submit a kind that [outputs] final of the agreement names; words count as a table."),
    ),
    (
        "output-shape",
        ("成果物の形が正しくないため、申請できません。", "列や系列の長さと、値が有限であることを確かめてください。"),
        ("The output's shape is wrong and can't be submitted.", "check that columns and series fit together and that numbers are finite."),
    ),
];

/// Codes whose detail is for the operator's log: it speaks of the inside of a service.
pub(crate) const DETAIL_KEPT: &[&str] = &[
    "internal",
    "state-unavailable",
    "ledger-unavailable",
    "caller-not-allowed",
    "event-not-allowed",
    "tpm-unavailable",
    "jail-unavailable",
    "spill-unavailable",
    "data-unavailable",
    "nonce-not-valid",
    "request-malformed",
    "table-shape",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use kekkai_policy_api::EndReason;

    use super::*;

    /// Codes of the administration command, which no researcher meets.
    const ADMINISTRATION: &[&str] = &[
        "agreement-malformed",
        "catalog-malformed",
        "dataset-id-in-use",
        "dataset-version-exists",
        "enrolment-not-begun",
        "enrolment-refused",
        "extract-id-in-use",
        "extract-key-for-servers-only",
        "extract-not-as-agreed",
        "extract-of-another-dataset",
        "extract-version-exists",
        "last-operator",
        "name-not-allowed",
        "no-key-for-a-server",
        "reason-not-allowed",
        "reference-not-valid",
        "same-reviewer-twice",
        "server-not-expected",
        "ssh-key-malformed",
        "terminal-has-no-key",
        "terminal-key-in-use",
        "terminal-revoked",
        "too-many-references",
        "wrapped-key-malformed",
    ];

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for item in fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs")
                && !path.to_string_lossy().contains("test")
            {
                found.push(path);
            }
        }
    }

    #[test]
    fn every_code_that_a_service_refuses_with_is_explained() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut files = Vec::new();
        for crate_of in [
            "policy/policyd/src",
            "policy/service/src",
            "sandbox/analysis/src",
            "output-review/review/src",
            "gateway/gateway/src",
        ] {
            sources(&root.join(crate_of), &mut files);
        }
        let mut missing = BTreeSet::new();
        let mut seen = 0;
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            // What follows in a file is its tests, whose codes are made up.
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            for call in text.split("Refusal::new(").skip(1) {
                let Some(rest) = call.trim_start().strip_prefix('"') else {
                    continue;
                };
                let code = rest.split('"').next().unwrap_or_default();
                seen += 1;
                let is_known = CODES.iter().any(|(known, _, _)| *known == code)
                    || serde_reason(code).is_some()
                    || ADMINISTRATION.contains(&code);
                if !is_known {
                    missing.insert(code.to_owned());
                }
            }
        }
        assert!(
            seen > 20,
            "only {seen} refusals were found: has the code moved?"
        );
        assert_eq!(missing, BTreeSet::new(), "codes without a text for people");
    }

    fn serde_reason(code: &str) -> Option<EndReason> {
        crate::reasons::parsed(code)
    }

    #[test]
    fn codes_are_there_once() {
        let codes: BTreeSet<&str> = CODES.iter().map(|(code, _, _)| *code).collect();
        assert_eq!(codes.len(), CODES.len());
        assert!(DETAIL_KEPT.iter().all(|code| codes.contains(code)));
    }
}
