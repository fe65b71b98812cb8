//! The tool `vrrpdump`, run as a program.

#[cfg(test)]
mod announced;
#[cfg(test)]
mod captures;
#[cfg(test)]
mod configured;
#[cfg(test)]
mod damaged;
#[cfg(test)]
#[path = "../example/mod.rs"]
mod example;
#[cfg(test)]
mod links;
#[cfg(test)]
mod live;
#[cfg(test)]
mod program;
#[cfg(test)]
mod shown;
#[cfg(test)]
mod vectors;
