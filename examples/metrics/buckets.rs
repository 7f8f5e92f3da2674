//! Buckets for the producer's histograms. Without them the exporter makes summaries, which cannot be added up over
//! several processes.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};

/// From a broker in the same rack to the default `timeouts.delivery`.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0];
const RECORDS: [f64; 9] = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0];
const BYTES: [f64; 9] = [100.0, 1e3, 3e3, 1e4, 3e4, 1e5, 3e5, 1e6, 3e6];

pub(crate) fn set(builder: PrometheusBuilder) -> Result<PrometheusBuilder, BuildError> {
    builder
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Full("kafka_producer_batch_records".into()), &RECORDS)?
        .set_buckets_for_metric(Matcher::Full("kafka_producer_batch_bytes".into()), &BYTES)
}
