//! Relations and statistics made up by a seed.

use crate::data::{LAB, PERSON, VISIT};
use crate::random::Random;
use crate::relation::{Col, Cond, Expr, Kind, Rel};
use crate::statistic::{Agg, Call, Cell, Grouping, Statistic};

const INTS: [Col; 2] = [Col::G, Col::H];
const AMOUNTS: [Col; 2] = [Col::X, Col::Y];
const ALL: [Col; 4] = [Col::G, Col::H, Col::X, Col::Y];

/// What is known of a relation's rows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    /// About one person, whose key is in `pid`.
    Keyed,
    /// About one person, whose key may be missing in `pid`.
    Keyless,
    /// About two.
    Two,
}

fn cond(random: &mut Random, depth: usize) -> Cond {
    let inner = |random: &mut Random| Box::new(cond(random, depth - 1));
    match random.below(if depth == 0 { 3 } else { 6 }) {
        0 => Cond::Less(
            Expr::Col(random.pick(&ALL)),
            Expr::Const(random.below(20) as i64),
        ),
        1 => Cond::Equal(
            Expr::Col(random.pick(&INTS)),
            Expr::Const(random.below(4) as i64),
        ),
        2 => Cond::IsNull(Expr::Col(random.pick(&ALL))),
        3 => Cond::And(inner(random), inner(random)),
        4 => Cond::Or(inner(random), inner(random)),
        _ => Cond::Not(inner(random)),
    }
}

/// True for most rows.
fn wide(random: &mut Random) -> Cond {
    match random.below(4) {
        0 => Cond::Not(Box::new(Cond::Equal(
            Expr::Col(random.pick(&INTS)),
            Expr::Const(random.below(3) as i64),
        ))),
        1 => Cond::Less(
            Expr::Const(-(random.below(30) as i64)),
            Expr::Col(random.pick(&AMOUNTS)),
        ),
        2 => Cond::Or(
            Box::new(Cond::Less(Expr::Col(Col::X), Expr::Const(60))),
            Box::new(Cond::IsNull(Expr::Col(Col::Y))),
        ),
        _ => cond(random, 2),
    }
}

fn whole(random: &mut Random) -> Expr {
    let col = Expr::Col(random.pick(&INTS));
    match random.below(4) {
        0 => Expr::Coalesce(Box::new(col), Box::new(Expr::Const(1))),
        1 => Expr::Case(
            Box::new(cond(random, 1)),
            Box::new(col),
            random.chance(50).then(|| Box::new(Expr::Const(2))),
        ),
        _ => col,
    }
}

fn amount(random: &mut Random) -> Expr {
    let col = Box::new(Expr::Col(random.pick(&AMOUNTS)));
    match random.below(6) {
        0 => Expr::Plus(col, Box::new(Expr::Col(random.pick(&ALL)))),
        1 => Expr::Minus(col),
        2 => Expr::Coalesce(col, Box::new(Expr::Minus(Box::new(Expr::Col(Col::X))))),
        // A rare value inside of a sum.
        3 => Expr::Case(
            Box::new(cond(random, 2)),
            col,
            random.chance(50).then(|| Box::new(Expr::Const(0))),
        ),
        _ => *col,
    }
}

fn keyed(random: &mut Random, depth: usize) -> Rel {
    loop {
        if let (rel, Rows::Keyed) = relation(random, depth) {
            return rel;
        }
    }
}

fn relation(random: &mut Random, depth: usize) -> (Rel, Rows) {
    let table = |random: &mut Random| Rel::Table([&PERSON, &VISIT, &LAB][random.below(3)]);
    if depth == 0 {
        return (table(random), Rows::Keyed);
    }
    let below = depth - 1;
    let keyed = |random: &mut Random| Box::new(keyed(random, below));
    match random.below(13) {
        0 | 1 => {
            let (rel, rows) = relation(random, below);
            (Rel::Where(Box::new(rel), wide(random)), rows)
        }
        2 => {
            let (rel, rows) = relation(random, below);
            let exprs = [whole(random), whole(random), amount(random), amount(random)];
            (Rel::Compute(Box::new(rel), Box::new(exprs)), rows)
        }
        3 | 4 => {
            let kind = random.pick(&[Kind::Inner, Kind::Left, Kind::Right, Kind::Full]);
            let rows = if kind == Kind::Full {
                Rows::Keyless
            } else {
                Rows::Keyed
            };
            (Rel::JoinPerson(kind, keyed(random), keyed(random)), rows)
        }
        5 => {
            let (rel, rows) = relation(random, below);
            let kind = random.pick(&[Kind::Inner, Kind::Left]);
            (Rel::JoinWard(kind, Box::new(rel)), rows)
        }
        6 if depth < 3 => {
            let first = Box::new(Rel::Where(Box::new(table(random)), wide(random)));
            (Rel::JoinOther(first, Box::new(table(random))), Rows::Two)
        }
        7 => (Rel::UnionAll(keyed(random), keyed(random)), Rows::Keyed),
        8 => (Rel::Distinct(keyed(random)), Rows::Keyed),
        9 => (Rel::PerPerson(keyed(random)), Rows::Keyed),
        10 => (Rel::Window(keyed(random)), Rows::Keyed),
        11 => {
            let exists = Rel::Exists {
                rel: keyed(random),
                other: keyed(random),
                such: wide(random),
                negated: random.chance(30),
                by_in: random.chance(50),
            };
            (exists, Rows::Keyed)
        }
        12 if random.chance(60) => (Rel::Largest(keyed(random), keyed(random)), Rows::Keyed),
        _ => (Rel::Twice(keyed(random)), Rows::Keyed),
    }
}

fn agg(random: &mut Random) -> Agg {
    let call = match random.below(9) {
        0 | 1 => Call::Rows,
        2 => Call::Count(amount(random)),
        3 => Call::Distinct(random.pick(&ALL)),
        4 | 5 => Call::Sum(amount(random)),
        6 => Call::Mean(amount(random)),
        7 => Call::Median(amount(random)),
        _ => Call::Quartile(amount(random)),
    };
    Agg {
        call,
        filter: random.chance(30).then(|| wide(random)),
    }
}

pub fn statistic(random: &mut Random) -> Statistic {
    let depth = 1 + random.below(4);
    let (rel, _) = relation(random, depth);
    let groups = match random.below(5) {
        0 => vec![],
        1 | 2 => vec![Col::G],
        3 => vec![Col::H],
        _ => vec![Col::G, Col::H],
    };
    let grouping = match random.below(6) {
        0 if !groups.is_empty() => Grouping::Rollup,
        1 if !groups.is_empty() => Grouping::Cube,
        2 if !groups.is_empty() => Grouping::Sets,
        _ => Grouping::Plain,
    };
    let is_plain = grouping == Grouping::Plain && !groups.is_empty();
    let cells = (0..1 + random.below(4))
        .map(|_| {
            if random.chance(15) {
                Cell::Difference(agg(random), agg(random))
            } else {
                Cell::One(agg(random))
            }
        })
        .collect();
    Statistic {
        rel,
        cells,
        grouping,
        more_than: (!groups.is_empty() && random.chance(25)).then(|| random.below(40) as i64),
        limit: (is_plain && random.chance(25)).then(|| 1 + random.below(4)),
        groups,
    }
}
