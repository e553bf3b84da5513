//! Japanese personal names, by list and by form.
//!
//! A list alone would miss rare names, form alone would take every second word for one. A whole cell is a
//! name when a known family name is followed by something that looks given; inside a sentence a name is
//! seen by what follows it (様, 先生). What this misses, `Memory` finds wherever the same name stands in a
//! dropped column.

use std::collections::HashSet;
use std::sync::OnceLock;

use kekkai_dataset::Check;

use super::Hits;
use crate::names::{FAMILY, GIVEN};

/// Spellings of names have at most so many characters.
const NAME_CHARS_MAX: usize = 12;
/// What given names end in more often than words do.
const GIVEN_ENDINGS: &str = "子美郎朗男雄夫也介輔助樹斗太人恵代江奈菜花華香織佳輝翔真心乃一二三治司史志之彦弘博和希季衣莉音央帆哉吾平";
/// The same, where no space parts the names: only what hardly a word ends in.
const GIVEN_ENDINGS_SURE: &str = "郎朗子美雄";
/// What follows a name in a sentence.
const HONORIFICS: [&str; 9] = [
    "様",
    "さん",
    "さま",
    "氏",
    "殿",
    "先生",
    "君",
    "ちゃん",
    "くん",
];

struct Lists {
    family: HashSet<&'static str>,
    family_kana: HashSet<&'static str>,
    given: HashSet<&'static str>,
    given_kana: HashSet<&'static str>,
}

fn lists() -> &'static Lists {
    static LISTS: OnceLock<Lists> = OnceLock::new();
    LISTS.get_or_init(|| Lists {
        family: FAMILY.iter().map(|name| name.0).collect(),
        family_kana: FAMILY.iter().map(|name| name.1).collect(),
        given: GIVEN.iter().map(|name| name.0).collect(),
        given_kana: GIVEN.iter().map(|name| name.1).collect(),
    })
}

/// Looks at a text whose full-width forms are plain already.
pub(super) fn look(text: &str, hits: &mut Hits) {
    if is_name(text.trim()) || has_addressed_name(text) {
        hits.add(Check::Name);
    }
}

fn is_name(cell: &str) -> bool {
    if cell.chars().count() > NAME_CHARS_MAX {
        return false;
    }
    let kana;
    let cell = if cell.chars().any(|c| matches!(c, '\u{ff66}'..='\u{ff9f}')) {
        kana = widen(cell);
        &kana
    } else {
        cell
    };
    match cell.split_once(' ') {
        Some((family, given)) => is_pair(family.trim(), given.trim()),
        None => is_joined(cell),
    }
}

fn is_pair(family: &str, given: &str) -> bool {
    let lists = lists();
    if is_all(family, is_katakana) && is_all(given, is_katakana) {
        return lists.family_kana.contains(family)
            && (lists.given_kana.contains(given)
                || (count(family) >= 3 && (2..=5).contains(&count(given))));
    }
    if !is_all(family, is_kanji) || !is_all(given, |c| is_kanji(c) || is_kana(c)) {
        return false;
    }
    let is_known = lists.family.contains(family);
    let is_given = lists.given.contains(given);
    let looks_given = count(given) <= 3
        && given
            .chars()
            .last()
            .is_some_and(|c| GIVEN_ENDINGS.contains(c));
    (is_known && (is_given || (count(family) >= 2 && looks_given)))
        || (is_given && count(given) >= 2 && (2..=3).contains(&count(family)))
}

fn is_joined(cell: &str) -> bool {
    let lists = lists();
    (2..=3).any(|length| {
        let Some((at, _)) = cell.char_indices().nth(length) else {
            return false;
        };
        let (family, given) = cell.split_at(at);
        if !lists.family.contains(family) {
            return false;
        }
        let looks_given = (2..=3).contains(&count(given))
            && is_all(given, is_kanji)
            && given
                .chars()
                .last()
                .is_some_and(|c| GIVEN_ENDINGS_SURE.contains(c));
        lists.given.contains(given) || looks_given
    })
}

/// A family name, or a whole name, right before an honorific.
fn has_addressed_name(text: &str) -> bool {
    let lists = lists();
    HONORIFICS.iter().any(|honorific| {
        text.match_indices(honorific).any(|(at, _)| {
            let before = text.get(..at).unwrap_or_default().trim_end();
            let starts: Vec<usize> = before
                .char_indices()
                .rev()
                .take(7)
                .map(|(start, _)| start)
                .collect();
            starts.iter().any(|start| {
                let name = before.get(*start..).unwrap_or_default();
                (count(name) >= 2 && lists.family.contains(name)) || is_name(name)
            })
        })
    })
}

fn count(text: &str) -> usize {
    text.chars().count()
}

fn is_all(text: &str, is: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(is)
}

fn is_kanji(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{f900}'..='\u{faff}' | '々' | 'ヶ')
}

fn is_katakana(c: char) -> bool {
    matches!(c, '\u{30a1}'..='\u{30fa}' | 'ー')
}

fn is_kana(c: char) -> bool {
    is_katakana(c) || matches!(c, '\u{3041}'..='\u{3096}')
}

/// Half-width katakana, in the order of their code points from U+FF66.
const WIDE: &str = "ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン";

/// Half-width katakana to full-width ones, voiced marks joined to their letter.
pub(super) fn widen(text: &str) -> String {
    let mut wide = String::with_capacity(text.len());
    for c in text.chars() {
        let mapped = u32::from(c)
            .checked_sub(0xff66)
            .and_then(|at| usize::try_from(at).ok())
            .and_then(|at| WIDE.chars().nth(at));
        match (c, mapped) {
            ('ﾞ', _) => voice(&mut wide, 1),
            ('ﾟ', _) => voice(&mut wide, 2),
            (_, Some(mapped)) => wide.push(mapped),
            (c, None) => wide.push(c),
        }
    }
    wide
}

/// Voiced and half-voiced letters follow their plain one in Unicode.
fn voice(text: &mut String, by: u32) {
    let Some(last) = text.pop() else { return };
    let takes = match by {
        1 => matches!(
            last,
            'カ'..='ヂ' | 'ツ' | 'テ' | 'ト' | 'ハ' | 'ヒ' | 'フ' | 'ヘ' | 'ホ'
        ),
        _ => matches!(last, 'ハ' | 'ヒ' | 'フ' | 'ヘ' | 'ホ'),
    };
    let voiced = if last == 'ウ' && by == 1 {
        Some('ヴ')
    } else if takes {
        char::from_u32(u32::from(last) + by)
    } else {
        None
    };
    text.push(voiced.unwrap_or(last));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_lists_is_found_in_every_spelling() {
        for (family, family_kana) in FAMILY {
            for (given, given_kana, _) in GIVEN {
                let mut spellings = vec![
                    format!("{family} {given}"),
                    format!("{family_kana} {given_kana}"),
                ];
                if count(family) > 1 {
                    spellings.push(format!("{family}{given}"));
                    spellings.push(format!("付添は{family}{given}さん"));
                }
                for name in spellings {
                    let mut hits = Hits::NONE;
                    look(&name, &mut hits);
                    assert!(hits.has(Check::Name), "{name}");
                }
            }
        }
    }

    #[test]
    fn half_width_katakana_are_widened() {
        assert_eq!(widen("ﾔﾏﾀﾞ ﾋﾟﾝﾎﾟﾝ ｳﾞ-ｯｰ x"), "ヤマダ ピンポン ヴ-ッー x");
    }
}
