//! Everything that a producer lets be seen: events of every level, `Debug`, errors with all their causes.

use std::fmt::Debug;
use std::io::{self, Write};
use std::sync::Arc;

use kafka_testbed::{JvmCluster, PASSWORD};
use parking_lot::Mutex;
use rskafka_producer::{Error, ProducerConfig};
use tracing::Dispatch;

#[derive(Clone, Default)]
pub(crate) struct Overheard(Arc<Mutex<Vec<u8>>>);

impl Overheard {
    /// Lets the producer's events come here.
    pub(crate) fn listen(&self, config: ProducerConfig) -> ProducerConfig {
        self.note(&config);
        let sink = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || sink.clone())
            .finish();
        config.logger(Dispatch::new(subscriber))
    }

    pub(crate) fn note(&self, shown: &impl Debug) {
        writeln!(self.0.lock(), "{shown:?} {shown:#?}").unwrap();
    }

    pub(crate) fn note_error(&self, error: &Error) {
        self.note(error);
        let mut next: Option<&dyn std::error::Error> = Some(error);
        while let Some(error) = next {
            writeln!(self.0.lock(), "{error} {error:?}").unwrap();
            next = error.source();
        }
    }

    /// None of these was seen.
    #[cfg(any(feature = "aws-msk-iam", feature = "oidc"))]
    pub(crate) fn holds_none_of(&self, secrets: &[&str]) {
        let text = String::from_utf8(self.0.lock().clone()).unwrap();
        assert!(text.contains("ProducerConfig"), "nothing was overheard at all");
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            assert!(!text.contains(secret), "{secret:?} was seen");
        }
    }

    /// Neither a password, nor a token, nor a key was seen.
    pub(crate) fn no_secret_of(&self, cluster: &JvmCluster) {
        let text = String::from_utf8(self.0.lock().clone()).unwrap();
        assert!(text.contains("ProducerConfig"), "nothing was overheard at all");
        let certificates = cluster.certificates().unwrap();
        let key = |pem: &str| pem.lines().nth(1).unwrap().to_owned();
        // A token of the tests begins with its header.
        let token = kafka_testbed::unsecured_token("x", std::time::Duration::from_secs(1));
        let header = token.split('.').next().unwrap().to_owned();
        for secret in [
            PASSWORD.to_owned(),
            "not-the-password".to_owned(),
            "wrong.token.".to_owned(),
            header,
            key(certificates.client().key_pem()),
            key(certificates.foreign_client().key_pem()),
        ] {
            assert!(!text.contains(&secret), "{secret:?} was seen");
        }
    }
}

impl Write for Overheard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
