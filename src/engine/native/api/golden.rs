//! Every version of every request, byte for byte as Apache Kafka's own client writes it (`golden/Golden.java`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::*;
use crate::engine::native::net::frame::frame;
use crate::engine::{PartitionBatch, TopicId};
use crate::message::Message;
use crate::record::{Records, Sequence, Stamp};

const REQUESTS: &str = include_str!("golden/requests.csv");

fn written<R: Request>(request: &R, version: i16) -> String {
    let frame = frame(request, version, 7, "us");
    // Without its size.
    frame.iter().flatten().skip(4).map(|byte| format!("{byte:02x}")).collect()
}

fn produce(version: i16) -> String {
    let mut records = Records::default();
    let at = |timestamp| Stamp { timestamp, expires_after: u32::MAX };
    let full = Message::new("value").key("key").header("h", "x").null_header("n");
    assert!(records.push(&full, at(1_700_000_000_000), usize::MAX));
    assert!(records.push(&Message::default(), at(1_700_000_000_250), usize::MAX));
    let batch = PartitionBatch {
        topic: &"orders".into(),
        topic_id: TopicId::new(1 << 64 | 99),
        partition: 7,
        records: &records,
        sequence: Some(Sequence { producer_id: 1_000, epoch: 3, first: 5 }),
        encoded: None,
    };
    let request = ProduceRequest { acks: -1, timeout: Duration::from_secs(30), batches: &[batch] };
    written(&request, version)
}

#[test]
fn requests_are_written_as_kafka_writes_them() {
    let software = Software { name: "shop".into(), version: "1.2".into() };
    let topics: [Arc<str>; 1] = ["orders".into()];
    let message = || Zeroizing::new(b"\0u\0p".to_vec());
    let mut seen = BTreeSet::new();
    for line in REQUESTS.lines() {
        let [name, version, theirs] = line.split(',').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let number: i16 = version.parse().unwrap();
        let ours = match name {
            "ApiVersions" => written(&ApiVersionsRequest { software: &software }, number),
            "Metadata" => {
                written(&MetadataRequest { topics: &topics, allow_auto_topic_creation: true }, number)
            }
            "InitProducerId" => written(&InitProducerIdRequest, number),
            "SaslHandshake" => written(&SaslHandshakeRequest { mechanism: "PLAIN" }, number),
            "SaslAuthenticate" => written(&SaslAuthenticateRequest { message: message() }, number),
            "Produce" => produce(number),
            _ => panic!("{name}"),
        };
        assert_eq!(ours, theirs, "{name} in version {number}");
        seen.insert((name, number));
    }
    fn spoken<R: Request>(name: &str) -> impl Iterator<Item = (&str, i16)> {
        (R::VERSIONS.min..=R::VERSIONS.max).map(move |version| (name, version))
    }
    let all = spoken::<ApiVersionsRequest<'_>>("ApiVersions")
        .chain(spoken::<MetadataRequest<'_>>("Metadata"))
        .chain(spoken::<InitProducerIdRequest>("InitProducerId"))
        .chain(spoken::<SaslHandshakeRequest>("SaslHandshake"))
        .chain(spoken::<SaslAuthenticateRequest>("SaslAuthenticate"))
        .chain(spoken::<ProduceRequest<'_>>("Produce"));
    assert_eq!(seen, all.collect());
}
