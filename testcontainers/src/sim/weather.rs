//! How a simulated network treats its connections.

use std::time::Duration;

/// How a simulated network treats its connections. Each connection draws its share when it is opened.
///
/// Shares are from 0 (none) to 1 (all). The default is calm: everything arrives at once, and nothing is cut.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Weather {
    /// Longest time that bytes take in one direction. Each connection and direction has its own, from nothing to this.
    pub latency: Duration,
    /// Share of connections that are cut after some number of bytes, anywhere in a frame: reset, closed, or silent from
    /// there on.
    pub cuts: f64,
    /// Share of connections on which reads and writes move only a part of what they could, down to single bytes.
    pub pieces: f64,
    /// Share of attempts to connect that are never answered.
    pub lost: f64,
}

impl Weather {
    /// Sets [`latency`](Self::latency).
    #[must_use]
    pub fn latency(mut self, longest: Duration) -> Self {
        self.latency = longest;
        self
    }

    /// Sets [`cuts`](Self::cuts).
    #[must_use]
    pub fn cuts(mut self, share: f64) -> Self {
        self.cuts = share;
        self
    }

    /// Sets [`pieces`](Self::pieces).
    #[must_use]
    pub fn pieces(mut self, share: f64) -> Self {
        self.pieces = share;
        self
    }

    /// Sets [`lost`](Self::lost).
    #[must_use]
    pub fn lost(mut self, share: f64) -> Self {
        self.lost = share;
        self
    }
}
