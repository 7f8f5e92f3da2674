//! Credentials of a role, from AWS's Security Token Service.
//!
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>. Answers are XML with a few flat fields.

use std::path::Path;

use super::lookup::Lookup;
use super::problem::Problem;
use super::sigv4::{self, Signer, encode};
use super::{answer, profiles, region, time};
use crate::config::{AwsCredentials, Secret};
use crate::error::printable;
use crate::http::{Method, Request, Url};

const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// A role, and in which name it is assumed.
#[derive(Clone)]
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) session_name: Option<String>,
    pub(super) external_id: Option<String>,
    /// In seconds, as AWS's files have it.
    pub(super) duration: Option<String>,
}

impl Role {
    fn form(&self, lookup: &Lookup<'_>, action: &str) -> Form {
        let named = self.session_name.clone().or_else(|| lookup.variables.get("AWS_ROLE_SESSION_NAME"));
        let mut form = Form(zeroize::Zeroizing::new(format!("Action={action}&Version=2011-06-15")));
        form.add("RoleArn", Some(&self.arn));
        form.add("RoleSessionName", Some(named.as_deref().unwrap_or(env!("CARGO_PKG_NAME"))));
        form.add("ExternalId", self.external_id.as_deref());
        form.add("DurationSeconds", self.duration.as_deref());
        form
    }
}

/// Assumes a role with these credentials.
pub(super) async fn assume_role(
    lookup: &Lookup<'_>,
    base: &AwsCredentials,
    role: &Role,
) -> Result<AwsCredentials, Problem> {
    base.problem().map_or(Ok(()), |problem| Err(Problem::new(problem)))?;
    let (url, form) = (url(lookup)?, role.form(lookup, "AssumeRole"));
    let now = lookup.now();
    let date = time::basic(now);
    let mut headers = vec![("content-type", FORM), ("host", url.authority()), ("x-amz-date", &date)];
    if let Some(token) = &base.session_token {
        headers.push(("x-amz-security-token", token.expose()));
    }
    let signer = Signer { credentials: base, region: &lookup.sts_region, service: "sts", at: now };
    let signed =
        sigv4::Request { method: "POST", path: url.path(), headers: &headers, body: form.0.as_bytes() };
    let authorization = signer.authorization(&signed, &[]);
    let mut request = Request::new(Method::POST, url.clone());
    for (name, value) in headers.into_iter().filter(|(name, _)| *name != "host") {
        request = request.header(name, value).map_err(Problem::new)?;
    }
    let request = request.header("authorization", &authorization).map_err(Problem::new)?;
    let secrets = [Some(&base.secret_access_key), base.session_token.as_ref()];
    exchange(lookup, request.body(form.0.to_string()), role, secrets).await
}

/// Assumes a role with the identity that the token in the file proves.
pub(super) async fn assume_role_with_web_identity(
    lookup: &Lookup<'_>,
    role: &Role,
    token_file: &str,
) -> Result<AwsCredentials, Problem> {
    let token = profiles::read_limited(Path::new(token_file)).map_err(|error| {
        Problem::caused(
            format!("cannot read the web identity token {token_file} (AWS_WEB_IDENTITY_TOKEN_FILE)"),
            error,
        )
    })?;
    let token = Secret::from(token.trim());
    let mut form = role.form(lookup, "AssumeRoleWithWebIdentity");
    form.add("WebIdentityToken", Some(token.expose()));
    let request =
        Request::new(Method::POST, url(lookup)?).header("content-type", FORM).map_err(Problem::new)?;
    exchange(lookup, request.body(form.0.to_string()), role, [Some(&token), None]).await
}

fn url(lookup: &Lookup<'_>) -> Result<Url, Problem> {
    const OURS: &str = "AWS_ENDPOINT_URL_STS";
    const ALL: &str = "AWS_ENDPOINT_URL";
    if !lookup.variables.is_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
        for name in [OURS, ALL] {
            if let Some(url) = lookup.variables.get(name) {
                return Url::parse(&url).map_err(|problem| Problem::new(format!("{name} {problem}")));
            }
        }
    }
    Url::parse(&format!("https://{}/", region::sts_host(&lookup.sts_region))).map_err(Problem::new)
}

async fn exchange(
    lookup: &Lookup<'_>,
    request: Request,
    role: &Role,
    secrets: [Option<&Secret>; 2],
) -> Result<AwsCredentials, Problem> {
    let response = lookup.send(request).await?;
    let text = String::from_utf8_lossy(&response.body);
    let find = |name: &str| element(&text, name).map(Secret::from);
    let from = format!("STS ({})", lookup.sts_region);
    if !response.is_success() {
        let refusal = Refusal {
            code: find("Code")
                .map_or_else(|| format!("status {}", response.status), |code| printable(code.expose())),
            message: find("Message").map(|said| printable(&without(said.expose(), &secrets))),
        };
        return Err(refusal.problem(lookup, role, &from, response.status));
    }
    let missing = |name: &str| Problem::new(format!("{from} answers without {name}: is it STS?"));
    let id = find("AccessKeyId").ok_or_else(|| missing("AccessKeyId"))?;
    let secret = find("SecretAccessKey").ok_or_else(|| missing("SecretAccessKey"))?;
    let end = find("Expiration").ok_or_else(|| missing("Expiration"))?;
    let credentials = AwsCredentials::new(id.expose(), secret)
        .session_token(find("SessionToken").ok_or_else(|| missing("SessionToken"))?)
        .expires_at(answer::expiration(end.expose(), &from)?);
    lookup.unexpired(credentials, &from)
}

/// What STS says when it refuses.
struct Refusal {
    code: String,
    message: Option<String>,
}

impl Refusal {
    fn problem(self, lookup: &Lookup<'_>, role: &Role, from: &str, status: u16) -> Problem {
        let remedy = match self.code.as_str() {
            "SignatureDoesNotMatch" | "RequestTimeTooSkewed" | "RequestExpired" => lookup
                .skew
                .sentence()
                .or_else(|| Some("check the secret access key and the clock of this machine".to_owned())),
            "InvalidClientTokenId" => Some("check the access key id".to_owned()),
            "ExpiredToken" | "ExpiredTokenException" => {
                Some("the credentials, or the token, with which it was requested have expired".to_owned())
            }
            "AccessDenied" => {
                Some("the role's trust policy has to allow it, and so has a policy of the caller".to_owned())
            }
            _ => None,
        };
        let said = self.message.map(|said| format!(" ({said})")).unwrap_or_default();
        let remedy = remedy.map(|remedy| format!(": {remedy}")).unwrap_or_default();
        let text = format!("{from} refuses the role {}: {}{said}{remedy}", printable(&role.arn), self.code);
        // It is busy, or the identity provider is.
        let again = status >= 500
            || ["Throttling", "ThrottlingException", "RequestLimitExceeded", "IDPCommunicationError"]
                .contains(&self.code.as_str());
        if again { Problem::new(text) } else { Problem::lasting(text) }
    }
}

/// A server's text without what was sent to it.
fn without(text: &str, secrets: &[Option<&Secret>]) -> String {
    let secrets = secrets.iter().flatten().filter(|secret| !secret.is_empty());
    secrets.fold(text.to_owned(), |text, secret| text.replace(secret.expose(), "***"))
}

/// The text of the first element of this name, without entities.
fn element(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once(&format!("</{name}>"))?;
    let value =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")]
            .iter()
            .fold(value.trim().to_owned(), |value, (entity, c)| value.replace(entity, c));
    (!value.is_empty()).then_some(value)
}

/// A body of names and values.
struct Form(zeroize::Zeroizing<String>);

impl Form {
    fn add(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            for part in ["&", name, "=", &zeroize::Zeroizing::new(encode(value))] {
                self.0.push_str(part);
            }
        }
    }
}
