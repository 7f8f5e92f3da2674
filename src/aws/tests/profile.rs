use super::*;

const KEY: &str = "aws_access_key_id = AKID\naws_secret_access_key = hunter2\n";

/// The profile of this name in such a configuration file.
fn profile(folder: &Folder, name: &str, text: &str) -> MskIam {
    let file = folder.file("config", text);
    with(&[("AWS_CONFIG_FILE", &file), ("AWS_EC2_METADATA_DISABLED", "true")]).profile(name)
}

fn printing(folder: &Folder, script: &str) -> MskIam {
    let script = folder.file("get.sh", script);
    profile(folder, "p", &format!("[profile p]\ncredential_process = sh \"{script}\" one 'two three'\n"))
}

#[tokio::test]
async fn the_files_in_the_home_directory_are_found() {
    let folder = Folder::new();
    std::fs::create_dir(folder.0.join(".aws")).unwrap();
    folder.file(".aws/credentials", &format!("[default]\n{KEY}[other]\n{}", KEY.replace("AKID", "OTHER")));
    let home = [("HOME", folder.0.to_str().unwrap())];
    assert_eq!(signed_by(&with(&home)).await.0, "AKID");
    assert_eq!(signed_by(&with(&home).profile("other")).await.0, "OTHER");
    let named = [&home[..], &[("AWS_PROFILE", "other")]].concat();
    assert_eq!(signed_by(&with(&named)).await.0, "OTHER");
    let elsewhere =
        [&home[..], &[("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/none"), ("AWS_EC2_METADATA_DISABLED", "true")]]
            .concat();
    assert!(refused(&with(&elsewhere)).await.0.contains("no AWS credentials"));
}

#[tokio::test]
async fn a_role_is_assumed_with_the_credentials_of_its_source() {
    let server = StandIn::start(|_| {
        response(200, "<AccessKeyId>ASIA5</AccessKeyId><SecretAccessKey>hunter2</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2015-08-30T12:37:00Z</Expiration>")
    })
    .await;
    let folder = Folder::new();
    let role = "role_arn = arn:aws:iam::1:role/x\nduration_seconds = 900\n";
    for text in [
        format!("[profile p]\n{role}source_profile = base\n[profile base]\n{KEY}"),
        format!("[profile p]\n{role}source_profile = p\n{KEY}"),
        format!("[profile p]\n{role}credential_source = Environment\n"),
        format!("[profile p]\n{role}web_identity_token_file = {}\n", folder.file("token", "hunter2")),
    ] {
        let file = folder.file("config", &text);
        let iam = with(&[
            ("AWS_CONFIG_FILE", &file),
            ("AWS_ENDPOINT_URL_STS", &server.url),
            ("AWS_ACCESS_KEY_ID", "ENVIRONMENT"),
            ("AWS_SECRET_ACCESS_KEY", "hunter2"),
        ]);
        // A minute of the role's session is left.
        assert_eq!(signed_by(&iam.profile("p")).await, ("ASIA5".into(), "t".into(), "60".into()), "{text}");
        assert!(server.asked.lock().pop().unwrap().contains("&DurationSeconds=900"));
    }
}

#[tokio::test]
async fn what_a_profile_lacks_is_named() {
    let folder = Folder::new();
    let role = "role_arn = arn:aws:iam::1:role/x\n";
    for (text, expected) in [
        ("[profile q]\n".to_owned(), "there is no AWS profile \"p\""),
        ("[profile p]\nregion = eu-central-1\n".to_owned(), "\"p\" has no credentials"),
        ("[profile p]\naws_access_key_id = A\n".to_owned(), "without the other"),
        (format!("[profile p]\n{role}"), "without source_profile or credential_source"),
        (format!("[profile p]\n{role}source_profile = none\n"), "there is no AWS profile \"none\""),
        (format!("[profile p]\n{role}source_profile = p\n"), "\"p\" has no credentials"),
        (
            format!("[profile p]\n{role}source_profile = q\n[profile q]\n{role}source_profile = p\n"),
            "\"p\" refers to itself",
        ),
        (format!("[profile p]\n{role}credential_source = Mars\n"), "a credential_source other than"),
        (
            format!("[profile p]\n{role}credential_source = Environment\n"),
            "from the environment, where there are none",
        ),
        (format!("[profile p]\n{role}credential_source = EcsContainer\n"), "from a container"),
        (format!("[profile p]\n{role}source_profile = q\nmfa_serial = x\n"), "mfa_serial"),
        ("[profile p]\nsso_session = x\n".to_owned(), "export-credentials"),
        ("hunter2\n".to_owned(), "is not a file of AWS profiles: see line 1"),
    ] {
        let (error, is_final) = refused(&profile(&folder, "p", &text)).await;
        assert!(error.contains(expected) && is_final, "{text:?}: {error}");
    }
}

#[tokio::test]
async fn a_program_may_print_the_credentials() {
    let folder = Folder::new();
    let iam = printing(
        &folder,
        r#"printf '{"Version":1,"AccessKeyId":"%s","SecretAccessKey":"hunter2","SessionToken":"%s","Expiration":"2015-08-30T15:36:00+02:00"}' "$1" "$2" | tr ' ' _"#,
    );
    assert_eq!(signed_by(&iam).await, ("one".into(), "two_three".into(), "900".into()));
}

#[tokio::test]
async fn a_program_that_fails_is_named_and_its_output_is_not_shown() {
    let folder = Folder::new();
    for (script, expected) in [
        ("echo hunter2; echo hunter2 >&2; exit 3", "fails: run it by hand"),
        ("echo hunter2", "does not answer with a JSON object"),
        ("echo '{\"AccessKeyId\":\"hunter2\"}'", "without \"Version\": 1"),
        ("exec yes hunter2", "fails: run it by hand"),
    ] {
        let (text, _) = refused(&printing(&folder, script)).await;
        assert!(
            text.contains("credential_process of the AWS profile \"p\"") && text.contains(expected),
            "{text}"
        );
    }
    let (text, _) =
        refused(&profile(&folder, "p", "[profile p]\ncredential_process = /no/such/program\n")).await;
    assert!(text.contains("cannot be started"), "{text}");
}

/// The clock jumps ahead as soon as nothing but time is waited for.
#[tokio::test(start_paused = true)]
async fn a_program_that_hangs_is_not_waited_for() {
    let folder = Folder::new();
    let begun = tokio::time::Instant::now();
    let (text, is_final) = refused(&printing(&folder, "exec sleep 600")).await;
    assert!(text.ends_with("does not end in time") && !is_final, "{text}");
    assert_eq!(begun.elapsed().as_secs(), 8);
}
