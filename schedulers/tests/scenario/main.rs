//! Scenarios: reading, writing, playing back.

#[cfg(test)]
mod fuzzed;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod replaying;
