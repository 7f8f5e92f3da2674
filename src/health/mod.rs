//! Health checks: one trait, and a registry that runs them all.

mod check;
mod detail;
mod group;
mod history;
mod registry;
mod report;
#[cfg(test)]
mod tests;

pub use check::{Health, HealthCheck};
pub use detail::{HealthDetail, HealthValue};
pub use registry::{HealthKind, HealthRegistry, Registration};
pub use report::{CheckReport, HealthReport, Status};
