//! What a misspelt name was meant to be.

/// The names that are nearest to `name`, at most three; none where nothing is near.
pub(super) fn misses(name: &str, known: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let lower = name.to_ascii_lowercase();
    let mut near: Vec<_> = known
        .filter_map(|candidate| {
            let distance = match is_part(&lower, candidate) {
                true => 1,
                false => strsim::osa_distance(&lower, candidate),
            };
            (distance <= (lower.chars().count() / 3).clamp(1, 5)).then_some((distance, candidate))
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().map(|(_, candidate)| candidate).take(3).collect()
}

/// Whether some of a name's words, from its start or to its end, were left out.
fn is_part(name: &str, candidate: &str) -> bool {
    let boundary = |c: char| c == '.' || c == '_';
    let start = candidate.strip_prefix(name).is_some_and(|rest| rest.starts_with(boundary));
    start || candidate.strip_suffix(name).is_some_and(|rest| rest.ends_with(boundary))
}

/// Whether `found` can hardly be anything but a slip for `known`: one edit, or two of a long name, or a forgotten
/// `_MS`. Short names are skipped, as too much is one edit away from them.
pub(crate) fn slips(found: &str, known: &str) -> bool {
    let edits = match known.len() {
        ..6 => return false,
        6..10 => 1,
        _ => 2,
    };
    known.strip_suffix("_MS") == Some(found)
        || known.len().abs_diff(found.len()) <= edits
            && strsim::osa_distance(&found.to_ascii_uppercase(), known) <= edits
}

#[cfg(test)]
mod tests {
    use super::super::names;
    use super::*;

    #[test]
    fn a_misspelt_name_finds_the_one_that_was_meant() {
        for (name, meant) in [
            ("linger", "linger.ms"),
            ("linger.mss", "linger.ms"),
            ("LINGER.MS", "linger.ms"),
            ("boostrap.servers", "bootstrap.servers"),
            ("bootstrap.server", "bootstrap.servers"),
            ("batch.lingre", "batch.linger"),
            ("compresion.type", "compression.type"),
            ("max_in_flight", "bulkhead.max_in_flight"),
            ("sasl.pasword", "sasl.password"),
            ("security.protcol", "security.protocol"),
            ("ack", "acks"),
        ] {
            let misses = misses(name, names());
            assert!(misses.contains(&meant), "{name}: {misses:?}");
            assert!(misses.len() <= 3);
        }
        for name in ["", "x", "foo.bar.baz", "ä", &"a".repeat(1_000)] {
            assert!(misses(name, names()).len() <= 3, "{name}");
        }
        assert!(misses("number.of.the.beast", names()).is_empty());
    }
}
