//! Attacks on identity, envelopes, access and the log, each with the answer that is expected: see `docs/SECURITY.md`.

#[path = "attacks/blocked.rs"]
mod blocked;
#[path = "attacks/confidential.rs"]
mod confidential;
#[path = "attacks/doors.rs"]
mod doors;
#[path = "attacks/envelopes.rs"]
mod envelopes;
#[path = "attacks/fleet.rs"]
mod fleet;
#[path = "attacks/gossip.rs"]
mod gossip;
#[path = "attacks/governance.rs"]
mod governance;
#[path = "attacks/identities.rs"]
mod identities;
#[path = "attacks/lines.rs"]
mod lines;
#[path = "attacks/logs.rs"]
mod logs;
#[path = "attacks/plans.rs"]
mod plans;
#[path = "attacks/relays.rs"]
mod relays;
#[path = "attacks/shared.rs"]
mod shared;
