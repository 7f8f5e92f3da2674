//! Admission: checked, routed, room taken, appended. The hot path, without an `await`.

use std::sync::Arc;

use tokio::time::Instant;

use crate::accumulator::{Appended, Arrival, Held, NoRoom, Receipt};
use crate::clock::recently;
use crate::config::{Capabilities, OpenCircuit};
use crate::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::message::Message;
use crate::metadata::{Bound, Partitions, Topic};
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

/// A message that was not accepted, and space that was taken for it in vain. That is given back once no lock is held, since
/// it wakes calls that wait for space.
struct InVain {
    outcome: Result<Offer>,
    _unused: Option<Held<'static>>,
}

impl From<Error> for Box<InVain> {
    fn from(error: Error) -> Self {
        Self::new(InVain { outcome: Err(error), _unused: None })
    }
}

/// Where the messages of a call go.
#[derive(Clone, Copy)]
pub(super) enum To<'a> {
    /// To the topic that each names, or else to the default topic.
    Named,
    Topic(&'a Bound),
}

impl Core {
    /// Offers a message. `waited`: the space that its caller has waited for.
    pub(super) fn offer(
        self: &Arc<Self>,
        to: To<'_>,
        message: &Message,
        deadline: Option<Instant>,
        waited: Option<Held<'_>>,
    ) -> Result<Offer> {
        self.supervisor.ready()?;
        let name = self.topic_of(to, message)?;
        // Dropped after what is lent.
        let mut waited = waited;
        let mut offer = |topic| self.offer_to(topic, name, message, deadline, &mut waited);
        let offered = if self.calls_out {
            // The user's code may call the producer, or block: no lock is held meanwhile.
            offer(self.metadata.topic(name).as_ref())
        } else {
            match to {
                To::Named => offer(self.metadata.lend().get(name)),
                To::Topic(bound) => offer(bound.lend(&self.metadata).topic.as_ref()),
            }
        };
        offered.or_else(|in_vain| in_vain.outcome)
    }

    /// The name of the topic that a message goes to.
    #[inline]
    pub(super) fn topic_of<'a>(&'a self, to: To<'a>, message: &'a Message) -> Result<&'a Arc<str>> {
        match (to, &message.topic) {
            (To::Named, Some(topic)) => Ok(topic),
            (To::Named, None) => self.default_topic.as_ref().ok_or_else(no_topic),
            (To::Topic(bound), Some(other)) if *other != bound.name => Err(other_topic(bound, other)),
            (To::Topic(bound), _) => Ok(&bound.name),
        }
    }

    /// `waited`: the space that its caller has waited for. It is left there if it is not used.
    #[inline]
    fn offer_to(
        self: &Arc<Self>,
        found: Option<&Arc<Topic>>,
        name: &Arc<str>,
        message: &Message,
        deadline: Option<Instant>,
        waited: &mut Option<Held<'_>>,
    ) -> Result<Offer, Box<InVain>> {
        let Some(topic) = found else {
            topic_name::check(name).map_err(|problem| Error::new(ErrorKind::InvalidTopic, problem))?;
            return Ok(Offer::UnknownTopic(name.clone()));
        };
        let footprint = message_footprint(message);
        self.check(message, footprint).map_err(|error| error.with_topic(topic.name.clone()))?;
        // Where the topic was gone meanwhile, or another has taken its name, it is of no use.
        let has_waited = waited.as_ref().is_some_and(|held| held.is_of(&topic.budget));
        let taken = match has_waited {
            true => None,
            false => match topic.budget.try_take(footprint) {
                Ok(taken) => Some(taken),
                Err(NoRoom::Closed) => return Err(closed().into()),
                Err(NoRoom::Full) if topic.budget.can_hold(footprint) => {
                    return Ok(Offer::NoRoom(topic.clone(), footprint));
                }
                Err(NoRoom::Full) => return Err(never_room(topic, footprint).into()),
            },
        };
        let routed = self.route(topic, message, footprint);
        match routed.map(|partition| self.append(partition, message, footprint, deadline)) {
            Ok(Some(receipt)) => {
                taken.or_else(|| waited.take()).into_iter().for_each(Held::keep);
                Ok(Offer::Accepted(receipt))
            }
            failed => {
                let outcome = match failed {
                    Err(error) => Err(error),
                    // The partition takes nothing more: the producer was closed, or the topic is gone.
                    Ok(_) if !self.life.is_open() => Err(closed()),
                    Ok(_) => Ok(Offer::UnknownTopic(topic.name.clone())),
                };
                Err(Box::new(InVain { outcome, _unused: taken.map(Held::into_owned) }))
            }
        }
    }

    #[inline]
    fn append(
        self: &Arc<Self>,
        partition: &Arc<Partition>,
        message: &Message,
        footprint: usize,
        deadline: Option<Instant>,
    ) -> Option<Receipt> {
        let arrival = Arrival { message, footprint, now: recently(), deadline };
        // A custom clock is read before the queue is locked.
        let wall = self.custom_wall_millis();
        let wall = || wall.unwrap_or_else(|| self.wall_millis());
        let (receipt, Appended { wake, sealed, .. }) = partition.append(&arrival, &self.policy, wall)?;
        if sealed {
            self.sealed();
        }
        if wake {
            partition.broker().schedule(self, partition.clone());
        }
        Some(receipt)
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

#[cold]
fn no_topic() -> Error {
    let text = "the message names no topic and the producer has no default topic: set one of them";
    Error::new(ErrorKind::NoTopic, text)
}

#[cold]
fn other_topic(bound: &Bound, named: &str) -> Error {
    let text =
        format!("the message names topic {named:?}, but this `TopicProducer` is for topic {:?}", bound.name);
    Error::new(ErrorKind::InvalidMessage, text)
}

/// The error of a message for which there can never be enough space.
#[cold]
fn never_room(topic: &Topic, footprint: usize) -> Error {
    let text = format!(
        "the message takes {footprint} bytes of memory, more than buffer.max_bytes and bulkhead.topic_share allow: raise \
         one of them"
    );
    Error::new(ErrorKind::BufferFull, text).with_topic(topic.name.clone())
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
