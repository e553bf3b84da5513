//! Addresses below the municipality: 丁目, 番地, 番号, and `4-1-2` after a town.

use kekkai_dataset::Check;

use super::Hits;

/// Words that begin like a municipality's ending: 区分, 市中, 町内, 市販 …
const NOT_A_MUNICIPALITY: &str = "分域中販内画間別";

/// Looks at a text whose full-width forms are plain already.
pub(super) fn look(text: &str, hits: &mut Hits) {
    let is_address = ["丁目", "番地"]
        .iter()
        .any(|word| follows_number(text, word))
        || has_house_number(text)
        || has_lot_after_town(text);
    if is_address {
        hits.add(Check::Address);
    }
}

fn is_number(c: char) -> bool {
    c.is_ascii_digit() || "〇一二三四五六七八九十百千".contains(c)
}

fn follows_number(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        text.get(..at)
            .and_then(|before| before.chars().last())
            .is_some_and(is_number)
    })
}

/// `9番1号`, `九番一号`.
fn has_house_number(text: &str) -> bool {
    text.match_indices('番').any(|(at, _)| {
        let before = text
            .get(..at)
            .and_then(|before| before.chars().last())
            .is_some_and(is_number);
        let after = text
            .get(at..)
            .map(|after| after.trim_start_matches('番'))
            .unwrap_or_default();
        let rest = after.trim_start_matches(is_number);
        before && rest.len() < after.len() && rest.starts_with('号')
    })
}

/// `…市…4-1`, where the number stands right after Japanese text.
fn has_lot_after_town(text: &str) -> bool {
    let mut is_in_town = false;
    let mut previous = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '市' | '区' | '町' | '村' => {
                let next = rest.clone().next();
                is_in_town |= previous.is_some_and(|p: char| !p.is_ascii())
                    && !next.is_some_and(|n| NOT_A_MUNICIPALITY.contains(n));
            }
            '。' | '、' | '\n' => is_in_town = false,
            '0'..='9' if is_in_town && previous.is_some_and(|p| !p.is_ascii()) => {
                let tail = rest
                    .clone()
                    .as_str()
                    .trim_start_matches(|c: char| c.is_ascii_digit());
                let is_lot = tail
                    .strip_prefix('-')
                    .is_some_and(|lot| lot.starts_with(|c: char| c.is_ascii_digit()));
                if is_lot {
                    return true;
                }
            }
            _ => {}
        }
        previous = Some(c);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_address(text: &str) -> bool {
        let mut hits = Hits::NONE;
        look(text, &mut hits);
        hits.has(Check::Address)
    }

    #[test]
    fn lots_are_found_and_classes_are_not() {
        for text in [
            "横浜市中区山下町1-2",
            "九番一号",
            "北区十条台一丁目",
            "郡山村字中12番地",
        ] {
            assert!(is_address(text), "{text}");
        }
        for text in [
            "年齢区分10-20",
            "市販薬1-2錠",
            "東京都千代田区",
            "横浜市、体温36-37",
            "2番目",
            "10番",
            "病床番号3",
            "要介護区分3",
        ] {
            assert!(!is_address(text), "{text}");
        }
    }
}
