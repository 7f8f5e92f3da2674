//! Throw-away Kafka clusters for tests, examples and anyone's own test suite.

mod stored;

pub use stored::StoredRecord;
