//! What applications send, and the state that they share.

use super::Optional;
use crate::scenario::{
    decode::{List, SizeRange, Spanned, choice, record},
    quantity::Duration,
};

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
        custody: Optional<bool>, "false", "Whether its bundles travel from custodian to custodian. Needs the service Datagrams, with payloads that are carried.";
        content: Optional<RawContent>, "Random", "What payloads hold.";
        reports: Option<List<RawReport>>, "none", "Status reports that its bundles ask for, which go to their sender. Needs the service Datagrams and the protocol's `status_reports`.";
    }
}

choice! {
    /// What is reported of a bundle (RFC 9171 §4.2.3).
    RawReport "Report" { Reception, Forwarding, Delivery, Deletion }
}

choice! {
    /// What payloads hold: bytes without order, as of compressed or encrypted readings, or a text of readings that change slowly.
    RawContent "Content" { Random, Readings }
}

record! {
    /// Messages that a file lists.
    RawMessages "Messages" {
        file: Spanned<String>, "", "The list, relative to this file and inside its folder: a line for each message with its time in seconds, name, payload bytes, source and destination (names of assets), as The ONE's created-messages report writes it. What follows on a line is skipped.";
        kind: Optional<RawMessageKind>, "Telemetry", "What the messages are.";
        lifetime: Optional<Duration>, "the protocol's for its priority", "Lifetime of its bundles, more than zero.";
        priority: Optional<RawPriority>, "Normal", "Class of service.";
        custody: Optional<bool>, "false", "Whether its bundles travel from custodian to custodian. Needs the service Datagrams, with payloads that are carried.";
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
        horizon: Optional<Duration>, "7 d", "A member that was not heard of for longer does not keep the others from dropping what they have seen replaced, and gets everything when it is back; more than zero.";
        start: Optional<Duration>, "0 s", "No write before.";
        end: Optional<Duration>, "the run's duration", "No write at or after; the rest of the run lets replicas converge.";
        lifetime: Optional<Duration>, "the protocol's for Normal", "Lifetime of its bundles, more than zero.";
        schemas: Option<List<RawSchema>>, "none", "Data contracts that members publish beside the standard ones.";
    }
}

record! {
    /// A version of a data contract.
    RawSchema "Schema" {
        asset: Spanned<String>, "", "The member that publishes it.";
        at: Optional<Duration>, "0 s", "When, 0 or more.";
        text: Spanned<String>, "", "The schema in the canonical form of CDDL.";
    }
}

record! {
    /// Weights of writes.
    RawMix "Mix" {
        set: Optional<f64>, "0", "Weight of the observed-remove set, 0 or more.";
        register: Optional<f64>, "0", "Weight of the last-writer-wins register, 0 or more.";
        map: Optional<f64>, "0", "Weight of the map, 0 or more.";
        counter: Optional<f64>, "0", "Weight of the counter, 0 or more.";
        trade: Optional<f64>, "0", "Weight of the map of trades, whose values are records of the newest version of that contract that the writer knows, 0 or more.";
        telemetry: Optional<f64>, "0", "Weight of the map of telemetry, 0 or more: records, as for trades.";
        forecast: Optional<f64>, "0", "Weight of the map of forecasts, 0 or more: records, as for trades.";
        command: Optional<f64>, "0", "Weight of the map of commands, 0 or more: records, as for trades.";
        event: Optional<f64>, "0", "Weight of the map of events, 0 or more: records, as for trades.";
        plan: Optional<f64>, "0", "Weight of the map of plans, 0 or more: records, as for trades.";
    }
}
