//! Random schedules in a simulated world: users, brokers and a network, all in memory and on a paused clock, each a
//! function of its seed. At the end of each, what was reported is compared with what was stored.
//!
//! ```text
//! cargo run --release --example simulate -- --seeds 100000
//! ```
//!
//! Of a schedule that breaks a promise, all is taken away that it does not need; its trace is printed, and the command that
//! repeats it: `--seed N`, with limits to its calls, happenings and faults, and `--calm` where it needs no weather. `TRACE=1`
//! prints the events of the producer, too.

#![allow(clippy::unwrap_used, reason = "a panic fails the schedule")]

#[path = "../../tests/model/check.rs"]
mod check;
#[path = "../../tests/model/ground.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod ground;
#[path = "../../tests/model/hostile.rs"]
mod hostile;
#[path = "../../tests/model/runner.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod runner;
#[path = "../../tests/model/schedule.rs"]
mod schedule;
#[path = "../../tests/model/settings.rs"]
mod settings;
mod shrink;
#[path = "../../tests/model/simulation.rs"]
mod simulation;
#[path = "../../tests/model/trouble.rs"]
mod trouble;
#[path = "../../tests/model/user.rs"]
mod user;

use std::process::ExitCode;

use crate::runner::{Explored, Limits, Search, explore};
use crate::simulation::look;

const USAGE: &str = "usage: simulate [--seeds N] [--from SEED] [--threads N] [--failures N]
       simulate --seed SEED [--calls N] [--happenings N] [--faults N] [--calm]";

/// Failures that are looked at closely.
const MOST: usize = 3;
/// Lines of a trace that are printed, from its end.
const LINES: usize = 80;

struct Args {
    search: Search,
    /// The only one, and its limits.
    seed: Option<u64>,
    limits: Limits,
}

impl Args {
    fn read(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let threads = std::thread::available_parallelism().map_or(2, |threads| threads.get() as u64);
        let search = Search { from: 0, count: 1_000, threads, failures: 20 };
        let mut read = Self { search, seed: None, limits: Limits::ALL };
        while let Some(flag) = args.next() {
            if flag == "--calm" {
                read.limits.weather = false;
                continue;
            }
            let value = args.next().and_then(|value| value.replace('_', "").parse().ok());
            let value: u64 = value.ok_or_else(|| format!("{flag} needs a number\n{USAGE}"))?;
            match flag.as_str() {
                "--seeds" => read.search.count = value,
                "--from" => read.search.from = value,
                "--threads" => read.search.threads = value.max(1),
                "--failures" => read.search.failures = value.max(1) as usize,
                "--seed" => read.seed = Some(value),
                "--calls" => read.limits.calls = value as usize,
                "--happenings" => read.limits.happenings = value as usize,
                "--faults" => read.limits.faults = value as usize,
                _ => return Err(format!("{flag} is unknown\n{USAGE}")),
            }
        }
        Ok(read)
    }
}

fn main() -> ExitCode {
    let args = match Args::read(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    runner::hook_panics();
    runner::print_events_if_asked();
    match args.seed {
        Some(seed) => replay(seed, args.limits),
        None => search(&args.search),
    }
}

/// Runs one schedule, and prints its whole trace.
fn replay(seed: u64, limits: Limits) -> ExitCode {
    let outcome = look(seed, limits, true);
    outcome.trace.iter().for_each(|line| println!("{line}"));
    println!("{}\nseed {seed}, trace {:016x}", outcome.schedule, outcome.hash);
    let Some(failure) = outcome.failure else {
        println!("every promise holds");
        return ExitCode::SUCCESS;
    };
    println!("{failure}");
    ExitCode::FAILURE
}

fn search(search: &Search) -> ExitCode {
    let Explored { mut failed, .. } = explore("simulation", search, simulation::run);
    failed.sort_unstable();
    for (seed, _) in failed.iter().take(MOST) {
        let Some(limits) = shrink::smallest(*seed) else {
            println!("seed {seed} fails only now and then: something depends on chance");
            continue;
        };
        let outcome = look(*seed, limits, true);
        println!("\nseed {seed}, the end of its trace:");
        let skipped = outcome.trace.len().saturating_sub(LINES);
        outcome.trace[skipped..].iter().for_each(|line| println!("  {line}"));
        println!("{}\n{}", outcome.schedule, outcome.failure.unwrap_or_default());
        println!(
            "repeat it: cargo run --release --example simulate -- --seed {seed} {}",
            shrink::flags(limits)
        );
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
