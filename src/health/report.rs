//! What the checks found, and how it is told: `application/health+json`
//! (<https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06>) and an HTTP status.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::Health;
use super::registry::overall;

/// The whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Everything is up.
    Pass,
    /// Something is degraded, or something that is not critical is down.
    Warn,
    /// Something critical is down.
    Fail,
}

/// What one check found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckReport {
    /// Name of the check.
    pub name: String,
    /// Whether its being down brings the whole down.
    pub critical: bool,
    /// What it found.
    pub health: Health,
    /// How long it took.
    pub took: Duration,
    /// When it was done.
    pub at: SystemTime,
}

/// What all checks found.
#[derive(Clone, Debug)]
pub struct HealthReport {
    status: Status,
    checks: Vec<CheckReport>,
}

impl HealthReport {
    pub(super) fn new(checks: Vec<CheckReport>) -> Self {
        Self { status: overall(&checks), checks }
    }

    /// The media type of [`to_json`](Self::to_json).
    pub const MEDIA_TYPE: &'static str = "application/health+json";

    /// The whole.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Each check, in the order of registration.
    #[must_use]
    pub fn checks(&self) -> &[CheckReport] {
        &self.checks
    }

    /// 200 while the service can work, 503 where it cannot.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self.status {
            Status::Pass | Status::Warn => 200,
            Status::Fail => 503,
        }
    }

    /// The report as `application/health+json`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let checks: Map<String, Value> = self
            .checks
            .iter()
            .map(|check| (format!("{}:responseTime", check.name), json!([check_json(check)])))
            .collect();
        json!({ "status": self.status.as_str(), "checks": checks }).to_string()
    }
}

fn check_json(check: &CheckReport) -> Value {
    let (status, output) = match &check.health {
        Health::Up => ("pass", None),
        Health::Degraded(reason) => ("warn", Some(reason.clone())),
        Health::Down { reason, code } => {
            let output = code.map_or_else(|| reason.clone(), |code| format!("{code}: {reason}"));
            ("fail", Some(output))
        }
    };
    let mut json = json!({
        "componentType": "datastore",
        "status": status,
        "observedValue": check.took.as_millis() as u64,
        "observedUnit": "ms",
        "time": rfc3339(check.at),
    });
    if let (Some(output), Some(object)) = (output, json.as_object_mut()) {
        object.insert("output".into(), output.into());
    }
    json
}

impl Status {
    /// Its name in a report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// UTC with seconds. Days to a date as in Howard Hinnant's `civil_from_days`.
fn rfc3339(at: SystemTime) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, of_day) = ((seconds / 86_400) as i64, seconds % 86_400);
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_shifted + 2) / 5 + 1;
    let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use crate::error::{Error, ErrorKind};

    #[test]
    fn the_json_is_that_of_the_draft() {
        let check = |name: &str, health| CheckReport {
            name: name.into(),
            critical: true,
            health,
            took: Duration::from_millis(12),
            at: UNIX_EPOCH + Duration::from_secs(1_795_521_000),
        };
        let down = Error::new(ErrorKind::Unreachable, "cannot reach \"b:9092\"");
        let report =
            HealthReport::new(vec![check("kafka-producer", Health::down(&down)), check("disk", Health::Up)]);
        let json: Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(json["status"], "fail");
        let kafka = &json["checks"]["kafka-producer:responseTime"][0];
        assert_eq!(kafka["output"], "KAFKA_BROKERS_UNAVAILABLE: cannot reach \"b:9092\"");
        assert_eq!(kafka["observedValue"], 12);
        assert_eq!(kafka["time"], "2026-11-24T11:50:00Z");
        assert!(json["checks"]["disk:responseTime"][0].get("output").is_none());
    }

    #[test]
    fn dates_are_right_at_leap_days_and_year_ends() {
        for (seconds, shown) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), shown);
        }
    }
}
