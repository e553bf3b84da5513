//! Harrell's concordance in O(n log n).

use super::Block;

/// `risk` and `sorted` are by time, the latest first, events before censored of the same time.
///
/// A pair counts when it is known who had the event first: a censored observation of the same time as an
/// event lasted longer; two events of one time are not compared. Equal risks count half.
pub(super) fn concordance(blocks: &[Block], sorted: &[(f64, bool)], risk: &[f64]) -> Option<f64> {
    let mut levels: Vec<f64> = risk.to_vec();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    let rank = |risk: &f64| levels.partition_point(|level| level < risk);
    let mut later = Ranks::new(levels.len());
    let (mut concordant, mut comparable) = (0.0_f64, 0.0_f64);
    let mut each = sorted.iter().zip(risk);
    for block in blocks {
        let now: Vec<(bool, usize)> = each
            .by_ref()
            .take(block.len)
            .map(|((_, event), risk)| (*event, rank(risk)))
            .collect();
        for (_, rank) in now.iter().filter(|(event, _)| !event) {
            later.add(*rank);
        }
        for (_, rank) in now.iter().filter(|(event, _)| *event) {
            let (below, upto) = (later.below(*rank), later.below(*rank + 1));
            comparable += later.count;
            concordant += below + 0.5 * (upto - below);
        }
        for (_, rank) in now.iter().filter(|(event, _)| *event) {
            later.add(*rank);
        }
    }
    (comparable > 0.0).then(|| concordant / comparable)
}

/// How many of each rank: a Fenwick tree.
struct Ranks {
    sums: Vec<f64>,
    count: f64,
}

impl Ranks {
    fn new(levels: usize) -> Self {
        Self {
            sums: vec![0.0; levels + 1],
            count: 0.0,
        }
    }

    fn add(&mut self, rank: usize) {
        self.count += 1.0;
        let mut place = rank + 1;
        while let Some(sum) = self.sums.get_mut(place) {
            *sum += 1.0;
            place += place & place.wrapping_neg();
        }
    }

    /// Those of a rank below this.
    fn below(&self, rank: usize) -> f64 {
        let mut place = rank;
        let mut total = 0.0;
        while place > 0 {
            total += self.sums.get(place).copied().unwrap_or(0.0);
            place &= place - 1;
        }
        total
    }
}
