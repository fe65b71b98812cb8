//! Behaviour of services and schedulers through the public interface.

#[cfg(test)]
mod accounting;
#[cfg(test)]
mod adding;
#[cfg(test)]
mod caches;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod eligibility;
#[cfg(test)]
mod explanations;
#[cfg(test)]
mod hashing;
#[cfg(test)]
mod hooks;
#[cfg(test)]
mod persistence;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod support;
#[cfg(test)]
mod thresholds;
#[cfg(test)]
mod trash;
#[cfg(test)]
mod twos;
#[cfg(test)]
mod vectors;
#[cfg(test)]
mod walks;
