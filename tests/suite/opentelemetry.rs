//! The span of OpenTelemetry that is current where a message is handed over, in the headers of the message.

use ::opentelemetry::Context as OtelContext;
use ::opentelemetry::trace::{
    FutureExt, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider,
};
use kafka_testbed::FakeCluster;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use rskafka_producer::{Message, Producer, ProducerConfig, TelemetryConfig};
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

use crate::support::minute;

async fn producer(cluster: &FakeCluster) -> Producer {
    let telemetry = TelemetryConfig::default().opentelemetry();
    Producer::new(ProducerConfig::new(cluster.bootstrap()).topic("t").telemetry(telemetry)).unwrap()
}

/// The headers of each message that is stored.
fn headers(cluster: &FakeCluster) -> Vec<Vec<(String, String)>> {
    let text = |(name, value): (String, Option<bytes::Bytes>)| {
        (name, String::from_utf8(value.unwrap().to_vec()).unwrap())
    };
    cluster.records("t", 0).into_iter().map(|record| record.headers.into_iter().map(text).collect()).collect()
}

fn subscriber(sampler: Sampler) -> impl tracing::Subscriber + Send + Sync {
    let tracer = SdkTracerProvider::builder().with_sampler(sampler).build().tracer("test");
    tracing_subscriber::registry().with(tracing_opentelemetry::layer().with_tracer(tracer))
}

/// A context that came from elsewhere.
fn remote(flags: TraceFlags, state: &str) -> OtelContext {
    let (trace, span) = (TraceId::from(0xa1), SpanId::from(0xb2));
    let span = SpanContext::new(trace, span, flags, true, state.parse::<TraceState>().unwrap());
    OtelContext::new().with_remote_span_context(span)
}

const REMOTE: &str = "00-000000000000000000000000000000a1-00000000000000b2";

#[tokio::test(start_paused = true)]
async fn the_span_of_tracing_is_in_the_headers_by_every_way_of_sending() {
    for (sampler, flags) in [(Sampler::AlwaysOn, "01"), (Sampler::AlwaysOff, "00")] {
        let _default = tracing::subscriber::set_default(subscriber(sampler));
        let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
        let producer = producer(&cluster).await;
        let request = tracing::info_span!("request");
        let ours = {
            let _entered = request.enter();
            let context = OtelContext::current();
            let span = context.span();
            format!("00-{}-{}-{flags}", span.span_context().trace_id(), span.span_context().span_id())
        };
        assert_eq!(request.context().span().span_context().trace_id().to_string(), ours[3..35]);
        let sends = async {
            producer.send_message(&minute(), "k", "v").await.unwrap();
            tokio::task::yield_now().await;
            producer.send(&minute(), Message::new("v")).await.unwrap();
            producer.enqueue(&minute(), Message::new("v")).await.unwrap().await.unwrap();
            producer.try_enqueue(Message::new("v")).unwrap().await.unwrap();
            producer.send_all(&minute(), [Message::new("v")]).await.pop().unwrap().unwrap();
            producer.topic("t").send(&minute(), Message::new("v")).await.unwrap();
        };
        sends.instrument(request).await;
        let expected = vec![("traceparent".to_owned(), ours)];
        assert_eq!(headers(&cluster), vec![expected; 6], "and no empty tracestate");
        // Outside of it there is no span.
        producer.send(&minute(), Message::new("v")).await.unwrap();
        assert_eq!(headers(&cluster)[6], []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_context_without_tracing_is_in_the_headers_with_its_flag_and_its_state() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let producer = producer(&cluster).await;
    for (flags, state) in
        [(TraceFlags::SAMPLED, ""), (TraceFlags::NOT_SAMPLED, ""), (TraceFlags::new(0xff), "a=1,b=2")]
    {
        producer.send(&minute(), Message::new("v")).with_context(remote(flags, state)).await.unwrap();
    }
    // One that the message has already is left as it is; a span that is not valid is none.
    let theirs = Message::new("v").header("traceparent", "theirs");
    producer.send(&minute(), theirs).with_context(remote(TraceFlags::SAMPLED, "a=1")).await.unwrap();
    let invalid = OtelContext::new().with_remote_span_context(SpanContext::NONE);
    producer.send(&minute(), Message::new("v")).with_context(invalid).await.unwrap();
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        headers(&cluster),
        [
            vec![header("traceparent", &format!("{REMOTE}-01"))],
            vec![header("traceparent", &format!("{REMOTE}-00"))],
            vec![header("traceparent", &format!("{REMOTE}-01")), header("tracestate", "a=1,b=2")],
            vec![header("traceparent", "theirs")],
            vec![],
        ]
    );
}
