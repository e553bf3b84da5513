//! What is no attack by itself: honest work to be disturbed, and ways to disturb it that are allowed.

use std::time::{Duration, Instant};

use nix::errno::Errno;

use crate::{Attack, attack};

/// Numbers that the work goes over: 32 MiB, more than caches hold.
const NUMBERS: usize = 4 << 20;
const ROUNDS: u64 = 6;
/// Threads of the busy one, more than any machine of these tests has processors.
const BUSY_THREADS: usize = 16;
const BUSY_FOR: Duration = Duration::from_secs(4);

/// A fixed amount of computing over a fixed amount of memory, as a query does.
fn work() -> Result<(), Errno> {
    let mut numbers: Vec<u64> = (0..NUMBERS as u64).collect();
    for round in 1..=ROUNDS {
        for number in &mut numbers {
            *number = number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(round);
        }
    }
    let sum = numbers.iter().fold(0_u64, |sum, number| sum ^ number);
    match std::hint::black_box(sum) {
        0 => Err(Errno::EIO),
        _ => Ok(()),
    }
}

fn spin() {
    let start = Instant::now();
    let mut block = vec![0_u64; 1 << 18];
    let mut at = 0_usize;
    while start.elapsed() < BUSY_FOR {
        for _ in 0..10_000 {
            at = (at * 1_103_515_245 + 12_345) % block.len();
            block[at] = block[at].wrapping_add(1);
        }
    }
}

fn busy() -> Result<(), Errno> {
    let all: Vec<_> = (0..BUSY_THREADS)
        .map(|_| std::thread::spawn(spin))
        .collect();
    for thread in all {
        thread.join().map_err(|_| Errno::EIO)?;
    }
    Ok(())
}

pub(crate) const DEEDS: &[Attack] = &[
    attack("work", "compute over memory", |_| work()),
    attack("busy", "every processor for four seconds", |_| busy()),
];
