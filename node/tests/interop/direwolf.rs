//! Two real packet-radio modems that hear each other without a sound card: each writes its sound into a pipe by ALSA's file plugin, and reads
//! the other's from its standard input, at the pace of a sound card and with noise.

use super::{Process, free, program, wait_for};
use cosmosmesh_node::{
    Client, Config, Daemon,
    transport::kiss::{
        Command as Kiss, KissDecoder, KissFrame,
        ax25::{Callsign, parse_ui, put_ui},
        put_frame,
    },
};
use cosmosmesh_protocol::{envelope::Purpose, id::NodeId};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{ChildStdin, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};
use tempfile::TempDir;

/// Samples a second, of sixteen bits.
const SAMPLES: usize = 22_050;
/// How often sound is passed on.
const TICK: Duration = Duration::from_millis(20);
/// How long an exchange at 1200 baud may take on a busy machine.
const ON_AIR: Duration = Duration::from_secs(180);

/// A modem, and where it speaks KISS.
struct Modem {
    process: Process,
    kiss: SocketAddr,
}

/// Two modems on one channel.
struct Air {
    modems: [Modem; 2],
    over: Arc<AtomicBool>,
    _folder: TempDir,
}

impl Drop for Air {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
    }
}

impl Air {
    /// `noise`: its largest sample; full scale is 32767.
    fn new(noise: u16) -> Self {
        let (folder, over) = (tempfile::tempdir().expect("a folder"), Arc::new(AtomicBool::new(false)));
        let mut modems = [1, 2].map(|number| Modem::start(folder.path(), number));
        let pipes = [1, 2].map(|number| folder.path().join(format!("air-{number}")));
        let [first, second] = &mut modems;
        let ears = [second.process.0.stdin.take(), first.process.0.stdin.take()];
        for ((pipe, ear), seed) in pipes.into_iter().zip(ears).zip(1..) {
            let (ear, over) = (ear.expect("piped"), over.clone());
            thread::spawn(move || carry_sound(&pipe, ear, noise, seed, &over));
        }
        modems.iter().for_each(|modem| wait_for(modem.kiss));
        Self { modems, over, _folder: folder }
    }
}

impl Modem {
    fn start(folder: &Path, number: u8) -> Self {
        let (kiss, pipe) = (free(), folder.join(format!("air-{number}")));
        assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
        let sound = folder.join(format!("alsa-{number}.conf"));
        let pipe = pipe.display();
        let text = format!(
            "pcm.silence {{ type null }}\npcm.air {{ type file slave.pcm \"silence\" file \"{pipe}\" format \"raw\" }}\n"
        );
        fs::write(&sound, text).expect("a file");
        let settings = folder.join(format!("direwolf-{number}.conf"));
        let text = format!(
            "ADEVICE stdin air\nARATE {SAMPLES}\nACHANNELS 1\nCHANNEL 0\nMYCALL NODE-{number}\nMODEM 1200\nTXDELAY 30\nTXTAIL 5\n\
             KISSPORT {}\nAGWPORT 0\n",
            kiss.port()
        );
        fs::write(&settings, text).expect("a file");
        let mut command = Command::new(program("direwolf"));
        command.arg("-c").arg(&settings).args(["-t", "0", "-q", "hd"]).env("ALSA_CONFIG_PATH", &sound);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir(folder);
        Self { process: Process::start(&mut command), kiss }
    }

    fn listen(&self) -> TcpStream {
        let stream = TcpStream::connect(self.kiss).expect("it listens");
        stream.set_read_timeout(Some(ON_AIR)).expect("a timeout");
        stream
    }
}

/// Passes on what one modem says to the other, as fast as sound goes: what it says, or silence, and noise on both.
fn carry_sound(mouth: &Path, mut ear: ChildStdin, noise: u16, seed: u64, over: &AtomicBool) {
    // Opened for writing too, so that opening does not wait for the modem to speak, and reading does not end when it has spoken.
    let mouth = File::options().read(true).write(true).open(mouth).expect("a pipe");
    let (mut rng, begun) = (ChaCha8Rng::seed_from_u64(seed), super::clock());
    let (sender, spoken) = std::sync::mpsc::channel::<Vec<u8>>();
    thread::spawn(move || {
        let (mut mouth, mut buffer) = (mouth, [0; 4096]);
        while let Ok(count @ 1..) = mouth.read(&mut buffer) {
            if sender.send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    let (mut waiting, mut passed) = (std::collections::VecDeque::new(), 0);
    while !over.load(Ordering::Acquire) {
        thread::sleep(TICK);
        waiting.extend(spoken.try_iter().flatten());
        let due = (begun.elapsed().as_micros() as usize * SAMPLES / 1_000_000).saturating_sub(passed);
        passed += due;
        let mut sound = Vec::with_capacity(2 * due);
        for _ in 0..due {
            let said = match (waiting.pop_front(), waiting.pop_front()) {
                (Some(low), Some(high)) => i16::from_le_bytes([low, high]),
                _ => 0,
            };
            let hiss = i32::from(rng.next_u32() as u16) * 2 * i32::from(noise) / 65_536 - i32::from(noise);
            let heard = (i32::from(said) + hiss).clamp(-32_768, 32_767) as i16;
            sound.extend(heard.to_le_bytes());
        }
        if ear.write_all(&sound).is_err() {
            return;
        }
    }
}

fn call(text: &str) -> Callsign {
    text.parse().expect("a callsign")
}

fn say(modem: &mut TcpStream, from: &str, to: &str, information: &[u8]) {
    let (mut frame, mut bytes) = (Vec::new(), Vec::new());
    put_ui(&mut frame, call(to), call(from), information);
    put_frame(&mut bytes, 0, Kiss::Data, &frame);
    modem.write_all(&bytes).expect("the modem takes it");
}

fn hear(modem: &mut TcpStream, decoder: &mut KissDecoder) -> KissFrame {
    let mut buffer = [0; 1];
    loop {
        assert_eq!(modem.read(&mut buffer).expect("a frame in time"), 1, "the modem is still there");
        if let Some(frame) = decoder.take(&mut buffer.as_slice()) {
            return frame;
        }
    }
}

/// Frames of many lengths up to 256 bytes, all byte values among them, both ways.
#[test]
#[ignore = "needs direwolf 1.6 or later"]
fn frames_up_to_256_bytes_cross_two_modems() {
    let air = Air::new(30);
    let [mut one, mut other] = [air.modems[0].listen(), air.modems[1].listen()];
    let (mut ear_one, mut ear_other) = (KissDecoder::new(400), KissDecoder::new(400));
    for length in [1, 17, 128, 256] {
        let information: Vec<u8> = (0..length).map(|at| (at as u8).wrapping_mul(0x6B)).collect();
        say(&mut one, "NODE-1", "NODE-2", &information);
        let frame = hear(&mut other, &mut ear_other);
        let read = parse_ui(&frame.payload).expect("a frame");
        assert_eq!((frame.port, read.source, read.information), (0, call("NODE-1"), &*information));
        say(&mut other, "NODE-2", "NODE-1", &information);
        let frame = hear(&mut one, &mut ear_one);
        assert_eq!(parse_ui(&frame.payload).expect("a frame").information, information);
    }
    assert!(ear_one.refused().is_empty() && ear_other.refused().is_empty());
}

/// Messages of two daemons over two modems at 1200 baud, with noise on the channel: signed, acknowledged, once and in order.
#[test]
#[ignore = "needs direwolf 1.6 or later"]
fn two_daemons_exchange_messages_over_two_modems_with_noise() {
    let (air, folder) = (Air::new(2000), tempfile::tempdir().expect("a folder"));
    let did = |node: u64| {
        let path = folder.path().join(format!("state-{node}/key"));
        cosmosmesh_node::key::did(&cosmosmesh_node::key::read_or_create(&path).expect("a key")).to_string()
    };
    let daemon = |node: u64, other: u64| {
        let (at, did) = (air.modems[node as usize - 1].kiss, did(other));
        let text = format!(
            "(node: {node}, state: \"state-{node}\",
              radios: [(name: \"vhf\", at: Tcp(\"{at}\"), speaks: Ax25(call: \"NODE-{node}\"), rate_bps: 1200)],
              peers: [(node: {other}, did: \"{did}\", via: Radio(radio: \"vhf\", address: \"NODE-{other}\"))],
              limits: (retransmission_ms: 15000, acknowledgement_ms: 500))"
        );
        let config =
            Config::parse("test.ron", &text, folder.path()).unwrap_or_else(|error| panic!("{error}"));
        Client::of(Arc::new(Daemon::start(config).unwrap_or_else(|error| panic!("{error}"))))
    };
    let (one, two) = (daemon(1, 2), daemon(2, 1));
    let send = |from: &Client, to, text: &str| {
        from.send(NodeId(to), Purpose::Telemetry, Duration::from_secs(3600), text.as_bytes())
            .expect("accepted");
    };
    let receive = |at: &Client| {
        let message = at.receive(ON_AIR).expect("an answer").expect("a message over the air");
        at.take(&message).expect("taken");
        String::from_utf8(message.payload).expect("text")
    };
    let long = format!("an image {}", "x".repeat(500));
    send(&one, 2, "dust storm");
    send(&one, 2, &long);
    assert_eq!(receive(&two), "dust storm");
    assert_eq!(receive(&two), long);
    send(&two, 1, "understood");
    assert_eq!(receive(&one), "understood");
    assert!(two.receive(Duration::from_millis(100)).expect("an answer").is_none(), "nothing comes twice");
}
