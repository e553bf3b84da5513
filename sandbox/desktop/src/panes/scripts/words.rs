//! Words of the programs.

use crate::words::words;

words! {
    NOT_AGREED = "この取決めでは、プログラムを実行できません。必要な場合は、研究開発責任者から提供者へ、取決めへの [programs] の追加を依頼してください。", "The agreement lets no program run. If you need one, your principal investigator asks the producer to add [programs] to it.";
    ROWS = "プログラムは個人ごとの行を読めます。行を読んだ後の表示は、端末の表示区分によって伏せられます。", "Programs may read rows of persons. What they print afterwards is withheld where this terminal may not show rows.";
    NO_ROWS = "プログラムが読めるのは統計だけです (kekkai.statistic)。", "Programs may read statistics only (kekkai.statistic).";
    SCRIPTS = "スクリプト", "Scripts";
    TOOLS = "ツール", "Tools";
    NO_SCRIPTS = "保存したスクリプトはありません。", "No script is kept yet.";
    NO_TOOLS = "審査を経て取り込まれたツールはありません。", "No tool has come through review.";
    NEW = "新しいスクリプト", "New script";
    NEW_TIP = "例から始めます", "Begins with an example";
    NAME = "名前", "Name";
    NAME_BAD = "名前には半角の英数字と . _ - だけが使えます (64文字まで)。", "Names have letters, digits, . _ and - only, at most 64 of them.";
    SAVE = "保存", "Save";
    SAVE_TIP = "暗号化して、この研究課題に保存します (Ctrl+S)。次回も使えます。", "Keeps it, encrypted, for this project (Ctrl+S): there again at the next visit.";
    RUN_TIP = "実行します (Ctrl+Enter)", "Runs it (Ctrl+Enter)";
    ERASE = "消去", "Erase";
    ERASE_ASK = "「{}」を消去しますか。元に戻せません。", "Erase \"{}\"? This can't be undone.";
    ERASE_YES = "消去する", "Erase it";
    OVERWRITE_ASK = "「{}」は別の内容ですでに保存されています。置き換えますか。", "There is another script \"{}\". Replace it?";
    OVERWRITE_YES = "置き換える", "Replace it";
    DISCARD_ASK = "「{}」の変更が保存されていません。", "Changes to \"{}\" are not saved.";
    DISCARD_YES = "保存せずに開く", "Open without saving";
    KEEP_EDITING = "編集に戻る", "Go on editing";
    UNSAVED = "未保存", "not saved";
    SAVED = "保存しました: {}", "Saved: {}";
    ERASED = "消去しました: {}", "Erased: {}";
    ARGS = "引数", "Arguments";
    ARGS_HINT = "例: --year 2024 '脳 梗塞'", "for instance: --year 2024 'two words'";
    ARGS_BAD = "引用符が閉じられていません。", "A quote is not closed.";
    ARGS_MANY = "引数は {} 個までで、1つにつき {} バイトまでです。", "There may be {} arguments of {} bytes each.";
    TOO_LONG = "スクリプトが長すぎます (上限 {} KiB)。", "The script is too long (at most {} KiB).";
    NOTHING = "スクリプトがありません。", "There is no script.";
    CONSOLE = "出力", "Console";
    CONSOLE_EMPTY = "実行すると、print した行がここに現れます。", "Lines appear here as they are printed.";
    NO_LINES = "まだ何も表示されていません。", "Nothing was printed yet.";
    LOG_CUT = "古い行は省いています。", "The oldest lines are left out.";
    RUNNING = "実行中", "running";
    ENDED_WELL = "正常に終わりました。", "It ended well.";
    CANCELLED = "取り消されました。", "It was cancelled.";
    CANCELLED_LIMIT = "取決めの時間の上限に達したため、止められました。", "It was stopped by the agreement's time limit.";
    SUBMITTED = "申請した成果物 {} 件", "Outputs submitted: {}";
    TO_OUTPUTS = "成果物を見る", "Show outputs";
    GO_TO_LINE = "{} 行目へ", "Go to line {}";
    TOOL_RUN_TIP = "引数を付けて実行します", "Runs it with the arguments";
    DIGEST = "部品のダイジェスト", "Digest of its component";
    EMPTY = "左の一覧から選ぶか、新しいスクリプトを作ってください。", "Choose from the list, or begin a new script.";
}
