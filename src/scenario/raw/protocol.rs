//! How every node's protocol stack is set.

use super::{Optional, RawStorage};
use crate::scenario::{
    decode::{Spanned, choice, record},
    quantity::{Duration, Rate, Size},
};

record! {
    /// Protocol settings.
    RawProtocol "Protocol" {
        lifetimes: Optional<RawLifetimes>, "1 d, 3 d, 7 d", "Lifetimes of bundles whose traffic does not state one.";
        hop_limit: Optional<u8>, "16", "Largest number of hops, 1 to 255.";
        crc: Optional<RawCrc>, "Crc32c", "Check value of bundle blocks.";
        bundle_security: Optional<RawBundleSecurity>, "Off", "Whether bundles are signed by the asset that makes them and checked at every hop.";
        retransmission: Optional<RawRetransmission>, "all defaults", "End-to-end retransmission.";
        storage: Optional<RawStorage>, "64 MiB, 65536 bundles", "Store limits of assets that do not state their own.";
        replay_window: Optional<u32>, "1024", "Sequence numbers below the highest seen within which late envelopes are accepted, per sender, 1 to 65536.";
        max_payload_bytes: Optional<u32>, "65536", "Largest application payload, 1 to 16777216.";
        stream_window: Optional<u32>, "4096", "Unacknowledged messages of one stream that a sender keeps, and early ones that a receiver holds back, 1 to 65536.";
        submission_rate: Optional<RawRateLimit>, "none", "How fast an asset's applications may submit messages.";
        reroute_after: Optional<Duration>, "60 s", "A bundle whose planned contact did not carry it is routed again after this time.";
        foreknowledge: Optional<RawForeknowledge>, "ContactPlan", "Whether nodes know the contact plan, or meet each other unforeseen.";
        service: Optional<RawService>, "Streams", "How application messages travel.";
        routing: Optional<RawRouting>, "Sabr", "How bundles find their way.";
        custody: Optional<RawCustody>, "all defaults", "How nodes keep what travels in custody, which traffic asks for.";
        min_fragment_bytes: Optional<u32>, "none", "Bundles that do not fit into a contact, or the rest of it, leave in fragments of at least this many bytes of payload, 1 to 16777216. Without it they wait for a contact that takes them whole.";
        status_reports: Optional<RawStatusReports>, "none", "Nodes send the status reports that traffic asks for (`reports`).";
        policy: Optional<RawPolicy>, "Strict", "How assets that do not state their own judge the bundles that come to them.";
        compression: Optional<RawCompression>, "none", "Payloads are compressed by Zstandard (RFC 8878) where that pays.";
        clock_uncertainty: Optional<Duration>, "10 ms", "Half width of the uncertainty of each node's estimate of UTC, 0 or more.";
    }
}

choice! {
    /// What nodes know of contacts before they open.
    RawForeknowledge "Foreknowledge" { ContactPlan, Nothing }
}

choice! {
    /// How bundles find their way.
    RawRouting "Routing" {
        Sabr, DirectDelivery(RawSpread), Epidemic(RawSpread), SprayAndWait(RawSpray), Prophet(RawSpread),
        ManagedFlooding(RawFlooding), Static,
    }
}

record! {
    /// What all strategies of copies have in common.
    RawSpread "Spread" {
        order: Optional<RawSendOrder>, "Received", "Which bundle goes first to a neighbour, after those destined to it, within a priority.";
        delete_delivered: Optional<bool>, "true", "Whether a node that gave a bundle to its destination keeps no copy.";
        purge_delivered: Optional<bool>, "false", "Whether neighbours also tell each other what was delivered; what its destination tells is deleted.";
    }
}

record! {
    /// A bounded number of copies (Spyropoulos et al. 2005).
    RawSpray "Spray" {
        copies: Spanned<u32>, "", "How many copies of a bundle there are in all, 1 to 1000000.";
        binary: Optional<bool>, "true", "Whether a neighbour gets half of the copies that are left, rather than one.";
        order: Optional<RawSendOrder>, "Received", "Which bundle goes first to a neighbour, after those destined to it, within a priority.";
        delete_delivered: Optional<bool>, "true", "Whether a node that gave a bundle to its destination keeps no copy.";
        purge_delivered: Optional<bool>, "false", "Whether neighbours also tell each other what was delivered; what its destination tells is deleted.";
    }
}

record! {
    /// Managed flooding, by the rules of Meshtastic: a bundle is sent on once, after a delay that is shorter the weaker it was heard, unless another is heard to
    /// send it first.
    RawFlooding "Flooding" {
        medium: Optional<RawMedium>, "Links", "Whether a bundle goes to each neighbour by its link, or once on the shared channel, where all in range hear it.";
        order: Optional<RawSendOrder>, "Received", "Which bundle goes first to a neighbour, after those destined to it, within a priority.";
        delete_delivered: Optional<bool>, "true", "Whether a node that gave a bundle to its destination keeps no copy.";
        purge_delivered: Optional<bool>, "false", "Whether neighbours also tell each other what was delivered, and delete that. Not with Channel.";
    }
}

choice! {
    /// What a flood goes over.
    RawMedium "Medium" { Links, Channel }
}

choice! {
    /// Orders of sending: that of arrival, or one by chance at each meeting.
    RawSendOrder "SendOrder" { Received, Random }
}

choice! {
    /// How application messages travel.
    RawService "Service" { Streams, Datagrams(RawDatagrams) }
}

record! {
    /// Plain bundles: no envelope, no stream, no acknowledgement, at most one delivery.
    RawDatagrams "Datagrams" {
        size_only: Optional<bool>, "false", "Payloads are counted (on air, in stores) and not carried.";
    }
}

record! {
    /// Custody transfer (draft-ietf-dtn-bibect-03): who has a bundle keeps it, and repeats it until the next custodian says that it is kept there.
    RawCustody "Custody" {
        direct: Optional<bool>, "true", "Whether destinations that an asset's `custodians` do not name take custody themselves.";
        bundles: Optional<u32>, "1024", "Most bundles in a node's custody, 1 to 1048576.";
        capacity: Optional<Size>, "32 MiB", "Most bytes of them, at least 1 kB.";
        signal_delay: Optional<Duration>, "1 s", "How long a custodian gathers its answers, 0 or more.";
    }
}

choice! {
    /// How bundles are judged: by every rule of RFC 9171, or by their form only, for peers that protect no primary block.
    RawPolicy "Policy" { Strict, Lenient }
}

record! {
    /// Status reports (RFC 9171 §6.1.1).
    RawStatusReports "StatusReports" {
        interval: Optional<Duration>, "1 s", "A node sends at most one in this time in the long run, more than zero.";
        burst: Optional<u32>, "32", "Most at once, and most that wait, 1 to 65536.";
        lifetime: Optional<Duration>, "1 d", "Lifetime of a report, more than zero.";
    }
}

record! {
    /// When payloads are compressed.
    RawCompression "Compression" {
        min_payload_bytes: Optional<u32>, "256", "Shorter payloads are not, 1 to 16777216.";
        margin_percent: Optional<u32>, "10", "What must be gained, in percent of the payload, 0 to 99.";
    }
}

record! {
    /// A rate and how far it may be exceeded for a moment.
    RawRateLimit "RateLimit" {
        rate: Spanned<Rate>, "", "Sustained rate of payload, 8 bit/s or more.";
        burst: Optional<Size>, "64 kB", "Payload that may come at once after a pause.";
    }
}

record! {
    /// Lifetimes by priority.
    RawLifetimes "Lifetimes" {
        expedited: Optional<Duration>, "1 d", "Lifetime of expedited bundles, more than zero.";
        normal: Optional<Duration>, "3 d", "Lifetime of normal bundles, more than zero.";
        bulk: Optional<Duration>, "7 d", "Lifetime of bulk bundles, more than zero.";
    }
}

choice! {
    /// Check values.
    RawCrc "Crc" { Crc16, Crc32c }
}

choice! {
    /// Security of bundles. Envelopes are signed in any case.
    RawBundleSecurity "BundleSecurity" { Off, HopByHop }
}

record! {
    /// Retransmission.
    RawRetransmission "Retransmission" {
        max_attempts: Optional<u32>, "8", "Transmissions of one message in all, 1 to 1000.";
        min_timeout: Optional<Duration>, "10 s", "A message is never sent again sooner, more than zero.";
        ack_delay: Optional<Duration>, "2 s", "How long a receiver gathers acknowledgements before it sends them, 0 or more.";
        margin_factor: Optional<f64>, "1.5", "Factor that stretches the expected time there and back to the timeout, 1 to 100.";
    }
}
