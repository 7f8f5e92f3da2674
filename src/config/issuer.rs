//! Tokens that this crate makes or fetches itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{ProducerConfig, TlsConfig, Token, WallClock};
use crate::error::Result;

/// Makes or fetches the tokens of logins. One is part of a configuration, and does nothing before it is
/// [prepared](Self::prepared) for a producer.
#[async_trait]
pub(crate) trait TokenIssuer: fmt::Debug + Send + Sync {
    /// The one that a producer uses, with a cache that no other has.
    fn prepared(&self, surroundings: &Surroundings) -> Arc<dyn TokenIssuer>;

    /// The login's name in settings.
    #[cfg_attr(not(feature = "text-config"), allow(dead_code, reason = "settings are text"))]
    fn name(&self) -> &'static str;

    /// The value of a setting of this kind of tokens, such as `sasl.oidc.scope`; empty where it is another's, or not set.
    #[cfg_attr(not(feature = "text-config"), allow(dead_code, reason = "settings are text"))]
    fn setting(&self, _name: &str) -> String {
        String::new()
    }

    /// A token for a login at `broker` (`host:port`). An error of the kind `Authentication` is final until somebody changes
    /// something; others pass.
    async fn token(&self, broker: &str) -> Result<Token>;

    /// A broker refused a token: one that is kept may be of no use, such as when the server's keys were replaced.
    fn refused(&self) {}

    /// What to check where that broker refuses the token: the end of a sentence.
    fn remedy(&self, broker: &str) -> String;

    /// Settings that cannot work, a sentence each. `allow_plaintext`: secrets may be sent without encryption.
    fn validate(&self, allow_plaintext: bool, problems: &mut Vec<String>);
}

/// What a producer has that its issuer needs.
#[cfg_attr(
    not(all(feature = "aws-msk-iam", feature = "oidc")),
    allow(dead_code, reason = "each issuer needs a part")
)]
pub(crate) struct Surroundings {
    pub(crate) tls: Option<TlsConfig>,
    pub(crate) clock: WallClock,
    /// `timeouts.connect`, of which a login is a part.
    pub(crate) connect: Duration,
}

impl Surroundings {
    pub(crate) fn of(config: &ProducerConfig) -> Self {
        Self { tls: config.tls.clone(), clock: config.clock.clone(), connect: config.timeouts.connect }
    }
}

/// Of a producer without settings.
impl Default for Surroundings {
    fn default() -> Self {
        Self::of(&ProducerConfig::default())
    }
}
