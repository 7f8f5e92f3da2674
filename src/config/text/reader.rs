//! Reads settings one by one into a configuration, and gathers every problem.

use super::foreign::{Meaning, Refusal, meaning};
use super::proxy::ProxyParts;
use super::security::Security;
use super::{Draft, Known, Setting, lookup, names, near};
use crate::config::{ProducerConfig, Secret};
use crate::error::{Error, ErrorKind, Result};

pub(crate) struct Reader {
    draft: Draft,
    /// Which setting was set under which name, and to what.
    seen: Vec<(&'static str, String, Secret)>,
    problems: Vec<String>,
    /// A setting of TLS, SASL or a proxy was refused: putting the rest together would only report what is missing then.
    incomplete: bool,
}

impl Reader {
    /// Starts from `config`; what no text sets stays.
    pub(crate) fn new(config: ProducerConfig) -> Self {
        let draft = Draft { config, security: Security::default(), proxy: ProxyParts::default() };
        Self { draft, seen: Vec::new(), problems: Vec::new(), incomplete: false }
    }

    /// Sets what `name` stands for. Problems call it `shown`, which is how it was written.
    pub(crate) fn set(&mut self, shown: &str, name: &str, value: &str) {
        match meaning(name, value) {
            Meaning::Setting(name, value) => self.set_kafkas(shown, &name, &value),
            Meaning::Ignored(why) => self.ignore(shown, why),
            Meaning::Refused(why) => self.problem(format!("{shown} is refused: {why}")),
        }
    }

    fn set_kafkas(&mut self, shown: &str, name: &str, value: &str) {
        match lookup(name) {
            Some(Known::Setting(setting, spelling)) => {
                let value = if setting.secret { value } else { value.trim() };
                self.twice(setting, shown, value);
                if let Err(why) = (setting.set)(&mut self.draft, value, spelling) {
                    self.problem(format!("{shown}={}: {why}", quoted(setting, value)));
                    self.incomplete |=
                        ["security.", "tls.", "sasl.", "proxy."].iter().any(|s| setting.name.starts_with(s));
                }
            }
            Some(Known::Foreign(verdict)) => match verdict.judge(value) {
                Ok(None) => {}
                Ok(Some(why)) => self.ignore(shown, why),
                Err(Refusal::Always(why)) => self.problem(format!("{shown} is refused: {why}")),
                Err(Refusal::Only(only, why)) => {
                    self.problem(format!("{shown} can only be {only}: {why}"));
                }
            },
            None => {
                let near: Vec<_> = near::misses(name, names()).into_iter().map(str::to_owned).collect();
                self.unknown(shown, &near);
            }
        }
    }

    /// A setting without effect. The producer reports it.
    fn ignore(&mut self, shown: &str, why: &'static str) {
        self.draft.config.unused.settings.entry(why).or_default().push(shown.to_owned());
    }

    /// A name that stands for nothing. Its value is not shown: it may be a misspelt password's.
    pub(crate) fn unknown(&mut self, shown: &str, near: &[String]) {
        let shown = crate::error::quoted(shown);
        self.problem(match near {
            [] => format!("{shown} is not a setting (docs::configuration lists them)"),
            near => format!("{shown} is not a setting: did you mean {}?", near.join(" or ")),
        });
    }

    pub(crate) fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// Two names of one setting that say different things.
    fn twice(&mut self, setting: &Setting, shown: &str, value: &str) {
        let differs =
            |(name, _, before): &&(&str, String, Secret)| *name == setting.name && before.expose() != value;
        if let Some((_, other, _)) = self.seen.iter().find(differs) {
            self.problems
                .push(format!("{other} and {shown} are the same setting with different values: keep one"));
        }
        self.seen.push((setting.name, shown.to_owned(), Secret::from(value)));
    }

    /// The configuration, not yet validated.
    pub(crate) fn finish(mut self) -> Result<ProducerConfig> {
        if !self.draft.security.oidc.is_meant() {
            let seen = self.seen.iter().filter(|(name, ..)| name.starts_with("sasl.oidc."));
            for shown in seen.map(|(_, shown, _)| shown.clone()).collect::<Vec<_>>() {
                self.ignore(&shown, "no identity server is named: sasl.oauthbearer.token.endpoint.url");
            }
        }
        if !self.incomplete {
            self.draft.security.apply(&mut self.draft.config, &mut self.problems);
            self.draft.proxy.apply(&mut self.draft.config, &mut self.problems);
        }
        match self.problems.is_empty() {
            true => Ok(self.draft.config),
            false => Err(Error::new(ErrorKind::InvalidConfig, self.problems.join("; "))),
        }
    }
}

/// A value for a message: short, on one line, and nothing of a secret.
fn quoted(setting: &Setting, value: &str) -> String {
    match setting.secret {
        true => "***".into(),
        false => crate::error::quoted(value),
    }
}
