//! Errors of waits that a deadline, a context or `timeouts.delivery` ended, with the reason why they took so long.

use tokio::time::Instant;

use super::Core;
use crate::context::Ended;
use crate::error::{Error, ErrorKind, WaitReason};
use crate::sender::{Partition, waiting};

impl Core {
    /// The error of a partition's messages whose time is over.
    pub(crate) fn expired(&self, partition: &Partition, now: Instant) -> Error {
        let what = format!(
            "not acknowledged by its deadline or timeouts.delivery ({:?})",
            self.config.timeouts.delivery
        );
        waiting::of(self, partition, now).explain(&what, Error::new(ErrorKind::DeliveryTimeout, ""))
    }

    /// The error of a wait for the cluster that a context ended: the last thing that went wrong is what has to be fixed.
    pub(crate) fn gave_up(&self, ended: Ended, last: Option<Error>, what: &str, reason: WaitReason) -> Error {
        let what = format!("{what} ({})", why(ended));
        match (last, ended) {
            // Its text becomes part of this one, and what is beneath it stays there: nothing is said twice.
            (Some(last), Ended::Deadline) => {
                let text = format!("{what}: {last}");
                last.with_text(text).with_wait_reason(reason)
            }
            (Some(last), Ended::Cancelled) => {
                ended_error(ended).with_text(what).with_source(last).with_wait_reason(reason)
            }
            (None, _) => waiting::of_cluster(self, Instant::now()).explain(&what, ended_error(ended)),
        }
    }
}

/// The error of a wait that a context ended, to be explained.
pub(crate) fn ended_error(ended: Ended) -> Error {
    let kind = match ended {
        Ended::Deadline => ErrorKind::DeadlineExceeded,
        Ended::Cancelled => ErrorKind::Cancelled,
    };
    Error::new(kind, why(ended))
}

pub(crate) fn why(ended: Ended) -> &'static str {
    match ended {
        Ended::Deadline => "deadline exceeded",
        Ended::Cancelled => "the context was cancelled",
    }
}
