//! Words of the charts.

use crate::words::words;

words! {
    EMPTY_TITLE = "図にできる結果がまだありません", "There is no result to draw yet";
    EMPTY_NEXT = "SQL で集計を実行すると、その結果をここで図にできます。図は列を選び直すとすぐに変わります。", "Run a statement, and draw its result here. A chart changes at once when another column is chosen.";
    TO_SQL = "SQL を書く", "Write a statement";
    RESULT = "結果", "Result";
    RESULT_TIP = "どのジョブの結果を図にするか", "The job whose result is drawn";
    LET_GO = "この結果はメモリを空けるために手放しました。同じ文をもう一度実行してください。", "This result was let go of to stay within memory. Run the statement again.";
    NO_FIT = "この結果に合う列がありません", "No columns of this result fit";
    KIND = "図の種類", "Kind";
    COLUMNS = "列", "Columns";
    NONE = "なし", "none";
    WORDS = "見出し", "Words";
    TITLE = "題名", "Title";
    X_LABEL = "横軸の説明と単位", "Horizontal axis, with its unit";
    Y_LABEL = "縦軸の説明と単位", "Vertical axis, with its unit";
    LOG = "対数の軸", "Logarithmic axis";
    BINS = "階級の数", "Bins";
    BINS_AUTO = "自動", "automatic";
    RESET = "自動に戻す", "Choose automatically";
    RESET_TIP = "この結果に合う図と列を選び直す", "Choose kind and columns that fit this result";
    KEYS = "図をクリックすると、矢印キーで値をたどれます。", "Click the chart; arrow keys then go from value to value.";
    NOTHING_CHOSEN = "この結果には比べるものがありません。種類と列を選ぶか、GROUP BY のある集計を実行してください。", "There is nothing to compare in this result. Choose kind and columns, or run a statement with GROUP BY.";
    THRESHOLD = "{} 人未満の値は秘匿されています。", "Values of fewer than {} persons are withheld.";
}
