use super::*;
use crate::chart::data::tests::{rows, table};

fn built(text: &str) -> Plot {
    let table = table(text);
    let source = Source::Table(&table);
    build(&source, &Spec::suggest(&source).unwrap()).unwrap()
}

#[test]
fn withheld_bar_is_a_gap_that_is_said() {
    let plot = built("ward!, n\na, 120\nb, *\nc, \n");
    let heights: Vec<_> = plot.series[0].marks.iter().map(|m| m.y).collect();
    assert_eq!(heights, [Ok(120.0), Err(Gap::Withheld), Err(Gap::Missing)]);
    assert_eq!(plot.warnings, [Warning::Withheld(1), Warning::Missing(1)]);
}

#[test]
fn withheld_groups_are_said() {
    let mut table = table("ward!, n\na, 120\nb, 30\n");
    table.groups_withheld = 3;
    let source = Source::Table(&table);
    let plot = build(&source, &Spec::suggest(&source).unwrap()).unwrap();
    assert_eq!(plot.warnings, [Warning::GroupsWithheld(3)]);
}

#[test]
fn lines_are_sorted_by_place_and_split_by_group() {
    let plot =
        built("month!, sex!, n\n2024-03, f, 3\n2024-01, f, 1\n2024-01, m, 7\n2024-02, f, *\n");
    assert_eq!((plot.kind, &plot.x), (FigureKind::Line, &Axis::Dates));
    let names: Vec<&str> = plot.series.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["f", "m"]);
    let y: Vec<_> = plot.series[0].marks.iter().map(|m| m.y).collect();
    assert_eq!(y, [Ok(1.0), Err(Gap::Withheld), Ok(3.0)]);
}

#[test]
fn two_rows_at_one_place_are_said() {
    let table = table("month!, sex!, n\n1, f, 3\n2, f, 1\n1, m, 7\n");
    let source = Source::Table(&table);
    let mut spec = Spec::of(FigureKind::Line, &source).unwrap();
    spec.columns.remove(&Role::Group);
    let plot = build(&source, &spec).unwrap();
    assert_eq!(plot.warnings, [Warning::Several(1)]);
}

#[test]
fn estimate_without_its_interval_is_not_drawn() {
    let plot = built("drug!, ratio, lower, upper\na, 1.2, 0.9, 1.6\nb, 0.7, *, 0.9\n");
    assert_eq!(plot.kind, FigureKind::Forest);
    assert_eq!(plot.x, Axis::Numbers { is_log: true });
    assert_eq!(plot.y, Axis::Names(vec!["a".into(), "b".into()]));
    assert_eq!(plot.series[0].marks[0].interval, Some((0.9, 1.6)));
    assert_eq!(plot.series[0].marks[1].y, Err(Gap::Withheld));
    assert_eq!(plot.warnings, [Warning::Withheld(1)]);
    // Differences have no logarithm.
    let plot = built("drug!, coef, lower, upper\na, 0.2, -0.1, 0.5\n");
    assert_eq!(plot.x, Axis::Numbers { is_log: false });
}

#[test]
fn survival_of_the_fixture_comes_from_events_and_censored_alone() {
    let csv: String = include_str!("../../../fixtures/leukemia-lifelines.csv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let cells: Vec<&str> = line.split(',').take(4).collect();
            let cells = cells.join(",");
            format!("{}\n", cells.replace("arm,week,", "arm!,week!,"))
        })
        .collect();
    let plot = built(&csv);
    assert_eq!(plot.kind, FigureKind::KaplanMeier);
    assert_eq!(plot.series.len(), 2);
    let last = plot.series[0].marks.last().unwrap();
    assert!((last.y.unwrap() - 0.448_179_271_7).abs() < 1e-9, "{last:?}");
    assert_eq!(plot.series[0].marks[0].at_risk, Some(21.0));
    assert!(plot.warnings.is_empty());
}

#[test]
fn survival_behind_a_withheld_count_is_not_drawn() {
    let plot = built("week!, events, at_risk\n1, 10, 200\n2, *, 180\n3, 12, 150\n");
    assert_eq!(plot.series[0].marks.len(), 2);
    assert_eq!(
        plot.warnings,
        [Warning::CurveEnds {
            series: String::new(),
            time: 2.0,
            gap: Gap::Withheld
        }]
    );
}

#[test]
fn bins_of_a_statistic_are_as_wide_as_the_narrowest_step() {
    let table = table("age!, n\n20, 12\n25, 20\n40, 11\n");
    let source = Source::Table(&table);
    let plot = build(&source, &Spec::of(FigureKind::Histogram, &source).unwrap()).unwrap();
    let ends: Vec<_> = plot.series[0]
        .marks
        .iter()
        .map(|m| (m.x, m.x_end))
        .collect();
    assert_eq!(
        ends,
        [(20.0, Some(25.0)), (25.0, Some(30.0)), (40.0, Some(45.0))]
    );
}

#[test]
fn rows_are_counted_binned_and_boxed() {
    let rows = rows();
    let source = Source::Rows(&rows);
    let build = |kind| build(&source, &Spec::of(kind, &source).unwrap()).unwrap();
    let bars = build(FigureKind::Bar);
    let heights: Vec<_> = bars.series[0].marks.iter().map(|m| (m.x, m.y)).collect();
    assert_eq!(heights, [(0.0, Ok(2.0)), (1.0, Ok(1.0))]);
    assert_eq!(bars.warnings, [Warning::Missing(1)]);
    let bins = build(FigureKind::Histogram);
    let total: f64 = bins.series[0].marks.iter().map(|m| m.y.unwrap()).sum();
    assert_eq!(
        (total, bins.warnings.as_slice()),
        (3.0, [Warning::Missing(1)].as_slice())
    );
    let boxes = build(FigureKind::Box);
    assert_eq!(boxes.series[0].marks[0].y, Ok(65.5));
    assert_eq!(boxes.series[0].marks[0].whiskers, Some((61.0, 70.0)));
}

#[test]
fn what_is_missing_is_named() {
    let table = table("sex!, n\nf, 1\n");
    let source = Source::Table(&table);
    let error = |spec: &Spec| build(&source, spec).unwrap_err();
    let mut spec = Spec::new(FigureKind::Scatter);
    assert_eq!(error(&spec), BuildError::NotChosen(Role::X));
    spec.columns.insert(Role::X, "sex".into());
    spec.columns.insert(Role::Y, "n".into());
    assert_eq!(error(&spec), BuildError::NoNumbers("sex".into()));
    spec.columns.insert(Role::X, "age".into());
    assert_eq!(error(&spec), BuildError::NoColumn("age".into()));
    let mut spec = Spec::new(FigureKind::KaplanMeier);
    spec.columns.insert(Role::X, "n".into());
    assert_eq!(error(&spec), BuildError::NotChosen(Role::Events));
}

#[test]
fn everything_withheld_is_nothing_to_draw() {
    let table = table("ward!, n\na, *\n");
    let source = Source::Table(&table);
    let spec = Spec::of(FigureKind::Bar, &source).unwrap();
    assert_eq!(build(&source, &spec), Err(BuildError::Nothing));
}

#[test]
fn no_numbers_and_no_choice_of_columns_break_a_chart() {
    use proptest::prelude::*;
    const CELLS: [&str; 12] = [
        "", "*", "0", "-1", "7.5", "1e308", "-1e308", "1e-320", "12", "3", "2024-05", "東区",
    ];
    const ROLES: [Role; 8] = [
        Role::X,
        Role::Y,
        Role::Low,
        Role::High,
        Role::Group,
        Role::Events,
        Role::AtRisk,
        Role::Censored,
    ];
    let row = prop::collection::vec(0..CELLS.len(), 5);
    let rows = prop::collection::vec(row, 1..12);
    let roles = prop::collection::vec((0..ROLES.len(), 0..6_usize), 0..8);
    proptest!(|(rows in rows, roles in roles, kind in 0..7_usize, is_log: Option<bool>)| {
        let mut text = "a!,b!,c,d,e\n".to_owned();
        for row in &rows {
            let cells: Vec<&str> = row.iter().map(|cell| CELLS[*cell]).collect();
            text.push_str(&cells.join(","));
            text.push('\n');
        }
        let table = table(&text);
        let source = Source::Table(&table);
        let mut spec = Spec::new(FigureKind::ALL[kind]);
        spec.is_log = is_log;
        for (role, column) in roles {
            // One name is of no column.
            let name = ["a", "b", "c", "d", "e", "f"][column];
            spec.columns.insert(ROLES[role], name.to_owned());
        }
        let suggested = Spec::suggest(&source);
        for spec in std::iter::once(spec).chain(suggested) {
            let Ok(plot) = build(&source, &spec) else { continue };
            for mark in plot.series.iter().flat_map(|series| &series.marks) {
                assert!(mark.x.is_finite(), "{mark:?}");
                assert!(mark.y.is_err() || mark.y.unwrap().is_finite(), "{mark:?}");
            }
        }
    });
}
