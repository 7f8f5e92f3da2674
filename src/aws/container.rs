//! Credentials of a container: tasks of ECS, pods of EKS with a pod identity.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>

use std::net::IpAddr;
use std::path::Path;

use super::lookup::Lookup;
use super::problem::Problem;
use super::{answer, profiles};
use crate::config::{AwsCredentials, Secret};
use crate::http::{Method, Request, Url};

pub(super) const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
pub(super) const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
const TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
/// Where ECS answers.
const ECS: &str = "http://169.254.170.2";

/// `None` outside of such a container.
pub(super) async fn credentials(lookup: &Lookup<'_>) -> Result<Option<AwsCredentials>, Problem> {
    let Some(url) = url(lookup)? else { return Ok(None) };
    let mut request = Request::new(Method::GET, url.clone());
    if let Some(token) = token(lookup)? {
        request = request.header("authorization", token.expose().trim_end()).map_err(Problem::new)?;
    }
    let response = lookup.send(request).await?;
    let from = format!("the container credentials endpoint {url}");
    if !response.is_success() {
        let said = answer::failure(&response.body).map(|said| format!(" ({said})")).unwrap_or_default();
        return Err(Problem::new(format!("{from} answers with status {}{said}", response.status)));
    }
    let credentials = answer::credentials(&response.body, "Token", &from)?;
    lookup.unexpired(credentials, &from).map(Some)
}

fn url(lookup: &Lookup<'_>) -> Result<Option<Url>, Problem> {
    let (name, text) = match (lookup.variables.get(RELATIVE), lookup.variables.get(FULL)) {
        (Some(path), _) => (RELATIVE, format!("{ECS}{path}")),
        (None, Some(url)) => (FULL, url),
        (None, None) => return Ok(None),
    };
    let url = Url::parse(&text).map_err(|problem| Problem::lasting(format!("{name} {problem}")))?;
    match url.is_https() || is_local(url.host()) {
        true => Ok(Some(url)),
        false => Err(Problem::lasting(format!(
            "{name} names the host {}: without https only this machine, 169.254.170.2, 169.254.170.23 and fd00:ec2::23 are \
             allowed",
            url.host()
        ))),
    }
}

/// Hosts to which credentials may be entrusted without encryption.
fn is_local(host: &str) -> bool {
    const ENDPOINTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];
    match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback() || ENDPOINTS.iter().any(|known| known.parse() == Ok(address)),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// The file is read for each request, since its token is renewed.
fn token(lookup: &Lookup<'_>) -> Result<Option<Secret>, Problem> {
    match lookup.variables.get(TOKEN_FILE) {
        Some(path) => match profiles::read_limited(Path::new(&path)) {
            Ok(text) => Ok(Some(Secret::from(text.as_str()))),
            Err(error) => Err(Problem::caused(format!("cannot read {path} ({TOKEN_FILE})"), error)),
        },
        None => Ok(lookup.variables.secret(TOKEN)),
    }
}
