//! What patients have, what is measured, why they are admitted and what they take.
//!
//! Codes have the form of JLAC10, ICD-10 and YJ and mostly mean what stands beside them; they are for
//! trying software, not for coding.

use super::SampleError;
use super::people::{FIRST_DAY, LAST_DAY, Person, day, lived};
use super::random::Random;
use super::sink::{Kind, Sink};

/// The columns of `labs`.
pub(super) const LAB_COLUMNS: &[(&str, Kind)] = &[
    ("患者ID", Kind::Text),
    ("オーダー番号", Kind::Text),
    ("採取日", Kind::Date),
    ("JLAC10", Kind::Text),
    ("検査名", Kind::Text),
    ("結果値", Kind::Double),
    ("単位", Kind::Text),
    ("依頼医", Kind::Text),
];

/// The columns of `dpc`.
pub(super) const DPC_COLUMNS: &[(&str, Kind)] = &[
    ("患者ID", Kind::Text),
    ("施設コード", Kind::Text),
    ("入院日", Kind::Date),
    ("退院日", Kind::Date),
    ("ICD10", Kind::Text),
    ("傷病名", Kind::Text),
    ("転帰", Kind::Text),
    ("請求点数", Kind::Bigint),
    ("備考", Kind::Text),
];

/// The columns of `drugs`.
pub(super) const DRUG_COLUMNS: &[(&str, Kind)] = &[
    ("患者ID", Kind::Text),
    ("レセプト番号", Kind::Text),
    ("処方日", Kind::Date),
    ("YJコード", Kind::Text),
    ("医薬品名", Kind::Text),
    ("数量", Kind::Double),
    ("単位", Kind::Text),
    ("日数", Kind::Bigint),
];

/// What a patient has for long.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Diabetes,
    Hypertension,
    Dyslipidemia,
    Kidney,
    Heart,
    Fibrillation,
    Rheumatism,
    Stomach,
    Cancer,
}

/// Condition, and how many in a million have it below 40, from 40, from 65.
const CONDITIONS: &[(Condition, [u32; 3])] = &[
    (Condition::Diabetes, [12_000, 95_000, 190_000]),
    (Condition::Hypertension, [15_000, 220_000, 520_000]),
    (Condition::Dyslipidemia, [20_000, 210_000, 340_000]),
    (Condition::Kidney, [3_000, 30_000, 130_000]),
    (Condition::Heart, [1_000, 12_000, 70_000]),
    (Condition::Fibrillation, [500, 9_000, 60_000]),
    (Condition::Rheumatism, [1_500, 9_000, 14_000]),
    (Condition::Stomach, [40_000, 110_000, 170_000]),
    (Condition::Cancer, [1_500, 25_000, 85_000]),
];

/// A patient's conditions.
pub(super) struct Health(Vec<Condition>);

impl Health {
    pub(super) fn make(random: &mut Random, person: &Person) -> Self {
        let band = match person.age {
            ..40 => 0,
            40..65 => 1,
            _ => 2,
        };
        let mut has = Vec::new();
        for (condition, shares) in CONDITIONS {
            let mut share = shares.get(band).copied().unwrap_or(0);
            // Diabetes does not come alone.
            if has.contains(&Condition::Diabetes)
                && matches!(
                    condition,
                    Condition::Hypertension | Condition::Dyslipidemia | Condition::Kidney
                )
            {
                share = share * 8 / 5;
            }
            if *condition == Condition::Rheumatism && person.is_woman {
                share *= 3;
            }
            if random.chance(share) {
                has.push(*condition);
            }
        }
        Self(has)
    }

    fn has(&self, condition: Condition) -> bool {
        self.0.contains(&condition)
    }
}

/// A laboratory test: JLAC10, name, unit, mean, deviation, digits after the point, share of visits in
/// percent.
struct Test {
    code: &'static str,
    name: &'static str,
    unit: &'static str,
    mean: f64,
    deviation: f64,
    digits: usize,
    share: u32,
}

const fn test(
    code: &'static str,
    name: &'static str,
    unit: &'static str,
    normal: (f64, f64),
    digits: usize,
    share: u32,
) -> Test {
    Test {
        code,
        name,
        unit,
        mean: normal.0,
        deviation: normal.1,
        digits,
        share,
    }
}

const HBA1C: &str = "3D046000001906202";
const GLUCOSE: &str = "3D010000001926101";
const CREATININE: &str = "3C015000002327101";
const EGFR: &str = "8A065000002391901";
const LDL: &str = "3F077000002327101";
const TRIGLYCERIDE: &str = "3F015000002327101";
const BNP: &str = "4Z271000002305201";
const CRP: &str = "5C070000002306201";

const TESTS: &[Test] = &[
    test(HBA1C, "HbA1c(NGSP)", "%", (5.5, 0.3), 1, 30),
    test(GLUCOSE, "空腹時血糖", "mg/dL", (96.0, 9.0), 0, 45),
    test(CREATININE, "クレアチニン", "mg/dL", (0.75, 0.15), 2, 70),
    test(EGFR, "eGFR", "mL/min/1.73m2", (78.0, 13.0), 1, 55),
    test("3B035000002327201", "AST(GOT)", "U/L", (24.0, 8.0), 0, 65),
    test("3B045000002327201", "ALT(GPT)", "U/L", (22.0, 10.0), 0, 65),
    test("3B090000002327101", "γ-GT", "U/L", (32.0, 18.0), 0, 50),
    test(LDL, "LDLコレステロール", "mg/dL", (112.0, 24.0), 0, 40),
    test(
        "3F070000002327101",
        "HDLコレステロール",
        "mg/dL",
        (60.0, 14.0),
        0,
        40,
    ),
    test(TRIGLYCERIDE, "中性脂肪", "mg/dL", (108.0, 45.0), 0, 40),
    test(
        "2A030000001930101",
        "ヘモグロビン",
        "g/dL",
        (13.4, 1.4),
        1,
        70,
    ),
    test(
        "2A010000001930101",
        "白血球数",
        "10^3/μL",
        (6.1, 1.6),
        1,
        70,
    ),
    test(
        "2A050000001930101",
        "血小板数",
        "10^4/μL",
        (22.5, 5.0),
        1,
        70,
    ),
    test("3H015000002326101", "カリウム", "mmol/L", (4.2, 0.4), 1, 50),
    test(CRP, "CRP", "mg/dL", (0.2, 0.15), 2, 40),
    test(BNP, "BNP", "pg/mL", (22.0, 12.0), 1, 6),
];

/// One in so many visits is a whole panel; most are a few tests.
const VISITS: &[(i32, u32)] = &[(0, 18), (1, 38), (2, 22), (3, 12), (5, 7), (9, 3)];

/// Writes a patient's laboratory values.
pub(super) fn labs(
    random: &mut Random,
    person: &Person,
    health: &Health,
    to: &mut Sink,
) -> Result<(), SampleError> {
    let base = random
        .pick_weighted(VISITS, |visits| visits.1)
        .map_or(1, |visits| visits.0);
    let more = i32::try_from(health.0.len()).unwrap_or(0) / 2;
    // One patient's diabetes is worse than another's, and stays so.
    let severity = random.normal(0.0, 1.0);
    for visit in 0..base + more {
        let date = day(lived(random, person));
        let order = format!("L{}{visit:03}", person.id);
        let doctor = random.pick(DOCTORS).copied().unwrap_or_default();
        for test in TESTS {
            let wanted = match test.code {
                HBA1C | GLUCOSE if health.has(Condition::Diabetes) => 95,
                BNP if health.has(Condition::Heart) => 80,
                _ => test.share * 6 / 10,
            };
            if random.below(100) >= wanted {
                continue;
            }
            let (shift, spread) = effect(test.code, health, severity);
            let value = random.normal(test.mean + shift, test.deviation * spread);
            // Nobody has none of it.
            let value = value.max(test.mean / 10.0);
            to.row(&[
                person.id.as_str(),
                &order,
                &date,
                test.code,
                test.name,
                &format!("{value:.*}", test.digits),
                test.unit,
                doctor,
            ])?;
        }
    }
    Ok(())
}

/// How far a patient's conditions move a test's mean, and by how much they widen it.
fn effect(code: &str, health: &Health, severity: f64) -> (f64, f64) {
    match code {
        HBA1C if health.has(Condition::Diabetes) => (1.7 + 0.7 * severity, 1.6),
        GLUCOSE if health.has(Condition::Diabetes) => (48.0 + 20.0 * severity, 2.4),
        CREATININE if health.has(Condition::Kidney) => (0.9 + 0.3 * severity.abs(), 2.0),
        EGFR if health.has(Condition::Kidney) => (-36.0 - 6.0 * severity, 1.0),
        LDL | TRIGLYCERIDE if health.has(Condition::Dyslipidemia) => (32.0, 1.3),
        BNP if health.has(Condition::Heart) => (260.0 + 60.0 * severity, 6.0),
        CRP if health.has(Condition::Rheumatism) => (1.4, 4.0),
        _ => (0.0, 1.0),
    }
}

/// Names of doctors, which are names of persons too.
const DOCTORS: &[&str] = &[
    "石川　直樹",
    "渡辺　美穂",
    "大西　哲也",
    "高木　裕子",
    "松岡　隆",
    "永井　香織",
    "服部　誠",
    "菅原　智子",
];

/// Why patients are admitted: ICD-10, name, weight, mean days, deaths in a thousand, and who.
struct Disease {
    code: &'static str,
    name: &'static str,
    weight: u32,
    days: i32,
    deaths: u32,
    who: Who,
}

#[derive(Clone, Copy)]
enum Who {
    Anybody,
    Old,
    Mother,
    Baby,
    With(Condition),
}

const fn disease(
    code: &'static str,
    name: &'static str,
    weight: u32,
    days: i32,
    deaths: u32,
    who: Who,
) -> Disease {
    Disease {
        code,
        name,
        weight,
        days,
        deaths,
        who,
    }
}

const DISEASES: &[Disease] = &[
    disease("J189", "肺炎", 5_200, 14, 70, Who::Anybody),
    disease("J690", "誤嚥性肺炎", 6_400, 24, 170, Who::Old),
    disease("I639", "脳梗塞", 5_600, 26, 60, Who::Old),
    disease("S7200", "大腿骨頸部骨折", 4_700, 31, 15, Who::Old),
    disease(
        "I500",
        "うっ血性心不全",
        21_000,
        19,
        90,
        Who::With(Condition::Heart),
    ),
    disease(
        "I489",
        "心房細動",
        9_000,
        5,
        3,
        Who::With(Condition::Fibrillation),
    ),
    disease("I219", "急性心筋梗塞", 1_300, 13, 80, Who::Old),
    disease("I209", "狭心症", 3_100, 4, 2, Who::Old),
    disease("H259", "老人性白内障", 6_800, 2, 0, Who::Old),
    disease("C349", "肺癌", 14_000, 12, 85, Who::With(Condition::Cancer)),
    disease(
        "C189",
        "結腸癌",
        13_000,
        13,
        35,
        Who::With(Condition::Cancer),
    ),
    disease("C169", "胃癌", 11_000, 12, 45, Who::With(Condition::Cancer)),
    disease("C509", "乳癌", 8_000, 9, 12, Who::With(Condition::Cancer)),
    disease(
        "C220",
        "肝細胞癌",
        5_000,
        11,
        70,
        Who::With(Condition::Cancer),
    ),
    disease(
        "E119",
        "2型糖尿病",
        9_500,
        12,
        2,
        Who::With(Condition::Diabetes),
    ),
    disease(
        "N185",
        "慢性腎臓病ステージ5",
        9_000,
        15,
        40,
        Who::With(Condition::Kidney),
    ),
    disease(
        "M0690",
        "関節リウマチ",
        9_000,
        14,
        6,
        Who::With(Condition::Rheumatism),
    ),
    disease("N390", "尿路感染症", 3_600, 12, 20, Who::Anybody),
    disease("K802", "胆石症", 3_000, 8, 4, Who::Anybody),
    disease("K573", "大腸憩室症", 2_500, 8, 3, Who::Anybody),
    disease("K358", "急性虫垂炎", 1_800, 6, 1, Who::Anybody),
    disease("K254", "出血性胃潰瘍", 1_400, 9, 15, Who::Anybody),
    disease("A099", "感染性胃腸炎", 2_300, 5, 2, Who::Anybody),
    disease("U071", "COVID-19", 3_400, 11, 45, Who::Anybody),
    disease(
        "J441",
        "慢性閉塞性肺疾患の急性増悪",
        1_900,
        16,
        60,
        Who::Old,
    ),
    disease("J459", "気管支喘息", 1_500, 7, 2, Who::Anybody),
    disease("M179", "変形性膝関節症", 3_300, 23, 1, Who::Old),
    disease("M4806", "腰部脊柱管狭窄症", 2_400, 17, 1, Who::Old),
    disease("G409", "てんかん", 1_300, 8, 4, Who::Anybody),
    disease("O80", "自然分娩", 9_000, 6, 0, Who::Mother),
    disease("P071", "低出生体重児", 30_000, 21, 8, Who::Baby),
    // A few in the whole sample: what suppression is for.
    disease("G122", "筋萎縮性側索硬化症", 60, 28, 80, Who::Anybody),
    disease("G35", "多発性硬化症", 70, 15, 2, Who::Anybody),
    disease("G10", "ハンチントン病", 6, 30, 40, Who::Anybody),
    disease("I270", "特発性肺動脈性肺高血圧症", 14, 17, 60, Who::Anybody),
    disease("E752", "ファブリー病", 5, 9, 5, Who::Anybody),
    disease("E830", "ウィルソン病", 5, 10, 5, Who::Anybody),
    disease(
        "D595",
        "発作性夜間ヘモグロビン尿症",
        4,
        12,
        15,
        Who::Anybody,
    ),
    disease("A810", "クロイツフェルト・ヤコブ病", 2, 60, 600, Who::Old),
];

impl Disease {
    fn weight_for(&self, person: &Person, health: &Health) -> u32 {
        let is_possible = match self.who {
            Who::Anybody => true,
            Who::Old => person.age >= 55,
            Who::Mother => person.is_woman && (20..=43).contains(&person.age),
            Who::Baby => person.age <= 2,
            Who::With(condition) => health.has(condition),
        };
        // 乳癌 of men is possible, and rare.
        let is_rare = self.code == "C509" && !person.is_woman;
        match (is_possible, is_rare) {
            (false, _) => 0,
            (true, true) => self.weight / 150,
            (true, false) => self.weight,
        }
    }
}

/// Writes a patient's admissions.
pub(super) fn admissions(
    random: &mut Random,
    person: &Person,
    health: &Health,
    to: &mut Sink,
) -> Result<(), SampleError> {
    let share = match person.age {
        ..3 => 200_000,
        3..20 => 50_000,
        20..55 => 120_000,
        55..75 => 240_000,
        _ => 420_000,
    };
    let mut from = FIRST_DAY.max(person.birth);
    while random.chance(share) && from < LAST_DAY {
        let Some(disease) =
            random.pick_weighted(DISEASES, |disease| disease.weight_for(person, health))
        else {
            return Ok(());
        };
        let start = random.between(from, LAST_DAY);
        // Skewed to the right: most stay a little shorter than the mean, some far longer.
        let long = if random.chance(120_000) { 3 } else { 1 };
        let stay = (random.between(disease.days * 4 / 10, disease.days * 13 / 10) * long).max(1);
        let end = start + stay;
        let deaths = disease.deaths * if person.age >= 80 { 2_000 } else { 800 };
        let outcome = if random.chance(deaths) {
            "死亡"
        } else {
            let outcomes = [
                ("軽快", 62),
                ("治癒", 14),
                ("寛解", 3),
                ("不変", 14),
                ("増悪", 2),
                ("転医", 5),
            ];
            random
                .pick_weighted(&outcomes, |outcome| outcome.1)
                .map_or("軽快", |outcome| outcome.0)
        };
        let points = stay * random.between(2_400, 5_200) + random.between(3_000, 90_000);
        to.row(&[
            person.id.clone(),
            format!("13{:08}", 10_000_000 + random.below(40) * 137),
            day(start),
            day(end),
            disease.code.to_owned(),
            disease.name.to_owned(),
            outcome.to_owned(),
            points.to_string(),
            note(random, person),
        ])?;
        if outcome == "死亡" {
            return Ok(());
        }
        from = end + 1;
    }
    Ok(())
}

/// Free text, with what free text has in it.
fn note(random: &mut Random, person: &Person) -> String {
    match random.below(12) {
        0 => format!("{}様　家族へ説明済み", person.name),
        1 => "長女が付添い、退院後は同居予定".to_owned(),
        2 => "紹介状あり, 返書済み".to_owned(),
        3 => "アレルギー: ペニシリン系".to_owned(),
        4 => format!(
            "連絡先 03-{:04}-{:04}",
            random.below(10_000),
            random.below(10_000)
        ),
        _ => String::new(),
    }
}

/// A drug: YJ code, name, quantity a day, unit, for whom, share in percent.
struct Drug {
    code: &'static str,
    name: &'static str,
    quantity: f64,
    unit: &'static str,
    condition: Option<Condition>,
    share: u32,
}

const fn drug(
    code: &'static str,
    name: &'static str,
    quantity: f64,
    unit: &'static str,
    condition: Option<Condition>,
    share: u32,
) -> Drug {
    Drug {
        code,
        name,
        quantity,
        unit,
        condition,
        share,
    }
}

const DRUGS: &[Drug] = &[
    drug(
        "3962002F3023",
        "メトグルコ錠500mg",
        2.0,
        "錠",
        Some(Condition::Diabetes),
        58,
    ),
    drug(
        "3969010F2030",
        "ジャヌビア錠50mg",
        1.0,
        "錠",
        Some(Condition::Diabetes),
        41,
    ),
    drug(
        "3969019F2027",
        "フォシーガ錠10mg",
        1.0,
        "錠",
        Some(Condition::Diabetes),
        27,
    ),
    drug(
        "2492416G3028",
        "ランタス注ソロスター300単位",
        1.0,
        "キット",
        Some(Condition::Diabetes),
        11,
    ),
    drug(
        "2171022F2022",
        "ノルバスク錠5mg",
        1.0,
        "錠",
        Some(Condition::Hypertension),
        52,
    ),
    drug(
        "2149042F2021",
        "ミカルディス錠40mg",
        1.0,
        "錠",
        Some(Condition::Hypertension),
        33,
    ),
    drug(
        "2189015F2022",
        "リピトール錠10mg",
        1.0,
        "錠",
        Some(Condition::Dyslipidemia),
        38,
    ),
    drug(
        "2189017F1022",
        "クレストール錠2.5mg",
        1.0,
        "錠",
        Some(Condition::Dyslipidemia),
        44,
    ),
    drug(
        "2139005F2296",
        "ラシックス錠20mg",
        1.0,
        "錠",
        Some(Condition::Heart),
        61,
    ),
    drug(
        "3339003F2024",
        "イグザレルト錠15mg",
        1.0,
        "錠",
        Some(Condition::Fibrillation),
        55,
    ),
    drug(
        "3332001F1024",
        "ワーファリン錠1mg",
        2.5,
        "錠",
        Some(Condition::Fibrillation),
        21,
    ),
    drug(
        "3999016M1021",
        "リウマトレックスカプセル2mg",
        3.0,
        "カプセル",
        Some(Condition::Rheumatism),
        66,
    ),
    drug(
        "2456001F1310",
        "プレドニン錠5mg",
        1.0,
        "錠",
        Some(Condition::Rheumatism),
        35,
    ),
    drug(
        "2329030F2020",
        "タケキャブ錠20mg",
        1.0,
        "錠",
        Some(Condition::Stomach),
        49,
    ),
    drug(
        "2325003F2203",
        "ガスター錠20mg",
        2.0,
        "錠",
        Some(Condition::Stomach),
        26,
    ),
    drug(
        "3399007H1021",
        "バイアスピリン錠100mg",
        1.0,
        "錠",
        Some(Condition::Heart),
        40,
    ),
    drug("1149019F1560", "ロキソニン錠60mg", 3.0, "錠", None, 9),
    drug("1141007F3021", "カロナール錠500", 3.0, "錠", None, 12),
    drug("2233002F2171", "ムコダイン錠500mg", 3.0, "錠", None, 6),
    drug("2649735S2169", "モーラステープ20mg", 7.0, "枚", None, 7),
];

/// Writes a patient's prescriptions.
pub(super) fn prescriptions(
    random: &mut Random,
    person: &Person,
    health: &Health,
    to: &mut Sink,
) -> Result<(), SampleError> {
    let mut count = 0;
    for drug in DRUGS {
        let is_for = drug.condition.is_none_or(|condition| health.has(condition));
        if !is_for || random.below(100) >= drug.share {
            continue;
        }
        // What is for long is prescribed again.
        let times = if drug.condition.is_some() {
            random.between(1, 4)
        } else {
            1
        };
        for _ in 0..times {
            let days = match drug.condition {
                Some(_) => random
                    .pick(&[28, 28, 30, 56, 60, 84, 90])
                    .copied()
                    .unwrap_or(28),
                None => random.pick(&[3, 5, 7, 14]).copied().unwrap_or(7),
            };
            let half = if random.chance(60_000) { 0.5 } else { 1.0 };
            to.row(&[
                person.id.clone(),
                format!("R{}{count:03}", person.id),
                day(lived(random, person)),
                drug.code.to_owned(),
                drug.name.to_owned(),
                format!("{}", drug.quantity * half),
                drug.unit.to_owned(),
                days.to_string(),
            ])?;
            count += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_well_formed_and_used_once() {
        assert!(TESTS.iter().all(|test| test.code.len() == 17));
        assert!(DRUGS.iter().all(|drug| drug.code.len() == 12));
        for codes in [
            TESTS.iter().map(|test| test.code).collect::<Vec<_>>(),
            DRUGS.iter().map(|drug| drug.code).collect(),
            DISEASES.iter().map(|disease| disease.code).collect(),
        ] {
            assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
        }
    }
}
