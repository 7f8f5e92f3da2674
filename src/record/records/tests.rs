use super::*;
use crate::record::message_footprint;

fn part(random: &mut fastrand::Rng) -> Option<Bytes> {
    let length = match random.u8(..5) {
        0 => return None,
        1 => 0,
        2 => random.usize(LARGE - 1..LARGE + 2),
        3 => 3 * LARGE,
        _ => random.usize(..40),
    };
    Some(vec![random.u8(..); length].into())
}

fn message(random: &mut fastrand::Rng) -> Message {
    let headers = (0..random.usize(..4))
        .map(|_| Header {
            name: "aä".repeat(if random.u8(..9) == 0 { LARGE } else { random.usize(..5) }),
            value: part(random),
        })
        .collect();
    Message {
        key: part(random),
        value: part(random),
        headers,
        topic: random.bool().then(|| "t".into()),
        partition: random.bool().then_some(3),
        timestamp: random.bool().then(|| random.i64(0..1 << 50)),
    }
}

fn stamp(position: usize, message: &Message) -> Stamp {
    Stamp { timestamp: message.timestamp.unwrap_or(5_000), expires_after: position as u32 }
}

#[test]
fn a_message_comes_back_as_it_went_in_and_so_do_those_that_are_left() {
    for seed in 0..2_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let messages: Vec<Message> = (0..random.usize(1..9)).map(|_| message(&mut random)).collect();
        let mut records = Records::default();
        for (position, message) in messages.iter().enumerate() {
            assert!(records.push(message, stamp(position, message), usize::MAX));
        }
        let chosen: Vec<usize> = (0..messages.len()).filter(|_| random.bool()).collect();
        let picked = records.pick(chosen.iter().copied());
        let topic: Arc<str> = "t".into();
        for (records, positions) in [(&records, (0..messages.len()).collect()), (&picked, chosen)] {
            assert_eq!(records.len(), positions.len(), "seed {seed}");
            for (at, position) in positions.iter().enumerate() {
                assert_eq!(records.message(at, &topic, 3), messages[*position], "seed {seed}");
            }
            assert!(records.expiries().eq(positions.iter().map(|p| *p as u32)), "seed {seed}");
            let footprint: usize = positions.iter().map(|p| message_footprint(&messages[*p])).sum();
            assert_eq!(records.footprint(), footprint, "seed {seed}");
            let mut out = Vec::new();
            records.write(&mut out);
            assert_eq!(out.len(), records.body_bytes(), "seed {seed}");
            let newest = positions.iter().map(|p| stamp(*p, &messages[*p]).timestamp).max();
            assert_eq!(records.newest, newest.unwrap_or_default(), "seed {seed}");
        }
    }
}

#[test]
fn a_batch_takes_no_more_than_it_may_and_an_empty_one_anything() {
    let (message, now) = (Message::new(vec![0; 50]), Stamp { timestamp: 7, expires_after: 0 });
    let mut records = Records::default();
    assert!(records.push(&message, now, 10));
    let one = records.wire_bytes() - BATCH_OVERHEAD;
    let most = BATCH_OVERHEAD + 2 * one;
    assert!(!records.push(&message, now, most - 1));
    assert!(records.push(&message, now, most));
    assert_eq!((records.len(), records.wire_bytes()), (2, most));
}
