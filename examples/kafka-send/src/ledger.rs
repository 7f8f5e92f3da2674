//! The outcome of each record, in the order of the input.

use std::collections::VecDeque;
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use rskafka_producer::{Delivery, Error, Receipt};

use crate::progress;
use crate::record::{Failed, Reason};

/// Records whose fate is open, or is known before that of one in front of them. Bounds the memory while one
/// partition stands still and others do not.
const WINDOW: usize = 1 << 18;

/// Failures that are printed one by one.
const PRINTED: u64 = 5;

/// A place in the input, between two records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

enum Outcome {
    Accepted(Receipt),
    Refused(Option<Error>),
    /// A blank line between JSON records.
    Blank,
}

impl Outcome {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Delivery>, Option<Error>>> {
        match self {
            Self::Accepted(receipt) => Pin::new(receipt).poll(cx).map_ok(Some).map_err(Some),
            Self::Refused(error) => Poll::Ready(Err(error.take())),
            Self::Blank => Poll::Ready(Ok(None)),
        }
    }
}

pub(crate) struct Ledger {
    /// Each with the place after it.
    open: VecDeque<(Outcome, Position)>,
    /// Everything before it is stored, or was put into the file of failed records.
    pub(crate) settled: Position,
    pub(crate) stored: u64,
    /// Stored after a record that is not.
    pub(crate) stored_beyond: u64,
    pub(crate) failed: u64,
    /// Whether a failed record was put nowhere.
    pub(crate) gap: bool,
    kept: Option<(PathBuf, File)>,
    /// Whether the run goes on past a failed record.
    keeps_going: bool,
}

impl Ledger {
    /// `keep` is where failed records are appended. With it, or if `keep_going` is set, a failure does not end the run.
    pub(crate) fn new(keep: Option<&Path>, keep_going: bool) -> io::Result<Self> {
        let open = |path: &Path| -> io::Result<_> {
            Ok((path.to_owned(), File::options().append(true).create(true).open(path)?))
        };
        Ok(Self {
            open: VecDeque::new(),
            settled: Position::default(),
            stored: 0,
            stored_beyond: 0,
            failed: 0,
            gap: false,
            kept: keep.map(open).transpose()?,
            keeps_going: keep_going,
        })
    }

    /// Whether the run is over, as a record failed that was put nowhere.
    pub(crate) fn is_over(&self) -> bool {
        self.gap && !self.keeps_going
    }

    /// Whether the run is over once a record has failed.
    pub(crate) fn ends_at_a_failure(&self) -> bool {
        self.kept.is_none() && !self.keeps_going
    }

    pub(crate) fn is_full(&self) -> bool {
        self.open.len() >= WINDOW
    }

    /// Records up to `end` are passed over.
    pub(crate) fn skip(&mut self, end: Position) {
        self.settled = end;
    }

    /// The record before `end` was handed over, or refused.
    pub(crate) fn enter(&mut self, result: Result<Receipt, Error>, end: Position) {
        let outcome = result.map_or_else(|error| Outcome::Refused(Some(error)), Outcome::Accepted);
        self.open.push_back((outcome, end));
    }

    /// The line before `end` held nothing.
    pub(crate) fn blank(&mut self, end: Position) {
        self.open.push_back((Outcome::Blank, end));
    }

    /// Waits for the fate of the oldest record; for ever where there is none. Can be cancelled.
    pub(crate) async fn settle_next(&mut self) {
        poll_fn(|cx| match self.open.is_empty() {
            true => Poll::Pending,
            false => self.poll(cx),
        })
        .await;
    }

    /// Notes every fate that is known by now, in order.
    pub(crate) fn settle_ready(&mut self) {
        while !self.open.is_empty() && poll_fn(|cx| self.poll(cx)).now_or_never().is_some() {}
    }

    /// Waits for every fate.
    pub(crate) async fn settle_all(&mut self) {
        while !self.open.is_empty() {
            self.settle_next().await;
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some((outcome, end)) = self.open.front_mut() {
            let (result, end) = (ready!(outcome.poll(cx)), *end);
            self.open.pop_front();
            self.settle(result, end);
        }
        Poll::Ready(())
    }

    fn settle(&mut self, result: Result<Option<Delivery>, Option<Error>>, end: Position) {
        match result {
            Ok(None) => {}
            Ok(Some(_)) => {
                self.stored += 1;
                self.stored_beyond += u64::from(self.gap);
            }
            Err(error) => {
                self.failed += 1;
                let kept = error.is_some_and(|error| self.keep(error, end.records));
                self.gap |= !kept;
            }
        }
        if !self.gap {
            self.settled = end;
        }
    }

    /// Puts a failed record into the file, and reports it.
    fn keep(&mut self, error: Error, record: u64) -> bool {
        let reason = Reason {
            record,
            fate: error.fate().to_string(),
            code: error.code().as_str(),
            kind: error.kind().as_str(),
            error: chain(&error),
        };
        let line =
            format!("record {record}: {} ({}, {}, {})", reason.error, reason.code, reason.kind, reason.fate);
        // The record first: standard error may be gone.
        let kept = self.write(error, reason);
        if self.failed <= PRINTED {
            progress::say(line);
        }
        kept
    }

    /// Appends a failed record to the file; whether it is there.
    fn write(&mut self, error: Error, reason: Reason) -> bool {
        let (Some((path, file)), Some(message)) = (&mut self.kept, error.into_message()) else {
            return false;
        };
        let written = serde_json::to_vec(&Failed::new(&message, reason)).map_err(io::Error::from);
        let written = written.and_then(|mut line| {
            line.push(b'\n');
            file.write_all(&line)
        });
        if let Err(problem) = &written {
            progress::say(format_args!("{}: {problem}", path.display()));
        }
        written.is_ok()
    }
}

/// An error and its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
