//! The messages of one batch, in the bytes that are sent.

mod reader;
#[cfg(test)]
mod tests;
mod values;

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;

use self::reader::Reader;
use self::values::Values;
use super::{BATCH_OVERHEAD, varint};
use crate::compression::scratch;
use crate::error::callback::OWNER;
use crate::message::{Header, Message};
use crate::telemetry::Log;

/// What is longer is kept as the user gave it, and sent from there. What is shorter is copied when it is accepted: it was
/// just written, and is freed where it was made.
const LARGE: usize = 16 << 10;

#[cfg(test)]
thread_local! {
    /// Records that this thread copied from one batch to another.
    static PICKED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

thread_local! {
    /// Records with large parts, put together.
    static WHOLE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Messages, encoded as they are accepted: each is read once, by the thread that has just made it. One that failed is
/// decoded to be handed back.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// One record after the other, without what is in `large`.
    bytes: Vec<u8>,
    /// Keys and values that are long, by where in `bytes` they belong.
    large: Values,
    large_bytes: usize,
    marks: Vec<Mark>,
    /// Timestamp of the first record; the others are relative to it.
    pub(crate) base: i64,
    pub(super) newest: i64,
}

/// What the bytes of a record do not contain.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// Where in `bytes` it ends.
    end: u32,
    expires_after: u32,
    given: Given,
}

/// Which parts of a message its user had set, so that it can be handed back as it came.
#[derive(Clone, Copy, Debug)]
struct Given {
    topic: bool,
    partition: bool,
    timestamp: bool,
}

/// Small numbers on their way into a record, appended together.
struct Front {
    bytes: [u8; Self::MOST],
    len: usize,
}

impl Default for Front {
    fn default() -> Self {
        Self { bytes: [0; Self::MOST], len: 0 }
    }
}

impl Front {
    /// The head of a record, a missing key and a length, at their longest (27) and room for one more.
    const MOST: usize = 37;

    #[inline]
    fn varint(&mut self, value: i64) {
        self.len = varint::put(&mut self.bytes, self.len, value);
    }

    /// Moves the numbers to the end of `out`.
    #[inline]
    fn flush(&mut self, out: &mut Vec<u8>) {
        let end = out.len() + std::mem::take(&mut self.len);
        // A copy of a fixed size needs no call.
        out.extend_from_slice(&self.bytes);
        out.truncate(end);
    }
}

/// A record that is about to be appended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    /// Milliseconds since 1970.
    pub(crate) timestamp: i64,
    /// Milliseconds after the opening of its batch at which it expires.
    pub(crate) expires_after: u32,
}

/// How many records a batch is likely to hold, and in how many bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Room {
    records: usize,
    bytes: usize,
}

impl Room {
    pub(crate) fn bytes(self) -> usize {
        self.bytes
    }

    /// The same for records of so many bytes, if that is more.
    pub(crate) fn widened(self, bytes: usize) -> Self {
        let records = self.records.saturating_mul(bytes) / self.bytes.max(1);
        Self { records: records.max(self.records), bytes: bytes.max(self.bytes) }
    }

    #[cfg(test)]
    pub(crate) fn of(bytes: usize) -> Self {
        Self { records: bytes / 100, bytes }
    }
}

impl Records {
    pub(crate) fn with_room(room: Room) -> Self {
        let ample = |usual: usize| usual + usual / 16;
        Self {
            bytes: Vec::with_capacity(ample(room.bytes)),
            marks: Vec::with_capacity(ample(room.records).max(4)),
            ..Self::default()
        }
    }

    #[cfg(test)]
    pub(crate) fn picked() -> usize {
        PICKED.get()
    }

    /// The room that these take.
    pub(crate) fn room(&self) -> Room {
        Room { records: self.marks.len(), bytes: self.bytes.len() }
    }

    /// Bytes that these and what is added to them can take without more memory.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Bytes of memory, used or not, beside values that are kept as the user gave them.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.capacity()
            + self.marks.capacity() * size_of::<Mark>()
            + self.large.capacity() * size_of::<(usize, Bytes)>()
    }

    /// Empties them; their memory stays. No lock may be held: the owner of a value may run user code.
    pub(crate) fn clear(&mut self, log: &Log) {
        self.bytes.clear();
        self.large.let_go(|part| _ = log.contain(OWNER, || drop(part)));
        self.large_bytes = 0;
        self.marks.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.marks.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Bytes of the batch, uncompressed.
    pub(crate) fn wire_bytes(&self) -> usize {
        BATCH_OVERHEAD + self.body_bytes()
    }

    /// Bytes of the records alone.
    pub(super) fn body_bytes(&self) -> usize {
        self.bytes.len() + self.large_bytes
    }

    /// Appends a message, unless the batch would then take more than `most` bytes. An empty one takes any.
    #[inline]
    pub(crate) fn push(&mut self, message: &Message, stamp: Stamp, most: usize) -> bool {
        let Some(mut front) = self.head(stamp.timestamp, contents_len(message), most) else {
            return false;
        };
        self.nullable(&mut front, message.key.as_ref());
        self.nullable(&mut front, message.value.as_ref());
        front.varint(message.headers.len() as i64);
        for header in &message.headers {
            front.varint(header.name.len() as i64);
            self.append(&mut front, header.name.as_bytes());
            self.nullable(&mut front, header.value.as_ref());
        }
        front.flush(&mut self.bytes);
        let given = Given {
            topic: message.topic.is_some(),
            partition: message.partition.is_some(),
            timestamp: message.timestamp.is_some(),
        };
        let end = self.bytes.len() as u32;
        self.marks.push(Mark { end, expires_after: stamp.expires_after, given });
        true
    }

    /// Begins a record of so many bytes beside its head, unless the batch would then take more than `most`.
    #[inline(always)]
    fn head(&mut self, timestamp: i64, contents: usize, most: usize) -> Option<Front> {
        let index = self.marks.len();
        if index == 0 {
            (self.base, self.newest) = (timestamp, timestamp);
        }
        let delta = timestamp.wrapping_sub(self.base);
        let body = 1 + varint::len(delta) + varint::len(index as i64) + contents;
        let whole = varint::len(body as i64) + body;
        if index > 0 && self.wire_bytes() + whole > most {
            return None;
        }
        self.newest = self.newest.max(timestamp);
        let mut front = Front::default();
        front.varint(body as i64);
        front.varint(0); // attributes, a byte
        front.varint(delta);
        front.varint(index as i64);
        Some(front)
    }

    #[inline(always)]
    fn nullable(&mut self, front: &mut Front, part: Option<&Bytes>) {
        let Some(part) = part else {
            return front.varint(-1);
        };
        front.varint(part.len() as i64);
        if part.len() > LARGE {
            front.flush(&mut self.bytes);
            self.large.push((self.bytes.len(), part.clone()));
            self.large_bytes += part.len();
        } else {
            self.append(front, part);
        }
    }

    /// Appends what is in front of `part`, and `part`.
    #[inline]
    fn append(&mut self, front: &mut Front, part: &[u8]) {
        front.flush(&mut self.bytes);
        self.bytes.extend_from_slice(part);
    }

    /// The records as they stand in a batch, piece by piece.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.large.iter().map(|(at, _)| *at));
        let between =
            starts.zip(self.large.iter()).flat_map(|(from, (at, part))| [&self.bytes[from..*at], &part[..]]);
        let end = self.large.last().map_or(0, |(at, _)| *at);
        between.chain([&self.bytes[end..]]).filter(|piece| !piece.is_empty())
    }

    /// Appends the records to `out`, as they stand in a batch.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.reserve(self.body_bytes());
        self.pieces().for_each(|piece| out.extend_from_slice(piece));
    }

    /// Lends the records as they stand in a batch, for a codec that has to see all of them.
    pub(super) fn in_one_piece<T>(&self, read: impl FnOnce(&[u8]) -> T) -> T {
        if self.large.is_empty() {
            return read(&self.bytes);
        }
        WHOLE.with_borrow_mut(|whole| {
            whole.clear();
            self.write(whole);
            let read = read(whole);
            scratch::trim(whole);
            read
        })
    }

    /// Milliseconds after the opening of the batch at which each record expires.
    pub(crate) fn expiries(&self) -> impl Iterator<Item = u32> + '_ {
        self.marks.iter().map(|mark| mark.expires_after)
    }

    /// Positions of the records without a key.
    pub(crate) fn keyless(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.len() as u32).filter(|position| {
            let mut reader = self.reader(*position as usize);
            reader.head();
            reader.varint() < 0
        })
    }

    /// A message as its user handed it in, where `topic` and `partition` are those of the batch.
    pub(crate) fn message(&self, position: usize, topic: &Arc<str>, partition: i32) -> Message {
        let (mut message, timestamp) = self.decode(position);
        let given = self.marks[position].given;
        message.topic = given.topic.then(|| topic.clone());
        message.partition = given.partition.then_some(partition);
        message.timestamp = given.timestamp.then_some(timestamp);
        message
    }

    /// Key, value and headers of each message, and its timestamp.
    #[cfg(feature = "partition-client")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Message, i64)> + '_ {
        (0..self.len()).map(|position| self.decode(position))
    }

    /// Some of the records as a separate batch. Only their heads change, which hold places and times.
    pub(crate) fn pick(&self, positions: impl Iterator<Item = usize>) -> Self {
        let mut picked = Self::default();
        for position in positions {
            #[cfg(test)]
            PICKED.set(PICKED.get() + 1);
            let mut reader = self.reader(position);
            let timestamp = self.base.wrapping_add(reader.head());
            let (contents, end) = (reader.bytes, self.marks[position].end as usize);
            let large = &reader.large[..reader.large.partition_point(|(at, _)| *at <= end)];
            let large_bytes: usize = large.iter().map(|(_, part)| part.len()).sum();
            if let Some(mut front) = picked.head(timestamp, contents.len() + large_bytes, usize::MAX) {
                front.flush(&mut picked.bytes);
            }
            let (start, moved) = (end - contents.len(), picked.bytes.len());
            picked.large.extend(large.iter().map(|(at, part)| (at - start + moved, part.clone())));
            picked.large_bytes += large_bytes;
            picked.bytes.extend_from_slice(contents);
            picked.marks.push(Mark { end: picked.bytes.len() as u32, ..self.marks[position] });
        }
        picked
    }

    /// Bytes of the buffers that these messages took.
    pub(crate) fn footprint(&self) -> usize {
        (0..self.len()).map(|position| self.footprint_of(position)).sum()
    }

    pub(crate) fn footprint_of(&self, position: usize) -> usize {
        self.reader(position).footprint()
    }

    fn reader(&self, position: usize) -> Reader<'_> {
        let start = position.checked_sub(1).map_or(0, |before| self.marks[before].end) as usize;
        // A record may end with one, and begins with its head.
        let large = self.large.partition_point(|(at, _)| *at <= start);
        Reader { bytes: &self.bytes[start..self.marks[position].end as usize], large: &self.large[large..] }
    }

    /// Key, value and headers, and the timestamp.
    fn decode(&self, position: usize) -> (Message, i64) {
        let mut reader = self.reader(position);
        let timestamp = self.base.wrapping_add(reader.head());
        let (key, value) = (reader.bytes(), reader.bytes());
        let headers = (0..reader.varint())
            .map(|_| {
                let name = String::from_utf8_lossy(reader.name()).into_owned();
                Header { name, value: reader.bytes() }
            })
            .collect();
        (Message { key, value, headers, ..Message::default() }, timestamp)
    }
}

/// Bytes of key, value and headers on the wire.
#[inline]
pub(super) fn contents_len(message: &Message) -> usize {
    nullable_len(message.key.as_ref())
        + nullable_len(message.value.as_ref())
        + varint::len(message.headers.len() as i64)
        + message.headers.iter().map(header_len).sum::<usize>()
}

fn header_len(header: &Header) -> usize {
    varint::len(header.name.len() as i64) + header.name.len() + nullable_len(header.value.as_ref())
}

#[inline]
fn nullable_len(bytes: Option<&Bytes>) -> usize {
    match bytes {
        Some(bytes) => varint::len(bytes.len() as i64) + bytes.len(),
        None => 1,
    }
}
