//! Predictors of a model: checked, centred and scaled.

use nalgebra::{DMatrix, DVector};

use crate::FitError;

/// The most predictors of a model.
pub const PREDICTORS_MAX: usize = 50;

/// A column that varies less than this part of its size has no digits left to vary in.
const CONSTANT: f64 = 1e-12;

/// A column of which less than this part is left, once earlier ones are taken out, follows from them. As R's
/// `lm`.
const COLLINEAR: f64 = 1e-7;

/// A named column of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable {
    /// As the researcher named it.
    pub name: String,
    /// One for each observation.
    pub values: Vec<f64>,
}

/// Predictors that a model can be fitted with: equally long, finite, none constant, none a sum of others.
///
/// They are kept centred and divided by their standard deviation: a year of birth beside a dose in grams
/// would otherwise cost Newton's method half of its digits. Estimates are given for the original units.
#[derive(Debug, Clone)]
pub struct Predictors {
    pub(crate) names: Vec<String>,
    pub(crate) means: Vec<f64>,
    pub(crate) scales: Vec<f64>,
    /// One column for each observation, so that an observation is contiguous.
    pub(crate) rows: DMatrix<f64>,
}

impl Predictors {
    /// Checks and scales. Takes the columns, so that there is one copy of them less.
    pub fn new(variables: Vec<Variable>) -> Result<Self, FitError> {
        let count = variables.len();
        if !(1..=PREDICTORS_MAX).contains(&count) {
            return Err(FitError::Predictors {
                max: PREDICTORS_MAX,
            });
        }
        let observations = variables.first().map_or(0, |first| first.values.len());
        let needed = count + 2;
        if observations < needed {
            return Err(FitError::TooFewRows { needed });
        }
        let mut matrix = DMatrix::zeros(observations, count);
        let (mut names, mut means, mut scales): (Vec<String>, _, _) = Default::default();
        for (variable, mut column) in variables.into_iter().zip(matrix.column_iter_mut()) {
            if names.contains(&variable.name) {
                return Err(FitError::NamedTwice(variable.name));
            }
            if variable.values.len() != observations {
                return Err(FitError::Ragged(variable.name));
            }
            let (mean, scale) = mean_and_scale(&variable)?;
            for (to, from) in column.iter_mut().zip(&variable.values) {
                *to = (from - mean) / scale;
            }
            names.push(variable.name);
            Vec::push(&mut means, mean);
            Vec::push(&mut scales, scale);
        }
        let predictors = Self {
            names,
            means,
            scales,
            rows: matrix.transpose(),
        };
        predictors.check_independence(matrix)?;
        Ok(predictors)
    }

    /// How many observations.
    pub fn observations(&self) -> usize {
        self.rows.ncols()
    }

    /// How many predictors.
    pub fn count(&self) -> usize {
        self.rows.nrows()
    }

    /// In the order given.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Bytes that a fit with this many observations and predictors needs at the most, above what is given.
    pub fn fit_bytes(observations: usize, predictors: usize) -> usize {
        // The scaled matrix, its transpose, one decomposition of it, and a few numbers an observation.
        observations
            .saturating_mul(predictors.saturating_mul(3).saturating_add(12))
            .saturating_mul(size_of::<f64>())
    }

    /// What the intercept in the original units is made of: the intercept at the centre, less what centring
    /// took from each predictor.
    pub(crate) fn intercept(&self) -> DVector<f64> {
        let shifts = self.means.iter().zip(&self.scales);
        DVector::from_iterator(
            self.count() + 1,
            std::iter::once(1.0).chain(shifts.map(|(mean, scale)| -mean / scale)),
        )
    }

    /// Takes each column's part in the earlier ones away: what is left must be more than rounding.
    fn check_independence(&self, matrix: DMatrix<f64>) -> Result<(), FitError> {
        let norms: Vec<f64> = matrix.column_iter().map(|column| column.norm()).collect();
        let r = matrix.qr().unpack_r();
        for (place, ((name, norm), own)) in self
            .names
            .iter()
            .zip(&norms)
            .zip(r.diagonal().iter())
            .enumerate()
        {
            if own.abs() > COLLINEAR * norm {
                continue;
            }
            // The columns before this one are independent, so that their triangle can be solved.
            let earlier = r.view((0, 0), (place, place));
            let parts = earlier.solve_upper_triangular(&r.view((0, place), (place, 1)));
            let others = parts
                .iter()
                .flat_map(|parts| parts.iter())
                .zip(&self.names)
                .filter(|(part, _)| part.abs() > 1e-6)
                .map(|(_, name)| name.clone())
                .collect();
            return Err(FitError::Collinear {
                name: name.clone(),
                others,
            });
        }
        Ok(())
    }
}

/// Mean and standard deviation (over n): two passes, the second of which corrects the first.
fn mean_and_scale(variable: &Variable) -> Result<(f64, f64), FitError> {
    let not_finite = || FitError::NotFinite(variable.name.clone());
    let n = variable.values.len() as f64;
    if !variable.values.iter().all(|value| value.is_finite()) {
        return Err(not_finite());
    }
    let first = variable.values.iter().sum::<f64>() / n;
    let mean = first + variable.values.iter().map(|v| v - first).sum::<f64>() / n;
    let squares: f64 = variable.values.iter().map(|v| (v - mean).powi(2)).sum();
    let scale = (squares / n).sqrt();
    let largest = variable.values.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    if !mean.is_finite() || !squares.is_finite() {
        return Err(not_finite());
    }
    if scale <= CONSTANT * largest {
        return Err(FitError::Constant(variable.name.clone()));
    }
    Ok((mean, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str, values: &[f64]) -> Variable {
        Variable {
            name: name.to_owned(),
            values: values.to_vec(),
        }
    }

    fn refusal(variables: &[(&str, &[f64])]) -> FitError {
        let variables = variables.iter().map(|(n, v)| variable(n, v)).collect();
        Predictors::new(variables).unwrap_err()
    }

    #[test]
    fn predictor_that_follows_from_others_is_named_with_them() {
        let a = [1.0, 2.0, 3.0, 5.0, 8.0, 13.0];
        let b = [0.0, 1.0, 0.0, 0.0, 1.0, 1.0];
        let c = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0];
        let sum: Vec<f64> = a.iter().zip(&c).map(|(a, c)| 70.0 - 2.0 * a + c).collect();
        let error = refusal(&[("a", &a), ("b", &b), ("c", &c), ("sum", &sum)]);
        assert_eq!(
            error,
            FitError::Collinear {
                name: "sum".to_owned(),
                others: vec!["a".to_owned(), "c".to_owned()],
            }
        );
        assert_eq!(
            error.to_string(),
            "`sum` follows from `a`, `c`: leave one of them out"
        );
    }

    #[test]
    fn constant_ragged_infinite_and_doubled_predictors_are_refused_by_name() {
        let good = [1.0, 2.0, 3.0, 5.0];
        assert_eq!(
            refusal(&[("x", &[0.1; 4])]),
            FitError::Constant("x".to_owned())
        );
        // Varies by less than a digit of its size.
        let nearly = [1e9, 1e9, 1e9 + 1e-7, 1e9];
        assert_eq!(
            refusal(&[("x", &nearly)]),
            FitError::Constant("x".to_owned())
        );
        assert_eq!(
            refusal(&[("x", &good), ("y", &good[..3])]),
            FitError::Ragged("y".to_owned())
        );
        for bad in [f64::NAN, f64::INFINITY, f64::MAX] {
            assert_eq!(
                refusal(&[("x", &[1.0, bad, -bad, bad])]),
                FitError::NotFinite("x".to_owned())
            );
        }
        assert_eq!(
            refusal(&[("x", &good), ("x", &[1.0, 0.0, 0.0, 1.0])]),
            FitError::NamedTwice("x".to_owned())
        );
        assert_eq!(
            refusal(&[("x", &good[..2])]),
            FitError::TooFewRows { needed: 3 }
        );
        assert_eq!(refusal(&[]), FitError::Predictors { max: 50 });
    }

    #[test]
    fn sizes_and_shifts_of_predictors_do_not_matter() {
        let a = [1.0, 2.0, 3.0, 5.0, 8.0];
        let b: Vec<f64> = a.iter().map(|a| 2e12 + 3e9 * a).collect();
        let a = Predictors::new(vec![variable("a", &a)]).unwrap();
        let b = Predictors::new(vec![variable("b", &b)]).unwrap();
        assert!((a.rows - b.rows).abs().max() < 1e-12);
    }
}
