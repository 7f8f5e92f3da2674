//! The table and the chart.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::Figures;
use crate::scenario::Scenario;

type Results = [(Scenario, BTreeMap<&'static str, Figures>)];

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn figure(figures: &Figures, name: &str) -> f64 {
    figures.get(name).map_or(f64::NAN, |values| median(values))
}

/// Peers of a scenario, the best first.
fn ranked<'a>(peers: &'a BTreeMap<&'static str, Figures>, by: &str) -> Vec<(&'static str, &'a Figures)> {
    let mut ranked: Vec<_> = peers.iter().map(|(name, figures)| (*name, figures)).collect();
    ranked.sort_by(|a, b| figure(a.1, by).total_cmp(&figure(b.1, by)));
    ranked
}

pub fn table(results: &Results, machine: &str) -> String {
    let mut text = format!("Medians of 3 on {machine}; Apache Kafka 4.1.1 on the same machine, acks=all.\n");
    for (scenario, peers) in results {
        let head = if scenario.latency {
            "p50 µs | p99 µs"
        } else {
            "records/s | CPU µs per record | peak RSS MB"
        };
        let rule = if scenario.latency { "--:|--:" } else { "--:|--:|--:" };
        _ = write!(text, "\n| {scenario} | {head} |\n|--|{rule}|\n");
        for (name, figures) in ranked(peers, if scenario.latency { "p50_us" } else { "cpu_us" }) {
            let get = |field| figure(figures, field);
            _ = if scenario.latency {
                writeln!(text, "| {name} | {:.0} | {:.0} |", get("p50_us"), get("p99_us"))
            } else {
                writeln!(
                    text,
                    "| {name} | {:.0} | {:.3} | {:.0} |",
                    get("records_per_s"),
                    get("cpu_us"),
                    get("rss_mb")
                )
            };
        }
    }
    text + &ratios(results)
}

/// How ours stands against the best of the others, scenario by scenario.
fn ratios(results: &Results) -> String {
    let mut text = String::from(
        "\n| ours, idempotent, against the best peer that is idempotent | CPU | records/s | p50 |\n|--|--:|--:|--:|\n",
    );
    for (scenario, peers) in results {
        let Some(ours) = peers.get("ours, idempotent") else {
            continue;
        };
        let of_others = |field| {
            let others = peers.iter().filter(|(name, _)| !aside(name));
            others
                .map(|(_, figures)| figure(figures, field))
                .filter(|value| value.is_finite())
                .collect::<Vec<_>>()
        };
        let times = |field, best: fn(f64, f64) -> f64| match of_others(field).into_iter().reduce(best) {
            Some(best) => format!("{:.2}", figure(ours, field) / best),
            None => "–".to_owned(),
        };
        let (cpu, rate, p50) = match scenario.latency {
            true => ("–".to_owned(), "–".to_owned(), times("p50_us", f64::min)),
            false => (times("cpu_us", f64::min), times("records_per_s", f64::max), "–".to_owned()),
        };
        _ = writeln!(text, "| {scenario} | {cpu} | {rate} | {p50} |");
    }
    text
}

/// Not a peer that keeps the same promises.
fn aside(name: &str) -> bool {
    name.starts_with("floor")
        || name.starts_with("ours")
        || name.ends_with("not idempotent")
        || name.starts_with("rskafka")
}

const WIDTH: f64 = 760.0;
const LABEL: f64 = 250.0;
const ROW: f64 = 22.0;

/// CPU per record of the first scenario, a bar for each peer; readable on light and dark.
pub fn svg(results: &Results) -> String {
    let Some((scenario, peers)) = results.first() else {
        return String::new();
    };
    let ranked = ranked(peers, "cpu_us");
    let most = ranked.iter().map(|(_, f)| figure(f, "cpu_us")).fold(0.0, f64::max);
    let height = 50.0 + ROW * ranked.len() as f64;
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13" fill="#808080"><text x="8" y="22" font-size="15">Client CPU per record, µs ({scenario}; less is better)</text>"##
    );
    for (row, (name, figures)) in ranked.iter().enumerate() {
        let (cpu, rate) = (figure(figures, "cpu_us"), figure(figures, "records_per_s"));
        let y = 40.0 + ROW * row as f64;
        let length = (cpu / most * (WIDTH - LABEL - 190.0)).max(2.0);
        let colour = if name.starts_with("ours") { "#2f81f7" } else { "#9e9e9e" };
        _ = write!(
            svg,
            r##"<text x="{}" y="{}" text-anchor="end">{name}</text><rect x="{LABEL}" y="{y}" width="{length:.1}" height="15" rx="2" fill="{colour}"/><text x="{:.1}" y="{}">{cpu:.2}  ({:.2} M records/s)</text>"##,
            LABEL - 8.0,
            y + 12.0,
            LABEL + length + 6.0,
            y + 12.0,
            rate / 1e6,
        );
    }
    svg + "</svg>\n"
}
