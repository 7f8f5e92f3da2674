//! Credentials from stand-ins for AWS's services, on this machine.

mod container;
mod instance;
mod profile;
mod refresh;
mod role;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::config::{MskIam, Surroundings, TokenIssuer, WallClock};
use crate::error::with_causes;
use crate::error::{Error, Result};

const BROKER: &str = "b-1.shop.abc123.c2.kafka.us-east-1.amazonaws.com:9098";
/// Sunday, 30 Aug 2015 12:36:00.
const NOON: u64 = 1_440_938_160;
/// Part of every secret here.
const SECRET: &str = "hunter2";

fn noon() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOON)
}

/// The logins of a producer, at noon.
fn logins(iam: &MskIam) -> Arc<dyn TokenIssuer> {
    iam.prepared(&Surroundings { clock: WallClock::new(noon), ..Surroundings::default() })
}

/// The URL that one login presents.
async fn url(iam: &MskIam) -> Result<String> {
    let token = logins(iam).token(BROKER).await?;
    let url = URL_SAFE_NO_PAD.decode(token.value.expose()).unwrap();
    Ok(String::from_utf8(url).unwrap())
}

/// The access key id, the session token and the lifetime of one login's token.
async fn signed_by(iam: &MskIam) -> (String, String, String) {
    let url = url(iam).await.unwrap_or_else(|error| panic!("{}", with_causes(&error)));
    let part = |name: &str| {
        let found = url.split(['?', '&']).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_default().split("%2F").next().unwrap().to_owned()
    };
    (part("X-Amz-Credential"), part("X-Amz-Security-Token"), part("X-Amz-Expires"))
}

/// Why there is no token, on one line without secrets, and whether trying again can help.
async fn refused(iam: &MskIam) -> (String, bool) {
    let error = url(iam).await.unwrap_err();
    let text = with_causes(&error);
    assert!(text.starts_with("cannot log in at MSK: ") && !text.contains('\n'), "{text}");
    assert!(!format!("{text} {error:?} {error:#?}").contains(SECRET), "{error:?}");
    assert_eq!(error.broker(), Some(BROKER));
    (text, is_final(&error))
}

fn is_final(error: &Error) -> bool {
    error.kind() == crate::error::ErrorKind::Authentication
}

/// Nothing but these variables.
fn with(variables: &[(&str, &str)]) -> MskIam {
    MskIam::new().variables(variables.iter().map(|(name, value)| (*name, *value)))
}

/// A server on this machine.
struct StandIn {
    url: String,
    /// Head and body of each request.
    asked: Arc<Mutex<Vec<String>>>,
}

impl StandIn {
    /// `answer` makes a response of a request; `None` is silence.
    async fn start(answer: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (requests, answer) = (asked.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (requests, answer) = (requests.clone(), answer.clone());
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    while !is_complete(&request) && socket.read_buf(&mut request).await.unwrap() > 0 {}
                    let request = String::from_utf8(request).unwrap();
                    requests.lock().push(request.clone());
                    match answer(&request) {
                        // A client that has read enough hangs up.
                        Some(answer) => drop(socket.write_all(&answer).await),
                        None => drop(socket.read(&mut [0]).await),
                    }
                });
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }
}

fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

/// A response with this status and body, dated noon.
fn response(status: u16, body: &str) -> Option<Vec<u8>> {
    dated("Sun, 30 Aug 2015 12:36:00 GMT", status, body)
}

fn dated(date: &str, status: u16, body: &str) -> Option<Vec<u8>> {
    let length = body.len();
    Some(
        format!("HTTP/1.1 {status} X\r\ndate: {date}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes(),
    )
}

/// What no client should read to its end.
fn flood() -> Option<Vec<u8>> {
    let mut answer = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    answer.resize(2 << 20, b'x');
    Some(answer)
}

/// Credentials as the local endpoints have them.
fn document(id: &str, expiration: &str) -> String {
    format!(
        r#"{{"Code":"Success","AccessKeyId":"{id}","SecretAccessKey":"{SECRET}-key","Token":"{SECRET}-token","Expiration":"{expiration}"}}"#
    )
}

const IN_AN_HOUR: &str = "2015-08-30T13:36:00Z";
const AN_HOUR_AGO: &str = "2015-08-30T11:36:00Z";

/// A folder that is removed in the end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("msk-iam-{:x}", fastrand::u64(..)));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

#[tokio::test]
async fn an_access_key_of_the_environment_comes_first() {
    let key = [("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    let all = [&key[..], &[("AWS_PROFILE", "no such"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/none")]].concat();
    assert_eq!(signed_by(&with(&all)).await, ("AKID".into(), String::new(), "900".into()));
    let temporary = [&key[..], &[("AWS_SESSION_TOKEN", "token")]].concat();
    assert_eq!(signed_by(&with(&temporary)).await.1, "token");
    for half in &key {
        let (text, is_final) = refused(&with(&[*half])).await;
        assert!(text.contains("is set without AWS_") && is_final, "{text}");
    }
    let blank = [("AWS_ACCESS_KEY_ID", "AKID\n"), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    assert!(refused(&with(&blank)).await.0.contains("access key id is empty or holds characters"));
}

#[tokio::test]
async fn where_nothing_is_found_the_error_names_every_place() {
    let (text, is_final) = refused(&with(&[("AWS_EC2_METADATA_DISABLED", "true")])).await;
    for place in [
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "the AWS profile \"default\"",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "turned off by AWS_EC2_METADATA_DISABLED",
    ] {
        assert!(text.contains(place), "{text}");
    }
    assert!(!is_final, "an instance may get its role later");
}

#[tokio::test]
async fn the_region_is_that_of_the_setting_then_the_broker_then_the_environment() {
    let key = [("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    let folder = Folder::new();
    let config = folder.file("config", "[default]\nregion = eu-west-3\n[profile x]\nregion = eu-west-2\n");
    let region = async |iam: MskIam, broker: &str| {
        let token = logins(&iam).token(broker).await?;
        let url = String::from_utf8(URL_SAFE_NO_PAD.decode(token.value.expose()).unwrap()).unwrap();
        let host = url.strip_prefix("https://kafka.").unwrap().split('.').next().unwrap().to_owned();
        assert!(url.contains(&format!("%2F{host}%2Fkafka-cluster%2F")), "{url}");
        Ok::<_, Error>(host)
    };
    let set = |more: &[(&str, &str)]| with(&[&key[..], more].concat());
    let named = set(&[("AWS_REGION", "eu-central-1")]);
    assert_eq!(region(named.clone().region("ap-east-1"), BROKER).await.unwrap(), "ap-east-1");
    assert_eq!(region(named.clone(), BROKER).await.unwrap(), "us-east-1");
    assert_eq!(region(named, "localhost:9098").await.unwrap(), "eu-central-1");
    assert_eq!(region(set(&[("AWS_CONFIG_FILE", &config)]), "kafka:9098").await.unwrap(), "eu-west-3");
    let profile = set(&[("AWS_CONFIG_FILE", &config), ("AWS_PROFILE", "x")]);
    assert_eq!(region(profile, "[::1]:9098").await.unwrap(), "eu-west-2");
    let unknown = region(set(&[]), "localhost:9098").await.unwrap_err();
    assert!(
        is_final(&unknown) && unknown.to_string().contains("set MskIam::region or AWS_REGION"),
        "{unknown}"
    );
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let problems = |iam: MskIam| {
        let mut problems = Vec::new();
        iam.validate(false, &mut problems);
        problems.join("; ")
    };
    assert_eq!(problems(MskIam::new().region("us-gov-west-1").sts_region("eu-central-1")), "");
    assert!(
        problems(MskIam::new().region("Frankfurt"))
            .contains("(MskIam::region) \"Frankfurt\" is not a region")
    );
    assert!(problems(MskIam::new().sts_region("")).contains("(MskIam::sts_region) \"\" is not"));
    assert!(problems(MskIam::new().assume_role("orders")).contains("\"orders\" is not the ARN"));
    assert!(problems(MskIam::new().external_id("x")).contains("but no role"));
    assert_eq!(problems(MskIam::new().assume_role("arn:aws:iam::1:role/x").external_id("x")), "");
}

#[test]
fn no_secret_is_shown_by_debug() {
    let iam = with(&[("AWS_SECRET_ACCESS_KEY", SECRET)]).external_id(SECRET);
    let sasl = crate::SaslConfig::msk_iam(iam.clone());
    assert!(!format!("{iam:?} {iam:#?} {sasl:?} {sasl:#?}").contains(SECRET));
}
