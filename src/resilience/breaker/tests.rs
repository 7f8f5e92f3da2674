use super::*;

fn breaker() -> (Breaker, Instant) {
    let mut breaker = Breaker::new(CircuitBreakerConfig::default(), fastrand::Rng::new());
    breaker.random = fastrand::Rng::with_seed(1);
    let now = breaker.start;
    (breaker, now)
}

/// A failure of a request that was begun after the last one.
fn fail(breaker: &mut Breaker, now: Instant) -> Option<Change> {
    breaker.on_failure(now + Duration::from_nanos(1), now)
}

fn open(breaker: &mut Breaker, now: Instant) {
    while breaker.state(now) != BreakerState::Open {
        fail(breaker, now);
    }
}

#[test]
fn five_failures_in_a_row_open_it_and_four_do_not() {
    let (mut breaker, now) = breaker();
    for _ in 0..3 {
        for _ in 0..4 {
            assert_eq!(fail(&mut breaker, now), None);
        }
        for _ in 0..20 {
            breaker.on_success(now);
        }
    }
    assert_eq!(breaker.state(now), BreakerState::Closed);
    open(&mut breaker, now);
}

#[test]
fn half_of_ten_calls_failing_opens_it_even_if_never_five_in_a_row() {
    let (mut breaker, now) = breaker();
    for _ in 0..4 {
        breaker.on_success(now);
        fail(&mut breaker, now);
    }
    assert_eq!(breaker.state(now), BreakerState::Closed);
    breaker.on_success(now);
    assert!(matches!(fail(&mut breaker, now), Some(Change::Opened { failures: 5 })));
}

#[test]
fn a_broker_that_comes_and_goes_opens_it_at_most_once_in_ten_seconds() {
    let (mut breaker, mut now) = breaker();
    let mut opened = 0;
    for _ in 0..600 {
        now += Duration::from_millis(100);
        match breaker.state(now) {
            BreakerState::Closed => {
                opened += u32::from(fail(&mut breaker, now).is_some());
                breaker.on_success(now);
            }
            // The breaker of the cluster closes as soon as anything is delivered.
            _ => while breaker.probe_result(true, now).is_none() {},
        }
    }
    assert!((1..=6).contains(&opened), "{opened} times in a minute");
    // What fails altogether opens it at once, as ever.
    for _ in 0..5 {
        now += Duration::from_millis(1);
        fail(&mut breaker, now);
    }
    assert_eq!(breaker.state(now), BreakerState::Open);
}

#[test]
fn requests_lost_together_are_one_failure() {
    let (mut breaker, now) = breaker();
    let lost = now + Duration::from_secs(1);
    for _ in 0..20 {
        assert_eq!(breaker.on_failure(now, lost), None);
    }
    assert_eq!(breaker.consecutive_failures(), 1);
}

/// A published library counts all calls since the last change of state: after 10,000 successes it took 10,000
/// failures to open.
#[test]
fn old_successes_are_forgotten() {
    let (mut breaker, now) = breaker();
    for _ in 0..10_000 {
        breaker.on_success(now);
    }
    let later = now + Duration::from_secs(11);
    for _ in 0..5 {
        breaker.on_success(later);
        fail(&mut breaker, later);
    }
    assert_eq!(breaker.state(later), BreakerState::Open);
}

#[test]
fn one_probe_at_a_time_and_two_good_ones_close_it() {
    let (mut breaker, now) = breaker();
    open(&mut breaker, now);
    assert!(!breaker.try_probe(now), "not while it is open");
    let later = now + Duration::from_secs(6);
    assert_eq!(breaker.state(later), BreakerState::HalfOpen);
    assert!(breaker.try_probe(later));
    assert!(!breaker.try_probe(later), "one is out");
    breaker.probe_abandoned();
    assert!(breaker.try_probe(later), "an abandoned probe counts for nothing");
    assert_eq!(breaker.probe_result(true, later), None);
    assert!(breaker.try_probe(later));
    assert_eq!(breaker.probe_result(true, later), Some(Change::Closed));
    assert_eq!(breaker.state(later), BreakerState::Closed);
}

#[test]
fn it_stays_open_longer_each_time_up_to_its_bound() {
    let (mut breaker, mut now) = breaker();
    open(&mut breaker, now);
    for expected in [5.0, 10.0, 15.0, 15.0] {
        let left = breaker.retry_after(now).unwrap_or_default().as_secs_f64();
        assert!((expected * 0.8..=expected * 1.2).contains(&left), "{left} of {expected}");
        now += Duration::from_secs_f64(left);
        assert!(breaker.try_probe(now));
        breaker.probe_result(false, now);
    }
}

#[test]
fn one_that_is_disabled_never_opens() {
    let mut breaker = Breaker::new(CircuitBreakerConfig::default().enabled(false), fastrand::Rng::new());
    let now = Instant::now();
    for _ in 0..100 {
        assert_eq!(fail(&mut breaker, now), None);
    }
    assert_eq!(breaker.state(now), BreakerState::Disabled);
}
