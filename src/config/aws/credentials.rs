//! AWS credentials, and where they come from.

use std::future::Future;
use std::time::SystemTime;

use async_trait::async_trait;

use crate::config::{ProviderError, Secret};

/// An access key of AWS: what signs the tokens of [`MskIam`](crate::MskIam).
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use rskafka_producer::AwsCredentials;
///
/// // What STS returned for a role, say.
/// let credentials = AwsCredentials::new("ASIAEXAMPLE", "secret")
///     .session_token("token")
///     .expires_at(SystemTime::now() + Duration::from_secs(3600));
/// assert!(!format!("{credentials:?}").contains("secret"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct AwsCredentials {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: Secret,
    pub(crate) session_token: Option<Secret>,
    pub(crate) expires_at: Option<SystemTime>,
}

impl AwsCredentials {
    /// An access key that does not expire.
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<Secret>) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret_access_key: secret_access_key.into(),
            session_token: None,
            expires_at: None,
        }
    }

    /// Adds the session token of temporary credentials.
    #[must_use]
    pub fn session_token(mut self, token: impl Into<Secret>) -> Self {
        self.session_token = Some(token.into());
        self
    }

    /// Sets when they expire: they are requested again before that, and no token that they sign is valid for longer.
    #[must_use]
    pub fn expires_at(mut self, time: SystemTime) -> Self {
        self.expires_at = Some(time);
        self
    }

    /// What keeps them from signing anything.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let graphic = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !graphic(&self.access_key_id) {
            return Some("the access key id is empty or holds characters that none has");
        }
        if self.secret_access_key.is_empty() {
            return Some("the secret access key is empty");
        }
        let token = self.session_token.as_ref();
        token
            .is_some_and(|token| !graphic(token.expose()))
            .then_some("the session token is empty or holds characters that none has")
    }
}

debug_as!(AwsCredentials, "AwsCredentials(***)");

/// Provides AWS credentials, for sources that [`MskIam`](crate::MskIam) does not know.
///
/// An `async` closure without arguments is one, and so are [`AwsCredentials`] that do not change:
///
/// ```
/// use rskafka_producer::{AwsCredentials, MskIam};
///
/// # async fn ask_the_vault() -> Result<(String, String), std::io::Error> { Ok(Default::default()) }
/// let iam = MskIam::new().credentials(|| async {
///     let (id, secret) = ask_the_vault().await?;
///     Ok(AwsCredentials::new(id, secret))
/// });
/// ```
#[async_trait]
pub trait AwsCredentialsProvider: Send + Sync {
    /// The credentials to sign with. Called once at a time, and again when four fifths of the time to
    /// [`AwsCredentials::expires_at`] have passed; at each login where they do not expire.
    ///
    /// # Errors
    ///
    /// Any error, which must hold no secret; the login fails with it and is retried later.
    async fn credentials(&self) -> Result<AwsCredentials, ProviderError>;
}

#[async_trait]
impl AwsCredentialsProvider for AwsCredentials {
    async fn credentials(&self) -> Result<Self, ProviderError> {
        Ok(self.clone())
    }
}

#[async_trait]
impl<F, Fut> AwsCredentialsProvider for F
where
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = Result<AwsCredentials, ProviderError>> + Send,
{
    async fn credentials(&self) -> Result<AwsCredentials, ProviderError> {
        self().await
    }
}
