//! Room in the buffers that a message takes before it is appended.

use std::sync::Arc;

use crate::accumulator::{Buffer, NoRoom};
use crate::metadata::Topic;

/// Bytes taken of the whole buffer and of a topic's share, given back unless they are [kept](Self::keep): whatever
/// happens between taking and appending, no byte is lost.
#[derive(Debug)]
pub(super) struct Room<'a> {
    whole: &'a Buffer,
    topic: &'a Topic,
    bytes: usize,
}

impl<'a> Room<'a> {
    /// Whether so many bytes can ever have room.
    pub(super) fn can_be(whole: &Buffer, topic: &Topic, bytes: usize) -> bool {
        let share = topic.share().map_or(usize::MAX, |share| share.capacity());
        bytes <= share.min(whole.capacity())
    }

    #[inline]
    pub(super) fn try_take(whole: &'a Buffer, topic: &'a Topic, bytes: usize) -> Result<Self, NoRoom> {
        let share = Share::try_take(topic.share(), bytes)?;
        whole.try_take(bytes)?;
        share.keep();
        Ok(Self { whole, topic, bytes })
    }

    /// Waits in line for the topic's share, and for the whole buffer. Who waits holds nothing of either.
    ///
    /// Cancel safe: what did not resolve took nothing.
    pub(super) async fn take(whole: &'a Buffer, topic: &'a Topic, bytes: usize) -> Result<Self, NoRoom> {
        let Some(share) = topic.share() else {
            whole.take(bytes).await?;
            return Ok(Self { whole, topic, bytes });
        };
        loop {
            share.take(bytes).await?;
            match whole.try_take(bytes) {
                Ok(()) => break,
                Err(NoRoom::Closed) => {
                    share.give_back(bytes);
                    return Err(NoRoom::Closed);
                }
                Err(NoRoom::Full) => share.give_back(bytes),
            }
            whole.take(bytes).await?;
            match share.try_take(bytes) {
                Ok(()) => break,
                Err(NoRoom::Closed) => {
                    whole.give_back(bytes);
                    return Err(NoRoom::Closed);
                }
                Err(NoRoom::Full) => whole.give_back(bytes),
            }
        }
        Ok(Self { whole, topic, bytes })
    }

    /// Whether it is room in this topic's share.
    pub(super) fn is_of(&self, topic: &Topic) -> bool {
        self.topic.is(topic)
    }

    /// The message was appended: its batch gives the bytes back.
    #[inline]
    pub(super) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.whole.give_back(self.bytes);
        drop(Share { buffer: self.topic.share(), bytes: self.bytes });
    }
}

/// Bytes of a topic's share, given back unless the whole buffer had room too.
struct Share<'a> {
    buffer: Option<&'a Arc<Buffer>>,
    bytes: usize,
}

impl<'a> Share<'a> {
    #[inline]
    fn try_take(buffer: Option<&'a Arc<Buffer>>, bytes: usize) -> Result<Self, NoRoom> {
        if let Some(buffer) = buffer {
            buffer.try_take(bytes)?;
        }
        Ok(Self { buffer, bytes })
    }

    #[inline]
    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer {
            buffer.give_back(self.bytes);
        }
    }
}
