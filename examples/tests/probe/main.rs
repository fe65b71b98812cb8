//! The tool `probe`, run as a program against servers of these tests.

#[cfg(test)]
#[path = "../example/mod.rs"]
mod example;
#[cfg(test)]
mod exchanges;
#[cfg(test)]
mod judging;
#[cfg(test)]
mod places;
#[cfg(test)]
mod program;
#[cfg(test)]
#[path = "../../../healthcheck/tests/support/programs.rs"]
mod programs;
#[cfg(test)]
mod refusing;
#[cfg(test)]
mod schemes;
#[cfg(test)]
mod servers;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod watching;
