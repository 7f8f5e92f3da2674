//! Settings of other clients that files carry: without effect on this producer, possible in one way only, or refused.

mod others;
mod producers;
mod spring;

pub(super) use spring::{Meaning, meaning};

/// What is done with a setting that is not one of ours.
pub(super) enum Verdict {
    /// Has no effect, for the reason.
    Ignored(&'static str),
    /// Accepted with this value, which is how it is; has no effect with others, for the reason.
    Usually(&'static str, &'static str),
    /// Accepted with this value, which is how it is; refused with others, for the reason.
    Only(&'static str, &'static str),
    /// Refused, for the reason, unless it is empty.
    Refused(&'static str),
    /// It depends on the value.
    Judged(fn(&str) -> Judgement),
}

/// `Ok`: why it has no effect, if that is worth a word. `Err`: why it is refused.
pub(super) type Judgement = Result<Option<&'static str>, Refusal>;

/// Why a value is refused.
pub(super) enum Refusal {
    /// Whatever its value.
    Always(&'static str),
    /// Since only this value is possible.
    Only(&'static str, &'static str),
}

impl Verdict {
    pub(super) fn judge(&self, value: &str) -> Judgement {
        let value = value.trim();
        match self {
            Self::Ignored(why) => Ok(Some(*why)),
            Self::Usually(usual, _) | Self::Only(usual, _) if usual.eq_ignore_ascii_case(value) => Ok(None),
            Self::Usually(_, why) => Ok(Some(*why)),
            Self::Only(only, why) => Err(Refusal::Only(only, why)),
            Self::Refused(_) if value.is_empty() => Ok(None),
            Self::Refused(why) => Err(Refusal::Always(why)),
            Self::Judged(judge) => judge(value),
        }
    }
}

pub(super) fn verdict(name: &str) -> Option<&'static Verdict> {
    let exact = table().find(|(foreign, _)| *foreign == name).map(|(_, verdict)| verdict);
    exact.or_else(|| others::by_prefix(name))
}

/// The names that are known one by one.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    table().map(|(name, _)| *name)
}

fn table() -> impl Iterator<Item = &'static (&'static str, Verdict)> {
    producers::TABLE.iter().chain(others::TABLE)
}
