//! Odd answers to the question for versions: each is read for what it is worth, or is an error at once.

use kafka_testbed::{Api, Fault, Rule};
use parking_lot::Mutex;
use rskafka_producer::Producer;
use tokio::time::Instant;

use crate::support::{SECOND, minute};
use crate::versions::{builder, config, deliver, says};

/// The first answer of a connection, whatever its body.
fn frame(body: &[u8]) -> Fault {
    let mut bytes = (body.len() as i32 + 4).to_be_bytes().to_vec();
    bytes.extend(0i32.to_be_bytes());
    bytes.extend(body);
    Fault::Garbage(bytes)
}

/// An answer to `ApiVersions` in version 3.
fn answer(ranges: &[(i16, i16, i16)]) -> Fault {
    let mut body = vec![0, 0, ranges.len() as u8 + 1];
    for (key, min, max) in ranges {
        for field in [key, min, max] {
            body.extend(field.to_be_bytes());
        }
        body.push(0);
    }
    body.extend([0; 5]);
    frame(&body)
}

#[tokio::test(start_paused = true)]
async fn an_odd_answer_about_versions_is_read_for_what_it_is_worth() {
    let known = [(0, 3, 8), (3, 0, 7), (18, 0, 3), (22, 0, 1)];
    let with = |more: &[(i16, i16, i16)]| answer(&[&known, more].concat());
    let usable = [
        ("unknown keys", with(&[(999, 0, 5), (i16::MAX, i16::MIN, i16::MAX), (-7, 0, 0)])),
        ("min above max elsewhere", with(&[(1, 9, 2), (999, i16::MAX, i16::MIN)])),
        ("duplicates", with(&known)),
        ("the whole range of numbers", answer(&known.map(|(key, _, _)| (key, i16::MIN, i16::MAX)))),
    ];
    for (what, odd) in usable {
        let cluster = builder().start().await.unwrap();
        cluster.inject(Rule::on(Api::ApiVersions).always(), odd);
        let producer = Producer::connect(&minute(), config(&cluster)).await;
        let producer = producer.unwrap_or_else(|error| panic!("{what}: {error}"));
        deliver(&cluster, &producer, 20).await;
        producer.close(&minute()).await.unwrap();
    }
    let unusable = [
        ("nothing", answer(&[]), "Produce"),
        ("min above max", answer(&[(0, 8, 3), (3, 0, 7), (22, 0, 1)]), "Produce"),
        ("negative versions", answer(&[(0, -9, -1), (3, 0, 7), (22, 0, 1)]), "Produce"),
        ("another error", frame(&[0, 29, 1, 0, 0, 0, 0, 0]), "TOPIC_AUTHORIZATION_FAILED"),
    ];
    for (what, odd, word) in unusable {
        let cluster = builder().start().await.unwrap();
        cluster.inject(Rule::on(Api::ApiVersions).always(), odd);
        let started = Instant::now();
        let error = Producer::connect(&minute(), config(&cluster)).await.unwrap_err();
        assert!(error.to_string().contains(word), "{what}: {error}");
        assert!(started.elapsed() < SECOND, "{what}: {:?}", started.elapsed());
    }
}

/// Error 35, and a tail that follows no version, as librdkafka's mock cluster sends it.
const JUNK: &[u8] = &[0, 35, 0, 0, 0, 99, 1, 2, 3];

#[tokio::test(start_paused = true)]
async fn a_question_that_is_too_new_is_asked_again_in_version_0_whatever_follows_the_error() {
    for tail in [2, 3, 6, JUNK.len()] {
        let cluster = builder().start().await.unwrap();
        cluster.on_request(move |seen| {
            (seen.api == Api::ApiVersions && seen.version > 0).then(|| frame(&JUNK[..tail]))
        });
        let started = Instant::now();
        let producer = Producer::connect(&minute(), config(&cluster)).await.unwrap();
        deliver(&cluster, &producer, 20).await;
        assert!(started.elapsed() < SECOND);
        assert_eq!(cluster.connections_accepted(0), 1, "it is asked on the same connection");
        // One for each topic, and that of the first breath.
        assert_eq!((cluster.requests(Api::Metadata), cluster.requests(Api::InitProducerId)), (3, 1));
        producer.close(&minute()).await.unwrap();
    }
}

/// A broker may hang up on who asked too much.
#[tokio::test(start_paused = true)]
async fn a_question_that_is_too_new_is_asked_again_on_a_new_connection_where_the_old_one_ends() {
    let cluster = builder().start().await.unwrap();
    let spoiled = Mutex::new(Vec::new());
    cluster.on_request(move |seen| {
        let mut spoiled = spoiled.lock();
        if seen.api == Api::ApiVersions && seen.version > 0 {
            spoiled.push(seen.connection);
            return Some(frame(JUNK));
        }
        spoiled.contains(&seen.connection).then_some(Fault::Disconnect)
    });
    let started = Instant::now();
    let producer = Producer::connect(&minute(), config(&cluster)).await.unwrap();
    deliver(&cluster, &producer, 20).await;
    assert!(started.elapsed() < SECOND);
    assert_eq!(cluster.connections_accepted(0), 2);
    producer.close(&minute()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_refuses_every_question_about_versions_is_an_error_at_once() {
    let cluster = builder().start().await.unwrap();
    cluster.on_request(|seen| {
        let refusal = if seen.version > 0 { frame(JUNK) } else { Fault::Error(35) };
        (seen.api == Api::ApiVersions).then_some(refusal)
    });
    let started = Instant::now();
    let error = Producer::connect(&minute(), config(&cluster)).await.unwrap_err();
    says(&error, &["ApiVersions"], "refusal");
    assert!(started.elapsed() < SECOND);
}

/// A broker that leaves a request in an unknown version without an answer, as some do, holds nothing up.
#[tokio::test(start_paused = true)]
async fn a_request_in_a_version_that_turns_out_wrong_is_not_waited_for() {
    let cluster = builder().offer(Api::Metadata, 5..=7).start().await.unwrap();
    let started = Instant::now();
    let producer = Producer::connect(&minute(), config(&cluster)).await.unwrap();
    deliver(&cluster, &producer, 20).await;
    assert!(started.elapsed() < SECOND);
    producer.close(&minute()).await.unwrap();
}
