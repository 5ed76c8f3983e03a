//! The `cosmosmesh` command.
fn main() {}
