//! Programs as applications of simulated assets: the same lines as beside a daemon, and the session replays.

use super::field::{self, Plan};
use cosmosmesh::{
    engine::{MessageKind, RecordKind},
    hil::{Attachment, Binding, Session},
    scenario::Scenario,
    sim::BindError,
    units::AssetIndex,
};
use std::{fs, path::Path};

const HABITAT: AssetIndex = AssetIndex(0);
const ROVER: AssetIndex = AssetIndex(1);

fn example(name: &str) -> String {
    format!("'{}/node/examples/adapters/{name}'", env!("CARGO_MANIFEST_DIR"))
}

/// Writes a program beside the scenario, and gives the attachment that runs it there.
fn python(folder: &Path, asset: &str, script: &str) -> String {
    let path = folder.join(format!("{asset}.py"));
    fs::write(&path, script).unwrap();
    format!("{asset}=cd '{}' && exec python3 '{}'", folder.display(), path.display())
}

#[test]
fn the_reference_rover_and_habitat_work_over_a_simulated_link_and_their_session_replays() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = field::scenario(folder.path(), "8 s", 0.05, "");
    let attachments = [
        format!("rover=exec python3 {} 1", example("rover.py")),
        format!("habitat=exec python3 {} 2 500", example("habitat.py")),
    ];
    let log = folder.path().join("session.hil");
    let plan = Plan { attachments: &attachments, ..Plan::new(&scenario, &[]) };
    let (live, report, _) = plan.run(&log);
    let delivered = |to: AssetIndex, wanted: MessageKind| {
        let is = |kind: &RecordKind| matches!(kind, RecordKind::Delivered { kind, .. } if *kind == wanted);
        live.records.iter().filter(|record| record.asset == to && is(&record.kind)).count()
    };
    // Five drives of 100 m and a charge, each answered by two readings, after the two of the beginning.
    assert_eq!(delivered(ROVER, MessageKind::Command), 6, "{report:#?}");
    assert_eq!(delivered(HABITAT, MessageKind::Telemetry), 14);
    assert_eq!((report.interfaces[0].frames_in, report.interfaces[1].frames_in), (14, 6));
    // What was accepted, and what came.
    assert_eq!((report.interfaces[0].frames_out, report.interfaces[1].frames_out), (14 + 6, 6 + 14));
    field::assert_replays(&log, &live);
}

#[test]
fn a_program_is_told_what_its_node_says_beside_the_scenarios_own_messages() {
    let folder = tempfile::tempdir().unwrap();
    let traffic = r#"(name: "own", kind: Event, from: ["rover"], to: ["habitat"], size_bytes: 20, arrivals: Periodic(interval: "50 ms"), end: "3 s")"#;
    let scenario = field::scenario(folder.path(), "4 s", 0.0, traffic);
    let rover = "
import json, sys, time
def hear():
    return json.loads(sys.stdin.readline())
def expect(**wanted):
    told = hear()
    assert all(told[key] == value for key, value in wanted.items()), told
    return told
def say(text):
    print(text, flush=True)
def send(id, to, **rest):
    say(json.dumps({'type': 'send', 'id': id, 'to': to, 'purpose': 'event', **rest}))
expect(type='hello', version=1, node=2)
say('garbage')
expect(type='refused', id=None, reason='line')
send('nowhere', 77, text='x')
expect(type='refused', id='nowhere', reason='no_destination')
send('large', 1, text='x' * 70000)
expect(type='refused', id='large', reason='payload_too_large')
say(json.dumps({'type': 'take', 'number': 9}))
expect(type='refused', reason='take')
time.sleep(0.3)
numbers = []
for number in range(20):
    send(number, 1, text='mine %d' % number)
    numbers.append(expect(type='accepted', id=number)['sequence'])
# The scenario sends in the same stream.
assert numbers == sorted(set(numbers)) and numbers[-1] > 20, numbers
open('rover.ok', 'w').write('ok')
expect(type='stop')
";
    let habitat = "
import json, sys
mine, last = 0, 0
for line in sys.stdin:
    told = json.loads(line)
    if told['type'] == 'message':
        assert told['source'] == 'ipn:2.0' and told['purpose'] == 'event', told
        assert told['number'] == last + 1, told
        last = told['number']
        mine += bytes.fromhex(told['payload_hex']).startswith(b'mine ')
        if mine == 20:
            open('habitat.ok', 'w').write('ok')
        # Sixty-four without a word, then all at once.
        if last % 50 == 0:
            print(json.dumps({'type': 'take', 'number': last}), flush=True)
";
    let attachments = [python(folder.path(), "rover", rover), python(folder.path(), "habitat", habitat)];
    let log = folder.path().join("session.hil");
    let plan = Plan { attachments: &attachments, ..Plan::new(&scenario, &[]) };
    let (live, ..) = plan.run(&log);
    for name in ["rover.ok", "habitat.ok"] {
        assert!(folder.path().join(name).exists(), "{name}: its last assertion did not hold");
    }
    field::assert_replays(&log, &live);
}

#[test]
fn programs_beside_simulated_assets_write_read_and_watch_shared_state_and_read_their_nodes_logs() {
    let folder = tempfile::tempdir().unwrap();
    let path = field::scenario(folder.path(), "6 s", 0.0, "");
    let modules = r#"
    shared_state: (members: ["habitat", "rover"], writes: Periodic(interval: "1 h"), push_interval: "100 ms"),
    trust: (authority: "habitat", interval: "1 s"),
    traffic: ["#;
    let text = fs::read_to_string(&path).unwrap().replace("\n    traffic: [", modules);
    fs::write(&path, text).unwrap();
    let lines = "
import json, sys
def hear():
    return json.loads(sys.stdin.readline())
def expect(**wanted):
    told = hear()
    assert all(told[key] == value for key, value in wanted.items()), told
    return told
def say(**said):
    print(json.dumps(said), flush=True)
def done(name):
    open(name + '.ok', 'w').write('ok')
    expect(type='stop')
";
    let rover = "
expect(type='hello', node=2)
say(type='write', id=1, write='put', map='site', key='airlock', value='open')
sequence = expect(type='written', id=1)['sequence']
say(type='write', id=2, write='count', counter='trips', by=-3)
assert expect(type='written', id=2)['sequence'] == sequence + 1
say(type='write', id='long', write='register', register='x' * 65, value='')
expect(type='refused', id='long', reason='sync_too_long')
say(type='read', id=3, kind='map', name='site')
item, = expect(type='state', id=3)['items']
assert (item['key'], item['value'], item['writer']) == ('airlock', 'open', 2), item
say(type='read', id=4, name='trips')
item, = expect(type='state', id=4)['items']
assert (item['kind'], item['count']) == ('counter', -3), item
say(type='read', id=5, name='nothing')
expect(type='state', id=5, items=[])
say(type='entries', id=6)
size = expect(type='entries', id=6, entries=[])['size']
say(type='entries', id=7, first=0, most=1)
entry, = expect(type='entries', id=7)['entries']
assert size > 0 and entry['index'] == 0 and entry['words'].startswith('started'), entry
say(type='entries', id=8, first=1000000, most=9)
expect(type='entries', id=8, entries=[])
done('rover')
";
    let habitat = "
expect(type='hello', node=1)
say(type='watch')
while True:
    item = expect(type='changed')['item']
    if (item['kind'], item['name']) == ('map', 'site'):
        break
assert (item['key'], item['value'], item['writer']) == ('airlock', 'open', 2), item
done('habitat')
";
    let relay = "
expect(type='hello', node=3)
say(type='write', id=1, write='add', set='crew', member='me')
expect(type='refused', id=1, reason='not_configured')
say(type='read', id=2)
expect(type='refused', id=2, reason='not_configured')
done('relay')
";
    let programs = [("rover", rover), ("habitat", habitat), ("relay", relay)];
    let attachments =
        programs.map(|(asset, script)| python(folder.path(), asset, &format!("{lines}{script}")));
    let log = folder.path().join("session.hil");
    let plan = Plan { attachments: &attachments, ..Plan::new(&path, &[]) };
    let (live, ..) = plan.run(&log);
    for (name, _) in programs {
        assert!(folder.path().join(format!("{name}.ok")).exists(), "{name}: an assertion did not hold");
    }
    field::assert_replays(&log, &live);
}

#[test]
fn an_application_is_beside_a_simulated_node_that_has_streams() {
    let folder = tempfile::tempdir().unwrap();
    let path = field::scenario(folder.path(), "1 s", 0.0, "");
    let scenario = Scenario::load(&path).unwrap();
    let attachment: Attachment = "rover=true".parse().unwrap();
    let binding: Binding = "rover/uhf=udp:127.0.0.1:9".parse().unwrap();
    let mut session = Session::new(&[binding], &scenario).unwrap();
    session.attach(&attachment, &scenario).unwrap();
    let refused = Err(BindError::Application { asset: "rover".to_owned() });
    assert_eq!(session.reality.check(&scenario), refused);
    let nobody: Attachment = "nobody=true".parse().unwrap();
    assert!(session.attach(&nobody, &scenario).is_err());
    let mut session = Session::new(&[], &scenario).unwrap();
    session.attach(&attachment, &scenario).unwrap();
    assert_eq!(session.reality.check(&scenario), Ok(()));
    let text = fs::read_to_string(&path)
        .unwrap()
        .replace("protocol: (", "protocol: (service: Datagrams(size_only: false),");
    fs::write(&path, text).unwrap();
    let scenario = Scenario::load(&path).unwrap();
    assert_eq!(session.reality.check(&scenario), refused);
}
