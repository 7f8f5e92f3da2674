//! The floor: one batch, encoded beforehand and written to a plain socket over and over, five requests in flight,
//! acknowledgements read. No library, no idempotence. In `latency` mode a bare rskafka `Messenger` makes one request
//! at a time.

use std::time::Instant;

use bytes::Bytes;
use peers::{Args, Meter, latency};
use rskafka::messenger::Messenger;
use rskafka::protocol::api_key::ApiKey;
use rskafka::protocol::api_version::ApiVersion;
use rskafka::protocol::messages::{
    ProduceRequest, ProduceRequestPartitionData, ProduceRequestTopicData, RequestHeader, WriteVersionedType,
};
use rskafka::protocol::primitives::{Int16, Int32, NullableString, Records, String_};
use rskafka::protocol::record::{
    ControlBatchOrRecords, Record, RecordBatch, RecordBatchCompression, RecordBatchTimestampType,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const IN_FLIGHT: usize = 5;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args = Args::parse(0);
    let payload = &args.payloads()[0];
    if args.latency {
        return bare_messenger(&args, payload).await;
    }
    let per_batch = (1_000_000 / (args.size + 12)).max(1);
    let frame = frame(&args.topics[0], payload, per_batch);
    let socket = TcpStream::connect(&args.bootstrap).await.expect("a broker");
    socket.set_nodelay(true).expect("a socket");
    let (reader, mut writer) = socket.into_split();
    let mut reader = BufReader::new(reader);
    let requests = args.records / per_batch;
    let (meter, mut answered) = (Meter::default(), 0);
    for sent in 0..requests {
        if sent - answered >= IN_FLIGHT {
            read(&mut reader).await;
            answered += 1;
        }
        writer.write_all(&frame).await.expect("a write");
    }
    while answered < requests {
        read(&mut reader).await;
        answered += 1;
    }
    meter.flood(&Args { records: requests * per_batch, ..args }, 0);
}

async fn read(reader: &mut (impl AsyncReadExt + Unpin)) {
    let length = reader.read_u32().await.expect("an answer") as usize;
    let mut answer = vec![0; length];
    reader.read_exact(&mut answer).await.expect("an answer");
}

async fn bare_messenger(args: &Args, payload: &Bytes) {
    let socket = TcpStream::connect(&args.bootstrap).await.expect("a broker");
    socket.set_nodelay(true).expect("a socket");
    let stream = tokio::io::BufStream::with_capacity(8 << 10, 64 << 10, socket);
    let mut messenger = Messenger::new(stream, 16 << 20, "floor".into());
    messenger.sync_versions().await.expect("versions");
    let mut times = Vec::with_capacity(args.records);
    for _ in 0..args.records {
        let started = Instant::now();
        messenger.request(request(&args.topics[0], payload, 1)).await.expect("a delivery");
        times.push(started.elapsed());
    }
    latency(times);
}

/// One batch of `count` equal records.
fn request(topic: &str, payload: &Bytes, count: usize) -> ProduceRequest {
    let record = |n: usize| Record {
        timestamp_delta: 0,
        offset_delta: n as i32,
        key: None,
        value: Some(payload.to_vec()),
        headers: Vec::new(),
    };
    let batch = RecordBatch {
        base_offset: 0,
        partition_leader_epoch: 0,
        last_offset_delta: count as i32 - 1,
        first_timestamp: NOW,
        max_timestamp: NOW,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        records: ControlBatchOrRecords::Records((0..count).map(record).collect()),
        compression: RecordBatchCompression::NoCompression,
        is_transactional: false,
        timestamp_type: RecordBatchTimestampType::CreateTime,
    };
    ProduceRequest {
        transactional_id: NullableString(None),
        acks: Int16(-1),
        timeout_ms: Int32(30_000),
        topic_data: vec![ProduceRequestTopicData {
            name: String_(topic.to_owned()),
            partition_data: vec![ProduceRequestPartitionData {
                index: Int32(0),
                records: Records(vec![batch]),
            }],
        }],
    }
}

fn frame(topic: &str, payload: &Bytes, count: usize) -> Vec<u8> {
    let header = RequestHeader {
        request_api_key: ApiKey::Produce,
        request_api_version: VERSION,
        correlation_id: Int32(1),
        client_id: Some(NullableString(Some("floor".into()))),
        tagged_fields: None,
    };
    let mut frame = vec![0; 4];
    header.write_versioned(&mut frame, ApiVersion(Int16(1))).expect("a header");
    request(topic, payload, count).write_versioned(&mut frame, VERSION).expect("a body");
    let length = (frame.len() - 4) as u32;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame
}

const VERSION: ApiVersion = ApiVersion(Int16(7));
/// Any time that the broker keeps.
const NOW: i64 = 1_795_000_000_000;
