//! Guides.

#[doc = include_str!("configuration.md")]
pub mod configuration {}

#[doc = include_str!("guarantees.md")]
pub mod guarantees {}

#[doc = include_str!("brokers.md")]
pub mod brokers {}

#[doc = include_str!("errors.md")]
pub mod errors {}

#[doc = include_str!("security.md")]
pub mod security {}

#[doc = include_str!("serverless.md")]
pub mod serverless {}

#[doc = include_str!("resilience.md")]
pub mod resilience {}

#[doc = include_str!("performance.md")]
#[doc = include_str!("peers.md")]
pub mod performance {}

#[doc = include_str!("testing.md")]
pub mod testing {}

#[doc = include_str!("invariants.md")]
pub mod invariants {}

#[doc = include_str!("comparison.md")]
pub mod comparison {}

#[doc = include_str!("telemetry.md")]
pub mod telemetry {}

#[doc = include_str!("health.md")]
pub mod health {}

#[doc = include_str!("static_builds.md")]
pub mod static_builds {}

#[doc = include_str!("dependencies.md")]
pub mod dependencies {}

#[doc = include_str!("migrating.md")]
pub mod migrating {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use base64::Engine;

    const ROOT: &str = env!("CARGO_MANIFEST_DIR");

    /// Where the front page of the documentation leads instead of to a file of the repository.
    fn target(path: &str) -> String {
        if path.ends_with(".svg") {
            let image = std::fs::read(format!("{ROOT}/{path}")).unwrap();
            let encoded = base64::engine::general_purpose::STANDARD.encode(image);
            return format!("data:image/svg+xml;base64,{encoded}");
        }
        match path.strip_prefix("src/docs/").and_then(|file| file.strip_suffix(".md")) {
            Some(guide) => format!("crate::docs::{guide}"),
            None => format!("{}/blob/main/{path}", env!("CARGO_PKG_REPOSITORY")),
        }
    }

    /// With `UPDATE_GUIDES=1` they are written instead.
    #[test]
    fn the_front_page_has_every_link_of_readme_and_its_chart() {
        let readme = include_str!("../../README.md");
        let definitions = readme.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: "));
        let links: String = definitions
            .filter(|(_, path)| !path.contains("://"))
            .map(|(name, path)| format!("[{name}]: {}\n", target(path)))
            .collect();
        assert!(links.contains("[peers]: data:image/svg+xml"), "{links}");
        let file = format!("{ROOT}/src/docs/readme_links.md");
        if std::env::var_os("UPDATE_GUIDES").is_some() {
            std::fs::write(file, links).unwrap();
            return;
        }
        assert!(std::fs::read_to_string(file).unwrap() == links, "run it with UPDATE_GUIDES=1");
    }
}
