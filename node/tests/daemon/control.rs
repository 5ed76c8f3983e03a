//! HTTP on loopback, and the commands that use it.

use super::place::{LIFETIME, PATIENCE, Place, Process, QUICK, clock, connect, free, program, wait_until};
use cosmosmesh_node::{Client, ClientError, Daemon, Token};
use cosmosmesh_protocol::{envelope::Purpose, id::NodeId};
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Output,
};

fn get(address: SocketAddr, target: &str, token: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let shown = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {address}\r\n{shown}Connection: close\r\n\r\n")
        .expect("written");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    (head.lines().next().expect("a status").to_owned(), body.to_owned())
}

fn ctl(config: &Path, words: &[&str]) -> Output {
    program().args(["ctl", "--json", "--config"]).arg(config).args(words).output().expect("it runs")
}

fn json(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn two_daemons_are_seen_and_used_over_http_and_by_ctl() {
    let place = Place::new();
    let [one, two, tcpcl] = [free(), free(), free()];
    let via = format!("Tcpcl(\"{tcpcl}\")");
    let first = place.file(1, &format!("control: \"{one}\", peers: [{}], {QUICK}", place.peer(2, &via)));
    let second = place.file(
        2,
        &format!(
            "control: \"{two}\", listen: (tcpcl: \"{tcpcl}\"), peers: [{}], {QUICK}",
            place.peer(1, "Inbound")
        ),
    );
    let _processes = [Process::start(&first), Process::start(&second)];
    connect(&second);
    let client = connect(&first);
    wait_until("the contact begins", || client.peers().expect("peers")[0].links_up == 1);

    let token = std::fs::read_to_string(place.state(1).join("token")).expect("a token");
    let token = token.trim_end();
    assert_eq!(get(one, "/healthz", ""), ("HTTP/1.1 200 OK".to_owned(), "ok\n".to_owned()));
    assert_eq!(get(one, "/readyz", ""), ("HTTP/1.1 200 OK".to_owned(), "ready\n".to_owned()));
    assert_eq!(get(one, "/nothing", token).0, "HTTP/1.1 404 Not Found");
    assert_eq!(get(one, "/v1/send", token).0, "HTTP/1.1 405 Method Not Allowed");
    assert!(get(one, "/v1/inbox?mots=1", token).1.contains("unknown_field"));
    let (status, metrics) = get(one, "/metrics", "");
    assert!(status.ends_with("200 OK") && metrics.ends_with("# EOF\n"), "{status}");

    let status = json(&ctl(&first, &["status"]));
    assert_eq!((&status["node"], &status["ready"]), (&1.into(), &true.into()));
    assert_eq!(status["did"], place.did(1));
    let contacts = json(&ctl(&second, &["contacts"]));
    assert_eq!((&contacts[0]["node"], &contacts[0]["via"]), (&1.into(), &"inbound".into()));
    assert_eq!(json(&ctl(&first, &["send", "2", "dust storm"]))["sequence"], 1);
    let message = json(&ctl(&second, &["receive", "--wait-s", "30"]));
    assert_eq!(message["payload_hex"], "647573742073746f726d");
    assert_eq!((&message["source"], &message["purpose"]), (&"ipn:1.0".into(), &"telemetry".into()));
    assert_eq!(ctl(&second, &["receive"]).status.code(), Some(1), "it was taken");
    let refused = ctl(&first, &["send", "77", "nobody"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("node 77 is not a member"), "{refused:?}");
    let many: Vec<Vec<u8>> = (0..300).map(|number: u32| number.to_be_bytes().to_vec()).collect();
    let payloads: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
    let sent = client.send_many(NodeId(2), Purpose::Event, LIFETIME, &payloads).expect("sent");
    assert!(sent.len() == 300 && sent.iter().all(Result::is_ok), "{sent:?}");
    let receiver = connect(&second);
    for payload in &many {
        assert_eq!(&receiver.receive(PATIENCE).expect("an answer").expect("a message").payload, payload);
    }
    assert!(client.send_many(NodeId(2), Purpose::Event, LIFETIME, &[b""]).is_err());
    assert!(ctl(&first, &["shutdown"]).status.success());
    wait_until("it ends", || TcpStream::connect(one).is_err());
    assert_eq!(ctl(&first, &["status"]).status.code(), Some(2));
}

#[test]
fn the_identity_is_made_once_and_printed() {
    let place = Place::new();
    let file = place.file(1, QUICK);
    let identity = || {
        let output = program().args(["node", "--identity", "--config"]).arg(&file).output().expect("it runs");
        String::from_utf8(output.stdout).expect("text")
    };
    let first = identity();
    assert!(first.starts_with("did:key:z6Mk"), "{first}");
    assert_eq!(identity(), first);
    assert_eq!(first.trim(), place.did(1));
}

#[test]
fn nothing_but_health_and_metrics_is_told_to_who_does_not_show_the_token() {
    let (place, control) = (Place::new(), free());
    let file = place.file(1, &format!("control: \"{control}\", {QUICK}"));
    let _process = Process::start(&file);
    connect(&file);
    for path in ["/v1/status", "/v1/peers", "/v1/inbox", "/nothing"] {
        let (status, why) = get(control, path, "");
        assert_eq!(status, "HTTP/1.1 401 Unauthorized", "{path}");
        assert!(why.contains("no_token"), "{why}");
    }
    assert!(get(control, "/v1/status", &"0".repeat(64)).1.contains("wrong_token"));
    let without = |words: &[&str]| {
        let control = control.to_string();
        program().args(["ctl", "--control", &control]).args(words).output().expect("it runs")
    };
    assert!(without(&["metrics"]).status.success());
    let refused = without(&["shutdown"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("token"), "{refused:?}");
    let token = place.state(1).join("token");
    assert!(without(&["--token", token.to_str().expect("text"), "status"]).status.success());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&token).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

/// Sends `head` and gives the status of the answer; 0 when the connection ends without one.
fn status(address: SocketAddr, head: &str) -> u16 {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // It may be ended while it is written.
    let _ = stream.write_all(head.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer);
    text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

#[test]
fn lies_about_lengths_and_garbage_are_refused_and_who_dawdles_holds_up_nobody() {
    let (place, control) = (Place::new(), free());
    let rest = format!("control: \"{control}\", limits: (bundle_bytes: 4096)");
    let file = place.file(1, &rest);
    let _process = Process::start(&file);
    let client = connect(&file);
    let token = std::fs::read_to_string(place.state(1).join("token")).expect("a token");
    let token = token.trim_end();
    let post = |line: &str, body: &str| {
        let shown = format!("Authorization: Bearer {token}\r\nConnection: close\r\n");
        status(
            control,
            &format!("POST /v1/send?to=9 HTTP/1.1\r\nHost: localhost\r\n{shown}{line}\r\n\r\n{body}"),
        )
    };
    assert_eq!(post("Content-Length: 5", "hello"), 400, "node 9 is nobody");
    assert_eq!(post("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"), 400, "the same");
    assert_eq!(post("Content-Length: 4097", &"x".repeat(4097)), 413);
    assert_eq!(
        post("Transfer-Encoding: chunked", &format!("1001\r\n{}\r\n0\r\n\r\n", "x".repeat(4097))),
        413
    );
    assert_eq!(post("Content-Length: -1", ""), 400);
    assert_eq!(post("Content-Length: 1\r\nContent-Length: 2", "xx"), 400);
    assert_eq!(post("Content-Length: 5\r\nOrigin: http://evil.example", "hello"), 403);
    assert_eq!(status(control, "\u{0}\u{1}garbage\r\n\r\n"), 400);
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "y".repeat(100_000));
    assert!([0, 431].contains(&status(control, &long)));
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(60));
    assert_eq!(status(control, &many), 431);
    // Heads that never end, more than there may be connections: the oldest give way, and neither health nor who has shown the token waits.
    let half: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(control).expect("somebody listens");
            stream.write_all(b"GET /healthz HT").expect("written");
            stream
        })
        .collect();
    assert!(client.health().expect("an answer").ready);
    let more: Vec<TcpStream> = (0..100).filter_map(|_| TcpStream::connect(control).ok()).collect();
    let health = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    for _ in 0..20 {
        assert_eq!(status(control, health), 200);
    }
    assert!(client.health().expect("an answer").ready);
    let begun = clock();
    let last = more.last().expect("some").try_clone().expect("a copy");
    last.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    assert!(matches!((&last).read(&mut [0]), Ok(0) | Err(_)), "who never asks anything is not listened to");
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
    drop((half, more));
}

#[test]
fn who_waits_for_messages_in_every_place_does_not_hold_up_health() {
    let (place, control) = (Place::new(), free());
    let file = place.file(1, &format!("control: \"{control}\", {QUICK}"));
    let _process = Process::start(&file);
    let client = connect(&file);
    let token = std::fs::read_to_string(place.state(1).join("token")).expect("a token");
    let wait = || {
        let mut stream = TcpStream::connect(control).expect("somebody listens");
        let token = token.trim_end();
        write!(
            stream,
            "GET /v1/inbox?wait_ms=30000 HTTP/1.1\r\nHost: {control}\r\nAuthorization: Bearer {token}\r\n\r\n"
        )
        .expect("written");
        stream
    };
    let mut waiting: Vec<TcpStream> = (0..64).map(|_| wait()).collect();
    let busy = |client: &Client| {
        let found = client.inbox(None, 1, std::time::Duration::from_millis(1));
        found.is_err_and(|error| error.to_string().contains("too many requests wait"))
    };
    wait_until("all places are taken", || {
        let busy = busy(&client);
        // Who asks takes a place for a moment, and one of those that wait may have found none.
        if !busy {
            waiting.push(wait());
        }
        busy
    });
    assert_eq!(get(control, "/healthz", "").0, "HTTP/1.1 200 OK");
    assert!(client.health().expect("an answer").ready);
    assert!(get(control, "/metrics", "").1.ends_with("# EOF\n"));
    waiting.clear();
    let begun = clock();
    wait_until("who is gone leaves the place to others", || !busy(&client));
    assert!(begun.elapsed() < std::time::Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[test]
fn the_token_is_another_at_each_start_and_is_shown_to_nobody_who_does_not_know_it() {
    let (place, control) = (Place::new(), free());
    let config = || place.config(1, &format!("control: \"{control}\", {QUICK}"));
    let daemon = Daemon::start(config()).expect("it starts");
    let token = Token::read(&place.state(1).join("token")).expect("a token");
    assert!(Client::connect(control, Some(&token)).expect("its own").health().is_ok());
    drop(daemon);
    // Somebody else has the address now, hears all, and answers as a daemon would that knows no token.
    let listener = TcpListener::bind(control).expect("it is free");
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes).expect("a request");
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nok\n";
        stream.write_all(answer.as_bytes()).expect("written");
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    });
    let refused = Client::connect_to(&config()).map(drop).expect_err("it knows nothing");
    assert!(matches!(refused, ClientError::Stranger { .. }), "{refused}");
    let heard = heard.join().expect("no panic");
    let text = std::fs::read_to_string(place.state(1).join("token")).expect("a token");
    assert!(heard.starts_with("GET /healthz?ask=") && !heard.contains(text.trim_end()), "{heard}");
    assert!(!heard.to_lowercase().contains("authorization"), "{heard}");
    let daemon = Daemon::start(config()).expect("it starts");
    let old = Client::connect(control, Some(&token)).map(drop).expect_err("of the start before");
    assert!(matches!(old, ClientError::Stranger { .. }), "{old}");
    assert!(Client::connect_to(&config()).is_ok());
    drop(daemon);
}
