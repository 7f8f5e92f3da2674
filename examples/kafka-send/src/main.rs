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
        Err(answer) => {
            // Where it cannot be printed there is nobody to tell.
            _ = answer.print();
            return ExitCode::from(u8::from(answer.use_stderr()));
        }
    };
    let result = match Job::new(&options) {
        Ok(job) => job.run(&options).await,
        Err(failure) => Err(failure),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            progress::say(format_args!("kafka-send: {failure}"));
            failure.exit_code()
        }
    }
}
