//! The runner's own arguments.

use std::time::Duration;

use crate::Error;

pub struct Options {
    /// The main scenarios and peers only.
    pub quick: bool,
    /// Only scenarios whose names have this.
    pub row: Option<String>,
    /// Only peers whose names have one of these, separated by `;`.
    pub only: Option<String>,
    /// No run is begun after this.
    pub budget: Option<Duration>,
    /// How long a flood goes on.
    pub seconds: f64,
    pub repetitions: usize,
    /// Writes the table and the chart of the crate's documentation.
    pub publish: bool,
    /// Prints the names of the scenarios.
    pub list: bool,
}

impl Options {
    pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Self, Error> {
        let mut options = Self {
            quick: false,
            row: None,
            only: None,
            budget: None,
            seconds: 3.0,
            repetitions: 3,
            publish: false,
            list: false,
        };
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            match arg.as_str() {
                "--quick" => options.quick = true,
                "--publish" => options.publish = true,
                "--list" => options.list = true,
                "--row" => options.row = Some(value()?),
                "--only" => options.only = Some(value()?),
                "--budget" => options.budget = Some(Duration::try_from_secs_f64(value()?.parse()?)?),
                "--seconds" => options.seconds = value()?.parse()?,
                "--repetitions" => options.repetitions = value()?.parse()?,
                _ => return Err(format!("unknown argument {arg}: see README.md").into()),
            }
        }
        Ok(options)
    }
}
