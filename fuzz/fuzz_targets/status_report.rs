//! Whatever the engine finds, at the door "status report".
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, reason = "one door of many")]
#[path = "../../protocol/tests/laws/mod.rs"]
mod laws;

fuzz_target!(|bytes: &[u8]| {
    let _ = (laws::door("status report").feed)(bytes);
});
