//! The span of OpenTelemetry that is current, as headers by W3C's Trace Context (<https://www.w3.org/TR/trace-context/>).

use opentelemetry::Context;
use opentelemetry::trace::{TraceContextExt, TraceFlags};

use super::propagation::{Propagator, TraceHeaders};

impl Propagator {
    /// A propagator that adds `traceparent`, and `tracestate` unless it is empty, of OpenTelemetry's current span; see
    /// [`TelemetryConfig::opentelemetry`](crate::TelemetryConfig::opentelemetry).
    #[cfg_attr(docsrs, doc(cfg(feature = "opentelemetry")))]
    #[must_use]
    pub fn opentelemetry() -> Self {
        Self::new(|headers| Context::map_current(|context| add(context, headers)))
    }
}

/// The API crate has no propagator of this format; that of the SDK sets an empty `tracestate`.
fn add(context: &Context, headers: &mut TraceHeaders) {
    let span = context.span();
    let span = span.span_context();
    if span.is_valid() {
        // Version 0 knows one flag.
        let flags = span.trace_flags() & TraceFlags::SAMPLED;
        headers.set("traceparent", format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id()));
        headers.set("tracestate", span.trace_state().header());
    }
}
