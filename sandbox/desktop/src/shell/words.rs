//! Words of the bars, dialogs and the palette.

use crate::words::words;

words! {
    UNTIL_DAY = "{} まで", "until {}";
    UNTIL = "{} まで (残り {})", "until {} ({} left)";
    OVER = "{} まで (終了時刻を過ぎました)", "until {} (time is over)";
    MINUTES = "{} 分", "{} min";
    HOURS = "{} 時間 {} 分", "{} h {} min";
    UNTIL_TIP = "セッションはこの時刻に終わります。この表示は操作したときに更新されます。", "The session ends then. This changes only when you do something.";
    WATCHED = "職員が画面を閲覧中 ({} 人)", "Staff are watching ({})";
    WATCHED_TIP = "監査の権限を持つ職員がこの画面を見ています。閲覧は監査台帳に記録されます。", "Staff with the auditor's role see this screen. That they do is in the ledger.";
    EMULATED = "試験環境", "Test system";
    EMULATED_TIP = "このサーバーの TPM はエミュレーターです。本物のデータを扱ってはいけません。", "This server's TPM is emulated: no real data may be here.";
    LANGUAGE = "English", "日本語";
    LANGUAGE_TIP = "表示言語を切り替える", "Switch the language";
    ZOOM_IN = "拡大する", "Zoom in";
    ZOOM_OUT = "縮小する", "Zoom out";
    ZOOM_RESET = "標準の大きさに戻す", "Normal size";
    CONTRAST = "コントラスト", "Contrast";
    CONTRAST_TIP = "高コントラスト表示を切り替える", "Switch high contrast on or off";
    LOCK = "ロック", "Lock";
    LOCK_TIP = "画面をロックする。再開するときは本人確認をやり直します。処理は続きます。", "Lock the screen. Whoever unlocks it is verified again; jobs go on.";
    LEAVE = "終了", "Leave";
    LEAVE_TIP = "セッションを終了する", "End the session";
    LEAVE_TITLE = "セッションを終了しますか", "End the session?";
    LEAVE_TEXT = "表示中の結果と行、保存していない SQL は失われます。保存したプログラムとノート、申請した成果物は残ります。", "Results, rows and statements that are not kept are lost. Programs and notebooks that you kept, and outputs that you submitted, stay.";
    LEAVE_JOBS = "実行中のジョブ {} 件は取り消されます。", "Jobs that run are cancelled: {}.";
    LEAVE_YES = "終了する", "End it";
    STAY = "戻る", "Go on working";
    HELD_TITLE = "入力を確認してください", "Did you type this?";
    HELD_TEXT = "人の入力より速く届いた文字 {} 字を止めています。貼り付けやキーボードの模倣による持ち込みは、取決めで文字数が限られています (今日の残り {} 字)。", "{} characters came faster than people type and are held. What is pasted or typed by a device counts as brought in; the agreement still lets {} in today.";
    HELD_OVER = "残りの文字数を超えるため、受け入れることはできません。", "That is more than is left: it can't be let in.";
    HELD_YES = "受け入れる", "Let it in";
    HELD_NO = "破棄する", "Drop it";
    PALETTE = "コマンド", "Commands";
    PALETTE_TIP = "コマンドを検索する", "Find a command";
    PALETTE_HINT = "コマンド・表・列・ジョブを検索", "Find a command, table, column or job";
    PALETTE_KEYS = "↑↓ 選ぶ   Enter 実行   Esc 閉じる", "↑↓ choose   Enter go   Esc close";
    GO_TO = "{} へ移動", "Go to {}";
    RUNNING = "実行中 {} 件", "{} running";
    READY = "準備ができました。Ctrl+K でコマンドを検索できます。", "Ready. Ctrl+K finds any command.";
    BUSY = "応答待ちの要求が多すぎます。少し待ってからやり直してください。", "Too many requests are waiting. Wait a moment and try again.";
    JOB_DONE = "ジョブ {} が完了しました。", "Job {} is done.";
    JOB_FAILED = "ジョブ {} は完了しませんでした。ジョブの一覧に理由があります。", "Job {} did not finish. The list of jobs says why.";
    DISPLAY = "この端末: {}", "This terminal: {}";
    NEW_QUERY = "新しい SQL タブ", "New SQL tab";
    TABLE_COLUMNS = "表 {} の列", "Columns of {}";
}
