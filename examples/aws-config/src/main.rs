//! Logs in at Amazon MSK with credentials from `aws-config`, for sources that `MskIam` does not have, such as SSO.
//!
//! ```text
//! AWS_PROFILE=sso KAFKA_BROKERS=b-1.….kafka.eu-central-1.amazonaws.com:9098 cargo run --features https
//! ```
//!
//! Without the feature `https` there is no C, and what needs no https: access keys, programs, containers and instances.

use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use rskafka_producer::{
    AwsCredentials, AwsCredentialsProvider, Context, MskIam, Producer, ProducerConfig, ProviderError,
    SaslConfig, TlsConfig,
};

/// AWS's chain of providers, as this crate asks for credentials.
struct AwsConfig(SharedCredentialsProvider);

#[async_trait]
impl AwsCredentialsProvider for AwsConfig {
    async fn credentials(&self) -> Result<AwsCredentials, ProviderError> {
        let found = self.0.provide_credentials().await?;
        let mut credentials = AwsCredentials::new(found.access_key_id(), found.secret_access_key());
        if let Some(token) = found.session_token() {
            credentials = credentials.session_token(token);
        }
        if let Some(end) = found.expiry() {
            credentials = credentials.expires_at(end);
        }
        Ok(credentials)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let aws = aws_config::defaults(aws_config::BehaviorVersion::latest());
    #[cfg(not(feature = "https"))]
    let aws = aws.http_client(aws_smithy_http_client::Builder::new().build_http());
    let aws = aws.load().await;
    let provider = aws.credentials_provider().ok_or("aws-config found no provider of credentials")?;
    let provider = AwsConfig(provider);
    provider.credentials().await.map_err(|error| format!("no AWS credentials: {error}"))?;
    println!("there are AWS credentials");

    let Ok(brokers) = std::env::var("KAFKA_BROKERS") else {
        println!("set KAFKA_BROKERS to send a message");
        return Ok(());
    };
    let config = ProducerConfig::new(brokers)
        .topic("orders")
        .tls(TlsConfig::default())
        .sasl(SaslConfig::msk_iam(MskIam::new().credentials(provider)));
    let limit = || Context::timeout(Duration::from_secs(10));
    let producer = Producer::connect(&limit(), config).await?;
    println!("stored at {:?}", producer.send_message(&limit(), "order-1", "paid").await?);
    producer.close(&limit()).await?;
    Ok(())
}
