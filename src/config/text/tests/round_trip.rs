//! Random texts: what is printed reads back, nothing panics, and no secret is shown.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::codec::{ATTEMPTS, BYTES, PART, RATE, TIME};
use super::super::*;
use super::read;

/// Texts that are meant for `setting`, and some that are not.
fn text(setting: &Setting, random: &mut fastrand::Rng) -> String {
    let choices: Vec<_> = setting.unit.split('`').skip(1).step_by(2).collect();
    match random.u8(..8) {
        0 if !choices.is_empty() => choices[random.usize(..choices.len())].to_owned(),
        0 | 1 => (random.u64(..) >> random.u32(..64)).to_string(),
        2 => (TIME.print)(&Duration::from_nanos(random.u64(..) >> random.u32(..64))),
        3 => (BYTES.print)(&(random.usize(..1 << 20) << random.u32(..30))),
        4 => (PART.print)(&random.f64()),
        5 => "/etc/kafka/a.pem".to_owned(),
        6 => (0..random.usize(..12))
            .map(|_| *b"a1.-_ ,:;=\"\\\n%".get(random.usize(..14)).unwrap() as char)
            .collect(),
        _ => (0..random.usize(..12)).map(|_| random.char(..)).collect(),
    }
}

const OAUTHBEARER: (&str, &str) = ("sasl.mechanism", "OAUTHBEARER");
const ENDPOINT: (&str, &str) = ("sasl.oidc.token_endpoint", "https://idp/token");
const ID: (&str, &str) = ("sasl.oidc.client_id", "orders");
const OIDC_SECRET: (&str, &str) = ("sasl.oidc.client_secret", "hunter2");

/// What a setting needs beside it.
fn companions(name: &str) -> &'static [(&'static str, &'static str)] {
    match name {
        "tls.key" | "tls.key_pem" => &[("tls.certificates", "/etc/c.pem")],
        "tls.certificates" | "tls.certificates_pem" => &[("tls.key", "/etc/k.pem")],
        "sasl.oidc.token_endpoint" => &[OAUTHBEARER, ID, OIDC_SECRET],
        "sasl.oidc.client_id" => &[OAUTHBEARER, ENDPOINT, OIDC_SECRET],
        "sasl.oidc.client_secret" => &[OAUTHBEARER, ENDPOINT, ID],
        "sasl.oidc.assertion_file" | "sasl.oidc.assertion_key" | "sasl.oidc.assertion_key_pem" => {
            &[OAUTHBEARER, ENDPOINT]
        }
        name if name.starts_with("sasl.oidc.assertion_") || name == "sasl.oidc.grant_type" => {
            &[OAUTHBEARER, ENDPOINT, ID, ("sasl.oidc.assertion_key", "/etc/kafka/client.key")]
        }
        name if name.starts_with("sasl.oidc.") => &[OAUTHBEARER, ENDPOINT, ID, OIDC_SECRET],
        "sasl.mechanism" => &[("sasl.username", "alice"), ("sasl.password", "hunter2")],
        "security.protocol" | "sasl.allow_plaintext" => {
            &[("sasl.mechanism", "PLAIN"), ("sasl.username", "alice"), ("sasl.password", "hunter2")]
        }
        "proxy.username" => &[("proxy.url", "socks5://p:1080"), ("proxy.password", "hunter2")],
        "proxy.password" => &[("proxy.url", "socks5://p:1080"), ("proxy.username", "alice")],
        _ => &[],
    }
}

#[test]
fn what_is_printed_reads_back_as_the_same_and_no_text_panics() {
    let mut printed = BTreeSet::new();
    for seed in 0..2_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        for setting in Setting::ALL {
            let text = text(setting, &mut random);
            let with = |text| read(companions(setting.name).iter().copied().chain([(setting.name, text)]));
            let Ok(config) = with(&text) else { continue };
            let value = setting.value(&config);
            if !value.is_empty() && value != "***" {
                let again = with(&value).unwrap_or_else(|error| panic!("{}={value}: {error}", setting.name));
                assert_eq!(
                    format!("{again:?}"),
                    format!("{config:?}"),
                    "seed {seed}: {}={text:?}",
                    setting.name
                );
                printed.insert(setting.name);
            }
            for kafka in setting.kafka {
                let _ = read([(*kafka, text.as_str())]);
            }
        }
        let time = Duration::new(random.u64(..1 << 40), random.u32(..1_000_000_000));
        assert_eq!((TIME.read)(&(TIME.print)(&time), Spelling::Ours), Ok(time));
        let rate = random.bool().then(|| f64::from_bits(random.u64(..))).filter(|rate| rate.is_finite());
        assert_eq!((RATE.read)(&(RATE.print)(&rate), Spelling::Ours), Ok(rate));
        let bytes = random.usize(..) >> random.u32(..64);
        assert_eq!((BYTES.read)(&(BYTES.print)(&bytes), Spelling::Ours), Ok(bytes));
        let attempts = random.bool().then(|| random.u32(..));
        assert_eq!((ATTEMPTS.read)(&(ATTEMPTS.print)(&attempts), Spelling::Ours), Ok(attempts));
    }
    let silent = Setting::ALL.iter().filter(|s| !s.secret && !printed.contains(s.name)).map(Setting::name);
    // Without the feature there is nothing to print them from.
    let silent: Vec<_> =
        silent.filter(|name| cfg!(feature = "oidc") || !name.starts_with("sasl.oidc.")).collect();
    let texts = ["tls.ca_pem", "tls.certificates_pem", "sasl.callback_handler", "sasl.username"];
    let more = if cfg!(feature = "oidc") { &["sasl.oidc.ca_pem"][..] } else { &[] };
    assert_eq!(silent, [&texts[..], more].concat(), "never read back");
}

#[test]
fn a_secret_is_in_no_error_and_in_no_configuration() {
    const SECRET: &str = "hunter2";
    let jaas = format!(
        "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"a\" password=\"{SECRET}\";"
    );
    let pem = format!("-----BEGIN PRIVATE KEY----- {SECRET} -----END PRIVATE KEY-----");
    let names: Vec<_> = names().chain(["sasl.pasword", "ssl.key.pasword", "x"]).collect();
    let is_public = |name: &str| matches!(lookup(name), Some(Known::Setting(setting, _)) if !setting.secret);
    let names: Vec<_> = names.into_iter().filter(|name| !is_public(name)).collect();
    for seed in 0..3_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut pairs = vec![
            (
                "security.protocol",
                *random.choice(["SSL", "SASL_SSL", "SASL_PLAINTEXT", "nonsense"].iter()).unwrap(),
            ),
            (
                "sasl.mechanism",
                *random.choice(["PLAIN", "SCRAM-SHA-256", "OAUTHBEARER", "AWS_MSK_IAM", "x"].iter()).unwrap(),
            ),
            ("sasl.username", "a"),
        ];
        for _ in 0..random.usize(..4) {
            let value =
                *random.choice([SECRET, &jaas, &jaas[..jaas.len() - 3], &pem, &pem[1..]].iter()).unwrap();
            pairs.push((names[random.usize(..names.len())], value));
        }
        let shown = match read(pairs.iter().copied()) {
            Ok(config) => {
                let values: Vec<_> = Setting::ALL.iter().map(|setting| setting.value(&config)).collect();
                format!("{config:?} {config:#?} {values:?} {:?}", config.validate())
            }
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(!shown.contains(SECRET), "{pairs:?}: {shown}");
    }
}
