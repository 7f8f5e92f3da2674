//! Logging in by rskafka's own means.

use std::sync::Arc;

use rskafka::client::{Credentials, OauthBearerCredentials, SaslConfig as RskafkaSasl};

use crate::config::{Address, SaslConfig, SaslMechanism, Source, Token, credentials_for, token_for};
use crate::error::Result;

/// What rskafka needs to log in. It keeps a password for every connection that it makes later, so that one that is
/// rotated is read again only when all of them are replaced; a token is requested each time.
pub(super) async fn credentials(address: &Address, sasl: &SaslConfig) -> Result<RskafkaSasl> {
    let broker = address.to_string();
    match &sasl.source {
        Source::Token(tokens) => {
            let tokens = tokens.clone();
            Ok(bearer(move || {
                let (tokens, broker) = (tokens.clone(), broker.clone());
                async move { token_for(&broker, tokens.as_ref()).await }
            }))
        }
        #[cfg(feature = "http")]
        Source::Issuer(issuer) => {
            let issuer = issuer.clone();
            Ok(bearer(move || {
                let (issuer, broker) = (issuer.clone(), broker.clone());
                async move { issuer.token(&broker).await }
            }))
        }
        Source::Password(provider) => {
            let given = credentials_for(&broker, provider.as_ref()).await?;
            let given = Credentials::new(given.user.clone(), given.password.expose().to_owned());
            Ok(match sasl.mechanism() {
                SaslMechanism::ScramSha256 => RskafkaSasl::ScramSha256(given),
                SaslMechanism::ScramSha512 => RskafkaSasl::ScramSha512(given),
                // Validation lets no password through with OAUTHBEARER.
                SaslMechanism::Plain | SaslMechanism::OauthBearer => RskafkaSasl::Plain(given),
            })
        }
    }
}

/// A login with a token that is requested each time.
fn bearer<F>(request: impl Fn() -> F + Send + Sync + 'static) -> RskafkaSasl
where
    F: Future<Output = Result<Token>> + Send + 'static,
{
    let callback = move || {
        let requested = request();
        let token = async move {
            let token = requested.await?;
            if !token.extensions.is_empty() {
                return Err("token extensions need EngineKind::Native".into());
            }
            Ok(token.value.expose().to_owned())
        };
        Box::pin(token) as _
    };
    let callback = Arc::new(callback);
    RskafkaSasl::Oauthbearer(OauthBearerCredentials { callback, authz_id: None, bearer_kvs: Vec::new() })
}
