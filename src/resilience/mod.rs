//! When to try again, when to leave a broker alone, and how fast to send. Pure: the time is a parameter.

mod backoff;
mod breaker;
mod rate_limit;
mod retry_budget;

pub(crate) use backoff::Backoff;
pub(crate) use breaker::{Breaker, Change};
pub use breaker::{BreakerState, CircuitBreakerConfig, OpenCircuit};
pub use rate_limit::RateLimitConfig;
pub(crate) use rate_limit::RateLimiter;
pub(crate) use retry_budget::RetryBudget;
