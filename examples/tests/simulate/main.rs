//! The tool `simulate`, run as a program.

#[cfg(test)]
mod comparing;
#[cfg(test)]
#[path = "../example/mod.rs"]
mod example;
#[cfg(test)]
mod generating;
#[cfg(test)]
mod picking;
#[cfg(test)]
mod plotting;
#[cfg(test)]
mod program;
#[cfg(test)]
mod refusing;
