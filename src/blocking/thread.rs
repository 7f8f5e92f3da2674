//! The producer's own thread: a runtime for its tasks, until the last handle is dropped and what it left is delivered.

use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::mpsc;
use std::thread::Builder;

use tokio::runtime::{self, Handle, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::error::{Error, ErrorKind, Result};

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// See the [module](self). Dropped, it ends.
pub(super) struct Thread {
    pub(super) runtime: Handle,
    commands: UnboundedSender<Command>,
}

enum Command {
    /// Ends once this is done.
    Finish(Work),
    /// Panics, for tests.
    Panic,
}

impl Thread {
    pub(super) fn start() -> Result<Self> {
        let (commands, received) = unbounded_channel();
        let (started, runtime) = mpsc::sync_channel(1);
        let run = move || match runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                _ = started.send(Ok(runtime.handle().clone()));
                serve(&runtime, received);
            }
            Err(error) => _ = started.send(Err(error)),
        };
        Builder::new().name("kafka-producer".to_owned()).spawn(run).map_err(not_started)?;
        let ended = |_| io::Error::other("it ended at once");
        let runtime = runtime.recv().map_err(ended).and_then(|runtime| runtime).map_err(not_started)?;
        Ok(Self { runtime, commands })
    }

    /// Has the thread finish this before it ends. If it has ended already, the work is dropped.
    pub(super) fn finish(&self, work: impl Future<Output = ()> + Send + 'static) {
        _ = self.commands.send(Command::Finish(Box::pin(work)));
    }

    pub(super) fn panic(&self) {
        _ = self.commands.send(Command::Panic);
    }
}

fn serve(runtime: &Runtime, mut commands: UnboundedReceiver<Command>) {
    // A panic, which the panic hook has reported, leaves the tasks where they are: the same runtime goes on.
    while catch_unwind(AssertUnwindSafe(|| runtime.block_on(obey(&mut commands)))).is_err() {}
}

async fn obey(commands: &mut UnboundedReceiver<Command>) {
    match commands.recv().await {
        Some(Command::Finish(work)) => work.await,
        #[allow(clippy::panic, reason = "that is what a test wants")]
        Some(Command::Panic) => panic!("as a test wants it"),
        None => {}
    }
}

fn not_started(error: io::Error) -> Error {
    let text = "the thread of a blocking producer could not be started";
    Error::new(ErrorKind::Internal, text).with_source(error)
}

debug_as!(Thread, "Thread");
