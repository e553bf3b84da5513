//! From a group's rows to the rows of a table, or to a reason why they are withheld.

use std::collections::BTreeMap;
use std::sync::Arc;

use kekkai_output::{Cell, Evidence, Suppression, Value};
use kekkai_statistics::{
    ChiSquare, Coefficient, Contingency, FitError, Follow, Predictors, Share, TTest, Variable,
    Variances, chi_square, cox, fisher_exact, kaplan_meier, linear_regression, log_rank,
    logistic_regression, mann_whitney, outcome_shares, paired_t_test, shares, t_test,
};

use super::Function;
use super::curve::{Observation, Stretch, coarsen};
use super::disclosure::{
    Persons, RESIDUAL_MIN, crossed, either, enough, evidence, persons_of, shares_of_sum, varies,
};
use super::gather::{Column, Sample};
use crate::suppress::Bounds;

/// Why there are no rows.
#[derive(Debug, PartialEq)]
pub(super) enum NoFit {
    /// What there is would tell of too few.
    Withheld(Suppression),
    /// There is no estimate.
    Failed(FitError),
}

impl From<Suppression> for NoFit {
    fn from(why: Suppression) -> Self {
        Self::Withheld(why)
    }
}

impl From<FitError> for NoFit {
    fn from(error: FitError) -> Self {
        Self::Failed(error)
    }
}

/// A row of a model's table.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    /// Who stands behind all cells that have nobody of their own.
    pub(super) persons: Persons,
    pub(super) cells: Vec<Told>,
}

/// A cell, and who stands behind it if not everybody of its row: several sets where it compares them.
#[derive(Debug, PartialEq)]
pub(super) struct Told {
    pub(super) cell: Cell,
    pub(super) own: Vec<Persons>,
}

type Fit = Result<Vec<Row>, NoFit>;

/// What a function makes of a group. `names` are its arguments'.
pub(super) fn fit(function: Function, names: &[String], sample: Sample, bounds: Bounds) -> Fit {
    let sample = match function {
        Function::KaplanMeier | Function::LogRank | Function::Cox => {
            sample.without_negative_times()
        }
        _ => sample,
    };
    enough(&sample.persons, bounds, |_| true)?;
    match function {
        Function::KaplanMeier => curve(&sample, bounds),
        Function::LogRank => groups_by_survival(&sample, bounds),
        Function::Cox => hazards(names, sample, bounds),
        Function::LinearRegression => line(names, sample, bounds),
        Function::LogisticRegression => odds(names, sample, bounds),
        Function::TTest => means(&sample, Variances::Unequal, bounds),
        Function::StudentTTest => means(&sample, Variances::Equal, bounds),
        Function::PairedTTest => pairs(&sample, bounds),
        Function::ChiSquare | Function::FisherExact => counts(function, &sample, bounds),
        Function::MannWhitney => ranks(&sample, bounds),
    }
}

/// A group of which nothing is shown: one row of withheld cells, beside its name if it has one.
pub(super) fn withheld(function: Function, why: Suppression, named: Persons) -> Row {
    let withheld = || Told {
        cell: Cell::Suppressed(why),
        own: Vec::new(),
    };
    Row {
        persons: named,
        cells: function.columns().iter().map(|_| withheld()).collect(),
    }
}

fn missing(sample: &Sample) -> NoFit {
    NoFit::Failed(FitError::TooFewRows {
        needed: sample.columns.len(),
    })
}

/// The number with six significant digits; `NULL` for none.
fn number(value: f64) -> Value {
    if !value.is_finite() {
        return Value::Null;
    }
    match format!("{value:.5e}").parse() {
        Ok(rounded) => Value::Float(rounded),
        Err(_) => Value::Null,
    }
}

fn decimals(value: f64) -> Value {
    Value::Float((value * 1e4).round() / 1e4)
}

fn count(value: usize) -> Value {
    Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

fn key(value: Value) -> Told {
    Told {
        cell: Cell::Key(value),
        own: Vec::new(),
    }
}

/// Cells with the row's persons behind them.
fn shown(values: impl IntoIterator<Item = Value>, evidence: Evidence) -> Vec<Told> {
    own(values, evidence, &[])
}

/// Cells with these persons behind them.
fn own(values: impl IntoIterator<Item = Value>, evidence: Evidence, own: &[Persons]) -> Vec<Told> {
    let told = |value| Told {
        cell: Cell::Shown { value, evidence },
        own: own.to_vec(),
    };
    values.into_iter().map(told).collect()
}

fn of(persons: &Persons) -> Evidence {
    Evidence {
        contributors: persons.len() as u64,
        largest_permille: 0,
        second_permille: 0,
        zeros: 0,
        missing: 0,
    }
}

/// The fewest of several sets: what a comparison of them rests on.
fn least(sets: &[Persons]) -> usize {
    sets.iter().map(|set| set.len()).min().unwrap_or(0)
}

/// A table of one row that compares groups.
fn comparison(everybody: Persons, cells: Vec<Told>) -> Vec<Row> {
    vec![Row {
        persons: everybody,
        cells,
    }]
}

fn truths(values: &[f64]) -> Vec<bool> {
    values.iter().map(|value| *value != 0.0).collect()
}

fn followed(sample: &Sample) -> Result<Follow, NoFit> {
    let [time, event, ..] = sample.columns.as_slice() else {
        return Err(missing(sample));
    };
    let times = time.numbers().to_vec();
    Ok(Follow::new(times, truths(event.numbers()))?)
}

fn curve(sample: &Sample, bounds: Bounds) -> Fit {
    let follow = followed(sample)?;
    let [time, event] = sample.columns.as_slice() else {
        return Err(missing(sample));
    };
    // By time: the sample is sorted by its first argument.
    let rows = time.numbers().iter().zip(event.numbers());
    let observations: Vec<Observation> = rows
        .zip(&sample.persons)
        .map(|((time, event), person)| Observation {
            time: *time,
            event: *event != 0.0,
            person: *person,
        })
        .collect();
    let exact = kaplan_meier(&follow);
    let stretches = coarsen(&observations, &exact, bounds.threshold);
    let row = |stretch: Stretch| {
        let mut cells = vec![key(Value::Float(stretch.time))];
        let at_risk = of(&stretch.persons);
        let withheld = || Told {
            cell: Cell::Suppressed(Suppression::Threshold),
            own: Vec::new(),
        };
        match stretch.at_risk {
            Some(value) => cells.extend(shown([count(value)], at_risk)),
            None => cells.push(withheld()),
        }
        for (value, persons) in [
            (Some(stretch.events), stretch.with_events),
            (stretch.censored, stretch.with_censoring),
        ] {
            match value {
                Some(value) => cells.extend(own([count(value)], of(&persons), &[persons])),
                None => cells.push(withheld()),
            }
        }
        let rest = [
            stretch.survival,
            stretch.standard_error,
            stretch.lower,
            stretch.upper,
        ];
        cells.extend(shown(rest.map(decimals), at_risk));
        Row {
            persons: stretch.persons,
            cells,
        }
    };
    Ok(stretches.into_iter().map(row).collect())
}

/// Two groups or more. One is as when the others were too small to be named: whether there is anybody in them
/// can be one person's secret.
fn several(levels: usize) -> Result<(), Suppression> {
    if levels < 2 {
        return Err(Suppression::Threshold);
    }
    Ok(())
}

/// How many distinct levels there are, and the number of each row's in their order.
fn numbered(levels: &[String]) -> (usize, Vec<u32>) {
    let mut known: BTreeMap<&String, u32> = levels.iter().map(|level| (level, 0)).collect();
    for (number, place) in known.values_mut().zip(0..) {
        *number = place;
    }
    let at = levels
        .iter()
        .filter_map(|level| known.get(level).copied())
        .collect();
    (known.len(), at)
}

fn groups_by_survival(sample: &Sample, bounds: Bounds) -> Fit {
    let follow = followed(sample)?;
    let [_, event, group] = sample.columns.as_slice() else {
        return Err(missing(sample));
    };
    let (levels, at) = numbered(group.levels());
    several(levels)?;
    let mut groups: Vec<(Vec<u32>, Vec<u32>)> = vec![Default::default(); levels];
    for ((level, event), person) in at.iter().zip(event.numbers()).zip(&sample.persons) {
        if let Some((all, with_event)) = groups.get_mut(*level as usize) {
            all.push(*person);
            if *event != 0.0 {
                with_event.push(*person);
            }
        }
    }
    let mut sets = Vec::with_capacity(levels);
    for (all, with_event) in groups {
        // Events of each group: the test is a comparison of them.
        enough(&with_event, bounds, |_| true)?;
        sets.push(enough(&all, bounds, |_| true)?);
    }
    let found = log_rank(&follow, &at)?;
    let evidence = evidence(least(&sets), Share::default(), bounds)?;
    let cells = own(test_values(found.test), evidence, &sets);
    Ok(comparison(persons_of(&sample.persons, |_| true), cells))
}

fn test_values(test: ChiSquare) -> [Value; 3] {
    [
        number(test.statistic),
        Value::Int(i64::from(test.degrees_of_freedom)),
        number(test.p),
    ]
}

/// The predictors of a model after `skip` other arguments, if they vary in enough persons.
fn predictors(
    names: &[String],
    columns: Vec<Column>,
    skip: usize,
    persons: &[u32],
    bounds: Bounds,
) -> Result<Predictors, NoFit> {
    let mut variables = Vec::with_capacity(columns.len());
    for (name, column) in names.iter().zip(columns).skip(skip) {
        let Column::Numbers(values) = column else {
            continue;
        };
        varies(&values, persons, bounds)?;
        variables.push(Variable {
            name: name.clone(),
            values,
        });
    }
    // With the intercept, or the baseline hazard in its place.
    let terms = variables.len() + 1;
    if persons_of(persons, |_| true).len() < terms + RESIDUAL_MIN {
        return Err(Suppression::Threshold.into());
    }
    let predictors = Predictors::new(variables)?;
    // Before any fit: whether one exists could be that person's secret.
    for share in shares(&predictors, None, persons)? {
        evidence(terms, share, bounds)?;
    }
    Ok(predictors)
}

/// The rows of a fitted model.
struct Terms {
    everybody: Persons,
    rows: Vec<Row>,
    /// Cells of a row, the term included.
    width: usize,
    /// Where the estimate stands.
    estimate: usize,
}

impl Terms {
    /// A row for each coefficient. `first` are the numbers before the standard error, the estimate of a linear
    /// model first, that of a ratio last.
    fn new<const N: usize>(
        coefficients: &[Coefficient],
        shares: &[Share],
        everybody: Persons,
        bounds: Bounds,
        first: impl Fn(&Coefficient) -> [f64; N],
    ) -> Result<Self, NoFit> {
        let mut rows = Vec::with_capacity(coefficients.len());
        for (coefficient, share) in coefficients.iter().zip(shares) {
            let evidence = evidence(everybody.len(), *share, bounds)?;
            let rest = [
                coefficient.standard_error,
                coefficient.statistic,
                coefficient.p,
            ];
            let numbers = first(coefficient).into_iter().chain(rest).map(number);
            let mut cells = vec![key(Value::Text(coefficient.name.clone()))];
            cells.extend(shown(numbers, evidence));
            rows.push(Row {
                persons: Arc::clone(&everybody),
                cells,
            });
        }
        Ok(Self {
            everybody,
            rows,
            width: N + 4,
            estimate: if N == 4 { 4 } else { 1 },
        })
    }

    /// A row about the whole model, its name in brackets: one number where the estimates stand, and a p-value
    /// where it is a test.
    fn whole(&mut self, name: &str, value: Value, p: Option<f64>) {
        self.told(name, value, p, Arc::clone(&self.everybody));
    }

    fn told(&mut self, name: &str, value: Value, p: Option<f64>, persons: Persons) {
        let evidence = of(&persons);
        let values = (1..self.width).map(|column| {
            if column == self.estimate {
                value.clone()
            } else if column + 1 == self.width {
                p.map_or(Value::Null, number)
            } else {
                Value::Null
            }
        });
        let mut cells = vec![key(Value::Text(format!("[{name}]")))];
        cells.extend(shown(values.collect::<Vec<_>>(), evidence));
        self.rows.push(Row { persons, cells });
    }
}

fn ratio(coefficient: &Coefficient) -> [f64; 4] {
    let [ratio, lower, upper] = coefficient.ratio();
    [ratio, lower, upper, coefficient.estimate]
}

/// Counts stand in columns of estimates.
fn amount(value: usize) -> Value {
    Value::Float(value as f64)
}

fn hazards(names: &[String], sample: Sample, bounds: Bounds) -> Fit {
    let follow = followed(&sample)?;
    let Sample { persons, columns } = sample;
    let event = columns
        .get(1)
        .map_or(Vec::new(), |column| column.numbers().to_vec());
    let has_event = |row: usize| event.get(row).is_some_and(|event| *event != 0.0);
    let with_events = enough(&persons, bounds, has_event)?;
    for column in columns.iter().skip(2) {
        crossed(column.numbers(), &event, &persons, bounds, &[1.0])?;
    }
    let predictors = predictors(names, columns, 2, &persons, bounds)?;
    let found = cox(&follow, &predictors)?;
    // The first is the baseline hazard's, which is not shown.
    let held: Vec<Share> = shares(&predictors, Some(&found.weights), &persons)?
        .into_iter()
        .skip(1)
        .collect();
    let everybody = persons_of(&persons, |_| true);
    let mut terms = Terms::new(&found.coefficients, &held, everybody, bounds, ratio)?;
    terms.whole("observations", amount(found.observations), None);
    // Beside the number of observations, that of events tells how many had none.
    let without = terms.everybody.len() - with_events.len();
    if without == 0 || without as u64 >= bounds.threshold {
        terms.told("events", amount(found.events), None, with_events);
    }
    let test = found.likelihood_ratio;
    terms.whole("likelihood_ratio", number(test.statistic), Some(test.p));
    if let Some(concordance) = found.concordance {
        terms.whole("concordance", number(concordance), None);
    }
    Ok(terms.rows)
}

fn line(names: &[String], sample: Sample, bounds: Bounds) -> Fit {
    let Sample { persons, columns } = sample;
    let outcome = columns
        .first()
        .map_or(Vec::new(), |column| column.numbers().to_vec());
    let predictors = predictors(names, columns, 1, &persons, bounds)?;
    let found = linear_regression(&outcome, &predictors)?;
    let held: Vec<Share> = shares(&predictors, None, &persons)?
        .into_iter()
        .zip(outcome_shares(&predictors, &outcome, &persons)?)
        .map(|(information, outcome)| either(information, outcome))
        .collect();
    let everybody = persons_of(&persons, |_| true);
    let estimate = |c: &Coefficient| [c.estimate, c.lower, c.upper];
    let mut terms = Terms::new(&found.coefficients, &held, everybody, bounds, estimate)?;
    terms.whole("observations", amount(found.observations), None);
    terms.whole("r_squared", number(found.r_squared), None);
    terms.whole("adjusted_r_squared", number(found.adjusted_r_squared), None);
    let error = number(found.residual_standard_error);
    terms.whole("residual_standard_error", error, None);
    terms.whole("f", number(found.f), Some(found.p));
    Ok(terms.rows)
}

fn odds(names: &[String], sample: Sample, bounds: Bounds) -> Fit {
    let Sample { persons, columns } = sample;
    let outcome = columns
        .first()
        .map_or(Vec::new(), |column| column.numbers().to_vec());
    for expected in [0.0, 1.0] {
        enough(&persons, bounds, |row| outcome.get(row) == Some(&expected))?;
    }
    for column in columns.iter().skip(1) {
        crossed(column.numbers(), &outcome, &persons, bounds, &[0.0, 1.0])?;
    }
    let predictors = predictors(names, columns, 1, &persons, bounds)?;
    let found = logistic_regression(&truths(&outcome), &predictors)?;
    let held = shares(&predictors, Some(&found.weights), &persons)?;
    let everybody = persons_of(&persons, |_| true);
    let mut terms = Terms::new(&found.coefficients, &held, everybody, bounds, ratio)?;
    terms.whole("observations", amount(found.observations), None);
    let test = found.likelihood_ratio;
    terms.whole("likelihood_ratio", number(test.statistic), Some(test.p));
    Ok(terms.rows)
}

/// Two groups that are compared.
struct TwoGroups {
    values: [Vec<f64>; 2],
    /// The person of each value.
    persons: [Vec<u32>; 2],
    sets: [Persons; 2],
}

/// The values of those for whom the second argument is true, and of the others: each of enough persons.
fn two_groups(sample: &Sample, bounds: Bounds) -> Result<TwoGroups, NoFit> {
    let [value, group] = sample.columns.as_slice() else {
        return Err(missing(sample));
    };
    let of_side = |side: bool| -> (Vec<f64>, Vec<u32>) {
        let rows = value.numbers().iter().zip(group.numbers());
        rows.zip(&sample.persons)
            .filter(|((_, group), _)| (**group != 0.0) == side)
            .map(|((value, _), person)| (*value, *person))
            .unzip()
    };
    let (first, first_persons) = of_side(true);
    let (second, second_persons) = of_side(false);
    let sets = [
        enough(&first_persons, bounds, |_| true)?,
        enough(&second_persons, bounds, |_| true)?,
    ];
    Ok(TwoGroups {
        values: [first, second],
        persons: [first_persons, second_persons],
        sets,
    })
}

fn means(sample: &Sample, variances: Variances, bounds: Bounds) -> Fit {
    let TwoGroups {
        values: [first, second],
        persons: [first_persons, second_persons],
        sets,
    } = two_groups(sample, bounds)?;
    let share = either(
        shares_of_sum(&first, &first_persons),
        shares_of_sum(&second, &second_persons),
    );
    let evidence = evidence(least(&sets), share, bounds)?;
    let found = t_test(&first, &second, variances)?;
    let cells = own(means_values(&found), evidence, &sets);
    Ok(comparison(persons_of(&sample.persons, |_| true), cells))
}

fn means_values(found: &TTest) -> Vec<Value> {
    let [first, second] = found.means;
    let numbers = [
        first,
        second,
        found.difference,
        found.lower,
        found.upper,
        found.standard_error,
        found.t,
        found.degrees_of_freedom,
        found.p,
    ];
    numbers.map(number).to_vec()
}

fn pairs(sample: &Sample, bounds: Bounds) -> Fit {
    let [first, second] = sample.columns.as_slice() else {
        return Err(missing(sample));
    };
    let (first, second) = (first.numbers(), second.numbers());
    let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
    let share = [first, second, differences.as_slice()]
        .into_iter()
        .map(|values| shares_of_sum(values, &sample.persons))
        .fold(Share::default(), either);
    let everybody = persons_of(&sample.persons, |_| true);
    let evidence = evidence(everybody.len(), share, bounds)?;
    let pairs: Vec<(f64, f64)> = first.iter().copied().zip(second.iter().copied()).collect();
    let found = paired_t_test(&pairs)?;
    Ok(comparison(everybody, shown(means_values(&found), evidence)))
}

fn ranks(sample: &Sample, bounds: Bounds) -> Fit {
    let TwoGroups {
        values: [first, second],
        sets,
        ..
    } = two_groups(sample, bounds)?;
    let evidence = evidence(least(&sets), Share::default(), bounds)?;
    let found = mann_whitney(&first, &second)?;
    let values = [found.u, found.superiority, found.p].map(number);
    let cells = own(values, evidence, &sets);
    Ok(comparison(persons_of(&sample.persons, |_| true), cells))
}

fn counts(function: Function, sample: &Sample, bounds: Bounds) -> Fit {
    let [rows, columns] = sample.columns.as_slice() else {
        return Err(missing(sample));
    };
    let (row_levels, row_at) = numbered(rows.levels());
    let (column_levels, column_at) = numbered(columns.levels());
    several(row_levels.min(column_levels))?;
    let mut persons: BTreeMap<(u32, u32), Vec<u32>> = BTreeMap::new();
    for ((row, column), person) in row_at.iter().zip(&column_at).zip(&sample.persons) {
        persons.entry((*row, *column)).or_default().push(*person);
    }
    // Too many levels, unless some of them are of too few: that comes first, as above.
    let levels_max = kekkai_statistics::LEVELS_MAX;
    if row_levels.max(column_levels) > levels_max {
        for of_cell in persons.values() {
            enough(of_cell, bounds, |_| true)?;
        }
        return Err(FitError::Groups { max: levels_max }.into());
    }
    let mut table = Vec::with_capacity(row_levels);
    let mut sets = Vec::new();
    for row in (0_u32..).take(row_levels) {
        let mut counts = Vec::with_capacity(column_levels);
        for column in (0_u32..).take(column_levels) {
            // Each cell can be computed from the statistic and the margins: none may be small, and an empty
            // one says of everybody in its row that they are in the others.
            let of_cell = persons.get(&(row, column)).map_or(&[][..], Vec::as_slice);
            sets.push(enough(of_cell, bounds, |_| true)?);
            counts.push(of_cell.len() as u64);
        }
        table.push(counts);
    }
    let evidence = evidence(least(&sets), Share::default(), bounds)?;
    let everybody = persons_of(&sample.persons, |_| true);
    let table = Contingency::new(table)?;
    if function == Function::FisherExact {
        let found = fisher_exact(&table)?;
        let values = [found.odds_ratio, found.p].map(number);
        return Ok(comparison(everybody, own(values, evidence, &sets)));
    }
    let found = chi_square(&table);
    let yates = found.yates.map_or([Value::Null, Value::Null], |yates| {
        [yates.statistic, yates.p].map(number)
    });
    let values = test_values(found.plain).into_iter().chain(yates);
    Ok(comparison(everybody, own(values, evidence, &sets)))
}
