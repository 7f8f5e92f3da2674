//! The floor: one batch, encoded beforehand and written to a plain socket over and over, five requests in flight,
//! acknowledgements read. No library, no idempotence. In `latency` mode one record in a request at a time.

use clients::{Args, Meter, Sent};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const IN_FLIGHT: usize = 5;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args = Args::parse(0);
    let payload = args.payloads().of(0).clone();
    let per_batch = if args.latency { 1 } else { (1_000_000 / (args.size + 12)).max(1) };
    let frame = frame(&args.topics[0], &payload, per_batch);
    let socket = TcpStream::connect(&args.bootstrap).await.expect("a broker");
    socket.set_nodelay(true).expect("a socket");
    let (reader, mut writer) = socket.into_split();
    let mut reader = BufReader::new(reader);
    if args.latency {
        let send = async |_| {
            writer.write_all(&frame).await.expect("a write");
            read(&mut reader, &args.topics[0]).await;
        };
        return args.one_at_a_time(send).await;
    }
    let meter = Meter::default();
    let (pace, mut asked, mut answered) = (meter.pace(&args), 0, 0);
    while !pace.is_over() {
        if asked - answered >= IN_FLIGHT {
            read(&mut reader, &args.topics[0]).await;
            answered += 1;
        }
        writer.write_all(&frame).await.expect("a write");
        asked += 1;
    }
    while answered < asked {
        read(&mut reader, &args.topics[0]).await;
        answered += 1;
    }
    meter.flood(&[Sent { records: asked * per_batch, failed: 0 }]);
}

/// Reads an answer, in which the error of the only partition comes behind the topic's name.
async fn read(reader: &mut (impl AsyncReadExt + Unpin), topic: &str) {
    let length = reader.read_u32().await.expect("an answer") as usize;
    let mut answer = vec![0; length];
    reader.read_exact(&mut answer).await.expect("an answer");
    // The correlation id, the number of topics, the name, the number of partitions, the index.
    let at = 4 + 4 + 2 + topic.len() + 4 + 4;
    assert_eq!(answer.get(at..at + 2), Some(&[0, 0][..]), "the batch was refused");
}

/// A Produce request of version 7 with `count` equal records for partition 0, by
/// <https://kafka.apache.org/protocol.html> and <https://kafka.apache.org/documentation/#recordbatch>.
fn frame(topic: &str, payload: &[u8], count: usize) -> Vec<u8> {
    let batch = batch(payload, count);
    let mut body = Vec::new();
    body.extend([0, 0, 0, 7]); // Produce, version 7
    body.extend(1_i32.to_be_bytes()); // correlation id
    text(&mut body, "floor"); // client id
    body.extend((-1_i16).to_be_bytes()); // no transaction
    body.extend((-1_i16).to_be_bytes()); // acks=all
    body.extend(30_000_i32.to_be_bytes()); // timeout
    body.extend(1_i32.to_be_bytes()); // topics
    text(&mut body, topic);
    body.extend(1_i32.to_be_bytes()); // partitions
    body.extend(0_i32.to_be_bytes()); // index
    body.extend((batch.len() as i32).to_be_bytes());
    body.extend(batch);
    let mut frame = (body.len() as u32).to_be_bytes().to_vec();
    frame.extend(body);
    frame
}

fn batch(payload: &[u8], count: usize) -> Vec<u8> {
    // What the checksum covers.
    let mut covered = Vec::new();
    covered.extend(0_i16.to_be_bytes()); // attributes
    covered.extend((count as i32 - 1).to_be_bytes()); // last offset delta
    covered.extend(NOW.to_be_bytes()); // first timestamp
    covered.extend(NOW.to_be_bytes()); // last timestamp
    covered.extend((-1_i64).to_be_bytes()); // producer id
    covered.extend((-1_i16).to_be_bytes()); // producer epoch
    covered.extend((-1_i32).to_be_bytes()); // first sequence number
    covered.extend((count as i32).to_be_bytes());
    for n in 0..count {
        let mut record = vec![0]; // attributes
        varint(&mut record, 0); // timestamp delta
        varint(&mut record, n as i64); // offset delta
        varint(&mut record, -1); // no key
        varint(&mut record, payload.len() as i64);
        record.extend(payload);
        varint(&mut record, 0); // headers
        varint(&mut covered, record.len() as i64);
        covered.extend(record);
    }
    let mut batch = Vec::new();
    batch.extend(0_i64.to_be_bytes()); // base offset
    batch.extend((4 + 1 + 4 + covered.len() as i32).to_be_bytes());
    batch.extend(0_i32.to_be_bytes()); // leader epoch
    batch.push(2); // magic
    batch.extend(crc32c::crc32c(&covered).to_be_bytes());
    batch.extend(covered);
    batch
}

fn text(body: &mut Vec<u8>, text: &str) {
    body.extend((text.len() as i16).to_be_bytes());
    body.extend(text.as_bytes());
}

fn varint(bytes: &mut Vec<u8>, value: i64) {
    let mut left = ((value << 1) ^ (value >> 63)) as u64;
    while left >= 0x80 {
        bytes.push(left as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
}

/// Any time that the broker keeps.
const NOW: i64 = 1_795_000_000_000;
