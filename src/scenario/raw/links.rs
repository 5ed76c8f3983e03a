//! Kinds of link.

use super::Optional;
use crate::scenario::{
    decode::{Spanned, choice, record},
    quantity::{Duration, Frequency, Length, Rate, Ratio},
};

record! {
    /// A kind of link.
    RawClass "Class" {
        name: Spanned<String>, "", "Unique name, which radios refer to.";
        frequency: Spanned<Frequency>, "", "Carrier frequency, more than zero; free-space loss follows from it.";
        capacity: Spanned<RawCapacity>, "", "Where data rate and error rate come from.";
        mtu_bytes: Optional<u32>, "1024; 233 with Lora", "Largest frame, header included, 32 to 16777216 (at most 255 with Lora).";
        frame_overhead_bytes: Optional<u32>, "0", "Bytes that framing adds to each frame on air, up to 4096.";
        burst_loss: Optional<RawBurstLoss>, "none", "Loss in bursts (Gilbert–Elliott), on top of bit errors.";
        frame_loss: Optional<f64>, "0", "Probability that a frame is lost for no other reason, 0 to 1.";
        max_range: Optional<Length>, "no limit", "Longest range, more than zero.";
        min_contact: Optional<Duration>, "10 s", "No contact shorter than this.";
        solar_exclusion_deg: Optional<f64>, "0", "No contact while the Sun is closer than this to the peer, seen from either end, in degrees, 0 to below 90.";
        crosslinks: Optional<RawCrosslinks>, "Allowed", "Whether two satellites can talk to each other over it.";
        access: Optional<RawAccess>, "FullDuplex; SharedChannel with Lora", "How the medium is shared.";
        convergence: Optional<RawConvergence>, "SmallFrame", "How bundles cross it: in frames that are sent once, or by LTP (RFC 5326), which repeats what is lost and needs contacts both ways.";
        transfers: Optional<RawTransfers>, "Frames", "What the ends know of a transfer. Sessions: the receiver makes room when it begins, and the sender keeps what the contact's end cut.";
    }
}

choice! {
    /// What the ends of a link know of a transfer.
    RawTransfers "Transfers" { Frames, Sessions }
}

choice! {
    /// Where rates come from.
    RawCapacity "Capacity" { Fixed(RawFixed), Budget(RawBudget), Lora(RawLora), Unlimited }
}

record! {
    /// A constant rate.
    RawFixed "Fixed" {
        rate: Spanned<Rate>, "", "The data rate, more than zero.";
        bit_error_rate: Optional<f64>, "0", "Probability that a bit is wrong after decoding, 0 to 0.5.";
    }
}

record! {
    /// A link budget.
    RawBudget "Budget" {
        required_eb_n0: Spanned<Ratio>, "", "Eb/N0 that the modem needs.";
        margin: Optional<Ratio>, "3 dB", "Margin kept beyond that, 0 or more.";
        bit_error_rate: Optional<f64>, "1e-6", "Bit error rate at exactly the required Eb/N0, 0 to 0.5.";
        min_rate: Spanned<Rate>, "", "Lowest rate of the modem, more than zero; rates are powers of two times it.";
        max_rate: Spanned<Rate>, "", "Highest rate of the modem, not below the lowest.";
        other_losses: Optional<Ratio>, "0 dB", "Losses beside free space (pointing, polarisation, atmosphere), 0 or more.";
    }
}

record! {
    /// LoRa.
    RawLora "Lora" {
        preset: Spanned<RawPreset>, "", "Meshtastic's modem preset.";
        duty_cycle: Optional<f64>, "1", "Largest share of an hour that one transmitter is on air, above 0 to 1.";
        capture_threshold: Optional<Ratio>, "6 dB", "A frame survives an overlapping one when it is stronger by this much, 0 or more.";
        path_loss_exponent: Optional<f64>, "2", "Path-loss exponent near the ground, 2 (free space) to 6.";
    }
}

choice! {
    /// Meshtastic's presets.
    RawPreset "Preset" { ShortTurbo, ShortFast, ShortSlow, MediumFast, MediumSlow, LongFast, LongModerate, LongSlow }
}

choice! {
    /// How a medium is shared.
    RawAccess "Access" { FullDuplex, HalfDuplex, SharedChannel }
}

choice! {
    /// How bundles cross a link.
    RawConvergence "Convergence" { SmallFrame, Ltp(RawLtp) }
}

record! {
    /// LTP.
    RawLtp "Ltp" {
        margin: Optional<Duration>, "1 s", "What an answer takes beyond light time there and back, and the frames that wait in the radios.";
        retransmissions: Optional<u32>, "8", "Times that a segment which asks for an answer is sent again before its bundle goes back to its queue, up to 100.";
        sessions: Optional<u32>, "256", "Most bundles under way to a peer, 1 to 4096.";
    }
}

choice! {
    /// Whether satellites talk to each other.
    RawCrosslinks "Crosslinks" { Allowed, Never }
}

record! {
    /// Gilbert–Elliott loss.
    RawBurstLoss "BurstLoss" {
        mean_good: Spanned<Duration>, "", "Mean time in the good state, more than zero.";
        mean_bad: Spanned<Duration>, "", "Mean time in the bad state, more than zero.";
        loss_good: Optional<f64>, "0", "Probability to lose a frame in the good state, 0 to 1.";
        loss_bad: Optional<f64>, "1", "Probability to lose a frame in the bad state, 0 to 1.";
    }
}
