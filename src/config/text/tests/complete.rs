//! Every field has a row, every row is in the guide, and no name stands for two things.

use std::collections::BTreeSet;

use super::super::*;
use super::read;
use crate::config::{SaslConfig, TlsConfig};

#[test]
fn the_guide_has_every_setting() {
    const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/docs/configuration.md");
    let defaults = ProducerConfig::default();
    let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
    let mut table = String::from("| setting, other names | effect, values | default |\n|--|--|--|\n");
    for setting in Setting::ALL {
        let kafka: Vec<_> = setting.kafka.iter().map(|name| code(name)).collect();
        let (name, default) = (code(setting.name), code(&setting.value(&defaults)));
        let effect = format!("{}<br>*{}*", setting.effect, setting.unit.replace('`', ""));
        let names: Vec<_> = std::iter::once(format!("**{name}**")).chain(kafka).collect();
        let row = [names.join("<br>"), effect, default];
        table.push_str(&format!("| {} |\n", row.join(" | ").replace("  ", " ")));
    }
    let guide = std::fs::read_to_string(GUIDE).unwrap();
    let (head, rest) = guide.split_once("writes this table -->\n").unwrap();
    let (found, tail) = rest.split_once("<!-- end -->").unwrap();
    if found == table {
        return;
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let guide = format!("{head}writes this table -->\n{table}<!-- end -->{tail}");
        return std::fs::write(GUIDE, guide).unwrap();
    }
    panic!("{GUIDE} has another table than the code; with UPDATE_DOCS=1 this test writes:\n{table}");
}

/// The paths of all fields, as `Debug` prints them.
fn fields(config: &ProducerConfig) -> Vec<String> {
    let mut parents: Vec<(usize, String)> = Vec::new();
    let mut paths = Vec::new();
    for line in format!("{config:#?}").lines() {
        let indent = line.len() - line.trim_start().len();
        let Some((name, value)) = line.trim().split_once(": ") else { continue };
        parents.retain(|(parent, _)| *parent < indent);
        let path = parents.iter().map(|(_, name)| name.as_str()).chain([name]).collect::<Vec<_>>().join(".");
        match value.ends_with(['{', '(', '[']) {
            true => parents.push((indent, name.to_owned())),
            false => paths.push(path),
        }
    }
    paths
}

/// Settings that are put together from several rows.
const IN_PARTS: [&str; 4] = ["security.", "tls.", "sasl.", "proxy."];

#[test]
fn every_field_of_the_configuration_has_a_row() {
    let config = ProducerConfig::default().tls(TlsConfig::default()).sasl(SaslConfig::plain("a", "b"));
    let fields = fields(&config);
    let rows: Vec<_> = Setting::ALL.iter().map(Setting::name).collect();
    assert!(fields.len() > 35, "{fields:?}");
    // A hook is code.
    for field in fields.iter().filter(|field| *field != "telemetry.propagator") {
        assert!(rows.contains(&field.as_str()), "no row for {field}: add one to settings/table.rs");
    }
    for row in rows.iter().filter(|row| !IN_PARTS.iter().any(|s| row.starts_with(s))) {
        assert!(fields.iter().any(|field| field == row), "{row} is not a field that Debug prints");
    }
}

#[test]
fn the_documentation_of_every_field_has_its_kafka_name() {
    let sources = [
        include_str!("../../mod.rs"),
        include_str!("../../sections.rs"),
        include_str!("../../../resilience/breaker.rs"),
        include_str!("../../../resilience/rate_limit.rs"),
    ];
    for setting in Setting::ALL.iter().filter(|s| !IN_PARTS.iter().any(|p| s.name.starts_with(p))) {
        let Some(kafka) = setting.kafka.first() else { continue };
        let (section, field) = setting.name.split_once('.').unwrap_or(("producer", setting.name));
        let kind = ["producer", "batch", "buffer", "timeouts", "retry", "bulkhead", "socket"]
            .into_iter()
            .find(|k| *k == section);
        let kind = kind.unwrap().trim_end_matches('s').to_owned();
        let kind = format!("pub struct {}{}Config {{", kind[..1].to_uppercase(), &kind[1..]);
        let body = sources.iter().find_map(|source| source.split_once(&kind)).unwrap().1;
        let (before, _) = body.split_once(&format!("    pub {field}:")).unwrap();
        let docs: Vec<_> = before
            .lines()
            .rev()
            .skip_while(|l| l.trim().is_empty())
            .take_while(|l| l.contains("///"))
            .collect();
        assert!(
            docs.iter().any(|line| line.contains(&format!("`{kafka}`"))),
            "{}: {kafka} not in {docs:?}",
            setting.name
        );
    }
}

#[test]
fn no_name_stands_for_two_things() {
    let mut seen = BTreeSet::new();
    for setting in Setting::ALL {
        let own: BTreeSet<_> = setting.names().collect();
        for name in own {
            assert!(seen.insert(name), "{name}");
        }
    }
    for name in foreign::names() {
        assert!(seen.insert(name), "{name}");
    }
}

#[test]
fn every_choice_that_the_guide_names_is_one() {
    for setting in Setting::ALL.iter().filter(|setting| !setting.secret) {
        let choices = setting.unit.split(" (Kafka").next().unwrap();
        for choice in choices.split('`').skip(1).step_by(2) {
            let result = read([(setting.name, choice)]).map_err(|error| error.to_string());
            // Alone, a mechanism lacks its user; it is not refused as a word.
            assert!(result.err().is_none_or(|e| !e.contains("expected")), "{}={choice}", setting.name);
        }
    }
}
