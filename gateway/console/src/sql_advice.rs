//! What to do next about a statement, for each kind of mistake that was recognised.

use kekkai_analysis_api::SqlHint;
use kekkai_types::Lang;

/// One or two sentences: what to write instead. They hold no name and no value.
pub fn sql_advice(hint: SqlHint, lang: Lang) -> &'static str {
    let (ja, en) = texts(hint);
    lang.pick(ja, en)
}

fn texts(hint: SqlHint) -> (&'static str, &'static str) {
    match hint {
        SqlHint::FullWidth => (
            "全角や装飾用の文字です。示された半角文字に直してください。文字列は '…' で囲めばそのまま使えます。",
            "this is a full-width or typographic character: write the plain one that is shown. Inside '…' it may stay.",
        ),
        SqlHint::CurlyQuote => (
            "引用符が “ ” や ‘ ’ になっています。文字列は半角の '…' で囲んでください。",
            "this is a typographic quotation mark: put texts between plain '…'.",
        ),
        SqlHint::DoubleEquals => (
            "等しいかどうかは = を1つだけ書きます。",
            "equality is written with one =.",
        ),
        SqlHint::AndOrNot => (
            "条件は AND、OR、NOT でつなぎます。",
            "conditions are joined with AND, OR and NOT.",
        ),
        SqlHint::Comparison => (
            "比較は <、<=、>、>=、=、<> で書きます。",
            "comparisons are <, <=, >, >=, = and <>.",
        ),
        SqlHint::Power => (
            "べき乗は power(底, 指数) で書きます。",
            "powers are written power(base, exponent).",
        ),
        SqlHint::Backtick => (
            "名前は ` でなく、そのまま書くか \"…\" で囲みます。",
            "write names as they are or in \"…\", not in backticks.",
        ),
        SqlHint::Bracket => (
            "名前は [ ] でなく、そのまま書くか \"…\" で囲みます。",
            "write names as they are or in \"…\", not in [ ].",
        ),
        SqlHint::Variable => (
            "変数は使えません。値そのものを書いてください。プログラムからは ? で渡せます。",
            "there are no variables: write the value itself; programs hand values over with ?.",
        ),
        SqlHint::Comment => (
            "コメントは -- か /* … */ で書きます。",
            "comments are written -- or /* … */.",
        ),
        SqlHint::Backslash => (
            "\\ で始まる命令はありません。表は schema、使い方は help で見られます。",
            "there are no commands with \\: schema shows the tables, help the commands.",
        ),
        SqlHint::UnclosedText => (
            "文字列を閉じる ' がありません。文字列の中の ' は '' と書きます。",
            "the closing ' of a text is missing; inside a text, ' is written ''.",
        ),
        SqlHint::UnclosedName => (
            "名前を閉じる \" がありません。",
            "the closing \" of a name is missing.",
        ),
        SqlHint::UnclosedComment => (
            "コメントを閉じる */ がありません。",
            "the closing */ of a comment is missing.",
        ),
        SqlHint::UnclosedParenthesis => (
            "閉じていない ( があります。対応する ) を加えてください。",
            "a ( is not closed: add its ).",
        ),
        SqlHint::ExtraParenthesis => (
            "対応する ( のない ) です。) を消すか、( を加えてください。",
            "this ) has no (: take it away, or add the (.",
        ),
        SqlHint::UnclosedCase => (
            "CASE が END で終わっていません。CASE WHEN 条件 THEN 値 ELSE 値 END と書きます。",
            "a CASE has no END: write CASE WHEN condition THEN value ELSE value END.",
        ),
        SqlHint::ExtraComma => (
            "余分なコンマです。消すか、続きを書いてください。",
            "this comma is one too many: take it away, or write what follows it.",
        ),
        SqlHint::MissingComma => (
            "この前にコンマか演算子が抜けていないか確かめてください。",
            "a comma or an operator seems to be missing before this.",
        ),
        SqlHint::MissingOperand => (
            "AND や = などの両側に、式が1つずつ必要です。",
            "each AND, = and the like needs an expression on both sides.",
        ),
        SqlHint::Misspelt => (
            "予約語のつづりを確かめてください。",
            "check the spelling of this keyword.",
        ),
        SqlHint::ReservedName => (
            "予約語は名前として使えません。名前なら \"…\" で囲むか、別の名前にしてください。",
            "this is a keyword of SQL: as a name, put it in \"…\" or choose another.",
        ),
        SqlHint::ClauseOrder => (
            "句は SELECT、FROM、WHERE、GROUP BY、HAVING、ORDER BY、LIMIT の順に書きます。",
            "clauses come in this order: SELECT, FROM, WHERE, GROUP BY, HAVING, ORDER BY, LIMIT.",
        ),
        SqlHint::ClauseTwice => (
            "同じ句が2つあります。条件は1つの WHERE の中で AND か OR でつないでください。",
            "this clause is there twice: join conditions with AND or OR in one WHERE.",
        ),
        SqlHint::MissingBy => (
            "GROUP BY、ORDER BY のように BY が必要です。",
            "write GROUP BY or ORDER BY: BY is missing.",
        ),
        SqlHint::MissingFrom => (
            "FROM 表名 がありません。列を読む表を書いてください。",
            "FROM with a table's name is missing.",
        ),
        SqlHint::MissingOn => (
            "JOIN 表名 の後に ON 条件 (または USING (列)) を書いてください。",
            "behind JOIN and the table's name, write ON with a condition, or USING (column).",
        ),
        SqlHint::Unfinished => (
            "文が途中で終わっています。続きを書いてください。",
            "the statement ends too early: write what is missing.",
        ),
        SqlHint::InParentheses => (
            "IN の後には (値, 値, …) か (SELECT …) を書きます。空の ( ) は使えません。",
            "behind IN comes (value, value, …) or (SELECT …), never an empty ( ).",
        ),
        SqlHint::BetweenAnd => (
            "範囲は BETWEEN 下限 AND 上限 と書きます。",
            "a range is written BETWEEN lower AND upper.",
        ),
        SqlHint::IsNull => (
            "NULL との = や <> は決して真になりません。IS NULL か IS NOT NULL と書いてください。",
            "= and <> are never true of NULL: write IS NULL or IS NOT NULL.",
        ),
        SqlHint::Limit => (
            "行数の制限は文の最後に LIMIT 行数 OFFSET 飛ばす行数 と書きます。",
            "a number of rows is limited at the statement's end: LIMIT rows OFFSET rows_to_skip.",
        ),
        SqlHint::TextQuotes => (
            "\"…\" は列や表の名前です。文字列は '…' で囲んでください。",
            "\"…\" is a name of a column or table: put texts between '…'.",
        ),
        SqlHint::AggregateInWhere => (
            "集計関数は WHERE や GROUP BY では使えません。集計後の条件は HAVING に書いてください。",
            "WHERE and GROUP BY come before aggregates are computed: put the condition into HAVING.",
        ),
        SqlHint::NestedAggregate => (
            "集計関数の中に集計関数は書けません。集計する列を直接渡してください。",
            "an aggregate can't be inside another: give it the column itself.",
        ),
        SqlHint::AliasTooEarly => (
            "SELECT で付けた別名は WHERE では使えません。元の式を書いてください。",
            "a name given in SELECT isn't known in WHERE yet: write the expression itself.",
        ),
        SqlHint::TableAlias => (
            "「.」の前は FROM に書いた表名か別名でなければなりません。別名を付けた表は別名で呼びます。",
            "before the dot stands a table's name or alias as FROM gives it; a table with an alias goes by it.",
        ),
        SqlHint::Position => (
            "ORDER BY や GROUP BY の数字は SELECT の何番目の列かを表します。列の数を確かめてください。",
            "a number in ORDER BY or GROUP BY is a place in the SELECT list: that list is shorter.",
        ),
        SqlHint::Arguments => (
            "関数の引数の数と型を確かめてください。型は CAST(列 AS 型) で変えられます。",
            "check how many arguments the function takes and of which types; CAST(column AS type) changes a type.",
        ),
        SqlHint::CastType => (
            "CAST(列 AS 型) の型は bigint、double、text、boolean、date、timestamp です。",
            "write CAST(column AS type) with bigint, double, text, boolean, date or timestamp.",
        ),
        SqlHint::Condition => (
            "条件は真か偽になる式でなければなりません。列 = 値 のように比較してください。",
            "a condition must be true or false: compare, as in column = value.",
        ),
        SqlHint::ForeignFunction => (
            "別のデータベースの関数です。示された関数を使ってください。",
            "that is another database's function: use the one that is shown.",
        ),
        SqlHint::SingleValue => (
            "1人の値がそのまま見えるため使えません。avg、stddev、または CASE で階級に分けた count を使ってください。",
            "it would show one person's value: use avg, stddev, or count by classes made with CASE.",
        ),
        SqlHint::Moment => (
            "実行のたびに値が変わる関数は使えません。日付は DATE '2026-04-01' のように書いてください。",
            "its value changes from run to run: write a date out, as in DATE '2026-04-01'.",
        ),
        SqlHint::Costly => (
            "小さな入力から大きな結果を作る関数は使えません。必要な値を直接書いてください。",
            "it makes much of little: write the values that you need.",
        ),
        SqlHint::Files => (
            "ファイルやほかのサーバーには読み書きできません。表は schema で見られます。",
            "no file or other server can be read or written; schema shows the tables.",
        ),
        SqlHint::ReadOnly => (
            "データは変更できません。途中の結果は WITH 名前 AS (SELECT …) で作ってください。",
            "data can't be changed; make intermediate results by WITH name AS (SELECT …).",
        ),
        SqlHint::Catalogue => (
            "表と列の一覧は schema 命令で見られます。SQL では見られません。",
            "the schema command lists tables and columns; SQL doesn't.",
        ),
        SqlHint::Plan => (
            "実行計画は表示できません。EXPLAIN を外して実行してください。",
            "plans are not shown: run the statement without EXPLAIN.",
        ),
        SqlHint::Settings => (
            "設定やトランザクションはありません。SELECT だけを書いてください。",
            "there are no settings and no transactions: write the SELECT alone.",
        ),
        SqlHint::Distinct => (
            "異なる値の数は count(DISTINCT 列)、異なる値ごとの集計は GROUP BY で書いてください。",
            "count distinct values by count(DISTINCT column), list them with GROUP BY and an aggregate.",
        ),
        SqlHint::SetOperation => (
            "UNION などで結合せず、文を分けるか、GROUP BY や OR で1つの集計にしてください。",
            "run the parts one by one, or make one aggregate of them with OR or GROUP BY.",
        ),
        SqlHint::Window => (
            "統計では OVER を使えません。人ごとの順位や前後の値は、プログラムで行を読んで求めてください。",
            "OVER is not for statistics: let a program that reads rows compute ranks and neighbours.",
        ),
        SqlHint::LimitInside => (
            "集計の内側で LIMIT は使えません。WHERE の条件で絞ってください。",
            "no LIMIT inside an aggregate: choose rows by a condition in WHERE.",
        ),
        SqlHint::InnerQuery => (
            "値を求める SELECT を式の中に置けません。先に別の文で求め、その値を書いてください。",
            "a SELECT can't give a value inside an expression: run it first and write its result here.",
        ),
        SqlHint::Nested => (
            "集計の集計はできません。人のキーで GROUP BY した内側の集計だけが使えます。",
            "an aggregate of aggregates works only where the inner one groups by the person's key.",
        ),
        SqlHint::PersonKey => (
            "人のキーを値と比べることはできません。年齢や診断など、属性で絞ってください。",
            "a person's key can't be compared with a value: choose people by what they have in common.",
        ),
        SqlHint::Recursion => (
            "再帰は使えません。階層の表を JOIN で必要な段だけたどってください。",
            "there is no recursion: follow a hierarchy by joins, as many as it takes.",
        ),
        SqlHint::Sample => (
            "この句はありません。消してから実行してください。",
            "that clause isn't there: take it away.",
        ),
        SqlHint::Array => (
            "配列や構造体は使えません。列を1つずつ書いてください。",
            "there are no arrays and structs: name the columns one by one.",
        ),
        SqlHint::Bits => (
            "ビット演算はありません。% や CASE で書いてください。",
            "there are no bit operators: use % or CASE.",
        ),
        SqlHint::Pattern => (
            "文字列の照合は LIKE '…%' か、正規表現の ~ で書いてください。",
            "match texts by LIKE '…%', or by ~ with a regular expression.",
        ),
        SqlHint::Grouping => (
            "GROUP BY には列か式を並べてください。小計は別の文で求めます。",
            "list columns or expressions in GROUP BY; subtotals take a statement of their own.",
        ),
        SqlHint::ValuesList => (
            "VALUES や TABLE でなく、SELECT … FROM 表名 と書いてください。",
            "write SELECT … FROM table, not VALUES or TABLE.",
        ),
        SqlHint::DivisionByZero => (
            "0 では割れません。0 になり得る列は NULLIF(列, 0) で割ってください。",
            "nothing can be divided by 0: divide by NULLIF(column, 0) where a column may hold it.",
        ),
        SqlHint::SameName => (
            "同じ名前が2度使われています。AS で別の名前を付けてください。",
            "two things have this name: give one another name with AS.",
        ),
        SqlHint::ColumnCount => (
            "UNION などの両側の SELECT は、列の数をそろえてください。",
            "both sides of a UNION need as many columns.",
        ),
        SqlHint::Interval => (
            "期間は INTERVAL '30 days' のように '…' の中に書きます。",
            "an interval is written in quotes: INTERVAL '30 days'.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_kind_of_mistake_has_an_advice_of_its_own_in_both_languages() {
        for lang in [Lang::Ja, Lang::En] {
            let advice: BTreeSet<&str> = (SqlHint::ALL.iter())
                .map(|hint| sql_advice(*hint, lang))
                .collect();
            assert_eq!(advice.len(), SqlHint::ALL.len());
            for text in advice {
                let end = lang.pick("。", ".");
                assert!(text.ends_with(end) && text.chars().count() > 15, "{text}");
                let is_japanese = text.chars().any(|c| ('\u{3041}'..='\u{30fe}').contains(&c));
                assert_eq!(is_japanese, lang == Lang::Ja, "{text}");
            }
        }
    }
}
