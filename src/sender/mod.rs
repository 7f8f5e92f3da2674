//! From queues to brokers: one task for each broker gathers requests, keeps them in flight and settles the answers.

mod broker;
mod broker_task;
mod brokers;
mod in_flight;
mod partition;
mod producer_id;
mod request;
mod retry;
mod settle;
mod throttle;
mod timers;
pub(crate) mod waiting;

pub(crate) use broker::Broker;
pub(crate) use brokers::Brokers;
pub(crate) use partition::Partition;
pub(crate) use producer_id::SharedProducerId;
pub(crate) use throttle::circuit_open;
