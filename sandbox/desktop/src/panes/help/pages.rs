//! What help says.

use crate::words::{Words, words};

/// A page.
#[derive(Debug)]
pub(crate) struct Page {
    /// What others call it: [`Go::Help`](crate::panes::Go::Help).
    pub(crate) name: &'static str,
    pub(crate) title: Words,
    pub(crate) parts: &'static [Part],
}

/// A part of a page.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    /// A paragraph.
    Text(Words),
    /// A line with a number or a point before it.
    Item(Words),
    /// A key and what it does.
    Key(&'static str, Words),
    /// Code, as it can be tried.
    Code(&'static str),
}

use Part::{Code, Item, Key, Text};

/// All pages, in the order in which somebody new reads them.
pub(crate) const PAGES: &[Page] = &[
    Page {
        name: "first-steps",
        title: words_of::FIRST,
        parts: &[
            Text(words_of::FIRST_1),
            Item(words_of::FIRST_2),
            Item(words_of::FIRST_3),
            Code("SELECT sex, count(*) AS n FROM patient GROUP BY sex"),
            Item(words_of::FIRST_4),
            Item(words_of::FIRST_5),
            Item(words_of::FIRST_6),
            Text(words_of::FIRST_7),
        ],
    },
    Page {
        name: "keys",
        title: words_of::KEYS,
        parts: &[
            Key("Ctrl+K", words_of::KEY_PALETTE),
            Key("Ctrl+1 … Ctrl+9", words_of::KEY_SECTIONS),
            Key("Alt+1 … Alt+9", words_of::KEY_SECTIONS_ALT),
            Key("Ctrl+Enter", words_of::KEY_RUN),
            Key("Ctrl+S", words_of::KEY_SAVE),
            Key("Ctrl+Shift+Enter", words_of::KEY_ALL),
            Key("Ctrl++ / Ctrl+-", words_of::KEY_ZOOM),
            Key("Ctrl+0", words_of::KEY_ZOOM_BACK),
            Key("F1", words_of::KEY_HELP),
            Key("Tab / Shift+Tab", words_of::KEY_TAB),
            Key("← → ↑ ↓", words_of::KEY_ARROWS),
            Text(words_of::KEY_CLIPBOARD),
        ],
    },
    Page {
        name: "shown",
        title: words_of::SHOWN,
        parts: &[
            Text(words_of::SHOWN_1),
            Item(words_of::SHOWN_2),
            Item(words_of::SHOWN_3),
            Item(words_of::SHOWN_4),
            Item(words_of::SHOWN_5),
            Item(words_of::SHOWN_6),
            Text(words_of::SHOWN_7),
        ],
    },
    Page {
        name: "sql",
        title: words_of::SQL,
        parts: &[
            Text(words_of::SQL_1),
            Item(words_of::SQL_2),
            Item(words_of::SQL_3),
            Code(
                "SELECT region, avg(first_sbp) AS mean\nFROM (SELECT patient_id, min(sbp) AS first_sbp FROM visit GROUP BY patient_id) v\nJOIN patient USING (patient_id)\nGROUP BY region",
            ),
            Item(words_of::SQL_4),
            Item(words_of::SQL_5),
            Code(
                "SELECT ward, count(*) FILTER (WHERE smoker) AS smokers, count(*) AS n\nFROM visit GROUP BY ward ORDER BY ward LIMIT 20",
            ),
            Item(words_of::SQL_6),
            Code(
                "SELECT region, sum(cost) / nullif(count(*), 0) AS cost FROM visit GROUP BY region",
            ),
            Item(words_of::SQL_7),
            Item(words_of::SQL_8),
        ],
    },
    Page {
        name: "charts",
        title: words_of::CHARTS,
        parts: &[
            Text(words_of::CHARTS_1),
            Item(words_of::CHARTS_2),
            Item(words_of::CHARTS_3),
            Code(
                "SELECT arm, week, count(*) FILTER (WHERE died) AS events,\n       count(*) FILTER (WHERE NOT died) AS censored\nFROM follow_up GROUP BY arm, week",
            ),
            Item(words_of::CHARTS_4),
            Item(words_of::CHARTS_5),
        ],
    },
    Page {
        name: "programs",
        title: words_of::PROGRAMS,
        parts: &[
            Text(words_of::PROGRAMS_1),
            Code(
                "import kekkai\n\nframe = kekkai.statistic(\"SELECT sex, count(*) AS n FROM patient GROUP BY sex\")\nprint(frame)\nkekkai.submit_table(\"Persons by sex\", \"Table 1\", frame)",
            ),
            Item(words_of::PROGRAMS_2),
            Item(words_of::PROGRAMS_3),
            Item(words_of::PROGRAMS_4),
            Item(words_of::PROGRAMS_5),
        ],
    },
    Page {
        name: "review",
        title: words_of::REVIEW,
        parts: &[
            Text(words_of::REVIEW_1),
            Item(words_of::REVIEW_2),
            Item(words_of::REVIEW_3),
            Item(words_of::REVIEW_4),
            Item(words_of::REVIEW_5),
            Item(words_of::REVIEW_6),
            Text(words_of::REVIEW_7),
        ],
    },
    Page {
        name: "notebooks",
        title: words_of::NOTES,
        parts: &[
            Text(words_of::NOTES_1),
            Item(words_of::NOTES_2),
            Item(words_of::NOTES_3),
            Item(words_of::NOTES_4),
        ],
    },
    Page {
        name: "screen",
        title: words_of::SCREEN,
        parts: &[
            Text(words_of::SCREEN_1),
            Item(words_of::SCREEN_2),
            Item(words_of::SCREEN_3),
            Item(words_of::SCREEN_4),
            Item(words_of::SCREEN_5),
            Item(words_of::SCREEN_6),
        ],
    },
];

/// The words of the pages.
pub(crate) mod words_of {
    use super::words;

    words! {
        FIRST = "はじめに", "First steps";
        FIRST_1 = "この画面は解析サーバーの中で描かれ、画像だけが手元に届きます。データも結果も、審査を経た成果物のほかは外に出ません。", "This screen is drawn on the analysis server; only its picture reaches you. Neither data nor results leave, but for outputs that passed review.";
        FIRST_2 = "「データ」で、使える表と列、その意味を見ます。", "Look at the tables and columns that you may use, and what they mean, under Data.";
        FIRST_3 = "「SQL」で集計の文を書き、Ctrl+Enter で実行します。表や列の名前は、書きかけると候補が出ます。", "Write a statement under SQL and run it with Ctrl+Enter. Names of tables and columns are proposed as you type.";
        FIRST_4 = "結果は「結果」で並べ替え・絞り込みができ、「図」で図になります。", "Sort and filter what comes back under Results, and draw it under Charts.";
        FIRST_5 = "「成果物」で結果を選び、題名と目的を書いて申請します。自動チェックの指摘は、申請する前に見られます。", "Choose results under Outputs, give them a title and a purpose, and submit them. You see what the automatic checks say before you do.";
        FIRST_6 = "手順は「ノート」に残せます。次回も同じ手順を実行できます。", "Keep your steps in a notebook, and run them again at your next visit.";
        FIRST_7 = "終えるときは右上の「終了」を選びます。離れるだけなら「ロック」を選んでください。", "Choose Leave at the top when you have finished; choose Lock when you only go away for a while.";

        KEYS = "キー操作", "Keys";
        KEY_PALETTE = "命令を探して実行する", "find a command and do it";
        KEY_SECTIONS = "データ・SQL・結果など、左の一覧の順に移る", "go to Data, SQL, Results and so on, in the order of the list at the left";
        KEY_SECTIONS_ALT = "同じ (ブラウザが Ctrl+数字 を使う場合)", "the same, where the browser keeps Ctrl and digits for itself";
        KEY_RUN = "文やプログラムを実行する", "run the statement or program";
        KEY_SAVE = "スクリプトやノートを保存する", "keep the script or notebook";
        KEY_ALL = "ノートの手順をすべて実行する", "run all steps of a notebook";
        KEY_ZOOM = "拡大・縮小", "larger, smaller";
        KEY_ZOOM_BACK = "元の大きさに戻す", "normal size";
        KEY_HELP = "この使い方を開く", "open this help";
        KEY_TAB = "次の項目・前の項目へ移る", "go to the next or previous control";
        KEY_ARROWS = "表のセルや図の値をたどる (表や図をクリックした後)", "go from cell to cell of a table, from value to value of a chart, once it was clicked";
        KEY_CLIPBOARD = "この画面の中では切取り・コピー・貼付けができます。手元の端末との間ではできません。", "Cut, copy and paste work within this screen, and not between it and your own computer.";

        SHOWN = "表示されるもの・されないもの", "What is shown, and what is not";
        SHOWN_1 = "個人を推測できる値は、どの画面にも出ません。何が、なぜ出ないかは次のとおりです。", "Values from which a person could be guessed are shown nowhere. This is what is withheld, and why.";
        SHOWN_2 = "* の値: 基になる人数が取決めの基準に満たないか、1人または2人が値の大部分を占めています。0 ではありません。", "A value shown as *: fewer persons than the agreement's threshold are behind it, or one or two of them make up too much of it. It is not zero.";
        SHOWN_3 = "秘匿された群: 人数が基準に満たない群は、名前も出ません。いくつあるかだけを示します。", "Groups withheld: of groups with too few persons even the name stays inside. Only how many there are is said.";
        SHOWN_4 = "個人ごとの行: 取決めと端末の表示区分の両方が認める場合だけ見られます。オンサイト端末でだけ見られるデータもあります。", "Rows of persons: only where both the agreement and this terminal's display class allow them. Some data may be seen at the on-site terminal only.";
        SHOWN_5 = "プログラムの表示: 行を読んだ後に print した内容は、行を表示できない端末では伏せられます。", "What programs print: lines that follow the reading of rows are withheld where this terminal may not show rows.";
        SHOWN_6 = "図: 秘匿された値は空けて描き、そのことを図の下に書きます。秘匿された値をまたぐ計算はしません。", "Charts: what is withheld is left blank, and said below the chart. Nothing is computed across it.";
        SHOWN_7 = "集計を粗くする (年齢を10歳ごとにする、地域をまとめるなど) と、秘匿される値は減ります。", "Coarser groups (ages by decades, several regions together) leave fewer values withheld.";

        SQL = "SQL の書き方 (PostgreSQL との違い)", "SQL, for those who know PostgreSQL";
        SQL_1 = "文法は PostgreSQL に近く、読み取る SELECT だけが使えます。主な違いは次のとおりです。", "The grammar is close to PostgreSQL's; only SELECT is there. These are the main differences.";
        SQL_2 = "集計には count、sum、avg、stddev、var、corr などを使います。中央値や順位は、行を読めるプログラムで計算します。", "Aggregate with count, sum, avg, stddev, var, corr and their like. Medians and ranks are for programs that may read rows.";
        SQL_3 = "min と max は1人の値そのものです。個人の番号で GROUP BY した副問合せの中だけで使えます。", "min and max are one person's value: they are allowed only in a subquery that groups by the person key.";
        SQL_4 = "個人の番号は、結合と count(DISTINCT …) に使えます。値と比べることはできません。", "A person key can be joined and counted with DISTINCT, and never compared with a value.";
        SQL_5 = "HAVING、ORDER BY、LIMIT は、秘匿した後の値に対して働きます。", "HAVING, ORDER BY and LIMIT work on what is left after suppression.";
        SQL_6 = "0 での除算や型変換の失敗があると、文全体がエラーになります。nullif、CASE、try_cast で避けてください。", "One division by zero or failed cast stops the whole statement. Avoid it with nullif, CASE or try_cast.";
        SQL_7 = "使えないもの: 窓関数 (統計の場合)、UNION (統計の場合)、ROLLUP、再帰、now() や乱数、ファイルを読む関数。", "Not there: window functions and UNION (in statistics), ROLLUP, recursion, now() and random(), functions that read files.";
        SQL_8 = "1回に実行できるのは1文です。長い文はタブを分けるか、ノートの手順にしてください。", "One statement at a time. Use several tabs, or the steps of a notebook.";

        CHARTS = "図", "Charts";
        CHARTS_1 = "図の種類と列は、結果に合うものが初めから選ばれています。選び直すと、図はすぐに変わります。", "Kind and columns that fit the result are chosen for you. Choose others, and the chart changes at once.";
        CHARTS_2 = "フォレストプロットは、推定値・下限・上限の3列から描きます。すべて正の値なら対数の軸になります。", "A forest is drawn from estimates with lower and upper ends. Where all are positive, its axis is logarithmic.";
        CHARTS_3 = "カプラン・マイヤー曲線は、時間ごとのイベント数と、打切りの人数 (またはリスク集合の人数) から計算します。信頼区間はグリーンウッドの分散と log-log 変換によります。", "A Kaplan-Meier curve is computed from the events and the censored persons (or those at risk) at each time. Its interval is by Greenwood's variance on the log-log scale.";
        CHARTS_4 = "途中の人数が秘匿されていると、曲線はそこで終わります。時間を広く取ると (週を月にするなど) 先まで描けます。", "Where a count is withheld, the curve ends there. Wider times (months for weeks) let it go on.";
        CHARTS_5 = "図そのものは持ち出せません。基の表を申請してください。プログラムからは submit_figure で図を申請できます。", "A chart does not leave by itself: submit its table. Programs can submit figures with submit_figure.";

        PROGRAMS = "プログラム", "Programs";
        PROGRAMS_1 = "Python のスクリプトと、審査を経て取り込まれたツールを実行できます。ファイルやネットワークはありません。", "You may run Python scripts, and tools that came through review. There are no files and there is no network.";
        PROGRAMS_2 = "kekkai.statistic は秘匿済みの統計を、kekkai.sql は個人ごとの行を返します (取決めが認める場合)。", "kekkai.statistic gives statistics, suppressed as here; kekkai.sql gives rows of persons, where the agreement lets programs read them.";
        PROGRAMS_3 = "kekkai.progress(0.5, \"説明\") で進み具合を示せます。", "kekkai.progress(0.5, \"words\") shows how far it is.";
        PROGRAMS_4 = "結果の持ち出しは submit_table、submit_figure、submit_text、submit_model で申請します。必ず2名が確かめます。", "Results are submitted with submit_table, submit_figure, submit_text and submit_model. Two people always look at them.";
        PROGRAMS_5 = "スクリプトは研究課題ごとに暗号化して保存され、次回も使えます。", "Scripts are kept, encrypted, for the project: there again at your next visit.";

        REVIEW = "審査の流れ", "How review works";
        REVIEW_1 = "持ち出せるのは、申請して承認された成果物だけです。", "Only outputs that were submitted and released leave.";
        REVIEW_2 = "申請すると、まず自動チェックが人数・占有率・差分などを確かめます。「持ち出せません」の指摘があれば、審査には進みません。", "Automatic checks come first: contributors, dominance, differences and more. What they call 'may not leave' never comes to a vote.";
        REVIEW_3 = "次に、あなた以外の2名が、互いの票を知らずに審査します。", "Then two people other than you vote, neither knowing the other's vote.";
        REVIEW_4 = "2名とも承認すれば、審査されたとおりの内容が、外の受渡しページから受け取れます。", "When both accept, exactly what they saw can be fetched at the release page outside.";
        REVIEW_5 = "意見が分かれると差戻しになり、コメントが届きます。", "When they disagree it is returned to you with their comments.";
        REVIEW_6 = "「直して再申請」を選ぶと、説明を引き継いで、直した結果を申請できます。", "'Revise and submit again' takes your description along; choose the revised result.";
        REVIEW_7 = "目的と方法を具体的に書くほど、審査は早く進みます。", "The more exactly purpose and method are written, the sooner review is done.";

        NOTES = "ノート", "Notebooks";
        NOTES_1 = "ノートは、SQL・Python・図・メモの手順を順に並べたものです。", "A notebook is a list of steps: statements, scripts, charts and notes.";
        NOTES_2 = "書き終えて数秒で、暗号化して保存されます。同じ研究課題で次回サインインしたときも、ここにあります。", "It is kept, encrypted, a few seconds after you stop writing, and is here again when you next sign in to this project.";
        NOTES_3 = "結果は保存しません。実行し直すと、その時点の取決めとデータで計算されます。", "Results are not kept. Run it again, and it is computed with the agreement and the data of that day.";
        NOTES_4 = "図の手順は、すぐ上の SQL の結果を描きます。", "A chart step draws the result of the nearest statement above it.";

        SCREEN = "画面・記録・ロック", "Screen, recording, lock";
        SCREEN_1 = "画面には、利用者・時刻・セッションの透かしが入り、表示した内容はすべて記録されます。", "The screen carries a watermark of person, time and session, and everything that it shows is recorded.";
        SCREEN_2 = "操作がないと画面はロックされます。もう一度両方の認証をすれば、続きから使えます。実行中の処理は止まりません。", "Without input the screen is locked. Sign in again with both factors, and go on where you were; what runs goes on.";
        SCREEN_3 = "接続が切れても、一定の時間はセッションが残ります。同じ端末からサインインし直してください。", "A session outlives a cut of the network for a while. Sign in again at the same terminal.";
        SCREEN_4 = "職員が画面を見ているときは、上に表示が出ます。", "When staff look at your screen, it says so at the top.";
        SCREEN_5 = "人が打つより速い入力 (貼付けなど) は保留され、取り込むかどうかを尋ねます。取り込める量は取決めで決まっています。", "Text that comes faster than a person types (a paste, say) is held, and you are asked about it. How much is let in is in the agreement.";
        SCREEN_6 = "手元の端末への保存・印刷・コピーはできません。", "Nothing can be saved, printed or copied to your own computer.";
    }
}
