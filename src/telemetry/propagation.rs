//! The trace that a message belongs to, passed on in headers.

use std::sync::Arc;

use bytes::Bytes;

use crate::error::Result;
use crate::error::callback::guarded;
use crate::message::{Header, Message};

/// Adds the headers of the current trace to each message; see
/// [`TelemetryConfig::propagator`](crate::TelemetryConfig::propagator).
#[derive(Clone)]
pub struct Propagator(Arc<dyn Fn(&mut TraceHeaders) + Send + Sync>);

/// Takes the headers that a [`Propagator`] adds: `traceparent` and `tracestate` of W3C's Trace Context, or those of another
/// tracing system.
#[derive(Debug, Default)]
pub struct TraceHeaders(Vec<Header>);

impl Propagator {
    /// A propagator that calls `inject` for each message, in the task that sends it, before the message is accepted.
    pub fn new(inject: impl Fn(&mut TraceHeaders) + Send + Sync + 'static) -> Self {
        Self(Arc::new(inject))
    }

    /// Adds all headers, or none if the message has one of that name: two halves of two contexts are worse than
    /// either.
    ///
    /// # Errors
    ///
    /// It panicked; the message is as it was.
    pub(crate) fn inject(&self, message: &mut Message) -> Result<()> {
        let mut headers = TraceHeaders::default();
        guarded("the propagator", || (self.0)(&mut headers))?;
        let taken = |new: &Header| message.headers.iter().any(|h| h.name.eq_ignore_ascii_case(&new.name));
        if !headers.0.iter().any(taken) {
            message.headers.append(&mut headers.0);
        }
        Ok(())
    }
}

impl TraceHeaders {
    /// Sets a header; the last value of a name wins. An empty value removes it: injectors often set an empty `tracestate`,
    /// which means the same as none (<https://www.w3.org/TR/trace-context/#tracestate-header>).
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Bytes>) {
        let (name, value) = (name.into(), value.into());
        if value.is_empty() {
            return self.0.retain(|header| header.name != name);
        }
        let header = Header { name, value: Some(value) };
        match self.0.iter_mut().find(|h| h.name == header.name) {
            Some(earlier) => *earlier = header,
            None => self.0.push(header),
        }
    }
}

debug_as!(Propagator, "Propagator");

#[cfg(test)]
mod tests {
    use super::*;

    fn w3c() -> Propagator {
        Propagator::new(|headers| {
            headers.set("traceparent", "00-ours-01");
            headers.set("tracestate", "a=1");
        })
    }

    #[test]
    fn an_empty_value_is_no_header() {
        let propagator = Propagator::new(|headers| {
            headers.set("traceparent", "00-ours-01");
            headers.set("baggage", "a=1");
            headers.set("baggage", "");
            headers.set("tracestate", "");
        });
        let mut message = Message::new("v");
        propagator.inject(&mut message).unwrap();
        let names: Vec<_> = message.headers.iter().map(|header| header.name.as_str()).collect();
        assert_eq!(names, ["traceparent"]);
    }

    #[test]
    fn headers_are_added_behind_those_of_the_message() {
        let mut message = Message::new("v").header("source", "test");
        w3c().inject(&mut message).unwrap();
        let names: Vec<_> = message.headers.iter().map(|h| h.name.as_str()).collect();
        assert_eq!(names, ["source", "traceparent", "tracestate"]);
    }

    #[test]
    fn a_context_that_is_there_is_never_changed_and_never_mixed_with_another() {
        for name in ["traceparent", "Traceparent", "tracestate"] {
            let mut message = Message::new("v").header(name, "theirs");
            let before = message.clone();
            w3c().inject(&mut message).unwrap();
            assert_eq!(message, before);
        }
    }

    #[test]
    fn the_last_value_of_a_name_counts() {
        let mut headers = TraceHeaders::default();
        headers.set("b3", "0");
        headers.set("b3", "1");
        assert_eq!(headers.0, [Header { name: "b3".into(), value: Some("1".into()) }]);
    }
}
