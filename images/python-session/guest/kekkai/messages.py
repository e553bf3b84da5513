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
    "internal": (
        "this is Kekkai's fault, not yours; it is recorded: tell the producer",
        "Kekkai側の不具合です。記録されていますので、提供者に知らせてください。",
    ),
    "cancelled": ("cancelled", "取り消されました。"),
    # Outputs and scratch.
    "outputs-limit": _limit("no more outputs in this run", "この実行で提出できる件数を超えました", "outputs_max"),
    "output-size-limit": _limit("the output is too large", "提出物が大きすぎます", "output_kib_max"),
    "scratch-limit": _limit("the scratch is full", "一時領域がいっぱいです", "scratch_kib_max"),
    "calls-limit": (
        "too many calls to Kekkai in a second: read more rows at once",
        "Kekkaiの呼出しが1秒あたりの上限を超えました。一度に読む行を増やしてください。",
    ),
    "output-not-allowed": (
        "the agreement lets no such output be asked for",
        "取決めで認められていない種類の提出物です。",
    ),
    "title": ("a title has 1 to 200 characters, without control characters", "表題は1〜200字です。制御文字は使えません。"),
    "purpose": (
        "a purpose has 1 to 2,000 characters, without control characters",
        "目的は1〜2,000字です。制御文字は使えません。",
    ),
    "malformed": ("the output is malformed", "提出物の形が正しくありません。"),
}  # fmt: skip

_UNKNOWN = ("refused", "受け付けられませんでした。")


def of(code):
    """English and Japanese words for a code."""
    return _WORDS.get(code, _UNKNOWN)


def codes():
    """The codes that have words of their own."""
    return frozenset(_WORDS)
