//! The fleet's members and their equipment.

use super::{Optional, RawMotion, RawPolicy};
use crate::scenario::{
    decode::{List, Spanned, choice, record},
    quantity::{Duration, Energy, Gain, Level, Merit, Power, Size},
};

record! {
    /// Equipment that several assets share.
    RawKit "Kit" {
        name: Spanned<String>, "", "Unique name, which assets refer to.";
        groups: Option<List<String>>, "none", "Groups that every asset with this kit belongs to.";
        radios: Option<List<RawRadio>>, "none", "Radios.";
        power: Optional<RawPower>, "none", "Power system.";
        storage: Optional<RawStorage>, "the protocol's", "Limits of the bundle store.";
        routes: Option<List<RawRoute>>, "none", "Next hops, with Static routing.";
        custodians: Option<List<RawRoute>>, "none", "Who takes custody next.";
        policy: Optional<RawPolicy>, "the protocol's", "How bundles that come to it are judged.";
        clock: Optional<RawClock>, "Synchronised", "Whether it knows the time of day.";
    }
}

record! {
    /// A member of the fleet.
    RawAsset "Asset" {
        name: Spanned<String>, "", "Unique name of letters, digits, `-` and `_`.";
        kind: Spanned<RawKind>, "", "What it is. All but satellites stand on or fly over a surface.";
        node: Spanned<u64>, "", "Its node number in the `ipn` scheme, unique, 1 to 4294967295.";
        role: Optional<RawRole>, "Operator for ground stations, Contributor for all others", "Whose writes to shared state stand: of concurrent ones the greater role's.";
        motion: Spanned<RawMotion>, "", "How it moves.";
        kit: Optional<String>, "none", "The kit that gives what the asset itself does not.";
        groups: Option<List<String>>, "none", "Groups that it belongs to, beside the kit's; `\"@group\"` names its members.";
        radios: Option<List<RawRadio>>, "the kit's", "Radios; replaces the kit's.";
        power: Optional<RawPower>, "the kit's; else no concern", "Power system; replaces the kit's.";
        storage: Optional<RawStorage>, "the kit's; else the protocol's", "Limits of the bundle store; replaces the kit's.";
        routes: Option<List<RawRoute>>, "the kit's", "Next hops, with Static routing: what has none goes to its destination directly. Replaces the kit's.";
        custodians: Option<List<RawRoute>>, "the kit's", "Who takes custody next of what travels in custody. Replaces the kit's.";
        policy: Optional<RawPolicy>, "the kit's; else the protocol's", "How bundles that come to it are judged.";
        clock: Optional<RawClock>, "the kit's; else Synchronised", "Whether it knows the time of day.";
        dtn_name: Optional<String>, "none", "Its name in the `dtn` scheme, unique. Datagrams to and from it then go by `dtn://name/`, and not by its number.";
    }
}

choice! {
    /// Clocks of assets: UTC within the protocol's `clock_uncertainty`, or none. What is made without one tells its age instead of its time of creation
    /// (RFC 9171 §4.4.2).
    RawClock "Clock" { Synchronised, None }
}

record! {
    /// A line of a table. Of two lines for a destination the later holds.
    RawRoute "Route" {
        to: Spanned<Vec<Spanned<String>>>, "", "Destinations: names, `\"@group\"` or `\"@all\"`. The asset itself and `via`, if they are among them, are passed over.";
        via: Spanned<String>, "", "Who gets bundles for them, another asset.";
    }
}

record! {
    /// A series of like assets.
    RawHosts "Hosts" {
        prefix: Spanned<String>, "", "Their names are this and a number.";
        count: Spanned<u32>, "", "How many, 1 to 100000.";
        first: Optional<u32>, "0", "The number in the first one's name.";
        node: Optional<u64>, "1", "The first one's node number; the others follow.";
        kind: Spanned<RawKind>, "", "What they are.";
        kit: Optional<String>, "none", "Their kit.";
        groups: Option<List<String>>, "none", "Groups that they belong to, beside the kit's.";
    }
}

choice! {
    /// Roles, from the least to the greatest. An observer holds a replica and writes nothing.
    RawRole "Role" { Observer, Contributor, Operator, Admin }
}

choice! {
    /// Kinds of asset.
    RawKind "Kind" { Rover, Drone, Habitat, Satellite, GroundStation }
}

record! {
    /// A radio.
    RawRadio "Radio" {
        name: Optional<String>, "its class's name", "Unique within the asset.";
        class: Spanned<String>, "", "The link class; radios of one class can talk to each other.";
        eirp: Optional<Level>, "none", "Equivalent isotropically radiated power. Needed with Budget and Lora.";
        g_over_t: Optional<Merit>, "none", "Receiver figure of merit. Needed with Budget.";
        receive_gain: Optional<Gain>, "none", "Receive antenna gain. Needed with Lora.";
        min_elevation_deg: Optional<f64>, "10", "Lowest elevation at which a radio on a surface sees satellites, in degrees, -90 to 90.";
        max_peers: Optional<u32>, "no limit", "Largest number of peers served at once, 1 or more.";
        queue_frames: Optional<u32>, "64", "Frames that wait beyond the one on air, 0 to 65536. With 0, the node decides at the last moment.";
        transmit_power: Optional<Power>, "0 W", "Electrical power drawn while sending, 0 or more.";
        receive_power: Optional<Power>, "0 W", "Electrical power drawn while a contact is open, 0 or more.";
    }
}

record! {
    /// A power system.
    RawPower "Power" {
        battery: Spanned<Energy>, "", "Energy in the full battery, more than zero.";
        initial_charge: Optional<f64>, "1", "State of charge at the epoch, 0 to 1.";
        solar_peak: Optional<Power>, "0 W", "What the panels give with the Sun at the zenith (surface) or unobscured (orbit), 0 or more.";
        constant_source: Optional<Power>, "0 W", "A constant source beside the panels, such as a radioisotope generator, 0 or more.";
        base_load: Optional<Power>, "0 W", "What the asset draws with silent radios, 0 or more.";
        min_charge: Optional<f64>, "0", "State of charge below which its radios stay silent, 0 to below 1.";
    }
}

record! {
    /// Limits of a store.
    RawStorage "Storage" {
        capacity: Spanned<Size>, "", "Bytes of bundles, at least 1 kB.";
        bundles: Optional<u32>, "65536", "Number of bundles, 1 or more.";
        commit: Optional<Duration>, "0 s", "Time that the disk takes to make a batch of records durable, 0 or more. A crash tears what is not written yet.";
        transit: Optional<RawTransit>, "Kept", "Whether bundles on their way through survive a crash. An asset's own messages always do.";
    }
}

choice! {
    /// What becomes of bundles in transit when their relay crashes.
    RawTransit "Transit" { Kept, Lost }
}
