//! Curves and comparisons of groups.

use kekkai_statistics::{
    Contingency, FitError, Follow, Variances, chi_square, fisher_exact, kaplan_meier, log_rank,
    mann_whitney, t_test,
};
use proptest::prelude::*;

use super::close;

fn follow(times: &[f64], events: &[bool]) -> Follow {
    Follow::new(times.to_vec(), events.to_vec()).unwrap()
}

/// Times of which many are tied, with events.
fn observed() -> impl Strategy<Value = Vec<(f64, bool)>> {
    let one = (0_u32..40, any::<bool>()).prop_map(|(time, event)| (f64::from(time), event));
    prop::collection::vec(one, 12..80)
}

/// Every order of the values that falls to the first group: the definition of the exact test.
fn exact_by_enumeration(first: usize, second: usize, u: f64) -> f64 {
    let all = first + second;
    let (mut as_low, mut as_high, mut total) = (0_u64, 0_u64, 0_u64);
    for choice in 0_u32..1 << all {
        if choice.count_ones() as usize != first {
            continue;
        }
        let is_first = |place: usize| choice >> place & 1 == 1;
        let of_this: usize = (0..all)
            .filter(|place| is_first(*place))
            .map(|place| (0..place).filter(|below| !is_first(*below)).count())
            .sum();
        total += 1;
        as_low += u64::from(of_this as f64 <= u);
        as_high += u64::from(of_this as f64 >= u);
    }
    (2.0 * as_low.min(as_high) as f64 / total as f64).min(1.0)
}

proptest! {
    #[test]
    fn curve_without_censoring_is_one_less_the_empirical_distribution(
        times in prop::collection::vec(0_u32..50, 1..100)
    ) {
        let times: Vec<f64> = times.into_iter().map(f64::from).collect();
        let curve = kaplan_meier(&follow(&times, &vec![true; times.len()]));
        for step in &curve.steps {
            let later = times.iter().filter(|time| **time > step.time).count() as f64;
            let expected = later / times.len() as f64;
            assert!((step.survival - expected).abs() < 1e-12);
            // Greenwood's formula is then the binomial one.
            let error = (expected * (1.0 - expected) / times.len() as f64).sqrt();
            assert!((step.standard_error - error).abs() < 1e-9);
            assert!(step.lower <= step.survival && step.survival <= step.upper);
        }
    }

    #[test]
    fn comparison_of_groups_does_not_depend_on_order_names_or_the_unit_of_time(
        observed in observed(), scale in 0.001_f64..1000.0
    ) {
        let (times, events): (Vec<f64>, Vec<bool>) = observed.iter().copied().unzip();
        let groups: Vec<u32> = (0..times.len()).map(|i| u32::from(i % 3 == 1) + u32::from(i % 3 == 0) * 2).collect();
        let Ok(base) = log_rank(&follow(&times, &events), &groups) else {
            // Nobody had an event while groups could be compared.
            return Ok(());
        };
        let scaled: Vec<f64> = times.iter().map(|time| time * scale).collect();
        let renamed: Vec<u32> = groups.iter().map(|group| (group + 1) % 3).collect();
        let backwards = |v: &[f64]| v.iter().rev().copied().collect::<Vec<_>>();
        for (times, events, groups) in [
            (scaled, events.clone(), groups.clone()),
            (times.clone(), events.clone(), renamed),
            (
                backwards(&times),
                events.iter().rev().copied().collect(),
                groups.iter().rev().copied().collect(),
            ),
        ] {
            let other = log_rank(&follow(&times, &events), &groups).unwrap();
            close(base.test.statistic, other.test.statistic, 1e-7);
            prop_assert_eq!(base.test.degrees_of_freedom, other.test.degrees_of_freedom);
        }
    }

    #[test]
    fn exact_rank_test_is_the_count_of_all_orders(
        order in Just((0..9_usize).collect::<Vec<_>>()).prop_shuffle(), first in 2_usize..7
    ) {
        let values: Vec<f64> = order.iter().map(|v| *v as f64 * 1.5).collect();
        let (a, b) = values.split_at(first);
        let found = mann_whitney(a, b).unwrap();
        let expected = exact_by_enumeration(first, 9 - first, found.u);
        close(found.p, expected, 1e-12);
        let mirrored = mann_whitney(b, a).unwrap();
        close(found.p, mirrored.p, 1e-12);
        close(found.superiority, 1.0 - mirrored.superiority, 1e-12);
    }

    #[test]
    fn rank_test_sees_order_only(values in prop::collection::vec((-30_i32..30, any::<bool>()), 20..120)) {
        let of = |side: bool, map: fn(f64) -> f64| -> Vec<f64> {
            values.iter().filter(|v| v.1 == side).map(|v| map(f64::from(v.0))).collect()
        };
        let (a, b) = (of(true, |v| v), of(false, |v| v));
        match (mann_whitney(&a, &b), mann_whitney(&of(true, f64::exp), &of(false, f64::exp))) {
            (Ok(plain), Ok(curved)) => prop_assert_eq!(plain, curved),
            (Err(plain), Err(curved)) => prop_assert_eq!(plain, curved),
            (plain, curved) => panic!("{plain:?} {curved:?}"),
        }
    }

    #[test]
    fn exact_test_and_chi_square_meet_in_large_balanced_tables(
        a in 400_u64..600, b in 400_u64..600, c in 400_u64..600, d in 400_u64..600
    ) {
        let table = Contingency::new(vec![vec![a, b], vec![c, d]]).unwrap();
        let exact = fisher_exact(&table).unwrap();
        let approximate = chi_square(&table).yates.unwrap().p;
        // One table more or less on either side: about 0.02 each in the middle.
        prop_assert!((exact.p - approximate).abs() < 0.04, "{} {}", exact.p, approximate);
        // Both sides hold the table itself.
        prop_assert!(exact.p_less + exact.p_greater >= 1.0 - 1e-9);
        let turned = fisher_exact(&Contingency::new(vec![vec![a, c], vec![b, d]]).unwrap()).unwrap();
        close(exact.p, turned.p, 1e-9);
    }

    #[test]
    fn test_of_means_does_not_depend_on_unit_or_origin(
        values in prop::collection::vec((-100.0_f64..100.0, any::<bool>()), 10..60),
        scale in 0.01_f64..100.0, shift in -1000.0_f64..1000.0
    ) {
        let of = |side: bool, scale: f64, shift: f64| -> Vec<f64> {
            values.iter().filter(|v| v.1 == side).map(|v| v.0 * scale + shift).collect()
        };
        for variances in [Variances::Equal, Variances::Unequal] {
            let plain = t_test(&of(true, 1.0, 0.0), &of(false, 1.0, 0.0), variances);
            let Ok(plain) = plain else { return Ok(()) };
            let moved = t_test(&of(true, scale, shift), &of(false, scale, shift), variances).unwrap();
            prop_assert!((plain.t - moved.t).abs() < 1e-7 * (1.0 + plain.t.abs()));
            prop_assert!((plain.p - moved.p).abs() < 1e-7);
        }
    }
}

#[test]
fn what_cannot_be_compared_is_refused_without_a_value() {
    assert_eq!(
        Follow::new(vec![1.0, -2.0], vec![true, false]),
        Err(FitError::NegativeTime)
    );
    assert_eq!(
        Follow::new(vec![1.0, f64::NAN], vec![true, false]),
        Err(FitError::NotFinite("time".to_owned()))
    );
    let nobody = follow(&[1.0, 2.0, 3.0], &[false; 3]);
    assert_eq!(
        log_rank(&nobody, &[0, 1, 0]),
        Err(FitError::TooFewEvents { needed: 1 })
    );
    let all = follow(&[1.0, 2.0, 3.0], &[true; 3]);
    assert_eq!(
        log_rank(&all, &[0, 0, 0]),
        Err(FitError::Groups { max: 100 })
    );
    // A number that nobody has.
    assert_eq!(
        log_rank(&all, &[0, 2, 0]),
        Err(FitError::Groups { max: 100 })
    );
    assert_eq!(
        t_test(&[5.1; 4], &[5.1; 9], Variances::Equal),
        Err(FitError::NoVariation)
    );
    assert_eq!(
        mann_whitney(&[7.0; 60], &[7.0; 60]),
        Err(FitError::NoVariation)
    );
    assert_eq!(
        Contingency::new(vec![vec![0, 3], vec![0, 5]]),
        Err(FitError::EmptyMargin)
    );
    assert!(Contingency::new(vec![vec![u64::MAX, 1], vec![1, 1]]).is_err());
    let three = Contingency::new(vec![vec![1, 2, 3], vec![4, 5, 6]]).unwrap();
    assert_eq!(fisher_exact(&three), Err(FitError::NotTwoByTwo));
}
