//! Words of the notebooks.

use crate::words::words;

words! {
    EMPTY_TITLE = "ノートはまだありません", "There is no notebook yet";
    EMPTY_NEXT = "ノートには、SQL・スクリプト・図・メモを順に並べて残せます。暗号化して保存され、次回もここにあります。結果は保存されず、実行し直して得られます。", "A notebook keeps statements, scripts, charts and notes in order, encrypted, for your next visit. Results are not kept: they are computed again.";
    NAME_HINT = "新しいノートの名前", "Name of a new notebook";
    NAME_BAD = "名前は1行、64文字までです。", "A name is one line of at most 64 characters.";
    NAME_TAKEN = "同じ名前のノートがあります。", "There is a notebook of this name.";
    CREATE = "作る", "Create";
    ERASE = "消去", "Erase";
    ERASE_ASK = "ノート「{}」を消去しますか。元に戻せません。", "Erase the notebook \"{}\"? This can't be undone.";
    ERASE_YES = "消去する", "Erase it";
    ERASE_NO = "消去しない", "Keep it";
    ERASED = "消去しました: {}", "Erased: {}";
    CHOOSE = "左の一覧から選ぶか、名前を付けて新しいノートを作ってください。", "Choose from the list, or name a new notebook.";

    RUN_ALL = "すべて実行", "Run all";
    RUN_ALL_TIP = "上から順に実行します (Ctrl+Shift+Enter)。うまくいかない手順で止まります。", "Runs the steps in order (Ctrl+Shift+Enter), and stops at one that fails.";
    STOP = "止める", "Stop";
    STOPPED_AT = "手順 {} がうまくいかなかったため、残りは実行していません。", "Step {} did not end well; the rest was not run.";
    ALL_RAN = "すべての手順を実行しました。", "All steps have run.";
    SAVED = "保存済み", "saved";
    UNSAVED = "まもなく保存します", "to be saved";
    SAVING = "保存しています", "being saved";

    ADD = "追加:", "Add:";
    NOTE = "メモ", "Note";
    SQL = "SQL", "SQL";
    SCRIPT = "Python", "Python";
    CHART = "図", "Chart";
    NOTE_HINT = "メモを書く", "Write a note";
    ARGS = "引数", "Arguments";
    UP = "上へ", "Move up";
    DOWN = "下へ", "Move down";
    REMOVE = "この手順を除く", "Remove this step";
    RUN_TIP = "この手順を実行します", "Runs this step";
    SETTINGS = "図の設定", "Chart settings";
    NO_STATEMENT = "上に SQL の手順がありません。図は、すぐ上の SQL の結果を描きます。", "There is no statement above. A chart draws the result of the nearest one.";
    NOT_RUN = "上の SQL を実行すると、ここに図が現れます。", "Run the statement above, and the chart appears here.";
    RUNNING = "実行中", "running";
    READ = "{} / {} 行を読みました", "rows read: {} of {}";
    CANCELLED = "取り消されました。", "It was cancelled.";
    CONSOLE = "出力を見る", "Show console";
    RAN = "正常に終わりました。", "It ended well.";
    MORE_ROWS = "{} 行", "rows: {}";

    BAD_VERSION = "このノートは新しい版 ({}) で保存されています。内容を失わないよう、開きません。", "A later version ({}) wrote this notebook. It is not opened, so that nothing of it is lost.";
    MALFORMED = "ノートを読めません。消去するか、運用担当者に知らせてください。", "This notebook can't be read. Erase it, or tell the operator.";
    TOO_LARGE = "ノートが大きすぎて保存できません (上限 {} KiB)。手順を減らすか、分けてください。", "The notebook is too large to be kept (at most {} KiB). Remove steps, or split it.";
    TOO_MANY = "手順が多すぎます (上限 {})。ノートを分けてください。", "There are too many steps (at most {}). Split the notebook.";
    STEP_TOO_LONG = "手順 {} が長すぎて保存できません。", "Step {} is too long to be kept.";
}
