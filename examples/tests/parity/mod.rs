//! What the comparison of the tool with Debian's ipvsadm needs: hosts to run both in, command lines
//! and rule sets to run, and what has to be equal afterwards.

pub(crate) mod compare;
pub(crate) mod coverage;
pub(crate) mod host;
pub(crate) mod lines;
pub(crate) mod names;
pub(crate) mod objects;
pub(crate) mod random;
pub(crate) mod rules;
pub(crate) mod script;
pub(crate) mod spoil;
pub(crate) mod tool;
pub(crate) mod traffic;
