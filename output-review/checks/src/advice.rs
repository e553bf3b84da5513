//! What an author can do about a finding, where the rule alone knows.

use kekkai_types::Text;

use crate::finding::Rule;

impl Rule {
    /// What the author can do; `None` where only a person can say.
    pub fn advice(self) -> Option<Text> {
        let (ja, en) = match self {
            Self::Shape | Self::Evidence => return None,
            Self::Threshold | Self::SmallCount => (
                "近い群とまとめるか、この行を条件で除いてください。",
                "Merge the group with a similar one, or leave the row out by a condition.",
            ),
            Self::GroupName => (
                "患者数の列を加えるか、近い群とまとめてください。",
                "Add a column that counts persons, or merge the group with a similar one.",
            ),
            Self::DominanceOne | Self::DominanceTwo => (
                "群をまとめるか、合計や平均の代わりに中央値や件数を使ってください。",
                "Merge groups, or use a median or a count in place of a total or mean.",
            ),
            Self::Unrecognised => (
                "この列を除くか、何の値かを方法の欄に書いてください。",
                "Leave the column out, or write in the method what it is.",
            ),
            Self::Computed => (
                "計算式を方法の欄に書いてください。",
                "Write the formula in the method.",
            ),
            Self::Precision => (
                "ROUND などで桁数を減らしてください。",
                "Round it, for example with ROUND.",
            ),
            Self::Difference => (
                "合計・小計を除くか、秘匿されたセルの群を別の群とまとめてください。",
                "Leave totals out, or merge the suppressed cell's group with another.",
            ),
            Self::NearCounts => (
                "近い件数の列の一方を除いてください。",
                "Leave one of the two nearly equal counts out.",
            ),
            Self::Withheld => (
                "総数を載せないか、群をまとめてください。",
                "Leave the total out, or merge groups.",
            ),
            Self::Identifier => (
                "番号や名前の列を除いてください。",
                "Leave columns of numbers or names of persons out.",
            ),
            Self::FreeText => (
                "文章の代わりに、コードや区分で集計してください。",
                "Group by a code or a category in place of prose.",
            ),
            Self::ActiveText => (
                "= + - @ で始まらず、見えない文字を含まない名前に変えてください。",
                "Give it a name that doesn't begin with = + - @ and hides no character.",
            ),
            Self::Size => (
                "必要な行と列に絞るか、いくつかの成果物に分けてください。",
                "Keep the rows and columns that are needed, or submit several outputs.",
            ),
            Self::Uncounted => (
                "SQLで計算できる値は、SQLの結果として申請すると、寄与者数がエンジンの根拠付きで示されます。",
                "What SQL can compute is better submitted as a statement's result: the engine counts its contributors.",
            ),
            Self::NothingRead => (
                "値の出所を目的の欄に書いてください。",
                "Write in the purpose where the values come from.",
            ),
            Self::FewRead => (
                "より多くの人を含む条件で読み取ってください。",
                "Read under conditions that include more persons.",
            ),
            Self::RowLevel => (
                "1名ごとの値の代わりに、集計した値にしてください。",
                "Aggregate, in place of one value for each person.",
            ),
            Self::Extreme => (
                "最小値・最大値の代わりに、5パーセンタイルや95パーセンタイルを使ってください。",
                "Use the 5th and 95th percentile in place of the smallest and largest value.",
            ),
            Self::Encoded => (
                "符号化せず、そのままの数値と言葉にしてください。",
                "Write plain numbers and words.",
            ),
            Self::ModelSize => (
                "変数を減らすか、より多くの観測で推定してください。",
                "Use fewer variables, or fit on more observations.",
            ),
            Self::Differencing => (
                "以前の統計と条件をそろえるか、群をまとめてください。",
                "Use the conditions of the earlier statistic, or coarser groups.",
            ),
        };
        Some(Text {
            ja: ja.to_owned(),
            en: en.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_there_in_both_languages_and_says_no_number_of_a_table() {
        let without: Vec<Rule> = Rule::ALL
            .into_iter()
            .filter(|rule| rule.advice().is_none())
            .collect();
        assert_eq!(without, [Rule::Shape, Rule::Evidence]);
        for advice in Rule::ALL.into_iter().filter_map(Rule::advice) {
            assert!(advice.ja.ends_with('。'), "{}", advice.ja);
            assert!(
                advice.en.is_ascii() && advice.en.ends_with('.'),
                "{}",
                advice.en
            );
        }
    }
}
