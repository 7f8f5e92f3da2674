//! From the first byte of the input to the fate of the last record.

use std::fmt;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use memchr::memmem::Finder;
use rskafka_producer::{Context, Error, ErrorCode, ErrorKind, Producer, ProducerConfig};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ledger::{Ledger, Position, chain};
use crate::options::Options;
use crate::record::Reader;
use crate::tee::Tee;
use crate::{events, input, progress, settings};

/// Why not everything is stored.
pub(crate) enum Failure {
    /// Nothing was sent, and something has to be changed.
    Usage(String),
    /// Sending began, or could have begun.
    Sending(String),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(1),
            Self::Sending(_) => ExitCode::from(2),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Sending(text) => f.write_str(text),
        }
    }
}

/// What ended the reading.
enum End {
    /// The input was read to its end.
    Input,
    /// A record failed, and there is nowhere to put it.
    Failed,
    /// SIGINT or SIGTERM.
    Signal,
    /// The input cannot be read, or does not hold what was said.
    Bad(String),
}

pub(crate) struct Job {
    config: ProducerConfig,
    blocks: mpsc::Receiver<io::Result<Bytes>>,
    reader: Reader,
    delimiter: Option<Finder<'static>>,
    skip: u64,
    /// Records that may still be sent.
    left: u64,
    tee: Tee,
    ledger: Ledger,
    /// How much of the input was handed over.
    at: Position,
    /// First signal: no more is read, and what waits for the buffer is not sent.
    stop: CancellationToken,
    /// Second signal: nothing is waited for.
    abort: CancellationToken,
}

impl Job {
    pub(crate) fn new(options: &Options) -> Result<Self, Failure> {
        let config = settings::read(options).map_err(Failure::Usage)?.logger(events::logger(options));
        if config.brokers.is_empty() {
            let text = "no brokers: name them with -b, with KAFKA_BOOTSTRAP_SERVERS, or as bootstrap.servers in -F FILE";
            return Err(Failure::Usage(text.into()));
        }
        config.validate().map_err(|error| Failure::Usage(chain(&error)))?;
        if !options.quiet {
            settings::warn_about_secrets(options);
        }
        if config.topic.is_none() && !options.json {
            return Err(Failure::Usage("no topic: name one with -t, or in each record with --json".into()));
        }
        let sources = input::open(&options.files).map_err(Failure::Usage)?;
        let ledger = Ledger::new(options.failed.as_deref(), options.keep_going)
            .map_err(|error| Failure::Usage(format!("--failed: {error}")))?;
        // JSON may take six bytes for one.
        let limit = config.batch.max_request_bytes.saturating_mul(8);
        let delimiter = Some(&*options.delimiter).filter(|_| !options.whole_files);
        Ok(Self {
            blocks: input::read(sources, delimiter, limit, options.resume_from),
            reader: Reader::new(options),
            delimiter: delimiter.map(|delimiter| Finder::new(delimiter).into_owned()),
            skip: options.skip,
            left: options.count.unwrap_or(u64::MAX),
            tee: Tee::new(options.tee),
            ledger,
            at: Position { records: 0, bytes: options.resume_from },
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
            config,
        })
    }

    pub(crate) async fn run(mut self, options: &Options) -> Result<(), Failure> {
        let started = Instant::now();
        let signals = on_signals([self.stop.clone(), self.abort.clone()])
            .map_err(|error| Failure::Usage(format!("signals cannot be caught: {error}")))?;
        let stop = Context::background().with_cancellation(self.stop.clone());
        let mut connect = stop.clone();
        if let Some(seconds) = options.connect_timeout {
            connect = Context::timeout(Duration::from_secs(seconds)).with_cancellation(self.stop.clone());
        }
        let producer =
            Producer::connect(&connect, self.config.clone()).await.map_err(|error| unreachable(&error))?;
        self.ledger.skip(self.at);

        let show = options.progress > 0 || (io::stderr().is_terminal() && !options.quiet);
        let shown = show.then(|| tokio::spawn(progress::show(producer.clone())));
        let explained = options.explain.then(|| tokio::spawn(progress::explain(producer.clone())));
        let end = self.feed(&producer, &stop).await;
        self.tee.flush().await;
        // Each message ends by its delivery timeout; after a signal, by the limit of closing.
        _ = producer.flush(&stop).await;
        let limit = Context::timeout(Duration::from_secs(options.close_timeout));
        // What fails is in the ledger.
        _ = producer.close(&limit.with_cancellation(self.abort.clone())).await;
        self.ledger.settle_all().await;
        signals.abort();
        shown.into_iter().chain(explained).for_each(|task| task.abort());
        self.verdict(end, options)?;
        if show {
            let bytes = self.at.bytes - options.resume_from;
            progress::say(progress::summary(self.ledger.stored, bytes, started));
        }
        Ok(())
    }

    /// Hands over every record of the input, and notes what becomes of them meanwhile.
    async fn feed(&mut self, producer: &Producer, stop: &Context) -> End {
        let stopped = self.stop.clone();
        loop {
            tokio::select! {
                biased;
                () = stopped.cancelled() => return End::Signal,
                () = self.ledger.settle_next() => {}
                block = self.blocks.recv() => match block {
                    None => return End::Input,
                    Some(Err(error)) => return End::Bad(format!("the input cannot be read: {error}")),
                    Some(Ok(block)) => if let Err(end) = self.send(&block, producer, stop).await {
                        return end;
                    },
                },
            }
            self.tee.flush().await;
            self.ledger.settle_ready();
            if self.ledger.is_over() {
                return End::Failed;
            }
        }
    }

    /// Hands over the records of a block.
    async fn send(&mut self, block: &Bytes, producer: &Producer, stop: &Context) -> Result<(), End> {
        for (record, place) in input::records(block, self.delimiter.as_ref()) {
            if self.left == 0 {
                return Err(End::Input);
            }
            let end = Position { records: self.at.records + 1, bytes: self.at.bytes + place.len() as u64 };
            if end.records <= self.skip {
                self.at = end;
                self.ledger.skip(end);
                continue;
            }
            while self.ledger.is_full() {
                tokio::select! {
                    () = self.stop.cancelled() => return Err(End::Signal),
                    () = self.ledger.settle_next() => self.ledger.settle_ready(),
                }
            }
            if self.reader.skips(&record) {
                self.ledger.blank(end);
                self.at = end;
                continue;
            }
            let message = self.reader.message(record).map_err(|problem| {
                End::Bad(format!("record {} (at byte {}): {problem}", end.records, self.at.bytes))
            })?;
            let result = producer.enqueue(stop, message).await;
            if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Cancelled) {
                return Err(End::Signal);
            }
            let refused = result.is_err();
            self.ledger.enter(result, end);
            self.at = end;
            if refused && self.ledger.ends_at_a_failure() {
                return Err(End::Failed);
            }
            self.left -= 1;
            self.tee.copy(&block[place]).await;
        }
        Ok(())
    }

    fn verdict(&self, end: End, options: &Options) -> Result<(), Failure> {
        let ledger = &self.ledger;
        let ended = match end {
            End::Input | End::Failed if ledger.failed == 0 => return Ok(()),
            End::Input | End::Failed => String::new(),
            End::Signal => "ended by a signal; ".into(),
            End::Bad(problem) => format!("{problem}; "),
        };
        let Position { records, bytes } = ledger.settled;
        let mut text =
            format!("{ended}{} stored, {} failed", progress::records(ledger.stored), ledger.failed);
        if let (Some(path), true) = (&options.failed, ledger.failed > 0) {
            text += &format!("; those that failed: kafka-send --json {}", path.display());
        }
        // A run that kept what failed and came to its end left nothing to resume.
        if !ended.is_empty() || ledger.gap {
            text += "; resume with ";
            if options.resume_from == 0 {
                text += &format!("--skip {records} or ");
            }
            text += &format!("--resume-from {bytes}");
        }
        if ledger.gap && options.failed.is_none() {
            text += ", and with --failed FILE to send past records that cannot be stored";
        }
        if ledger.stored_beyond > 0 {
            text += &format!("; that stores {} again", progress::records(ledger.stored_beyond));
        }
        Err(Failure::Sending(text))
    }
}

fn unreachable(error: &Error) -> Failure {
    let text = format!("{} ({}); nothing was sent", chain(error), error.code());
    if error.code() == ErrorCode::InvalidConfig { Failure::Usage(text) } else { Failure::Sending(text) }
}

/// Cancels one token after the other, one for each signal.
fn on_signals(tokens: [CancellationToken; 2]) -> io::Result<JoinHandle<()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(tokio::spawn(async move {
        for token in tokens {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            token.cancel();
        }
    }))
}
