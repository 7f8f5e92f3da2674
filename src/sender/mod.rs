//! From queues to brokers: one lane per broker gathers requests, keeps them in flight and settles what comes
//! back.

mod gate;
mod identities;
mod in_flight;
mod lane;
mod lanes;
mod run;
mod settle;
mod timers;
mod waiting;

pub(crate) use gate::circuit_open;
pub(crate) use identities::Identities;
pub(crate) use lane::Lane;
pub(crate) use lanes::Lanes;
pub(crate) use waiting::Waiting;
