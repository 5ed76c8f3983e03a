//! Real Meshtastic programs at the emulated radios of a running scenario.

use super::{
    field::{Plan, assert_replays},
    peer::{Process, free, program},
};
use cosmosmesh::units::SimTime;
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

/// The official client at two radios: nodes, a text with its acknowledgement, private payloads of 233 bytes each way, 234 refused.
/// Arguments: a TCP port, and a device or a second TCP port.
const CLIENT: &str = r#"
import sys, time
from pubsub import pub
import meshtastic
from meshtastic.tcp_interface import TCPInterface
from meshtastic.serial_interface import SerialInterface
from meshtastic.protobuf import mesh_pb2, portnums_pb2

heard, answers = [], []

def on_receive(packet, interface):
    heard.append((interface, packet))

pub.subscribe(on_receive, "meshtastic.receive")

def wait(what, condition, seconds=45):
    end = time.time() + seconds
    while time.time() < end:
        if condition():
            return
        time.sleep(0.05)
    sys.exit("gave up waiting for " + what)

one = TCPInterface("127.0.0.1", portNumber=int(sys.argv[1]))
other = SerialInterface(sys.argv[2]) if sys.argv[2].startswith("/") else TCPInterface("127.0.0.1", portNumber=int(sys.argv[2]))
names = sorted(node["user"]["longName"] for node in one.nodes.values())
print("nodes", " ".join(names))
there = other.myInfo.my_node_num

# By this name the client calls it for acknowledgements too.
def onAckNak(packet):
    answers.append(packet["decoded"]["routing"]["errorReason"])

one.sendText("is anybody there?", destinationId=there, wantAck=True, onResponse=onAckNak)
wait("the text", lambda: any(p["decoded"].get("text") == "is anybody there?" for i, p in heard if i is other))
wait("its acknowledgement", lambda: answers)
print("text", answers[0])

def exchange(sender, receiver, byte):
    payload = bytes([byte]) * 233
    sender.sendData(payload, destinationId=receiver.myInfo.my_node_num, portNum=portnums_pb2.PRIVATE_APP, wantAck=True)
    wait("a private payload", lambda: any(p["decoded"].get("payload") == payload for i, p in heard if i is receiver))

exchange(one, other, 1)
exchange(other, one, 2)
print("private 233 both ways")

try:
    one.sendData(bytes(234), destinationId=there, portNum=portnums_pb2.PRIVATE_APP)
    print("the client takes 234")
except Exception as error:
    print("client refuses 234:", error)

# Past the client's own check, so that the radio is asked.
packet = mesh_pb2.MeshPacket()
packet.decoded.payload = bytes(234)
packet.decoded.portnum = portnums_pb2.PRIVATE_APP
packet.id = one._generatePacketId()
refused = []
one._addResponseHandler(packet.id, lambda p: refused.append(p["decoded"]["routing"]["errorReason"]), ackPermitted=True)
one._sendPacket(packet, there, wantAck=True)
wait("the refusal", lambda: refused)
print("radio refuses 234:", refused[0])
one.close()
other.close()
"#;

/// Where a program finds the radio at a port, and what takes it there.
type Way = dyn Fn(u16, &Path) -> (String, Option<Process>);

fn exchange(second: &Way) {
    let folder = tempfile::tempdir().unwrap();
    let scenario = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/hil_lora.ron"));
    let (one, other) = (free().port(), free().port());
    let bindings = [
        format!("base/longfast=meshtastic-radio:127.0.0.1:{one}"),
        format!("hiker/longfast=meshtastic-radio:127.0.0.1:{other}"),
    ];
    let place = folder.path().to_owned();
    let (device, bridge) = (std::sync::Mutex::new(None), std::sync::Mutex::new(None));
    let log = folder.path().join("mesh.hil");
    let talk = |mailbox: std::sync::Arc<cosmosmesh::hil::Mailbox>| {
        let (at, process) = second(other, &place);
        *bridge.lock().unwrap() = process;
        let program = program("python3");
        *device.lock().unwrap() = Some(thread::spawn(move || {
            let output = Command::new(program).args(["-c", CLIENT, &one.to_string(), &at]).output().unwrap();
            mailbox.end();
            output
        }));
    };
    let plan =
        Plan { until: Some(SimTime::from_secs(240)), meanwhile: &talk, ..Plan::new(&scenario, &bindings) };
    let (live, report, _) = plan.run(&log);
    let output = device.into_inner().unwrap().unwrap().join().unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{complained}\n{report:#?}");
    for expected in [
        "nodes base hiker sensor-1 sensor-2",
        "text NONE",
        "private 233 both ways",
        "client refuses 234:",
        "radio refuses 234: TOO_LARGE",
    ] {
        assert!(said.contains(expected), "{expected}: {said}{complained}");
    }
    assert_replays(&log, &live);
}

#[test]
#[ignore = "needs the Meshtastic client for the first python3: docs/FROM_SIM_TO_RADIO.md"]
fn the_official_client_exchanges_texts_and_payloads_over_tcp() {
    exchange(&|port, _| (port.to_string(), None));
}

#[test]
#[ignore = "needs the Meshtastic client for the first python3, and socat: docs/FROM_SIM_TO_RADIO.md"]
fn the_official_client_exchanges_texts_and_payloads_over_a_serial_line() {
    exchange(&|port, folder| {
        let device = folder.join("ttyRadio");
        let line = format!("pty,link={},raw,echo=0", device.display());
        let socat = Command::new(program("socat"))
            .args([line, format!("tcp:127.0.0.1:{port}")])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while !device.exists() {
            thread::sleep(super::field::ms(20));
        }
        (device.display().to_string(), Some(Process(socat)))
    });
}
