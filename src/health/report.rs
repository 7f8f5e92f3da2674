//! What the checks found, in the format `application/health+json`
//! (<https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06>) and an HTTP status.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::{Health, HealthDetail, HealthValue};
use crate::clock::millis;

names! {
    /// The outcome of a check, of a detail or of all checks.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Status {
        /// Everything is up.
        #[default]
        Pass = "pass",
        /// Something is degraded, or something that is not critical is down.
        Warn = "warn",
        /// Something critical is down.
        Fail = "fail",
    }

    /// Its name in a report.
    as_str;

    /// Every status, the best first.
    ALL;
}

/// The result of one check.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckReport {
    /// Name of the check.
    pub name: String,
    /// Whether the service is down when it is.
    pub critical: bool,
    /// Its outcome.
    pub health: Health,
    /// Its details.
    pub details: Vec<HealthDetail>,
    /// Its duration.
    pub took: Duration,
    /// When it ran.
    pub at: SystemTime,
    /// Since when it has this status.
    pub since: SystemTime,
    /// How many times in a row it was down.
    pub consecutive_failures: u32,
}

/// The results of all checks.
#[derive(Clone, Debug)]
pub struct HealthReport {
    service_id: Option<String>,
    status: Status,
    at: SystemTime,
    checks: Vec<CheckReport>,
}

impl CheckReport {
    pub(super) fn new(name: &str, critical: bool, health: Health, took: Duration, at: SystemTime) -> Self {
        let details = Vec::new();
        Self { name: name.into(), critical, health, details, took, at, since: at, consecutive_failures: 0 }
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> Status {
        match self.health {
            Health::Up => Status::Pass,
            Health::Degraded(_) => Status::Warn,
            Health::Down { .. } => Status::Fail,
        }
    }
}

impl HealthReport {
    pub(super) fn new(service_id: Option<String>, checks: Vec<CheckReport>) -> Self {
        Self { service_id, status: overall(&checks), at: SystemTime::now(), checks }
    }

    /// The media type of [`to_json`](Self::to_json).
    pub const MEDIA_TYPE: &'static str = "application/health+json";

    /// The status of the service.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Each check, in the order of registration.
    #[must_use]
    pub fn checks(&self) -> &[CheckReport] {
        &self.checks
    }

    /// Its age: reports are cached.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.at.elapsed().unwrap_or_default()
    }

    /// 200 if the service is up or degraded, 503 if it is down.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self.status {
            Status::Pass | Status::Warn => 200,
            Status::Fail => 503,
        }
    }

    /// The report as `application/health+json`. `since`, `consecutiveFailures` and `critical` of a check are extensions,
    /// as the draft allows.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut checks = Map::new();
        for check in &self.checks {
            checks.insert(format!("{}:responseTime", check.name), json!([check_json(check)]));
            for detail in &check.details {
                let name = format!("{}:{}", check.name, detail.measurement);
                let all = checks.entry(name).or_insert_with(|| json!([]));
                if let Some(all) = all.as_array_mut() {
                    all.push(detail_json(detail, check.at));
                }
            }
        }
        let mut json = json!({ "status": self.status.as_str(), "checks": checks });
        put(&mut json, "serviceId", self.service_id.clone());
        json.to_string()
    }
}

fn check_json(check: &CheckReport) -> Value {
    let mut json = json!({
        "componentType": "datastore",
        "status": check.status().as_str(),
        "observedValue": millis(check.took),
        "observedUnit": "ms",
        "time": rfc3339(check.at),
        "since": rfc3339(check.since),
        "critical": check.critical,
    });
    put(&mut json, "output", check.health.reason());
    put(&mut json, "consecutiveFailures", Some(check.consecutive_failures).filter(|failures| *failures > 0));
    json
}

fn detail_json(detail: &HealthDetail, at: SystemTime) -> Value {
    let value = match &detail.value {
        HealthValue::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => json!(*number as i64),
        HealthValue::Number(number) => json!(number),
        HealthValue::Text(text) => json!(text),
    };
    let mut json = json!({
        "componentType": "datastore",
        "observedValue": value,
        "status": detail.status.as_str(),
        "time": rfc3339(at),
    });
    put(&mut json, "componentId", detail.component.clone());
    put(&mut json, "observedUnit", detail.unit);
    json
}

fn put(json: &mut Value, name: &str, value: Option<impl Into<Value>>) {
    if let (Some(value), Some(object)) = (value, json.as_object_mut()) {
        object.insert(name.into(), value.into());
    }
}

/// What the worst of all checks makes of the whole.
fn overall(checks: &[CheckReport]) -> Status {
    let status = checks.iter().map(|check| match check.status() {
        Status::Fail if !check.critical => Status::Warn,
        status => status,
    });
    status.max().unwrap_or(Status::Pass)
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
    use super::*;
    use crate::error::{Error, ErrorKind};

    #[test]
    fn the_json_is_that_of_the_draft() {
        let at = UNIX_EPOCH + Duration::from_secs(1_795_521_000);
        let check = |name: &str, health| CheckReport::new(name, true, health, Duration::from_millis(12), at);
        let down = Error::new(ErrorKind::Unreachable, "cannot reach \"b:9092\"");
        let mut kafka = check("kafka-producer", Health::down(&down));
        kafka.consecutive_failures = 3;
        kafka.details = vec![
            HealthDetail::new("circuitBreaker", "closed").of("a:9092"),
            HealthDetail::new("circuitBreaker", "open").of("b:9092").status(Status::Warn),
            HealthDetail::time("metadataAge", Duration::from_millis(1_500)),
        ];
        let checks = vec![kafka, check("disk", Health::Up)];
        let report = HealthReport::new(Some("orders".into()), checks);
        let json: Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(json["status"], "fail");
        let kafka = &json["checks"]["kafka-producer:responseTime"][0];
        assert_eq!(kafka["output"], "KAFKA_BROKERS_UNAVAILABLE: cannot reach \"b:9092\"");
        assert_eq!(kafka["observedValue"], 12);
        assert_eq!(kafka["time"], "2026-11-24T11:50:00Z");
        assert_eq!(kafka["consecutiveFailures"], 3);
        let breakers = &json["checks"]["kafka-producer:circuitBreaker"];
        assert_eq!((&breakers[0]["componentId"], &breakers[0]["status"]), (&json!("a:9092"), &json!("pass")));
        assert_eq!((&breakers[1]["observedValue"], &breakers[1]["status"]), (&json!("open"), &json!("warn")));
        let age = &json["checks"]["kafka-producer:metadataAge"][0];
        assert_eq!((&age["observedValue"], &age["observedUnit"]), (&json!(1.5), &json!("s")));
        assert!(json["checks"]["disk:responseTime"][0].get("output").is_none());
        assert_eq!(json["serviceId"], "orders");
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
