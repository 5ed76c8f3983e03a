//! Which convergence layer a link speaks.

use core::time::Duration;

/// How bundles cross a link. Both ends speak the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Convergence {
    /// Frames of some hundred bytes ([`crate::convergence::small_frame`]): what was sent has left the node's care.
    #[default]
    SmallFrame,
    /// A frame is a whole bundle, and the driver's convergence layer (a TCPCLv4 or MTCP session, UDPCL) says what became of it.
    Whole(WholeLink),
    /// LTP ([`crate::convergence::ltp`]): what was sent stays in the store until the peer reports that it is there.
    Ltp(LtpLink),
}

/// A link that carries whole bundles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WholeLink {
    /// Most bundles that wait for [`super::Input::Transmitted`] or [`super::Input::TransmissionFailed`].
    pub window: u16,
}

/// A link that speaks LTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LtpLink {
    /// One-way light time.
    pub light_time: Duration,
    /// What an answer takes beyond light time there and back, airtime of a few frames excepted: the node adds that.
    pub margin: Duration,
    /// Times that a checkpoint, a report or a cancellation is sent again before its session is given up.
    pub retransmissions: u32,
    /// Most bundles under way.
    pub sessions: u16,
}

impl LtpLink {
    /// A link over `light_time` with default settings.
    #[must_use]
    pub const fn over(light_time: Duration) -> Self {
        Self { light_time, margin: Duration::from_secs(1), retransmissions: 8, sessions: 256 }
    }
}

/// Names a bundle that was handed to the driver of a [`Convergence::Whole`] link: counted from 0 on each link, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Transfer(pub u64);
