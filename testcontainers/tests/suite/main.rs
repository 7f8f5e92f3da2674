//! What kafka-testbed promises.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(feature = "docker")]
mod docker;
mod foreign;
mod proxy;
mod sasl;
mod secured;
mod sim;
#[cfg(feature = "tls")]
mod tls;
mod wire;

/// Real clusters take turns: on a small machine two would only slow one another down.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
