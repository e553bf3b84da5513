//! Words of the outputs.

use crate::words::words;

words! {
    EMPTY_TITLE = "申請した成果物はまだありません", "No output was submitted yet";
    EMPTY_NEXT = "集計の結果を選び、題名と目的を書いて申請すると、自動チェックと2名の審査を経て持ち出せます。ここから持ち出せるのは成果物だけです。", "Choose results, describe them and submit: after automatic checks and two reviewers they may leave. Nothing else does.";
    NEW = "持ち出しを申請する", "New submission";
    NEW_NONE = "申請できる集計の結果がまだありません。先に SQL を実行してください。", "There is no result to submit yet: run a statement first.";
    BACK = "一覧へ戻る", "Back to the list";

    RESULTS = "1. 結果を選ぶ", "1. Choose results";
    RESULTS_TIP = "いくつでも選べます。それぞれが1つの成果物になります。", "As many as you like: each becomes an output.";
    TITLE = "題名", "Title";
    TITLE_HINT = "例: 地域・性別ごとの平均血圧", "for instance: mean blood pressure by region and sex";
    DESCRIBE = "2. 説明を書く", "2. Describe";
    PURPOSE = "目的: 何のために持ち出すか", "Purpose: what it is for";
    PURPOSE_HINT = "例: 論文の表1に使う", "for instance: table 1 of the paper";
    METHOD = "方法: どのように集計したか", "Method: how it was made";
    METHOD_HINT = "例: 2024年の受診を対象に、患者の地域と性別ごとに平均した", "for instance: visits of 2024, averaged by the patient's region and sex";
    CHARS = "{} / {} 文字", "{} of {} characters";
    CHECKS = "3. 自動チェックを見る", "3. See the automatic checks";
    CHECKS_WAIT = "確認中です", "being checked";
    CHECKS_NONE = "指摘はありません。", "Nothing to say.";
    SUBMIT = "4. 申請する", "4. Submit";
    SUBMIT_ONE = "申請する", "Submit";
    SUBMIT_MANY = "{} 件を申請する", "Submit {} outputs";
    SUBMITTED = "申請しました: {}", "Submitted: {}";
    SUBMITTED_MARK = "申請済み", "submitted";
    SUBMITTING = "申請しています", "being submitted";
    FAILS = "持ち出せない箇所があります。SQL を直して実行し直してください。", "There is something that may not leave. Change the statement and run it again.";
    NEEDS_TITLE = "選んだ結果のそれぞれに題名を書いてください。", "Give a title to each chosen result.";
    NEEDS_PURPOSE = "目的を書いてください。審査の手がかりになります。", "Write the purpose: reviewers judge by it.";
    NEEDS_RESULT = "結果を1つ以上選んでください。", "Choose at least one result.";
    CONTROL = "制御文字 (タブなど) は使えません。", "Control characters (tabs, say) can't be used.";

    EVIDENCE = "基になる人数 (エンジンが数えたもの)", "Underlying counts, as the engine counted them";
    EVIDENCE_CELLS = "表示されている値 {} 個、秘匿された値 {} 個", "values: {} shown, {} withheld";
    EVIDENCE_LEAST = "最も少ない値で {} 人 (基準 {} 人)", "the smallest is of {} persons (threshold {})";
    EVIDENCE_SHARE = "1人の占める割合は最大 {} %", "one person makes up {} % at most";
    EVIDENCE_GROUPS = "名前も含めて秘匿された群 {} 個", "groups withheld with their names: {}";
    EVIDENCE_DATA = "データ: {}", "data: {}";
    EVIDENCE_ENGINE = "エンジン: {}", "engine: {}";

    WEIGHT_FAIL = "持ち出せません", "May not leave";
    WEIGHT_REVIEW = "審査で確認されます", "Reviewers will look at";
    WEIGHT_PASS = "参考", "For your information";
    SHOW_PLACE = "表の中で示す", "Shows it in the table";
    WHOLE = "全体", "the whole";

    STATE_WAITING = "審査待ち", "waits for review";
    STATE_HALF = "審査中 (1名が投票済み)", "in review (one vote is in)";
    STATE_RELEASED = "承認", "released";
    STATE_REJECTED = "不承認", "rejected";
    STATE_RETURNED = "差戻し", "returned";
    STATE_FAILED = "自動チェックで不可", "failed the checks";
    STEP_SUBMITTED = "申請", "submitted";
    STEP_CHECKED = "自動チェック", "checked";
    STEP_FIRST = "1人目の審査", "first reviewer";
    STEP_SECOND = "2人目の審査", "second reviewer";
    NEXT_WAITING = "2名の審査担当者の投票を待っています。", "Two reviewers have yet to vote.";
    NEXT_HALF = "もう1名の投票を待っています。どちらの投票かは、2名がそろうまで誰にも見えません。", "One more vote is awaited. Nobody sees the first until both are in.";
    NEXT_RELEASED = "持ち出しの手続きは、受渡しの窓口のページで行います。", "Fetch it at the release page, outside this desktop.";
    NEXT_REJECTED = "このままでは持ち出せません。コメントを読み、作り直して申請できます。", "It does not leave as it is. Read the comments, make another and submit that.";
    NEXT_RETURNED = "コメントを読み、直して再申請してください。", "Read the comments, revise and submit again.";
    NEXT_FAILED = "指摘された箇所を直した結果で、再申請してください。", "Submit again with a result in which this is put right.";
    NEXT_REPLACED = "再申請されています。", "Another output is in its place.";
    COMMENTS = "審査担当者のコメント", "What reviewers wrote";
    NO_COMMENTS = "コメントはありません。", "They wrote nothing.";
    FINDINGS = "自動チェックの指摘", "What the automatic checks said";
    REVISE = "直して再申請", "Revise and submit again";
    REVISING = "「{}」を直して再申請します。直した結果を選んでください。", "This is in place of \"{}\". Choose the revised result.";
    REPLACES = "「{}」の再申請です。", "This is in place of \"{}\".";
    SUBMITTED_AT = "申請 {}", "submitted {}";
    PROGRAM_NOTE = "プログラムの成果物です。題名と目的は、承認されるまで表示されません。", "A program submitted it: its title and purpose are shown once it is released.";
}
