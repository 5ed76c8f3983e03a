//! One target for each door of the laws that the tests of the protocol crate hold too.

#[path = "../../protocol/tests/laws/mod.rs"]
mod laws;

pub use libfuzzer_sys::fuzz_target;

/// Feeds bytes to the door of this name.
pub fn feed(door: &str, bytes: &[u8]) {
    let _ = (laws::door(door).feed)(bytes);
}

/// The names of all doors, and the examples that a search starts from.
pub fn examples() -> impl Iterator<Item = (&'static str, Vec<Vec<u8>>)> {
    laws::DOORS.iter().map(|door| (door.name, (door.examples)()))
}

/// Whatever the engine finds, at one door.
#[macro_export]
macro_rules! door {
    ($name:literal) => {
        $crate::fuzz_target!(|bytes: &[u8]| $crate::feed($name, bytes));
    };
}
