//! Writes docs/VALIDATION.md: our results beside those of another simulator, on its own trace of contacts.
//!
//! `cargo run --release --example validation`. Exit 1 when a row is outside its tolerance.

mod rows;

use rows::{Bound, CASES, Case, FOREMOST, Outcome, fly, foremost};
use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

const HEAD: &str = "# Validation against independent results

Written by `cargo run --release --example validation`; `tests/validation.rs` holds the rows.

## A trace of contacts in Helsinki

`scenarios/data/one-helsinki` holds a trace of 30,877 contacts among 126 hosts in 12 h and 1,463 messages of 0.5 to 1 MB, written by
The ONE 1.6 (default Helsinki scenario, seed 1). Its results on that trace are in the column *theirs*; the first two rows' are of a
search for foremost journeys that is not ours. Every row but the first is a run of the real nodes: they know no contact plan, meet one another
unforeseen, tell each other what they have in summary vectors, which take their time on air, and carry plain bundles. Envelopes are off, and payloads are
counted, not carried: on air and in stores each bundle takes its whole length.

| Case | Delivered: theirs | ours | Mean latency: theirs | ours | Bound | Holds |
|---|---|---|---|---|---|---|
";

/// Cases in which the order of what is sent is drawn, and the seeds with which they are flown again.
const SEEDED: [&str; 2] = ["helsinki_spray", "helsinki_epidemic"];
const SEEDS: std::ops::RangeInclusive<u64> = 1..=12;

const SPREAD: &str = "
Where stores are full, which bundle goes first at a meeting is drawn. The same cases with the seeds 1 to 12, of which the table above has the first; mean (least to
greatest), and how many of the runs are within ± 5 % in both columns:

| Case | Delivered: theirs | ours | Mean latency: theirs | ours | Within |
|---|---|---|---|---|---|
";

const RULES: &str = "
So the latency of the epidemic row, which misses its bound with seed 1, is that draw's: over the seeds it scatters by 165 s, 5 %, about a mean that is 1.5 % above theirs. Nothing
was tuned for it. Spray and wait scatters less, and is 4 % above and below theirs on average.

Our rules, where they differ from The ONE's or where it leaves a choice:

- Time is continuous; The ONE steps every 0.1 s. A message of n bytes takes n bytes and 60 to 70 bytes of bundle and frame headers.
- A radio sends one bundle at a time and hears any number (The ONE: one transfer at a time, sending or receiving).
- First what is destined to the neighbour, then the rest in a random order that is drawn for each meeting (The ONE: at each try).
- A neighbour is offered what its summary did not name and what it was not given since. What it dropped meanwhile is not offered again in
  the same meeting (The ONE asks before each transfer).
- The oldest received bundle is dropped first, not one that is being sent. Room is made when a transfer begins, as the session tells its length; a
  transfer that the contact's end cuts is lost, has cost the room, and stays with the sender.
- Who gave a bundle to its destination keeps no copy (The ONE's default keeps it).

A row of the first table is run once, with the scenario's own seed.

How the rules were chosen: that model was run with some 240 combinations of them (order, how many transfers at once, when room is made, what is kept after delivery), on three to
six seeds, and compared with the column *theirs* of the constrained rows. Among those that came near on all three, the one that the nodes' radios and strategies
have already was taken. So the constrained rows show that our stack can reproduce those results under stated rules, not that it predicted them. One transfer at a time, The ONE's own
rule, gave its direct-delivery row exactly in the model, but 37 to 42 % fewer deliveries for epidemic routing with arrival or random order and fixed precedence of hosts; a time-stepped model of its
published rules came to 9 to 11 % fewer. The rows of foremost journeys depend on none of this.
";

fn main() -> io::Result<ExitCode> {
    let mut text = HEAD.to_owned();
    let mut failed = 0;
    let searched = foremost(&CASES[0].load());
    let exact = CASES[0].holds(searched);
    failed += u32::from(!exact);
    row(
        &mut text,
        "Foremost journeys, our own search (`oracle::Journeys`)",
        FOREMOST,
        searched,
        Bound::Exact,
        exact,
    );
    for case in CASES {
        let ours = fly(&case.load(), None);
        let holds = case.holds(ours);
        failed += u32::from(!holds);
        row(&mut text, case.title, case.theirs, ours, case.bound, holds);
    }
    text.push_str(SPREAD);
    for case in CASES.iter().filter(|case| SEEDED.contains(&case.scenario)) {
        spread(&mut text, case);
    }
    text.push_str(RULES);
    std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/VALIDATION.md"), &text)?;
    io::stdout().write_all(text.as_bytes())?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// A line on how far chance alone moves a case.
fn spread(text: &mut String, case: &Case) {
    let scenario = case.load();
    let flown: Vec<Outcome> = SEEDS.map(|seed| fly(&scenario, Some(seed))).collect();
    let column = |of: fn(&Outcome) -> f64| {
        let values: Vec<f64> = flown.iter().map(of).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let ends = values
            .iter()
            .fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(*value), high.max(*value)));
        format!("{mean:.0} ({:.0} to {:.0})", ends.0, ends.1)
    };
    let within = flown.iter().filter(|outcome| case.holds(**outcome)).count();
    let _ = writeln!(
        text,
        "| {} | {} | {} | {:.0} s | {} s | {within} of {} |",
        case.title,
        case.theirs.delivered,
        column(|outcome| outcome.delivered as f64),
        case.theirs.mean_s,
        column(|outcome| outcome.mean_s),
        flown.len()
    );
}

fn row(text: &mut String, title: &str, theirs: Outcome, ours: Outcome, bound: Bound, holds: bool) {
    let bound = match bound {
        Bound::Exact => "exact".to_owned(),
        Bound::Percent(percent) => format!("± {percent} %"),
        Bound::NeverBetter => "never better than foremost".to_owned(),
    };
    let (holds, decimals) = (if holds { "yes" } else { "**no**" }, 3);
    let _ = writeln!(
        text,
        "| {title} | {} | {} | {:.decimals$} s | {:.decimals$} s | {bound} | {holds} |",
        theirs.delivered, ours.delivered, theirs.mean_s, ours.mean_s
    );
}
