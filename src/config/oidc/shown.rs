//! Values as they are set in text, under the names of the settings.

use std::time::Duration;

use super::{ClientAssertion, Oidc, Origin, Proof, Signed};
use crate::config::Pem;
use crate::error::shown_url;

const SECRET: &str = "***";

/// The value of the setting `sasl.oidc.NAME`; empty where it is not set.
pub(crate) fn shown(oidc: &Oidc, name: &str) -> String {
    let assertion = match &oidc.proof {
        Proof::Secret(_) => None,
        Proof::Assertion(assertion) | Proof::JwtBearer(assertion) => Some(assertion),
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let signed = |of: fn(&Signed) -> String| match assertion {
        Some(ClientAssertion { origin: Origin::Signed(signed) }) => of(signed),
        _ => String::new(),
    };
    match name {
        "token_endpoint" => shown_url(&oidc.endpoint),
        "client_id" => text(&oidc.client_id),
        "client_secret" if matches!(oidc.proof, Proof::Secret(_)) => SECRET.into(),
        "scope" => text(&oidc.scope),
        "extensions" => {
            let pairs = oidc.extensions.iter().map(|(name, value)| format!("{name}={value}"));
            pairs.collect::<Vec<_>>().join(",")
        }
        "urlencode_header" => oidc.urlencode_header.to_string(),
        "grant_type" => match oidc.proof {
            Proof::JwtBearer(_) => "urn:ietf:params:oauth:grant-type:jwt-bearer".into(),
            _ => "client_credentials".into(),
        },
        "assertion_file" => match assertion {
            Some(ClientAssertion { origin: Origin::File(path) }) => path.display().to_string(),
            _ => String::new(),
        },
        "assertion_key" => signed(|signed| files(std::slice::from_ref(&signed.key))),
        "assertion_key_pem" => signed(|signed| texts(std::slice::from_ref(&signed.key))),
        "assertion_key_password" => {
            signed(|signed| signed.key_password.as_ref().map(|_| SECRET.to_owned()).unwrap_or_default())
        }
        "assertion_key_id" => signed(|signed| signed.key_id.clone().unwrap_or_default()),
        "assertion_issuer" => signed(|signed| signed.issuer.clone().unwrap_or_default()),
        "assertion_subject" => signed(|signed| signed.subject.clone().unwrap_or_default()),
        "assertion_audience" => signed(|signed| signed.audience.clone().unwrap_or_default()),
        "assertion_expires_after" => signed(|signed| time(signed.expires_after)),
        "assertion_valid_before" => signed(|signed| time(signed.valid_before)),
        "assertion_unique_id" => signed(|signed| signed.unique_id.to_string()),
        "ca" => files(&oidc.ca),
        "ca_pem" => texts(&oidc.ca),
        _ => String::new(),
    }
}

fn time(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}

fn files(pems: &[Pem]) -> String {
    let files = pems.iter().filter_map(|pem| match pem {
        Pem::File(path) => Some(path.display().to_string()),
        Pem::Text(_) => None,
    });
    files.collect::<Vec<_>>().join(",")
}

fn texts(pems: &[Pem]) -> String {
    match pems.iter().any(|pem| matches!(pem, Pem::Text(_))) {
        true => SECRET.into(),
        false => String::new(),
    }
}
