//! The configuration: from the environment, from a file, and from options.

use std::fmt::Write;

use rskafka_producer::{ProducerConfig, Setting};

use crate::ledger::chain;
use crate::options::{Options, Property};
use crate::progress;

/// Options replace what the file sets, and both what the environment sets.
pub(crate) fn read(options: &Options) -> Result<ProducerConfig, String> {
    let (config, _) = ProducerConfig::default()
        .with_vars("KAFKA_", std::env::vars_os())
        .map_err(|error| format!("the variables KAFKA_…: {}", chain(&error)))?;
    let mut text = match &options.config {
        None => String::new(),
        Some(path) => {
            std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?
        }
    };
    // One text, so that a login may be in part in the file.
    for (name, value) in options.properties() {
        _ = write!(text, "\n{}={}", escaped(&name), escaped(&value));
    }
    let mut config = config.with_properties_text(&text).map_err(|error| match &options.config {
        None => chain(&error),
        Some(path) => format!("{} and options: {}", path.display(), chain(&error)),
    })?;
    if options.topic.is_some() {
        config.topic.clone_from(&options.topic);
    }
    Ok(config)
}

/// As a properties file has it, where blanks end a name and a backslash is special.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, c| {
        match c {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            c if c.is_ascii_alphanumeric() || !c.is_ascii() => escaped.push(c),
            c => escaped.extend(['\\', c]),
        }
        escaped
    })
}

/// Warns about secrets on the command line, which other users of the machine can see.
pub(crate) fn warn_about_secrets(options: &Options) {
    for property in &options.properties {
        let Property::Set(name, _) = property else { continue };
        let secret = |setting: &&Setting| {
            setting.is_secret() && (setting.name() == name || setting.kafka_names().contains(&name.as_str()))
        };
        if let Some(setting) = Setting::ALL.iter().find(secret) {
            let variable = setting.kafka_names().first().unwrap_or(&setting.name()).replace('.', "_");
            progress::say(format_args!(
                "kafka-send: others can see {name} on a command line: use KAFKA_{}_FILE or -F FILE",
                variable.to_uppercase()
            ));
        }
    }
}

/// What `-X list` or `-X dump` prints, if one of them was given.
pub(crate) fn listing(options: &Options) -> Option<Result<String, String>> {
    let wanted = |property| options.properties.contains(&property);
    if wanted(Property::List) {
        return Some(Ok(list()));
    }
    wanted(Property::Dump).then(|| read(options).map(|config| dump(&config)))
}

fn list() -> String {
    let mut text = String::new();
    for setting in Setting::ALL {
        let names: Vec<_> = setting.kafka_names().iter().copied().chain([setting.name()]).collect();
        _ = writeln!(text, "{}\n    {} ({})", names.join(", "), setting.effect(), setting.unit());
    }
    text
}

/// By the names that `-F` takes; secrets are ***.
fn dump(config: &ProducerConfig) -> String {
    let mut text = String::new();
    for setting in Setting::ALL {
        _ = writeln!(text, "{} = {}", setting.name(), setting.value(config));
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn an_option_is_read_as_it_was_given_whatever_it_holds() {
        for value in ["plain", " a b ", r"back\slash", "#=:!", "tab\tline\nreturn\r", "\u{fc}ber", r"\u0041"]
        {
            let text = format!("\n{}={}", escaped("client.id"), escaped(value));
            let config = ProducerConfig::default().with_properties_text(&text).unwrap();
            assert_eq!(config.client_id, value.trim(), "{text}");
        }
    }
}
