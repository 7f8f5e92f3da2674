//! Admission: checked, routed, room taken, appended. The hot path, without an `await`.

use std::sync::Arc;

use tokio::time::Instant;

use crate::accumulator::{Appended, Arrival, Held, NoRoom, Receipt};
use crate::clock::recently;
use crate::config::{Capabilities, OpenCircuit};
use crate::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::message::Message;
use crate::metadata::{Partitions, Topic};
use crate::partitioner::PartitionInput;
use crate::record::{max_encoded_len, message_footprint, most_encoded_len};
use crate::resilience::BreakerState;
use crate::sender::Partition;
use crate::topic_name;

/// The outcome of offering a message.
pub(super) enum Offer {
    Accepted(Receipt),
    /// The topic's metadata has to be fetched first.
    UnknownTopic(Arc<str>),
    /// There is no room at the moment, in the topic's share or in the whole buffer.
    NoRoom(Arc<Topic>, usize),
}

impl Core {
    /// Offers a message. `waited`: the space that its caller has waited for.
    pub(super) fn offer(
        self: &Arc<Self>,
        message: &Message,
        deadline: Option<Instant>,
        waited: Option<Held<'_>>,
    ) -> Result<Offer> {
        self.supervisor.ready()?;
        let Some(name) = self.topic_of(message) else {
            return Err(Error::new(
                ErrorKind::NoTopic,
                "the message names no topic and the producer has no default topic: set one of them",
            ));
        };
        let (lent, owned);
        let found = if self.calls_out {
            // The user's code may call the producer, or block: no lock is held meanwhile.
            owned = self.metadata.topic(name);
            owned.as_ref()
        } else {
            lent = self.metadata.lend();
            lent.get(name)
        };
        self.offer_to(found, name, message, deadline, waited)
    }

    /// The topic that a message names, or the default one.
    #[inline]
    pub(super) fn topic_of<'a>(&'a self, message: &'a Message) -> Option<&'a Arc<str>> {
        message.topic.as_ref().or(self.default_topic.as_ref())
    }

    #[inline]
    fn offer_to(
        self: &Arc<Self>,
        found: Option<&Arc<Topic>>,
        name: &Arc<str>,
        message: &Message,
        deadline: Option<Instant>,
        waited: Option<Held<'_>>,
    ) -> Result<Offer> {
        let Some(topic) = found else {
            return match topic_name::check(name) {
                Ok(()) => Ok(Offer::UnknownTopic(name.clone())),
                Err(problem) => Err(Error::new(ErrorKind::InvalidTopic, problem)),
            };
        };
        let footprint = message_footprint(message);
        self.check(message, footprint).map_err(|error| error.with_topic(topic.name.clone()))?;
        // Where the topic is gone, or another has taken its name, what was waited for is given back.
        let held = match waited.filter(|held| held.is_of(&topic.budget)) {
            Some(held) => held,
            None => match topic.budget.try_take(footprint) {
                Ok(held) => held,
                Err(NoRoom::Closed) => return Err(closed()),
                Err(NoRoom::Full) if topic.budget.can_hold(footprint) => {
                    return Ok(Offer::NoRoom(topic.clone(), footprint));
                }
                Err(NoRoom::Full) => {
                    let problem = format!(
                        "the message takes {footprint} bytes of memory, more than buffer.max_bytes and \
                         bulkhead.topic_share allow: raise one of them"
                    );
                    return Err(Error::new(ErrorKind::BufferFull, problem).with_topic(topic.name.clone()));
                }
            },
        };
        let partition = self.route(topic, message, footprint)?;
        match self.append(partition, message, footprint, deadline)? {
            Some(accepted) => {
                held.keep();
                Ok(accepted)
            }
            // The partition takes nothing more: the producer was closed, or the topic is gone.
            None if !self.life.is_open() => Err(closed()),
            None => Ok(Offer::UnknownTopic(topic.name.clone())),
        }
    }

    #[inline]
    fn append(
        self: &Arc<Self>,
        partition: &Arc<Partition>,
        message: &Message,
        footprint: usize,
        deadline: Option<Instant>,
    ) -> Result<Option<Offer>> {
        let arrival = Arrival { message, footprint, now: recently(), deadline };
        // A custom clock is read before the queue is locked.
        let wall = self.custom_wall_millis();
        let wall = || wall.unwrap_or_else(|| self.wall_millis());
        let Some((receipt, Appended { wake, sealed, .. })) = partition.append(&arrival, &self.policy, wall)
        else {
            return Ok(None);
        };
        self.stats.accepted(1);
        if sealed {
            self.sealed();
        }
        if wake {
            partition.broker().schedule(self, partition.clone());
        }
        Ok(Some(Offer::Accepted(receipt)))
    }

    fn check_circuit(&self, partition: &Partition) -> Result<()> {
        let broker = partition.broker();
        let now = Instant::now();
        let Some(node) = broker.node else {
            return self.metadata.fail_fast(self, now).map_or(Ok(()), Err);
        };
        match broker.breaker_state(now) {
            BreakerState::Open => {
                Err(crate::sender::circuit_open(&broker, &self.engine.name_of(node), broker.retry_after(now)))
            }
            _ => Ok(()),
        }
    }

    #[inline]
    pub(super) fn check(&self, message: &Message, footprint: usize) -> Result<()> {
        let most = self.config.batch.max_message_bytes();
        let is_plain = message.headers.is_empty() && message.timestamp.is_none();
        if is_plain && most_encoded_len(footprint) <= most {
            Ok(())
        } else {
            self.check_closely(message, most)
        }
    }

    fn check_closely(&self, message: &Message, most: usize) -> Result<()> {
        let bytes = max_encoded_len(message);
        if bytes > most {
            return Err(Error::new(
                ErrorKind::MessageTooLarge,
                format!(
                    "the message takes {bytes} bytes; batch.max_request_bytes allows {most}: raise it (and \
                     max.message.bytes of the topic), or send a smaller message"
                ),
            ));
        }
        if let Some(timestamp) = message.timestamp.filter(|t| *t < 0) {
            return Err(Error::new(
                ErrorKind::InvalidMessage,
                format!("the timestamp ({timestamp} ms) is before 1970, which Kafka cannot store"),
            ));
        }
        if !message.headers.is_empty() && !Capabilities::of(self.config.engine).ordered_headers {
            let mut names: Vec<_> = message.headers.iter().map(|h| h.name.as_str()).collect();
            let in_order = names.windows(2).all(|pair| pair[0] < pair[1]);
            names.sort_unstable();
            if !in_order || message.headers.iter().any(|h| h.value.is_none()) {
                return Err(Error::new(
                    ErrorKind::InvalidMessage,
                    "the PartitionClient engine stores headers sorted by name, each once and not null; these are \
                     not: use EngineKind::Native",
                ));
            }
        }
        Ok(())
    }

    /// The partition of a message, if it may be sent there now.
    #[inline]
    pub(super) fn route<'a>(
        self: &Arc<Self>,
        topic: &'a Topic,
        message: &Message,
        footprint: usize,
    ) -> Result<&'a Arc<Partition>> {
        let partition = self.choose(topic, message, footprint).map_err(|error| {
            if error.kind() == ErrorKind::UnknownPartition {
                // It may have been added since.
                self.metadata.refresh_soon(self);
            }
            error.with_topic(topic.name.clone())
        })?;
        if self.config.circuit_breaker.when_open == OpenCircuit::FailFast {
            self.check_circuit(partition)?;
        }
        Ok(partition)
    }

    #[inline]
    fn choose<'a>(
        &self,
        topic: &'a Topic,
        message: &Message,
        footprint: usize,
    ) -> Result<&'a Arc<Partition>> {
        let Partitions { all, count, led } = &topic.partitions;
        let count = *count;
        if let Some(partition) = message.partition {
            let index = usize::try_from(partition).ok().filter(|index| *index < count);
            return index
                .and_then(|index| all.get(index))
                .ok_or_else(|| no_partition(topic, partition.into(), false));
        }
        if count == 0 {
            return Err(no_partition(topic, 0, false));
        }
        let input = PartitionInput {
            topic: &topic.name,
            key: message.key.as_deref(),
            value: message.value.as_deref(),
            partitions: count as u32,
        };
        let chosen = topic.chooser.choose(&input, led, footprint, |index| {
            all.get(index as usize).map_or(0, |partition| partition.queue(|queue| queue.queued_bytes()))
        })?;
        let index = Some(chosen as usize).filter(|index| *index < count);
        index.and_then(|index| all.get(index)).ok_or_else(|| no_partition(topic, chosen.into(), true))
    }
}

/// The error of a message for a partition that its topic does not have.
#[cold]
fn no_partition(topic: &Topic, partition: i64, chosen: bool) -> Error {
    let (name, count) = (&topic.name, topic.partitions.count);
    let text = match (count, chosen) {
        (0, _) => format!("topic {name:?} has no partitions"),
        (_, true) => {
            format!("the partitioner chose partition {partition} of topic {name:?}, which has {count}")
        }
        (_, false) => format!("topic {name:?} has no partition {partition}: it has {count}, counted from 0"),
    };
    Error::new(ErrorKind::UnknownPartition, text)
}

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the producer is closed")
}
