//! TLS and SASL, put together from settings that come one by one and in any order.

use super::codec::choice;
use super::jaas::Login;
use super::mechanism::{MSK_IAM, Mechanism, Tokens};
#[cfg(not(feature = "oidc"))]
use super::oidc::NEEDS_OIDC;
use super::oidc::OidcSettings;
use crate::config::{Pem, ProducerConfig, SaslConfig, SaslMechanism, Secret, TlsConfig, TlsRoots};

/// Kafka's `security.protocol`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Protocol {
    tls: bool,
    sasl: bool,
}

const PROTOCOLS: [(&str, Protocol); 4] = [
    ("PLAINTEXT", Protocol { tls: false, sasl: false }),
    ("SSL", Protocol { tls: true, sasl: false }),
    ("SASL_PLAINTEXT", Protocol { tls: false, sasl: true }),
    ("SASL_SSL", Protocol { tls: true, sasl: true }),
];

impl Protocol {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        choice(text, &PROTOCOLS)
    }

    pub(super) fn of(config: &ProducerConfig) -> Self {
        Self { tls: config.tls.is_some(), sasl: config.sasl.is_some() }
    }

    pub(super) fn as_str(self) -> &'static str {
        PROTOCOLS.iter().find(|(_, protocol)| *protocol == self).map_or("", |(name, _)| name)
    }
}

/// What was said about security so far.
#[derive(Default)]
pub(super) struct Security {
    pub(super) protocol: Option<Protocol>,
    pub(super) roots: Option<TlsRoots>,
    pub(super) ca: Option<Pem>,
    pub(super) ca_pem: Option<Pem>,
    pub(super) certificates: Option<Pem>,
    pub(super) certificates_pem: Option<Pem>,
    pub(super) key: Option<Pem>,
    pub(super) key_pem: Option<Pem>,
    pub(super) identity: Option<Pem>,
    pub(super) key_password: Option<Secret>,
    pub(super) crl: Option<Pem>,
    pub(super) verify_hostname: Option<bool>,
    /// It was set under our name. Java's may be there without TLS.
    pub(super) verifies_by_our_name: bool,
    pub(super) server_name: Option<String>,
    pub(super) mechanism: Option<Mechanism>,
    pub(super) callback_handler: Option<Option<Tokens>>,
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) jaas: Option<Login>,
    pub(super) allow_plaintext: Option<bool>,
    pub(super) oidc: OidcSettings,
}

impl Security {
    /// Changes what was set by code before only where text says otherwise. Without `security.protocol`, whatever is
    /// set is meant: no setting of TLS or SASL is ever ignored.
    pub(super) fn apply(self, config: &mut ProducerConfig, problems: &mut Vec<String>) {
        let protocol = self.protocol.unwrap_or(Protocol {
            tls: self.has_tls() || config.tls.is_some(),
            sasl: self.has_sasl() || config.sasl.is_some(),
        });
        for (set, meant, what) in
            [(self.has_tls(), protocol.tls, "tls (ssl.*)"), (self.has_sasl(), protocol.sasl, "sasl (sasl.*)")]
        {
            if set && !meant {
                problems.push(format!(
                    "security.protocol is {}, yet {what} is set, which would have no effect: change the one or remove the \
                     other",
                    protocol.as_str()
                ));
            }
        }
        let (tls, sasl) = (config.tls.take(), config.sasl.take());
        if protocol.sasl {
            config.sasl = self.sasl(sasl, protocol, problems);
        }
        if protocol.tls {
            config.tls = Some(self.tls(tls.unwrap_or_default(), problems));
        }
    }

    fn has_tls(&self) -> bool {
        let pems = [
            &self.ca,
            &self.ca_pem,
            &self.certificates,
            &self.certificates_pem,
            &self.key,
            &self.key_pem,
            &self.identity,
            &self.crl,
        ];
        let named = self.roots.is_some() || self.server_name.is_some() || self.verifies_by_our_name;
        named
            || self.key_password.as_ref().is_some_and(|password| !password.is_empty())
            || pems.iter().any(|pem| pem.is_some())
    }

    fn has_sasl(&self) -> bool {
        self.mechanism.is_some()
            || self.username.is_some()
            || self.password.is_some()
            || self.jaas.is_some()
            || self.callback_handler.flatten().is_some()
            || self.allow_plaintext.is_some()
            || self.oidc.is_meant()
    }

    fn tls(self, mut tls: TlsConfig, problems: &mut Vec<String>) -> TlsConfig {
        let authorities: Vec<_> = self.ca.into_iter().chain(self.ca_pem).collect();
        match self.roots {
            Some(_) if !authorities.is_empty() => problems.push(
                "tls.roots and tls.ca (ssl.truststore) are both set: an authority of yours is trusted instead of those, \
                 not beside them"
                    .into(),
            ),
            Some(roots) => tls = tls.roots(roots),
            None if !authorities.is_empty() => tls = tls.roots(TlsRoots::Pem(authorities)),
            None => {}
        }
        let certificates = only_one("tls.certificates", [self.certificates, self.certificates_pem], problems);
        let key = only_one("tls.key", [self.key, self.key_pem], problems);
        match (self.identity, certificates, key) {
            (None, None, None) => {}
            (Some(both), None, None) => tls = tls.identity(both.clone(), both),
            (None, Some(certificates), Some(key)) => tls = tls.identity(certificates, key),
            (Some(_), ..) => problems.push(
                "tls.identity (ssl.keystore.location) holds certificates and key: remove tls.certificates and tls.key".into(),
            ),
            (None, Some(_), None) => problems.push(
                "tls.certificates is set without tls.key (ssl.keystore.key, ssl.key.location) that belongs to them".into(),
            ),
            (None, None, Some(_)) => problems.push(
                "tls.key is set without tls.certificates (ssl.keystore.certificate.chain, ssl.certificate.location) that \
                 belong to it"
                    .into(),
            ),
        }
        if let Some(password) = self.key_password {
            tls = tls.key_password(password);
        }
        if let Some(list) = self.crl {
            tls = tls.crl(list);
        }
        if let Some(verify) = self.verify_hostname {
            tls = tls.verify_hostname(verify);
        }
        match self.server_name {
            Some(name) => tls.server_name(name),
            None => tls,
        }
    }

    fn sasl(
        &self,
        base: Option<SaslConfig>,
        protocol: Protocol,
        problems: &mut Vec<String>,
    ) -> Option<SaslConfig> {
        // SASL_PLAINTEXT is consent.
        let asked = self.protocol.is_some() && !protocol.tls;
        let allow = self.allow_plaintext.or(asked.then_some(true));
        let names_login =
            self.username.is_some() || self.password.is_some() || self.jaas.is_some() || self.oidc.is_meant();
        let tokens =
            self.mechanism.and_then(|mechanism| mechanism.tokens).or(self.callback_handler.flatten());
        let named = match tokens {
            Some(Tokens::MskIam) => Some(MSK_IAM),
            _ => self.mechanism.map(|mechanism| mechanism.sasl.as_str()),
        };
        if let Some(base) = base.filter(|base| {
            let same = named.is_none_or(|named| named == base.mechanism.as_str() || named == base.name());
            !names_login && same
        }) {
            let allow = allow.unwrap_or(base.allow_plaintext);
            return Some(base.allow_plaintext(allow));
        }
        let mut missing = |what: &str| {
            problems.push(format!("sasl is requested, but {what}"));
            None
        };
        let mechanism = self.mechanism.map(|mechanism| mechanism.sasl);
        #[cfg(feature = "aws-msk-iam")]
        if tokens == Some(Tokens::MskIam) {
            return match self.msk_iam(mechanism) {
                Ok(iam) => Some(SaslConfig::msk_iam(iam).allow_plaintext(allow.unwrap_or(false))),
                Err(why) => missing(&why),
            };
        }
        let mechanism = match mechanism {
            Some(SaslMechanism::OauthBearer) => {
                #[cfg(feature = "oidc")]
                return match self.oidc() {
                    Ok(oidc) => Some(SaslConfig::oidc(oidc).allow_plaintext(allow.unwrap_or(false))),
                    Err(why) => missing(&why),
                };
                #[cfg(not(feature = "oidc"))]
                return missing(&format!("of OAUTHBEARER, {NEEDS_OIDC}"));
            }
            Some(mechanism) if self.oidc.is_meant() => {
                return missing(&format!(
                    "settings of sasl.oidc (sasl.oauthbearer.*) are set, which have no effect with {mechanism}: remove them, \
                     or set sasl.mechanism=OAUTHBEARER"
                ));
            }
            Some(mechanism) => mechanism,
            None => {
                return missing(
                    "sasl.mechanism is missing: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER (Kafka's default is \
                     Kerberos, which is not supported)",
                );
            }
        };
        let (username, password) = match (&self.jaas, &self.username, &self.password) {
            (Some(Login::Password(jaas)), None, None)
                if jaas.scram == (mechanism != SaslMechanism::Plain) =>
            {
                (&jaas.username, &jaas.password)
            }
            (Some(_), None, None) => {
                return missing(&format!("the login module of sasl.jaas.config is not one for {mechanism}"));
            }
            (Some(_), ..) => {
                return missing("sasl.jaas.config is set beside sasl.username or sasl.password: keep one");
            }
            (None, Some(username), Some(password)) => (username, password),
            (None, None, None) => return missing("sasl.username and sasl.password are missing"),
            (None, None, _) => return missing("sasl.username is missing"),
            (None, _, None) => return missing("sasl.password is missing"),
        };
        let sasl = match mechanism {
            SaslMechanism::Plain => SaslConfig::plain(username, password.clone()),
            SaslMechanism::ScramSha256 => SaslConfig::scram_sha_256(username, password.clone()),
            _ => SaslConfig::scram_sha_512(username, password.clone()),
        };
        Some(sasl.allow_plaintext(allow.unwrap_or(false)))
    }

    #[cfg(feature = "oidc")]
    fn oidc(&self) -> Result<crate::config::Oidc, String> {
        if self.username.is_some() || self.password.is_some() {
            return Err("sasl.username or sasl.password is set, and OAUTHBEARER has none: its client's are \
                        sasl.oauthbearer.client.credentials.client.id and .client.secret"
                .into());
        }
        match &self.jaas {
            None => super::oidc::put_together(&self.oidc, &[]),
            Some(Login::Token(options)) => super::oidc::put_together(&self.oidc, options),
            Some(Login::Password(_)) => {
                Err("the login module of sasl.jaas.config is not one for OAUTHBEARER".into())
            }
        }
    }

    #[cfg(feature = "aws-msk-iam")]
    fn msk_iam(&self, mechanism: Option<SaslMechanism>) -> Result<crate::config::MskIam, String> {
        if mechanism != Some(SaslMechanism::OauthBearer) {
            return Err(format!(
                "with this callback handler sasl.mechanism has to be {MSK_IAM} or OAUTHBEARER"
            ));
        }
        if self.username.is_some() || self.password.is_some() {
            return Err(
                "sasl.username or sasl.password is set, and a login at Amazon MSK by IAM has none".into()
            );
        }
        match &self.jaas {
            None => Ok(crate::config::MskIam::new()),
            Some(Login::Token(options)) => super::msk::from_options(options),
            Some(Login::Password(_)) => {
                Err(format!("the login module of sasl.jaas.config is not one for {MSK_IAM}"))
            }
        }
    }
}

fn only_one(name: &str, [file, text]: [Option<Pem>; 2], problems: &mut Vec<String>) -> Option<Pem> {
    if file.is_some() && text.is_some() {
        problems.push(format!("{name} and {name}_pem are both set: keep one"));
    }
    file.or(text)
}

/// A file in PEM format. Java's other formats are recognized by their usual extensions.
pub(super) fn pem_file(path: &str) -> Result<Pem, String> {
    const FOREIGN: [&str; 5] = [".jks", ".p12", ".pfx", ".keystore", ".truststore"];
    if path.is_empty() {
        return Err("expected the path of a file in PEM format".into());
    }
    let lower = path.to_ascii_lowercase();
    match FOREIGN.iter().any(|ending| lower.ends_with(ending)) {
        true => Err(format!("only PEM files can be read; {CONVERT}")),
        false => Ok(Pem::file(path)),
    }
}

/// How to get PEM out of a keystore of Java's.
pub(super) const CONVERT: &str = "remove a truststore that is a copy of Java's own, convert another by `keytool -list -rfc -keystore IN > ca.pem`, a keystore by \
                                  `keytool -importkeystore -srckeystore IN -destkeystore OUT.p12 -deststoretype PKCS12` \
                                  and `openssl pkcs12 -in OUT.p12 -nodes -out client.pem`";

/// PEM text, its lines restored: in properties and in the environment it is often a single one, with spaces or the two
/// characters `\n` for the breaks.
pub(super) fn pem_text(text: &str) -> Result<Pem, String> {
    if !text.contains("-----BEGIN ") {
        return Err("expected text in PEM format, which starts with -----BEGIN".into());
    }
    let text = zeroize::Zeroizing::new(text.replace("\\n", "\n"));
    let mut lines = zeroize::Zeroizing::new(String::with_capacity(2 * text.len()));
    for (index, part) in text.split("-----").enumerate() {
        if index % 2 == 1 {
            lines.push_str("-----");
            lines.push_str(part);
            lines.push_str("-----\n");
        } else {
            for word in part.split_whitespace() {
                lines.push_str(word);
                lines.push('\n');
            }
        }
    }
    Ok(Pem::text(lines.as_str()))
}
