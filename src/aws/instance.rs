//! Credentials of the role of an EC2 instance, from its metadata service (IMDSv2).
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>

use std::time::Duration;

use super::answer;
use super::lookup::Lookup;
use super::problem::Problem;
use crate::config::{AwsCredentials, Secret};
use crate::error::printable;
use crate::http::{Method, Request, Response, Url};

const DISABLED: &str = "AWS_EC2_METADATA_DISABLED";
const ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
const MODE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";
/// It is on the same machine; elsewhere nobody answers.
const LIMIT: Duration = Duration::from_secs(1);
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// Why there is none is a problem, since nothing else is left to try.
pub(super) async fn credentials(lookup: &Lookup<'_>) -> Result<AwsCredentials, Problem> {
    if lookup.variables.is_true(DISABLED) {
        return Err(Problem::new(format!("the instance metadata service is turned off by {DISABLED}")));
    }
    let service = Service::new(lookup)?;
    let token = service.token().await?;
    let roles = service.get(ROLES, &token).await?;
    let from = format!("the instance metadata service {}", service.base);
    if roles.status == 404 {
        return Err(Problem::new(format!("{from} knows no role: attach one to this instance")));
    }
    let roles = service.text(&roles)?;
    let role = roles.expose().lines().next().map(str::trim).unwrap_or_default();
    if role.is_empty() || !role.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Problem::new(format!("{from} does not answer with the name of a role")));
    }
    let document = service.text(&service.get(&format!("{ROLES}{role}"), &token).await?)?;
    let object = answer::object(document.expose().as_bytes(), &from)?;
    if let Some(code) = object.get("Code").and_then(|code| code.as_str()).filter(|code| *code != "Success") {
        return Err(Problem::new(format!(
            "{from} has no credentials for its role {}: {}",
            printable(role),
            printable(code)
        )));
    }
    lookup.unexpired(answer::credentials(document.expose().as_bytes(), "Token", &from)?, &from)
}

struct Service<'a> {
    lookup: &'a Lookup<'a>,
    base: String,
}

impl<'a> Service<'a> {
    fn new(lookup: &'a Lookup<'a>) -> Result<Self, Problem> {
        let ipv6 = lookup.variables.get(MODE).is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6"));
        let default = if ipv6 { "http://[fd00:ec2::254]" } else { "http://169.254.169.254" };
        let base = lookup.variables.get(ENDPOINT).unwrap_or_else(|| default.to_owned());
        let service = Self { lookup, base: base.trim_end_matches('/').to_owned() };
        service.url("/").map(|_| service)
    }

    fn url(&self, path: &str) -> Result<Url, Problem> {
        Url::parse(&format!("{}{path}", self.base))
            .map_err(|problem| Problem::new(format!("{ENDPOINT} {problem}")))
    }

    /// What proves that the request comes from this instance and was not forwarded to it.
    async fn token(&self) -> Result<Secret, Problem> {
        let request = Request::new(Method::PUT, self.url("/latest/api/token")?)
            .header("x-aws-ec2-metadata-token-ttl-seconds", "21600")
            .map_err(Problem::new)?;
        let answered = self.lookup.send_within(request, LIMIT).await.map_err(|problem| problem.explained(
            "the instance metadata service does not answer (in a container, the instance's metadata hop limit has to be 2)",
        ))?;
        self.text(&answered)
    }

    async fn get(&self, path: &str, token: &Secret) -> Result<Response, Problem> {
        let request = Request::new(Method::GET, self.url(path)?)
            .header("x-aws-ec2-metadata-token", token.expose())
            .map_err(Problem::new)?;
        self.lookup.send_within(request, LIMIT).await
    }

    fn text(&self, response: &Response) -> Result<Secret, Problem> {
        if !response.is_success() {
            return Err(Problem::new(format!(
                "the instance metadata service {} answers with status {}",
                self.base, response.status
            )));
        }
        let text = std::str::from_utf8(&response.body);
        text.map(Secret::from).map_err(|_| {
            Problem::new(format!("the instance metadata service {} does not answer in text", self.base))
        })
    }
}
