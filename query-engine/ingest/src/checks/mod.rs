//! R14: identifiers in data that would be kept (Ⅱ-25-2).
//!
//! Two sorts of check. *Shape*: a My Number has a check digit, a telephone number a prefix. *Memory*: the
//! values of columns that the manifest drops as direct identifiers, and the raw person keys beside them, are
//! remembered (as keyed hashes) and looked for in what is kept, so that a name in the wrong column is found
//! although nobody listed it.
//!
//! Any hit refuses the ingest, but for one sort: a number of fewer than ten digits, alone in its cell, may
//! look like somebody's by chance (codes have seven to nine digits too), and counts when such numbers fill
//! half of a column. A manifest may `accept` a check for a column, with a
//! reason that goes to the report.

mod column;
mod digits;
mod memory;
mod names;
mod place;

pub(crate) use column::ColumnChecks;
pub use memory::IDENTIFIERS_MAX;
pub(crate) use memory::Memory;

use kekkai_dataset::Check;

/// A set of checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Hits(u16);

impl Hits {
    pub(crate) const NONE: Self = Self(0);

    fn bit(check: Check) -> u16 {
        let at = Check::ALL
            .iter()
            .position(|known| *known == check)
            .unwrap_or_default();
        1 << at
    }

    pub(crate) fn add(&mut self, check: Check) {
        self.0 |= Self::bit(check);
    }

    pub(crate) fn has(self, check: Check) -> bool {
        self.0 & Self::bit(check) != 0
    }

    #[cfg(test)]
    pub(crate) fn list(self) -> Vec<Check> {
        Check::ALL
            .into_iter()
            .filter(|check| self.has(*check))
            .collect()
    }
}

/// Full-width ASCII and the many hyphens to plain ones, ideographic space to space. What else there is
/// stays.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(plain_char).collect()
}

fn plain_char(c: char) -> char {
    match c {
        '\u{3000}' | '\u{a0}' => ' ',
        '\u{ff01}'..='\u{ff5e}' => u32::from(c)
            .checked_sub(0xfee0)
            .and_then(char::from_u32)
            .unwrap_or(c),
        '‐' | '‑' | '‒' | '–' | '—' | '―' | '−' => '-',
        c => c,
    }
}

/// All shape checks over one cell.
pub(crate) fn shapes(cell: &str) -> Hits {
    let mut hits = Hits::NONE;
    let bytes = cell.as_bytes();
    let is_ascii = bytes.is_ascii();
    // Most cells are codes and short words; they end here.
    if is_ascii {
        let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
        if digits < 7 && !bytes.contains(&b'@') {
            return hits;
        }
    }
    let owned;
    let text = if is_ascii {
        cell
    } else {
        owned = plain(cell);
        &owned
    };
    digits::look(text, &mut hits);
    if text.contains('@') && digits::has_email(text) {
        hits.add(Check::Email);
    }
    if !is_ascii {
        names::look(text, &mut hits);
        place::look(text, &mut hits);
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: a cell, and what must be found in it.
    #[test]
    fn identifiers_are_found() {
        use Check::{
            Address, Bank, Card, Email, Insurance, MyNumber, Name, Passport, Phone, PostalCode,
        };
        let rows: &[(&str, &[Check])] = &[
            ("123456789018", &[MyNumber]),
            ("1234 5678 9018", &[MyNumber]),
            ("個人番号は１２３４５６７８９０１８です", &[MyNumber]),
            ("090-1234-5678", &[Phone]),
            ("09012345678", &[Phone]),
            ("０３－１２３４－５６７８", &[Phone]),
            ("+81 90 1234 5678", &[Phone]),
            ("03(1234)5678 に連絡", &[Phone]),
            ("0312345678", &[Phone]),
            ("taro.sato@example.co.jp", &[Email]),
            ("連絡先：taro@example.jp", &[Email]),
            ("4111 1111 1111 1111", &[Card]),
            ("4111111111111111", &[Card]),
            ("378282246310005", &[Card]),
            ("3530111333300000", &[Card]),
            ("01130012", &[Insurance]),
            ("記号12-34 番号567", &[Insurance]),
            ("保険者番号 138057", &[Insurance]),
            ("みずほ銀行 本店 普通 1234567", &[Bank]),
            ("10140-12345671", &[Bank]),
            ("〒100-0001", &[PostalCode]),
            ("100-0001", &[PostalCode]),
            ("〒1000001", &[PostalCode]),
            ("東京都千代田区丸の内1丁目9番1号", &[Address]),
            ("札幌市北区北７条西４－１－２", &[Address]),
            ("大字山田123番地", &[Address]),
            ("世田谷区経堂三丁目", &[Address]),
            ("TK1234567", &[Passport]),
            ("AB12345678CD", &[Passport]),
            ("佐藤 太郎", &[Name]),
            ("佐藤　花子", &[Name]),
            ("佐々木健一", &[Name]),
            ("サトウ タロウ", &[Name]),
            ("ｻﾄｳ ﾀﾛｳ", &[Name]),
            ("長谷川様より電話あり", &[Name]),
            ("主治医は山田先生", &[Name]),
            ("高橋 凪人", &[Name]),
        ];
        for (cell, expected) in rows {
            assert_eq!(shapes(cell).list(), *expected, "{cell}");
        }
    }

    #[test]
    fn ordinary_medical_text_is_left_alone() {
        for cell in [
            "",
            "E119",
            "2型糖尿病",
            "高血圧症",
            "本態性高血圧",
            "急性心筋梗塞，前壁",
            "3D045000001906202",
            "2149032F1021",
            "2189010F1022",
            "アムロジピン錠5mg「サワイ」",
            "メトホルミン塩酸塩錠500mg",
            "2024-01-15",
            "20240115",
            "2024-01-15 10:30:00",
            "1234567",
            "12.3456789012",
            "0.123456789",
            "123456789012.5",
            "123456789011",
            "4111111111111112",
            "00012345678901",
            "東京都",
            "石川県",
            "山口県",
            "福島県",
            "千葉市",
            "宮崎 県",
            "世田谷区",
            "内科",
            "森林浴",
            "林間学校",
            "原発性胆汁性胆管炎",
            "東病棟",
            "関節リウマチ",
            "模様",
            "多様性",
            "仕様書",
            "中心静脈栄養",
            "10-20-30",
            "100-200",
            "mg/dL",
            "user@",
            "@home 1234567",
            "リウマチ アテ",
            "ア カラシア",
            "1日3回毎食後 7日分",
            "経過観察 3か月後再診",
            "A1234567",
            "ABC1234567",
            "010010xx9900xx",
            "市中肺炎 2番目",
            "町内会 3",
            "番号なし",
        ] {
            assert_eq!(shapes(cell).list(), [], "{cell}");
        }
    }

    #[test]
    fn hits_hold_every_check() {
        let mut hits = Hits::NONE;
        for check in Check::ALL {
            assert!(!hits.has(check));
            hits.add(check);
            assert!(hits.has(check));
        }
        assert_eq!(hits.list(), Check::ALL);
    }
}
