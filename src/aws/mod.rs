//! Logins at Amazon MSK: AWS credentials, wherever they come from, and the tokens that they sign.

mod answer;
mod chain;
mod container;
mod environment;
mod instance;
mod login;
mod lookup;
mod problem;
mod process;
mod profile;
mod profiles;
mod region;
mod sigv4;
mod skew;
mod sts;
mod time;
mod token;

#[cfg(test)]
mod tests;
