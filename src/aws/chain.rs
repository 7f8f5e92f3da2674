//! Where credentials are looked for, one source after another, in the order of AWS's own libraries for MSK.

use super::lookup::Lookup;
use super::problem::Problem;
use super::profiles::Profiles;
use super::{container, environment, instance, profile};
use crate::config::AwsCredentials;
use crate::error::quoted;

pub(super) const DEFAULT: &str = "default";

/// The first source that is there is the one that is meant: where it fails, no other is tried.
pub(super) async fn credentials(lookup: &Lookup<'_>) -> Result<AwsCredentials, Problem> {
    let variables = lookup.variables;
    if let Some(found) = environment::access_key(variables)? {
        return Ok(found);
    }
    if let Some(found) = environment::web_identity(lookup).await? {
        return Ok(found);
    }
    let named = variables.get("AWS_PROFILE");
    let name = named.as_deref().unwrap_or(DEFAULT);
    let profiles = Profiles::read(variables)?;
    let there = named.is_some() || profiles.get(name).is_some_and(profile::has_credentials);
    if there {
        return profile::credentials(lookup, &profiles, name).await;
    }
    if let Some(found) = container::credentials(lookup).await? {
        return Ok(found);
    }
    instance::credentials(lookup).await.map_err(|problem| {
        problem.explained(format!(
            "no AWS credentials: none of {}, {}, the AWS profile {}, {} and {} is there, nor is the role of an EC2 instance",
            environment::ID,
            environment::TOKEN_FILE,
            quoted(name),
            container::RELATIVE,
            container::FULL
        ))
    })
}
