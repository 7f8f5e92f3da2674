//! Figures, kept from one run of the runner to the next, so that rows can be measured one at a time.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::scenario::{self, Scenario, Way};

/// A program's figures, one of each for every repetition.
pub type Figures = BTreeMap<String, Vec<f64>>;

#[derive(Default, Serialize, Deserialize)]
pub struct Store {
    pub rows: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
pub struct Row {
    pub scenario: String,
    pub latency: bool,
    pub peers: BTreeMap<String, Figures>,
}

fn path() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/peers.json"))
}

impl Store {
    /// What was measured before; empty if there is nothing, or nothing that can be read.
    pub fn load() -> Self {
        let text = std::fs::read_to_string(path()).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub fn save(&self) -> Result<(), Error> {
        Ok(std::fs::write(path(), serde_json::to_string_pretty(self)?)?)
    }

    /// Takes the figures of a scenario, in place of former ones of the same peers.
    pub fn put(&mut self, scenario: &Scenario, peers: BTreeMap<String, Figures>) {
        let (name, latency) = (scenario.to_string(), scenario.way == Way::Latency);
        match self.rows.iter_mut().find(|row| row.scenario == name) {
            Some(row) => row.peers.extend(peers),
            None => self.rows.push(Row { scenario: name, latency, peers }),
        }
        let order: Vec<_> = scenario::all(false, None).iter().map(ToString::to_string).collect();
        self.rows.sort_by_key(|row| order.iter().position(|name| *name == row.scenario));
    }
}
