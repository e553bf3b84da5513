//! Cox's proportional hazards.

use nalgebra::{DMatrix, DVector};

use super::concordance::concordance;
use super::{Block, Follow, blocks};
use crate::newton::{At, Endless, decompose, maximize};
use crate::{ChiSquare, Coefficient, FitError, Predictors};

/// A fitted proportional hazards model.
#[derive(Debug, Clone, PartialEq)]
pub struct Cox {
    /// The predictors in their order: logarithms of hazard ratios. The statistic is z.
    pub coefficients: Vec<Coefficient>,
    /// Rows.
    pub observations: usize,
    /// Events.
    pub events: usize,
    /// Of the partial likelihood, at the estimate.
    pub log_likelihood: f64,
    /// With all coefficients 0.
    pub log_likelihood_null: f64,
    /// Likelihood-ratio test that all coefficients are 0.
    pub likelihood_ratio: ChiSquare,
    /// Wald's test of the same.
    pub wald: ChiSquare,
    /// The score test of the same; with one indicator and no ties the log-rank test.
    pub score: ChiSquare,
    /// Share of comparable pairs in which the one with the higher hazard had the event first; one half is
    /// chance (Harrell, JAMA 247 (1982) 2543). `None` where no pair can be compared.
    pub concordance: Option<f64>,
    /// For each observation its weight in the information: the events that the model expects of it.
    pub weights: Vec<f64>,
}

/// Fits proportional hazards (Cox, J R Stat Soc B 34 (1972) 187) with Efron's treatment of ties (J Am Stat
/// Assoc 72 (1977) 557), by Newton's method.
///
/// `predictors` has the observations of `follow` in the same order. Errors: fewer events than predictors plus
/// one; a predictor in which the likelihood rises without end (all events at one end of it), by name.
pub fn cox(follow: &Follow, predictors: &Predictors) -> Result<Cox, FitError> {
    let (n, p) = (predictors.observations(), predictors.count());
    if follow.len() != n {
        return Err(FitError::Ragged("time".to_owned()));
    }
    let needed = p + 1;
    if follow.events() < needed {
        return Err(FitError::TooFewEvents { needed });
    }
    let order = follow.latest_first();
    let all: Vec<(f64, bool)> = follow.each().collect();
    let sorted: Vec<(f64, bool)> = order.iter().filter_map(|i| all.get(*i).copied()).collect();
    let risk_sets = RiskSets {
        rows: predictors.rows.select_columns(&order),
        blocks: blocks(sorted.iter().copied()),
    };
    let top = maximize(DVector::zeros(p), |b| risk_sets.evaluate(b))
        .map_err(|endless| risk_sets.no_estimate(predictors, &endless))?;

    let coefficients = predictors
        .names
        .iter()
        .zip(&predictors.scales)
        .zip(top.at.iter())
        .zip(top.covariance.diagonal().iter())
        .map(|(((name, scale), estimate), variance)| {
            Coefficient::wald(name.clone(), estimate / scale, variance.sqrt() / scale)
        })
        .collect();
    let inverse = decompose(&top.covariance).ok_or(FitError::NotConverged)?;
    let start = decompose(&top.start.information).ok_or(FitError::NotConverged)?;
    let gradient = &top.start.gradient;
    let mut weights = vec![0.0; n];
    for (place, weight) in order.iter().zip(risk_sets.expected_events(&top.at)) {
        if let Some(to) = weights.get_mut(*place) {
            *to = weight;
        }
    }
    let risk = risk_sets.rows.tr_mul(&top.at);
    Ok(Cox {
        coefficients,
        observations: n,
        events: follow.events(),
        log_likelihood: top.log_likelihood,
        log_likelihood_null: top.start.log_likelihood,
        likelihood_ratio: ChiSquare::new(2.0 * (top.log_likelihood - top.start.log_likelihood), p),
        wald: ChiSquare::new(top.at.dot(&inverse.solve(&top.at)), p),
        score: ChiSquare::new(gradient.dot(&start.solve(gradient)), p),
        concordance: concordance(&risk_sets.blocks, &sorted, risk.as_slice()),
        weights,
    })
}

/// Observations, the latest first: who is at risk at a time are those up to the end of its block.
struct RiskSets {
    /// One column for each observation; of one time, events first.
    rows: DMatrix<f64>,
    blocks: Vec<Block>,
}

/// Sums over a set of observations: of `exp(eta)`, of that times the predictors, and times their products.
struct Sums {
    zeroth: f64,
    first: DVector<f64>,
    second: DMatrix<f64>,
}

impl Sums {
    fn none(p: usize) -> Self {
        Self {
            zeroth: 0.0,
            first: DVector::zeros(p),
            second: DMatrix::zeros(p, p),
        }
    }

    fn add(&mut self, weight: f64, row: &nalgebra::DVectorView<'_, f64>) {
        self.zeroth += weight;
        self.first.axpy(weight, row, 1.0);
        self.second.ger(weight, row, row, 1.0);
    }
}

impl RiskSets {
    /// The linear predictor less its largest value, so that its exponential can't overflow.
    fn linear(&self, b: &DVector<f64>) -> Option<DVector<f64>> {
        let eta = self.rows.tr_mul(b);
        let largest = eta.max();
        largest.is_finite().then(|| eta.add_scalar(-largest))
    }

    fn evaluate(&self, b: &DVector<f64>) -> Option<At> {
        let p = b.len();
        let eta = self.linear(b)?;
        let mut each = self.rows.column_iter().zip(eta.iter());
        let mut at_risk = Sums::none(p);
        let mut log_likelihood = 0.0;
        let mut gradient = DVector::zeros(p);
        let mut information = DMatrix::zeros(p, p);
        for block in &self.blocks {
            let mut dying = Sums::none(p);
            for (place, (row, eta)) in each.by_ref().take(block.len).enumerate() {
                let weight = eta.exp();
                at_risk.add(weight, &row);
                if place < block.events {
                    dying.add(weight, &row);
                    log_likelihood += eta;
                    gradient += row;
                }
            }
            for tied in 0..block.events {
                // Of those who have the event at one time, a part has left the risk set already.
                let gone = tied as f64 / block.events as f64;
                let zeroth = at_risk.zeroth - gone * dying.zeroth;
                // Nobody's weight is left when it underflowed.
                if zeroth <= 0.0 {
                    return None;
                }
                let mean = (&at_risk.first - gone * &dying.first) / zeroth;
                log_likelihood -= zeroth.ln();
                gradient -= &mean;
                information += (&at_risk.second - gone * &dying.second) / zeroth;
                information.ger(-1.0, &mean, &mean, 1.0);
            }
        }
        log_likelihood.is_finite().then_some(At {
            log_likelihood,
            gradient,
            information,
        })
    }

    /// For each observation, latest first, the hazard that it went through.
    fn expected_events(&self, b: &DVector<f64>) -> Vec<f64> {
        let Some(eta) = self.linear(b) else {
            return Vec::new();
        };
        let weights: Vec<f64> = eta.iter().map(|eta| eta.exp()).collect();
        // The hazard's rise at each time, for those who go on and for those who have the event: of tied ones,
        // each has on average left when half of the others have. Then sums from the earliest time on.
        let mut rises = Vec::with_capacity(self.blocks.len());
        let mut each = weights.iter();
        let mut at_risk = 0.0;
        for block in &self.blocks {
            let now: Vec<f64> = each.by_ref().take(block.len).copied().collect();
            at_risk += now.iter().sum::<f64>();
            let dying: f64 = now.iter().take(block.events).sum();
            let (mut on, mut with_event) = (0.0, 0.0);
            for tied in 0..block.events {
                let gone = tied as f64 / block.events as f64;
                let rise = 1.0 / (at_risk - gone * dying);
                on += rise;
                with_event += (1.0 - gone) * rise;
            }
            rises.push((on, with_event));
        }
        let mut hazards: Vec<(f64, f64)> = rises
            .iter()
            .rev()
            .scan(0.0, |before, (on, with_event)| {
                let with_event = *before + with_event;
                *before += on;
                Some((*before, with_event))
            })
            .collect();
        hazards.reverse();
        self.blocks
            .iter()
            .zip(hazards)
            .flat_map(|(block, (on, with_event))| {
                std::iter::repeat_n(with_event, block.events)
                    .chain(std::iter::repeat_n(on, block.len - block.events))
            })
            .zip(weights)
            .map(|(hazard, weight)| hazard * weight)
            .collect()
    }

    /// A direction in which whoever has the event is always at the top of those at risk means that the
    /// likelihood rises without end.
    fn no_estimate(&self, predictors: &Predictors, endless: &Endless) -> FitError {
        let along = self.rows.tr_mul(&endless.direction);
        let tolerance = 1e-6 * along.amax();
        let mut each = along.iter().copied();
        let mut top = f64::NEG_INFINITY;
        let mut is_monotone = tolerance > 0.0;
        for block in &self.blocks {
            let now: Vec<f64> = each.by_ref().take(block.len).collect();
            top = now.iter().copied().fold(top, f64::max);
            is_monotone &= now
                .iter()
                .take(block.events)
                .all(|along| *along >= top - tolerance);
        }
        if !is_monotone {
            return FitError::NotConverged;
        }
        predictors
            .names
            .iter()
            .zip(endless.direction.iter())
            .max_by(|(_, a), (_, b)| a.abs().total_cmp(&b.abs()))
            .map_or(FitError::NotConverged, |(name, _)| {
                FitError::Separated(name.clone())
            })
    }
}
