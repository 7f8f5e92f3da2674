use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use tokio::time::{Instant, sleep};

use super::*;
use crate::config::{AwsCredentials, ProviderError};

const S: Duration = Duration::from_secs(1);

/// A wall clock that goes with the paused one.
fn clock() -> WallClock {
    let started = Instant::now();
    WallClock::new(move || noon() + started.elapsed())
}

/// Numbered credentials with this lifetime, and how many were requested.
fn provider(lifetime: Option<Duration>) -> (MskIam, Arc<AtomicU32>, WallClock) {
    let (count, clock) = (Arc::new(AtomicU32::new(0)), clock());
    let (counted, now) = (count.clone(), clock.clone());
    let iam = with(&[]).credentials(move || {
        let credentials = AwsCredentials::new(format!("KEY{}", counted.fetch_add(1, SeqCst) + 1), SECRET);
        let credentials = match lifetime {
            Some(lifetime) => credentials.expires_at(now.wall() + lifetime),
            None => credentials,
        };
        async move { Ok(credentials) }
    });
    (iam, count, clock)
}

async fn key(logins: &Arc<dyn TokenIssuer>) -> String {
    let token = logins.token(BROKER).await.unwrap();
    let url = String::from_utf8(URL_SAFE_NO_PAD.decode(token.value.expose()).unwrap()).unwrap();
    url.split_once("X-Amz-Credential=").unwrap().1.split_once("%2F").unwrap().0.to_owned()
}

#[tokio::test(start_paused = true)]
async fn credentials_are_requested_again_before_they_expire() {
    let (iam, count, clock) = provider(Some(1_000 * S));
    let logins = iam.prepared(&Surroundings { clock, ..Surroundings::default() });
    for broker in 0..20 {
        assert_eq!(key(&logins).await, "KEY1", "{broker}");
    }
    sleep(799 * S).await;
    assert_eq!((key(&logins).await.as_str(), count.load(SeqCst)), ("KEY1", 1));
    sleep(2 * S).await;
    assert_eq!(count.load(SeqCst), 2, "requested while no login waits for it");
    assert_eq!(key(&logins).await, "KEY2");
}

#[tokio::test(start_paused = true)]
async fn credentials_that_do_not_expire_are_looked_for_again_after_a_minute() {
    let (iam, count, clock) = provider(None);
    let logins = iam.prepared(&Surroundings { clock, ..Surroundings::default() });
    assert_eq!(key(&logins).await, "KEY1");
    sleep(61 * S).await;
    assert_ne!(key(&logins).await, "KEY1");
    assert!(count.load(SeqCst) <= 3);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_fails_is_called_twice_in_five_seconds_at_most() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = calls.clone();
    let iam = with(&[]).credentials(move || {
        counted.fetch_add(1, SeqCst);
        async { Err::<AwsCredentials, ProviderError>("the vault is sealed".into()) }
    });
    let logins = logins(&iam);
    let begun = Instant::now();
    while begun.elapsed() < 5 * S {
        let text = with_causes(&logins.token(BROKER).await.unwrap_err());
        assert_eq!(text, "cannot log in at MSK: the provider of AWS credentials failed: the vault is sealed");
        sleep(S / 100).await;
    }
    assert_eq!(calls.load(SeqCst), 2);
}

#[tokio::test]
async fn a_provider_that_panics_is_named() {
    let iam = with(&[]).credentials(|| async { panic!("a bug") });
    let (text, _) = refused(&iam).await;
    assert!(text.contains("the AWS credentials provider panicked: a bug"), "{text}");
}
