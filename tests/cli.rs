//! The command line as a user meets it: the real binary in a temporary folder, its exit codes, its words, its files.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};
use tempfile::TempDir;

fn temporary() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn shipped(name: &str) -> String {
    format!("{}/scenarios/{name}.ron", env!("CARGO_MANIFEST_DIR"))
}

/// The binary, in `folder`, outside of continuous integration unless a test says otherwise.
fn command(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cosmosmesh"));
    command.args(arguments).current_dir(folder.path()).env_remove("CI");
    command
}

fn cosmosmesh(folder: &TempDir, arguments: &[&str]) -> Output {
    command(folder, arguments).output().expect("the binary starts")
}

/// Runs it and asserts its exit code.
#[track_caller]
fn expect(folder: &TempDir, code: i32, arguments: &[&str]) -> Output {
    let output = cosmosmesh(folder, arguments);
    let said = format!("{}{}", stdout(&output), stderr(&output));
    assert_eq!(output.status.code(), Some(code), "cosmosmesh {}\n{said}", arguments.join(" "));
    output
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

#[track_caller]
fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stdout(output)))
}

/// The smoke scenario with one text replaced by another.
fn changed_smoke(folder: &TempDir, from: &str, to: &str) -> PathBuf {
    let text = fs::read_to_string(shipped("smoke")).expect("the shipped scenario");
    assert!(text.contains(from), "the scenario holds {from}");
    let path = folder.path().join("changed.ron");
    fs::write(&path, text.replacen(from, to, 1)).expect("it can be written");
    path
}

fn entries(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut files, mut folders) = (BTreeMap::new(), vec![folder.to_path_buf()]);
    while let Some(next) = folders.pop() {
        for name in entries(&next) {
            let path = next.join(name);
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.clone(), fs::read(&path).expect("a file"));
            }
        }
    }
    files
}

#[test]
fn help_is_done_and_shows_examples_and_wrong_usage_is_two() {
    let folder = temporary();
    for name in ["run", "check", "compare", "report", "validate", "new", "contacts", "route", "completions"] {
        let help = stdout(&expect(&folder, 0, &[name, "--help"]));
        assert!(help.contains("Examples:\n  cosmosmesh"), "{name}: {help}");
    }
    assert!(stdout(&expect(&folder, 0, &["--version"])).starts_with("cosmosmesh 0."));
    for wrong in [
        &[][..],
        &["fly"],
        &["run"],
        &["run", "a.ron", "--threads", "0"],
        &["validate"],
        &["contacts", "--nonsense"],
    ] {
        let output = expect(&folder, 2, wrong);
        assert!(output.stdout.is_empty(), "what is wrong is said on standard error");
        let said = stderr(&output);
        assert!(said.contains("Usage:") || said.contains("try '--help'"), "{said}");
    }
    assert!(entries(folder.path()).is_empty());
}

#[test]
fn validate_answers_yes_no_or_cannot() {
    let folder = temporary();
    let smoke = shipped("smoke");
    assert!(stdout(&expect(&folder, 0, &["validate", &smoke])).contains("valid: 2 assets"));
    let wrong = changed_smoke(&folder, "kind: Rover", "kind: Rovr");
    let said = stderr(&expect(&folder, 1, &["validate", &smoke, "changed.ron"]));
    let text = fs::read_to_string(&wrong).expect("just written");
    let line = text.lines().position(|line| line.contains("Rovr")).expect("it is there") + 1;
    let column = text.lines().nth(line - 1).and_then(|line| line.find("Rovr")).expect("it is there") + 1;
    assert!(said.contains(&format!("changed.ron:{line}:{column}")), "{said}");
    assert!(
        said.contains("assets[1].kind") && said.contains("Rovr") && said.contains("did you mean `Rover`?"),
        "{said}"
    );
    expect(&folder, 2, &["validate", &smoke, "missing.ron"]);
    let found = json(&expect(&folder, 1, &["validate", "--json", &smoke, "changed.ron"]));
    assert_eq!((&found[0]["valid"], &found[1]["valid"]), (&true.into(), &false.into()));
    let mistake = &found[1]["mistakes"][0];
    assert_eq!((&mistake["line"], &mistake["column"]), (&line.into(), &column.into()));
}

#[test]
fn all_mistakes_are_told_in_one_go() {
    let folder = temporary();
    let text = fs::read_to_string(shipped("smoke")).expect("the shipped scenario");
    let text =
        text.replacen("node: 2", "node: 1", 1).replacen("max_range: \"10 km\"", "max_range: \"-1 km\"", 1);
    fs::write(folder.path().join("wrong.ron"), text).expect("it can be written");
    let found = json(&expect(&folder, 1, &["validate", "--json", "wrong.ron"]));
    assert_eq!(found[0]["mistakes"].as_array().map(Vec::len), Some(2), "{found:#}");
}

#[test]
fn a_scenario_that_is_no_scenario_is_an_error_and_no_crash() {
    let folder = temporary();
    let texts: [(&str, Vec<u8>); 5] = [
        ("empty", Vec::new()),
        ("binary", vec![0xFF, 0xFE, 0x00, 0x80]),
        ("truncated", fs::read(shipped("smoke")).expect("the shipped scenario")[..900].to_vec()),
        ("deep", "(".repeat(1_000_000).into_bytes()),
        ("deep-lists", "[".repeat(1_000_000).into_bytes()),
    ];
    for (name, text) in texts {
        let file = format!("{name}.ron");
        fs::write(folder.path().join(&file), text).expect("it can be written");
        let said = stderr(&expect(&folder, 1, &["validate", &file]));
        assert!(said.contains(&file), "{said}");
        expect(&folder, 2, &["run", &file]);
        expect(&folder, 2, &["contacts", &file]);
    }
    assert!(!folder.path().join("runs").exists());
}

#[test]
fn run_writes_a_whole_folder_and_its_summary() {
    let folder = temporary();
    let said = stdout(&expect(&folder, 0, &["run", &shipped("smoke")]));
    assert!(said.contains("delivery.ratio") && said.contains("runs/smoke"), "{said}");
    assert_eq!(entries(&folder.path().join("runs")), ["smoke"]);
    let names = entries(&folder.path().join("runs/smoke"));
    for name in
        ["run.json", "timing.json", "metrics.json", "report.html", "plots", "deliveries.csv", "scenario.ron"]
    {
        assert!(names.iter().any(|found| found == name), "{name} in {names:?}");
    }
    let facts = fs::read(folder.path().join("runs/smoke/run.json")).expect("it was written");
    let facts: serde_json::Value = serde_json::from_slice(&facts).expect("JSON");
    assert_eq!(facts["fingerprint"].as_str().map(str::len), Some(64));
    assert!(
        said.contains(facts["fingerprint"].as_str().expect("text")),
        "the fingerprint is printed: {said}"
    );
    // Again: a run folder is replaced.
    expect(&folder, 0, &["run", &shipped("smoke")]);
    assert_eq!(entries(&folder.path().join("runs")), ["smoke"]);
}

#[test]
fn run_as_json_tells_the_same_as_its_folder() {
    let folder = temporary();
    let printed =
        json(&expect(&folder, 0, &["run", &shipped("smoke"), "--json", "--out", "here", "--seed", "7"]));
    let read = |name: &str| -> serde_json::Value {
        let text = fs::read(folder.path().join("here").join(name)).expect("it was written");
        serde_json::from_slice(&text).expect("JSON")
    };
    assert_eq!(printed["metrics"], read("metrics.json"));
    assert_eq!(printed["run"], read("run.json"));
    assert_eq!(
        (printed["run"]["seed"].as_u64(), printed["metrics"]["delivery.ratio"]["value"].as_f64()),
        (Some(7), Some(1.0))
    );
}

#[test]
fn run_refuses_what_it_cannot_do() {
    let folder = temporary();
    let smoke = shipped("smoke");
    for until in ["soon", "6", "-1 h", "0 s", "1 hour", ""] {
        expect(&folder, 2, &["run", &smoke, "--until", until]);
    }
    let wrong = changed_smoke(&folder, "duration: \"1 min\"", "duration: \"0 s\"");
    let said = stderr(&expect(&folder, 2, &["run", &wrong.display().to_string()]));
    assert!(said.contains("changed.ron:") && said.contains("duration"), "{said}");
    expect(&folder, 2, &["run", "missing.ron"]);
    // A path below a file can never be written, whoever asks.
    fs::write(folder.path().join("file"), "text").expect("it can be written");
    expect(&folder, 2, &["run", &smoke, "--out", "file/run"]);
    expect(&folder, 2, &["run", &smoke, "--out", "file"]);
    // A folder of something else is not replaced.
    fs::create_dir(folder.path().join("photos")).expect("it can be made");
    fs::write(folder.path().join("photos/one.jpg"), "picture").expect("it can be written");
    let said = stderr(&expect(&folder, 2, &["run", &smoke, "--out", "photos"]));
    assert!(said.contains("not a run folder"), "{said}");
    assert_eq!(entries(folder.path()), ["changed.ron", "file", "photos"]);
}

#[test]
fn until_stops_early() {
    let folder = temporary();
    let printed = json(&expect(&folder, 0, &["run", &shipped("smoke"), "--json", "--until", "30 s"]));
    assert_eq!(printed["run"]["duration_s"].as_f64(), Some(30.0));
}

/// Starts a run that takes long enough, and waits until its folder grows.
fn long_run(folder: &TempDir) -> Child {
    let text = fs::read_to_string(shipped("smoke")).expect("the shipped scenario");
    let text =
        text.replace("duration: \"1 min\"", "duration: \"30 d\"").replace("end: \"50 s\"", "end: \"30 d\"");
    fs::write(folder.path().join("long.ron"), text).expect("it can be written");
    let mut command = command(folder, &["run", "long.ron", "--out", "runs/long"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let runs = folder.path().join("runs");
    for _ in 0..3000 {
        let growing = fs::read_dir(&runs).is_ok_and(|found| {
            found.filter_map(Result::ok).any(|entry| entry.path().join("deliveries.csv").exists())
        });
        if growing {
            return child;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    panic!("the run does not begin: {:?}", child.wait());
}

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().expect("kill starts");
    assert!(sent.success(), "the run is still there to be stopped");
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_ends_with_130_and_leaves_nothing() {
    let folder = temporary();
    let child = long_run(&folder);
    signal(&child, "-INT");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    assert!(stderr(&output).contains("interrupted"));
    assert!(entries(&folder.path().join("runs")).is_empty());
}

#[cfg(unix)]
#[test]
fn a_killed_run_leaves_what_was_there_under_its_name() {
    let folder = temporary();
    expect(&folder, 0, &["run", &shipped("smoke"), "--out", "runs/long"]);
    let before = contents(&folder.path().join("runs/long"));
    let mut child = long_run(&folder);
    signal(&child, "-KILL");
    child.wait().expect("it ends");
    assert_eq!(contents(&folder.path().join("runs/long")), before);
    // What is left of the killed run hides, and harms nobody.
    for name in entries(&folder.path().join("runs")) {
        assert!(name == "long" || name.starts_with('.'), "{name}");
    }
    expect(&folder, 0, &["run", &shipped("smoke"), "--out", "runs/long"]);
}

#[cfg(unix)]
#[test]
fn a_killed_first_run_leaves_no_folder_under_its_name() {
    let folder = temporary();
    let mut child = long_run(&folder);
    signal(&child, "-KILL");
    child.wait().expect("it ends");
    assert!(!folder.path().join("runs/long").exists());
}

#[test]
fn new_writes_a_scenario_that_is_valid_and_flies() {
    let folder = temporary();
    expect(&folder, 0, &["new", "base-camp"]);
    assert_eq!(entries(folder.path()), ["base-camp.ron"]);
    expect(&folder, 0, &["validate", "base-camp.ron"]);
    let printed = json(&expect(&folder, 0, &["run", "base-camp.ron", "--json"]));
    assert_eq!(printed["run"]["scenario"], "base-camp");
    assert!(printed["metrics"]["delivery.delivered"]["value"].as_f64() > Some(0.0));
    let before = fs::read(folder.path().join("base-camp.ron")).expect("it is there");
    expect(&folder, 2, &["new", "base-camp"]);
    assert_eq!(fs::read(folder.path().join("base-camp.ron")).expect("it is there"), before, "never replaced");
    expect(&folder, 2, &["new", "two words"]);
    expect(&folder, 2, &["new", "no/such/folder/name"]);
}

#[test]
fn contacts_come_in_every_format() {
    let folder = temporary();
    let leo = shipped("leo_ground");
    let table = stdout(&expect(&folder, 0, &["contacts", &leo]));
    assert!(table.contains("svalbard") && table.contains("sentinel-2a"));
    let csv = stdout(&expect(&folder, 0, &["contacts", &leo, "--format", "csv"]));
    let mut lines = csv.lines();
    assert_eq!(
        lines.next(),
        Some("from,to,start_utc,end_utc,start_s,end_s,max_elevation_deg,owlt_s,rate_bps")
    );
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert!(rows.len() > 50 && rows.iter().all(|row| row.len() == 9), "{} contacts", rows.len());
    let list = json(&expect(&folder, 0, &["contacts", &leo, "--json"]));
    assert_eq!(list.as_array().map(Vec::len), Some(rows.len()));
    assert_eq!(list[0]["rate_bps"].as_f64(), Some(256_000.0));
    let ion = expect(&folder, 0, &["contacts", &leo, "--format", "ion"]);
    let commands = |word: &str| stdout(&ion).lines().filter(|line| line.starts_with(word)).count();
    assert_eq!(commands("a contact +"), rows.len());
    // 256 kbit/s are 32,000 bytes per second.
    assert!(
        stdout(&ion)
            .lines()
            .filter(|line| line.starts_with("a contact"))
            .all(|line| line.ends_with(" 32000"))
    );
    assert!(stderr(&ion).contains("warning: "), "whole seconds lose precision");
    let hdtn = json(&expect(&folder, 0, &["contacts", &leo, "--format", "hdtn"]));
    let found = hdtn["contacts"].as_array().expect("a list");
    assert_eq!(found.len(), rows.len());
    assert_eq!(found[0]["rateBitsPerSec"].as_f64(), Some(256_000.0));
    expect(&folder, 2, &["contacts", &leo, "--format", "pdf"]);
    expect(&folder, 2, &["contacts", "missing.ron"]);
}

#[test]
fn contacts_read_back_the_plan_that_they_wrote() {
    let folder = temporary();
    let plan = expect(&folder, 0, &["contacts", &shipped("leo_ground"), "--format", "ion"]).stdout;
    fs::write(folder.path().join("plan.ionrc"), plan).expect("it can be written");
    let text = fs::read_to_string(shipped("leo_ground")).expect("the shipped scenario");
    let imported = "contacts: Imported(file: \"plan.ionrc\", format: Ion),\n    protocol:";
    fs::write(folder.path().join("again.ron"), text.replacen("protocol:", imported, 1))
        .expect("it can be written");
    let count =
        |file: &str| json(&expect(&folder, 0, &["contacts", file, "--json"])).as_array().map(Vec::len);
    assert_eq!(count("again.ron"), count(&shipped("leo_ground")));
}

#[test]
fn check_compares_with_baselines_that_only_people_renew() {
    let folder = temporary();
    let smoke = shipped("smoke");
    fs::create_dir(folder.path().join("reports")).expect("it can be made");
    let said = stdout(&expect(&folder, 1, &["check", &smoke]));
    assert!(said.contains("no baseline"), "{said}");
    let bless = ["check", &smoke, "--bless", "--reason", "The first one"];
    let refused = command(&folder, &bless).env("CI", "true").output().expect("the binary starts");
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    assert!(entries(&folder.path().join("reports")).is_empty());
    expect(&folder, 2, &["check", &smoke, "--bless"]);
    expect(&folder, 0, &bless);
    expect(&folder, 0, &["check", &smoke, "--strict", "--junit", "out/check.xml"]);
    let junit = fs::read_to_string(folder.path().join("out/check.xml")).expect("it was written");
    assert!(
        junit.starts_with("<?xml") && junit.contains("delivery.ratio") && !junit.contains("<failure"),
        "{junit}"
    );
    // A worse figure fails, in words, in JSON and in JUnit.
    let path = folder.path().join("reports/smoke.ron");
    let text = fs::read_to_string(&path).expect("it was written");
    let worse = worsened(&text, "delivery.delivered");
    fs::write(&path, worse).expect("it can be written");
    let said = stdout(&expect(&folder, 1, &["check", &smoke, "--junit", "out/check.xml"]));
    assert!(said.contains("delivery.delivered"), "{said}");
    let junit = fs::read_to_string(folder.path().join("out/check.xml")).expect("it was written");
    assert!(junit.contains("<failure"), "{junit}");
    let found = json(&expect(&folder, 1, &["check", &smoke, "--json"]));
    assert_eq!(found[0]["holds"], false);
    // Another fingerprint alone is a warning, and a failure when strict.
    let fingerprint =
        text.split("fingerprint: \"").nth(1).and_then(|rest| rest.get(..64)).expect("64 digits");
    fs::write(&path, text.replace(fingerprint, &"0".repeat(64))).expect("it can be written");
    assert!(stdout(&expect(&folder, 0, &["check", &smoke])).contains("warning: the fingerprint changed"));
    expect(&folder, 1, &["check", &smoke, "--strict"]);
    fs::write(&path, "(version: 1").expect("it can be written");
    expect(&folder, 2, &["check", &smoke]);
}

/// The baseline `text` with a thousand added to the figure of `metric`.
fn worsened(text: &str, metric: &str) -> String {
    let at = text.find(&format!("\"{metric}\"")).expect("it is in the baseline");
    let start = at + text[at..].find("value: Some(").expect("it has a value") + "value: Some(".len();
    let end = start + text[start..].find(')').expect("it ends");
    let value: f64 = text[start..end].parse().expect("a number");
    format!("{}{:.1}{}", &text[..start], value + 1000.0, &text[end..])
}

#[test]
fn compare_tells_equal_runs_from_different_ones() {
    let folder = temporary();
    for (out, seed) in [("one", "1"), ("same", "1"), ("other", "2")] {
        expect(&folder, 0, &["run", &shipped("smoke"), "--seed", seed, "--out", out]);
    }
    let said = stdout(&expect(&folder, 0, &["compare", "one", "same"]));
    assert!(said.contains("metrics are the same"), "{said}");
    let said = stdout(&expect(&folder, 1, &["compare", "one", "other"]));
    assert!(said.contains("The seeds differ: 1 and 2."), "{said}");
    assert_eq!(json(&expect(&folder, 0, &["compare", "one", "same", "--json"]))["same"], true);
    let differences = json(&expect(&folder, 1, &["compare", "one", "other", "--json"]));
    assert!(!differences["differences"].as_array().expect("a list").is_empty());
    expect(&folder, 2, &["compare", "one", "missing"]);
}

#[test]
fn report_draws_the_same_bytes_again() {
    let folder = temporary();
    expect(&folder, 0, &["run", &shipped("smoke"), "--out", "one"]);
    let run = folder.path().join("one");
    let before = contents(&run);
    fs::remove_dir_all(run.join("plots")).expect("they were drawn");
    fs::remove_file(run.join("report.html")).expect("it was written");
    assert!(stdout(&expect(&folder, 0, &["report", "one"])).contains("delivery.ratio"));
    let after = contents(&run);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (path, bytes) in &before {
        assert!(after[path] == *bytes, "{} changed", path.display());
    }
    let metrics = json(&expect(&folder, 0, &["report", "one", "--json"]));
    assert_eq!(metrics["delivery.ratio"]["value"].as_f64(), Some(1.0));
    expect(&folder, 2, &["report", "missing"]);
}

#[test]
fn shells_get_their_completions() {
    let folder = temporary();
    for (shell, word) in
        [("bash", "complete -F"), ("zsh", "#compdef cosmosmesh"), ("fish", "complete -c cosmosmesh")]
    {
        let script = stdout(&expect(&folder, 0, &["completions", shell]));
        assert!(script.contains(word) && script.contains("validate"), "{shell}");
    }
    expect(&folder, 2, &["completions", "abacus"]);
}

#[cfg(unix)]
#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let folder = temporary();
    let script = format!(
        "'{}' contacts '{}' --format csv | head -1",
        env!("CARGO_BIN_EXE_cosmosmesh"),
        shipped("leo_ground")
    );
    let output =
        Command::new("sh").args(["-c", &script]).current_dir(folder.path()).output().expect("sh starts");
    assert!(output.status.success());
    assert!(stderr(&output).is_empty(), "{}", stderr(&output));
}
