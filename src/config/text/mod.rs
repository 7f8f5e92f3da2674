//! Every setting that can be said in text: one table, from which files, the environment, `serde` and the guide are
//! made.

mod codec;
#[cfg(feature = "serde")]
mod deserialize;
mod environment;
mod foreign;
mod from_str;
mod jaas;
mod mechanism;
#[cfg(feature = "aws-msk-iam")]
mod msk;
mod near;
mod oidc;
mod properties;
mod proxy;
mod reader;
mod security;
mod table;
#[cfg(test)]
mod tests;

#[cfg(feature = "serde")]
use codec::{ACKS, COMPRESSION, Codec, DNS_LOOKUP, ENGINE, IDEMPOTENCE, MECHANISM, PARTITIONING, WHEN_OPEN};
use near::slips;
use reader::Reader;

use self::codec::Spelling;
use self::foreign::Verdict;
use self::proxy::ProxyParts;
use self::security::Security;
use crate::config::ProducerConfig;

/// A setting as people meet it: its names, unit, effect and value. The guide `docs::configuration` lists them.
///
/// ```
/// use rskafka_producer::{ProducerConfig, Setting};
///
/// // What is in force, for a log; secrets are ***.
/// let config = ProducerConfig::from_properties([("bootstrap.servers", "kafka:9092"), ("linger.ms", "20")])?;
/// for setting in Setting::ALL {
///     println!("{} = {}", setting.name(), setting.value(&config));
/// }
/// # Ok::<_, rskafka_producer::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Setting {
    name: &'static str,
    /// Kafka's own name first, librdkafka's after it.
    kafka: &'static [&'static str],
    unit: &'static str,
    effect: &'static str,
    secret: bool,
    set: fn(&mut Draft, &str, Spelling) -> Result<(), String>,
    get: fn(&ProducerConfig) -> String,
}

/// A configuration under way.
struct Draft {
    config: ProducerConfig,
    security: Security,
    proxy: ProxyParts,
}

impl Setting {
    /// Every setting, in the order of the guide.
    pub const ALL: &'static [Self] = table::SETTINGS;

    /// Our name, such as `batch.linger`: the path of the field of [`ProducerConfig`].
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Kafka's name, such as `linger.ms`, and then those that librdkafka has for it; empty for what only this crate
    /// has.
    #[must_use]
    pub const fn kafka_names(&self) -> &'static [&'static str] {
        self.kafka
    }

    /// What a value looks like.
    #[must_use]
    pub const fn unit(&self) -> &'static str {
        self.unit
    }

    /// What it does, in one line of Markdown.
    #[must_use]
    pub const fn effect(&self) -> &'static str {
        self.effect
    }

    /// Whether its value is never shown.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        self.secret
    }

    /// Its value in `config`, as it could be written under [`name`](Self::name); empty where it is not set, `***` where
    /// it is secret.
    #[must_use]
    pub fn value(&self, config: &ProducerConfig) -> String {
        (self.get)(config)
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.kafka.iter().copied())
    }
}

debug_as!(setting: Setting { name: setting.name, kafka: setting.kafka, .. });

/// What a name stands for.
enum Known {
    Setting(&'static Setting, Spelling),
    Foreign(&'static Verdict),
}

fn lookup(name: &str) -> Option<Known> {
    if let Some(setting) = Setting::ALL.iter().find(|setting| setting.name == name) {
        return Some(Known::Setting(setting, Spelling::Ours));
    }
    if let Some(setting) = Setting::ALL.iter().find(|setting| setting.kafka.contains(&name)) {
        return Some(Known::Setting(setting, Spelling::Kafka));
    }
    foreign::verdict(name).map(Known::Foreign)
}

/// Every name that means something here: settings first.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    Setting::ALL.iter().flat_map(Setting::names).chain(foreign::names())
}
