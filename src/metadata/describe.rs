//! What the cluster says of a topic, or only of itself, for those who ask through the producer.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Metadata;
use super::racks;
use super::resolve::{UNKNOWN_AFTER, unknown};
use crate::core::Core;
use crate::engine::{Ask, ClusterMetadata};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::supervisor::{Flight, Progress};

const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl Metadata {
    /// Asks the cluster, again while a caller waits and it may help; `last` holds the reason for the latest retry.
    /// Creates nothing, and a topic that was not in use still is not.
    ///
    /// # Cancel safety
    ///
    /// Cancelling asks for nothing more.
    pub(crate) async fn describe(
        &self,
        core: &Arc<Core>,
        topic: Option<&Arc<str>>,
        last: &mut Option<Error>,
    ) -> Result<ClusterMetadata> {
        let flight = Flight::default();
        let begin = |progress| {
            let (core, topic) = (core.clone(), topic.cloned());
            async move { core.metadata.ask_until_described(&core, topic.as_ref(), &progress).await }
        };
        flight.join(&core.supervisor, "describe the cluster", last, begin).await?
    }

    async fn ask_until_described(
        &self,
        core: &Arc<Core>,
        topic: Option<&Arc<str>>,
        progress: &Progress<Result<ClusterMetadata>>,
    ) -> Result<ClusterMetadata> {
        let (mut pause, mut unknown_since) = (PAUSE, None);
        loop {
            if let Some(error) = self.fail_fast(core, Instant::now()) {
                return Err(error);
            }
            let asked = Instant::now();
            let answer =
                core.engine.metadata(topic.map(std::slice::from_ref).unwrap_or_default(), Ask::Refresh).await;
            self.heard(core, asked, &answer);
            let error = match answer.and_then(|metadata| described(metadata, topic)) {
                Ok(metadata) => {
                    self.identify(core, metadata.cluster_id.as_ref());
                    let in_use = metadata.topics.iter().filter(|topic| self.topic(&topic.name).is_some());
                    let near = racks::near(&core.config, &metadata.brokers);
                    in_use.for_each(|topic| self.learn(core, topic, &near));
                    return Ok(metadata);
                }
                Err(error) => error,
            };
            if error.kind() == ErrorKind::UnknownTopic {
                let since = unknown_since.get_or_insert(asked);
                if since.elapsed() >= UNKNOWN_AFTER {
                    return Err(error);
                }
            } else if error.row().retry == Retry::No {
                return Err(error);
            }
            progress.failed(Some(error));
            tokio::time::sleep(core.pacing.jitter(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// The answer, where it is about the topic.
fn described(metadata: ClusterMetadata, topic: Option<&Arc<str>>) -> Result<ClusterMetadata> {
    let Some(name) = topic else {
        return Ok(metadata);
    };
    let code = match metadata.topics.iter().find(|about| about.name == *name).map(|about| &about.leaders) {
        Some(Ok(_)) => return Ok(metadata),
        Some(Err(code)) => *code,
        None => 3,
    };
    Err(unknown(name, Error::from_broker(code, None)))
}
