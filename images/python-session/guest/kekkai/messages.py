"""Words for codes, in English and in Japanese."""

_ASK = "ask the principal investigator to have `[programs] {}` of the agreement amended"
_ASK_JA = "研究責任者を通じて、取決めの`[programs] {}`の変更を提供者に依頼してください"


def _limit(english, japanese, key):
    return f"{english}; {_ASK.format(key)}", f"{japanese}。{_ASK_JA.format(key)}。"


_WORDS = {
    # Statements.
    "syntax": ("this is not SQL", "SQLとして読めません。"),
    "too-long": ("the statement is too long", "SQL文が長すぎます。"),
    "several-statements": ("one statement at a time", "SQL文は1つずつ実行してください。"),
    "statement-not-allowed": ("only SELECT is possible", "SELECT文だけが実行できます。"),
    "clause-not-allowed": ("this clause is not offered", "この句は使えません。"),
    "function-not-allowed": ("this function is not offered", "この関数は使えません。"),
    "function-unknown": ("there is no such function", "その名前の関数はありません。"),
    "table-unknown": (
        "no such table in the agreement; kekkai.schema() names them",
        "取決めにその表はありません。kekkai.schema()で一覧できます。",
    ),
    "table-exists": (
        "the session has a table of this name already: DROP TABLE it, or take another name",
        "同じ名前の表がすでにあります。DROP TABLE で消すか、別の名前にしてください。",
    ),
    "column-unknown": (
        "no such column in the agreement; kekkai.schema() names them",
        "取決めにその列はありません。kekkai.schema()で一覧できます。",
    ),
    "column-ambiguous": (
        "several tables have this column: write table.column",
        "複数の表にある列名です。「表名.列名」と書いてください。",
    ),
    "type": ("types don't fit", "型が合いません。"),
    "not-grouped": (
        "this column is neither in GROUP BY nor in an aggregate",
        "GROUP BYにも集計関数にも含まれない列です。",
    ),
    "parameters": (
        "as many values as question marks, please",
        "「?」の数と値の数が合いません。",
    ),
    "rows-not-allowed": (
        "this gives rows of single persons: use kekkai.sql, where the agreement lets programs read rows",
        "個人単位の行になります。取決めで行の読取りが認められていれば、kekkai.sqlを使ってください。",
    ),
    "not-followed": (
        "the contributors of this statistic can't be counted: write it more simply",
        "この統計の寄与者数を数えられません。より単純な文にしてください。",
    ),
    "evaluation": (
        "a division by zero, an overflow or a failed conversion on some row",
        "ある行で、0での除算、桁あふれ、または型変換の失敗が起きました。",
    ),
    "too-large": ("the result is too large", "結果が大きすぎます。"),
    "memory": ("the session's memory is used up", "セッションのメモリを使い切りました。"),
    "model-collinear": (
        "one of these predictors follows from the others: leave one out",
        "説明変数の1つが、ほかから計算できます。1つを外してください。",
    ),
    "model-separated": (
        "this predictor tells the outcomes apart without exception: leave it out or make it coarser",
        "この変数で結果が完全に分かれます。外すか、区分を粗くしてください。",
    ),
    "model-levels": (
        "compare 2 to 100 groups; fisher_exact takes two by two",
        "比べる群は2つ以上100以下にしてください。fisher_exact は2群どうしの比較だけです。",
    ),
    "model-not-fitted": (
        "there is no estimate: see whether values vary and whether there are enough events",
        "推定値を計算できません。値が変わるか、事象が足りるかを確かめてください。",
    ),
    "too-close": (
        "this is about nearly the same persons as an earlier statistic of the project: use the same conditions or coarser groups",
        "プロジェクトが前に見た統計と、対象者がほとんど同じです。条件をそろえるか、群をまとめてください。",
    ),
    "history-full": (
        "the record of statistics that were shown is full or can't be read: tell the producer",
        "表示した統計の記録がいっぱいか、読めません。提供者に知らせてください。",
    ),
    "rows-quota": (
        "the agreement's bounds on rows leave no more for now: wait a minute, or ask for fewer rows",
        "取決めの行数の上限に達しました。1分待つか、必要な行に絞ってください。",
    ),
    "spill-quota": (
        "the statement needs more disk than the session has: use fewer columns or rows",
        "途中結果がセッションのディスクの上限を超えました。列か行を減らしてください。",
    ),
    "spill-failed": (
        "intermediate results could not be kept on disk: run it again",
        "途中結果をディスクに保てませんでした。もう一度実行してください。",
    ),
    "server-lost": (
        "another analysis server that ran this was lost: run it again",
        "これを実行していた別の分析サーバーを失いました。もう一度実行してください。",
    ),
    "internal": (
        "this is Kekkai's fault, not yours; it is recorded: tell the producer",
        "Kekkai側の不具合です。記録されていますので、提供者に知らせてください。",
    ),
    "rows-open": (
        "one statement's rows at a time: read or let go of the others first",
        "一度に読めるのは1つの文の行だけです。先に読み終えるか、手放してください。",
    ),
    "cancelled": ("cancelled", "取り消されました。"),
    # Limits of the agreement.
    "limit-outputs": _limit("no more outputs in this run", "この実行で提出できる件数を超えました", "outputs_max"),
    "limit-output-size": _limit("the output is too large", "提出物が大きすぎます", "output_kib_max"),
    "limit-scratch": _limit("the scratch is full", "一時領域がいっぱいです", "scratch_kib_max"),
    "name-too-long": ("a name in the scratch is too long", "一時領域の名前が長すぎます。"),
    # Outputs.
    "no-title": ("an output needs a title", "提出物には表題が必要です。"),
    "title-too-long": ("the title is too long", "表題が長すぎます。"),
    "title-length": ("a title has 1 to 200 characters", "表題は1〜200字です。"),
    "purpose-too-long": ("the purpose is too long", "目的が長すぎます。"),
    "purpose-length": ("a purpose has 1 to 2,000 characters", "目的は1〜2,000字です。"),
    "control-characters": (
        "titles and purposes have no control characters, line ends among them",
        "表題や目的に制御文字（改行を含む）は使えません。",
    ),
    "no-columns": ("a table has at least one column", "表には1列以上が必要です。"),
    "table-columns": ("the table has too many columns", "表の列が多すぎます。"),
    "table-shape": ("the table is malformed", "表の形が正しくありません。"),
    "row-length": (
        "this row has more or fewer values than the table has columns",
        "この行の値の数が列の数と合いません。",
    ),
    "not-a-number": ("this cell is not a number: submit a missing value", "数値でないセルです。欠損として提出してください。"),
    "not-finite": ("this holds a number that is not finite", "有限でない数値があります。"),
    "no-series": ("a figure has at least one series", "図には1つ以上の系列が必要です。"),
    "series-length": (
        "the lists of this series are empty or of different lengths",
        "この系列のリストが空か、長さがそろっていません。",
    ),
    "no-parameters": ("a model has at least one parameter", "モデルには1つ以上のパラメータが必要です。"),
    "output-too-large": (
        "the output has more of this than reviewers can look at",
        "審査できる量を超えています。",
    ),
    "output-shape": ("the output is malformed", "提出物の形が正しくありません。"),
    "output-exists": ("this very output waits for review already", "同じ提出物がすでに審査を待っています。"),
    "queue-full": (
        "too many outputs wait for review: try again when some are decided",
        "審査待ちの提出物が多すぎます。審査が進んでから提出してください。",
    ),
    "author-queue-full": (
        "too many of your outputs wait for review: try again when some are decided",
        "あなたの審査待ちの提出物が多すぎます。審査が進んでから提出してください。",
    ),
    "profile-unknown": ("the agreement names rules of review that are unknown", "取決めの審査基準が未知のものです。"),
}  # fmt: skip

_UNKNOWN = ("refused", "受け付けられませんでした。")


def of(code):
    """English and Japanese words for a code."""
    return _WORDS.get(code, _UNKNOWN)


def codes():
    """The codes that have words of their own."""
    return frozenset(_WORDS)
