//! `kafka-send`: lines or JSON records from standard input or files to Kafka, in pure Rust.

mod events;
mod input;
mod ledger;
mod options;
mod progress;
mod record;
mod run;
mod settings;
mod tee;

use std::io::{Write, stdout};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::options::Options;
use crate::run::Job;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(answer) => {
            // Standard error may be closed.
            _ = answer.print();
            return ExitCode::from(u8::from(answer.use_stderr()));
        }
    };
    match printed(&options) {
        Some(Ok(text)) => {
            // Somebody may have read enough, as `head` does.
            _ = stdout().write_all(&text);
            return ExitCode::SUCCESS;
        }
        Some(Err(problem)) => {
            progress::say(format_args!("kafka-send: {problem}"));
            return ExitCode::from(1);
        }
        None => {}
    }
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

/// What is printed instead of sending anything.
fn printed(options: &Options) -> Option<Result<Vec<u8>, String>> {
    let mut text = Vec::new();
    if let Some(shell) = options.completions {
        clap_complete::generate(shell, &mut Options::command(), "kafka-send", &mut text);
        return Some(Ok(text));
    }
    if options.man {
        let rendered = clap_mangen::Man::new(Options::command()).render(&mut text);
        return Some(rendered.map(|()| text).map_err(|error| error.to_string()));
    }
    Some(settings::listing(options)?.map(String::into_bytes))
}
