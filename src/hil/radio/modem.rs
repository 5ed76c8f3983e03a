//! Real modems and radios behind a byte stream, over TCP or a serial line: a frame of the link is their payload.

use crate::hil::{
    clock,
    mailbox::Mailbox,
    wire::{Outgoing, Wire, WireError},
};
use cosmosmesh_node::transport::{
    kiss::{
        Command, KissDecoder,
        ax25::{Callsign, MAX_INFORMATION, parse_ui, put_ui},
        put_frame,
    },
    meshtastic::{BROADCAST, ClientSettings, MeshtasticClient, MeshtasticEvent},
};
use cosmosmesh_protocol::time::Instant;
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// How long a connection may take, and what is written.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a read waits before timers are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Between attempts at a modem that is not there.
const PAUSE: Duration = Duration::from_secs(1);

/// A frame that a modem heard, with RSSI in dBm and SNR in quarters of a dB where it says.
pub(in crate::hil) struct Heard {
    bytes: Vec<u8>,
    rssi_dbm: Option<i16>,
    snr_quarter_db: Option<i16>,
}

/// What is spoken with a modem.
pub(in crate::hil) trait Modem: Send {
    /// The line is there.
    fn connected(&mut self, now: Instant);
    /// The line is gone.
    fn lost(&mut self);
    /// Bytes of the modem, none when time has passed.
    fn take(&mut self, now: Instant, bytes: &[u8], heard: &mut Vec<Heard>);
    /// A frame to send; a stable word when it cannot be.
    fn put(&mut self, now: Instant, frame: &[u8]) -> Result<(), &'static str>;
    /// Bytes for the modem, all that there are.
    fn output(&mut self) -> Vec<u8>;
    /// What came and was no frame.
    fn refused(&self) -> u64;
}

/// A KISS modem; frames travel as information of AX.25 UI frames, which modems such as direwolf ask for.
pub(in crate::hil) struct KissModem {
    decoder: KissDecoder,
    own: Callsign,
    all: Callsign,
    output: Vec<u8>,
    foreign: u64,
}

impl KissModem {
    pub(in crate::hil) fn new() -> Self {
        // Of no amateur's: a licensed one gives theirs to the modem's own configuration.
        let call = |text: &str| text.parse().expect("a callsign");
        Self {
            decoder: KissDecoder::new(1024),
            own: call("N0CALL"),
            all: call("COSMOS"),
            output: Vec::new(),
            foreign: 0,
        }
    }
}

impl Modem for KissModem {
    fn connected(&mut self, _now: Instant) {
        self.decoder = KissDecoder::new(1024);
    }

    fn lost(&mut self) {
        self.output.clear();
    }

    fn take(&mut self, _now: Instant, mut bytes: &[u8], heard: &mut Vec<Heard>) {
        while let Some(frame) = self.decoder.take(&mut bytes) {
            match parse_ui(&frame.payload) {
                Ok(ui) if frame.command == Command::Data && ui.destination == self.all => {
                    heard.push(Heard { bytes: ui.information.to_vec(), rssi_dbm: None, snr_quarter_db: None })
                }
                _ => self.foreign += 1,
            }
        }
    }

    fn put(&mut self, _now: Instant, frame: &[u8]) -> Result<(), &'static str> {
        if frame.len() > MAX_INFORMATION {
            return Err("too_long");
        }
        let mut ui = Vec::new();
        put_ui(&mut ui, self.all, self.own, frame);
        put_frame(&mut self.output, 0, Command::Data, &ui);
        Ok(())
    }

    fn output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    fn refused(&self) -> u64 {
        self.foreign + self.decoder.refused().values().sum::<u64>()
    }
}

/// A Meshtastic radio; frames travel as private payloads to all.
pub(in crate::hil) struct MeshModem {
    client: MeshtasticClient,
    foreign: u64,
}

impl MeshModem {
    pub(in crate::hil) fn new() -> Self {
        // Nobody repeats: the link is the radio's own reach.
        let settings = ClientSettings { hop_limit: 0, ..ClientSettings::default() };
        Self { client: MeshtasticClient::new(settings, clock::unix_ns() as u32), foreign: 0 }
    }
}

impl Modem for MeshModem {
    fn connected(&mut self, now: Instant) {
        self.client.connected(now);
    }

    fn lost(&mut self) {
        self.client.disconnected();
    }

    fn take(&mut self, now: Instant, bytes: &[u8], heard: &mut Vec<Heard>) {
        self.client.handle_bytes(now, bytes);
        if self.client.poll_timeout().is_some_and(|due| due <= now) {
            self.client.handle_timeout(now);
        }
        while let Some(event) = self.client.poll_event() {
            if let MeshtasticEvent::Received { payload, rssi_dbm, snr_db, .. } = event {
                let rssi_dbm = i16::try_from(rssi_dbm).ok().filter(|rssi| *rssi != 0);
                let snr_quarter_db = Some((snr_db * 4.0).clamp(-512.0, 508.0) as i16);
                heard.push(Heard { bytes: payload, rssi_dbm, snr_quarter_db });
            }
        }
    }

    fn put(&mut self, now: Instant, frame: &[u8]) -> Result<(), &'static str> {
        self.client.send(now, BROADCAST, frame, false).map(|_| ()).map_err(|error| error.reason())
    }

    fn output(&mut self) -> Vec<u8> {
        self.client.poll_output().unwrap_or_default()
    }

    fn refused(&self) -> u64 {
        self.foreign + self.client.counts().values().sum::<u64>()
    }
}

/// Where a modem is.
#[derive(Clone, Debug)]
enum Line {
    Tcp(SocketAddr),
    /// A character device, set to raw bytes and its speed beforehand (`stty`).
    Device(PathBuf),
}

enum Stream {
    Tcp(TcpStream),
    Device(File),
}

impl Stream {
    fn open(line: &Line) -> io::Result<(Self, Self)> {
        match line {
            Line::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, PATIENCE)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(LOOK))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Ok((Self::Tcp(stream.try_clone()?), Self::Tcp(stream)))
            }
            Line::Device(path) => {
                let file = OpenOptions::new().read(true).write(true).open(path)?;
                Ok((Self::Device(file.try_clone()?), Self::Device(file)))
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Device(file) => file.read(buffer),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Device(file) => file.write_all(bytes),
        }
    }
}

struct Shared<M> {
    modem: M,
    writer: Option<Stream>,
}

impl<M: Modem> Shared<M> {
    /// Writes what the modem is to get; a line that does not take it is given up, and made anew by the reader.
    fn flush(&mut self) -> io::Result<()> {
        let bytes = self.modem.output();
        let Some(writer) = self.writer.as_mut() else { return Err(io::ErrorKind::NotConnected.into()) };
        let written = if bytes.is_empty() { Ok(()) } else { writer.write_all(&bytes) };
        if written.is_err() {
            self.writer = None;
        }
        written
    }
}

/// A modem behind a byte stream. A line that is gone is looked for again until it is there.
pub(in crate::hil) struct ModemWire<M> {
    shared: Arc<Mutex<Shared<M>>>,
    ending: Arc<AtomicBool>,
    began: std::time::Instant,
    shown: String,
}

impl<M: Modem + 'static> ModemWire<M> {
    /// Opens `HOST:PORT`, or the path of a device. It must be there at the beginning.
    pub(in crate::hil) fn open(
        address: &str,
        modem: M,
        interface: u32,
        mailbox: Arc<Mailbox>,
    ) -> Result<Self, WireError> {
        let line = match address.parse() {
            Ok(address) => Line::Tcp(address),
            Err(_) if address.starts_with('/') => Line::Device(PathBuf::from(address)),
            Err(_) => {
                let allowed = "a modem is at HOST:PORT, in figures, such as 127.0.0.1:8001, or at a device such as /dev/ttyUSB0";
                return Err(WireError::Address { found: address.to_owned(), allowed });
            }
        };
        let failed = |source| WireError::Io { what: format!("modem at {address}"), source };
        let first = Stream::open(&line).map_err(failed)?;
        let shared = Arc::new(Mutex::new(Shared { modem, writer: None }));
        let (ending, began) = (Arc::new(AtomicBool::new(false)), clock::now());
        let (theirs, ended) = (shared.clone(), ending.clone());
        thread::Builder::new()
            .name(format!("hil modem {address}"))
            .spawn(move || {
                let mut next = Some(first);
                while !ended.load(Ordering::Relaxed) {
                    match next.take().map_or_else(|| Stream::open(&line), Ok) {
                        Ok((reader, writer)) => {
                            serve(&theirs, reader, writer, began, &ended, (interface, &mailbox));
                            lock(&theirs).modem.lost();
                            lock(&theirs).writer = None;
                        }
                        Err(_) => thread::sleep(PAUSE),
                    }
                }
            })
            .map_err(failed)?;
        Ok(Self { shared, ending, began, shown: address.to_owned() })
    }
}

fn lock<M>(shared: &Mutex<Shared<M>>) -> MutexGuard<'_, Shared<M>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn since(began: std::time::Instant) -> Instant {
    Instant::ZERO.saturating_add(clock::now().saturating_duration_since(began))
}

/// Until the line is gone.
fn serve<M: Modem>(
    shared: &Mutex<Shared<M>>,
    mut reader: Stream,
    writer: Stream,
    began: std::time::Instant,
    ending: &AtomicBool,
    (interface, mailbox): (u32, &Mailbox),
) {
    {
        let mut shared = lock(shared);
        shared.writer = Some(writer);
        shared.modem.connected(since(began));
        if shared.flush().is_err() {
            return;
        }
    }
    let mut buffer = [0; 4096];
    while !ending.load(Ordering::Relaxed) {
        let length = match reader.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => length,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => 0,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        let mut heard = Vec::new();
        let mut shared = lock(shared);
        shared.modem.take(since(began), &buffer[..length], &mut heard);
        let gone = shared.flush().is_err();
        drop(shared);
        for frame in heard {
            mailbox.post(interface, frame.bytes, frame.rssi_dbm, frame.snr_quarter_db);
        }
        if gone {
            return;
        }
    }
}

impl<M: Modem + 'static> Wire for ModemWire<M> {
    fn send(&mut self, frame: &Outgoing<'_>) -> io::Result<()> {
        let mut shared = lock(&self.shared);
        let now = since(self.began);
        shared.modem.put(now, frame.bytes).map_err(io::Error::other)?;
        shared.flush()
    }

    fn place(&self) -> String {
        self.shown.clone()
    }

    fn refused(&self) -> u64 {
        lock(&self.shared).modem.refused()
    }
}

impl<M> Drop for ModemWire<M> {
    fn drop(&mut self) {
        // A reader of a device sleeps until something comes, and ends then or with the process.
        self.ending.store(true, Ordering::Relaxed);
    }
}
