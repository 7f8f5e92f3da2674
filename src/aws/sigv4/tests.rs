use std::time::UNIX_EPOCH;

use super::*;

const EXAMPLE: (&str, &str) = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
/// These are part of the query of a presigned URL, not headers.
const NOT_PRESIGNED: [&str; 3] = ["x-amz-content-sha256", "x-amz-date", "x-amz-security-token"];

#[test]
fn signatures_are_those_of_awss_test_suite() {
    let cases: Vec<Vec<&str>> = include_str!("vectors.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').map(|part| if part == "-" { "" } else { part }).collect())
        .collect();
    assert_eq!(cases.len(), 21);
    for case in cases {
        let [name, token, method, query, headers, body, by_header, by_query] = case[..] else {
            panic!("{case:?}");
        };
        let mut credentials = AwsCredentials::new(EXAMPLE.0, EXAMPLE.1);
        if !token.is_empty() {
            credentials = credentials.session_token(token);
        }
        let at = UNIX_EPOCH + Duration::from_secs(1_440_938_160);
        let signer = Signer { credentials: &credentials, region: "us-east-1", service: "service", at };
        let query: Vec<_> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let headers: Vec<_> = headers.split('|').map(|header| header.split_once(':').unwrap()).collect();

        let request = Request { method, path: "/", headers: &headers, body: body.as_bytes() };
        let authorization = signer.authorization(&request, &query);
        assert!(authorization.starts_with(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders="
        ));
        assert!(authorization.ends_with(&format!(", Signature={by_header}")), "{name}: {authorization}");

        let plain: Vec<_> =
            headers.iter().copied().filter(|(name, _)| !NOT_PRESIGNED.contains(name)).collect();
        let request = Request { headers: &plain, ..request };
        let presigned = signer.presign(&request, &query, Duration::from_secs(3600));
        assert!(presigned.ends_with(&format!("&X-Amz-Signature={by_query}")), "{name}: {}", *presigned);
    }
}
