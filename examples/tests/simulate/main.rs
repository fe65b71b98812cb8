//! The tool `simulate`, run as a program.

#[cfg(test)]
mod comparing;
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
