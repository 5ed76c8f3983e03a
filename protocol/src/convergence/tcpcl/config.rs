//! [`Config`]: what one side of a session wants, and its limits.

use alloc::string::String;
use core::time::Duration;

/// Whether a session is protected by TLS (RFC 9174 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsPolicy {
    /// Never: the contact header does not offer it.
    Refuse,
    /// When the peer offers it too.
    Allow,
    /// Always: a peer that does not offer it is turned away.
    Require,
}

/// How acknowledgements of a peer are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledgements {
    /// By the letter (RFC 9174 §5.2.3): one for each segment in order, with its flags and the sum of lengths.
    Strict,
    /// By length alone: flags are not looked at, one may stand for several, and a repeated one is passed over. For peers such as
    /// dtn7-rs, which acknowledges with flags 0. A Transfer Length item of another length than 8 is passed over too:
    /// dtn7-rs uses its type for something else.
    Lenient,
}

/// One side of a session.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our node, such as `ipn:7.0`, or empty to stay silent (RFC 9174 §4.6); at most 65535 bytes.
    pub node_id: String,
    /// Interval between keepalives that we ask for, in seconds; 0 switches them off.
    pub keepalive_s: u16,
    /// The longest data of one segment that we take, in bytes.
    pub segment_mru: u64,
    /// The longest bundle that we take, in bytes: the bound of what a peer can make us hold.
    pub transfer_mru: u64,
    /// The least segment MRU of a peer that we put up with, in bytes: smaller ones drown data in headers.
    pub min_segment_mtu: u64,
    /// The longest data of one segment that we send, in bytes: how long an acknowledgement waits behind it.
    pub max_segment_bytes: usize,
    /// TLS or not.
    pub tls: TlsPolicy,
    /// Whether a peer must prove its node ID by its certificate (RFC 9174 §4.4.4.3).
    pub require_authenticated_node_id: bool,
    /// How acknowledgements are judged.
    pub acknowledgements: Acknowledgements,
    /// Whether the last acknowledgement of a received bundle waits until [`super::Session::accept`]: a bundle that is
    /// acknowledged then is one that the host has stored.
    pub hold_final_acknowledgement: bool,
    /// How many bundles may wait for [`super::Session::accept`] before no more bytes are taken.
    pub max_held: usize,
    /// The longest list of extension items that is read, in bytes.
    pub max_extension_bytes: u32,
    /// How many segments may be on their way without acknowledgement.
    pub max_unacknowledged_segments: usize,
    /// How many bundles may wait for being sent or acknowledged.
    pub max_queued: usize,
    /// How many bytes those bundles may have together.
    pub max_queued_bytes: usize,
    /// From the start of the connection until the session is established; at most 60 s by RFC 9174 §4.1.
    pub contact_timeout: Duration,
    /// How long a peer may leave every segment on its way without acknowledgement. Time in which we take none of its bytes does not count.
    pub acknowledgement_timeout: Duration,
    /// How long a session may be without messages but keepalives before we end it (RFC 9174 §6.2); none for ever.
    pub idle_shutdown: Option<Duration>,
    /// How long an ending session may take to finish its transfers.
    pub ending_timeout: Duration,
}

impl Config {
    /// Usual values for `node_id`: keepalives each minute, 64 KiB segments, bundles up to 16 MiB, no TLS, strict.
    #[must_use]
    pub const fn new(node_id: String) -> Self {
        Self {
            node_id,
            keepalive_s: 60,
            segment_mru: 64 << 10,
            transfer_mru: 16 << 20,
            min_segment_mtu: 64,
            max_segment_bytes: 16 << 10,
            tls: TlsPolicy::Refuse,
            require_authenticated_node_id: false,
            acknowledgements: Acknowledgements::Strict,
            hold_final_acknowledgement: false,
            max_held: 16,
            max_extension_bytes: 4096,
            max_unacknowledged_segments: 64,
            max_queued: 256,
            max_queued_bytes: 64 << 20,
            contact_timeout: Duration::from_secs(30),
            acknowledgement_timeout: Duration::from_secs(60),
            idle_shutdown: None,
            ending_timeout: Duration::from_secs(30),
        }
    }
}
