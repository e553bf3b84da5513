//! Every text of the pages, in both languages.

use kekkai_checks::Verdict;
use kekkai_policy_api::EndReason;
use kekkai_review_api::{OutputState, ToolState};
use kekkai_types::Lang;

/// A text in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct T {
    pub(super) ja: &'static str,
    pub(super) en: &'static str,
}

impl T {
    pub(super) fn get(self, lang: Lang) -> &'static str {
        lang.pick(self.ja, self.en)
    }
}

macro_rules! texts {
    ($($name:ident: $ja:literal, $en:literal;)*) => {
        $(pub(super) const $name: T = T { ja: $ja, en: $en };)*
        /// Every text, for the test of completeness.
        #[cfg(test)]
        pub(super) const ALL: &[(&str, T)] = &[$((stringify!($name), $name)),*];
    };
}

texts! {
    PRODUCT: "結界 成果物審査", "Kekkai output review";
    DEMO: "デモ環境です。認証器とTPMは模擬であり、保護の効力はありません。", "Demo deployment: authenticators and TPM are emulated and protect nothing.";
    SKIP: "本文へ移動", "Skip to content";
    NAV_QUEUE: "審査待ち一覧", "Review queue";
    NAV_RELEASES: "持出し一覧", "Releases";
    SIGNED_IN: "利用者", "Signed in as";

    QUEUE_TITLE: "審査待ち一覧", "Review queue";
    QUEUE_LEAD: "成果物は、作成者以外の審査担当者2名が承認したものだけが持ち出されます。2名の投票がそろうまで、他の人の投票は見えません。", "Only what two reviewers other than the author approve leaves. Nobody sees another's vote until both have voted.";
    QUEUE_WAITING: "あなたの投票を待つもの", "Waiting for your vote";
    QUEUE_VOTED: "投票済み(もう1名を待っています)", "You have voted (waiting for another reviewer)";
    QUEUE_DECIDED: "最近決まったもの", "Recently decided";
    QUEUE_OWN: "あなたが作成したもの", "Your own outputs";
    NONE: "ありません。", "None.";
    ALTERED_ROWS: "保存データが書き換えられた成果物があります。審査できません。システム管理者に連絡してください:", "The stored data of these outputs was changed. They can't be reviewed. Tell the administrators:";

    COL_TITLE: "表題", "Title";
    COL_AUTHOR: "作成者", "Author";
    COL_AGREEMENT: "取決め", "Agreement";
    COL_SUBMITTED: "申請日時", "Submitted";
    COL_STATE: "状態", "State";
    COL_CHECKS: "自動検査", "Checks";
    COL_BUNDLE: "持出しファイル", "Bundle";

    PURPOSE: "目的", "Purpose";
    HOW_MADE: "作成方法", "How it was made";
    REPLACES: "差し替え前の成果物", "In place of";
    REPLACED_BY: "差し替え後の成果物", "Replaced by";
    OUTPUT_ID: "成果物ID", "Output";
    DIGEST: "ダイジェスト", "Digest";
    ROUND: "審査の回", "Round";
    PROFILE: "検査プロファイル", "Profile";
    FINDINGS: "自動検査の結果", "Findings";
    NO_FINDINGS: "指摘はありません。", "The checks found nothing.";
    TABLE: "持ち出される表", "The table as it will leave";
    TABLE_LEAD: "* は秘匿されたセルです。行番号と寄与者数は持ち出されません。", "* marks a suppressed cell. Row numbers and contributor counts don't leave.";
    SHOW_COUNTS: "寄与者数を表示", "Show contributors";
    HIDE_COUNTS: "寄与者数を隠す", "Hide contributors";
    COUNTS_LEGEND: "n: 寄与者数、1st/2nd: 最大・2番目の寄与者の割合、0×: 値が0だけの寄与者数、−: 群のうち値のない人数", "n: contributors; 1st, 2nd: shares of the two largest; 0×: contributors of zeros only; −: persons of the group without a value";
    WITHHELD: "名前ごと秘匿された群の数", "Groups withheld, names included";
    SUPPRESSED_THRESHOLD: "寄与者が少ないため秘匿", "suppressed: too few contributors";
    SUPPRESSED_DOMINANCE: "少数の寄与者が大半を占めるため秘匿", "suppressed: one or two persons dominate";
    PAGE: "ページ", "Page";
    PREVIOUS: "前へ", "Previous";
    NEXT: "次へ", "Next";
    TABLE_OF_PROGRAM: "持ち出される表(プログラムの出力)", "The table as it will leave (a program's)";
    FIGURE: "持ち出される図", "The figure as it will leave";
    FIGURE_LEAD: "図は、下の数値から結界が描いたものです。図と数値の両方が持ち出されます。", "Kekkai drew it from the numbers below. The drawing and the numbers leave.";
    FIGURE_NUMBERS: "図の数値", "The figure's numbers";
    TEXT_BODY: "持ち出される文章", "The text as it will leave";
    MODEL: "持ち出されるモデル", "The model as it will leave";
    METHOD: "手法", "Method";
    OBSERVATIONS: "観測数(プログラムの申告)", "Observations, as the program says";
    UNCOUNTED: "この成果物の値は、プログラム以外の誰も数えていません。セルごとの寄与者数の根拠はありません。プログラムの文と、読み取った行を確かめて判断してください。", "Counted by nobody but the program: no value here has evidence of its contributors. Judge by the program's text and by what it read.";
    ROW_NUMBERS_STAY: "行番号は持ち出されません。", "Row numbers don't leave.";
    PROGRAM: "プログラム", "Program";
    PROGRAM_DIGEST: "プログラムのダイジェスト", "The program's digest";
    ARGUMENTS: "引数", "Arguments";
    SOURCE: "プログラムの文", "The program's text";
    SOURCE_OF_TOOL: "審査を経て持ち込まれたツールです。内容は持込みの審査記録にあります。", "A tool that was brought in through review: see the record of that review.";
    READS: "プログラムが読み取ったもの", "What the program read";
    READS_LEAD: "行数と人数はエンジンが数えました。文と件数は持ち出されません。", "Rows and persons are the engine's counts. Statements and counts don't leave.";
    NO_READS: "このプログラムは、何も読み取らずにこの値を出しました。", "The program read nothing before it gave this.";
    PERSONS: "人数", "Persons";
    ROWS_UNKNOWN: "途中で打ち切り", "cut short";
    PERSONS_UNKNOWN: "数えられません", "can't be counted";
    TERMS: "適用された条件のダイジェスト", "Digest of the terms";
    ROWS: "行", "rows";
    COLUMNS: "列", "columns";
    LINEAGE: "由来", "Where it comes from";
    SQL: "SQL文", "Statement";
    DATASETS: "データセット", "Datasets";
    ENGINE: "集計エンジン", "Engine";
    THRESHOLD: "エンジンの最小寄与者数", "The engine's threshold";
    SERVER: "分析サーバー", "Analysis server";
    SESSION: "セッション", "Session";
    SEVERITY: "判定", "Verdict";
    RULE: "規則", "Rule";
    PLACE: "場所", "Place";
    DETAIL: "内容", "What was found";

    VOTE: "投票", "Vote";
    VOTE_LEAD: "表示されている表とその根拠(上のダイジェスト)への投票です。取り消しや変更はできません。", "You vote on the table shown and its evidence, as named by the digest above. A vote can't be changed or taken back.";
    ACCEPT: "承認する", "Accept";
    REFUSE: "却下する", "Refuse";
    ACCEPTED: "承認", "accepted";
    REFUSED: "却下", "refused";
    TO_VOTE: "投票欄へ", "Go to the vote";
    ACCEPT_HINT: "この表に、個人を識別できる内容はない", "nothing in this table identifies an individual";
    REFUSE_HINT: "理由をコメントに書いてください", "say why in the comment";
    COMMENT: "コメント", "Comment";
    COMMENT_HINT: "却下には必須です。2名の投票がそろった後、作成者に伝えられます。", "Needed for a refusal. The author reads it once both have voted.";
    SEND: "投票する", "Send the vote";
    YOUR_VOTE: "あなたの投票", "Your vote";
    VOTED_NOTE: "投票を受け付けました。もう1名の投票がそろうまで、結果は決まりません。", "Your vote is in. Nothing is decided until another reviewer has voted.";
    CONCLUDING_NOTE: "2名の投票がそろいました。監査台帳への記録を待っています。", "Both votes are in; the ledger's entry is awaited.";
    OWN_NOTE: "あなたが作成した成果物です。自分の成果物には投票できません。", "This output is yours: you can't vote on it.";
    DECIDED_NOTE: "この成果物の審査は終わりました。", "The review of this output is over.";
    VOTES: "投票の結果", "Votes";
    REVIEWER: "審査担当者", "Reviewer";
    VOTED_AT: "日時", "When";

    RELEASES_TITLE: "持出し一覧", "Releases";
    RELEASES_LEAD: "許可された成果物を、署名付きのファイルとして受け取れます。受取りは監査台帳に記録されます。", "What was approved can be fetched as a signed file. Each fetch is recorded in the ledger.";
    FETCH: "受け取る", "Fetch";
    VERIFY_HINT: "受け取ったファイルは kekkai release verify で検証できます。", "Verify the file with: kekkai release verify";
    COMMENTS: "審査担当者のコメント", "Reviewers' comments";

    TOOLS_WAITING: "持込みを待つツール", "Tools that wait to be let in";
    TOOLS_DECIDED: "持込みが決まったツール", "Tools that were decided on";
    COL_TOOL: "ツール", "Tool";
    COL_SIGNER: "署名した鍵", "Signed by";
    COL_SIZE: "大きさ(バイト)", "Size (bytes)";
    TOOL_DESCRIPTION: "説明", "What it does";
    TOOL_VERSION: "版", "Version";
    TOOL_TERMINAL: "署名した端末", "Signer's terminal";
    TOOL_BY: "申請を受け付けた担当者", "Handed on by";
    TOOL_DIGEST: "コンポーネントのダイジェスト", "The component's digest";
    TOOL_REQUEST: "申請のダイジェスト", "The request's digest";
    TOOL_IMPORTS: "使用するインターフェース", "What it imports";
    TOOL_IMPORTS_LEAD: "許可された一覧にあるものだけです。ファイル、ネットワーク、環境変数には到達できません。", "All are on the allow-list: none reaches files, networks or the environment.";
    TOOL_SBOM: "部品表(SBOM)", "Bill of materials";
    TOOL_SBOM_LEAD: "作成者が署名した部品の一覧です。漏れがないかは自動では確かめられません。", "As its author signed it. Whether it is complete nobody can compute.";
    TOOL_SBOM_EMPTY: "作成者によれば、ほかの部品は含まれていません。", "According to its author, nothing else is in it.";
    TOOL_SIGNED_TEXT: "作成者が署名した文", "What the author signed";
    PURL: "パッケージURL", "Package URL";
    NAME: "名前", "Name";
    TOOL_VOTE_LEAD: "この申請(上のダイジェスト)への投票です。取り消しや変更はできません。", "You vote on this very request, as named by the digest above. A vote can't be changed or taken back.";
    TOOL_ACCEPT_HINT: "このツールは、この取決めのセッションで動かしてよい", "this tool may run in sessions of this agreement";
    TOOL_OWN_NOTE: "あなたが作成したツールです。自分のツールには投票できません。", "This tool is yours: you can't vote on it.";
    TOOL_DECIDED_NOTE: "このツールの審査は終わりました。", "The review of this tool is over.";
    TOOL_STATE_ADMITTED: "持込み許可", "admitted";
    TOOL_STATE_REJECTED: "不許可", "rejected";
    TOOL_STATE_REPLACED: "新しい版に交代", "replaced by a newer version";
    TOOL_STATE_WITHDRAWN: "取下げ", "withdrawn";

    VERDICT_PASS: "問題なし", "pass";
    VERDICT_REVIEW: "要確認", "review";
    VERDICT_FAIL: "不可", "fail";

    STATE_WAITING: "審査待ち", "waiting";
    STATE_HALF: "1名が投票済み", "one vote is in";
    STATE_RELEASED: "持出し許可", "released";
    STATE_REJECTED: "却下", "rejected";
    STATE_RETURNED: "差戻し", "returned";
    STATE_FAILED: "自動検査で不可", "failed the checks";

    ERROR_TITLE: "処理できませんでした", "That did not work";
    BACK: "一覧に戻る", "Back to the list";
    E_NOT_FOUND: "見つかりません。URLを確かめるか、一覧から選び直してください。", "There is no such page or output. Check the address, or choose from the list.";
    E_UNAVAILABLE: "ポリシーサービスが応答しません。何も変更されていません。しばらくしてからもう一度お試しください。", "The policy service does not answer. Nothing was changed. Try again in a moment.";
    E_ROLE: "この操作の権限がありません。", "You may not do that here.";
    E_TERMINAL: "この端末からは操作できません。審査は運用端末、受取りは利用者側の端末で行ってください。", "Not from this terminal: review at a staff terminal, fetch releases at your organisation's.";
    E_OWN: "自分の成果物には投票できません。", "Nobody votes on their own output.";
    E_ENDED: "取決めが終了しているため、持ち出しに関わる操作はできません。", "The agreement has ended: nothing more is given out under it.";
    E_OTHER_BYTES: "表示されていたものと、現在の成果物が一致しません。投票は無効です。ページを開き直して、内容を確かめてください。", "What your page showed is not the present output. The vote does not count: open the page again and look at it.";
    E_OTHER_ROUND: "検査の規則が変わり、審査の回が改まりました。ページを開き直して、結果を確かめてください。", "The rules have changed and a new round has begun: open the page again and look at the findings.";
    E_VOTED: "この成果物には、すでに投票しています。投票は1人1回です。", "You have voted on this output already: one person, one vote.";
    E_OVER: "この成果物の審査は終わっています。", "The review of this output is over.";
    E_ALTERED: "保存されている成果物が書き換えられています。投票も持出しもできません。システム管理者に連絡してください。", "The stored output was changed. Nobody can vote on it and it can't leave. Tell the administrators.";
    E_COMMENT: "却下するときは、理由をコメントに書いてください。投票はまだ行われていません。", "A refusal needs a comment. Nothing was sent yet.";
    E_COMMENT_LONG: "コメントが長すぎます。2,000文字以内にしてください。投票はまだ行われていません。", "The comment is too long: at most 2,000 characters. Nothing was sent yet.";
    E_FORM: "フォームの内容を読み取れません。ページを開き直してください。", "The form can't be read: open the page again.";
    E_INTERNAL: "内部の問題で処理できませんでした。何も持ち出されていません。時刻を添えてシステム管理者に連絡してください。", "Something is wrong on our side. Nothing was released. Tell the administrators when it happened.";
}

pub(super) fn state(state: OutputState) -> T {
    match state {
        OutputState::Waiting => STATE_WAITING,
        OutputState::HalfVoted => STATE_HALF,
        OutputState::Released => STATE_RELEASED,
        OutputState::Rejected => STATE_REJECTED,
        OutputState::Returned => STATE_RETURNED,
        OutputState::FailedChecks => STATE_FAILED,
    }
}

pub(super) fn tool_state(state: ToolState) -> T {
    match state {
        ToolState::Waiting => STATE_WAITING,
        ToolState::HalfVoted => STATE_HALF,
        ToolState::Admitted => TOOL_STATE_ADMITTED,
        ToolState::Rejected => TOOL_STATE_REJECTED,
        ToolState::Replaced => TOOL_STATE_REPLACED,
        ToolState::Withdrawn => TOOL_STATE_WITHDRAWN,
    }
}

pub(super) fn verdict(verdict: Verdict) -> T {
    match verdict {
        Verdict::Pass => VERDICT_PASS,
        Verdict::Review => VERDICT_REVIEW,
        Verdict::Fail => VERDICT_FAIL,
    }
}

/// What a person reads when the policy service says no. Whoever may not know that something exists
/// reads that it doesn't.
pub(super) fn refusal(reason: EndReason) -> T {
    match reason {
        EndReason::OwnOutput => E_OWN,
        EndReason::AgreementEnded | EndReason::OutsidePeriod => E_ENDED,
        EndReason::TerminalNotAllowed => E_TERMINAL,
        EndReason::NoAgreement | EndReason::NotOnRoster => E_NOT_FOUND,
        EndReason::ServiceUnavailable => E_UNAVAILABLE,
        _ => E_ROLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_there_in_both_languages() {
        for (name, text) in ALL {
            assert!(!text.ja.is_ascii() || *name == "SQL", "{name}");
            let is_english = |c: char| c.is_ascii() || "×−".contains(c);
            assert!(
                text.en.chars().all(is_english) && !text.en.is_empty(),
                "{name}"
            );
        }
    }
}
