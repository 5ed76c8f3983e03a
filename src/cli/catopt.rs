//! `cosmosmesh catopt`: the fleet's planning problem for tools of applied category theory and optimisation.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, Subcommand, ValueEnum};

use super::{CliError, Outcome};
use crate::{
    catopt::{self, CatoptError, Composite, Content, FleetRow},
    engine::RandomStreams,
    runtime::Fleet,
    scenario::{AssetKind, Scenario},
};
use cosmosmesh_protocol::{id::NodeId, identity, planning::privacy};

/// Exchanges the fleet's planning problem with other tools.
#[derive(Debug, Args)]
pub struct CatoptArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Export(ExportArgs),
    Import(ImportArgs),
}

/// Writes the planning problem of a scenario as an undirected wiring diagram of problems.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cosmosmesh catopt export scenarios/mars_relay.ron --out plan --role operator
  cosmosmesh catopt export scenarios/mars_relay.ron --out plan --role contributor --as mro
  cosmosmesh catopt export scenarios/mars_relay.ron --out plan --role operator --nest

The folder holds fleet.acset.json (boxes, ports and junctions as ACSets.jl writes them, each port with its restriction map), \
schema.json, and for each box that the role may see a problem in MathOptFormat, NAME.mof.json. The box @fleet holds the \
constraints that bind the assets. Problems that the role may not see are redacted: an observer sees none, a contributor \
its own, operators and admins all. Requests that are taken or not are exported relaxed, from 0 to 1.

Exit codes: 0 written; 2 the scenario cannot be used, or the folder not be written.")]
struct ExportArgs {
    /// The scenario file.
    #[arg(value_name = "SCENARIO")]
    scenario: PathBuf,
    /// The folder to write. One that was exported before is replaced.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// For whom.
    #[arg(long, value_enum, default_value_t = Role::Observer)]
    role: Role,
    /// The contributor's asset.
    #[arg(long = "as", value_name = "ASSET", required_if_eq("role", "contributor"))]
    own: Option<String>,
    /// Put the assets of a kind into a diagram of their own.
    #[arg(long)]
    nest: bool,
}

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Sees names and wiring.
    Observer,
    /// Sees its own problem too.
    Contributor,
    /// Sees every problem.
    Operator,
    /// Sees every problem.
    Admin,
}

/// Checks a folder of a wiring diagram and its problems, and solves the composite problem centrally.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cosmosmesh catopt import plan
  cosmosmesh catopt import plan --out copy     writes it again, byte for byte
  cosmosmesh catopt import plan --json | jq .optimum

Nested diagrams are put in the place of their boxes before solving.

Exit codes: 0 read, and solved unless boxes are redacted; 1 the composite problem has no optimum; 2 the folder cannot be used.")]
struct ImportArgs {
    /// The folder.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Write it again as this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// [`CliError`] when an input cannot be used or an output not be written.
pub fn execute(args: &CatoptArgs) -> Result<Outcome, CliError> {
    match &args.command {
        Command::Export(args) => export(args),
        Command::Import(args) => import(args),
    }
}

fn export(args: &ExportArgs) -> Result<Outcome, CliError> {
    let scenario = Arc::new(Scenario::load(&args.scenario)?);
    let unusable = |reason: String| CliError::Input { path: args.scenario.clone(), reason };
    if scenario.planning.is_none() {
        return Err(unusable("the scenario plans nothing (`planning` is missing)".into()));
    }
    let streams = RandomStreams::new(scenario.seed);
    let fleet = Fleet::new(scenario.clone(), streams).map_err(|(asset, error)| {
        unusable(format!("the planning problem of {:?}: {error}", scenario.asset(asset).name))
    })?;
    let couplings = fleet.couplings().into_iter().flat_map(|couplings| couplings.as_slice());
    let rows: Vec<FleetRow> = couplings
        .map(|coupling| FleetRow {
            name: coupling.name.clone(),
            lower: coupling.lower,
            upper: coupling.upper,
        })
        .collect();
    let assets: Vec<_> = fleet
        .problems()
        .iter()
        .map(|(asset, problem)| (scenario.asset(*asset).name.as_str(), fleet.node(*asset), problem))
        .collect();
    let own = args.own.as_deref().unwrap_or_default();
    let asset = assets.iter().find(|(name, ..)| *name == own);
    let role = match (args.role, asset) {
        (Role::Observer, _) => Some(privacy::Role::of(identity::Role::Observer, NodeId(0))),
        (Role::Contributor, own) => {
            own.map(|(_, node, _)| privacy::Role::of(identity::Role::Contributor, *node))
        }
        (Role::Operator | Role::Admin, _) => Some(privacy::Role::of(identity::Role::Operator, NodeId(0))),
    };
    let Some(role) = role else {
        let names: Vec<&str> = assets.iter().map(|(name, ..)| *name).collect();
        return Err(CliError::Usage(format!(
            "--as: found {own:?}; allowed: an asset that takes part in the plan: {}",
            names.join(", ")
        )));
    };
    let mut diagram =
        Composite::of_fleet(&assets, &rows, role).map_err(|error| unusable(error.to_string()))?;
    if args.nest {
        let kinds: BTreeMap<&str, AssetKind> =
            scenario.assets.iter().map(|asset| (asset.name.as_str(), asset.kind)).collect();
        let group = |name: &str| kinds.get(name).map(|kind| format!("@{}", plural(*kind)));
        diagram = diagram.nest(group).map_err(|error| unusable(error.to_string()))?;
    }
    catopt::write(&diagram, &args.out).map_err(|error| refused(&args.out, &error))?;
    let shown = assets.len() - diagram.redacted().len();
    writeln!(
        io::stdout().lock(),
        "wrote {}: {} assets, {shown} of them with their problem, {} fleet constraints",
        args.out.display(),
        assets.len(),
        rows.len()
    )?;
    Ok(Outcome::Done)
}

const fn plural(kind: AssetKind) -> &'static str {
    match kind {
        AssetKind::Rover => "rovers",
        AssetKind::Drone => "drones",
        AssetKind::Habitat => "habitats",
        AssetKind::Satellite => "satellites",
        AssetKind::GroundStation => "ground-stations",
    }
}

fn import(args: &ImportArgs) -> Result<Outcome, CliError> {
    let unusable = |error: CatoptError| refused(&args.folder, &error);
    let diagram = catopt::read(&args.folder).map_err(unusable)?;
    let flat = diagram.flatten().map_err(unusable)?;
    if let Some(out) = &args.out {
        catopt::write(&diagram, out).map_err(|error| refused(out, &error))?;
    }
    let redacted: Vec<String> = flat.redacted().into_iter().map(str::to_owned).collect();
    let (optimum, reason) = if redacted.is_empty() {
        match flat.optimum() {
            Ok(optimum) => (Some(optimum), None),
            Err(CatoptError::Optimum(reason)) => (None, Some(reason)),
            Err(error) => return Err(unusable(error)),
        }
    } else {
        (None, None)
    };
    // Whether federated solvers can plan it: strictly convex problems bound by plain sums.
    let federated = flat.to_fleet().map(|_| ());
    let outcome = if reason.is_some() { Outcome::No } else { Outcome::Done };
    let mut out = io::stdout().lock();
    if args.json {
        let json = serde_json::json!({
            "boxes": flat.boxes.iter().map(|one| &one.name).collect::<Vec<_>>(),
            "ports": flat.ports.len(),
            "junctions": flat.junctions.len(),
            "nested": diagram.boxes.iter().any(|one| matches!(one.content, Content::Nested(_))),
            "redacted": redacted,
            "optimum": optimum.as_ref().map(|optimum| serde_json::json!({
                "value": optimum.value,
                "violation": optimum.violation,
                "assignment": optimum.assignment,
            })),
            "reason": reason,
            "federated": federated.is_ok(),
        });
        writeln!(out, "{json:#}")?;
        return Ok(outcome);
    }
    let (boxes, ports, junctions) = (flat.boxes.len(), flat.ports.len(), flat.junctions.len());
    writeln!(out, "{boxes} boxes, {ports} ports, {junctions} junctions")?;
    match (optimum, reason) {
        (Some(optimum), _) => {
            writeln!(out, "central optimum of the composite problem  {}", optimum.value)?;
            writeln!(out, "largest relative violation                {:.1e}", optimum.violation)?;
        }
        (None, Some(reason)) => writeln!(out, "no optimum: {reason}")?,
        (None, None) => writeln!(out, "not solved: redacted are {}", redacted.join(", "))?,
    }
    if redacted.is_empty()
        && let Err(error) = federated
    {
        writeln!(out, "federated solvers cannot plan it: {error}")?;
    }
    Ok(outcome)
}

/// The error speaks of the file itself where it can.
fn refused(path: &Path, error: &CatoptError) -> CliError {
    match error {
        CatoptError::Io { .. }
        | CatoptError::Json { .. }
        | CatoptError::Field { .. }
        | CatoptError::Occupied { .. } => CliError::Usage(error.to_string()),
        _ => CliError::Input { path: path.into(), reason: error.to_string() },
    }
}
