//! What something waits for, in words.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::WaitReason;
use super::wait::SILENT;

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLeader { topic, partition, elapsed } => {
                write!(
                    f,
                    "partition {partition} of topic {topic:?} has had no leader for {}",
                    Seconds(*elapsed)
                )
            }
            Self::Throttled { broker, left } => {
                write!(f, "{broker} throttles this producer for another {}", Seconds(*left))
            }
            Self::BreakerOpen { broker, failures, left } => {
                write!(f, "the circuit breaker of {} is open for another {}", Whose(broker), Seconds(*left))?;
                if *failures > 1 { write!(f, " after {failures} failures in a row") } else { Ok(()) }
            }
            Self::BreakerHalfOpen { broker } => {
                write!(f, "the circuit breaker of {} is half open until a probe succeeds", Whose(broker))
            }
            Self::Response { broker, in_flight: 0, silent, .. } => {
                write!(f, "{broker} has not answered for {}", Seconds(*silent))
            }
            Self::Response { broker, in_flight, oldest, silent } => {
                let s = if *in_flight == 1 { "" } else { "s" };
                if *silent >= SILENT {
                    write!(f, "{broker} has not answered for {}: ", Seconds(*silent))?;
                }
                write!(f, "{in_flight} request{s} in flight")?;
                if *silent < SILENT {
                    write!(f, " to {broker}")?;
                }
                match in_flight {
                    1 => write!(f, " for {}", Seconds(*oldest)),
                    _ => write!(f, ", the oldest for {}", Seconds(*oldest)),
                }
            }
            Self::Connecting { broker, elapsed } => {
                write!(f, "connecting to {broker} has taken {} so far", Seconds(*elapsed))
            }
            Self::Disconnected { broker } => write!(f, "there is no connection to {broker}"),
            Self::NoBroker => f.write_str("no broker can be reached"),
            Self::RateLimit { elapsed, left } => write!(
                f,
                "rate_limit has delayed requests for {} and does so for another {}",
                Seconds(*elapsed),
                Seconds(*left)
            ),
            Self::ProducerId => f.write_str("the cluster has not granted a producer id yet"),
            Self::Retry { broker, attempts, left } => {
                let s = if *attempts == 1 { "" } else { "s" };
                write!(
                    f,
                    "{broker} has not accepted the batch in {attempts} attempt{s}, the next is due in {}",
                    Seconds(*left)
                )
            }
            Self::Metadata { topic, elapsed } => {
                write!(f, "no metadata for topic {topic:?} after {}", Seconds(*elapsed))
            }
            Self::BufferSpace { used, capacity, topic, topic_bytes, because } => {
                write!(f, "waiting for buffer space: {} (buffer.max_bytes) in use", Part(*used, *capacity))?;
                if let Some(topic) = topic {
                    let percent = (topic_bytes.saturating_mul(100) / (*used).max(1)).min(100);
                    write!(f, ", {percent} % by topic {topic:?}")?;
                }
                then(f, because.as_deref())
            }
            Self::TopicShare { topic, used, capacity, because } => {
                let part = Part(*used, *capacity);
                write!(
                    f,
                    "waiting for buffer space of topic {topic:?}: {part} (bulkhead.topic_share) in use"
                )?;
                then(f, because.as_deref())
            }
            Self::Linger { left } => write!(f, "the batch lingers for another {}", Seconds(*left)),
            Self::Compression => f.write_str("the batch is being compressed"),
            Self::Queue { broker } => write!(f, "queued for {broker}"),
        }
    }
}

fn then(f: &mut fmt::Formatter<'_>, because: Option<&WaitReason>) -> fmt::Result {
    because.map_or(Ok(()), |because| write!(f, "; {because}"))
}

struct Whose<'a>(&'a Option<Arc<str>>);

impl fmt::Display for Whose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("the cluster"))
    }
}

/// A duration as people read it: tenths of a second.
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} s", self.0.as_secs_f64())
    }
}

/// `31.9 of 32 MiB`: the first in tenths of the largest unit that the second has one of.
struct Part(usize, usize);

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(used, capacity) = *self;
        let (unit, name) = match capacity {
            _ if capacity >= 1 << 30 => (1 << 30, "GiB"),
            _ if capacity >= 1 << 20 => (1 << 20, "MiB"),
            _ if capacity >= 1 << 10 => (1 << 10, "KiB"),
            _ => return write!(f, "{used} of {capacity} bytes"),
        };
        // Rounded down: what is not full does not look full.
        let tenths = |bytes: usize| bytes.saturating_mul(10) / unit;
        let whole = |tenths: usize| match tenths % 10 {
            0 => format!("{}", tenths / 10),
            part => format!("{}.{part}", tenths / 10),
        };
        write!(f, "{} of {} {name}", whole(tenths(used)), whole(tenths(capacity)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_buffer_is_written_in_one_unit() {
        for (used, capacity, text) in [
            (33_500_000, 32 << 20, "31.9 of 32 MiB"),
            (32 << 20, 32 << 20, "32 of 32 MiB"),
            (0, 1 << 20, "0 of 1 MiB"),
            (1, 999, "1 of 999 bytes"),
            (1 << 29, 3 << 29, "0.5 of 1.5 GiB"),
            (usize::MAX, usize::MAX, "1717986918.3 of 1717986918.3 GiB"),
        ] {
            assert_eq!(Part(used, capacity).to_string(), text);
        }
    }

    #[test]
    fn a_silent_broker_is_described_as_such_and_a_slow_one_by_its_requests() {
        let broker: Arc<str> = "kafka-3:9092".into();
        let reason = |in_flight, oldest, silent| WaitReason::Response {
            broker: broker.clone(),
            in_flight,
            oldest: Duration::from_millis(oldest),
            silent: Duration::from_millis(silent),
        };
        for (reason, text) in [
            (reason(5, 8_200, 300), "5 requests in flight to kafka-3:9092, the oldest for 8.2 s"),
            (reason(1, 800, 800), "1 request in flight to kafka-3:9092 for 0.8 s"),
            (
                reason(5, 8_200, 8_200),
                "kafka-3:9092 has not answered for 8.2 s: 5 requests in flight, the oldest for 8.2 s",
            ),
            (reason(0, 0, 3_000), "kafka-3:9092 has not answered for 3.0 s"),
        ] {
            assert_eq!(reason.to_string(), text);
        }
    }
}
