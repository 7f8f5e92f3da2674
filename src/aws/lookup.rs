//! A search for credentials: what all sources of them use.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::problem::Problem;
use super::skew::Skew;
use crate::config::AwsCredentials;
use crate::config::Variables;
use crate::http::{Client, Request, Response};

/// For an answer of STS or of a container's endpoint.
const LIMIT: Duration = Duration::from_secs(5);

pub(super) struct Lookup<'a> {
    pub(super) variables: &'a Variables,
    pub(super) client: &'a Client,
    pub(super) clock: &'a (dyn Fn() -> SystemTime + Send + Sync),
    pub(super) skew: &'a Skew,
    /// When the search ends: what it has to say comes before the connection is abandoned.
    pub(super) until: Instant,
    /// The region whose STS is asked.
    pub(super) sts_region: String,
}

impl Lookup<'_> {
    pub(super) fn now(&self) -> SystemTime {
        (self.clock)()
    }

    pub(super) async fn send(&self, request: Request) -> Result<Response, Problem> {
        self.send_within(request, LIMIT).await
    }

    pub(super) async fn send_within(&self, request: Request, limit: Duration) -> Result<Response, Problem> {
        let left = self.until.saturating_duration_since(Instant::now());
        let response =
            self.client.send(request, limit.min(left)).await.map_err(|error| Problem::unanswered(&error))?;
        self.skew.note(response.header("date"), self.now());
        Ok(response)
    }

    /// Refuses what has expired, by this machine's clock.
    pub(super) fn unexpired(
        &self,
        credentials: AwsCredentials,
        from: &str,
    ) -> Result<AwsCredentials, Problem> {
        match credentials.expires_at.and_then(|end| self.now().duration_since(end).ok()) {
            None => Ok(credentials),
            Some(since) => {
                let since = humantime::format_duration(Duration::from_secs(since.as_secs()));
                let clock =
                    self.skew.sentence().unwrap_or_else(|| "is the clock of this machine right?".into());
                Err(Problem::new(format!("{from} has credentials that expired {since} ago: {clock}")))
            }
        }
    }
}
