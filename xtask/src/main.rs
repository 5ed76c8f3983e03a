//! The project's own checks; `cargo xtask ci` runs what `.ci/run` runs.
fn main() {}
