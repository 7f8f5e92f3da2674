//! Credentials of a profile.

use std::future::Future;
use std::pin::Pin;

use super::lookup::Lookup;
use super::problem::Problem;
use super::profiles::{Profile, Profiles};
use super::sts::{self, Role};
use super::{container, environment, instance, process};
use crate::config::AwsCredentials;
use crate::error::quoted;

/// Whether a profile says where its credentials come from; one may hold a region alone.
pub(super) fn has_credentials(profile: &Profile) -> bool {
    const KEYS: [&str; 6] = [
        "aws_access_key_id",
        "role_arn",
        "credential_process",
        "sso_session",
        "sso_start_url",
        "web_identity_token_file",
    ];
    KEYS.iter().any(|key| profile.get(key).is_some())
}

/// The credentials of the profile of this name.
pub(super) async fn credentials(
    lookup: &Lookup<'_>,
    profiles: &Profiles,
    name: &str,
) -> Result<AwsCredentials, Problem> {
    resolve(lookup, profiles, name.to_owned(), Vec::new()).await
}

type Resolving<'a> = Pin<Box<dyn Future<Output = Result<AwsCredentials, Problem>> + Send + 'a>>;

/// `through` are the profiles that refer to this one.
fn resolve<'a>(
    lookup: &'a Lookup<'_>,
    profiles: &'a Profiles,
    name: String,
    through: Vec<String>,
) -> Resolving<'a> {
    Box::pin(async move {
        let profile = profiles.named(&name)?;
        let problem = |text: &str| Problem::lasting(format!("the AWS profile {} {text}", quoted(&name)));
        // A profile may name itself as the source of its role, and means its access key then.
        let own_key = through.last() == Some(&name);
        if through.contains(&name) && !own_key {
            return Err(problem("refers to itself by source_profile"));
        }
        if let (Some(arn), false) = (profile.get("role_arn"), own_key) {
            if profile.get("mfa_serial").is_some() {
                return Err(problem("asks for a code (mfa_serial), which nobody can enter here"));
            }
            let role = role(profile, arn);
            if let Some(file) = profile.get("web_identity_token_file") {
                return sts::assume_role_with_web_identity(lookup, &role, file).await;
            }
            let base = match (profile.get("source_profile"), profile.get("credential_source")) {
                (Some(_), Some(_)) => {
                    return Err(problem("has both source_profile and credential_source: keep one"));
                }
                (Some(source), None) => {
                    let through = through.into_iter().chain([name.clone()]).collect();
                    resolve(lookup, profiles, source.to_owned(), through).await?
                }
                (None, Some("Environment")) => {
                    environment::access_key(lookup.variables)?.ok_or_else(|| {
                        problem("takes its credentials from the environment, where there are none")
                    })?
                }
                (None, Some("EcsContainer")) => container::credentials(lookup).await?.ok_or_else(|| {
                    problem("takes its credentials from a container, and this is none of ECS or EKS")
                })?,
                (None, Some("Ec2InstanceMetadata")) => instance::credentials(lookup).await?,
                (None, Some(_)) => {
                    return Err(problem(
                        "has a credential_source other than Environment, Ec2InstanceMetadata and EcsContainer",
                    ));
                }
                (None, None) => {
                    return Err(problem("has a role_arn without source_profile or credential_source"));
                }
            };
            return sts::assume_role(lookup, &base, &role).await;
        }
        match (profile.get("aws_access_key_id"), profile.secret("aws_secret_access_key")) {
            (Some(id), Some(secret)) => {
                let mut credentials = AwsCredentials::new(id, secret);
                credentials.session_token = profile.secret("aws_session_token");
                return Ok(credentials);
            }
            (None, None) => {}
            _ => {
                return Err(problem(
                    "has one of aws_access_key_id and aws_secret_access_key without the other",
                ));
            }
        }
        if let Some(command) = profile.get("credential_process") {
            return process::credentials(lookup, command, &name).await;
        }
        if profile.get("sso_session").is_some() || profile.get("sso_start_url").is_some() {
            return Err(problem(
                "logs in by SSO, which is not built in: have another one with credential_process = aws configure \
                 export-credentials --profile NAME",
            ));
        }
        Err(problem("has no credentials"))
    })
}

fn role(profile: &Profile, arn: &str) -> Role {
    let text = |key: &str| profile.get(key).map(str::to_owned);
    Role {
        arn: arn.to_owned(),
        session_name: text("role_session_name"),
        external_id: text("external_id"),
        duration: text("duration_seconds"),
    }
}
