//! The fleet's problem as a wiring diagram: its laws, and `cosmosmesh catopt` as a program.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::{Command, Output},
};

use cosmosmesh::catopt::{
    self, Assignment, CatoptError, Composite, Content, FLEET_BOX, FleetRow, Junction, NamedRow, OpenBox,
    Port, QuadraticProgram,
};
use cosmosmesh_protocol::{
    id::NodeId,
    planning::{
        Couplings, LocalProblem, Outcome, QpSettings, generate,
        privacy::Role,
        solver::{Asset, Coordinator, Kind, MethodSettings, Pace},
    },
    time::Instant,
};
use proptest::prelude::*;
use tempfile::TempDir;

#[path = "../protocol/tests/interop/peer.rs"]
#[expect(dead_code, reason = "the judge is a script")]
mod peer;

const SLOTS: usize = 6;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("asset-{at}")).collect()
}

fn balance() -> Vec<FleetRow> {
    (0..SLOTS).map(|slot| FleetRow { name: format!("energy[{slot}]"), lower: 0.0, upper: 0.0 }).collect()
}

fn diagram(problems: &[LocalProblem], role: Role) -> Composite {
    let names = names(problems.len());
    let named = names.iter().map(String::as_str).zip((0..).map(NodeId)).zip(problems);
    let assets: Vec<_> = named.map(|((name, node), problem)| (name, node, problem)).collect();
    Composite::of_fleet(&assets, &balance(), role).expect("a fleet's problem is a diagram")
}

fn fleet(seed: u64, assets: usize) -> Vec<LocalProblem> {
    generate::fleet(seed, assets, SLOTS).expect("a feasible fleet")
}

/// What the participants hold after each round of exchange ADMM, to the end.
fn federated(problems: &[LocalProblem]) -> Vec<Vec<Vec<f64>>> {
    let node = |at: usize| NodeId(at as u64 + 1);
    let members: Vec<NodeId> = (0..problems.len()).map(node).collect();
    let settings = MethodSettings { eps_abs: 1e-8, eps_rel: 0.0, ..MethodSettings::of(Kind::Exchange) };
    let everyone = Pace { quorum: members.len(), max_rounds: 3000, ..Pace::default() };
    let couplings = Couplings::balances(SLOTS).expect("a valid number");
    let mut coordinator =
        Coordinator::new(settings, everyone, &couplings, members.clone()).expect("valid settings");
    let asset = |(node, problem): (&NodeId, &LocalProblem)| {
        Asset::new(*node, problem.clone(), QpSettings::default()).expect("a solvable problem")
    };
    let mut assets: Vec<Asset> = members.iter().zip(problems).map(asset).collect();
    coordinator.start(Instant::ZERO);
    let mut rounds = Vec::new();
    while coordinator.outcome().is_none() {
        for asset in &mut assets {
            let request = coordinator.request(asset.node()).expect("a member");
            let contribution = asset.on_request(&request).expect("a valid request").expect("an answer");
            coordinator
                .on_contribution(Instant::ZERO, asset.node(), &contribution)
                .expect("a valid contribution");
        }
        rounds.push(assets.iter().map(|one| one.values().to_vec()).collect());
    }
    assert_eq!(coordinator.outcome(), Some(Outcome::Converged), "the reference run reaches its tolerances");
    rounds
}

/// The assets' values, and for the fleet's box shares that keep its constraints: everyone's less the mean.
fn assignment(problems: &[LocalProblem], values: &[Vec<f64>]) -> Assignment {
    let mut shares = vec![BTreeMap::new(); problems.len()];
    let mut sum = [0.0; SLOTS];
    let mut parts = [0.0; SLOTS];
    for (at, problem) in problems.iter().enumerate() {
        for term in &problem.parts().shared {
            *shares[at].entry(term.coupling).or_insert(0.0) += term.coefficient * values[at][term.variable];
        }
        for (coupling, share) in &shares[at] {
            sum[*coupling] += share;
            parts[*coupling] += 1.0;
        }
    }
    let balanced = shares.iter().flatten().map(|(slot, share)| share - sum[*slot] / parts[*slot]).collect();
    let mut all: Assignment = names(problems.len()).into_iter().zip(values.iter().cloned()).collect();
    all.insert(FLEET_BOX.to_owned(), balanced);
    all
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, value| value.abs().max(most))
}

fn cost(problems: &[LocalProblem], values: &[Vec<f64>]) -> f64 {
    let one = |(problem, x): (&LocalProblem, &Vec<f64>)| {
        let parts = problem.parts();
        let n = problem.variables();
        let quadratic: f64 = (0..n)
            .flat_map(|i| (0..n).map(move |j| (i, j)))
            .map(|(i, j)| 0.5 * x[i] * problem.hessian_entry(i, j) * x[j])
            .sum();
        quadratic + parts.linear.iter().zip(x).map(|(q, x)| q * x).sum::<f64>() + parts.constant
    };
    problems.iter().zip(values).map(one).sum()
}

/// Every file of a folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).expect("a folder");
    let read = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().expect("a plain name");
        (name, fs::read(entry.path()).expect("a file"))
    };
    entries.map(|entry| read(entry.expect("an entry"))).collect()
}

#[test]
fn the_flattened_composite_solved_centrally_is_the_federated_optimum() {
    for seed in 0..4 {
        let problems = fleet(seed, 5);
        let central = diagram(&problems, Role::Operator).optimum().expect("an optimum");
        let rounds = federated(&problems);
        let reached = cost(&problems, rounds.last().expect("rounds"));
        let gap = (reached - central.value).abs() / central.value.abs().max(1.0);
        assert!(gap < 1e-6, "seed {seed}: federated {reached}, central {}", central.value);
        assert!(central.violation < 1e-8, "seed {seed}: {}", central.violation);
    }
}

#[test]
fn the_coboundary_is_zero_exactly_at_consensus() {
    let problems = fleet(7, 5);
    let diagram = diagram(&problems, Role::Operator);
    let rounds = federated(&problems);
    let residual = |values: &Vec<Vec<f64>>| {
        largest(&diagram.coboundary(&assignment(&problems, values)).expect("the values fit"))
    };
    assert!(residual(&rounds[0]) > 1e-2, "nobody agrees after one round: {}", residual(&rounds[0]));
    let last = residual(rounds.last().expect("rounds"));
    assert!(last < 1e-7, "all agree at the end: {last}");

    let optimum = diagram.optimum().expect("an optimum").assignment;
    let mut disturbed = optimum.clone();
    disturbed.get_mut("asset-2").expect("an asset")[3] += 0.5;
    let delta = diagram.coboundary(&disturbed).expect("the values fit");
    let moved = delta.iter().filter(|one| one.abs() > 1e-6).count();
    assert_eq!(moved, 1, "one shared value moves one junction: {delta:?}");
    assert!(largest(&diagram.coboundary(&optimum).expect("the values fit")) < 1e-7);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Any assignment whose fleet box holds exactly the assets' shares is a consensus, to the last bit.
    #[test]
    fn shares_that_are_handed_on_unchanged_have_no_coboundary(seed in 0_u64..50, scale in -3.0..3.0_f64) {
        let problems = fleet(seed, 4);
        let diagram = diagram(&problems, Role::Operator);
        let mut all: Assignment = BTreeMap::new();
        let mut shares = Vec::new();
        for (name, problem) in names(4).into_iter().zip(&problems) {
            let x: Vec<f64> = (0..problem.variables()).map(|at| scale * (at as f64 + 0.3)).collect();
            let mut share: BTreeMap<usize, f64> = BTreeMap::new();
            for term in &problem.parts().shared {
                *share.entry(term.coupling).or_insert(0.0) += term.coefficient * x[term.variable];
            }
            shares.extend(share.into_values());
            all.insert(name, x);
        }
        all.insert(FLEET_BOX.to_owned(), shares);
        prop_assert!(diagram.coboundary(&all).expect("the values fit").iter().all(|one| *one == 0.0));
    }

    /// Operadic substitution: grouped by any rule, in one level or two, and flattened, it is the same diagram.
    #[test]
    fn nested_substitution_is_flat_composition(
        seed in 0_u64..50,
        assets in 2..7_usize,
        groups in proptest::collection::vec(proptest::option::of(0..3_usize), 7),
    ) {
        let flat = diagram(&fleet(seed, assets), Role::Operator);
        let group = |name: &str| {
            let at: usize = name.strip_prefix("asset-")?.parse().ok()?;
            groups[at].map(|group| format!("@group-{group}"))
        };
        let nested = flat.nest(group).expect("groups are new names");
        prop_assert_eq!(nested.flatten().expect("a diagram"), flat.clone());
        let pair = |name: &str| (name != FLEET_BOX).then(|| "@everyone".to_owned());
        let mut deep = flat.nest(pair).expect("a new name");
        let everyone = deep.boxes.iter_mut().find(|one| one.name == "@everyone").expect("the group");
        if let Content::Nested(diagram) = &mut everyone.content {
            // The ports of the group stay in order: its outer ports are its junctions by name at both depths.
            *diagram = diagram.nest(group).expect("groups are new names");
        }
        prop_assert_eq!(deep.flatten().expect("a diagram"), flat);
    }

    /// The problems come back from the diagram as they were.
    #[test]
    fn the_fleet_comes_back_from_its_diagram(seed in 0_u64..50, assets in 1..5_usize) {
        let problems = fleet(seed, assets);
        let back = diagram(&problems, Role::Operator).to_fleet().expect("a fleet's diagram");
        prop_assert_eq!(back.rows, balance());
        let back: Vec<LocalProblem> = back.assets.into_iter().map(|(_, problem)| problem).collect();
        prop_assert_eq!(back, problems);
    }
}

#[test]
fn export_import_export_is_byte_identical() {
    let folder = TempDir::new().expect("a folder");
    let problems = fleet(3, 4);
    let flat = diagram(&problems, Role::Operator);
    let nested = flat.nest(|name| name.ends_with(['1', '2']).then(|| "@pair".to_owned())).expect("a group");
    let own = diagram(&problems, Role::Contributor(NodeId(1)));
    for (case, diagram) in [("flat", flat), ("nested", nested), ("own", own)] {
        let (first, second) = (folder.path().join(case), folder.path().join(format!("{case}-again")));
        catopt::write(&diagram, &first).expect("written");
        let read = catopt::read(&first).expect("read");
        assert_eq!(read, diagram, "{case}");
        catopt::write(&read, &second).expect("written");
        assert_eq!(files(&first), files(&second), "{case}");
    }
}

/// What the schema of MathOptFormat 1.x asks of the functions and sets that are written here, in words of its own: what it requires, each of its
/// type, names that `variables` lists, and no constraint twice.
fn assert_is_mathoptformat(name: &str, text: &[u8]) {
    let model: serde_json::Value = serde_json::from_slice(text).expect("JSON");
    assert!(model["version"]["major"] == 1 && model["version"]["minor"].is_u64(), "{name}");
    let variables = model["variables"].as_array().expect("a list");
    let listed: BTreeSet<&str> = variables.iter().map(|one| one["name"].as_str().expect("a name")).collect();
    assert_eq!(listed.len(), variables.len(), "{name}");
    let term = |term: &serde_json::Value, names: &[&str]| {
        assert!(term["coefficient"].is_f64(), "{name}: {term}");
        let known = |field: &&str| listed.contains(term[*field].as_str().expect("a name"));
        assert!(names.iter().all(known), "{name}: {term}");
    };
    let terms = |list: &serde_json::Value, names: &[&str]| {
        list.as_array().expect("a list").iter().for_each(|one| term(one, names));
    };
    let function = |function: &serde_json::Value| match function["type"].as_str() {
        Some("Variable") => assert!(listed.contains(function["name"].as_str().expect("a name"))),
        Some("ScalarAffineFunction") => {
            assert!(function["constant"].is_f64(), "{name}: {function}");
            terms(&function["terms"], &["variable"]);
        }
        Some("ScalarQuadraticFunction") => {
            assert!(function["constant"].is_f64(), "{name}: {function}");
            terms(&function["affine_terms"], &["variable"]);
            terms(&function["quadratic_terms"], &["variable_1", "variable_2"]);
        }
        other => panic!("{name}: {other:?}"),
    };
    match model["objective"]["sense"].as_str() {
        Some("min") => function(&model["objective"]["function"]),
        Some("feasibility") => assert!(model["objective"].get("function").is_none(), "{name}"),
        other => panic!("{name}: {other:?}"),
    }
    let constraints = model["constraints"].as_array().expect("a list");
    let different: BTreeSet<String> = constraints.iter().map(ToString::to_string).collect();
    assert_eq!(different.len(), constraints.len(), "{name}");
    for constraint in constraints {
        function(&constraint["function"]);
        let set = &constraint["set"];
        let sides: &[&str] = match set["type"].as_str() {
            Some("EqualTo") => &["value"],
            Some("GreaterThan") => &["lower"],
            Some("LessThan") => &["upper"],
            Some("Interval") => &["lower", "upper"],
            other => panic!("{name}: {other:?}"),
        };
        assert!(sides.iter().all(|side| set[*side].is_f64()), "{name}: {set}");
    }
}

#[test]
fn every_problem_that_is_written_has_what_the_schema_of_mathoptformat_asks() {
    let place = TempDir::new().expect("a temporary folder");
    let folder = place.path().join("plan");
    catopt::write(&diagram(&fleet(7, 4), Role::Operator), &folder).expect("written");
    let written = files(&folder);
    let problems: Vec<_> = written.iter().filter(|(name, _)| name.ends_with(".mof.json")).collect();
    assert_eq!(problems.len(), 5);
    problems.into_iter().for_each(|(name, text)| assert_is_mathoptformat(name, text));
}

#[test]
fn numbers_survive_the_files_to_the_last_bit() {
    let folder = TempDir::new().expect("a folder");
    let awkward =
        [0.1 + 0.2, 1e-300, 5e-324, 1.797_693_134_862_315_7e308, -7.0 / 3.0, (1_u64 << 60) as f64 + 1024.0];
    let program = QuadraticProgram {
        variables: (0..awkward.len()).map(|at| format!("x[{at}]")).collect(),
        quadratic: vec![(0, 0, 1.0 / 3.0), (0, 4, 1e-17), (4, 4, 2.0)],
        linear: awkward.to_vec(),
        constant: 0.1,
        lower: vec![f64::NEG_INFINITY, -0.3, 0.0, -1.0 / 7.0, -9.0, 0.0],
        upper: vec![f64::INFINITY, f64::INFINITY, 0.0, 1.0 / 7.0, -8.0, 1e22],
        rows: vec![NamedRow {
            name: "sum".into(),
            terms: vec![(0, 0.7), (5, -1.1)],
            lower: -1.3,
            upper: f64::INFINITY,
        }],
    };
    let diagram = Composite {
        boxes: vec![OpenBox { name: "one".into(), content: Content::Program(program) }],
        ports: vec![Port { of: 0, junction: 0, restriction: Some(vec![(0, 1.0 / 3.0), (2, -1e-9)]) }],
        junctions: vec![Junction { variable: "shared".into() }],
        outer: vec![0],
    };
    let target = folder.path().join("numbers");
    catopt::write(&diagram, &target).expect("written");
    assert_eq!(catopt::read(&target).expect("read"), diagram);
}

#[test]
fn who_may_not_see_a_problem_does_not_get_it() {
    let folder = TempDir::new().expect("a folder");
    let problems = fleet(5, 3);
    let at = folder.path().join("observer");
    catopt::write(&diagram(&problems, Role::Observer), &at).expect("written");
    let written = files(&at);
    let problem_files: Vec<&String> = written.keys().filter(|name| name.ends_with(".mof.json")).collect();
    assert_eq!(problem_files, ["@fleet.mof.json"], "only the constraints that bind everybody");
    let text: String = written.values().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect();
    let secret = problems[1].parts().linear[0].to_string();
    assert!(!text.contains(&secret), "a number of a private problem is in the files");
    assert!(!text.contains("x["), "variables of a private problem are in the files");

    let read = catopt::read(&at).expect("a redacted diagram is a diagram");
    assert_eq!(read.redacted(), ["asset-0", "asset-1", "asset-2"]);
    assert!(matches!(read.optimum(), Err(CatoptError::Redacted { .. })));

    let own = folder.path().join("own");
    catopt::write(&diagram(&problems, Role::Contributor(NodeId(1))), &own).expect("written");
    assert!(files(&own).contains_key("asset-1.mof.json"));
    assert!(!files(&own).contains_key("asset-0.mof.json"));
}

/// A written fleet with one file changed by `edit`, and what reading it says.
fn refused(file: &str, edit: impl Fn(&str) -> String) -> String {
    let folder = TempDir::new().expect("a folder");
    let target = folder.path().join("plan");
    catopt::write(&diagram(&fleet(1, 2), Role::Operator), &target).expect("written");
    let path = target.join(file);
    let text = fs::read_to_string(&path).expect("a file");
    let edited = edit(&text);
    assert_ne!(edited, text, "the edit changes something");
    fs::write(&path, edited).expect("written");
    let error = catopt::read(&target).expect_err("the edit is a fault");
    error.to_string().replace(&folder.path().display().to_string(), "")
}

#[test]
fn faults_in_files_are_named_with_their_place() {
    let cases = [
        (
            refused("fleet.acset.json", |text| text.replacen("\"box\": 1", "\"box\": 9", 1)),
            "Port[1].box: found 9, allowed: 1 to 3",
        ),
        (
            refused("fleet.acset.json", |text| text.replacen("\"_id\": 2", "\"_id\": 7", 1)),
            "Box[2]._id: found 7, allowed: 2",
        ),
        (
            refused("fleet.acset.json", |text| text.replacen("asset-0.mof.json", "../../etc/passwd", 1)),
            "model of box \"asset-0\"",
        ),
        (
            refused("fleet.acset.json", |text| text.replacen("asset-0.mof.json", "fleet.acset.json", 1)),
            "9 levels deep",
        ),
        (
            refused("fleet.acset.json", |text| text.replacen("x[0]", "y", 1)),
            "found variable \"y\", allowed: a variable of the box",
        ),
        (
            refused("fleet.acset.json", |text| text.replacen("\"name\"", "\"title\"", 1)),
            "/plan/fleet.acset.json:5:",
        ),
        (
            refused("asset-0.mof.json", |text| text.replacen("\"min\"", "\"max\"", 1)),
            "objective.sense: found max",
        ),
        (
            refused("asset-0.mof.json", |text| text.replacen("\"major\": 1", "\"major\": 2", 1)),
            "version.major: found 2, allowed: 1",
        ),
        (
            refused("asset-0.mof.json", |text| {
                text.replacen("ScalarAffineFunction", "ScalarNonlinearFunction", 1)
            }),
            "/plan/asset-0.mof.json:",
        ),
        (refused("asset-0.mof.json", |text| text[..text.len() / 2].to_owned()), "EOF while parsing"),
    ];
    for (said, expected) in cases {
        assert!(said.contains(expected), "{said:?} does not say {expected:?}");
    }
}

#[test]
fn a_folder_of_something_else_is_not_replaced() {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("diary.txt"), "mine").expect("written");
    let error = catopt::write(&diagram(&fleet(1, 2), Role::Operator), folder.path());
    assert!(matches!(error, Err(CatoptError::Occupied { .. })), "{error:?}");
    assert_eq!(files(folder.path()).len(), 1);
}

fn cosmosmesh(folder: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cosmosmesh"));
    command.current_dir(folder.path()).arg("catopt").args(arguments).output().expect("the program runs")
}

#[test]
fn the_shipped_scenario_is_exported_read_and_solved() {
    let folder = TempDir::new().expect("a folder");
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/mars_relay.ron");
    for extra in [&[][..], &["--nest"]] {
        let export = ["export", scenario, "--out", "plan", "--role", "operator"];
        let output = cosmosmesh(&folder, &[&export[..], extra].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let output = cosmosmesh(&folder, &["import", "plan", "--out", "again", "--json"]);
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert!(answer["optimum"]["value"].is_number(), "{answer}");
        assert_eq!(answer["federated"], serde_json::Value::Bool(true), "{answer}");
        assert_eq!(files(&folder.path().join("plan")), files(&folder.path().join("again")));
    }
    let output = cosmosmesh(&folder, &["export", scenario, "--out", "seen"]);
    assert!(output.status.success());
    let output = cosmosmesh(&folder, &["import", "seen"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("not solved: redacted are"), "{said}");
    let output =
        cosmosmesh(&folder, &["export", scenario, "--out", "x", "--role", "contributor", "--as", "nobody"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("found \"nobody\""));
}

/// AlgebraicJulia's implementation for Python, as judge of what is exported.
mod acsets {
    use super::{peer::program, *};

    /// Builds the schema that the file states with the package's own types, and lets it read the tables: references, attributes and all.
    const JUDGE: &str = "
import json, pathlib, sys
from acsets import ACSet, Attr, AttrType, Hom, Ob, Schema
folder = pathlib.Path(sys.argv[1])
stated = json.loads((folder / 'schema.json').read_text())
types = {'Name': str, 'VarName': str, 'Model': str, 'Restriction': list}
obs = {o['name']: Ob(name=o['name']) for o in stated['Ob']}
homs = [Hom(**h) for h in stated['Hom']]
kinds = {a['name']: AttrType(name=a['name'], ty=types[a['name']]) for a in stated['AttrType']}
attrs = [Attr(name=a['name'], dom=a['dom'], codom=kinds[a['codom']]) for a in stated['Attr']]
schema = Schema('Fleet', obs=list(obs.values()), homs=homs, attrtypes=list(kinds.values()), attrs=attrs)
acset = ACSet.read_json('fleet', schema, (folder / 'fleet.acset.json').read_text())
for name, ob in obs.items():
    print(name, acset.nparts(ob))
again = acset.to_json_obj()
print('Homs', sum(row['box'] + row['junction'] for row in again['Port']))
";

    #[test]
    #[ignore = "needs acsets: docs/INTEROP.md"]
    fn acsets_reads_our_diagram() {
        let place = TempDir::new().expect("a temporary folder");
        let folder = place.path().join("plan");
        let exported = diagram(&fleet(7, 4), Role::Operator);
        catopt::write(&exported, &folder).expect("written");
        let output = Command::new(program("python3"))
            .args(["-c", JUDGE])
            .arg(&folder)
            .output()
            .expect("python3 starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        let sum: usize = exported.ports.iter().map(|port| port.of + 1 + port.junction + 1).sum();
        let (boxes, ports, junctions) =
            (exported.boxes.len(), exported.ports.len(), exported.junctions.len());
        let expected = format!(
            "Box {boxes}\nPort {ports}\nOuterPort {}\nJunction {junctions}\nHoms {sum}\n",
            exported.outer.len()
        );
        assert_eq!(said, expected);
    }
}
