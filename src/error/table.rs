//! The error table: for each answer of a broker and each way of losing one, what kind it is, whether the
//! message may be stored, whether to try again, what the circuit breaker blames, and whether the cluster's
//! metadata is stale.
//!
//! Codes and their retriability: <https://kafka.apache.org/protocol#protocol_error_codes> and the Java
//! client's `RetriableException` / `InvalidMetadataException` hierarchy.

use super::ErrorKind::{self, *};
use super::Fate::{self, NotPersisted as N, PossiblyPersisted as P};

/// Whether and how to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// The answer will not change.
    No,
    /// After the usual backoff.
    Backoff,
    /// Leadership moved: the first retry comes after 20–50 ms, then the usual backoff.
    Soon,
    /// The batch was too large: divide it; a batch of one record fails.
    Divide,
    /// The sequence is broken: wait for the partition's batches in flight, then start a new one.
    Resequence,
    /// Already stored by an earlier attempt: a success whose offset is unknown.
    Stored,
}

/// What the circuit breaker blames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The answer says nothing about the broker's health.
    Nobody,
    /// A failure of this broker.
    Broker,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) code: i16,
    pub(crate) name: &'static str,
    pub(crate) kind: ErrorKind,
    pub(crate) fate: Fate,
    pub(crate) retry: Retry,
    pub(crate) blame: Blame,
    /// Whether the metadata should be refreshed.
    pub(crate) refresh: bool,
    /// What to try, for the error's text; empty where it cannot be guessed.
    pub(crate) remedy: &'static str,
}

#[expect(clippy::too_many_arguments, reason = "a row has as many columns")]
const fn r(
    code: i16,
    name: &'static str,
    kind: ErrorKind,
    fate: Fate,
    retry: Retry,
    blame: Blame,
    refresh: bool,
    remedy: &'static str,
) -> Row {
    Row { code, name, kind, fate, retry, blame, refresh, remedy }
}

use Blame::{Broker as Theirs, Nobody};
use Retry::{Backoff, Divide, No, Resequence, Soon, Stored};

#[rustfmt::skip]
static ROWS: &[Row] = &[
    //  code  name                                    kind               fate retry       blame   refresh
    r(-1,  "UNKNOWN_SERVER_ERROR",                    Broker,            P,   No,         Nobody, false, "the broker's log has the cause"),
    r(1,   "OFFSET_OUT_OF_RANGE",                     Broker,            N,   No,         Nobody, false, ""),
    r(2,   "CORRUPT_MESSAGE",                         InvalidMessage,    N,   Backoff,    Nobody, false, "the batch was damaged on its way; or, before Kafka 2.4, a message without a key was sent to a compacted topic"),
    r(3,   "UNKNOWN_TOPIC_OR_PARTITION",              UnknownTopic,      N,   Soon,       Nobody, true,  "create the topic, or set allow_auto_create_topics (allow.auto.create.topics) where the cluster creates topics itself"),
    r(5,   "LEADER_NOT_AVAILABLE",                    Broker,            N,   Soon,       Nobody, true,  ""),
    r(6,   "NOT_LEADER_OR_FOLLOWER",                  Broker,            N,   Soon,       Nobody, true,  ""),
    r(7,   "REQUEST_TIMED_OUT",                       Broker,            P,   Backoff,    Nobody, false, "the replicas did not confirm in time"),
    r(8,   "BROKER_NOT_AVAILABLE",                    Broker,            N,   Backoff,    Nobody, true,  ""),
    r(9,   "REPLICA_NOT_AVAILABLE",                   Broker,            N,   Soon,       Nobody, true,  ""),
    r(10,  "MESSAGE_TOO_LARGE",                       MessageTooLarge,   N,   Divide,     Nobody, false, "raise max.message.bytes of the topic, or send a smaller message"),
    r(13,  "NETWORK_EXCEPTION",                       ConnectionLost,    P,   Soon,       Theirs, true,  ""),
    r(14,  "COORDINATOR_LOAD_IN_PROGRESS",            Broker,            N,   Backoff,    Nobody, false, ""),
    r(15,  "COORDINATOR_NOT_AVAILABLE",               Broker,            N,   Backoff,    Nobody, false, ""),
    r(16,  "NOT_COORDINATOR",                         Broker,            N,   Backoff,    Nobody, false, ""),
    r(17,  "INVALID_TOPIC_EXCEPTION",                 InvalidTopic,      N,   No,         Nobody, false, "a topic name is 1 to 249 of a-z, A-Z, 0-9, '.', '_', '-'"),
    r(18,  "RECORD_LIST_TOO_LARGE",                   MessageTooLarge,   N,   Divide,     Nobody, false, "raise the broker's log.segment.bytes, or lower batch.max_bytes"),
    r(19,  "NOT_ENOUGH_REPLICAS",                     NotEnoughReplicas, N,   Backoff,    Nobody, false, "fewer replicas in sync than min.insync.replicas"),
    r(20,  "NOT_ENOUGH_REPLICAS_AFTER_APPEND",        NotEnoughReplicas, P,   Backoff,    Nobody, false, "fewer replicas in sync than min.insync.replicas"),
    r(21,  "INVALID_REQUIRED_ACKS",                   Broker,            N,   No,         Nobody, false, ""),
    r(29,  "TOPIC_AUTHORIZATION_FAILED",              Authorization,     N,   No,         Nobody, false, "grant WRITE and DESCRIBE on the topic to this user"),
    r(30,  "GROUP_AUTHORIZATION_FAILED",              Authorization,     N,   No,         Nobody, false, ""),
    r(31,  "CLUSTER_AUTHORIZATION_FAILED",            Authorization,     N,   No,         Nobody, false, "grant IDEMPOTENT_WRITE on the cluster to this user, or set idempotence(false)"),
    r(32,  "INVALID_TIMESTAMP",                       InvalidMessage,    N,   No,         Nobody, false, "the timestamp is outside message.timestamp.before.max.ms or message.timestamp.after.max.ms"),
    r(33,  "UNSUPPORTED_SASL_MECHANISM",              Authentication,    N,   No,         Nobody, false, "the broker does not offer this SASL mechanism"),
    r(34,  "ILLEGAL_SASL_STATE",                      Authentication,    N,   No,         Nobody, false, ""),
    r(35,  "UNSUPPORTED_VERSION",                     Protocol,          N,   No,         Nobody, false, "brokers older than Kafka 0.11 are not supported"),
    r(37,  "INVALID_PARTITIONS",                      Broker,            N,   No,         Nobody, false, ""),
    r(38,  "INVALID_REPLICATION_FACTOR",              Broker,            N,   Backoff,    Nobody, false, ""),
    r(41,  "NOT_CONTROLLER",                          Broker,            N,   Backoff,    Nobody, false, ""),
    r(42,  "INVALID_REQUEST",                         Protocol,          N,   No,         Nobody, false, ""),
    r(43,  "UNSUPPORTED_FOR_MESSAGE_FORMAT",          Broker,            N,   No,         Nobody, false, "the topic's message format is too old"),
    r(44,  "POLICY_VIOLATION",                        InvalidMessage,    N,   No,         Nobody, false, ""),
    r(45,  "OUT_OF_ORDER_SEQUENCE_NUMBER",            SequenceLost,      N,   Resequence, Nobody, false, ""),
    r(46,  "DUPLICATE_SEQUENCE_NUMBER",               SequenceLost,      P,   Stored,     Nobody, false, ""),
    r(47,  "INVALID_PRODUCER_EPOCH",                  SequenceLost,      N,   Resequence, Nobody, false, ""),
    r(51,  "CONCURRENT_TRANSACTIONS",                 Broker,            N,   Backoff,    Nobody, false, ""),
    r(53,  "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",   Authorization,     N,   No,         Nobody, false, ""),
    r(54,  "SECURITY_DISABLED",                       Authentication,    N,   No,         Nobody, false, ""),
    r(55,  "OPERATION_NOT_ATTEMPTED",                 Broker,            N,   Backoff,    Nobody, false, ""),
    r(56,  "KAFKA_STORAGE_ERROR",                     Broker,            P,   Soon,       Theirs, true,  "a log directory of the broker failed"),
    r(58,  "SASL_AUTHENTICATION_FAILED",              Authentication,    N,   No,         Nobody, false, "check user name and password"),
    r(59,  "UNKNOWN_PRODUCER_ID",                     SequenceLost,      N,   Resequence, Nobody, false, ""),
    r(60,  "REASSIGNMENT_IN_PROGRESS",                Broker,            N,   Backoff,    Nobody, false, ""),
    r(72,  "LISTENER_NOT_FOUND",                      Broker,            N,   Soon,       Nobody, true,  "no broker has this listener on the leader"),
    r(74,  "FENCED_LEADER_EPOCH",                     Broker,            N,   Soon,       Nobody, true,  ""),
    r(75,  "UNKNOWN_LEADER_EPOCH",                    Broker,            N,   Soon,       Nobody, true,  ""),
    r(76,  "UNSUPPORTED_COMPRESSION_TYPE",            InvalidMessage,    N,   No,         Nobody, false, "the broker cannot read this compression; choose another batch.compression"),
    r(77,  "STALE_BROKER_EPOCH",                      Broker,            N,   Backoff,    Nobody, true,  ""),
    r(78,  "OFFSET_NOT_AVAILABLE",                    Broker,            N,   Backoff,    Nobody, false, ""),
    r(80,  "PREFERRED_LEADER_NOT_AVAILABLE",          Broker,            N,   Soon,       Nobody, true,  ""),
    r(83,  "ELIGIBLE_LEADERS_NOT_AVAILABLE",          Broker,            N,   Backoff,    Nobody, true,  ""),
    r(84,  "ELECTION_NOT_NEEDED",                     Broker,            N,   Backoff,    Nobody, true,  ""),
    r(87,  "INVALID_RECORD",                          InvalidMessage,    N,   No,         Nobody, false, "a compacted topic needs a key on each message"),
    r(89,  "THROTTLING_QUOTA_EXCEEDED",               Broker,            N,   Backoff,    Nobody, false, "a quota of the cluster is used up"),
    r(90,  "PRODUCER_FENCED",                         SequenceLost,      N,   Resequence, Nobody, false, ""),
    r(100, "UNKNOWN_TOPIC_ID",                        UnknownTopic,      N,   Soon,       Nobody, true,  ""),
    r(103, "INCONSISTENT_TOPIC_ID",                   Broker,            N,   Soon,       Nobody, true,  ""),
    r(120, "TRANSACTION_ABORTABLE",                   Broker,            N,   No,         Nobody, false, ""),
    r(129, "REBOOTSTRAP_REQUIRED",                    Broker,            N,   Backoff,    Nobody, true,  "the configured brokers are asked again"),
];

/// A code that this table does not know: possibly stored, and not tried again.
static UNKNOWN: Row =
    r(i16::MIN, "UNKNOWN", Broker, P, No, Nobody, false, "this library does not know the code");

/// The row of a broker's error code.
pub(crate) fn row(code: i16) -> &'static Row {
    ROWS.binary_search_by_key(&code, |row| row.code).map_or(&UNKNOWN, |at| &ROWS[at])
}

/// The row of a failure that no broker named. `fate` is what the engine knows: possibly persisted once the
/// request may have reached the broker.
#[rustfmt::skip]
pub(crate) fn connection_row(kind: ErrorKind, fate: Fate) -> Row {
    let (retry, blame, refresh) = match kind {
        Unreachable    => (Backoff, Theirs, true),
        ConnectionLost => (Backoff, Theirs, true),
        Protocol       => (Backoff, Theirs, true),
        NotEnoughReplicas | Broker | UnknownTopic => (Backoff, Nobody, true),
        _              => (No,      Nobody, false),
    };
    r(i16::MIN, kind.as_str(), kind, fate, retry, blame, refresh, "")
}

/// Whether some failure of this kind is tried again.
pub(crate) fn is_retried(kind: ErrorKind) -> bool {
    let again = |row: &Row| row.kind == kind && !matches!(row.retry, No | Stored);
    ROWS.iter().any(again) || again(&connection_row(kind, N))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_unique_so_that_a_binary_search_finds_them() {
        assert!(ROWS.windows(2).all(|w| w[0].code < w[1].code));
        for expected in ROWS {
            assert_eq!(row(expected.code).name, expected.name);
        }
    }

    /// The guide's table, as it should be.
    fn guide() -> String {
        let mut rows = String::from(
            "| code | name | kind | fate | what the producer does | remedy |\n|--|--|--|--|--|--|\n",
        );
        for row in ROWS {
            let does = match row.retry {
                No => "fails the message",
                Backoff => "sends it again, after a delay",
                Soon => "asks who leads now, and sends it again",
                Divide => "splits the batch until only the oversized message fails",
                Resequence => "assigns new sequence numbers, and sends it again",
                Stored => "takes it for stored",
            };
            let (code, name, kind, fate, remedy) = (row.code, row.name, row.kind, row.fate, row.remedy);
            rows.push_str(&format!("| {code} | `{name}` | `{kind}` | {fate} | {does} | {remedy} |\n"));
        }
        rows
    }

    /// With `UPDATE_GUIDES=1` it is written instead.
    #[test]
    fn the_guide_to_errors_lists_every_code_and_every_kind() {
        const MARK: &str = "<!-- codes -->\n";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/docs/errors.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (before, found) = text.split_once(MARK).unwrap();
        if std::env::var_os("UPDATE_GUIDES").is_some() {
            std::fs::write(path, [before, MARK, &guide()].concat()).unwrap();
            return;
        }
        assert_eq!(found, guide());
        for kind in ErrorKind::ALL {
            let code = super::super::code_of(kind);
            let row = format!("| `{kind}` | `{code}` |");
            assert!(before.contains(&row), "{row} is missing");
        }
    }

    #[test]
    fn an_unknown_code_is_neither_retried_nor_called_unsent() {
        let unknown = row(12_345);
        assert_eq!((unknown.retry, unknown.fate), (No, P));
    }

    /// One assertion per row of the contract in `docs`: class, then its codes.
    #[test]
    fn each_class_of_the_contract_holds() {
        let all = |codes: &[i16], check: &dyn Fn(&Row) -> bool| {
            for code in codes {
                assert!(check(row(*code)), "{:?}", row(*code));
            }
        };
        // leader moved: again soon, after a metadata request; nothing was stored
        all(&[3, 5, 6, 9, 74, 75, 80], &|r| r.retry == Soon && r.refresh && r.fate == N && r.blame == Nobody);
        // ... except where the broker may have stored it before it failed
        all(&[13, 56], &|r| r.retry == Soon && r.refresh && r.fate == P && r.blame == Theirs);
        // a weak cluster is retried, and is not the fault of the broker that says so
        all(&[7, 20], &|r| r.retry == Backoff && r.fate == P && r.blame == Nobody && !r.refresh);
        all(&[19], &|r| r.retry == Backoff && r.fate == N && r.blame == Nobody);
        // quota
        all(&[89], &|r| r.retry == Backoff && r.fate == N && r.blame == Nobody);
        // the caller's fault: never retried, never blamed
        all(&[17, 32, 44, 87, 21, 29, 31, 33, 58], &|r| r.retry == No && r.fate == N && r.blame == Nobody);
        // too large: divided
        all(&[10, 18], &|r| r.retry == Divide && r.fate == N && r.blame == Nobody);
        // sequences
        all(&[45, 47, 59, 90], &|r| r.retry == Resequence && r.fate == N && r.blame == Nobody);
        all(&[46], &|r| r.retry == Stored);
    }

    #[test]
    fn losing_a_connection_is_the_brokers_fault_and_keeps_the_fate_that_the_engine_knows() {
        for kind in [Unreachable, ConnectionLost, Protocol] {
            let row = connection_row(kind, P);
            assert_eq!((row.retry, row.blame, row.refresh, row.fate), (Backoff, Theirs, true, P));
        }
        for kind in [Authentication, Tls, InvalidConfig, Cancelled, Closed] {
            let row = connection_row(kind, N);
            assert_eq!((row.retry, row.blame), (No, Nobody), "{kind}");
        }
    }
}
