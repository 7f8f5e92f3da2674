//! Who this producer is at Amazon MSK, by IAM.

mod credentials;
mod variables;

use std::sync::Arc;

pub use credentials::{AwsCredentials, AwsCredentialsProvider};
pub(crate) use variables::Variables;

use super::Secret;

/// Logins at Amazon MSK by IAM: signs a token for each login, with credentials that it looks for where AWS's own
/// libraries do.
///
/// Use it with [`SaslConfig::msk_iam`](crate::SaslConfig::msk_iam) and TLS, at the port of a cluster that takes IAM: 9098, or
/// 9198 from outside of its network.
///
/// ```
/// use rskafka_producer::{MskIam, ProducerConfig, SaslConfig, TlsConfig};
///
/// let config = ProducerConfig::new("b-1.shop.abc123.c2.kafka.eu-central-1.amazonaws.com:9098")
///     .tls(TlsConfig::default())
///     .sasl(SaslConfig::msk_iam(MskIam::new()));
/// ```
///
/// # Credentials
///
/// The first source that is there is used, in this order:
///
/// 1. `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`,
/// 2. a web identity: `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN`, as EKS sets them for service accounts,
/// 3. the profile `AWS_PROFILE`, or `default`, of `~/.aws/config` and `~/.aws/credentials` (`AWS_CONFIG_FILE`,
///    `AWS_SHARED_CREDENTIALS_FILE`): an access key, a role with `source_profile`, `credential_source` or
///    `web_identity_token_file`, or a `credential_process`,
/// 4. the endpoint of a container, as ECS and the pod identities of EKS have it: `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or
///    `AWS_CONTAINER_CREDENTIALS_FULL_URI`,
/// 5. the role of an EC2 instance, by its metadata service, version 2.
///
/// Where a source is there and fails, the error says so, and no other is tried. Anything else is an
/// [`AwsCredentialsProvider`]. Credentials that expire are requested again after four fifths of their time.
///
/// # Region
///
/// [`region`](Self::region), or the one in the broker's name, or `AWS_REGION`, `AWS_DEFAULT_REGION` or the profile's.
///
/// The format of the token is that of [AWS's signers](https://github.com/aws/aws-msk-iam-sasl-signer-go).
#[derive(Clone, Default)]
pub struct MskIam {
    pub(crate) region: Option<String>,
    pub(crate) source: AwsSource,
    pub(crate) role: Option<String>,
    pub(crate) role_session_name: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) sts_region: Option<String>,
    pub(crate) variables: Variables,
}

/// Where credentials come from.
#[derive(Clone, Default)]
pub(crate) enum AwsSource {
    /// From wherever AWS's libraries look for them.
    #[default]
    Chain,
    Profile(String),
    Provider(Arc<dyn AwsCredentialsProvider>),
}

impl MskIam {
    /// Looks for credentials where AWS's libraries do, and takes the region from the broker's name.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the region of the cluster, such as `eu-central-1`, for brokers whose name does not say it.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Takes the credentials of this profile, and of nothing else (Java: `awsProfileName`).
    #[must_use]
    pub fn profile(mut self, name: impl Into<String>) -> Self {
        self.source = AwsSource::Profile(name.into());
        self
    }

    /// Takes the credentials from there, and from nothing else.
    #[must_use]
    pub fn credentials(mut self, provider: impl AwsCredentialsProvider + 'static) -> Self {
        self.source = AwsSource::Provider(Arc::new(provider));
        self
    }

    /// Assumes this role, by its ARN, with the credentials that were found (Java: `awsRoleArn`).
    #[must_use]
    pub fn assume_role(mut self, arn: impl Into<String>) -> Self {
        self.role = Some(arn.into());
        self
    }

    /// Sets the name of the role's session in AWS's logs. Default `AWS_ROLE_SESSION_NAME`, or `rskafka-producer` (Java:
    /// `awsRoleSessionName`).
    #[must_use]
    pub fn role_session_name(mut self, name: impl Into<String>) -> Self {
        self.role_session_name = Some(name.into());
        self
    }

    /// Sets the external id that the role's trust policy demands (Java: `awsRoleExternalId`).
    #[must_use]
    pub fn external_id(mut self, id: impl Into<String>) -> Self {
        self.external_id = Some(id.into());
        self
    }

    /// Sets the region whose STS issues credentials of roles. Default `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile's, or the
    /// cluster's (Java: `awsStsRegion`). `AWS_ENDPOINT_URL_STS` sets another endpoint.
    #[must_use]
    pub fn sts_region(mut self, region: impl Into<String>) -> Self {
        self.sts_region = Some(region.into());
        self
    }

    /// Reads all variables named above from these pairs, in place of the process's environment. Useful for tests, and for
    /// programs whose producers have different identities.
    ///
    /// ```
    /// # use rskafka_producer::MskIam;
    /// let iam = MskIam::new().variables([("AWS_PROFILE", "orders"), ("HOME", "/srv/orders")]);
    /// ```
    #[must_use]
    pub fn variables<K, V>(mut self, variables: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<Secret>,
    {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        self.variables = Variables::these(variables);
        self
    }
}

debug_as!(iam: MskIam {
    region: iam.region,
    role: iam.role,
    role_session_name: iam.role_session_name,
    sts_region: iam.sts_region,
    ..
});
