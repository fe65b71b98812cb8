//! The tool `vrrpd`, run as a program.

#[cfg(test)]
mod capture;
#[cfg(test)]
#[path = "../example/mod.rs"]
mod example;
#[cfg(test)]
mod hand_over;
#[cfg(test)]
mod host;
#[cfg(test)]
mod network;
#[cfg(test)]
mod refusing;
#[cfg(test)]
mod running;
#[cfg(test)]
mod scripts;
#[cfg(test)]
mod terminal;
