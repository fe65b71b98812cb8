//! Runs one health check against one target, and explains the outcome.
//!
//! Try, from the top of the repository:
//!
//! ```text
//! cargo run --example probe -- command -- sh -c 'echo all well'
//! cargo run --example probe -- tcp://127.0.0.1:22
//! cargo run --example probe -- https://example.org/ --expect 200-299 --timeout 2s
//! cargo run --example probe -- --watch --interval 1s --rise 2 --fall 3 http://127.0.0.1:8080/health
//! cargo run --example probe -- --help
//! ```
//!
//! The check is one of the library's own, run by its driver and judged by its policy: what this
//! says of a server is what a director would think of it.

mod address;
mod arguments;
mod definition;
mod duration;
mod escape;
mod exchange;
mod explain;
mod failure;
mod json;
mod kind;
mod lines;
mod locator;
mod output;
mod policy;
mod run;
mod screen;
mod server;
mod signals;
mod steps;
mod subject;
mod text;
mod tls;
mod web;

use std::process::ExitCode;

use arguments::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::from_command_line();
    match run::run(&arguments) {
        Ok(up) if up => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(failure) => {
            if !failure.is_silent() {
                eprintln!("probe: {failure}");
            }
            ExitCode::from(failure.status())
        }
    }
}
