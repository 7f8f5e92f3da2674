//! A second random model, independent of the suite's schedules: several users, each with calls of every kind, against a
//! cluster to which everything happens, and callbacks that misbehave.
//!
//! On sockets, and in a simulated world. `FROM=0 SCHEDULES=20000 cargo test --release --test model -- --nocapture` looks
//! further, on every core; `FROM=17 SCHEDULES=1` repeats one. Where sockets are real, a seed alone does not always reproduce
//! a run; in the simulated world it does, and the example `simulate` runs many more.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod check;
mod ground;
mod hostile;
mod runner;
mod schedule;
mod settings;
#[allow(dead_code, reason = "shared with the example")]
mod simulation;
mod trouble;
mod user;

use std::sync::Arc;

use crate::ground::Ground;
use crate::runner::{Counts, Limits, Watch};

#[test]
fn whatever_users_and_brokers_do_every_promise_holds() {
    runner::print_events_if_asked();
    each_kind_happens(&runner::run("model", 40, on_sockets));
}

fn on_sockets(seed: u64, watch: &Arc<Watch>) -> Counts {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(schedule::schedule(seed, Ground::Sockets, watch.clone()))
}

#[test]
fn whatever_users_and_brokers_do_every_promise_holds_in_a_simulated_world() {
    runner::print_events_if_asked();
    each_kind_happens(&runner::run("simulation", 100, simulation::run));
}

/// What each of them found is in the commit that made it hold: late copies that a new producer id did not fence (165698,
/// 733732), and a lower offset that was not understood (624785).
#[test]
fn seeds_that_once_broke_a_promise_hold() {
    for seed in [165_698, 624_785, 733_732] {
        assert_eq!(simulation::look(seed, Limits::ALL, false).failure, None, "seed {seed}");
    }
}

fn each_kind_happens(counts: &Counts) {
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    for (name, count) in counts {
        assert!(*count > 0 || all < 1_000, "{name} never happened");
    }
}

#[test]
fn a_simulation_is_a_function_of_its_seed_and_leaves_no_memory_behind() {
    runner::run("repetition", 20, |seed, _| {
        let look = |records| simulation::look(seed, Limits::ALL, records);
        let (one, mut again) = (look(false), 0);
        // What a thread keeps for the next schedule was there after the first.
        let left = allocation_counter::measure(|| again = look(false).hash);
        assert_eq!(one.failure, None);
        assert_eq!(left.bytes_current, 0, "bytes in {} blocks are left", left.count_current);
        if one.hash != again {
            let (one, other) = (look(true).trace, look(true).trace);
            let same = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
            let part = |trace: &[String]| {
                trace[same.saturating_sub(10)..].iter().take(20).cloned().collect::<Vec<_>>()
            };
            panic!("it makes two traces, which part at event {same}: {:#?} {:#?}", part(&one), part(&other));
        }
        Counts::new()
    });
}
