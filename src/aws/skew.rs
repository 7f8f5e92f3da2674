//! How far the clock of this machine is off, by the time that servers put into their answers.

use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

use crate::http::date;

/// What the last answer showed, if that matters. Signatures are accepted within five minutes.
#[derive(Debug, Default)]
pub(crate) struct Skew(Mutex<Option<(Duration, bool)>>);

impl Skew {
    /// Compares the header `Date` of an answer with this machine's clock.
    pub(super) fn note(&self, header: Option<&str>, now: SystemTime) {
        if let Some(theirs) = header.and_then(date::parse) {
            *self.0.lock() = date::skew(theirs, now);
        }
    }

    /// A sentence, where the clock is off.
    pub(crate) fn sentence(&self) -> Option<String> {
        let (by, ahead) = (*self.0.lock())?;
        let by = humantime::format_duration(Duration::from_secs(by.as_secs()));
        let direction = if ahead { "ahead of" } else { "behind" };
        Some(format!("the clock of this machine is {by} {direction} that of AWS"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn a_clock_that_is_off_is_described_by_how_much() {
        let skew = Skew::default();
        let noon = UNIX_EPOCH + Duration::from_secs(1_440_936_000);
        let date = Some("Sun, 30 Aug 2015 12:00:00 GMT");
        assert_eq!(skew.sentence(), None);
        for (seconds, expected) in [
            (0, None),
            (30, None),
            (-30, None),
            (660, Some("the clock of this machine is 11m ahead of that of AWS")),
            (-7_205, Some("the clock of this machine is 2h 5s behind that of AWS")),
        ] {
            let shift = Duration::from_secs(i64::unsigned_abs(seconds));
            skew.note(date, if seconds < 0 { noon - shift } else { noon + shift });
            assert_eq!(skew.sentence().as_deref(), expected, "{seconds}");
        }
        skew.note(Some("yesterday"), noon);
        skew.note(None, noon);
        assert!(skew.sentence().is_some(), "an answer without a date says nothing");
    }
}
