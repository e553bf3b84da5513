//! Names of the panes, and words that several of them show.

use crate::words::words;

words! {
    PROJECT = "データ", "Data";
    PROJECT_TIP = "利用できるデータセット・表・列とその説明", "Datasets, tables and columns that you may use, with what they mean";
    SQL = "SQL", "SQL";
    SQL_TIP = "SQL を書いて集計する", "Write statements and count";
    RESULTS = "結果", "Results";
    RESULTS_TIP = "集計や行を見る・並べ替える・絞り込む", "Look at results, sort and filter them";
    CHARTS = "図", "Charts";
    CHARTS_TIP = "結果を図にする", "Draw a result";
    SCRIPTS = "プログラム", "Programs";
    SCRIPTS_TIP = "Python とツールを実行する", "Run Python and tools";
    JOBS = "ジョブ", "Jobs";
    JOBS_TIP = "実行中・実行済みの処理", "What runs and ran";
    OUTPUTS = "成果物", "Outputs";
    OUTPUTS_TIP = "持ち出しを申請し、審査の結果を読む", "Ask to take results out, read what reviewers say";
    NOTEBOOKS = "ノート", "Notebooks";
    NOTEBOOKS_TIP = "手順を保存し、まとめて実行する", "Keep steps and run them in order";
    HELP = "使い方", "Help";
    HELP_TIP = "はじめ方・キー操作・表示されるものとその理由", "First steps, keys, what is shown and why";

    RUN = "実行", "Run";
    CANCEL = "取り消す", "Cancel";
    CLOSE = "閉じる", "Close";
    OPEN = "開く", "Open";
    CHART_IT = "図にする", "Chart";
    SUBMIT_IT = "持ち出しを申請", "Submit for review";
    SHOW_RESULT = "結果を見る", "Show result";
    SUPPRESSED_THRESHOLD = "秘匿: 人数が {} 人未満です", "Suppressed: fewer than {} persons";
    SUPPRESSED_DOMINANCE = "秘匿: 1人または2人の占める割合が大きすぎます", "Suppressed: one or two persons make up too much of it";
    FILTER = "絞り込み", "Filter";
    NOTHING_FOUND = "該当するものがありません。", "Nothing matches.";
}
