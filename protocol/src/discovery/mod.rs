//! Discovery: who is there, what they can do, and who only seems to be gone.
//!
//! Two sources, for two kinds of members:
//!
//! * *Neighbours on fast links* gossip: SWIM with suspicion (Das, Gupta, Motivala 2002; the `foca` crate), over signed envelopes.
//! * *All others* are known by the contact plan: an asset behind Mars is silent until its next contact, not dead.
//!
//! [`Membership`] joins both into one answer for each member, its [`Presence`]. What gossip says is not simply believed:
//!
//! * who is no member, or blocked, is not talked about: [`Membership::on_packet`] is told who is;
//! * nobody takes another's word for a death. A third party's "down" counts as a suspicion, which the suspect refutes; each node waits for its own
//!   timers;
//! * nobody gives another a new life: an identity counts only with a signed [`Advert`] of its owner that names it;
//! * nobody moves another's incarnation far: a third party's word for it counts up to [`MAX_STEP`] above what is known, and a suspicion not above
//!   it at all, so that a forged greatest number does not silence the owner's refutation;
//! * a suspicion of somebody whom the contact plan expects to be silent waits until the plan expects a word again.
//!
//! Time is an argument; randomness comes from the seed that the node gives; whatever grows has a limit.

mod advert;
mod codec;
mod identity;
mod membership;
mod presence;
mod runtime;

pub use advert::{Advert, AdvertError, Capabilities, MAX_ADVERT_LEN};
pub use identity::Life;
pub use membership::{GossipError, MAX_PACKET, MAX_STEP, Membership, Pace, Packet};
pub use presence::{Expectation, Presence};

#[cfg(test)]
mod membership_tests;
