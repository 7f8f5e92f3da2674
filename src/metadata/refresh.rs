//! Asking who leads, in the background: one question at a time, and not too often.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::core::Core;
use crate::engine::Ask;
use crate::error::{Blame, Error};

/// Pause between two answers that did not help; grows while the cluster is in flux, so that a new leader is found
/// within half a second of its election.
const PACE: Duration = Duration::from_millis(50);
const SLOWEST_PACE: Duration = Duration::from_millis(400);
/// After this long without a request the next ones follow closely again.
const CALM: Duration = Duration::from_secs(2);
/// Longest pause between two requests that no broker answered.
const SLOWEST_RETRY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Refresher {
    max_age: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: bool,
    wanted: bool,
    answered: Option<Instant>,
    /// When the last question was asked, and the pause that follows it.
    asked: Option<(Instant, Duration)>,
}

impl State {
    /// Notes a question. The pause after it grows while questions follow one another closely, also across tasks.
    fn ask(&mut self, now: Instant, slowest: Duration) -> Duration {
        let close = |(at, _): &(Instant, Duration)| now.saturating_duration_since(*at) < CALM;
        let pause = self.asked.filter(close).map_or(PACE, |(_, pause)| (pause * 2).min(slowest));
        self.asked = Some((now, pause));
        pause
    }
}

impl Refresher {
    pub(super) fn new(max_age: Duration) -> Self {
        Self { max_age, state: Mutex::default() }
    }

    pub(super) fn is_old(&self, now: Instant) -> bool {
        self.state.lock().answered.is_some_and(|at| now.saturating_duration_since(at) >= self.max_age)
    }

    pub(super) fn age(&self, now: Instant) -> Option<Duration> {
        self.state.lock().answered.map(|at| now.saturating_duration_since(at))
    }

    /// One topic was described; what is known of the others is as old as before.
    pub(super) fn answered_in_part(&self) {
        self.state.lock().answered.get_or_insert_with(Instant::now);
    }

    pub(super) fn answered(&self) {
        self.state.lock().answered = Some(Instant::now());
    }

    pub(super) fn want(&self, core: &Arc<Core>) {
        {
            let mut state = self.state.lock();
            state.wanted = true;
            if std::mem::replace(&mut state.running, true) {
                return;
            }
        }
        core.supervise("metadata refresh", |core| async move { core.metadata.refresher.run(&core).await });
    }

    async fn run(&self, core: &Arc<Core>) {
        loop {
            let asked = Instant::now();
            self.state.lock().wanted = false;
            let slowest = match self.ask(core).await {
                Ok(()) => {
                    if core.metadata.lacks_leaders() {
                        self.state.lock().wanted = true;
                    }
                    SLOWEST_PACE
                }
                Err(error) => {
                    core.log.refresh_failed(&error);
                    if core.buffer.used() > 0 && error.row().blame == Blame::Broker {
                        self.state.lock().wanted = true;
                    }
                    SLOWEST_RETRY
                }
            };
            // Also before an answer that is not yet wanted: a storm of errors makes no storm of questions.
            let pause = self.state.lock().ask(asked, slowest);
            tokio::time::sleep(core.pacing.jitter(pause)).await;
            let mut state = self.state.lock();
            if !state.wanted || core.life.is_stopped() {
                state.running = false;
                return;
            }
        }
    }

    async fn ask(&self, core: &Arc<Core>) -> Result<(), Error> {
        core.metadata.forget_unused(core, Instant::now());
        let names: Vec<_> = core.metadata.topics().iter().map(|topic| topic.name.clone()).collect();
        let asked = Instant::now();
        let answer = core.engine.metadata(&names, Ask::Refresh).await;
        core.metadata.heard(core, asked, &answer);
        let metadata = answer?;
        self.answered();
        core.metadata.take_over(core, &metadata);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_pause_doubles_while_requests_follow_one_another_and_starts_anew_after_a_rest() {
        let (mut state, mut now) = (State::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let pause = state.ask(now, SLOWEST_PACE);
            pauses.push(pause);
            now += pause;
        }
        assert_eq!(pauses, [50 * MS, 100 * MS, 200 * MS, 400 * MS, 400 * MS, 400 * MS]);
        assert_eq!(state.ask(now, SLOWEST_RETRY), 800 * MS, "requests that fail get slower still");
        now += CALM;
        assert_eq!(state.ask(now, SLOWEST_PACE), PACE);
    }

    #[test]
    fn an_answer_ages_and_one_about_a_single_topic_makes_nothing_younger() {
        let (refresher, now) = (Refresher::new(Duration::from_secs(300)), Instant::now());
        assert!(!refresher.is_old(now) && refresher.age(now).is_none(), "nothing is known yet");
        refresher.answered();
        let later = Instant::now() + Duration::from_secs(300);
        assert!(!refresher.is_old(Instant::now()) && refresher.is_old(later));
        refresher.answered_in_part();
        assert!(refresher.is_old(later));
    }
}
