//! From numbers to places, and the round numbers that stand at an axis.

use crate::chart::bins::float;
use crate::chart::data::date;

/// Larger numbers are drawn at this one: differences of the largest floats are infinite.
const DRAWN_MAX: f64 = 1e300;
/// The same on a logarithmic axis, upwards and downwards.
const LOG_MAX: f64 = 1e250;
/// Ticks of an axis, at most.
const TICKS_MAX: usize = 24;
/// Days of round distances on an axis of dates.
const DAYS: [f64; 11] = [
    1.0, 2.0, 7.0, 14.0, 30.4375, 60.875, 91.3125, 182.625, 365.25, 730.5, 1826.25,
];

/// Numbers and the share of the axis that they are at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    low: f64,
    high: f64,
    is_log: bool,
}

impl Scale {
    /// Over these numbers with a little room, and over `also`. On a logarithmic scale, what is not positive
    /// has no place and is left out.
    pub fn over(numbers: impl IntoIterator<Item = f64>, also: &[f64], is_log: bool) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        let mut within = |number: f64| {
            if number.is_finite() && !(is_log && number <= 0.0) {
                let number = if is_log {
                    number.clamp(1.0 / LOG_MAX, LOG_MAX)
                } else {
                    number.clamp(-DRAWN_MAX, DRAWN_MAX)
                };
                low = low.min(number);
                high = high.max(number);
            }
        };
        numbers.into_iter().for_each(&mut within);
        also.iter().copied().for_each(&mut within);
        if low > high {
            (low, high) = if is_log { (0.1, 10.0) } else { (0.0, 1.0) };
        }
        if is_log {
            let room = ((high.ln() - low.ln()) * 0.04).exp().max(1.05);
            low /= room;
            high *= room;
        } else if low == high {
            let room = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
            (low, high) = (low - room, high + room);
        } else {
            let room = (high - low) * 0.04;
            // What is asked for as an end stays the end: bars stand on their 0.
            if !also.contains(&low) {
                low -= room;
            }
            if !also.contains(&high) {
                high += room;
            }
        }
        Self { low, high, is_log }
    }

    /// Exactly between two numbers.
    pub fn between(low: f64, high: f64) -> Self {
        Self {
            low,
            high,
            is_log: false,
        }
    }

    /// The other way round: rows of a forest go downwards.
    #[must_use]
    pub fn turned(self) -> Self {
        Self {
            low: self.high,
            high: self.low,
            ..self
        }
    }

    /// The share of the axis, 0 at its lower end; `None` for what has no place on it.
    pub fn share(&self, number: f64) -> Option<f64> {
        if !number.is_finite() || (self.is_log && number <= 0.0) {
            return None;
        }
        let number = number.clamp(-DRAWN_MAX, DRAWN_MAX);
        let share = if self.is_log {
            // Of quotients, the logarithm could be infinite.
            (number.ln() - self.low.ln()) / (self.high.ln() - self.low.ln())
        } else {
            (number - self.low) / (self.high - self.low)
        };
        Some(share)
    }

    /// Whether it lies between the ends.
    pub fn holds(&self, number: f64) -> bool {
        (self.low.min(self.high)..=self.high.max(self.low)).contains(&number)
    }

    /// Round numbers and their words, about `wanted`.
    pub fn ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        if self.is_log {
            let few = self.logarithmic(wanted);
            if few.len() >= 2 {
                return few;
            }
        }
        let step = round_step((self.high - self.low) / float(wanted.clamp(1, TICKS_MAX)));
        self.every(step)
            .into_iter()
            .map(|number| (number, words(number, step)))
            .collect()
    }

    /// Days and ISO dates; where days are whole months or years apart, without the rest.
    pub fn date_ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        let rough = (self.high - self.low) / float(wanted.clamp(1, TICKS_MAX));
        let step = DAYS.into_iter().find(|days| *days >= rough);
        let step = step.unwrap_or_else(|| 365.25 * round_step(rough / 365.25));
        if step < 30.0 {
            return self.every(step).into_iter().map(|d| (d, date(d))).collect();
        }
        let months = crate::chart::bins::ceil_to((step / 30.4375).round(), 12 * 5000);
        let mut ticks = Vec::new();
        // The calendar's own firsts of months: 30.4375 days are no month.
        let years = (1..=9999).skip_while(|year| first_of(*year, 12).is_none_or(|d| d < self.low));
        'years: for year in years {
            for month in 1..=12_u32 {
                let since = u64::from(month.saturating_sub(1)) + u64::from(year) * 12;
                let Some(day) = first_of(year, month) else {
                    break 'years;
                };
                if day > self.high || ticks.len() >= TICKS_MAX {
                    break 'years;
                }
                let is_round = since
                    .checked_rem(u64::try_from(months).unwrap_or(1))
                    .is_some_and(|rest| rest == 0);
                if day >= self.low && is_round {
                    let words = if months.is_multiple_of(12) {
                        format!("{year:04}")
                    } else {
                        format!("{year:04}-{month:02}")
                    };
                    ticks.push((day, words));
                }
            }
        }
        ticks
    }

    /// 1, 2, 5, 10 … or only powers of ten, where those are enough.
    fn logarithmic(&self, wanted: usize) -> Vec<(f64, String)> {
        let decades = self.low.log10().floor()..=self.high.log10().ceil();
        let mut all = Vec::new();
        let mut power = *decades.start();
        while power <= *decades.end() && all.len() < 2000 {
            for digit in [1.0, 2.0, 5.0] {
                let number = digit * 10_f64.powf(power);
                if self.holds(number) {
                    all.push((number, digit));
                }
            }
            power += 1.0;
        }
        let is_full = all.len() > wanted;
        let tens = all.iter().filter(|(_, digit)| *digit == 1.0).count();
        let keep = |digit: f64| !is_full || tens < 2 || digit == 1.0;
        let kept: Vec<f64> = all
            .iter()
            .filter(|(_, digit)| keep(*digit))
            .map(|(number, _)| *number)
            .collect();
        let every = kept.len().div_ceil(wanted.max(1)).max(1);
        kept.into_iter()
            .step_by(every)
            .map(|number| (number, words(number, number)))
            .collect()
    }

    fn every(&self, step: f64) -> Vec<f64> {
        let first = (self.low / step).ceil();
        (0..TICKS_MAX.saturating_mul(2))
            .map(|index| (first + float(index)) * step)
            .take_while(|number| *number <= self.high + step * 1e-9)
            // -0 is not what people write.
            .map(|number| if number == 0.0 { 0.0 } else { number })
            .collect()
    }
}

fn first_of(year: u16, month: u32) -> Option<f64> {
    crate::chart::data::day(&format!("{year:04}-{month:02}"))
}

/// The next of 1, 2, 2.5, 5 times a power of ten.
pub fn round_step(rough: f64) -> f64 {
    let rough = rough.clamp(1e-300, 1e300);
    let power = 10_f64.powf(rough.log10().floor());
    let digit = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .find(|digit| digit * power >= rough * (1.0 - 1e-9))
        .unwrap_or(10.0);
    digit * power
}

/// A number with as many digits as tell it from its neighbours at this distance; thousands apart.
pub fn words(number: f64, step: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-4..1e9).contains(&size) {
        let text = format!("{number:.3e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = digits.trim_end_matches('0').trim_end_matches('.');
        return format!("{digits}e{power}");
    }
    let decimals = (0..8_usize)
        .find(|decimals| {
            let shifted = step * 10_f64.powi(i32::try_from(*decimals).unwrap_or(0));
            (shifted - shifted.round()).abs() < 1e-6 * shifted.abs().max(1e-9)
        })
        .unwrap_or(8);
    let text = format!("{number:.decimals$}");
    let (whole, rest) = match text.split_once('.') {
        Some((whole, rest)) => (whole, Some(rest)),
        None => (text.as_str(), None),
    };
    let (sign, digits) = match whole.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", whole),
    };
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        let left = digits.len().saturating_sub(index);
        if index > 0 && left.is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    match rest {
        Some(rest) => format!("{sign}{grouped}.{rest}"),
        None => format!("{sign}{grouped}"),
    }
}

/// A value under the pointer: four significant digits, or all of a whole number.
pub fn value_words(number: f64) -> String {
    if number == number.trunc() && number.abs() < 1e15 {
        return words(number, 1.0);
    }
    let size = number.abs();
    let step = 10_f64.powf(size.log10().floor() - 3.0);
    words(number, step.clamp(1e-8, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(ticks: &[(f64, String)]) -> Vec<&str> {
        ticks.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_and_inside() {
        let scale = Scale::over([0.0, 12_430.0], &[0.0], false);
        assert_eq!(
            texts(&scale.ticks(6)),
            ["0", "2,500", "5,000", "7,500", "10,000", "12,500"]
        );
        assert_eq!(scale.share(0.0), Some(0.0));
        let scale = Scale::between(0.0, 1.0);
        assert_eq!(
            texts(&scale.ticks(5)),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        let scale = Scale::over([-0.5, 0.5], &[], false);
        assert_eq!(
            texts(&scale.ticks(5)),
            ["-0.50", "-0.25", "0.00", "0.25", "0.50"]
        );
    }

    #[test]
    fn logarithmic_ticks_are_ones_twos_and_fives() {
        let scale = Scale::over([0.4, 3.1], &[1.0], true);
        assert_eq!(texts(&scale.ticks(8)), ["0.5", "1", "2"]);
        assert_eq!(scale.share(0.0), None);
        assert!(scale.share(1.0).unwrap() > 0.4);
        let wide = Scale::over([1e-3, 1e6], &[], true);
        assert_eq!(wide.ticks(10).len(), 10);
        // Too narrow for two of them: plain ones.
        let narrow = Scale::over([1.05, 1.3], &[], true);
        assert!(narrow.ticks(5).len() >= 2);
    }

    #[test]
    fn dates_stand_at_firsts_of_months_and_years() {
        let day = |text| crate::chart::data::day(text).unwrap();
        let scale = Scale::between(day("2023-01-01"), day("2024-12-31"));
        assert_eq!(
            texts(&scale.date_ticks(5)),
            ["2023-01", "2023-07", "2024-01", "2024-07"]
        );
        let scale = Scale::between(day("2000-01-01"), day("2024-01-01"));
        let ticks = scale.date_ticks(6);
        assert_eq!(texts(&ticks), ["2000", "2005", "2010", "2015", "2020"]);
        let scale = Scale::between(day("2024-05-01"), day("2024-05-09"));
        assert_eq!(scale.date_ticks(5).len(), 5);
    }

    #[test]
    fn nothing_and_the_largest_floats_have_a_scale() {
        for scale in [
            Scale::over([], &[], false),
            Scale::over([f64::NAN, f64::INFINITY], &[], true),
            Scale::over([-f64::MAX, f64::MAX], &[], false),
            Scale::over([5.0], &[], false),
            Scale::over([0.0], &[0.0], false),
            Scale::over([1e-320, 1.0], &[], true),
        ] {
            assert!(
                !scale.ticks(6).is_empty() && scale.ticks(6).len() <= 48,
                "{scale:?}"
            );
            assert!(scale.date_ticks(6).len() <= 48);
            for share in [scale.share(1.0), scale.share(f64::MAX)] {
                assert!(share.unwrap().is_finite());
            }
        }
    }

    #[test]
    fn values_have_four_digits() {
        for (number, text) in [
            (12_430.0, "12,430"),
            (0.857_142_857, "0.8571"),
            (-1_234.567, "-1,235"),
            (0.0, "0"),
            (1.5e-7, "1.5e-7"),
            (3.2e12, "3,200,000,000,000"),
        ] {
            let shown = value_words(number);
            if number == 3.2e12 {
                assert_eq!(shown, "3.2e12");
            } else {
                assert_eq!(shown, text);
            }
        }
    }
}
