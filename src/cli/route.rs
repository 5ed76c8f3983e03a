//! `cosmosmesh route`: the best ways through a contact plan.

mod load;

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use clap::Args;
use cosmosmesh_protocol::{
    dtn::{
        contact_plan::{Confidence, ContactId, ContactPlan},
        routing::{
            Limits, MAX_ROUTES, Route, RouteQuery, RouteScratch, k_routes_within, routes_by_neighbour,
            volume_limit,
        },
    },
    id::NodeId,
    time::Instant,
};
use serde::Serialize;

use self::load::{Loaded, PlanArgs, from_share};
use super::{CliError, Outcome};

/// Finds the best routes of a bundle through a contact plan of ION, HDTN or A-SABR (CCSDS 734.3-B-1).
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cosmosmesh route --plan plan.ionrc --from 9 --to 1
  cosmosmesh route --plan plan.json --from 1 --to 5 --at 0 --size 1000 --k 3
  cosmosmesh route --plan plan.json --from 1 --to 5 --per-neighbour
  cosmosmesh route --plan plan.cp --from 0 --to 3 --json | jq '.routes[0].arrival_s'

Routes are in order of arrival, then fewer hops, then the numbers of the nodes on the way. Nothing is booked and \
nothing waits; a route's volume is what it takes in all when the bundle leaves with it. Times are seconds on the plan's own base. ION and A-SABR state rates in bytes per second, HDTN in bits per \
second, and its rate 0 means no limit. A contact whose rate or delay changes is one contact: what is sent goes on across the change, and \
the delay is that of the moment when the last bit leaves.

ION's `@ +n` moves the reference of the times after it, and moves add up (--shifts apply). A plan whose moved contacts start \
after its last range has ended says nothing about them; such a plan is read without the moves (--shifts auto), and that is \
told on standard error. Absolute dates of ION count from --epoch, or else from the earliest of them, which is told there too.

A contact of A-SABR names its manager before its numbers, or a plan's reader knows the one of all (--manager). As nothing is booked, \
managers that differ in what bookings do answer alike; where there are budgets (pbevl, pbeto, pbqd), a bundle larger than the \
budget of its --priority does not take the contact.

Exit codes: 0 there is a route; 1 there is none; 2 bad usage, or the plan cannot be used.")]
pub struct RouteArgs {
    #[command(flatten)]
    plan: PlanArgs,
    /// Number of the node where the bundle is.
    #[arg(long, value_name = "NODE")]
    from: u64,
    /// Number of the node where it goes.
    #[arg(long, value_name = "NODE")]
    to: u64,
    /// When it could leave, seconds.
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    at: Instant,
    /// Its size in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    size: u64,
    /// The latest useful arrival, seconds [default: any].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    deadline: Option<Instant>,
    /// Most routes to list; one that takes other contacts is another route.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=MAX_ROUTES as i64))]
    k: u16,
    /// List the best route over each neighbour that has one, as for a critical bundle.
    #[arg(long, conflicts_with = "k")]
    per_neighbour: bool,
    /// The least confidence of a whole route, 0 to 1 (ION states how likely contacts are).
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    min_confidence: Confidence,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer {
    routes: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    arrival_s: serde_json::Number,
    /// The nodes that the bundle comes to, one per contact.
    hops: Vec<u64>,
    contacts: Vec<Taken>,
    /// Bytes that the route takes.
    #[serde(skip)]
    volume: u64,
}

#[derive(Serialize)]
struct Taken {
    from: u64,
    to: u64,
    start_s: serde_json::Number,
    end_s: serde_json::Number,
}

/// Prints the routes.
///
/// # Errors
/// When the plan cannot be read or used, source and destination are one node, or standard output cannot be written.
pub fn execute(args: &RouteArgs) -> Result<Outcome, CliError> {
    if args.from == args.to {
        return Err(CliError::Usage(format!("node {} is both --from and --to", args.from)));
    }
    let Loaded { plan, budgets } = args.plan.load(args.size)?;
    let query = RouteQuery {
        deadline: args.deadline.unwrap_or(Instant::MAX),
        ..RouteQuery::new(NodeId(args.from), NodeId(args.to), args.at, args.size)
    };
    let limits = Limits { min_confidence: args.min_confidence, ..Limits::NONE };
    let (mut scratch, mut wanted) = (RouteScratch::default(), usize::from(args.k));
    let mut routes = if args.per_neighbour {
        wanted = MAX_ROUTES;
        routes_by_neighbour(&plan, &query, &limits, &mut scratch)
    } else {
        k_routes_within(&plan, &query, &limits, (wanted + TIES).min(MAX_ROUTES), &mut scratch)
    };
    // Among routes that arrive together over as many hops a node takes the one that ends last; a list shows them by node number.
    routes.sort_by_key(|route| {
        let nodes = route.hops.iter().filter_map(|&id| plan.get(id)).map(|contact| contact.to);
        (route.arrival, route.hops.len(), nodes.collect::<Vec<_>>())
    });
    let found: Vec<Found> =
        routes.iter().take(wanted).map(|route| found(&plan, &budgets, route, &query)).collect();
    let outcome = if found.is_empty() { Outcome::No } else { Outcome::Done };
    let text = if args.json { json(found) } else { table(&found, args) };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(outcome)
}

/// Routes beyond those asked for that are looked at, for those that tie with the last.
const TIES: usize = 8;

fn found(
    plan: &ContactPlan,
    budgets: &BTreeMap<ContactId, u64>,
    route: &Route,
    query: &RouteQuery<'_>,
) -> Found {
    let budget = route.hops.iter().filter_map(|id| budgets.get(id)).min().copied().unwrap_or(u64::MAX);
    let contacts: Vec<Taken> = route
        .hops
        .iter()
        .filter_map(|id| plan.get(*id))
        .map(|c| Taken { from: c.from.0, to: c.to.0, start_s: number(c.start), end_s: number(c.end) })
        .collect();
    Found {
        arrival_s: number(route.arrival),
        hops: contacts.iter().map(|contact| contact.to).collect(),
        contacts,
        volume: volume_limit(plan, route, query, &Limits::NONE).min(budget),
    }
}

fn json(routes: Vec<Found>) -> String {
    let mut text = serde_json::to_string_pretty(&Answer { routes }).unwrap_or_default();
    text.push('\n');
    text
}

fn table(routes: &[Found], args: &RouteArgs) -> String {
    if routes.is_empty() {
        return format!("no route from {} to {}\n", args.from, args.to);
    }
    let mut text = format!(
        "{:>4}  {:>16}  {:>4}  {:>14}  contacts (start to end, s)\n",
        "", "arrival (s)", "hops", "volume (bytes)"
    );
    for (place, route) in routes.iter().enumerate() {
        let contacts: Vec<String> = route
            .contacts
            .iter()
            .map(|c| format!("{}->{} ({} to {})", c.from, c.to, c.start_s, c.end_s))
            .collect();
        let (arrival, hops) = (route.arrival_s.to_string(), route.hops.len());
        let volume = if route.volume == u64::MAX { "any".to_owned() } else { route.volume.to_string() };
        text +=
            &format!("{:>4}  {arrival:>16}  {hops:>4}  {volume:>14}  {}\n", place + 1, contacts.join(", "));
    }
    text
}

/// Seconds as a number: whole where they are whole.
fn number(time: Instant) -> serde_json::Number {
    const NANOS: u64 = 1_000_000_000;
    let nanos = time.as_nanos();
    if nanos.is_multiple_of(NANOS) {
        return (nanos / NANOS).into();
    }
    serde_json::Number::from_f64(nanos as f64 / 1e9).unwrap_or_else(|| (nanos / NANOS).into())
}

fn seconds(word: &str) -> Result<Instant, String> {
    let refuse = || "seconds from the plan's base: a number from 0 to 8.8e9".to_owned();
    let seconds = word.parse::<f64>().map_err(|_| refuse())?;
    if !(0.0..=8.8e9).contains(&seconds) {
        return Err(refuse());
    }
    Ok(Instant::from_nanos((seconds * 1e9).round() as u64))
}

fn share(word: &str) -> Result<Confidence, String> {
    let share = word.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.map(from_share).ok_or_else(|| "a number from 0 to 1".to_owned())
}
