//! `kafka-send`: lines or JSON records from standard input or files to Kafka, in pure Rust.

mod input;
mod ledger;
mod options;
mod progress;
mod properties;
mod record;
mod run;

use std::process::ExitCode;

use clap::Parser;

use crate::options::Options;
use crate::run::Job;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(answer) if !answer.use_stderr() => {
            print!("{answer}");
            return ExitCode::SUCCESS;
        }
        Err(mistake) => {
            eprint!("{mistake}");
            return ExitCode::from(1);
        }
    };
    let result = match Job::new(&options) {
        Ok(job) => job.run(&options).await,
        Err(failure) => Err(failure),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("kafka-send: {failure}");
            failure.exit_code()
        }
    }
}
