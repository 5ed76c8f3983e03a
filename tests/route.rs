//! `cosmosmesh route` as a program, against the answers that ION, HDTN and A-SABR give for their own plans
//! (sources: `tests/data/contacts/NOTICE.md`, `protocol/tests/data/contact-plans/README.md`).

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/contacts");
const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/protocol/tests/data/contact-plans/hdtn");

fn run(plan: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cosmosmesh"));
    command.arg("route").arg("--plan").arg(plan).args(arguments);
    command.output().expect("the program runs")
}

/// The answer in JSON, and the exit code.
fn ask(plan: &Path, arguments: &[&str]) -> (Value, i32) {
    let output = run(plan, &[arguments, &["--json"]].concat());
    let answer = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    });
    (answer, output.status.code().expect("a code"))
}

/// Arrival and nodes of each route.
fn routes(plan: &Path, arguments: &[&str]) -> Vec<(f64, Vec<u64>)> {
    let (answer, _) = ask(plan, arguments);
    let one = |route: &Value| {
        let nodes = route["hops"].as_array().expect("hops").iter().filter_map(Value::as_u64).collect();
        (route["arrival_s"].as_f64().expect("an arrival"), nodes)
    };
    answer["routes"].as_array().expect("routes").iter().map(one).collect()
}

fn sample(name: &str) -> PathBuf {
    Path::new(DATA).join(name)
}

/// Our own list of contacts in HDTN's JSON.
fn hdtn(folder: &Path, name: &str) -> PathBuf {
    let text = fs::read_to_string(format!("{OURS}/{name}.txt")).expect("a list");
    let mut contacts = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let n: Vec<u64> = line.split_whitespace().map(|word| word.parse().expect("a number")).collect();
        contacts.push(json!({
            "contact": contacts.len(), "source": n[0], "dest": n[1], "startTime": n[2], "endTime": n[3],
            "rateBitsPerSec": n[4], "owlt": n[5],
        }));
    }
    let path = folder.join(format!("{name}.json"));
    fs::write(&path, json!({ "contacts": contacts }).to_string()).expect("a file");
    path
}

#[test]
fn plans_of_hdtn_give_the_routes_of_hdtn() {
    let folder = tempfile::tempdir().expect("a folder");
    let diamond = hdtn(folder.path(), "diamond");
    let (answer, code) = ask(&diamond, &["--from", "1", "--to", "4"]);
    let contacts = json!([
        {"from": 1, "to": 2, "start_s": 0, "end_s": 120},
        {"from": 2, "to": 4, "start_s": 11, "end_s": 150},
    ]);
    let expected = json!({"routes": [{"arrival_s": 12, "hops": [2, 4], "contacts": contacts}]});
    assert_eq!((answer, code), (expected, 0));
    assert_eq!(ask(&diamond, &["--from", "4", "--to", "1"]), (json!({"routes": []}), 1));

    let tutorial = hdtn(folder.path(), "tutorial");
    let all = routes(&tutorial, &["--from", "1", "--to", "5", "--k", "20"]);
    assert_eq!(all.len(), 7);
    assert_eq!(all[0], (3.0, vec![3, 4, 5]));
    assert_eq!(all[..3].iter().map(|route| route.1[0]).collect::<Vec<_>>(), [3, 2, 5]);
    assert_eq!(routes(&tutorial, &["--from", "1", "--to", "5", "--k", "3"]), all[..3]);
    let over_each = routes(&tutorial, &["--from", "1", "--to", "5", "--per-neighbour"]);
    assert_eq!(over_each.iter().map(|route| route.1[0]).collect::<Vec<_>>(), [3, 2, 5]);
    assert!(over_each.iter().all(|route| all.contains(route)), "{over_each:?}");

    let ten = hdtn(folder.path(), "ten_nodes");
    assert_eq!(routes(&ten, &["--from", "20", "--to", "40"]), [(2.0, vec![3686, 40])]);
}

#[test]
fn plans_of_asabr_give_the_reference_routes_of_asabr() {
    let first = sample("asabr/asabr_examples_dijkstra_accuracy_contact_plan_1.cp");
    assert_eq!(routes(&first, &["--from", "0", "--to", "3"]), [(30.0, vec![2, 3])]);
    let second = sample("asabr/asabr_examples_dijkstra_accuracy_contact_plan_2.cp");
    assert_eq!(routes(&second, &["--from", "0", "--to", "4"]), [(50.0, vec![2, 3, 4])]);
    let queue = sample("asabr/asabr_examples_eto_management_contact_plan_1.cp");
    assert_eq!(
        routes(&queue, &["--from", "0", "--to", "3", "--at", "15", "--size", "20"]),
        [(220.0, vec![1, 2, 3])]
    );
}

/// What A-SABR answers (`contact_manager/segmentation/mod.rs`, `get_tx_end` and `get_delays`), by hand.
#[test]
fn a_contact_whose_rate_or_delay_changes_is_one_contact() {
    let plan = sample("asabr/asabr_examples_contact_plans_asabr_format_dynamic.cp");
    let direct = |from: &str, to: &str, at: &str, size: &str| {
        let (answer, code) = ask(&plan, &["--from", from, "--to", to, "--at", at, "--size", size]);
        let route = &answer["routes"][0];
        assert_eq!(
            (code, &route["contacts"][0]["start_s"], &route["contacts"][0]["end_s"]),
            (0, &json!(60), &json!(7260))
        );
        assert_eq!(route["contacts"].as_array().map(Vec::len), Some(1), "{answer}");
        route["arrival_s"].as_f64().expect("an arrival")
    };
    // 100 s at 10 kB/s, which end where the delay is 15 s and not 10 s.
    assert_eq!(direct("1", "4", "3600", "1000000"), 3715.0);
    // 60 s at 10 kB/s and the last 400 kB at 15 kB/s, then 12 s.
    assert!((direct("0", "5", "3600", "1000000") - (3660.0 + 400.0 / 15.0 + 12.0)).abs() < 1e-6);
    // 36 MB at 10 kB/s and 44 MB at 15 kB/s: more than each part holds.
    assert!((direct("0", "5", "60", "80000000") - (3660.0 + 44_000.0 / 15.0 + 12.0)).abs() < 1e-6);
    assert_eq!(direct("1", "4", "3560", "1000000"), 3670.0, "at the change itself the old delay counts");
    let (answer, code) = ask(&plan, &["--from", "0", "--to", "5", "--at", "60", "--size", "90000001"]);
    assert_eq!(
        (answer, code),
        (json!({"routes": []}), 1),
        "too much for the direct contact, and for the others"
    );
}

#[test]
fn what_is_sent_goes_on_where_the_range_of_an_ion_contact_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = folder.path().join("plan.ionrc");
    let text = "a range +0 +50 1 2 1\na range +50 +100 1 2 2\na contact +0 +100 1 2 1000\n";
    fs::write(&plan, text).expect("a file");
    let (answer, code) = ask(&plan, &["--from", "1", "--to", "2", "--size", "60000"]);
    let contacts = json!([{"from": 1, "to": 2, "start_s": 0, "end_s": 100}]);
    let expected = json!({"routes": [{"arrival_s": 62, "hops": [2], "contacts": contacts}]});
    assert_eq!((answer, code), (expected, 0));
    assert_eq!(routes(&plan, &["--from", "1", "--to", "2", "--size", "50000"]), [(51.0, vec![2])]);
    assert_eq!(routes(&plan, &["--from", "1", "--to", "2", "--size", "100001"]), []);
}

#[test]
fn absolute_dates_of_ion_count_from_the_epoch_or_the_earliest() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = folder.path().join("plan.ionrc");
    let text = "a range 2026/01/01-00:00:00 2026/01/02-00:00:00 1 2 3\n\
                a contact 2026/01/01-00:10:00 2026/01/01-01:00:00 1 2 1000\n";
    fs::write(&plan, text).expect("a file");
    let asked = ["--from", "1", "--to", "2", "--json"];
    let output = run(&plan, &asked);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("2026/01/01-00:00:00") && told.contains("--epoch"), "{told}");
    let contact = |start: u64, end: u64| json!([{"from": 1, "to": 2, "start_s": start, "end_s": end}]);
    let (answer, code) = ask(&plan, &asked[..4]);
    assert_eq!((&answer["routes"][0]["arrival_s"], code), (&json!(603), 0));
    assert_eq!(answer["routes"][0]["contacts"], contact(600, 3600));
    for (epoch, arrival, start, end) in [
        ("2025-12-31T23:59:50Z", 613, 610, 3610),
        ("2026/01/01-00:09:00", 63, 60, 3060),
        ("2026-01-01T00:30:00", 3, 0, 1800),
    ] {
        let output = run(&plan, &[&asked[..], &["--epoch", epoch]].concat());
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{epoch}");
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(answer["routes"][0]["arrival_s"], json!(arrival), "{epoch}");
        assert_eq!(answer["routes"][0]["contacts"], contact(start, end), "{epoch}");
    }
    assert_eq!(ask(&plan, &[&asked[..4], &["--epoch", "2026-01-03"]].concat()).1, 1, "all is over");
    assert_eq!(run(&plan, &[&asked[..], &["--epoch", "tomorrow"]].concat()).status.code(), Some(2));
}

#[test]
fn a_manager_of_asabr_is_the_contacts_own_or_the_readers() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = folder.path().join("plan.asabr");
    // The contacts of A-SABR's exercise 1 with budgets, and one whose highest priority has more.
    let text = "contact 0 1 100 200 10 10 1000 1000 1000\ncontact 1 2 100 200 10 15 100 1000 1000\n";
    fs::write(&plan, text).expect("a file");
    let unread = run(&plan, &["--from", "0", "--to", "2"]);
    let told = String::from_utf8_lossy(&unread.stderr).into_owned();
    assert!(
        unread.status.code() == Some(2) && told.contains("pbevl") && told.contains("plan.asabr:1"),
        "{told}"
    );
    for manager in ["pbevl", "pbqd", "pbeto"] {
        let between = |more: &[&str]| {
            routes(&plan, &[&["--from", "0", "--to", "2", "--manager", manager], more].concat())
        };
        assert_eq!(between(&["--size", "200"]), [(100.0 + 20.0 + 10.0 + 20.0 + 15.0, vec![1, 2])]);
        assert_eq!(between(&["--size", "200", "--priority", "bulk"]), [], "{manager}: beyond its budget");
        assert_eq!(between(&["--size", "100", "--priority", "bulk"]).len(), 1);
    }
    fs::write(&plan, "contact 0 1 100 200 pqd 10 10\ncontact 1 2 100 200 pbevl 10 15 9 9 9\n")
        .expect("a file");
    assert_eq!(routes(&plan, &["--from", "0", "--to", "2"]), [(125.0, vec![1, 2])]);
    assert_eq!(run(&plan, &["--from", "0", "--to", "2", "--manager", "lorem"]).status.code(), Some(2));
}

#[test]
fn the_mars_plan_of_ion_is_read_from_its_own_base_or_as_ionadmin_does() {
    let mars = sample("ion/cgr-test.global.ionrc");
    // 9-7-2-1 arrives together with it and ends later; a list goes by node number.
    assert_eq!(routes(&mars, &["--from", "9", "--to", "1"]), [(345.0, vec![5, 2, 1])]);
    let output = run(&mars, &["--from", "9", "--to", "1"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("ionadmin"), "{told}");
    let listed = routes(&mars, &["--from", "9", "--to", "1", "--k", "40"]);
    assert!(listed.contains(&(345.0, vec![7, 2, 1])), "{listed:?}");
    assert_eq!(routes(&mars, &["--from", "9", "--to", "1", "--shifts", "apply"]), [(3925.0, vec![5, 2, 1])]);
}

#[test]
fn the_diamond_of_ion_changes_sides_with_its_windows() {
    let diamond = sample("ion/bug-0002-cgr-recompute.global.ionrc");
    let side =
        |at: &str| routes(&diamond, &["--from", "1", "--to", "4", "--at", at, "--size", "100"])[0].1[0];
    assert_eq!(["2", "35.5", "65", "95", "125", "155"].map(side), [3, 2, 3, 2, 3, 2]);
    let asymmetric = sample("ion/asymmetric-range.global.ionrc");
    assert_eq!(routes(&asymmetric, &["--from", "9", "--to", "5"])[0].0, 1.0);
    assert_eq!(routes(&asymmetric, &["--from", "5", "--to", "9"])[0].0, 5.0);
}

#[test]
fn confidence_deadline_and_size_are_limits() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = folder.path().join("plan.ionrc");
    let text = "a range +0 +100 1 2 1\na range +0 +100 2 3 1\na range +0 +100 1 3 1\n\
                a contact +0 +10 1 2 10 0.9\na contact +0 +10 2 3 10 0.9\na contact +50 +60 1 3 10\n";
    fs::write(&plan, text).expect("a file");
    let between = |more: &[&str]| routes(&plan, &[&["--from", "1", "--to", "3"], more].concat());
    assert_eq!(between(&[]), [(2.0, vec![2, 3])]);
    assert_eq!(between(&["--min-confidence", "0.81"]), [(2.0, vec![2, 3])]);
    assert_eq!(between(&["--min-confidence", "0.82"]), [(51.0, vec![3])]);
    assert_eq!(between(&["--size", "80"]), [(59.0, vec![3])]);
    assert_eq!(between(&["--size", "101"]), []);
    assert_eq!(between(&["--at", "11", "--deadline", "50"]), []);
}

#[test]
fn a_table_is_for_people_and_no_route_is_no() {
    let diamond = sample("ion/bug-0002-cgr-recompute.global.ionrc");
    let output = run(&diamond, &["--from", "1", "--to", "4", "--at", "200", "--k", "2"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0));
    assert!(text.lines().count() == 3 && text.contains("1->2 (1 to 3600), 2->4 (151 to 3600)"), "{text}");
    let none = run(&diamond, &["--from", "1", "--to", "77"]);
    assert_eq!((none.status.code(), none.stdout.as_slice()), (Some(1), &b"no route from 1 to 77\n"[..]));
}

#[test]
fn what_cannot_be_used_is_two() {
    let folder = tempfile::tempdir().expect("a folder");
    let broken = folder.path().join("broken.json");
    fs::write(&broken, "{\"contacts\": [{\"source\": -1}]}").expect("a file");
    let fine = sample("ion/asymmetric-range.global.ionrc");
    let cases: [(&Path, &[&str]); 8] = [
        (&folder.path().join("absent"), &["--from", "1", "--to", "2"]),
        (&broken, &["--from", "1", "--to", "2"]),
        (&fine, &["--from", "5"]),
        (&fine, &["--from", "5", "--to", "5"]),
        (&fine, &["--from", "5", "--to", "9", "--at", "-1"]),
        (&fine, &["--from", "5", "--to", "9", "--k", "0"]),
        (&fine, &["--from", "5", "--to", "9", "--min-confidence", "1.5"]),
        (&fine, &["--from", "5", "--to", "9", "--format", "hdtn"]),
    ];
    for (plan, arguments) in cases {
        let output = run(plan, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}
