//! Benches of the workspace, one file for each subject: `cargo bench -p benches --bench NAME`.
//!
//! Each prints times, and a floor or a peer in the same run; figures belong to the machine they
//! were taken on.
