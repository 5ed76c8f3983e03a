//! What a scenario file may hold, as it is written. Each field states its default and meaning for docs/SCENARIOS.md.

use super::{
    decode::{List, Record, Series, Shape, SizeRange, Spanned, choice, record},
    quantity::{Duration, Energy, Frequency, Gain, Length, Level, Merit, Power, Rate, Ratio, Size},
};

type Optional<T> = Option<Spanned<T>>;

record! {
    /// A scenario file.
    RawScenario "Scenario" {
        version: Spanned<u32>, "", "Version of the format: 1.";
        name: Spanned<String>, "", "A word of letters, digits, `-` and `_` that names the scenario.";
        description: Optional<String>, "empty", "What it shows.";
        epoch: Spanned<String>, "", "The UTC moment at which simulated time is zero, `\"2026-11-01T00:00:00Z\"`.";
        duration: Spanned<Duration>, "", "How much time is simulated, more than zero.";
        seed: Optional<u64>, "1", "The seed of every random stream.";
        includes: Option<List<String>>, "none", "Files with parts (record Part), relative to this file and inside its folder.";
        classes: Option<List<RawClass>>, "none", "Kinds of link.";
        kits: Option<List<RawKit>>, "none", "Equipment that several assets share.";
        assets: Option<List<RawAsset>>, "none", "The fleet; at least one asset, parts included.";
        contacts: Optional<RawContacts>, "Computed", "Where contacts come from.";
        protocol: Optional<RawProtocol>, "all defaults", "How every node's protocol stack is set.";
        traffic: Option<List<RawTraffic>>, "none", "Application messages.";
        shared_state: Optional<RawSharedState>, "none", "Replicated state.";
        planning: Optional<RawPlan>, "none", "The federated plan.";
        faults: Option<List<RawFault>>, "none", "What breaks, and when.";
        metrics: Option<List<RawTolerance>>, "none", "How far metrics may be from a baseline.";
    }
}

record! {
    /// A file that scenarios include.
    RawPart "Part" {
        version: Spanned<u32>, "", "Version of the format: 1.";
        includes: Option<List<String>>, "none", "More parts, relative to this file.";
        classes: Option<List<RawClass>>, "none", "Kinds of link, added to the scenario's.";
        kits: Option<List<RawKit>>, "none", "Equipment, added to the scenario's.";
        assets: Option<List<RawAsset>>, "none", "Assets, added to the scenario's.";
    }
}

record! {
    /// A kind of link.
    RawClass "Class" {
        name: Spanned<String>, "", "Unique name, which radios refer to.";
        frequency: Spanned<Frequency>, "", "Carrier frequency, more than zero; free-space loss follows from it.";
        capacity: Spanned<RawCapacity>, "", "Where data rate and error rate come from.";
        mtu_bytes: Optional<u32>, "1024; 233 with Lora", "Largest frame, header included, 32 to 65536 (at most 255 with Lora).";
        frame_overhead_bytes: Optional<u32>, "0", "Bytes that framing adds to each frame on air, up to 4096.";
        burst_loss: Optional<RawBurstLoss>, "none", "Loss in bursts (Gilbert–Elliott), on top of bit errors.";
        frame_loss: Optional<f64>, "0", "Probability that a frame is lost for no other reason, 0 to 1.";
        max_range: Optional<Length>, "no limit", "Longest range, more than zero.";
        min_contact: Optional<Duration>, "10 s", "No contact shorter than this.";
        solar_exclusion_deg: Optional<f64>, "0", "No contact while the Sun is closer than this to the peer, seen from either end, in degrees, 0 to below 90.";
        crosslinks: Optional<RawCrosslinks>, "Allowed", "Whether two satellites can talk to each other over it.";
        access: Optional<RawAccess>, "FullDuplex; SharedChannel with Lora", "How the medium is shared.";
    }
}

choice! {
    /// Where rates come from.
    RawCapacity "Capacity" { Fixed(RawFixed), Budget(RawBudget), Lora(RawLora) }
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

record! {
    /// Equipment that several assets share.
    RawKit "Kit" {
        name: Spanned<String>, "", "Unique name, which assets refer to.";
        groups: Option<List<String>>, "none", "Groups that every asset with this kit belongs to.";
        radios: Option<List<RawRadio>>, "none", "Radios.";
        power: Optional<RawPower>, "none", "Power system.";
        storage: Optional<RawStorage>, "the protocol's", "Limits of the bundle store.";
    }
}

record! {
    /// A member of the fleet.
    RawAsset "Asset" {
        name: Spanned<String>, "", "Unique name of letters, digits, `-` and `_`.";
        kind: Spanned<RawKind>, "", "What it is. All but satellites stand on or fly over a surface.";
        node: Spanned<u64>, "", "Its node number in the `ipn` scheme, unique, 1 to 4294967295.";
        motion: Spanned<RawMotion>, "", "How it moves.";
        kit: Optional<String>, "none", "The kit that gives what the asset itself does not.";
        groups: Option<List<String>>, "none", "Groups that it belongs to, beside the kit's; `\"@group\"` names its members.";
        radios: Option<List<RawRadio>>, "the kit's", "Radios; replaces the kit's.";
        power: Optional<RawPower>, "the kit's; else no concern", "Power system; replaces the kit's.";
        storage: Optional<RawStorage>, "the kit's; else the protocol's", "Limits of the bundle store; replaces the kit's.";
    }
}

choice! {
    /// Kinds of asset.
    RawKind "Kind" { Rover, Drone, Habitat, Satellite, GroundStation }
}

choice! {
    /// Kinds of motion.
    RawMotion "Motion" {
        Site(RawSite), Track(RawTrack), Orbit(RawOrbit), Tle(RawTle), Omm(RawOmm), Oem(RawOem), Nowhere,
    }
}

choice! {
    /// Bodies.
    RawBody "Body" { Sun, Earth, Moon, Mars }
}

record! {
    /// A fixed place.
    RawSite "Site" {
        body: Spanned<RawBody>, "", "A body with a surface: Earth, Moon or Mars.";
        latitude_deg: Spanned<f64>, "", "Planetographic (on Earth: WGS-84 geodetic) latitude in degrees, -90 to 90.";
        longitude_deg: Spanned<f64>, "", "East longitude in degrees, -180 to 360.";
        height: Optional<Length>, "0 m", "Height above the body's ellipsoid.";
    }
}

record! {
    /// A path over a surface.
    RawTrack "Track" {
        body: Spanned<RawBody>, "", "A body with a surface: Earth, Moon or Mars.";
        waypoints: Spanned<Vec<Spanned<RawWaypoint>>>, "", "At least one, times strictly increasing; great circles at constant speed between them, standing before the first and after the last.";
    }
}

record! {
    /// A place at a time.
    RawWaypoint "Waypoint" {
        at: Spanned<Duration>, "", "When, from the epoch, 0 or more.";
        latitude_deg: Spanned<f64>, "", "Latitude in degrees, -90 to 90.";
        longitude_deg: Spanned<f64>, "", "East longitude in degrees, -180 to 360.";
        height: Optional<Length>, "0 m", "Height above the body's ellipsoid.";
    }
}

record! {
    /// An orbit from elements.
    RawOrbit "Orbit" {
        body: Spanned<RawBody>, "", "The central body: Earth, Moon or Mars.";
        model: Optional<RawModel>, "SecularJ2", "How the orbit is carried through time. Elements of the other kind are converted (first order in J2).";
        elements: Spanned<RawElementSet>, "", "The elements at the epoch, which must say whether they are mean or osculating.";
    }
}

choice! {
    /// Propagators.
    RawModel "Model" { TwoBody, SecularJ2, Numeric }
}

choice! {
    /// Elements by their kind.
    RawElementSet "Elements" { Mean(RawElements), Osculating(RawElements) }
}

record! {
    /// Keplerian elements.
    RawElements "KeplerianElements" {
        semi_major_axis: Spanned<Length>, "", "Semi-major axis; the periapsis must be above the surface.";
        eccentricity: Spanned<f64>, "", "Eccentricity, 0 to below 1.";
        inclination_deg: Spanned<f64>, "", "Inclination to the body's equator in degrees, 0 to 180.";
        raan_deg: Spanned<f64>, "", "Right ascension of the ascending node in degrees, -360 to 360, from the ascending node of the body's equator on the ICRF equator (Earth: mean equinox of date).";
        argument_of_periapsis_deg: Spanned<f64>, "", "Argument of periapsis in degrees, -360 to 360.";
        mean_anomaly_deg: Spanned<f64>, "", "Mean anomaly at the epoch in degrees, -360 to 360.";
    }
}

record! {
    /// A two-line element set.
    RawTle "Tle" {
        line1: Spanned<String>, "", "First line, 69 characters, with its checksum; Alpha-5 numbers are read.";
        line2: Spanned<String>, "", "Second line.";
    }
}

record! {
    /// An OMM record.
    RawOmm "Omm" {
        file: Spanned<String>, "", "A CCSDS OMM in JSON (one record or a list), relative to this file and inside the scenario's folder.";
        object: Optional<String>, "the only record", "OBJECT_NAME of the record, where the file has several.";
    }
}

record! {
    /// An ephemeris file.
    RawOem "Oem" {
        file: Spanned<String>, "", "A CCSDS OEM (KVN), relative to this file and inside the scenario's folder. It must cover the run.";
    }
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
        queue_frames: Optional<u32>, "64", "Frames that wait beyond the one on air, 1 to 65536.";
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

choice! {
    /// Where contacts come from.
    RawContacts "Contacts" { Computed, Imported(RawImported) }
}

record! {
    /// An imported contact plan.
    RawImported "Imported" {
        file: Spanned<String>, "", "The plan, relative to this file and inside its folder. Its node numbers are the assets'.";
        format: Spanned<RawPlanFormat>, "", "The plan's format.";
    }
}

choice! {
    /// Formats of contact plans.
    RawPlanFormat "PlanFormat" { Ion, Hdtn, Asabr }
}

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
        clock_uncertainty: Optional<Duration>, "10 ms", "Half width of the uncertainty of each node's estimate of UTC, 0 or more.";
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

record! {
    /// A flow of messages.
    RawTraffic "Traffic" {
        name: Spanned<String>, "", "Unique name.";
        kind: Spanned<RawMessageKind>, "", "What the messages are.";
        from: Spanned<Vec<Spanned<String>>>, "", "Senders: names, `\"@group\"` or `\"@all\"`; each sends to each addressee but itself.";
        to: Spanned<Vec<Spanned<String>>>, "", "Addressees: names, `\"@group\"` or `\"@all\"`.";
        size_bytes: Spanned<SizeRange>, "", "Payload bytes, uniform between least and largest, 1 to the protocol's largest payload.";
        arrivals: Spanned<RawArrivals>, "", "When messages arise, for each sender and addressee.";
        start: Optional<Duration>, "0 s", "No message before.";
        end: Optional<Duration>, "the run's duration", "No message at or after; later than `start`, at most the duration.";
        lifetime: Optional<Duration>, "the protocol's for its priority", "Lifetime of its bundles, more than zero.";
        priority: Optional<RawPriority>, "Normal", "Class of service.";
    }
}

choice! {
    /// Kinds of message.
    RawMessageKind "MessageKind" { Telemetry, Command, Event }
}

choice! {
    /// Classes of service.
    RawPriority "Priority" { Expedited, Normal, Bulk }
}

choice! {
    /// When things arise.
    RawArrivals "Arrivals" { Periodic(RawPeriodic), Poisson(RawPoisson) }
}

record! {
    /// A period.
    RawPeriodic "Periodic" {
        interval: Spanned<Duration>, "", "Time between two arrivals, more than zero.";
        phase: Optional<Duration>, "0 s", "The first arrival's distance from the start, 0 or more.";
        jitter: Optional<Duration>, "0 s", "Each arrival is later by up to this (uniform), 0 to below the interval.";
    }
}

record! {
    /// A Poisson process.
    RawPoisson "Poisson" {
        mean: Spanned<Duration>, "", "Mean time between two arrivals, more than zero.";
    }
}

record! {
    /// Replicated state.
    RawSharedState "SharedState" {
        members: Spanned<Vec<Spanned<String>>>, "", "Who holds a replica: names, `\"@group\"` or `\"@all\"`, two or more.";
        writes: Spanned<RawArrivals>, "", "When each member writes.";
        mix: Optional<RawMix>, "1 each", "Which objects are written to: relative weights.";
        value_bytes: Optional<SizeRange>, "(8, 64)", "Size of a written value, uniform between least and largest, 1 to 4096.";
        keys: Optional<u32>, "32", "How many keys the map and elements the set draw from, 1 to 100000.";
        push_interval: Optional<Duration>, "10 min", "How often a member offers its deltas to the others, more than zero.";
        start: Optional<Duration>, "0 s", "No write before.";
        end: Optional<Duration>, "the run's duration", "No write at or after; the rest of the run lets replicas converge.";
        lifetime: Optional<Duration>, "the protocol's for Normal", "Lifetime of its bundles, more than zero.";
    }
}

record! {
    /// Weights of writes.
    RawMix "Mix" {
        set: Optional<f64>, "0", "Weight of the observed-remove set, 0 or more.";
        register: Optional<f64>, "0", "Weight of the last-writer-wins register, 0 or more.";
        map: Optional<f64>, "0", "Weight of the map, 0 or more.";
        counter: Optional<f64>, "0", "Weight of the counter, 0 or more.";
    }
}

record! {
    /// A federated plan.
    RawPlan "Planning" {
        coordinator: Spanned<String>, "", "The asset that gathers contributions and closes rounds.";
        slots: Spanned<u32>, "", "Slots of the horizon, 1 to 1000.";
        slot: Spanned<Duration>, "", "Length of a slot, more than zero.";
        start: Optional<Duration>, "0 s", "When the first round starts, before the run's end.";
        rho: Optional<f64>, "1", "Penalty parameter of ADMM, more than zero.";
        over_relaxation: Optional<f64>, "1", "Over-relaxation, 1 (none) to below 2.";
        eps_abs: Optional<f64>, "1e-6", "Absolute stopping tolerance, more than zero.";
        eps_rel: Optional<f64>, "1e-6", "Relative stopping tolerance, 0 or more.";
        max_rounds: Optional<u32>, "500", "No more rounds than this, 1 to 100000.";
        round_timeout: Optional<Duration>, "6 h", "A round waits no longer for contributions, more than zero.";
        commodities: Spanned<Vec<Spanned<String>>>, "", "Names of what is exchanged, at least one, each once.";
        participants: Spanned<Vec<Spanned<RawParticipant>>>, "", "Who takes part, at least two. Positive values give to the pool, negative ones take, and for each commodity and slot they sum to zero.";
        lifetime: Optional<Duration>, "the protocol's for Expedited", "Lifetime of its bundles, more than zero.";
    }
}

record! {
    /// A participant's own problem.
    RawParticipant "Participant" {
        asset: Spanned<String>, "", "Who.";
        terms: Spanned<Vec<Spanned<RawTerm>>>, "", "At most one per commodity, at least one.";
    }
}

record! {
    /// Cost and bounds for a commodity.
    RawTerm "Term" {
        commodity: Spanned<String>, "", "Which commodity.";
        preferred: Spanned<Series>, "", "What it would do alone.";
        curvature: Spanned<f64>, "", "Cost of departing from that: ½ · curvature · Σ (x − preferred)², more than zero.";
        min: Spanned<Series>, "", "Least value.";
        max: Spanned<Series>, "", "Largest value, not below the least.";
        total_min: Optional<f64>, "none", "Least sum over the slots.";
        total_max: Optional<f64>, "none", "Largest sum over the slots.";
        ramp: Optional<f64>, "none", "Largest change between neighbouring slots, 0 or more.";
    }
}

choice! {
    /// What breaks.
    RawFault "Fault" { LinkDown(RawLinkDown), AssetDown(RawAssetDown), ExtraLoss(RawExtraLoss) }
}

record! {
    /// Links out of order.
    RawLinkDown "LinkDown" {
        links: Spanned<RawLinks>, "", "Which links.";
        start: Spanned<Duration>, "", "It begins, within the run.";
        end: Spanned<Duration>, "", "It ends, later than it begins, within the run.";
    }
}

record! {
    /// An asset out of order.
    RawAssetDown "AssetDown" {
        asset: Spanned<String>, "", "Which asset. It loses volatile state and restarts with what it persisted.";
        start: Spanned<Duration>, "", "It begins, within the run.";
        end: Spanned<Duration>, "", "It ends, later than it begins, within the run.";
    }
}

record! {
    /// Frames lost beyond what their class says.
    RawExtraLoss "ExtraLoss" {
        links: Spanned<RawLinks>, "", "Which links.";
        probability: Spanned<f64>, "", "Probability that a frame is lost, above 0 to 1.";
        start: Spanned<Duration>, "", "It begins, within the run.";
        end: Spanned<Duration>, "", "It ends, later than it begins, within the run.";
    }
}

choice! {
    /// Which links a fault concerns.
    RawLinks "Links" { Between(RawBetween), Of(RawOf), Class(RawOfClass) }
}

record! {
    /// Both directions between two assets.
    RawBetween "Between" {
        a: Spanned<String>, "", "One asset.";
        b: Spanned<String>, "", "Another asset.";
    }
}

record! {
    /// Every link of an asset.
    RawOf "Of" {
        asset: Spanned<String>, "", "The asset.";
    }
}

record! {
    /// Every link of a class.
    RawOfClass "OfClass" {
        class: Spanned<String>, "", "The class.";
    }
}

record! {
    /// A tolerance of `check`.
    RawTolerance "Tolerance" {
        metric: Spanned<String>, "", "The metric's name; a trailing `*` stands for all that begin so.";
        absolute: Optional<f64>, "0", "Allowed absolute difference, 0 or more.";
        relative: Optional<f64>, "0", "Allowed difference relative to the baseline, 0 or more; the larger of both holds.";
        better: Optional<RawBetter>, "Neither", "Which direction is an improvement and never fails.";
    }
}

choice! {
    /// Directions of improvement.
    RawBetter "Better" { Lower, Higher, Neither }
}

/// Every record and choice that a scenario may contain, in the order of the documentation.
#[must_use]
pub fn shapes() -> Vec<Shape> {
    vec![
        RawScenario::shape(),
        RawPart::shape(),
        RawClass::shape(),
        RawCapacity::shape(),
        RawFixed::shape(),
        RawBudget::shape(),
        RawLora::shape(),
        RawPreset::shape(),
        RawCrosslinks::shape(),
        RawAccess::shape(),
        RawBurstLoss::shape(),
        RawKit::shape(),
        RawAsset::shape(),
        RawKind::shape(),
        RawMotion::shape(),
        RawBody::shape(),
        RawSite::shape(),
        RawTrack::shape(),
        RawWaypoint::shape(),
        RawOrbit::shape(),
        RawModel::shape(),
        RawElementSet::shape(),
        RawElements::shape(),
        RawTle::shape(),
        RawOmm::shape(),
        RawOem::shape(),
        RawRadio::shape(),
        RawPower::shape(),
        RawStorage::shape(),
        RawTransit::shape(),
        RawContacts::shape(),
        RawImported::shape(),
        RawPlanFormat::shape(),
        RawProtocol::shape(),
        RawRateLimit::shape(),
        RawLifetimes::shape(),
        RawCrc::shape(),
        RawBundleSecurity::shape(),
        RawRetransmission::shape(),
        RawTraffic::shape(),
        RawMessageKind::shape(),
        RawPriority::shape(),
        RawArrivals::shape(),
        RawPeriodic::shape(),
        RawPoisson::shape(),
        RawSharedState::shape(),
        RawMix::shape(),
        RawPlan::shape(),
        RawParticipant::shape(),
        RawTerm::shape(),
        RawFault::shape(),
        RawLinkDown::shape(),
        RawAssetDown::shape(),
        RawExtraLoss::shape(),
        RawLinks::shape(),
        RawBetween::shape(),
        RawOf::shape(),
        RawOfClass::shape(),
        RawTolerance::shape(),
        RawBetter::shape(),
    ]
}
