//! Two packet-radio modems that hear each other without a sound card: each writes its sound into a pipe by ALSA's file plugin, and reads the
//! other's from its standard input, at the pace of a sound card and with noise. Tests of other packages include this file.

use super::peer::{Process, clock, connect, free, program};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::SocketAddr,
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
pub(crate) const ON_AIR: Duration = Duration::from_secs(180);

/// A modem, and where it speaks KISS.
pub(crate) struct Modem {
    process: Process,
    pub(crate) kiss: SocketAddr,
}

/// Two modems on one channel.
pub(crate) struct Air {
    pub(crate) modems: [Modem; 2],
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
    pub(crate) fn new(noise: u16) -> Self {
        let (folder, over) = (tempfile::tempdir().expect("a folder"), Arc::new(AtomicBool::new(false)));
        let mut modems = [1, 2].map(|number| Modem::start(folder.path(), number));
        let pipes = [1, 2].map(|number| folder.path().join(format!("air-{number}")));
        let [first, second] = &mut modems;
        let ears = [second.process.0.stdin.take(), first.process.0.stdin.take()];
        for ((pipe, ear), seed) in pipes.into_iter().zip(ears).zip(1..) {
            let (ear, over) = (ear.expect("piped"), over.clone());
            thread::spawn(move || carry_sound(&pipe, ear, noise, seed, &over));
        }
        modems.iter().for_each(|modem| drop(connect(modem.kiss.port())));
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
}

/// Passes on what one modem says to the other, as fast as sound goes: what it says, or silence, and noise on both.
fn carry_sound(mouth: &Path, mut ear: ChildStdin, noise: u16, seed: u64, over: &AtomicBool) {
    // Opened for writing too, so that opening does not wait for the modem to speak, and reading does not end when it has spoken.
    let mouth = File::options().read(true).write(true).open(mouth).expect("a pipe");
    let (mut rng, begun) = (ChaCha8Rng::seed_from_u64(seed), clock());
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
