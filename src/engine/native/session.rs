//! A login that has an end, renewed on the live connection before it comes (KIP-368).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;

use super::connection::Connection;
use super::sasl;
use crate::clock::{deadline, scaled};
use crate::config::{Address, SaslConfig, WallClock};
use crate::error::{Error, ErrorKind, Result};

/// Part of its lifetime after which a session is renewed; a random bit on top keeps a fleet from doing so at once.
const RENEW_AFTER: f64 = 0.8;
const RENEW_SPREAD: f64 = 0.1;
/// Kafka refuses a second login within a second.
const AT_LEAST: Duration = Duration::from_millis(1_100);

/// The turnstile through which every request of a connection goes that has to log in.
///
/// Kafka wants nothing between the two messages of a login, so that requests wait while one is under way; the
/// turnstile is fair, and keeps them in order.
pub(super) struct Session {
    turn: Arc<Mutex<State>>,
    sasl: SaslConfig,
    clock: WallClock,
}

/// The right to begin a request.
pub(super) type Turn = OwnedMutexGuard<State>;

#[derive(Debug)]
pub(super) struct State {
    /// By both clocks: a frozen process sees only the second advance.
    renew_at: Option<(Instant, SystemTime)>,
    failed: Option<Error>,
}

impl Session {
    pub(super) fn new(lifetime: Option<Duration>, sasl: SaslConfig, clock: WallClock) -> Self {
        let state = State { renew_at: renew_at(lifetime, &clock), failed: None };
        Self { turn: Arc::new(Mutex::new(state)), sasl, clock }
    }

    /// Waits for the right to begin a request, and logs in first where it is time.
    pub(super) async fn turn(&self, connection: &Arc<Connection>) -> Result<Turn> {
        let turn = self.turn.clone().lock_owned().await;
        if let Some(error) = &turn.failed {
            return Err(error.clone());
        }
        let due = |(at, wall): (Instant, SystemTime)| at <= Instant::now() || wall <= self.clock.wall();
        if !turn.renew_at.is_some_and(due) {
            return Ok(turn);
        }
        // In a separate task: a caller that goes away must not leave a login half-way.
        let (sasl, clock, connection) = (self.sasl.clone(), self.clock.clone(), connection.clone());
        match tokio::spawn(renew(turn, connection, sasl, clock)).await {
            Ok(renewed) => renewed,
            Err(_) => Err(Error::new(ErrorKind::Internal, "the login did not end")),
        }
    }
}

async fn renew(
    mut turn: Turn,
    connection: Arc<Connection>,
    sasl: SaslConfig,
    clock: WallClock,
) -> Result<Turn> {
    let address = &connection.address;
    let login = sasl::log_in(&connection.wire, address, &sasl);
    let limit = connection.connect_timeout;
    let done = tokio::time::timeout(limit, login).await.unwrap_or_else(|_| Err(too_slow(address, limit)));
    match done {
        Ok(lifetime) => {
            turn.renew_at = renew_at(lifetime, &clock);
            Ok(turn)
        }
        Err(error) => {
            turn.failed = Some(error.clone());
            connection.wire.cut("the login could not be renewed");
            Err(error)
        }
    }
}

fn too_slow(address: &Address, limit: Duration) -> Error {
    super::connection::unreachable(
        address,
        &format!("the login took longer than {limit:?} (timeouts.connect)"),
    )
}

fn renew_at(lifetime: Option<Duration>, clock: &WallClock) -> Option<(Instant, SystemTime)> {
    let part = RENEW_AFTER + RENEW_SPREAD * fastrand::f64();
    let wait = scaled(lifetime?, part).max(AT_LEAST);
    Some((deadline(Instant::now(), wait)?, clock.wall().checked_add(wait)?))
}
