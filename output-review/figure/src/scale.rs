//! From numbers to pixels, and the round numbers that stand at an axis.

/// Ticks of an axis, at most.
const TICKS_MAX: usize = 12;
/// Larger numbers are drawn at this one: differences of the largest floats are infinite.
const DRAWN_MAX: f64 = 1e300;

/// Smallest and largest of some numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Range {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Range {
    /// `None` without numbers.
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        numbers
            .into_iter()
            .filter(|number| number.is_finite())
            .map(|number| number.clamp(-DRAWN_MAX, DRAWN_MAX))
            .fold(None, |range: Option<Self>, number| {
                Some(match range {
                    None => Self {
                        low: number,
                        high: number,
                    },
                    Some(Self { low, high }) => Self {
                        low: low.min(number),
                        high: high.max(number),
                    },
                })
            })
    }

    /// With this number inside.
    pub(crate) fn with(self, number: f64) -> Self {
        Self {
            low: self.low.min(number),
            high: self.high.max(number),
        }
    }
}

/// An axis: a range of numbers on a range of pixels.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    range: Range,
    pixels: (f64, f64),
    is_logarithmic: bool,
    /// Where ticks stand, and what they say.
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Scale {
    /// An axis that begins and ends at ticks.
    pub(crate) fn linear(range: Range, pixels: (f64, f64)) -> Self {
        let range = widened(range);
        let step = step((range.high - range.low) / 5.0);
        let first = (range.low / step).floor();
        let last = (range.high / step).ceil();
        let mut ticks = Vec::new();
        let mut at = first;
        while at <= last && ticks.len() < TICKS_MAX {
            ticks.push((at * step, tick(at * step, step)));
            at += 1.0;
        }
        Self {
            range: Range {
                low: range.low.min(first * step),
                high: range.high.max(last * step),
            },
            pixels,
            is_logarithmic: false,
            ticks,
        }
    }

    /// A logarithmic axis for positive numbers, with ticks at round multiples of powers of ten.
    pub(crate) fn logarithmic(range: Range, pixels: (f64, f64)) -> Self {
        let range = Range {
            low: range.low.max(1.0 / DRAWN_MAX),
            high: range.high.max(1.0 / DRAWN_MAX),
        };
        let range = if range.low < range.high {
            range
        } else {
            Range {
                low: range.low / 2.0,
                high: range.high * 2.0,
            }
        };
        // Room at both ends, so that no interval ends in the frame.
        let range = Range {
            low: range.low / 1.1,
            high: range.high * 1.1,
        };
        let factors: &[f64] = if range.high / range.low < 10.0 {
            &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0]
        } else {
            &[1.0, 2.0, 5.0]
        };
        let mut ticks = Vec::new();
        let mut power = range.low.log10().floor();
        while power <= range.high.log10() {
            for factor in factors {
                let value: f64 = factor * 10.0_f64.powf(power);
                if value >= range.low && value <= range.high {
                    ticks.push((value, tick(value, value)));
                }
            }
            power += 1.0;
        }
        // Too many to read: powers of ten only, and of these a few.
        if ticks.len() > TICKS_MAX {
            ticks.retain(|(value, _)| (value.log10() - value.log10().round()).abs() < 1e-9);
            let keep = ticks.len().div_ceil(TICKS_MAX).max(1);
            ticks = ticks.into_iter().step_by(keep).collect();
        }
        Self {
            range,
            pixels,
            is_logarithmic: true,
            ticks,
        }
    }

    /// The pixel of a number; beyond the axis, its end.
    pub(crate) fn at(&self, number: f64) -> f64 {
        let Range { low, high } = self.range;
        let number = number.clamp(low, high);
        let share = if self.is_logarithmic {
            (number.ln() - low.ln()) / (high.ln() - low.ln())
        } else {
            (number - low) / (high - low)
        };
        let (from, to) = self.pixels;
        from + share.clamp(0.0, 1.0) * (to - from)
    }

    /// True where the axis holds this number.
    pub(crate) fn holds(&self, number: f64) -> bool {
        (self.range.low..=self.range.high).contains(&number)
    }
}

/// A range that is one number gets some room.
fn widened(range: Range) -> Range {
    let room = if range.high > range.low {
        // Neighbouring floats have no numbers between them to put ticks at.
        let smallest = range.high.abs().max(range.low.abs()) * 1e-9;
        (smallest - (range.high - range.low)).max(0.0)
    } else if range.low == 0.0 {
        1.0
    } else {
        range.low.abs() * 0.1
    };
    Range {
        low: range.low - room,
        high: range.high + room,
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is not under `least`.
fn step(least: f64) -> f64 {
    let power = 10.0_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= least * (1.0 - 1e-9))
        .unwrap_or(power * 10.0)
}

/// What stands at a tick: as many digits as the step needs.
fn tick(value: f64, step: f64) -> String {
    let value = if value.abs() < step * 1e-9 {
        0.0
    } else {
        value
    };
    let size = value.abs().max(step);
    if size >= 1e7 || step < 1e-5 {
        return format!("{value:.2e}");
    }
    let digits = (0..=6)
        .find(|digits| {
            let scaled = step * 10.0_f64.powi(*digits);
            (scaled - scaled.round()).abs() < 1e-6 * scaled
        })
        .unwrap_or(6);
    format!("{value:.*}", usize::try_from(digits).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(low: f64, high: f64) -> Vec<String> {
        Scale::linear(Range { low, high }, (0.0, 100.0))
            .ticks
            .into_iter()
            .map(|(_, word)| word)
            .collect()
    }

    #[test]
    fn ticks_are_round_numbers_around_the_range() {
        assert_eq!(words(0.0, 1.0), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(words(3.0, 97.0), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(
            words(-0.03, 0.02),
            ["-0.03", "-0.02", "-0.01", "0.00", "0.01", "0.02"]
        );
        assert_eq!(words(2020.0, 2026.0), ["2020", "2022", "2024", "2026"]);
    }

    #[test]
    fn any_finite_numbers_have_an_axis() {
        for (low, high) in [
            (0.0, 0.0),
            (5.0, 5.0),
            (-7.0, -7.0),
            (f64::MIN, f64::MAX),
            (1e-308, 2e-308),
            (1.0, 1.0 + f64::EPSILON),
            (f64::MAX, f64::MAX),
        ] {
            let range = Range::of([low, high]).unwrap();
            for scale in [
                Scale::linear(range, (0.0, 100.0)),
                Scale::logarithmic(range, (0.0, 100.0)),
            ] {
                assert!(scale.ticks.len() <= TICKS_MAX);
                for number in [low, high] {
                    let at = scale.at(number);
                    assert!((0.0..=100.0).contains(&at), "{low} {high}: {at}");
                }
            }
        }
    }

    #[test]
    fn logarithmic_axis_puts_equal_ratios_at_equal_distances() {
        let scale = Scale::logarithmic(
            Range {
                low: 0.25,
                high: 4.0,
            },
            (0.0, 100.0),
        );
        let step = scale.at(2.0) - scale.at(1.0);
        assert!((scale.at(4.0) - scale.at(2.0) - step).abs() < 1e-9);
        assert!((scale.at(1.0) - 50.0).abs() < 1e-9);
        let words: Vec<&str> = scale.ticks.iter().map(|(_, word)| word.as_str()).collect();
        assert_eq!(words, ["0.5", "1", "2"]);
    }
}
