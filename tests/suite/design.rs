//! The guide for contributors describes the tree as it is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const DESIGN: &str = include_str!("../../src/docs/design.md");

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

/// What stands in backticks, outside blocks of code.
fn quoted() -> impl Iterator<Item = &'static str> {
    let prose = DESIGN.split("```").step_by(2);
    prose.flat_map(|part| part.split('`').skip(1).step_by(2))
}

#[test]
fn every_path_that_the_guide_mentions_exists() {
    let is_path = |word: &&str| word.contains('/') || word.ends_with(".rs");
    let paths: Vec<_> = quoted().filter(is_path).collect();
    assert!(paths.len() > 40, "{paths:?}");
    for path in paths {
        let exists = |folder: &str| Path::new(ROOT).join(folder).join(path).exists();
        assert!(exists("src") || exists(""), "{path} does not exist");
    }
}

#[test]
fn every_test_that_the_guide_mentions_exists() {
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        sources(&Path::new(ROOT).join(folder), &mut files);
    }
    let texts = files.iter().filter(|path| path.extension().is_some_and(|e| e == "rs"));
    let code: String = texts.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let is_test = |word: &&str| word.matches('_').count() > 2 && !word.contains('/');
    let tests: BTreeSet<_> = quoted().filter(is_test).collect();
    assert!(tests.len() > 15, "{tests:?}");
    for test in tests {
        assert!(code.contains(&format!("fn {test}(")), "there is no test {test}");
    }
}

#[test]
fn the_tree_of_the_guide_is_that_of_the_sources() {
    let tree = DESIGN.split("```").nth(1).unwrap();
    for entry in std::fs::read_dir(Path::new(ROOT).join("src")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            tree.contains(&name) || ["docs", "lib.rs"].contains(&&*name),
            "{name} is missing in the guide"
        );
    }
}

/// "Where is … ?" has one answer in the guide, and names one file first.
#[test]
fn the_questions_of_newcomers_have_an_answer() {
    for (question, file) in [
        ("batch retried", "sender/retry.rs"),
        ("throttling", "sender/throttle.rs"),
        ("deadline end a message", "accumulator/queue/deadlines.rs"),
        ("wire format of Produce", "engine/native/api/produce.rs"),
        ("circuit breaker open", "resilience/breaker.rs"),
        ("topic abandoned", "metadata/abandoned.rs"),
    ] {
        let row = DESIGN.lines().find(|line| line.starts_with('|') && line.contains(question));
        assert!(row.is_some_and(|row| row.split('`').nth(1) == Some(file)), "{question}");
    }
}
