//! `cosmosmesh policy explain`: who may do what, and why. `cosmosmesh policy history` is beside it.

use super::{
    CliError, Outcome,
    policy_history::{self, HistoryArgs},
};
use crate::{scenario::Scenario, units::AssetIndex};
use clap::{Args, Subcommand};
use cosmosmesh_protocol::{
    access::{Action, Request},
    identity::{Speaker, Standing},
};
use std::{io::Write, path::PathBuf};

/// Questions to the policy of a scenario.
#[derive(Debug, Args)]
pub struct PolicyArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Explain(ExplainArgs),
    History(HistoryArgs),
}

/// Says who may do what at an asset, and which rule says so.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cosmosmesh policy explain scenarios/trusted_camp.ron                        everybody, everything
  cosmosmesh policy explain scenarios/trusted_camp.ron --who rover --may command --at drill
  cosmosmesh policy explain scenarios/trusted_camp.ron --who rover --in-grace --json

Exit codes: 0 done, and where one question was asked the answer is yes; 1 the answer is no; 2 the scenario cannot be used, \
has no `trust`, or a name is unknown.")]
struct ExplainArgs {
    /// The scenario file.
    #[arg(value_name = "SCENARIO")]
    scenario: PathBuf,
    /// Only this asset.
    #[arg(long, value_name = "ASSET")]
    who: Option<String>,
    /// Only this action: report, command, share, contribute, coordinate, change-schema, change-policy, read-log, witness.
    #[arg(long, value_name = "ACTION")]
    may: Option<String>,
    /// Only at this asset.
    #[arg(long, value_name = "ASSET")]
    at: Option<String>,
    /// About this contract.
    #[arg(long, value_name = "NAME")]
    contract: Option<String>,
    /// As if the certificate had ended, and were in grace.
    #[arg(long)]
    in_grace: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// An answer.
#[derive(Debug, serde::Serialize)]
struct Answer {
    who: String,
    role: String,
    may: &'static str,
    at: String,
    allowed: bool,
    rule: String,
    /// The rules that were asked before, and why each was silent.
    silent: Vec<(String, &'static str)>,
}

/// Runs the command.
///
/// # Errors
/// [`CliError`] when the scenario cannot be used, or output not be written.
pub fn execute(args: &PolicyArgs, out: &mut dyn Write) -> Result<Outcome, CliError> {
    let args = match &args.command {
        Command::Explain(args) => args,
        Command::History(args) => return policy_history::execute(args, out),
    };
    let scenario = Scenario::load(&args.scenario)?;
    let answers = answers(args, &scenario)?;
    if args.json {
        let text = serde_json::to_string_pretty(&answers).map_err(std::io::Error::from)?;
        writeln!(out, "{text}")?;
    } else {
        for answer in &answers {
            let verdict = if answer.allowed { "may" } else { "may not" };
            let Answer { who, role, may, at, rule, .. } = answer;
            writeln!(out, "{who} ({role}) {verdict} {may} at {at}: {rule}")?;
            if answers.len() == 1 {
                for (rule, why) in &answer.silent {
                    writeln!(out, "  {rule} says nothing: {why}")?;
                }
            }
        }
    }
    let single = args.who.is_some() && args.may.is_some() && args.at.is_some();
    Ok(if single && !answers.iter().all(|answer| answer.allowed) { Outcome::No } else { Outcome::Done })
}

fn answers(args: &ExplainArgs, scenario: &Scenario) -> Result<Vec<Answer>, CliError> {
    let input = |reason: String| CliError::Input { path: args.scenario.clone(), reason };
    let trust = scenario.trust.as_ref().ok_or_else(|| input("it has no `trust`".into()))?;
    let asset = |name: &Option<String>| -> Result<Vec<AssetIndex>, CliError> {
        let Some(name) = name else { return Ok(scenario.asset_indices().collect()) };
        let found = scenario.asset_named(name);
        found.map(|found| vec![found]).ok_or_else(|| input(format!("there is no asset `{name}`")))
    };
    let actions = match &args.may {
        None => Action::ALL.to_vec(),
        Some(word) => vec![
            Action::from_word(word)
                .ok_or_else(|| CliError::Usage(format!("--may {word}: no such action")))?,
        ],
    };
    let standing = if args.in_grace { Standing::Grace } else { Standing::Valid };
    let (who, at) = (asset(&args.who)?, asset(&args.at)?);
    let mut answers = Vec::new();
    for who in who {
        let grant = trust.grant(who);
        let speaker =
            Speaker { node: scenario.asset(who).node, role: grant.role, scope: grant.scope, standing };
        for &at in at.iter().filter(|at| **at != who || args.at.is_some()) {
            let home = trust.grant(at).home;
            for &action in &actions {
                let request = Request { action, contract: args.contract.as_deref(), scope: &home };
                let (decision, steps) = trust.policy.explain(&speaker, &request);
                let silent =
                    steps.iter().filter_map(|step| Some((step.rule.to_owned(), step.mismatch?.word())));
                answers.push(Answer {
                    who: scenario.asset(who).name.clone(),
                    role: trust.policy.role_name(speaker.role).to_owned(),
                    may: action.word(),
                    at: scenario.asset(at).name.clone(),
                    allowed: decision.allowed,
                    rule: decision.rule.to_owned(),
                    silent: silent.collect(),
                });
            }
        }
    }
    Ok(answers)
}
