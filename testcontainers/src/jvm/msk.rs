//! Listeners that take the tokens of Amazon MSK.

use std::path::{Path, PathBuf};

use super::{Listener, Result, node};

const VALIDATOR: &str = include_str!("MskValidator.java");

/// Compiles the validator into a folder of the cluster's.
pub(super) async fn compile(libs: &Path, data: &Path) -> Result<PathBuf> {
    let classes = data.join("classes");
    node::compile(libs, "MskValidator.java", VALIDATOR, &classes).await?;
    Ok(classes)
}

/// The settings of a broker.
pub(super) fn settings(region: &str, keys: &[(&str, &str, Option<&str>)]) -> Vec<(String, String)> {
    let mut options = format!("region=\"{region}\"");
    for (id, secret, token) in keys {
        options.push_str(&format!(" secret_{id}=\"{secret}\""));
        if let Some(token) = token {
            options.push_str(&format!(" token_{id}=\"{token}\""));
        }
    }
    let jaas = format!(
        "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
         unsecuredLoginStringClaim_sub=\"broker\" {options};"
    );
    let listeners = Listener::ALL.into_iter().filter(|listener| listener.has_sasl());
    listeners
        .flat_map(|listener| {
            let key =
                |name: &str| format!("listener.name.{}.oauthbearer.{name}", listener.name().to_lowercase());
            [
                (key("sasl.jaas.config"), jaas.clone()),
                (key("sasl.server.callback.handler.class"), "MskValidator".to_owned()),
            ]
        })
        .collect()
}
