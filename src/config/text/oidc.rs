//! Tokens of an identity server, put together from settings and from the options of a login module.

use std::time::Duration;

use super::codec::choice;
use crate::config::{Pem, Secret};

/// What was said about an identity server so far.
#[derive(Default)]
#[cfg_attr(not(feature = "oidc"), allow(dead_code, reason = "without it only their presence counts"))]
pub(super) struct OidcSettings {
    pub(super) token_endpoint: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<Secret>,
    pub(super) scope: Option<String>,
    pub(super) extensions: Option<Vec<(String, String)>>,
    pub(super) urlencode_header: Option<bool>,
    pub(super) grant_type: Option<Grant>,
    pub(super) assertion_file: Option<String>,
    pub(super) assertion_key: Option<Pem>,
    pub(super) assertion_key_pem: Option<Pem>,
    pub(super) assertion_key_password: Option<Secret>,
    pub(super) assertion_key_id: Option<String>,
    pub(super) assertion_issuer: Option<String>,
    pub(super) assertion_subject: Option<String>,
    pub(super) assertion_audience: Option<String>,
    pub(super) assertion_expires_after: Option<Duration>,
    pub(super) assertion_valid_before: Option<Duration>,
    pub(super) assertion_unique_id: Option<bool>,
    pub(super) ca: Option<Pem>,
    pub(super) ca_pem: Option<Pem>,
}

/// The grant types that can be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    ClientCredentials,
    JwtBearer,
}

/// librdkafka's names first, then Java's classes.
const GRANTS: [(&str, Grant); 5] = [
    ("client_credentials", Grant::ClientCredentials),
    ("urn:ietf:params:oauth:grant-type:jwt-bearer", Grant::JwtBearer),
    ("org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever", Grant::ClientCredentials),
    ("org.apache.kafka.common.security.oauthbearer.ClientCredentialsJwtRetriever", Grant::ClientCredentials),
    ("org.apache.kafka.common.security.oauthbearer.JwtBearerJwtRetriever", Grant::JwtBearer),
];

pub(super) fn grant(text: &str) -> Result<Grant, String> {
    choice(text, &GRANTS)
}

/// `name=value`, by commas.
pub(super) fn extensions(text: &str) -> Result<Vec<(String, String)>, String> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').map(|(name, value)| (name.into(), value.into())));
    pairs.collect::<Option<_>>().ok_or_else(|| "expected name=value, several by commas".to_owned())
}

/// `sasl.oauthbearer.assertion.claim.exp.seconds`.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map(Duration::from_secs);
    seconds.map_err(|_| "expected a number of seconds, not negative".to_owned())
}

impl OidcSettings {
    /// Whether a login by a token of an identity server is meant. The rest may be there without one.
    pub(super) fn is_meant(&self) -> bool {
        self.token_endpoint.is_some()
            || self.client_id.is_some()
            || self.client_secret.is_some()
            || self.assertion_file.is_some()
            || self.assertion_key.is_some()
            || self.assertion_key_pem.is_some()
    }
}

#[cfg(not(feature = "oidc"))]
pub(super) const NEEDS_OIDC: &str = "tokens of an identity server (sasl.oauthbearer.*) need the feature oidc of \
                                     rskafka-producer; or set security.protocol=SSL, leave sasl.* out, and add \
                                     SaslConfig::oauth_bearer in code";

#[cfg(feature = "oidc")]
pub(super) use with_feature::put_together;

#[cfg(feature = "oidc")]
mod with_feature {
    use super::{Grant, OidcSettings};
    use crate::config::{ClientAssertion, Oidc, Secret};

    const NO_ENDPOINT: &str = "OAUTHBEARER lacks sasl.oidc.token_endpoint (sasl.oauthbearer.token.endpoint.url), the server of \
                               its tokens; for tokens from elsewhere, set security.protocol=SSL, leave sasl.* out, and add \
                               SaslConfig::oauth_bearer in code";
    const NO_CLIENT: &str = "of the client's id and secret one is missing: sasl.oidc.client_id and client_secret \
                             (sasl.oauthbearer.client.credentials.client.id, .client.secret), or clientId and clientSecret \
                             of sasl.jaas.config; or set an assertion (sasl.oauthbearer.assertion.*)";

    /// The settings, with what the login module of `sasl.jaas.config` says where they say nothing, as Java does.
    pub(in crate::config::text) fn put_together(
        settings: &OidcSettings,
        options: &[(String, Secret)],
    ) -> Result<Oidc, String> {
        let option = |name: &str| options.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        let text = |name: &str| option(name).map(|value| value.expose().to_owned());
        let mut extensions = settings.extensions.clone().unwrap_or_default();
        for (name, value) in options {
            match name.strip_prefix("extension_") {
                Some(name) => extensions.push((name.to_owned(), value.expose().to_owned())),
                None if ["clientId", "clientSecret", "scope"].contains(&name.as_str()) => {}
                None => {
                    return Err("the login module of sasl.jaas.config has an option other than clientId, clientSecret, \
                                scope and extension_…"
                        .into());
                }
            }
        }
        let url = settings.token_endpoint.clone().ok_or(NO_ENDPOINT)?;
        let id = settings.client_id.clone().or_else(|| text("clientId"));
        let secret = settings.client_secret.clone().or_else(|| option("clientSecret").cloned());
        let mut oidc = match (settings.assertion()?, settings.grant_type, id, secret) {
            (Some(assertion), Some(Grant::JwtBearer), id, _) => with_id(Oidc::jwt_bearer(url, assertion), id),
            (Some(assertion), _, id, _) => with_id(Oidc::client_assertion(url, assertion), id),
            (None, Some(Grant::JwtBearer), ..) => {
                return Err("of the grant type jwt-bearer the assertion is missing: sasl.oidc.assertion_file or assertion_key \
                            (sasl.oauthbearer.assertion.file, .private.key.file)"
                    .into());
            }
            (None, _, Some(id), Some(secret)) => Oidc::client_credentials(url, id, secret),
            (None, ..) => return Err(NO_CLIENT.into()),
        };
        if let Some(scope) = settings.scope.clone().or_else(|| text("scope")) {
            oidc = oidc.scope(scope);
        }
        for (name, value) in extensions {
            oidc = oidc.extension(name, value);
        }
        for ca in settings.ca.iter().chain(&settings.ca_pem) {
            oidc = oidc.ca(ca.clone());
        }
        Ok(oidc.urlencode_header(settings.urlencode_header.unwrap_or_default()))
    }

    fn with_id(oidc: Oidc, id: Option<String>) -> Oidc {
        match id {
            Some(id) => oidc.client_id(id),
            None => oidc,
        }
    }

    impl OidcSettings {
        /// A file before a key, as Java has it (KIP-1258).
        fn assertion(&self) -> Result<Option<ClientAssertion>, String> {
            let key = match (&self.assertion_file, &self.assertion_key, &self.assertion_key_pem) {
                (Some(file), ..) => return Ok(Some(ClientAssertion::file(file))),
                (None, None, None) => return Ok(None),
                (None, Some(_), Some(_)) => {
                    return Err("sasl.oidc.assertion_key and assertion_key_pem are both set: keep one".into());
                }
                (None, file, text) => file.as_ref().or(text.as_ref()).cloned(),
            };
            let Some(key) = key else { return Ok(None) };
            let mut assertion = ClientAssertion::signed(key);
            macro_rules! set {
                ($($field:ident => $set:ident),* $(,)?) => {$(
                    if let Some(value) = self.$field.clone() {
                        assertion = assertion.$set(value);
                    }
                )*};
            }
            set! {
                assertion_key_password => key_password,
                assertion_key_id => key_id,
                assertion_issuer => issuer,
                assertion_subject => subject,
                assertion_audience => audience,
                assertion_expires_after => expires_after,
                assertion_valid_before => valid_before,
                assertion_unique_id => unique_id,
            }
            Ok(Some(assertion))
        }
    }
}
