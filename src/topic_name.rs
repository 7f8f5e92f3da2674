//! Kafka's rule for topic names, checked before any I/O: Produce answers an invalid name like an unknown one.

const MAX_LEN: usize = 249;

/// Checks `name` by the rule of Kafka's `Topic.validate`. The error says what is wrong with it.
pub(crate) fn check(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("a topic name is empty".into());
    }
    if name == "." || name == ".." {
        return Err(format!("{name:?} is not a topic name"));
    }
    if name.len() > MAX_LEN {
        return Err(format!("a topic name has {} characters; Kafka allows {MAX_LEN}", name.len()));
    }
    match name.chars().find(|c| !matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-')) {
        Some(c) => Err(format!("topic name {name:?} holds {c:?}; Kafka allows a-z, A-Z, 0-9, '.', '_', '-'")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_kafkas() {
        for good in ["a", "A.b_c-9", "...", &"x".repeat(249)] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["", ".", "..", "a b", "a/b", "ä", "a\n", &"x".repeat(250)] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
