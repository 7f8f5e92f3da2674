//! Health checks: one trait, and a registry that runs them all.

mod check;
mod registry;
mod report;

pub use check::{Health, HealthCheck};
pub use registry::{HealthRegistry, Registration};
pub use report::{CheckReport, HealthReport, Status};
