//! The token of a login at MSK: a presigned request for `kafka-cluster:Connect`, as AWS's signers make it.
//!
//! <https://github.com/aws/aws-msk-iam-sasl-signer-go>

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::sigv4::{Request, Signer, encode};
use crate::config::{AwsCredentials, Token};

/// For how long a token is valid, and with it the session of a login, where the credentials are valid for longer.
pub(super) const LIFETIME: Duration = Duration::from_secs(900);
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// A token that is dated `now`.
pub(super) fn sign(credentials: &AwsCredentials, region: &str, now: SystemTime) -> Token {
    let host = format!("kafka.{region}.amazonaws.com");
    let request = Request { method: "GET", path: "/", headers: &[("host", &host)], body: b"" };
    let signer = Signer { credentials, region, service: "kafka-cluster", at: now };
    let query = signer.presign(&request, &[("Action", "kafka-cluster:Connect")], lifetime(credentials, now));
    let url = Zeroizing::new(format!("https://{host}/?{}&User-Agent={}", query.as_str(), encode(USER_AGENT)));
    Token::new(URL_SAFE_NO_PAD.encode(url.as_bytes()))
}

/// No token outlives the credentials that signed it, so that the session is renewed in time. Where they have expired
/// already, by this clock, the broker decides.
fn lifetime(credentials: &AwsCredentials, now: SystemTime) -> Duration {
    let left = credentials.expires_at.and_then(|end| end.duration_since(now).ok());
    left.filter(|left| left.as_secs() > 0).map_or(LIFETIME, |left| left.min(LIFETIME))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn url(credentials: &AwsCredentials) -> String {
        let token = sign(credentials, "us-east-1", UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        assert!(token.extensions.is_empty());
        String::from_utf8(URL_SAFE_NO_PAD.decode(token.value.expose()).unwrap()).unwrap()
    }

    /// The signatures were computed by the crate `aws-sigv4` 1.6.4.
    #[test]
    fn a_token_is_what_awss_own_signer_makes() {
        let agent = format!("&User-Agent=rskafka-producer%2F{}", env!("CARGO_PKG_VERSION"));
        let credentials = AwsCredentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        let plain = url(&credentials);
        assert_eq!(
            plain.strip_suffix(&agent).unwrap(),
            "https://kafka.us-east-1.amazonaws.com/?Action=kafka-cluster%3AConnect&X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIDEXAMPLE%2F20231114%2Fus-east-1%2Fkafka-cluster%2Faws4_request\
             &X-Amz-Date=20231114T221320Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=253398ddf30b737b61a7a122a0259ada4c7162423af560094b2f4edef8033616"
        );
        let temporary = url(&credentials.session_token("a/b+c=="));
        assert!(
            temporary.contains(
                "&X-Amz-Expires=900&X-Amz-Security-Token=a%2Fb%2Bc%3D%3D&X-Amz-SignedHeaders=host&"
            )
        );
        assert!(temporary.ends_with(&format!(
            "&X-Amz-Signature=e60a3c215d1afc0b27929d087404a115eebbbf4cbf690b7999c6b241ef69893c{agent}"
        )));
    }

    #[test]
    fn a_token_does_not_outlive_its_credentials() {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let expiring = |left: i64| {
            let end = now.checked_add(Duration::from_secs(1_000_000)).unwrap();
            let end = end - Duration::from_secs(u64::try_from(1_000_000 - left).unwrap());
            AwsCredentials::new("a", "b").expires_at(end)
        };
        for (left, seconds) in [(3_600, 900), (900, 900), (10, 10), (0, 900), (-5, 900)] {
            assert_eq!(lifetime(&expiring(left), now).as_secs(), seconds, "{left}");
        }
    }
}
