//! SASL, by rskafka as the client.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kafka_testbed::{Mechanism, unsecured_token};
use rskafka::client::partition::{Compression, UnknownTopicHandling};
use rskafka::client::{ClientBuilder, Credentials, OauthBearerCredentials, SaslConfig};
use rskafka::record::Record;

fn config(mechanism: Mechanism, user: &str, password: &str) -> SaslConfig {
    let credentials = || Credentials::new(user.to_owned(), password.to_owned());
    match mechanism {
        Mechanism::Plain => SaslConfig::Plain(credentials()),
        Mechanism::ScramSha256 => SaslConfig::ScramSha256(credentials()),
        Mechanism::ScramSha512 => SaslConfig::ScramSha512(credentials()),
        Mechanism::OAuthBearer => {
            let token = unsecured_token(user, Duration::from_secs(60));
            SaslConfig::Oauthbearer(OauthBearerCredentials {
                callback: Arc::new(move || {
                    let token = token.clone();
                    Box::pin(async move { Ok(token) })
                }),
                authz_id: None,
                bearer_kvs: Vec::new(),
            })
        }
    }
}

/// Sends one record; what went wrong otherwise. rskafka would try for ever.
pub(crate) async fn produce(
    bootstrap: &[String],
    mechanism: Mechanism,
    user: &str,
    password: &str,
    topic: &str,
) -> Result<(), String> {
    let limit = Duration::from_secs(5);
    let sent = async {
        let client = ClientBuilder::new(bootstrap.to_vec()).sasl_config(config(mechanism, user, password));
        let client = client.build().await?;
        let partition = client.partition_client(topic, 0, UnknownTopicHandling::Error).await?;
        let record = Record {
            key: None,
            value: Some(b"hello".to_vec()),
            headers: BTreeMap::new(),
            timestamp: std::time::SystemTime::now().into(),
        };
        partition.produce(vec![record], Compression::NoCompression).await
    };
    match tokio::time::timeout(limit, sent).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("nothing within {limit:?}")),
    }
}
