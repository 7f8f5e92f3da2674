//! Amazon MSK with IAM, as AWS's library for Java is configured.

use crate::config::{AwsCredentials, MskIam, Secret};

/// The options of the login module, as `aws-msk-iam-auth` has them.
pub(super) fn from_options(options: &[(String, Secret)]) -> Result<MskIam, String> {
    let mut iam = MskIam::new();
    let (mut id, mut secret, mut token) = (None, None, None);
    for (name, value) in options {
        let text = || value.expose().to_owned();
        match name.as_str() {
            "awsProfileName" => iam = iam.profile(text()),
            "awsRoleArn" => iam = iam.assume_role(text()),
            "awsRoleSessionName" => iam = iam.role_session_name(text()),
            "awsRoleExternalId" => iam = iam.external_id(text()),
            "awsStsRegion" => iam = iam.sts_region(text()),
            "awsRoleAccessKeyId" => id = Some(text()),
            "awsRoleSecretAccessKey" => secret = Some(value.clone()),
            "awsRoleSessionToken" => token = Some(value.clone()),
            // What it retries and logs is decided here.
            "awsDebugCreds" | "awsMaxRetries" | "awsMaxBackOffTimeMs" => {}
            _ => {
                return Err("the login module of sasl.jaas.config has an option other than awsProfileName, awsRoleArn, \
                            awsRoleSessionName, awsRoleExternalId, awsStsRegion, awsRoleAccessKeyId, \
                            awsRoleSecretAccessKey and awsRoleSessionToken"
                    .into());
            }
        }
    }
    match (id, secret, token) {
        (Some(id), Some(secret), token) => {
            let credentials = AwsCredentials::new(id, secret);
            Ok(iam.credentials(match token {
                Some(token) => credentials.session_token(token),
                None => credentials,
            }))
        }
        (None, None, None) => Ok(iam),
        _ => {
            Err("of awsRoleAccessKeyId and awsRoleSecretAccessKey of sasl.jaas.config one is missing".into())
        }
    }
}
