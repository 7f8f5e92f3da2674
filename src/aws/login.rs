//! A login at MSK: credentials that are kept while they are valid, and a token for each login.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::lookup::Lookup;
use super::problem::Problem;
use super::profiles::Profiles;
use super::skew::Skew;
use super::sts::{self, Role};
use super::{chain, profile, region, token};
use crate::clock::{later, scaled};
use crate::config::tls::https::Trust;
use crate::config::{
    Address, AwsCredentials, AwsSource, MskIam, Surroundings, Token, TokenIssuer, WallClock,
};
use crate::error::callback::guarded_async;
use crate::error::{Result, quoted};
use crate::http::Client;
use crate::tokens::{Cached, Fetch, Fetched};

/// After how long credentials that do not expire are looked for again: they may have been replaced.
const LASTING: Duration = Duration::from_secs(60);
/// Part of `timeouts.connect` that a search for credentials may take.
const PART: f64 = 0.8;

#[async_trait]
impl TokenIssuer for MskIam {
    fn prepared(&self, surroundings: &Surroundings) -> Arc<dyn TokenIssuer> {
        let trust = Trust::new(Vec::new(), surroundings.tls.clone(), "tls.ca (ssl.truststore.location)");
        let source = Source(Arc::new(Inner {
            iam: self.clone(),
            client: Client::new(trust),
            clock: surroundings.clock.clone(),
            limit: scaled(surroundings.connect, PART),
            skew: Skew::default(),
            cluster_region: OnceLock::new(),
        }));
        Arc::new(Logins { credentials: Cached::new(source.clone()), source })
    }

    fn name(&self) -> &'static str {
        "AWS_MSK_IAM"
    }

    async fn token(&self, broker: &str) -> Result<Token> {
        let surroundings = Surroundings::default();
        self.prepared(&surroundings).token(broker).await
    }

    fn remedy(&self, broker: &str) -> String {
        let region = region_of(self, broker).unwrap_or_default();
        format!(
            "check the AWS credentials, that the policy of their identity allows kafka-cluster:Connect for this cluster, that \
             the cluster is in {region}, and the clock of this machine"
        )
    }

    fn validate(&self, _: bool, problems: &mut Vec<String>) {
        for (name, region) in [("region", &self.region), ("sts_region", &self.sts_region)] {
            if let Some(region) = region.as_deref().filter(|region| !region::is_region(region)) {
                problems.push(format!(
                    "sasl (MskIam::{name}) {} is not a region of AWS, such as eu-central-1",
                    quoted(region)
                ));
            }
        }
        if let Some(role) = self.role.as_deref().filter(|role| !role.starts_with("arn:")) {
            problems.push(format!(
                "sasl (MskIam::assume_role) {} is not the ARN of a role, such as arn:aws:iam::123456789012:role/orders",
                quoted(role)
            ));
        }
        if self.role.is_none() && (self.role_session_name.is_some() || self.external_id.is_some()) {
            problems.push(
                "sasl (MskIam) role_session_name or external_id is set, but no role: use MskIam::assume_role"
                    .into(),
            );
        }
    }
}

/// The logins of one producer.
struct Logins {
    credentials: Cached<Source>,
    source: Source,
}

debug_as!(logins: Logins { iam: logins.source.0.iam, .. });

/// Where a producer's credentials come from.
#[derive(Clone)]
struct Source(Arc<Inner>);

struct Inner {
    iam: MskIam,
    client: Client,
    clock: WallClock,
    skew: Skew,
    limit: Duration,
    /// The region of the first broker that was met; all of a cluster's are in the same.
    cluster_region: OnceLock<String>,
}

#[async_trait]
impl TokenIssuer for Logins {
    fn prepared(&self, surroundings: &Surroundings) -> Arc<dyn TokenIssuer> {
        self.source.0.iam.prepared(surroundings)
    }

    fn name(&self) -> &'static str {
        self.source.0.iam.name()
    }

    async fn token(&self, broker: &str) -> Result<Token> {
        let source = &self.source.0;
        let region =
            region_of(&source.iam, broker).map_err(|problem| problem.into_error().with_broker(broker))?;
        source.cluster_region.get_or_init(|| region.clone());
        let credentials = self.credentials.get().await.map_err(|error| error.with_broker(broker))?;
        Ok(token::sign(&credentials, &region, source.clock.wall()))
    }

    fn remedy(&self, broker: &str) -> String {
        self.source.0.skew.sentence().unwrap_or_else(|| self.source.0.iam.remedy(broker))
    }

    fn validate(&self, allow_plaintext: bool, problems: &mut Vec<String>) {
        self.source.0.iam.validate(allow_plaintext, problems);
    }
}

#[async_trait]
impl Fetch for Source {
    type Value = AwsCredentials;

    async fn fetch(&self) -> Result<Fetched<AwsCredentials>> {
        let began = self.0.clock.wall();
        let value = self.credentials().await.map_err(Problem::into_error)?;
        // By this clock they may have expired already; a provider is believed all the same.
        let left = value.expires_at.map_or(LASTING, |end| end.duration_since(began).unwrap_or(LASTING));
        Ok(Fetched { value, lifetime: left })
    }
}

impl Source {
    async fn credentials(&self) -> Result<AwsCredentials, Problem> {
        let Inner { iam, client, clock, skew, limit, cluster_region } = &*self.0;
        let now = || clock.wall();
        let lookup = Lookup {
            variables: &iam.variables,
            client,
            clock: &now,
            skew,
            until: later(Instant::now(), *limit),
            sts_region: sts_region(iam, cluster_region.get().map(String::as_str).unwrap_or_default()),
        };
        let found = match &iam.source {
            AwsSource::Chain => chain::credentials(&lookup).await?,
            AwsSource::Profile(name) => {
                profile::credentials(&lookup, &Profiles::read(&iam.variables)?, name).await?
            }
            AwsSource::Provider(provider) => {
                let called = guarded_async("the AWS credentials provider", || provider.credentials()).await;
                let called = called.unwrap_or_else(|panicked| Err(panicked.into()));
                called.map_err(|error| Problem::caused("the provider of AWS credentials failed", error))?
            }
        };
        let found = match &iam.role {
            None => found,
            Some(arn) => {
                let role = Role {
                    arn: arn.clone(),
                    session_name: iam.role_session_name.clone(),
                    external_id: iam.external_id.clone(),
                    duration: None,
                };
                sts::assume_role(&lookup, &found, &role).await?
            }
        };
        found.problem().map_or(Ok(found), |problem| Err(Problem::lasting(problem)))
    }
}

/// The region of the cluster of this broker.
fn region_of(iam: &MskIam, broker: &str) -> Result<String, Problem> {
    let host = Address::parse(broker).map(|address| address.host).unwrap_or_default();
    let said = iam.region.as_deref().or_else(|| region::of_broker(&host)).map(str::to_owned);
    said.or_else(|| configured_region(iam)).ok_or_else(|| {
        Problem::lasting(
            "the broker's name does not say in which region of AWS it is: set MskIam::region or AWS_REGION",
        )
    })
}

fn sts_region(iam: &MskIam, cluster: &str) -> String {
    iam.sts_region.clone().or_else(|| configured_region(iam)).unwrap_or_else(|| cluster.to_owned())
}

/// The region of the environment, or of the profile.
fn configured_region(iam: &MskIam) -> Option<String> {
    let variables = &iam.variables;
    let set = variables.get("AWS_REGION").or_else(|| variables.get("AWS_DEFAULT_REGION"));
    let set = set.or_else(|| {
        let name = match &iam.source {
            AwsSource::Profile(name) => Some(name.clone()),
            _ => variables.get("AWS_PROFILE"),
        };
        // A file that cannot be read is reported where credentials are looked for.
        let profiles = Profiles::read(variables).ok()?;
        profiles.get(name.as_deref().unwrap_or(chain::DEFAULT))?.get("region").map(str::to_owned)
    });
    set.filter(|region| region::is_region(region))
}
