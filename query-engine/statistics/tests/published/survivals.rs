//! Survival in five clinical studies and two others that every textbook uses.

use kekkai_statistics::{Follow, KaplanMeier, cox, kaplan_meier, log_rank};
use serde_json::Value;

use super::golden::{golden, near, near_coefficients, numbers, predictors, texts, truths};

const STUDIES: [&str; 6] = ["rossi", "waltons", "leukemia", "lung", "larynx", "gbsg2"];

fn follow(data: &Value) -> Follow {
    Follow::new(numbers(&data["time"]), truths(&data["event"])).unwrap()
}

fn groups(data: &Value) -> Vec<u32> {
    numbers(&data["group"])
        .into_iter()
        .map(|group| format!("{group}").parse().unwrap())
        .collect()
}

#[track_caller]
fn same_curve(name: &str, found: &KaplanMeier, expected: &Value) {
    assert_eq!(
        found.steps.len(),
        expected["time"].as_array().unwrap().len(),
        "{name}"
    );
    let event_times = numbers(&expected["event_times"]);
    let mut compared = 0;
    for (place, step) in found.steps.iter().enumerate() {
        let of = |column: &str| &expected[column][place];
        let what = format!("{name} at {}", step.time);
        assert_eq!(Some(step.time), of("time").as_f64(), "{what}");
        assert_eq!(Some(step.at_risk as u64), of("at_risk").as_u64(), "{what}");
        assert_eq!(Some(step.events as u64), of("events").as_u64(), "{what}");
        assert_eq!(
            Some(step.censored as u64),
            of("censored").as_u64(),
            "{what}"
        );
        if step.survival < 1e-12 {
            assert_eq!(step.survival, 0.0, "{what}");
        } else {
            near(&what, step.survival, of("survival"), 1e-12);
            near(&what, step.lower, of("lower"), 1e-12);
            near(&what, step.upper, of("upper"), 1e-12);
        }
        if let Some(at) = event_times.iter().position(|time| *time == step.time) {
            let expected = &expected["standard_error"][at];
            // statsmodels has none where survival is 0.
            if !expected.is_null() {
                near(&what, step.standard_error, expected, 1e-12);
                compared += 1;
            }
        }
    }
    assert!(compared + 1 >= event_times.len(), "{name}");
    for (found, column) in [
        (found.median, "median"),
        (found.median_interval.0, "median_lower"),
        (found.median_interval.1, "median_upper"),
    ] {
        assert_eq!(found, expected[column].as_f64(), "{name}: {column}");
    }
}

#[test]
fn curves_intervals_and_medians_are_those_of_lifelines_and_statsmodels() {
    for name in STUDIES {
        let golden = golden(name);
        let data = &golden["data"];
        same_curve(name, &kaplan_meier(&follow(data)), &golden["kaplan_meier"]);
        let groups = groups(data);
        let (times, events) = (numbers(&data["time"]), truths(&data["event"]));
        for (group, expected) in (0..).zip(golden["kaplan_meier_by_group"].as_array().unwrap()) {
            let of_group = || groups.iter().map(|g| *g == group);
            let chosen = |keep: (&f64, bool)| keep.1.then_some(*keep.0);
            let times = times.iter().zip(of_group()).filter_map(chosen).collect();
            let events = events.iter().zip(of_group());
            let events = events.filter(|(_, keep)| *keep).map(|(e, _)| *e).collect();
            let follow = Follow::new(times, events).unwrap();
            same_curve(
                &format!("{name} group {group}"),
                &kaplan_meier(&follow),
                expected,
            );
        }
    }
}

#[test]
fn log_rank_tests_of_two_and_four_groups_are_those_of_lifelines() {
    for name in STUDIES {
        let golden = golden(name);
        let data = &golden["data"];
        let found = log_rank(&follow(data), &groups(data)).unwrap();
        let expected = &golden["log_rank"];
        assert_eq!(
            Some(u64::from(found.test.degrees_of_freedom)),
            expected["degrees_of_freedom"].as_u64()
        );
        near(name, found.test.statistic, &expected["statistic"], 1e-9);
        near(name, found.test.p, &expected["p"], 1e-7);
        let events: usize = found.groups.iter().map(|group| group.events).sum();
        let all: f64 = found.groups.iter().map(|group| group.expected).sum();
        assert!((events as f64 - all).abs() < 1e-9 * all, "{name}");
    }
}

#[test]
fn hazard_models_with_tied_times_are_those_of_lifelines_and_statsmodels() {
    for name in STUDIES {
        let golden = golden(name);
        let (data, expected) = (&golden["data"], &golden["cox"]);
        let predictors = predictors(data, &texts(&expected["term"]));
        let found = cox(&follow(data), &predictors).unwrap();
        near_coefficients(name, &found.coefficients, expected, "z", 1e-9);
        let of = |column: &str| &expected[column];
        near(name, found.log_likelihood, of("log_likelihood"), 1e-12);
        near(
            name,
            found.log_likelihood_null,
            of("log_likelihood_null"),
            1e-12,
        );
        let test = found.likelihood_ratio;
        near(name, test.statistic, of("likelihood_ratio"), 1e-10);
        near(name, test.p, of("likelihood_ratio_p"), 1e-8);
        near(name, found.wald.statistic, of("wald"), 1e-9);
        near(name, found.score.statistic, of("score"), 1e-9);
        near(name, found.concordance.unwrap(), of("concordance"), 1e-12);
        // The model expects as many events as there were.
        let all: f64 = found.weights.iter().sum();
        assert!(
            (all - found.events as f64).abs() < 1e-9 * all,
            "{name}: {all}"
        );
    }
}

#[test]
fn lung_cancer_model_is_the_one_that_r_publishes() {
    // `coxph(Surv(time, status) ~ age + sex + ph.ecog, lung)` as the manual of R's survival prints it.
    let golden = golden("lung");
    let terms = ["age", "sex", "ph_ecog"].map(str::to_owned);
    let found = cox(
        &follow(&golden["data"]),
        &predictors(&golden["data"], &terms),
    )
    .unwrap();
    let printed = [
        (0.011067, 0.009267, 1.194, 0.232416),
        (-0.552612, 0.167739, -3.294, 0.000986),
        (0.463728, 0.113577, 4.083, 4.45e-5),
    ];
    for (found, (estimate, error, z, p)) in found.coefficients.iter().zip(printed) {
        assert!((found.estimate - estimate).abs() < 5.1e-7);
        assert!((found.standard_error - error).abs() < 5.1e-7);
        assert!((found.statistic - z).abs() < 5.1e-4);
        assert!((found.p - p).abs() < 5.1e-7);
    }
    let [ratio, lower, upper] = found.coefficients[1].ratio();
    assert!((ratio - 0.5754).abs() < 5.1e-5);
    assert!((lower - 0.4142).abs() < 5.1e-5);
    assert!((upper - 0.7994).abs() < 5.1e-5);
    assert!((found.likelihood_ratio.statistic - 30.5).abs() < 0.05);
    assert!((found.wald.statistic - 29.93).abs() < 0.005);
    assert!((found.concordance.unwrap() - 0.637).abs() < 0.0005);
}
