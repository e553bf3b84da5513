//! Patients: who they are, where they live, how they are insured.

use super::Kind;
use super::random::Random;
use crate::date::civil;
use crate::names::{FAMILY, GIVEN};

/// The columns of `patients`.
pub(super) const COLUMNS: &[(&str, Kind)] = &[
    ("患者ID", Kind::Text),
    ("氏名", Kind::Text),
    ("カナ氏名", Kind::Text),
    ("生年月日", Kind::Date),
    ("性別", Kind::Text),
    ("郵便番号", Kind::Text),
    ("住所", Kind::Text),
    ("電話番号", Kind::Text),
    ("保険者番号", Kind::Text),
    ("記号", Kind::Text),
    ("番号", Kind::Text),
    ("初診日", Kind::Date),
];

/// Prefectures with municipalities, the number of the prefecture, and its weight (ten thousand people).
const PLACES: &[(&str, &[&str], u32, u32)] = &[
    ("北海道", &["札幌市北区", "旭川市", "函館市"], 1, 510),
    ("青森県", &["青森市", "八戸市"], 2, 120),
    ("岩手県", &["盛岡市", "一関市"], 3, 118),
    ("宮城県", &["仙台市青葉区", "石巻市"], 4, 226),
    ("秋田県", &["秋田市", "横手市"], 5, 92),
    ("山形県", &["山形市", "鶴岡市"], 6, 103),
    ("福島県", &["福島市", "いわき市"], 7, 177),
    ("茨城県", &["水戸市", "つくば市"], 8, 283),
    ("栃木県", &["宇都宮市", "小山市"], 9, 190),
    ("群馬県", &["前橋市", "高崎市"], 10, 191),
    ("埼玉県", &["さいたま市浦和区", "川口市", "所沢市"], 11, 733),
    ("千葉県", &["千葉市中央区", "船橋市", "柏市"], 12, 626),
    (
        "東京都",
        &["世田谷区", "練馬区", "江戸川区", "八王子市"],
        13,
        1409,
    ),
    (
        "神奈川県",
        &["横浜市港北区", "川崎市川崎区", "藤沢市"],
        14,
        923,
    ),
    ("新潟県", &["新潟市中央区", "長岡市"], 15, 213),
    ("富山県", &["富山市", "高岡市"], 16, 101),
    ("石川県", &["金沢市", "小松市"], 17, 111),
    ("福井県", &["福井市", "敦賀市"], 18, 74),
    ("山梨県", &["甲府市", "富士吉田市"], 19, 80),
    ("長野県", &["長野市", "松本市"], 20, 200),
    ("岐阜県", &["岐阜市", "大垣市"], 21, 193),
    ("静岡県", &["静岡市葵区", "浜松市中央区"], 22, 355),
    ("愛知県", &["名古屋市千種区", "豊田市", "岡崎市"], 23, 748),
    ("三重県", &["津市", "四日市市"], 24, 173),
    ("滋賀県", &["大津市", "草津市"], 25, 141),
    ("京都府", &["京都市左京区", "宇治市"], 26, 253),
    ("大阪府", &["大阪市北区", "堺市堺区", "東大阪市"], 27, 877),
    ("兵庫県", &["神戸市中央区", "姫路市", "西宮市"], 28, 537),
    ("奈良県", &["奈良市", "橿原市"], 29, 130),
    ("和歌山県", &["和歌山市", "田辺市"], 30, 89),
    ("鳥取県", &["鳥取市", "米子市"], 31, 54),
    ("島根県", &["松江市", "出雲市"], 32, 65),
    ("岡山県", &["岡山市北区", "倉敷市"], 33, 184),
    ("広島県", &["広島市中区", "福山市"], 34, 274),
    ("山口県", &["山口市", "下関市"], 35, 129),
    ("徳島県", &["徳島市", "阿南市"], 36, 69),
    ("香川県", &["高松市", "丸亀市"], 37, 92),
    ("愛媛県", &["松山市", "今治市"], 38, 129),
    ("高知県", &["高知市", "四万十市"], 39, 67),
    (
        "福岡県",
        &["福岡市中央区", "北九州市小倉北区", "久留米市"],
        40,
        510,
    ),
    ("佐賀県", &["佐賀市", "唐津市"], 41, 79),
    ("長崎県", &["長崎市", "佐世保市"], 42, 127),
    ("熊本県", &["熊本市中央区", "八代市"], 43, 171),
    ("大分県", &["大分市", "別府市"], 44, 109),
    ("宮崎県", &["宮崎市", "都城市"], 45, 104),
    ("鹿児島県", &["鹿児島市", "霧島市"], 46, 155),
    ("沖縄県", &["那覇市", "沖縄市"], 47, 147),
];

const TOWNS: &[&str] = &[
    "中央",
    "本町",
    "栄町",
    "緑町",
    "旭町",
    "東町",
    "西町",
    "南町",
    "北町",
    "若葉台",
    "桜ヶ丘",
    "大手町",
    "泉町",
    "新町",
    "元町",
    "末広町",
    "幸町",
    "日の出町",
    "松原",
    "青葉台",
];
const BUILDINGS: &[&str] = &[
    "メゾン青葉",
    "コーポ桜",
    "グリーンハイツ",
    "サンライズ本町",
    "パークサイド泉",
];

/// Ages: from, to, weight.
const AGES: &[(i32, i32, u32)] = &[
    (0, 4, 4),
    (5, 14, 4),
    (15, 29, 9),
    (30, 44, 13),
    (45, 59, 18),
    (60, 69, 16),
    (70, 79, 21),
    (80, 89, 13),
    (90, 103, 2),
];

/// The last day of the sample: 2025-03-31.
pub(super) const LAST_DAY: i32 = 20_178;
/// Its first day: 2022-04-01.
pub(super) const FIRST_DAY: i32 = 19_083;

/// One patient.
pub(super) struct Person {
    pub id: String,
    pub age: i32,
    pub is_woman: bool,
    pub birth: i32,
    pub name: String,
    family_kana: &'static str,
    given_kana: &'static str,
    place: &'static (&'static str, &'static [&'static str], u32, u32),
}

impl Person {
    pub(super) fn make(random: &mut Random, number: u64) -> Self {
        let band = random
            .pick_weighted(AGES, |band| band.2)
            .unwrap_or(&(40, 49, 1));
        let age = random.between(band.0, band.1);
        let is_woman = random.chance(if age >= 80 { 620_000 } else { 510_000 });
        let birth = LAST_DAY - age * 36_525 / 100 - random.between(0, 364);
        let family = random.pick_skewed(FAMILY).unwrap_or(&("山田", "ヤマダ"));
        // Names of the other sex's list now and then, as in life.
        let wants_woman = is_woman != random.chance(20_000);
        let given = loop {
            let given = random.pick(GIVEN).unwrap_or(&("恵", "メグミ", true));
            if given.2 == wants_woman {
                break given;
            }
        };
        let place = random.pick_weighted(PLACES, |place| place.3).unwrap_or(&(
            "東京都",
            &["練馬区"],
            13,
            1,
        ));
        Self {
            id: format!("{:08}", 10_000_000 + number),
            age,
            is_woman,
            birth,
            name: format!("{}　{}", family.0, given.0),
            family_kana: family.1,
            given_kana: given.1,
            place,
        }
    }

    pub(super) fn row(&self, random: &mut Random) -> [String; 12] {
        let (prefecture, towns, number, _) = *self.place;
        let municipality = random.pick_skewed(towns).copied().unwrap_or_default();
        let town = random.pick(TOWNS).copied().unwrap_or_default();
        let lot = match random.below(4) {
            0 => format!(
                "{}丁目{}番{}号",
                random.between(1, 6),
                random.between(1, 30),
                random.between(1, 20)
            ),
            1 => format!("{}番地", random.between(1, 2400)),
            _ => format!(
                "{}-{}-{}",
                random.between(1, 6),
                random.between(1, 30),
                random.between(1, 20)
            ),
        };
        let room = if random.chance(250_000) {
            let building = random.pick(BUILDINGS).copied().unwrap_or_default();
            format!(
                "　{building}{}号室",
                random.between(1, 9) * 100 + random.between(1, 12)
            )
        } else {
            String::new()
        };
        let phone = if random.chance(650_000) {
            let carrier = random
                .pick(&["090", "080", "070"])
                .copied()
                .unwrap_or_default();
            format!(
                "{carrier}-{:04}-{:04}",
                random.below(10_000),
                random.below(10_000)
            )
        } else {
            format!(
                "0{}-{:03}-{:04}",
                random.between(11, 99),
                random.below(1000),
                random.below(10_000)
            )
        };
        let first_visit = random.between(FIRST_DAY.max(self.birth), LAST_DAY);
        [
            self.id.clone(),
            self.name.clone(),
            format!("{}　{}", self.family_kana, self.given_kana),
            day(self.birth),
            if self.is_woman { "女" } else { "男" }.to_owned(),
            format!(
                "{:03}-{:04}",
                number * 20 + random.below(20),
                random.below(10_000)
            ),
            format!("{prefecture}{municipality}{town}{lot}{room}"),
            phone,
            insurer(random, self.age, number),
            format!("{:04}", random.below(10_000)),
            format!("{:07}", random.below(10_000_000)),
            day(first_visit),
        ]
    }
}

/// 39 for those of 75 and more, else an insurer of employees, with its check digit.
fn insurer(random: &mut Random, age: i32, prefecture: u32) -> String {
    let law = match age {
        75.. => 39,
        _ => random.pick(&[1, 1, 6, 6, 6, 31, 34]).copied().unwrap_or(6),
    };
    let body = format!("{law:02}{prefecture:02}{:03}", random.between(1, 60));
    let sum: u32 = body
        .bytes()
        .rev()
        .zip([2_u32, 1].into_iter().cycle())
        .map(|(digit, weight)| {
            let product = u32::from(digit - b'0') * weight;
            product / 10 + product % 10
        })
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

/// A day as raw data writes it.
pub(super) fn day(day: i32) -> String {
    let (year, month, day) = civil(day);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Days of the sample's period that a patient lived through.
pub(super) fn lived(random: &mut Random, person: &Person) -> i32 {
    random.between(FIRST_DAY.max(person.birth), LAST_DAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::date::days;

    #[test]
    fn period_is_what_its_days_say() {
        assert_eq!(Some(FIRST_DAY), days(2022, 4, 1));
        assert_eq!(Some(LAST_DAY), days(2025, 3, 31));
    }

    #[test]
    fn every_prefecture_is_there() {
        let names: Vec<_> = PLACES.iter().map(|place| place.0).collect();
        assert_eq!(names, crate::convert::PREFECTURES);
        assert!(
            PLACES
                .iter()
                .enumerate()
                .all(|(at, place)| place.2 as usize == at + 1)
        );
    }
}
