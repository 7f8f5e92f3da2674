use super::*;

const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";

fn at(server: &StandIn) -> MskIam {
    with(&[(FULL, &format!("{}/v1/credentials?secret={SECRET}", server.url))])
}

#[tokio::test]
async fn a_container_gets_its_credentials_with_its_token() {
    let server = StandIn::start(|_| response(200, &document("ASIA1", IN_AN_HOUR))).await;
    let full = format!("{}/v1/credentials", server.url);
    let folder = Folder::new();
    let file = folder.file("token", &format!("{SECRET}-from-file\n"));
    let expected = ("ASIA1".to_owned(), format!("{SECRET}-token"), "900".to_owned());
    for (more, header) in [
        (vec![], None),
        (
            vec![("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic hunter2")],
            Some("authorization: Basic hunter2\r\n"),
        ),
        (
            vec![
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "other"),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.as_str()),
            ],
            Some("authorization: hunter2-from-file\r\n"),
        ),
    ] {
        let variables = [&more[..], &[(FULL, full.as_str())]].concat();
        assert_eq!(signed_by(&with(&variables)).await, expected);
        let asked = server.asked.lock().pop().unwrap();
        assert!(asked.starts_with("GET /v1/credentials HTTP/1.1\r\n"), "{asked}");
        match header {
            Some(header) => assert!(asked.contains(header), "{asked}"),
            None => assert!(!asked.contains("authorization"), "{asked}"),
        }
    }
}

#[tokio::test]
async fn what_goes_wrong_is_said_in_one_sentence() {
    for (answer, expected) in [
        (
            response(403, r#"{"code":"AccessDenied","message":"no\nrole"}"#),
            "answers with status 403 (AccessDenied: no\\nrole)",
        ),
        (response(404, "<html>hunter2"), "answers with status 404"),
        (response(200, "hunter2"), "does not answer with a JSON object"),
        (response(200, "{}"), "answers without AccessKeyId"),
        (response(200, &document("ASIA", "hunger")), "an Expiration that is not a time: hunger"),
        (
            response(200, &document("ASIA", AN_HOUR_AGO)),
            "has credentials that expired 1h ago: is the clock of this machine right?",
        ),
        (flood(), "the answer is larger than"),
        (Some(b"\x15\x03\x01".to_vec()), "does not answer in HTTP"),
        (Some(Vec::new()), "ended before the answer was complete"),
    ] {
        let server = StandIn::start(move |_| answer.clone()).await;
        let (text, is_final) = refused(&at(&server)).await;
        assert!(text.contains(expected) && text.contains(&server.url), "{text}");
        assert!(!is_final, "{text}");
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_endpoint_is_given_five_seconds() {
    let server = StandIn::start(|_| None).await;
    let begun = tokio::time::Instant::now();
    let (text, _) = refused(&at(&server)).await;
    assert!(text.ends_with("no answer within 5s") && begun.elapsed().as_secs() == 5, "{text}");
}

#[tokio::test]
async fn credentials_are_requested_of_no_other_host_without_encryption() {
    for host in [
        "http://10.0.0.1/x",
        "http://metadata.example.com/x",
        "http://169.254.170.2.example.com/",
        "http://[fd00:ec2::24]/",
    ] {
        let (text, is_final) = refused(&with(&[(FULL, host)])).await;
        assert!(text.contains("without https only this machine") && is_final, "{text}");
    }
    assert!(refused(&with(&[(FULL, "/relative")])).await.0.contains("is not a complete URL"));
    let (text, _) = refused(&with(&[
        (FULL, "http://127.0.0.1:1/x"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "a\nhunter2"),
    ]))
    .await;
    assert!(text.contains("the HTTP header authorization has characters that none may have"), "{text}");
    let (text, _) = refused(&with(&[
        (FULL, "http://localhost:1/x"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/no/such"),
    ]))
    .await;
    assert!(text.contains("cannot read /no/such (AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE): "), "{text}");
}
