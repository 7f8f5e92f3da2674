//! Where a message may go.

pub(crate) mod topic_name;
