//! How far it is, on standard error.

use std::fmt::Display;
use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use rskafka_producer::{Producer, Stats};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// Shows progress until it is dropped: four times a second on a terminal, else a line each second.
pub(crate) async fn show(producer: Producer) {
    let on_terminal = stderr().is_terminal();
    let period = Duration::from_millis(if on_terminal { 250 } else { 1_000 });
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = (ticks.tick().await, 0);
    loop {
        let now = ticks.tick().await;
        let stats = producer.stats();
        let text = line(&stats, stats.records_acked - before.1, now - before.0);
        before = (now, stats.records_acked);
        write(&if on_terminal { format!("\r{text}\x1b[K") } else { format!("{text}\n") });
    }
}

/// Says what messages wait for while none is stored: after one second, then after two more, four more and so on.
pub(crate) async fn explain(producer: Producer) {
    const FIRST: Duration = Duration::from_secs(1);
    let (mut stored, mut patience) = (0, FIRST);
    loop {
        sleep(patience).await;
        let now = producer.stats().records_acked;
        if now != stored {
            (stored, patience) = (now, FIRST);
            continue;
        }
        let explanation = producer.explain();
        if !explanation.is_empty() {
            say(format_args!("kafka-send: waiting: {explanation}"));
            patience *= 2;
        }
    }
}

/// Says a line, in place of the progress that a terminal shows.
pub(crate) fn say(line: impl Display) {
    let clear = if stderr().is_terminal() { "\r\x1b[K" } else { "" };
    write(&format!("{clear}{line}\n"));
}

/// `eprint!` panics where standard error is a closed pipe. There is nobody to hear it then; the run goes on.
fn write(text: &str) {
    _ = stderr().write_all(text.as_bytes());
}

/// A number of records, in words.
pub(crate) fn records(count: u64) -> String {
    format!("{count} record{}", if count == 1 { "" } else { "s" })
}

pub(crate) fn rate(records: u64, time: Duration) -> f64 {
    records as f64 / time.as_secs_f64().max(1e-9)
}

fn line(stats: &Stats, stored: u64, time: Duration) -> String {
    let failed = stats.records_not_persisted + stats.records_possibly_persisted;
    let in_flight = stats.records_accepted - stats.records_acked - failed;
    let rate = rate(stored, time);
    format!("{} stored  {rate:.0}/s  {in_flight} in flight  {failed} failed", stats.records_acked)
}

/// What a run that went well says at its end.
pub(crate) fn summary(records: u64, bytes: u64, started: Instant) -> String {
    let time = started.elapsed();
    let (megabytes, rate) = (bytes as f64 / 1e6, rate(records, time));
    format!(
        "{} stored, {megabytes:.1} MB of input in {:.2} s, {rate:.0} records/s",
        self::records(records),
        time.as_secs_f64()
    )
}
