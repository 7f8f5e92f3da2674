use super::*;
use crate::aws::sigv4::{Request, Signer};
use crate::config::AwsCredentials;

const ARN: &str = "arn:aws:iam::123456789012:role/orders";

fn answer(id: &str, expiration: &str) -> String {
    format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><AssumedRoleUser>\
         <Arn>arn:aws:sts::1:assumed-role/orders/x</Arn></AssumedRoleUser><Credentials>\n  <AccessKeyId>{id}</AccessKeyId>\n  \
         <SecretAccessKey>{SECRET}-key</SecretAccessKey>\n<SessionToken>{SECRET}/token&amp;</SessionToken>\
         <Expiration>{expiration}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    )
}

fn refusal(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    )
}

/// A pod of EKS whose STS is this server.
fn pod(server: &StandIn, token_file: &str) -> MskIam {
    with(&[
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token_file),
        ("AWS_ROLE_ARN", ARN),
        ("AWS_ROLE_SESSION_NAME", "pod-7"),
        ("AWS_ENDPOINT_URL_STS", &server.url),
    ])
}

/// A program with an access key, that assumes a role.
fn caller(server: &StandIn) -> MskIam {
    let variables = [
        ("AWS_ACCESS_KEY_ID", "ASIACALLER"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2-caller"),
        ("AWS_SESSION_TOKEN", "hunter2-session"),
        ("AWS_ENDPOINT_URL_STS", &server.url),
    ];
    with(&variables).assume_role(ARN).role_session_name("orders").external_id("a&b")
}

#[tokio::test]
async fn a_web_identity_becomes_credentials_of_its_role() {
    let server = StandIn::start(|_| response(200, &answer("ASIA3", IN_AN_HOUR))).await;
    let folder = Folder::new();
    let iam = pod(&server, &folder.file("token", "ey.hunter2+/=\n"));
    assert_eq!(signed_by(&iam).await, ("ASIA3".into(), "hunter2".into(), "900".into()));
    let asked = server.asked();
    assert!(
        asked[0].starts_with("POST / HTTP/1.1\r\n") && !asked[0].contains("authorization"),
        "{}",
        asked[0]
    );
    let (_, body) = asked[0].split_once("\r\n\r\n").unwrap();
    assert_eq!(
        body,
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Forders\
         &RoleSessionName=pod-7&WebIdentityToken=ey.hunter2%2B%2F%3D"
    );
}

#[tokio::test]
async fn a_role_is_assumed_by_a_signed_request() {
    let server = StandIn::start(|_| response(200, &answer("ASIA4", IN_AN_HOUR))).await;
    assert_eq!(signed_by(&caller(&server).sts_region("eu-west-1")).await.0, "ASIA4");
    let asked = server.asked();
    let (head, body) = asked[0].split_once("\r\n\r\n").unwrap();
    assert!(body.ends_with("&RoleSessionName=orders&ExternalId=a%26b"), "{body}");
    // What the server received is signed, the headers that it computes the signature from are there.
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap();
    let credentials = AwsCredentials::new("ASIACALLER", "hunter2-caller").session_token("hunter2-session");
    let names = ["content-type", "host", "x-amz-date", "x-amz-security-token"];
    let headers: Vec<_> = names.iter().map(|name| (*name, header(name))).collect();
    let request = Request { method: "POST", path: "/", headers: &headers, body: body.as_bytes() };
    let signer = Signer { credentials: &credentials, region: "eu-west-1", service: "sts", at: noon() };
    assert_eq!(header("authorization"), signer.authorization(&request, &[]));
    assert_eq!(header("x-amz-date"), "20150830T123600Z");
}

#[tokio::test]
async fn what_sts_refuses_is_said_with_its_reason_and_what_to_do() {
    let denied =
        "User: arn:aws:iam::1:user/x is not authorized to perform: sts:AssumeRole on &quot;orders&quot;";
    for (status, body, expected, lasts) in [
        (
            403,
            refusal("AccessDenied", denied),
            "AccessDenied (User: arn:aws:iam::1:user/x is not authorized to perform: sts:AssumeRole on \"orders\"): the role's trust policy has to allow it",
            true,
        ),
        (
            403,
            refusal("SignatureDoesNotMatch", "The request signature we calculated does not match"),
            "check the secret access key and the clock",
            true,
        ),
        (
            403,
            refusal("InvalidClientTokenId", "The security token is invalid."),
            "check the access key id",
            true,
        ),
        (400, refusal("ExpiredToken", "expired"), "with which it was requested have expired", true),
        // A server that repeats what was sent to it.
        (
            400,
            refusal("ValidationError", "bad: hunter2-session hunter2-caller"),
            "ValidationError (bad: *** ***)",
            true,
        ),
        (400, refusal("Throttling", "Rate exceeded"), "Throttling (Rate exceeded)", false),
        (503, "<html>busy".to_owned(), "status 503", false),
        (404, String::new(), "status 404", true),
        (200, "<html>".to_owned(), "answers without AccessKeyId: is it STS?", false),
        (200, answer("A", AN_HOUR_AGO), "has credentials that expired 1h ago", false),
        (200, answer("A", "hunger"), "an Expiration that is not a time: hunger", false),
    ] {
        let server = StandIn::start(move |_| response(status, &body)).await;
        let (text, is_final) = refused(&caller(&server)).await;
        assert!(text.contains("STS (us-east-1)") && text.contains(expected), "{text}");
        assert_eq!(is_final, lasts, "{text}");
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn sts_may_be_silent_gone_or_something_else() {
    for (answer, expected) in [
        (flood(), "the answer is larger than"),
        (Some(b"SSH-2.0".to_vec()), "does not answer in HTTP"),
        (Some(Vec::new()), "ended before the answer was complete"),
    ] {
        let server = StandIn::start(move |_| answer.clone()).await;
        let (text, _) = refused(&caller(&server)).await;
        assert!(text.contains(expected) && text.contains(&server.url), "{text}");
    }
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let iam = with(&[
        ("AWS_ACCESS_KEY_ID", "A"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_ENDPOINT_URL", &format!("http://{gone}")),
    ]);
    let (text, is_final) = refused(&iam.assume_role(ARN)).await;
    assert!(text.contains("no connection") && !is_final, "{text}");
    let folder = Folder::new();
    let server = StandIn::start(|_| None).await;
    let (text, is_final) = refused(&pod(&server, folder.0.join("none").to_str().unwrap())).await;
    assert!(text.contains("cannot read the web identity token") && !is_final, "{text}");
    let (text, is_final) = refused(&with(&[("AWS_WEB_IDENTITY_TOKEN_FILE", "/x")])).await;
    assert!(text.contains("is set without AWS_ROLE_ARN") && is_final, "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_sts_is_given_five_seconds() {
    let server = StandIn::start(|_| None).await;
    let begun = tokio::time::Instant::now();
    let (text, is_final) = refused(&caller(&server)).await;
    assert!(text.ends_with("no answer within 5s") && begun.elapsed().as_secs() == 5 && !is_final, "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_search_ends_before_the_connection_is_abandoned() {
    let server = StandIn::start(|_| None).await;
    let surroundings = Surroundings { connect: Duration::from_secs(2), ..Surroundings::default() };
    let begun = tokio::time::Instant::now();
    let text = caller(&server).prepared(&surroundings).token(BROKER).await.unwrap_err().to_string();
    assert!(text.ends_with("no answer within 1.6s") && begun.elapsed().as_millis() == 1_600, "{text}");
}

#[tokio::test]
async fn a_clock_that_is_off_is_named_with_its_offset() {
    let body = refusal(
        "SignatureDoesNotMatch",
        "Signature expired: 20150830T123600Z is now earlier than 20150830T124200Z",
    );
    let server = StandIn::start(move |_| dated("Sun, 30 Aug 2015 12:47:00 GMT", 403, &body)).await;
    let logins = logins(&caller(&server));
    let text = logins.token(BROKER).await.unwrap_err().to_string();
    assert!(text.ends_with("): the clock of this machine is 11m behind that of AWS"), "{text}");
    // A broker that refuses a token has the same reason.
    assert_eq!(logins.remedy(BROKER), "the clock of this machine is 11m behind that of AWS");
    let expired = answer("A", "2015-08-30T12:30:00Z");
    let server = StandIn::start(move |_| dated("Sun, 30 Aug 2015 11:36:00 GMT", 200, &expired)).await;
    let (text, _) = refused(&caller(&server)).await;
    assert!(text.ends_with("expired 6m ago: the clock of this machine is 1h ahead of that of AWS"), "{text}");
}

#[test]
fn a_refused_token_is_explained_without_a_clock() {
    let remedy = MskIam::new().remedy(BROKER);
    for part in ["the AWS credentials", "kafka-cluster:Connect", "us-east-1", "the clock"] {
        assert!(remedy.contains(part), "{remedy}");
    }
}
