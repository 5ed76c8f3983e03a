//! Hardware in the loop: what is real flies the virtual link, and a session replays bit for bit.

#[cfg(feature = "daemon")]
#[path = "../node/tests/interop/air.rs"]
mod air;
#[path = "hil/command.rs"]
mod command;
#[cfg(feature = "daemon")]
#[path = "hil/daemons.rs"]
mod daemons;
#[cfg(feature = "daemon")]
#[path = "hil/direwolf.rs"]
mod direwolf;
#[path = "hil/field.rs"]
mod field;
#[path = "hil/kernel.rs"]
mod kernel;
#[path = "hil/logs.rs"]
mod logs;
#[cfg(feature = "daemon")]
#[path = "hil/meshtastic.rs"]
mod meshtastic;
#[cfg(feature = "daemon")]
#[path = "../protocol/tests/interop/peer.rs"]
#[expect(dead_code, reason = "sessions accept their peers themselves")]
mod peer;
#[cfg(feature = "daemon")]
#[path = "hil/programs.rs"]
mod programs;
#[path = "hil/sessions.rs"]
mod sessions;
#[path = "../examples/udp_pair/driver.rs"]
#[expect(dead_code, reason = "no node crashes here")]
mod udp_driver;
