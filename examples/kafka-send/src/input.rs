//! The input as blocks of whole records.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use memchr::memmem::{Finder, FinderRev};
use tokio::sync::mpsc;

/// As much as a pipe holds.
const BLOCK: usize = 64 << 10;

type Source = Box<dyn Read + Send>;

/// Opens every file, so that a missing one is found before anything is sent.
pub(crate) fn open(files: &[PathBuf]) -> Result<Vec<Source>, String> {
    let stdin = [PathBuf::from("-")];
    let files = if files.is_empty() { &stdin } else { files };
    files
        .iter()
        .map(|path| -> Result<Source, String> {
            if path == Path::new("-") {
                return Ok(Box::new(io::stdin()));
            }
            let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
            Ok(Box::new(file))
        })
        .collect()
}

/// Reads the sources one after the other, on a separate thread: nothing can interrupt reading from a terminal or
/// a pipe, and the end of the process does not wait for this thread.
pub(crate) fn read(
    sources: Vec<Source>,
    delimiter: Option<&[u8]>,
    limit: usize,
    skip: u64,
) -> mpsc::Receiver<io::Result<Bytes>> {
    let (blocks, receiver) = mpsc::channel(4);
    let delimiter = delimiter.map(<[u8]>::to_vec);
    std::thread::spawn(move || {
        let mut skip = skip;
        for source in sources {
            let mut source = Blocks::new(source, delimiter.as_deref(), limit);
            let mut next = || {
                skip -= source.discard(skip)?;
                source.next()
            };
            while let Some(block) = next().transpose() {
                let failed = block.is_err();
                // No receiver: the sending has ended.
                if blocks.blocking_send(block).is_err() || failed {
                    return;
                }
            }
        }
    });
    receiver
}

/// Cuts what is read at the last delimiter in it.
struct Blocks<R> {
    source: R,
    /// The delimiter and its length; none where all is one record.
    last: Option<(FinderRev<'static>, usize)>,
    /// Largest record.
    limit: usize,
    /// Read, and not yet handed out.
    buffer: BytesMut,
}

impl<R: Read> Blocks<R> {
    fn new(source: R, delimiter: Option<&[u8]>, limit: usize) -> Self {
        let last = delimiter.map(|delimiter| (FinderRev::new(delimiter).into_owned(), delimiter.len()));
        Self { source, last, limit, buffer: BytesMut::new() }
    }

    /// Reads past so many bytes, or to the end.
    fn discard(&mut self, bytes: u64) -> io::Result<u64> {
        io::copy(&mut (&mut self.source).take(bytes), &mut io::sink())
    }

    /// One or more records, each with its delimiter; the last of a source may lack it.
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        let mut searched = 0;
        loop {
            let read = self.fill()?;
            if read == 0 {
                let rest = std::mem::take(&mut self.buffer).freeze();
                return Ok((!rest.is_empty()).then_some(rest));
            }
            if let Some((last, length)) = &self.last {
                if let Some(at) = last.rfind(&self.buffer[searched..]) {
                    return Ok(Some(self.buffer.split_to(searched + at + length).freeze()));
                }
                // A delimiter may have begun at the end.
                searched = (self.buffer.len() + 1).saturating_sub(*length);
            }
            if self.buffer.len() > self.limit {
                let limit = self.limit;
                return Err(io::Error::other(format!(
                    "a record is larger than {limit} bytes: is the delimiter right?"
                )));
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let held = self.buffer.len();
        self.buffer.resize(held + BLOCK, 0);
        let read = loop {
            match self.source.read(&mut self.buffer[held..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(held + *read.as_ref().unwrap_or(&0));
        read
    }
}

/// The records of a block, and where each is in it, with its delimiter.
pub(crate) fn records(
    block: &Bytes,
    delimiter: Option<&Finder<'_>>,
) -> impl Iterator<Item = (Bytes, Range<usize>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = &block[at..];
        if rest.is_empty() {
            return None;
        }
        let found = delimiter.and_then(|delimiter| Some((delimiter.find(rest)?, delimiter.needle().len())));
        let (len, taken) = found.map_or((rest.len(), rest.len()), |(len, ends)| (len, len + ends));
        let record = block.slice(at..at + len);
        let place = at..at + taken;
        at = place.end;
        Some((record, place))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    /// Reads a few bytes at a time.
    struct Slowly<'a>(&'a [u8], usize);

    impl Read for Slowly<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let some = self.1.min(self.0.len());
            (&mut self.0).take(some as u64).read(buffer)
        }
    }

    fn split(input: &[u8], delimiter: &[u8], step: usize) -> Vec<Vec<u8>> {
        let mut blocks = Blocks::new(Slowly(input, step), Some(delimiter), 100);
        let finder = Finder::new(delimiter);
        let (mut found, mut bytes) = (Vec::new(), 0);
        while let Some(block) = blocks.next().unwrap() {
            for (record, place) in records(&block, Some(&finder)) {
                found.push(record.to_vec());
                bytes += place.len();
            }
        }
        assert_eq!(bytes, input.len(), "every byte is accounted for");
        found
    }

    #[test]
    fn records_are_found_wherever_reads_are_cut() {
        for step in 1..12 {
            assert_eq!(split(b"one\n\ntwo\nthree", b"\n", step), [&b"one"[..], b"", b"two", b"three"]);
            assert_eq!(split(b"a\r\nb\r\rc\r\n", b"\r\n", step), [&b"a"[..], b"b\r\rc"]);
            assert!(split(b"", b"\n", step).is_empty());
        }
    }

    #[test]
    fn a_record_without_end_is_refused_before_it_fills_the_memory() {
        let mut blocks = Blocks::new(io::repeat(b'x'), Some(b"\n"), 1 << 20);
        let problem = blocks.next().unwrap_err().to_string();
        assert!(problem.contains("1048576") && blocks.buffer.len() < 2 << 20, "{problem}");
    }
}
