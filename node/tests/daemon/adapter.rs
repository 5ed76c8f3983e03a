//! Programs as assets: the reference rover and habitat, and programs that misbehave.

use super::place::{Place, pair, program, wait_until};
use cosmosmesh_node::{
    Client, Daemon,
    adapter::{AttachError, ProgramError, attach},
};
use std::{
    path::PathBuf,
    process::{Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

fn example(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/adapters").join(name)
}

fn python(script: &str) -> Command {
    let mut command = Command::new("python3");
    command.args(["-c", script]);
    command
}

#[test]
fn a_rover_and_a_habitat_in_python_work_together_through_their_nodes() {
    let place = Place::new();
    let (one, two) = pair(&place);
    let (stop, never) = (AtomicBool::new(false), AtomicBool::new(false));
    let clients = || {
        [Client::of(one.clone()), Client::of(one.clone()), Client::of(two.clone()), Client::of(two.clone())]
    };
    let [rover_out, rover_in, habitat_out, habitat_in] = clients();
    thread::scope(|scope| {
        let stop = &stop;
        let rover = scope.spawn(move || {
            let mut command = Command::new("python3");
            attach(command.arg(example("rover.py")).arg("2"), &rover_out, &rover_in, stop)
        });
        let mut command = Command::new("python3");
        command.arg(example("habitat.py")).args(["1", "500"]).stderr(Stdio::null());
        let ended = attach(&mut command, &habitat_out, &habitat_in, &never).expect("it works");
        assert!(ended.success(), "the rover is 500 m away after five drives and a charge");
        stop.store(true, Ordering::Release);
        assert!(rover.join().expect("no panic").expect("it works").success(), "it ends when it is told to");
    });
}

#[test]
fn a_program_is_told_what_is_wrong_with_its_lines_and_is_given_again_what_it_did_not_take() {
    let place = Place::new();
    let (one, two) = pair(&place);
    let never = AtomicBool::new(false);
    let sender = Client::of(two.clone());
    super::place::send(&sender, 1, "hello");
    let script = "
import json, sys
def expect(**wanted):
    told = json.loads(sys.stdin.readline())
    assert all(told[key] == value for key, value in wanted.items()), told
    return told
def say(text):
    print(text, flush=True)
expect(type='hello', version=1, node=1)
expect(type='message', source='ipn:2.0', payload_hex='68656c6c6f')
say('garbage')
expect(type='refused', id=None, reason='line')
say('{\"type\":\"send\",\"id\":\"a\",\"to\":2,\"purpose\":\"event\",\"record\":{\"time\":1,\"kind\":\"x\"}}')
expect(type='refused', id='a', reason='record_field_missing')
say('{\"type\":\"send\",\"id\":\"b\",\"to\":77,\"purpose\":\"event\",\"text\":\"x\"}')
expect(type='refused', id='b')
say('{\"type\":\"take\",\"number\":1000}')
expect(type='refused', reason='take')
say('{\"type\":\"send\",\"id\":[1],\"to\":2,\"purpose\":\"event\",\"text\":\"x\"}')
expect(type='accepted', id=[1])
";
    for run in 0..2 {
        let clients = [Client::of(one.clone()), Client::of(one.clone())];
        let status = attach(&mut python(script), &clients[0], &clients[1], &never).expect("it works");
        assert!(status.success(), "run {run} was told what it expects");
    }
    let client = Client::of(one.clone());
    assert_eq!(super::place::receive(&client), "hello", "it is still there");
}

#[test]
fn a_program_that_says_a_line_without_end_or_never_ends_is_stopped() {
    let place = Place::new();
    let (one, _two) = pair(&place);
    let clients = || [Client::of(one.clone()), Client::of(one.clone())];
    let (never, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let [sending, receiving] = clients();
    let endless = "import sys\nwhile True: sys.stdout.write('x' * 65536)";
    let result = attach(&mut python(endless), &sending, &receiving, &never);
    assert!(matches!(result, Err(AttachError::Program(ProgramError::LongLine))), "{result:?}");
    let deaf = "import time\nwhile True: time.sleep(1)";
    let status = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(200));
            stop.store(true, Ordering::Release);
        });
        attach(&mut python(deaf), &sending, &receiving, &stop).expect("it was killed")
    });
    assert!(!status.success());
    let mut missing = Command::new("/nowhere/at/all");
    assert!(matches!(attach(&mut missing, &sending, &receiving, &never), Err(AttachError::Program(_))));
}

/// Attaches a program that is told to stop after a moment, and gives how it ended, if it did.
fn attach_and_stop(mut command: Command, one: &Arc<Daemon>) -> Option<ExitStatus> {
    let clients = [Client::of(one.clone()), Client::of(one.clone())];
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let stop = Arc::new(AtomicBool::new(false));
        let later = stop.clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(500));
            later.store(true, Ordering::Release);
        });
        let ended = attach(&mut command, &clients[0], &clients[1], &stop);
        tell.send(ended.expect("it was killed")).expect("somebody waits");
    });
    told.recv_timeout(Duration::from_secs(20)).ok()
}

#[test]
fn a_program_that_does_not_read_what_it_is_told_is_ended_all_the_same() {
    let place = Place::new();
    let (one, two) = pair(&place);
    let sender = Client::of(two);
    // Far more than a pipe holds.
    (0..20).for_each(|_| super::place::send(&sender, 1, &"x".repeat(50_000)));
    let ended = attach_and_stop(python("import time\nwhile True: time.sleep(1)"), &one);
    assert!(!ended.expect("it ends").success());
    // What it asks is answered with its own words: far more than a pipe and the lines that wait for it hold.
    let asks = "
import json, time
for number in range(400):
    print(json.dumps({'type': 'send', 'id': 'x' * 2000, 'to': 77, 'purpose': 'event', 'text': 'x'}))
print(flush=True)
while True: time.sleep(1)
";
    assert!(!attach_and_stop(python(asks), &one).expect("it ends").success());
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_program_has_started_does_not_keep_it_from_ending() {
    let place = Place::new();
    let (one, _two) = pair(&place);
    let mut shell = Command::new("sh");
    shell.args(["-c", "python3 -c 'import time\nwhile True: time.sleep(1)' & wait"]);
    assert!(!attach_and_stop(shell, &one).expect("it ends").success());
    let mut apart = Command::new("sh");
    apart.args(["-c", "setsid sleep 60 & wait"]);
    assert!(attach_and_stop(apart, &one).is_some(), "not even what holds its output open");
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_program_leaves_behind_ends_with_it() {
    let place = Place::new();
    let (one, _two) = pair(&place);
    let file = place.path().join("left");
    let mut shell = Command::new("sh");
    shell.args(["-c", "sleep 600 & echo $! > \"$0\"", file.to_str().expect("text")]);
    let clients = [Client::of(one.clone()), Client::of(one.clone())];
    let never = AtomicBool::new(false);
    // It holds the program's output open.
    assert!(attach(&mut shell, &clients[0], &clients[1], &never).expect("it ends").success());
    let left = std::fs::read_to_string(&file).expect("its number");
    let stat = format!("/proc/{}/stat", left.trim());
    // Whoever inherits it may take its time to wait for it.
    wait_until("it has ended", || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z ")));
}

#[test]
fn ctl_attaches_a_program_to_a_daemon_that_runs() {
    let (place, control) = (Place::new(), super::place::free());
    let rest = format!("control: \"{control}\", peers: [{}]", place.peer(2, "Inbound"));
    let _daemon = place.daemon(1, &rest);
    let token = place.state(1).join("token").to_str().expect("text").to_owned();
    let script = "
import sys
assert '\"node\":1' in sys.stdin.readline()
print('{\"type\":\"send\",\"id\":1,\"to\":2,\"purpose\":\"event\",\"text\":\"x\"}', flush=True)
assert '\"accepted\"' in sys.stdin.readline()
sys.exit(int(sys.argv[1]))
";
    for code in [0, 3] {
        let mut command = program();
        command.args([
            "ctl",
            "--control",
            &control.to_string(),
            "--token",
            &token,
            "attach",
            "--",
            "python3",
            "-c",
            script,
        ]);
        let status = command.arg(code.to_string()).status().expect("it runs");
        assert_eq!(status.code(), Some(i32::from(code != 0)));
    }
    let client = Client::connect(control, None).expect("it runs");
    wait_until("both were accepted", || {
        client.metrics().expect("metrics").contains("fate=\"accepted\",purpose=\"event\"} 2")
    });
}

#[test]
fn the_last_words_of_a_program_that_ends_at_once_are_heard() {
    let place = Place::new();
    let (one, two) = pair(&place);
    let receiver = Client::of(two);
    let never = AtomicBool::new(false);
    for number in 0..5 {
        let clients = [Client::of(one.clone()), Client::of(one.clone())];
        // It thinks for as long as it is looked whether it says something, and is gone with its words.
        let mut shell = Command::new("sh");
        let say = format!(
            "{{\"type\":\"send\",\"id\":1,\"to\":2,\"purpose\":\"event\",\"text\":\"word {number}\"}}"
        );
        shell.args(["-c", &format!("sleep 0.{}; echo '{say}'", 1 + number)]);
        assert!(attach(&mut shell, &clients[0], &clients[1], &never).expect("it ends").success());
        assert_eq!(super::place::receive(&receiver), format!("word {number}"));
    }
}
