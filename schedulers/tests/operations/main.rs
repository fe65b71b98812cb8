//! Every algorithm against the rule as the specification words it, through random operations on a
//! service and on lists of extreme destinations.
//!
//! Each crash that fuzzing finds becomes a test with a name of its own here.

#[cfg(test)]
mod fuzzed;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod literal;
#[cfg(test)]
mod runs;
