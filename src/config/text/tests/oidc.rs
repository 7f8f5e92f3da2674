//! Identity servers in the files of other clients.

use super::super::*;
use super::read;

/// Confluent Cloud's as its documentation has them, for Java and for librdkafka; Azure Event Hubs by Kafka's own handler;
/// Kafka's example of KIP-1258.
const FILES: [&str; 4] = [
    include_str!("vendors/confluent-cloud-oauth-java.properties"),
    include_str!("vendors/confluent-cloud-oauth-librdkafka.properties"),
    include_str!("vendors/azure-event-hubs-oauth.properties"),
    include_str!("vendors/kafka-client-assertion.properties"),
];

#[cfg(not(feature = "oidc"))]
#[test]
fn without_the_feature_its_name_is_what_is_missing() {
    for file in FILES {
        let error = ProducerConfig::from_properties_text(file).unwrap_err().to_string();
        assert!(error.contains("need the feature oidc of rskafka-producer"), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
    let error = read([("sasl.mechanism", "OAUTHBEARER")]).unwrap_err().to_string();
    assert!(error.contains("the feature oidc") && error.contains("SaslConfig::oauth_bearer"), "{error}");
}

#[cfg(feature = "oidc")]
mod with_the_feature {
    use super::*;
    use crate::config::SaslConfig;

    const ENDPOINT: (&str, &str) = ("sasl.oauthbearer.token.endpoint.url", "https://idp/token");
    const MODULE: &str = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required";

    /// Values of `sasl.oidc.…`, by name.
    fn values(config: &ProducerConfig) -> Vec<(&'static str, String)> {
        let rows = Setting::ALL.iter().filter_map(|row| Some((row.name.strip_prefix("sasl.oidc.")?, row)));
        let set = rows.map(|(name, row)| (name, row.value(config)));
        set.filter(|(_, value)| !value.is_empty() && value != "false").collect()
    }

    #[test]
    fn files_of_vendors_are_read() {
        let confluent = [
            ("token_endpoint", "https://myidp.example.com/oauth2/default/v1/token"),
            ("client_id", "orders"),
            ("client_secret", "***"),
            ("scope", "kafka"),
            ("extensions", "logicalCluster=lkc-12345,identityPoolId=pool-abcd"),
            ("grant_type", "client_credentials"),
        ];
        let azure = [
            (
                "token_endpoint",
                "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/oauth2/v2.0/token",
            ),
            ("client_id", "orders"),
            ("client_secret", "***"),
            ("scope", "https://mynamespace.servicebus.windows.net/.default"),
            ("grant_type", "client_credentials"),
        ];
        let assertion = [
            ("token_endpoint", "https://example.com/oauth2/v1/token"),
            ("scope", "my-application-scope"),
            ("grant_type", "client_credentials"),
            ("assertion_key", "/path/to/private-key.pem"),
            ("assertion_issuer", "my-kafka-client"),
            ("assertion_subject", "my-service-account"),
            ("assertion_audience", "https://example.com"),
            ("assertion_expires_after", "2m"),
            ("assertion_valid_before", "1m"),
            ("assertion_unique_id", "true"),
        ];
        for (file, expected) in FILES.into_iter().zip([&confluent[..], &confluent, &azure, &assertion]) {
            let config =
                ProducerConfig::from_properties_text(file).unwrap_or_else(|error| panic!("{file}: {error}"));
            let expected: Vec<_> =
                expected.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            assert_eq!(values(&config), expected, "{file}");
            assert!(!format!("{config:?}").contains("s3cret"));
            // Without a feature for TLS or for its roots only that is missing.
            if let Err(error) = config.validate() {
                let text = error.to_string();
                assert!(text.split("; ").all(|problem| problem.starts_with("tls")), "{file}: {text}");
            }
        }
    }

    #[test]
    fn the_grant_and_its_proof_are_chosen_as_java_does() {
        let key = ("sasl.oauthbearer.assertion.private.key.file", "/k.pem");
        let file = ("sasl.oauthbearer.assertion.file", "/a.jwt");
        let id = ("sasl.oauthbearer.client.credentials.client.id", "orders");
        let secret = ("sasl.oauthbearer.client.credentials.client.secret", "s3cret");
        let bearer = ("sasl.oauthbearer.grant.type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
        let java = (
            "sasl.oauthbearer.jwt.retriever.class",
            "org.apache.kafka.common.security.oauthbearer.JwtBearerJwtRetriever",
        );
        let kind = |more: &[(&str, &str)]| {
            let fixed = [("sasl.mechanism", "OAUTHBEARER"), ENDPOINT];
            let config = read(fixed.iter().chain(more).copied()).unwrap();
            let set: Vec<_> = values(&config).into_iter().map(|(name, _)| name).collect();
            let bearer = values(&config).iter().any(|(_, value)| value.ends_with("jwt-bearer"));
            let proof = ["assertion_file", "assertion_key", "client_secret"];
            (*proof.iter().find(|name| set.contains(name)).unwrap(), bearer)
        };
        assert_eq!(kind(&[id, secret]), ("client_secret", false));
        assert_eq!(kind(&[id, secret, key]), ("assertion_key", false));
        assert_eq!(kind(&[id, secret, key, file]), ("assertion_file", false));
        assert_eq!(kind(&[key, bearer]), ("assertion_key", true));
        assert_eq!(kind(&[file, java]), ("assertion_file", true));
    }

    #[test]
    fn what_cannot_be_meant_is_said() {
        let id = ("sasl.oauthbearer.client.id", "orders");
        let mechanism = ("sasl.mechanism", "OAUTHBEARER");
        let odd = format!("{MODULE} clientId=a clientSecret=hunter2 hunter2=b;");
        let plain =
            "org.apache.kafka.common.security.plain.PlainLoginModule required username=a password=hunter2;";
        for (pairs, expected) in [
            (vec![mechanism], "lacks sasl.oidc.token_endpoint (sasl.oauthbearer.token.endpoint.url)"),
            (vec![mechanism, ENDPOINT], "of the client's id and secret one is missing"),
            (vec![mechanism, ENDPOINT, id], "of the client's id and secret one is missing"),
            (vec![ENDPOINT], "sasl.mechanism is missing"),
            (vec![mechanism, ENDPOINT, ("sasl.jaas.config", &odd)], "other than clientId, clientSecret"),
            (vec![mechanism, ENDPOINT, ("sasl.jaas.config", plain)], "is not one for OAUTHBEARER"),
            (vec![mechanism, ENDPOINT, ("sasl.username", "a")], "OAUTHBEARER has none"),
            (
                vec![
                    ("sasl.mechanism", "PLAIN"),
                    ("sasl.username", "a"),
                    ("sasl.password", "hunter2"),
                    ENDPOINT,
                ],
                "have no effect with PLAIN",
            ),
            (
                vec![mechanism, ENDPOINT, ("sasl.oauthbearer.jwt.retriever.class", "com.example.Mine")],
                "expected one of client_credentials",
            ),
            (
                vec![
                    mechanism,
                    ENDPOINT,
                    ("sasl.oauthbearer.grant.type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ],
                "the assertion is missing",
            ),
            (vec![("security.protocol", "SSL"), ENDPOINT], "security.protocol is SSL, yet sasl"),
            (vec![("sasl.oauthbearer.extensions", "a")], "expected name=value"),
            (vec![("sasl.oauthbearer.assertion.algorithm", "HS256")], "RS256 or ES256"),
            (vec![("sasl.oauthbearer.metadata.authentication.type", "azure_imds")], "can only be none"),
            (vec![("sasl.login.callback.handler.class", "com.example.Mine")], "code cannot be named in text"),
        ] {
            let error = read(pairs.iter().copied()).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{pairs:?}: {error}");
        }
    }

    #[test]
    fn what_code_has_set_stays_unless_text_says_otherwise() {
        let code = || {
            let oidc = crate::Oidc::client_credentials("https://a/token", "a", "s3cret");
            ProducerConfig::default().sasl(SaslConfig::oidc(oidc))
        };
        let kept =
            code().with_properties([("security.protocol", "SASL_SSL"), ("https.ca.location", "/ca.pem")]);
        assert!(values(&kept.unwrap()).contains(&("token_endpoint", "https://a/token".to_owned())));
        let pairs = [("sasl.mechanism", "OAUTHBEARER"), ENDPOINT];
        let jaas = format!("{MODULE} clientId=b clientSecret=c;");
        let other = code().with_properties(pairs.into_iter().chain([("sasl.jaas.config", &*jaas)])).unwrap();
        assert!(values(&other).contains(&("client_id", "b".to_owned())));
    }
}
