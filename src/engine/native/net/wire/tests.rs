//! One socket in memory, and a peer that answers by hand.

use std::sync::atomic::AtomicUsize;

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::engine::native::api::{Reader, Writer};

const SIZE: usize = 4 << 10;
/// Size, header with the name of the client, and length of the bytes.
const HEAD: usize = 4 + 8 + 4 + 4;

/// A request that counts how often one was encoded.
struct Counted<'a>(&'a AtomicUsize);

impl Request for Counted<'_> {
    const KEY: ApiKey = ApiKey::Produce;
    const VERSIONS: VersionRange = VersionRange::only(3);
    const FLEXIBLE_FROM: i16 = 9;
    type Answer = i32;

    fn write<'a>(&'a self, writer: &mut Writer<'_, 'a>, _: i16) {
        self.0.fetch_add(1, Ordering::Relaxed);
        writer.bytes(&[7; SIZE]);
    }

    fn read(reader: &mut Reader<'_>, _: i16) -> Result<i32, Malformed> {
        reader.i32()
    }
}

fn wire(room: usize) -> (Wire, DuplexStream) {
    let (near, far) = tokio::io::duplex(room);
    let mut wire = Wire::new(Box::new(near), "us".into());
    wire.set_versions([(ApiKey::Produce, VersionRange::only(3))].into_iter().collect());
    (wire, far)
}

/// Reads a request; its number.
async fn asked(far: &mut DuplexStream) -> i32 {
    let mut request = vec![0; HEAD + SIZE];
    far.read_exact(&mut request).await.unwrap();
    i32::from_be_bytes(request[8..12].try_into().unwrap())
}

async fn answer(far: &mut DuplexStream, id: i32, with: i32) {
    let answer = [8i32, id, with].map(i32::to_be_bytes).concat();
    far.write_all(&answer).await.unwrap();
}

fn ended<T: std::fmt::Debug>(outcome: Result<T, RequestFailed>) -> Ended {
    match outcome {
        Err(RequestFailed::Ended(ended)) => ended,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_request_is_encoded_when_the_one_before_it_has_been_written() {
    let (wire, mut far) = wire(1 << 10);
    let encoded = AtomicUsize::new(0);
    let mut first = Box::pin(wire.request(Counted(&encoded)));
    let mut second = Box::pin(wire.request(Counted(&encoded)));
    let mut poll = || (first.as_mut().now_or_never().is_none(), second.as_mut().now_or_never().is_none());
    for _ in 0..3 {
        assert_eq!(poll(), (true, true));
        assert_eq!(encoded.load(Ordering::Relaxed), 1);
    }
    let mut read = 0;
    while read <= SIZE + 64 {
        assert_eq!(poll(), (true, true));
        read += far.read(&mut [0; 256]).await.unwrap();
    }
    assert_eq!(poll(), (true, true));
    assert_eq!(encoded.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn an_answer_that_nobody_waits_for_is_dropped_and_the_others_find_their_requests() {
    let (wire, mut far) = wire(1 << 20);
    let encoded = AtomicUsize::new(0);
    let mut requests: Vec<_> = (0..3).map(|_| Box::pin(wire.request(Counted(&encoded)))).collect();
    for request in &mut requests {
        assert!(request.as_mut().now_or_never().is_none());
    }
    drop(requests.remove(1));
    for with in 0..3 {
        let id = asked(&mut far).await;
        answer(&mut far, id, with).await;
    }
    for (request, with) in requests.into_iter().zip([0, 2]) {
        assert_eq!(request.await.unwrap(), with);
    }
}

#[tokio::test]
async fn a_request_that_is_dropped_before_any_of_it_left_was_never_made() {
    let (wire, mut far) = wire(1 << 10);
    let encoded = AtomicUsize::new(0);
    let mut first = Box::pin(wire.request(Counted(&encoded)));
    let mut second = Box::pin(wire.request(Counted(&encoded)));
    assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
    drop(second);
    let (first, ()) = tokio::join!(first, async {
        let id = asked(&mut far).await;
        answer(&mut far, id, 5).await;
    });
    assert_eq!(first.unwrap(), 5);
    assert!(!wire.has_ended());
}

#[tokio::test]
async fn a_request_that_is_dropped_half_way_ends_the_connection_rather_than_corrupt_it() {
    let (wire, mut far) = wire(1 << 10);
    let encoded = AtomicUsize::new(0);
    let mut first = Box::pin(wire.request(Counted(&encoded)));
    let second = wire.request(Counted(&encoded));
    assert!(first.as_mut().now_or_never().is_none());
    drop(first);
    assert!(matches!(ended(second.await), Ended::Abandoned));
    let mut left = Vec::new();
    far.read_to_end(&mut left).await.unwrap();
    assert_eq!(left.len(), 1 << 10, "nothing comes after what had left, and the socket is closed");
}

#[tokio::test]
async fn whatever_waits_gets_to_know_the_one_reason_for_which_the_connection_ended() {
    let (wire, mut far) = wire(1 << 10);
    let encoded = AtomicUsize::new(0);
    let requests = async {
        let (first, second) = tokio::join!(wire.request(Counted(&encoded)), wire.request(Counted(&encoded)));
        [ended(first), ended(second)]
    };
    let (found, ()) = tokio::join!(requests, async {
        asked(&mut far).await;
        // The first waits for its answer, and the second to be written.
        tokio::task::yield_now().await;
        wire.cut("a test");
        wire.retire();
    });
    for ended in found {
        assert!(matches!(ended, Ended::Cut("a test")), "{ended}");
    }
    assert!(matches!(ended(wire.request(Counted(&encoded)).await), Ended::Cut("a test")));
}

#[tokio::test]
async fn an_answer_to_no_request_ends_the_connection() {
    let (wire, mut far) = wire(1 << 20);
    let encoded = AtomicUsize::new(0);
    let (outcome, ()) = tokio::join!(wire.request(Counted(&encoded)), async {
        let id = asked(&mut far).await;
        answer(&mut far, id + 1, 0).await;
    });
    assert!(matches!(ended(outcome), Ended::Unasked));
}

#[tokio::test]
async fn the_end_of_the_stream_is_noticed_without_any_request() {
    let (wire, far) = wire(8);
    drop(far);
    while !wire.has_ended() {
        tokio::task::yield_now().await;
    }
}
