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

#[doc = include_str!("design.md")]
pub mod design {}

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

    fn sources(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => sources(&path, found),
                false if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
                false => {}
            }
        }
    }

    /// Public items of this crate that should have an example, and those of them that have none: the methods of some types,
    /// and the sections of the configuration.
    fn examples(methods_of: &[&str]) -> (usize, Vec<String>) {
        let (mut files, mut seen, mut missing) = (Vec::new(), 0, Vec::new());
        sources(&std::path::Path::new(ROOT).join("src"), &mut files);
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let (mut inside, mut doc) = (false, String::new());
            for line in text.lines() {
                inside |= methods_of.iter().any(|of| line == format!("impl {of} {{"));
                inside &= line != "}";
                let line = line.trim();
                let is_section = line.starts_with("pub struct ") && line.contains("Config ");
                let is_method = inside && line.starts_with("pub ") && line.contains("fn ");
                if line.starts_with("///") || line.starts_with("#[") {
                    doc.push_str(line);
                    continue;
                }
                if (is_section || is_method) && !doc.contains("#[doc(hidden)]") {
                    seen += 1;
                    if !doc.contains("```") {
                        missing.push(format!("{}: {line}", file.display()));
                    }
                }
                doc.clear();
            }
        }
        (seen, missing)
    }

    #[test]
    fn every_public_method_and_every_section_of_the_configuration_has_an_example() {
        let (seen, missing) = examples(&["Producer", "Context", "HealthRegistry"]);
        assert!(seen >= 13 + 7 + 9 + 11, "{seen} items");
        assert!(missing.is_empty(), "without an example: {missing:#?}");
    }
}
