//! `FromStr` for every choice, by the codecs of the table of settings.

use std::str::FromStr;

use super::codec::{
    ACKS, COMPRESSION, DNS_LOOKUP, ENGINE, IDEMPOTENCE, MECHANISM, PARTITIONING, Spelling, WHEN_OPEN,
};
use crate::compression::Compression;
use crate::config::{Acks, DnsLookup, EngineKind, Idempotence, OpenCircuit, SaslMechanism};
use crate::error::{Error, ErrorKind, quoted};
use crate::partitioner::Partitioning;

macro_rules! choices {
    ($($type:ident: $codec:ident, $setting:literal, $example:literal => $value:expr;)*) => {$(
        /// Reads what a [`Setting`](crate::Setting) of this type takes, as in a properties file. Case does not matter.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use rskafka_producer::", stringify!($type), ";")]
        ///
        #[doc = concat!("let read: ", stringify!($type), " = \"", $example, "\".parse()?;")]
        #[doc = concat!("assert!(matches!(read, ", stringify!($value), "));")]
        /// # Ok::<_, rskafka_producer::Error>(())
        /// ```
        ///
        /// # Errors
        ///
        /// `KAFKA_INVALID_CONFIG` with the setting's name and what was expected.
        #[cfg_attr(docsrs, doc(cfg(feature = "text-config")))]
        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                ($codec.read)(text.trim(), Spelling::Ours).map_err(|why| {
                    let text = format!("{}={}: {why}", $setting, quoted(text));
                    Error::new(ErrorKind::InvalidConfig, text)
                })
            }
        }
    )*};
}

choices! {
    Acks: ACKS, "acks", "all" => Acks::All;
    Compression: COMPRESSION, "compression.type", "lz4" => Compression::Lz4;
    DnsLookup: DNS_LOOKUP, "client.dns.lookup", "use_all_dns_ips" => DnsLookup::UseAllDnsIps;
    EngineKind: ENGINE, "engine", "native" => EngineKind::Native;
    Idempotence: IDEMPOTENCE, "enable.idempotence", "true" => Idempotence::On;
    OpenCircuit: WHEN_OPEN, "circuit_breaker.when_open", "fail_fast" => OpenCircuit::FailFast;
    Partitioning: PARTITIONING, "partitioning", "round_robin" => Partitioning::RoundRobin;
    SaslMechanism: MECHANISM, "sasl.mechanism", "SCRAM-SHA-512" => SaslMechanism::ScramSha512;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_and_what_is_wrong_names_setting_and_choices() {
        for codec in Compression::ALL {
            assert_eq!(codec.to_string().parse::<Compression>().unwrap(), codec);
        }
        for mechanism in SaslMechanism::ALL {
            assert_eq!(mechanism.to_string().parse::<SaslMechanism>().unwrap(), mechanism);
        }
        assert_eq!("1".parse::<Acks>().unwrap(), Acks::Leader);
        assert_eq!(" GZIP ".parse::<Compression>().unwrap(), Compression::Gzip);
        for (problem, expected) in [
            (
                "brotli".parse::<Compression>().unwrap_err(),
                "compression.type=\"brotli\": expected one of none",
            ),
            ("0".parse::<Acks>().unwrap_err(), "nobody knows whether"),
            ("GSSAPI".parse::<SaslMechanism>().unwrap_err(), "Kerberos"),
            ("x".parse::<Partitioning>().unwrap_err(), "round_robin"),
            ("x".parse::<Idempotence>().unwrap_err(), "where_possible"),
            ("x".parse::<DnsLookup>().unwrap_err(), "use_all_dns_ips"),
            ("x".parse::<EngineKind>().unwrap_err(), "native"),
            ("x".parse::<OpenCircuit>().unwrap_err(), "fail_fast"),
        ] {
            assert!(problem.to_string().contains(expected), "{problem}");
        }
    }
}
