//! Every version of every message, against a codec that shares no code with ours; answers with fields that later versions
//! may add, too. `Produce` requests, which need batches, are read by the fake cluster of `tests/suite/versions.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages as theirs;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use zeroize::Zeroizing;

use super::*;
use crate::engine::native::net::frame::{frame, read_answer};
use crate::engine::{Leadership, NodeId, TopicId};

/// Every version of a request that we speak.
fn versions<R: Request>() -> std::ops::RangeInclusive<i16> {
    R::VERSIONS.min..=R::VERSIONS.max
}

/// What they read of what we wrote: header and body.
fn written<R: Request, T: Decodable>(request: &R, version: i16) -> T {
    let frame = frame(request, version, 7, "us");
    let mut bytes = Bytes::from(frame.iter().collect::<Vec<_>>().concat());
    assert_eq!(bytes.get_i32() as usize, bytes.len(), "version {version}");
    let header_version = if version >= R::FLEXIBLE_FROM { 2 } else { 1 };
    let header = theirs::RequestHeader::decode(&mut bytes, header_version).unwrap();
    assert_eq!((header.request_api_key, header.request_api_version), (R::KEY.code(), version));
    assert_eq!((header.correlation_id, header.client_id.as_deref()), (7, Some("us")));
    let read = T::decode(&mut bytes, version).unwrap();
    assert!(bytes.is_empty(), "version {version}");
    read
}

/// What we read of what they wrote.
fn read<R: Request>(answer: &impl Encodable, version: i16) -> R::Answer {
    let mut out = BytesMut::new();
    // ApiVersions alone has a header without them.
    if version >= R::FLEXIBLE_FROM && R::KEY != ApiKey::ApiVersions {
        out.extend_from_slice(&[1, 9, 2, 7, 7]); // the header's own: tag 9, two bytes
    }
    answer.encode(&mut out, version).unwrap();
    read_answer::<R>(&out, version).unwrap_or_else(|error| panic!("version {version}: {error}"))
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Fields that are not known yet, where a version can carry them.
fn unknown(flexible: bool) -> BTreeMap<i32, Bytes> {
    match flexible {
        true => BTreeMap::from([(90, Bytes::from_static(b"later")), (91, Bytes::new())]),
        false => BTreeMap::new(),
    }
}

#[test]
fn produce_answers() {
    for number in versions::<ProduceRequest<'_>>() {
        let more = || unknown(number >= 9);
        let mut partition = PartitionProduceResponse::default()
            .with_index(7)
            .with_error_code(87)
            .with_base_offset(41)
            .with_log_append_time_ms(42)
            .with_unknown_tagged_fields(more());
        if number >= 8 {
            let bad = BatchIndexAndErrorMessage::default()
                .with_batch_index(3)
                .with_batch_index_error_message(Some(text("no key")))
                .with_unknown_tagged_fields(more());
            partition = partition.with_record_errors(vec![bad]).with_error_message(Some(text("rejected")));
        }
        if number >= 10 {
            let leader = LeaderIdAndEpoch::default().with_leader_id(theirs::BrokerId(2)).with_leader_epoch(5);
            partition = partition.with_current_leader(leader);
        }
        let topic = TopicProduceResponse::default()
            .with_partition_responses(vec![partition])
            .with_unknown_tagged_fields(more());
        let (topic, called) = match number >= 13 {
            true => (topic.with_topic_id(uuid::Uuid::from_u128(99)), TopicKey::Id(TopicId::new(99))),
            false => (topic.with_name(theirs::TopicName(text("t"))), TopicKey::Name("t".into())),
        };
        let mut answer = theirs::ProduceResponse::default()
            .with_responses(vec![topic])
            .with_throttle_time_ms(250)
            .with_unknown_tagged_fields(more());
        if number >= 10 {
            let endpoint = NodeEndpoint::default()
                .with_node_id(theirs::BrokerId(2))
                .with_host(text("kafka-2"))
                .with_port(9092)
                .with_unknown_tagged_fields(more());
            answer = answer.with_node_endpoints(vec![endpoint]);
        }
        let read = read::<ProduceRequest<'_>>(&answer, number);
        assert_eq!(read.throttle, Duration::from_millis(250));
        let (topic, partitions) = &read.topics[0];
        let (index, answer) = &partitions[0];
        assert_eq!((topic, *index, answer.error_code), (&called, 7, 87));
        let leader = (number >= 10).then_some(Leadership { node: Some(NodeId(2)), epoch: 5 });
        assert_eq!(answer.leader, leader);
        let hosts: Vec<_> =
            read.brokers.iter().map(|broker| (broker.id, broker.host.as_str(), broker.port)).collect();
        assert_eq!(hosts, if number >= 10 { vec![(2, "kafka-2", 9092)] } else { vec![] });
        assert_eq!((answer.base_offset, answer.append_time), (Some(41), Some(42)));
        let bad: &[_] = if number >= 8 { &[(3, Some("no key".to_owned()))] } else { &[] };
        assert_eq!((answer.names_bad_records, &answer.bad_records[..]), (number >= 8, bad));
        assert_eq!(answer.detail.as_deref(), (number >= 8).then_some("rejected"));
    }
}

#[test]
fn init_producer_id() {
    // Version 6 is in none of their releases yet: see the test below and `golden`.
    for number in versions::<InitProducerIdRequest>().take_while(|number| *number <= 5) {
        let asked: theirs::InitProducerIdRequest = written(&InitProducerIdRequest, number);
        assert_eq!(asked.transactional_id, None);
        if number >= 3 {
            assert_eq!((asked.producer_id.0, asked.producer_epoch), (-1, -1));
        }
        let answer = theirs::InitProducerIdResponse::default()
            .with_producer_id(theirs::ProducerId(1_000))
            .with_producer_epoch(3)
            .with_unknown_tagged_fields(unknown(number >= 2));
        let read = read::<InitProducerIdRequest>(&answer, number);
        assert_eq!((read.error_code, read.producer_id, read.epoch), (0, 1_000, 3));
    }
}

/// By Kafka's `InitProducerIdResponse.json`, which no other codec in Rust has yet.
#[test]
fn init_producer_id_in_version_6() {
    let answer = [&[0][..], &[0; 4], &[0; 2], &1_000i64.to_be_bytes(), &[0, 3], &[0xff; 10], &[0]].concat();
    let read = read_answer::<InitProducerIdRequest>(&answer, 6).unwrap();
    assert_eq!((read.error_code, read.producer_id, read.epoch), (0, 1_000, 3));
}

#[test]
fn metadata() {
    use kafka_protocol::messages::metadata_response::{
        MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
    };
    let topics: [Arc<str>; 2] = ["orders".into(), "x".repeat(200).into()];
    for number in versions::<MetadataRequest<'_>>() {
        let asked = MetadataRequest { topics: &topics, allow_auto_topic_creation: true };
        let asked: theirs::MetadataRequest = written(&asked, number);
        let names: Vec<_> = asked.topics.unwrap().iter().map(|topic| topic.name.clone().unwrap()).collect();
        assert_eq!((names[0].as_str(), names[1].len()), ("orders", 200));
        assert!(asked.allow_auto_topic_creation);

        let more = || unknown(number >= 9);
        let partition = MetadataResponsePartition::default()
            .with_partition_index(4)
            .with_leader_id(theirs::BrokerId(2))
            .with_leader_epoch(if number >= 7 { 6 } else { -1 })
            .with_replica_nodes(vec![theirs::BrokerId(2), theirs::BrokerId(3)])
            .with_isr_nodes(vec![theirs::BrokerId(2)])
            .with_unknown_tagged_fields(more());
        let topic = MetadataResponseTopic::default()
            .with_name(Some(theirs::TopicName(text("orders"))))
            .with_partitions(vec![partition])
            .with_unknown_tagged_fields(more());
        let broker = MetadataResponseBroker::default()
            .with_node_id(theirs::BrokerId(2))
            .with_host(text("kafka-2"))
            .with_port(9092)
            .with_rack(Some(text("zone-b")))
            .with_unknown_tagged_fields(more());
        let answer = theirs::MetadataResponse::default()
            .with_brokers(vec![broker])
            .with_cluster_id(Some(text("cluster")))
            .with_topics(vec![topic])
            .with_error_code(if number >= 13 { 129 } else { 0 })
            .with_unknown_tagged_fields(more());
        let read = read::<MetadataRequest<'_>>(&answer, number);
        assert_eq!(read.error_code, if number >= 13 { 129 } else { 0 });
        assert_eq!(read.cluster_id.as_deref(), Some("cluster"));
        let broker = &read.brokers[0];
        assert_eq!((broker.id, broker.host.as_str(), broker.port), (2, "kafka-2", 9092));
        assert_eq!(broker.rack.as_deref(), Some("zone-b"));
        let topic = &read.topics[0];
        let partition = &topic.partitions[0];
        assert_eq!((topic.name.as_str(), partition.index, partition.leader), ("orders", 4, 2));
        assert_eq!(partition.leader_epoch, if number >= 7 { 6 } else { -1 });
    }
}

#[test]
fn sasl() {
    for number in versions::<SaslHandshakeRequest>() {
        let asked: theirs::SaslHandshakeRequest =
            written(&SaslHandshakeRequest { mechanism: "PLAIN" }, number);
        assert_eq!(asked.mechanism.as_str(), "PLAIN");
        let answer = theirs::SaslHandshakeResponse::default()
            .with_error_code(33)
            .with_mechanisms(vec![text("SCRAM-SHA-256")]);
        let read = read::<SaslHandshakeRequest>(&answer, number);
        assert_eq!((read.error_code, read.mechanisms), (33, vec!["SCRAM-SHA-256".to_owned()]));
    }
    for number in versions::<SaslAuthenticateRequest>() {
        let request = SaslAuthenticateRequest { message: Zeroizing::new(vec![7; 300]) };
        let asked: theirs::SaslAuthenticateRequest = written(&request, number);
        assert_eq!(asked.auth_bytes.len(), 300);
        let answer = theirs::SaslAuthenticateResponse::default()
            .with_error_code(58)
            .with_error_message(Some(text("no")))
            .with_auth_bytes(Bytes::from_static(b"v=ab"))
            .with_session_lifetime_ms(if number >= 1 { 1_000 } else { 0 })
            .with_unknown_tagged_fields(unknown(number >= 2));
        let read = read::<SaslAuthenticateRequest>(&answer, number);
        assert_eq!(
            (read.error_code, read.error_message.as_deref(), &read.message[..]),
            (58, Some("no"), &b"v=ab"[..])
        );
        assert_eq!(read.session_lifetime_ms, if number >= 1 { 1_000 } else { 0 });
    }
}

#[test]
fn api_versions() {
    use kafka_protocol::messages::api_versions_response::ApiVersion;
    let software = Software { name: "shop".into(), version: "1.2".into() };
    for number in versions::<ApiVersionsRequest<'_>>() {
        let request = ApiVersionsRequest { software: &software };
        let asked: theirs::ApiVersionsRequest = written(&request, number);
        let (name, version) = (asked.client_software_name.as_str(), asked.client_software_version.as_str());
        assert_eq!((name, version), if number >= 3 { ("shop", "1.2") } else { ("", "") });
        let key = ApiVersion::default()
            .with_api_key(0)
            .with_min_version(3)
            .with_max_version(11)
            .with_unknown_tagged_fields(unknown(number >= 3));
        let answer = theirs::ApiVersionsResponse::default()
            .with_api_keys(vec![key])
            .with_unknown_tagged_fields(unknown(number >= 3));
        let read = read::<ApiVersionsRequest<'_>>(&answer, number);
        assert_eq!(read.offered.get(ApiKey::Produce), Some(VersionRange::new(3, 11)));
    }
}
