//! Credentials from the environment: an access key, or a web identity (EKS, for service accounts).

use super::lookup::Lookup;
use super::problem::Problem;
use super::sts::{self, Role};
use crate::config::AwsCredentials;
use crate::config::Variables;

pub(super) const ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
const TOKEN: &str = "AWS_SESSION_TOKEN";
pub(super) const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const ROLE: &str = "AWS_ROLE_ARN";

/// An access key, if there is one.
pub(super) fn access_key(variables: &Variables) -> Result<Option<AwsCredentials>, Problem> {
    match (variables.get(ID), variables.secret(SECRET)) {
        (None, None) => Ok(None),
        (Some(id), Some(secret)) => {
            let mut credentials = AwsCredentials::new(id, secret);
            credentials.session_token = variables.secret(TOKEN);
            Ok(Some(credentials))
        }
        (Some(_), None) => Err(Problem::lasting(format!("{ID} is set without {SECRET}"))),
        (None, Some(_)) => Err(Problem::lasting(format!("{SECRET} is set without {ID}"))),
    }
}

/// The credentials of a web identity, if there is one.
pub(super) async fn web_identity(lookup: &Lookup<'_>) -> Result<Option<AwsCredentials>, Problem> {
    let Some(file) = lookup.variables.get(TOKEN_FILE) else { return Ok(None) };
    let arn = lookup.variables.get(ROLE);
    let arn = arn.ok_or_else(|| Problem::lasting(format!("{TOKEN_FILE} is set without {ROLE}")))?;
    let role = Role { arn, session_name: None, external_id: None, duration: None };
    sts::assume_role_with_web_identity(lookup, &role, &file).await.map(Some)
}
