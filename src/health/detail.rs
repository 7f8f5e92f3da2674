//! What a check can show beside its answer.

use std::time::Duration;

use super::Status;

/// One measured value of a check, as in `application/health+json`.
///
/// ```
/// use rskafka_producer::{HealthDetail, Status};
///
/// let detail = HealthDetail::new("utilization", 93u32).of("/var/log").unit("percent").status(Status::Warn);
/// assert_eq!(detail.measurement, "utilization");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HealthDetail {
    /// What is measured.
    pub measurement: String,
    /// The part that is measured, if there are several.
    pub component: Option<String>,
    /// The value.
    pub value: HealthValue,
    /// The unit of the value.
    pub unit: Option<&'static str>,
    /// What the value means. Default [`Status::Pass`].
    pub status: Status,
}

/// The value of a [`HealthDetail`].
#[derive(Clone, Debug, PartialEq)]
pub enum HealthValue {
    /// A number.
    Number(f64),
    /// A text, never a secret.
    Text(String),
}

impl HealthDetail {
    /// A value, with status pass.
    pub fn new(measurement: impl Into<String>, value: impl Into<HealthValue>) -> Self {
        Self {
            measurement: measurement.into(),
            component: None,
            value: value.into(),
            unit: None,
            status: Status::Pass,
        }
    }

    /// A duration, in seconds.
    pub fn time(measurement: impl Into<String>, time: Duration) -> Self {
        let seconds = (time.as_secs_f64() * 1_000.0).round() / 1_000.0;
        Self::new(measurement, HealthValue::Number(seconds)).unit("s")
    }

    /// Sets the part that is measured.
    #[must_use]
    pub fn of(mut self, component: impl Into<String>) -> Self {
        self.component = Some(component.into());
        self
    }

    /// Sets the unit.
    #[must_use]
    pub fn unit(mut self, unit: &'static str) -> Self {
        self.unit = Some(unit);
        self
    }

    setters! {
        status: Status,
    }
}

impl From<u32> for HealthValue {
    fn from(value: u32) -> Self {
        Self::Number(f64::from(value))
    }
}

impl From<f64> for HealthValue {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl From<&str> for HealthValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for HealthValue {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
