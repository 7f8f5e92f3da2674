//! The table and the chart.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::store::{Figures, Row, Store};

/// This crate with its default settings, among the peers.
const OURS: &str = "ours, idempotent";

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn figure(figures: &Figures, name: &str) -> f64 {
    figures.get(name).map_or(f64::NAN, |values| median(values))
}

/// Between the least and the largest figure, in percent of the median.
fn spread(figures: &Figures, name: &str) -> f64 {
    let values = figures.get(name).map(Vec::as_slice).unwrap_or_default();
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (most - least) / median(values) * 100.0
}

impl Row {
    /// What the peers are ranked by.
    fn measure(&self) -> &'static str {
        if self.latency { "p50_us" } else { "cpu_us" }
    }
}

/// Peers of a scenario, the best first.
fn ranked<'a>(peers: &'a BTreeMap<String, Figures>, by: &str) -> Vec<(&'a str, &'a Figures)> {
    let mut ranked: Vec<_> = peers.iter().map(|(name, figures)| (name.as_str(), figures)).collect();
    ranked.sort_by(|a, b| figure(a.1, by).total_cmp(&figure(b.1, by)));
    ranked
}

pub fn table(store: &Store, machine: &str) -> String {
    let mut text = format!(
        "Medians on {machine}; Apache Kafka 4.1.1 on the same machine, acks=all. The spread is between the least and the \
         largest figure of the column before it.\n"
    );
    for row in store.rows.iter().filter(|row| !row.peers.is_empty()) {
        let has_codec = row.peers.values().any(|figures| figures.contains_key("ratio"));
        let head = match (row.latency, has_codec) {
            (true, _) => "p50 µs | spread | p99 µs",
            (false, false) => "records/s | CPU µs per record | spread | peak RSS MB",
            (false, true) => "records/s | CPU µs per record | spread | peak RSS MB | ratio",
        };
        let rule = head.split(" | ").map(|_| "--:").collect::<Vec<_>>().join("|");
        _ = write!(text, "\n| {} | {head} |\n|--|{rule}|\n", row.scenario);
        for (name, figures) in ranked(&row.peers, row.measure()) {
            let get = |field| figure(figures, field);
            let spread = spread(figures, row.measure());
            _ = if row.latency {
                writeln!(text, "| {name} | {:.0} | {spread:.0} % | {:.0} |", get("p50_us"), get("p99_us"))
            } else {
                let ratio = if has_codec { format!(" {:.2} |", get("ratio")) } else { String::new() };
                writeln!(
                    text,
                    "| {name} | {:.0} | {:.3} | {spread:.0} % | {:.0} |{ratio}",
                    get("records_per_s"),
                    get("cpu_us"),
                    get("rss_mb")
                )
            };
        }
    }
    text + &ratios(store)
}

/// How ours stands against the best of the others, scenario by scenario.
fn ratios(store: &Store) -> String {
    let mut text = String::from(
        "\n| ours, idempotent, against the best peer that is idempotent | CPU | records/s | p50 |\n|--|--:|--:|--:|\n",
    );
    for row in &store.rows {
        let Some(ours) = row.peers.get(OURS) else {
            continue;
        };
        let of_others = |field| {
            let others = row.peers.iter().filter(|(name, _)| !aside(name));
            others
                .map(|(_, figures)| figure(figures, field))
                .filter(|value| value.is_finite())
                .collect::<Vec<_>>()
        };
        let times = |field, best: fn(f64, f64) -> f64| match of_others(field).into_iter().reduce(best) {
            Some(best) => format!("{:.2}", figure(ours, field) / best),
            None => "–".to_owned(),
        };
        let (cpu, rate, p50) = match row.latency {
            true => ("–".to_owned(), "–".to_owned(), times("p50_us", f64::min)),
            false => (times("cpu_us", f64::min), times("records_per_s", f64::max), "–".to_owned()),
        };
        _ = writeln!(text, "| {} | {cpu} | {rate} | {p50} |", row.scenario);
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

const WIDTH: f64 = 480.0;
const LABEL: f64 = 180.0;
const ROW: f64 = 30.0;
const HEAD: f64 = 64.0;

/// Its own background, so that the contrast does not depend on the page; and the letters are large enough for a chart
/// that a phone shows at three quarters of its size.
const STYLE: &str = ".back{fill:#ffffff;stroke:#d0d7de}.text{fill:#1f2328}.ours{fill:#0969da}.peer{fill:#8c959f}\
    @media(prefers-color-scheme:dark){.back{fill:#0d1117;stroke:#3d444d}.text{fill:#f0f6fc}.ours{fill:#4493f8}.peer{fill:#656c76}}";

/// CPU per record of the first scenario: a bar for this crate and each peer that keeps the same promises.
pub fn svg(store: &Store) -> String {
    let Some(Row { scenario, peers, .. }) = store.rows.first() else {
        return String::new();
    };
    let mut ranked = ranked(peers, "cpu_us");
    ranked.retain(|(name, _)| *name == OURS || !aside(name));
    let most = ranked.iter().map(|(_, f)| figure(f, "cpu_us")).fold(0.0, f64::max);
    let height = HEAD + ROW * ranked.len() as f64 + 10.0;
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="17"><style>{STYLE}</style><rect class="back" x="0.5" y="0.5" width="{}" height="{}" rx="8"/><text class="text" x="16" y="28" font-weight="bold">CPU per record in µs, less is better</text><text class="text" x="16" y="50" font-size="16">{scenario}, idempotent</text>"##,
        WIDTH - 1.0,
        height - 1.0,
    );
    for (row, (name, figures)) in ranked.iter().enumerate() {
        let cpu = figure(figures, "cpu_us");
        let y = HEAD + ROW * row as f64;
        let length = (cpu / most * (WIDTH - LABEL - 60.0)).max(2.0);
        let (class, weight, name) =
            if *name == OURS { ("ours", "bold", "rskafka-producer") } else { ("peer", "normal", *name) };
        _ = write!(
            svg,
            r##"<text class="text" x="{}" y="{}" text-anchor="end" font-weight="{weight}">{name}</text><rect class="{class}" x="{LABEL}" y="{}" width="{length:.1}" height="20" rx="3"/><text class="text" x="{:.1}" y="{}" font-weight="{weight}">{cpu:.2}</text>"##,
            LABEL - 8.0,
            y + 20.0,
            y + 4.0,
            LABEL + length + 6.0,
            y + 20.0,
        );
    }
    svg + "</svg>\n"
}
