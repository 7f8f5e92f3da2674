//! Every number, text, list and length of every answer at its extremes, through the whole producer: nothing panics, every
//! call ends in time, nothing spins, a peer's text is escaped wherever it is printed, and once the broker behaves again
//! so does the producer.
//!
//! `ANSWERS_SWEEP=deep` overwrites every byte of an answer instead of some.

use std::error::Error as _;
use std::time::Duration;

use futures_util::future::join_all;
use kafka_testbed::{Api, Edit, Extreme, FakeCluster, Fault, Mechanism, PASSWORD, Rule, Sasl, USER};
use rskafka_producer::{Context, Error, Message, Producer, ProducerConfig, SaslConfig};
use serde_json::Value;
use tokio::time::Instant;

use crate::logging::Lines;
use crate::support::{LATE, SECOND, ctx};

/// Requests of all kinds that one producer may make in a second, whatever it is answered.
const REQUESTS_PER_SECOND: f64 = 60.0;
/// More fields than any answer here has.
const PLACES: usize = 40;
/// Breaks a line, colours a terminal, turns the direction of reading, hides.
const NASTY: &str = "a\nb\r\u{1b}[31mc\u{202e}d\u{2066}e\u{200b}f\u{2028}g\0h\u{7f}i\u{85}j\u{feff}";

/// How the sweep of one kind of answer is set up.
#[derive(Clone, Copy)]
struct Setup {
    api: Api,
    sasl: Option<Mechanism>,
    /// The topic is compacted, so that records without a key are refused one by one.
    compacted: bool,
    /// The newest version in which the brokers offer the API; `None` for all that they know.
    version: Option<i16>,
}

impl Setup {
    const fn of(api: Api) -> Self {
        Self { api, sasl: None, compacted: false, version: None }
    }

    async fn cluster(self) -> FakeCluster {
        let mut cluster = FakeCluster::builder().brokers(2).topic("t", 2);
        if let Some(mechanism) = self.sasl {
            cluster = cluster.sasl(Sasl::new(&[mechanism]));
        }
        let cluster = cluster.start().await.unwrap();
        if let Some(version) = self.version {
            (0..2).for_each(|node| cluster.offer(node, self.api, 0..=version));
        }
        if self.compacted {
            cluster.configure_topic("t", "cleanup.policy", "compact");
        }
        cluster
    }

    fn config(self, cluster: &FakeCluster, lines: &Lines) -> ProducerConfig {
        let config = ProducerConfig::new(cluster.bootstrap()).topic("t").logger(lines.logger());
        match self.sasl {
            None => config,
            Some(Mechanism::Plain) => config.sasl(SaslConfig::plain(USER, PASSWORD).allow_plaintext(true)),
            Some(_) => config.sasl(SaslConfig::scram_sha_256(USER, PASSWORD)),
        }
    }

    /// Runs a producer against answers that are edited; `false` where no answer has such a field.
    async fn survives(self, edit: Edit, times: usize) -> bool {
        let what = format!("{:?} {edit:?} {times} times", self.api);
        let cluster = self.cluster().await;
        // On a paused clock what spins stops the time: no deadline ends it.
        let spins = cluster.wait_until(|cluster| {
            cluster.requests(Api::Produce) + cluster.requests(Api::Metadata) + cluster.requests(self.api)
                > 20_000
        });
        tokio::select! {
            edited = self.lives(&what, &cluster, edit, times) => edited,
            () = spins => panic!("{what}: requests without end"),
        }
    }

    async fn lives(self, what: &str, cluster: &FakeCluster, edit: Edit, times: usize) -> bool {
        let lines = Lines::default();
        cluster.inject(Rule::on(self.api).times(times), Fault::Edit(edit));
        let started = Instant::now();
        let producer = Producer::new(self.config(cluster, &lines)).unwrap();
        ends(what, 3 * SECOND, async |ctx| producer.health(ctx).await).await;
        ends(what, 3 * SECOND, async |ctx| {
            let sends = (0..6).map(|n| producer.send(ctx, self.message(n)));
            join_all(sends).await.into_iter().find_map(Result::err).map_or(Ok(()), Err)
        })
        .await;
        ends(what, SECOND, async |ctx| producer.health(ctx).await).await;
        let (requests, seconds) = (cluster.seen().len(), started.elapsed().as_secs_f64().max(1.0));
        assert!(requests as f64 <= 40.0 + seconds * REQUESTS_PER_SECOND, "{what}: {requests} in {seconds} s");
        let edited = cluster.edited() > 0;
        if edited {
            self.recovers(what, cluster, &producer).await;
        }
        assert_printable(what, &lines);
        edited
    }

    fn message(self, n: i32) -> Message {
        let message = Message::new(vec![b'v'; 100]).partition(n % 2);
        if n < 4 { message.key(n.to_string()) } else { message }
    }

    /// The brokers are started again, and behave.
    async fn recovers(self, what: &str, cluster: &FakeCluster, producer: &Producer) {
        cluster.heal();
        cluster.cut_connections(0);
        cluster.cut_connections(1);
        // A throttle time is obeyed for at most a minute.
        let (started, mut last) = (Instant::now(), None);
        while started.elapsed() < 100 * SECOND {
            match producer.send(&ctx(20 * SECOND), self.message(0)).await {
                Ok(_) => {
                    last = None;
                    break;
                }
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(SECOND).await;
        }
        assert!(last.is_none(), "{what}: {last:?}");
        ends(what, 3 * SECOND, async |ctx| producer.close(ctx).await).await;
        let stats = producer.stats();
        assert_eq!((stats.buffer_bytes, stats.task_restarts), (0, 0), "{what}: {stats:?}");
    }

    /// Every number, text and list of the answer.
    async fn sweep(self) {
        let (mut fields, mut cases) = (0, 0);
        for place in 0..PLACES {
            let numbers = Extreme::ALL.map(|extreme| Edit::Number(place, extreme));
            let texts =
                [NASTY.to_owned(), "x".repeat(30_000), String::new()].map(|text| Edit::Text(place, text));
            let lists = [Edit::Empty(place), Edit::Twice(place)];
            for group in [numbers.to_vec(), texts.to_vec(), lists.to_vec()] {
                let mut found = false;
                for edit in group {
                    for times in [1, usize::MAX] {
                        if !self.survives(edit.clone(), times).await {
                            break;
                        }
                        found = true;
                        cases += 1;
                    }
                    if !found {
                        break;
                    }
                }
                fields += usize::from(found);
            }
        }
        println!("{:?}: {fields} fields, {cases} cases", self.api);
        assert!(fields >= 3, "{fields}");
    }

    /// Overwrites what is anywhere in the answer, lengths too.
    async fn sweep_bytes(self) {
        let step = if std::env::var("ANSWERS_SWEEP").is_ok_and(|depth| depth == "deep") { 1 } else { 11 };
        let mut cases = 0;
        for at in (0..160).step_by(step) {
            for bytes in [&[0xff][..], &[0x7f, 0xff], &[0x80, 0, 0, 0], &[0x7f, 0xff, 0xff, 0xff], &[0; 8]] {
                cases += usize::from(self.survives(Edit::Bytes(at, bytes.to_vec()), 2).await);
            }
        }
        println!("{:?}: {cases} places overwritten", self.api);
        assert!(cases > 0);
    }
}

/// The call ends in its time, and its error can be printed.
async fn ends(what: &str, limit: Duration, call: impl AsyncFnOnce(&Context) -> Result<(), Error>) {
    let started = Instant::now();
    let result = call(&ctx(limit)).await;
    assert!(started.elapsed() <= limit + LATE, "{what}: {:?}", started.elapsed());
    if let Err(error) = result {
        let mut texts = vec![error.to_string(), format!("{error:?}")];
        let mut cause = error.source();
        while let Some(next) = cause {
            texts.push(next.to_string());
            cause = next.source();
        }
        for text in texts {
            assert!(is_printable(&text) && text.len() < 4_000, "{what}: {text:?}");
        }
    }
}

fn is_printable(text: &str) -> bool {
    let hidden = ['\u{202e}', '\u{2066}', '\u{200b}', '\u{2028}', '\u{feff}'];
    !text.chars().any(|c| c.is_control() || hidden.contains(&c))
}

fn assert_printable(what: &str, lines: &Lines) {
    for event in lines.all() {
        for (field, value) in event.as_object().unwrap() {
            if let Value::String(text) = value {
                assert!(is_printable(text) && text.len() < 4_000, "{what}: {field} is {text:?}");
            }
        }
    }
}

macro_rules! sweeps {
    ($($name:ident: $setup:expr;)*) => {$(
        mod $name {
            use super::*;

            #[tokio::test(start_paused = true)]
            async fn every_field_at_its_extremes() {
                $setup.sweep().await;
            }

            #[tokio::test(start_paused = true)]
            async fn every_byte_overwritten() {
                $setup.sweep_bytes().await;
            }
        }
    )*};
}

sweeps! {
    api_versions: Setup::of(Api::ApiVersions);
    metadata: Setup::of(Api::Metadata);
    init_producer_id: Setup::of(Api::InitProducerId);
    produce: Setup::of(Api::Produce);
    metadata_of_2017: Setup { version: Some(4), ..Setup::of(Api::Metadata) };
    init_producer_id_of_2017: Setup { version: Some(0), ..Setup::of(Api::InitProducerId) };
    produce_of_2017: Setup { version: Some(3), ..Setup::of(Api::Produce) };
    produce_of_bad_records: Setup { compacted: true, ..Setup::of(Api::Produce) };
    sasl_handshake: Setup { sasl: Some(Mechanism::Plain), ..Setup::of(Api::SaslHandshake) };
    sasl_authenticate: Setup { sasl: Some(Mechanism::Plain), ..Setup::of(Api::SaslAuthenticate) };
}
