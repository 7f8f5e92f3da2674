//! What the checks said before.

use std::collections::HashMap;
use std::time::SystemTime;

use super::report::{CheckReport, Status};

/// How each check has been, by name.
#[derive(Debug, Default)]
pub(super) struct History {
    checks: HashMap<String, Past>,
}

#[derive(Clone, Copy, Debug)]
struct Past {
    status: Status,
    since: SystemTime,
    failures: u32,
}

impl History {
    /// Adds a check's past to its report. Returns the status that it had, if it has another now; a check is taken to
    /// have been well before it was first asked.
    pub(super) fn note(&mut self, report: &mut CheckReport) -> Option<Status> {
        let now = report.status();
        let past = self.checks.get(&report.name).copied();
        let before = past.map_or(Status::Pass, |past| past.status);
        let since = past.filter(|past| past.status == now).map_or(report.at, |past| past.since);
        let failures = match now {
            Status::Fail => past.map_or(0, |past| past.failures) + 1,
            _ => 0,
        };
        (report.since, report.consecutive_failures) = (since, failures);
        self.checks.insert(report.name.clone(), Past { status: now, since, failures });
        (before != now).then_some(before)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::health::Health;

    fn report(health: Health, second: u64) -> CheckReport {
        let at = UNIX_EPOCH + Duration::from_secs(second);
        CheckReport::new("c", true, health, Duration::ZERO, at)
    }

    #[test]
    fn failures_are_counted_in_a_row_and_each_change_is_reported_once() {
        let mut history = History::default();
        let mut seen = |health, second| {
            let mut report = report(health, second);
            let change = history.note(&mut report);
            let since = report.since.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            (change, report.consecutive_failures, since)
        };
        let down = || Health::down_because("gone");
        assert_eq!(seen(Health::Up, 1), (None, 0, 1));
        assert_eq!(seen(Health::Up, 2), (None, 0, 1));
        assert_eq!(seen(down(), 3), (Some(Status::Pass), 1, 3));
        assert_eq!(seen(down(), 4), (None, 2, 3));
        assert_eq!(seen(Health::Degraded("slow".into()), 5), (Some(Status::Fail), 0, 5));
        assert_eq!(seen(down(), 6), (Some(Status::Warn), 1, 6));
        assert_eq!(seen(Health::Up, 7), (Some(Status::Fail), 0, 7));
    }

    #[test]
    fn a_check_that_is_down_from_the_first_is_seen() {
        let change = History::default().note(&mut report(Health::down_because("never up"), 1));
        assert_eq!(change, Some(Status::Pass));
    }
}
