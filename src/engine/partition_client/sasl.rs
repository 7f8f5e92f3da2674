//! Logging in by rskafka's own means.

use std::sync::Arc;

use rskafka::client::{Credentials, OauthBearerCredentials, SaslConfig as RskafkaSasl};

use crate::config::{Address, SaslConfig, SaslMechanism, Source, credentials_for, token_for};
use crate::error::Result;

/// What rskafka needs to log in. It keeps a password for every connection that it makes later, so that one that is
/// rotated is read again only when all of them are replaced; a token is requested each time.
pub(super) async fn credentials(address: &Address, sasl: &SaslConfig) -> Result<RskafkaSasl> {
    let broker = address.to_string();
    match &sasl.source {
        Source::Token(tokens) => {
            let tokens = tokens.clone();
            let callback = move || {
                let (tokens, broker) = (tokens.clone(), broker.clone());
                let token = async move {
                    let token = token_for(&broker, tokens.as_ref()).await?;
                    if !token.extensions.is_empty() {
                        return Err("token extensions need EngineKind::Native".into());
                    }
                    Ok(token.value.expose().to_owned())
                };
                Box::pin(token) as _
            };
            Ok(RskafkaSasl::Oauthbearer(OauthBearerCredentials {
                callback: Arc::new(callback),
                authz_id: None,
                bearer_kvs: Vec::new(),
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
