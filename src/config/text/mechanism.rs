//! Names of logins that are more than a mechanism: tokens, and where they come from.

use super::codec::MECHANISM;
use crate::config::SaslMechanism;

/// `sasl.mechanism`.
#[derive(Clone, Copy)]
pub(super) struct Mechanism {
    pub(super) sasl: SaslMechanism,
    /// Which tokens, where the name says it.
    pub(super) tokens: Option<Tokens>,
}

/// Tokens whose source can be named in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tokens {
    #[cfg_attr(not(feature = "oidc"), expect(dead_code, reason = "without it there are none"))]
    Oidc,
    #[cfg_attr(not(feature = "aws-msk-iam"), expect(dead_code, reason = "without it there are none"))]
    MskIam,
}

pub(super) const MSK_IAM: &str = "AWS_MSK_IAM";

pub(super) fn mechanism(text: &str) -> Result<Mechanism, String> {
    if text == MSK_IAM {
        return msk_iam().map(|tokens| Mechanism { sasl: SaslMechanism::OauthBearer, tokens: Some(tokens) });
    }
    MECHANISM.read(text).map(|sasl| Mechanism { sasl, tokens: None })
}

/// `sasl.login.callback.handler.class` and `sasl.client.callback.handler.class`; there may be none.
pub(super) fn callback_handler(class: &str) -> Result<Option<Tokens>, String> {
    match class {
        "" => Ok(None),
        "software.amazon.msk.auth.iam.IAMClientCallbackHandler"
        | "software.amazon.msk.auth.iam.IAMOAuthBearerLoginCallbackHandler" => msk_iam().map(Some),
        "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler"
        | "org.apache.kafka.common.security.oauthbearer.secured.OAuthBearerLoginCallbackHandler" => {
            oidc().map(Some)
        }
        _ => {
            Err("code cannot be named in text: use SaslConfig::password or oauth_bearer with a provider"
                .into())
        }
    }
}

#[cfg(feature = "oidc")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature it fails")]
fn oidc() -> Result<Tokens, String> {
    Ok(Tokens::Oidc)
}

#[cfg(not(feature = "oidc"))]
fn oidc() -> Result<Tokens, String> {
    Err(super::oidc::NEEDS_OIDC.into())
}

#[cfg(feature = "aws-msk-iam")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature it fails")]
fn msk_iam() -> Result<Tokens, String> {
    Ok(Tokens::MskIam)
}

#[cfg(not(feature = "aws-msk-iam"))]
fn msk_iam() -> Result<Tokens, String> {
    Err(NEEDS_MSK_IAM.into())
}

#[cfg(not(feature = "aws-msk-iam"))]
pub(super) const NEEDS_MSK_IAM: &str =
    "logins at Amazon MSK by IAM need the feature aws-msk-iam of rskafka-producer";
