//! Bundles cross between us and other people's nodes, over real sockets: dtn7-rs, hardy and pyD3TN; and pycddl judges our data contracts. See docs/INTEROP.md.
//!
//! The tests are ignored unless asked for: each needs a peer's programs on `PATH` or in `COSMOSMESH_PEERS`. A test whose peer
//! is asked for and not there fails; `cargo xtask ci` asks for those that are there.

#[path = "interop/dtnd.rs"]
mod dtnd;
#[path = "interop/hardy.rs"]
mod hardy;
#[path = "interop/host.rs"]
mod host;
#[path = "interop/peer.rs"]
mod peer;
#[path = "interop/pycddl.rs"]
mod pycddl;
#[path = "interop/pyd3tn.rs"]
mod pyd3tn;
