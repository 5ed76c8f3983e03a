//! HTTP on loopback, and the commands that use it.

use super::place::{LIFETIME, PATIENCE, Place, Process, QUICK, connect, free, program, wait_until};
use cosmosmesh_protocol::{envelope::Purpose, id::NodeId};
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Output,
};

fn get(address: SocketAddr, target: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("written");
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
    connect(two);
    let client = connect(one);
    wait_until("the contact begins", || client.peers().expect("peers")[0].links_up == 1);

    assert_eq!(get(one, "/healthz"), ("HTTP/1.1 200 OK".to_owned(), "ok\n".to_owned()));
    assert_eq!(get(one, "/readyz"), ("HTTP/1.1 200 OK".to_owned(), "ready\n".to_owned()));
    assert_eq!(get(one, "/nothing").0, "HTTP/1.1 404 Not Found");
    assert_eq!(get(one, "/v1/send").0, "HTTP/1.1 405 Method Not Allowed");
    assert!(get(one, "/v1/inbox?mots=1").1.contains("unknown_field"));
    let (status, metrics) = get(one, "/metrics");
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
    let receiver = connect(two);
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
