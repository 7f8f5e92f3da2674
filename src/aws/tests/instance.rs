use super::*;

const ROLES: &str = "GET /latest/meta-data/iam/security-credentials/";

fn at(server: &StandIn) -> MskIam {
    with(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url)])
}

/// A metadata service that answers in these ways for a token, the name of the role, and the role.
async fn service(token: Option<Vec<u8>>, name: Option<Vec<u8>>, role: Option<Vec<u8>>) -> StandIn {
    StandIn::start(move |asked| match asked {
        _ if asked.starts_with("PUT /latest/api/token ") => token.clone(),
        _ if asked.starts_with(&format!("{ROLES} ")) => name.clone(),
        _ => role.clone(),
    })
    .await
}

#[tokio::test]
async fn an_instance_gets_the_credentials_of_its_role() {
    let server = service(
        response(200, "hunter2-session"),
        response(200, "orders\nother"),
        response(200, &document("ASIA2", IN_AN_HOUR)),
    )
    .await;
    assert_eq!(signed_by(&at(&server)).await, ("ASIA2".into(), "hunter2-token".into(), "900".into()));
    let asked = server.asked();
    assert!(asked[0].contains("x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n"), "{}", asked[0]);
    assert!(asked[2].starts_with(&format!("{ROLES}orders ")), "{}", asked[2]);
    assert!(asked[1..].iter().all(|asked| asked.contains("x-aws-ec2-metadata-token: hunter2-session\r\n")));
    assert_eq!(asked.len(), 3);
}

#[tokio::test]
async fn what_goes_wrong_is_said_in_one_sentence() {
    let (token, name) = (response(200, "hunter2"), response(200, "orders"));
    let failed = r#"{"Code":"AssumeRoleUnauthorizedAccess","Message":"EC2 cannot assume the role hunter2"}"#;
    for (token, name, role, expected) in [
        (response(403, ""), None, None, "answers with status 403"),
        (token.clone(), response(404, ""), None, "knows no role: attach one to this instance"),
        (token.clone(), response(200, ""), None, "does not answer with the name of a role"),
        (token.clone(), response(200, "a b\u{1b}[0m"), None, "does not answer with the name of a role"),
        (token.clone(), name.clone(), response(404, ""), "answers with status 404"),
        (token.clone(), name.clone(), response(200, "<html>hunter2"), "does not answer with a JSON object"),
        (
            token.clone(),
            name.clone(),
            response(200, failed),
            "has no credentials for its role orders: AssumeRoleUnauthorizedAccess",
        ),
        (
            token.clone(),
            name.clone(),
            response(200, &document("A", AN_HOUR_AGO)),
            "has credentials that expired 1h ago",
        ),
        (token.clone(), name.clone(), flood(), "the answer is larger than"),
        (token.clone(), name.clone(), Some(b"hunter2".to_vec()), "does not answer in HTTP"),
    ] {
        let server = service(token, name, role).await;
        let (text, is_final) = refused(&at(&server)).await;
        assert!(text.contains("no AWS credentials: ") && text.contains(expected), "{text}");
        assert!(!is_final, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_without_the_service_waits_one_second() {
    let server = StandIn::start(|_| None).await;
    let begun = tokio::time::Instant::now();
    let (text, _) = refused(&at(&server)).await;
    assert_eq!(begun.elapsed().as_secs(), 1);
    assert!(
        text.contains("the instance metadata service does not answer")
            && text.contains("no answer within 1s"),
        "{text}"
    );
}
