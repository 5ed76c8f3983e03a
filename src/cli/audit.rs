//! `cosmosmesh audit`: whether the logs of a run hold.

use super::{CliError, Outcome};
use crate::report::{Audit, Lie, LieKind, Story, audit, purpose_of, read_logs};
use std::{io::Write, path::PathBuf};

/// Verifies the tamper-evident logs of a run, names the first lie, and tells the story of one message or plan.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cosmosmesh audit runs/trusted_camp
  cosmosmesh audit runs/trusted_camp --message habitat:rover:command:3
  cosmosmesh audit runs/trusted_camp --plan 1
  cosmosmesh audit runs/trusted_camp --incidents --json
  cosmosmesh audit copied-run --members members.csv      checks with keys that do not come from the folder

A run has logs when its scenario says `trust: (...)`.

Exit codes: 0 every log holds; 1 a log was altered, truncated, reordered or forked, or logs contradict each other; 2 there \
is nothing to audit.")]
pub struct AuditArgs {
    /// The run folder.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The story of a message: who sent it, to whom, its kind and its number in that stream.
    #[arg(long, value_name = "FROM:TO:KIND:NUMBER", conflicts_with_all = ["plan", "incidents"])]
    message: Option<String>,
    /// The story of a horizon of the plan.
    #[arg(long, value_name = "HORIZON", conflicts_with = "incidents")]
    plan: Option<u64>,
    /// Refusals, denials, revocations, and who was caught.
    #[arg(long)]
    incidents: bool,
    /// A trusted copy of logs/members.csv.
    #[arg(long, value_name = "FILE")]
    members: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Audits.
///
/// # Errors
/// [`CliError`] when there are no logs, a name is unknown, or output cannot be written.
pub fn execute(args: &AuditArgs, out: &mut dyn Write) -> Result<Outcome, CliError> {
    let audit = audit(read_logs(&args.run, args.members.as_deref())?);
    let story = match (&args.message, args.plan) {
        (Some(message), _) => Some(message_story(&audit, message)?),
        (None, Some(horizon)) => Some(audit.plan(horizon)),
        (None, None) => args.incidents.then(|| audit.incidents()),
    };
    if args.json {
        let value = serde_json::json!({
            "holds": audit.holds(),
            "entries": audit.entries,
            "checkpoints": audit.checkpoints,
            "cosignatures": audit.cosignatures,
            "first_lie": audit.lies.first(),
            "lies": audit.lies,
            "story": story,
        });
        writeln!(out, "{value:#}")?;
    } else {
        print(&audit, story.as_deref(), out)?;
    }
    Ok(if audit.holds() { Outcome::Done } else { Outcome::No })
}

fn message_story(audit: &Audit, message: &str) -> Result<Vec<Story>, CliError> {
    let usage = |what: String| CliError::Usage(format!("--message {message}: {what}"));
    let parts: Vec<&str> = message.split(':').collect();
    let [from, to, kind, number] = parts[..] else {
        return Err(usage("write FROM:TO:KIND:NUMBER, such as habitat:rover:command:3".into()));
    };
    let node = |name: &str| audit.node(name).ok_or_else(|| usage(format!("there is no asset `{name}`")));
    let purpose = purpose_of(kind)
        .ok_or_else(|| usage(format!("`{kind}` is none of telemetry, command, event, sync, plan")))?;
    let number = number.parse().map_err(|_| usage(format!("`{number}` is no number")))?;
    Ok(audit.message(node(from)?, node(to)?, purpose, number))
}

fn print(audit: &Audit, story: Option<&[Story]>, out: &mut dyn Write) -> Result<(), CliError> {
    for line in story.into_iter().flatten() {
        let proven = if line.proven { "proven" } else { "UNPROVEN" };
        let seconds = line.time_ms / 1000;
        let millis = line.time_ms % 1000;
        writeln!(out, "{seconds}.{millis:03} s  {} #{}  {}  [{proven}]", line.asset, line.entry, line.what)?;
    }
    if story.is_some_and(<[Story]>::is_empty) {
        writeln!(out, "the logs tell nothing of it")?;
    }
    match audit.lies.first() {
        None => writeln!(
            out,
            "every log holds: {} entries, {} checkpoints, {} of them signed by others",
            audit.entries, audit.checkpoints, audit.cosignatures
        )?,
        Some(first) => {
            writeln!(out, "first lie: {}", words(first))?;
            for lie in &audit.lies[1..] {
                writeln!(out, "also: {}", words(lie))?;
            }
        }
    }
    Ok(())
}

fn words(lie: &Lie) -> String {
    let what = match &lie.kind {
        LieKind::Missing => "there is no log".into(),
        LieKind::Unreadable { entry } => format!("entry {entry} is no entry"),
        LieKind::Reordered { entry, says } => format!("reordered: entry {entry} says to be entry {says}"),
        LieKind::Truncated { entries, signed, holder } => {
            format!("truncated: {entries} entries, and {holder} keeps a checkpoint of {signed}")
        }
        LieKind::Altered { from, to, holder } => {
            format!(
                "altered: an entry from {from} to {to} is not what was signed in the checkpoint that {holder} keeps"
            )
        }
        LieKind::Forked { entries, first, second } => {
            format!("forked: at {entries} entries, {first} keeps another log of it than {second}")
        }
        LieKind::Unsigned => "no checkpoint vouches for it".into(),
        LieKind::Discarded { born, signed, holder } => format!(
            "discarded: its log of incarnation {born} is not here, and {holder} keeps a checkpoint of {signed} entries: lost with its disk, or thrown away"
        ),
        LieKind::BadSignature { claimed } => {
            format!("keeps a checkpoint in the name of {claimed} that {claimed} did not sign")
        }
        LieKind::Unsupported { owner, signed } => format!(
            "signed for {signed} entries of the log of {owner}, which was never like that as far as anybody can show"
        ),
        LieKind::Caught { by, entry, how } => format!("caught by {by} (its entry {entry}): {how}"),
        LieKind::TwoPlans { entry, horizon, peer } => format!(
            "two plans: entry {entry} committed horizon {horizon} at other prices than {peer} did: their coordinator told two stories"
        ),
        LieKind::Contradiction { entry, peer, instead } => {
            format!(
                "contradiction: entry {entry} accepted a message of which the log of {peer} says: {instead}"
            )
        }
    };
    match lie.incarnation {
        None => format!("{}: {what}", lie.asset),
        Some(born) => format!("{} (its log of incarnation {born}): {what}", lie.asset),
    }
}
