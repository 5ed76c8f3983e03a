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
    wire::{Wire as Line, WireAt},
};
use cosmosmesh_protocol::time::Instant;
use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

/// How often timers are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Between attempts at a modem that is not there.
const PAUSE: Duration = Duration::from_secs(1);
/// Pieces, of a frame or a few, that may wait for a line to take them.
const WRITING: usize = 64;

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

/// A KISS modem; frames travel as information of AX.25 UI frames, which modems such as direwolf ask for, and daemons use.
pub(in crate::hil) struct KissModem {
    decoder: KissDecoder,
    own: Callsign,
    to: Callsign,
    /// Whether only frames from `to` to `own` are taken.
    paired: bool,
    output: Vec<u8>,
    foreign: u64,
}

impl KissModem {
    /// With `calls` being `OWN>PEER`: what goes from the one to the other. Without, every UI frame is taken, and ours go from N0CALL to QST, which is all.
    pub(in crate::hil) fn new(calls: Option<&str>) -> Result<Self, WireError> {
        let call = |text: &str| {
            let allowed = "callsigns are OWN>PEER, as in kiss:127.0.0.1:8001#NODE-1>NODE-2";
            text.parse::<Callsign>().map_err(|_| WireError::Address { found: text.to_owned(), allowed })
        };
        let (own, to) = calls.map_or(("N0CALL", "QST"), |calls| calls.split_once('>').unwrap_or((calls, "")));
        let (own, to, paired) = (call(own)?, call(to)?, calls.is_some());
        Ok(Self { decoder: decoder(), own, to, paired, output: Vec::new(), foreign: 0 })
    }
}

/// Longer than any frame that we send, and than the headers of those who repeat.
const fn decoder() -> KissDecoder {
    KissDecoder::new(1024)
}

impl Modem for KissModem {
    fn connected(&mut self, _now: Instant) {
        self.decoder = decoder();
    }

    fn lost(&mut self) {
        self.output.clear();
    }

    fn take(&mut self, _now: Instant, mut bytes: &[u8], heard: &mut Vec<Heard>) {
        while let Some(frame) = self.decoder.take(&mut bytes) {
            let ours = |to, from| !self.paired || (to, from) == (self.own, self.to);
            match parse_ui(&frame.payload) {
                Ok(ui) if frame.command == Command::Data && ours(ui.destination, ui.source) => {
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
        put_ui(&mut ui, self.to, self.own, frame);
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
}

impl MeshModem {
    pub(in crate::hil) fn new() -> Self {
        // Nobody repeats: the link is the radio's own reach.
        let settings = ClientSettings { hop_limit: 0, ..ClientSettings::default() };
        Self { client: MeshtasticClient::new(settings, clock::unix_ns() as u32) }
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
                // A field that the radio does not give is zero.
                let snr_quarter_db = Some((snr_db * 4.0).clamp(-512.0, 508.0) as i16).filter(|snr| *snr != 0);
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
        let unread = self.client.decoder().refused().values().sum::<u64>();
        unread + self.client.counts().values().sum::<u64>()
    }
}

/// An open line, and what its writer has yet to write.
struct Way {
    line: Line,
    writer: SyncSender<Vec<u8>>,
}

struct Shared<M> {
    modem: M,
    way: Option<Way>,
}

impl<M: Modem> Shared<M> {
    /// Hands what the modem is to get to the line's writer. What a slow line has no room for is lost, as on any medium.
    fn flush(&mut self) -> io::Result<()> {
        let bytes = self.modem.output();
        let Some(way) = &self.way else { return Err(io::ErrorKind::NotConnected.into()) };
        if bytes.is_empty() {
            return Ok(());
        }
        way.writer.try_send(bytes).map_err(|error| match error {
            TrySendError::Full(_) => io::ErrorKind::WouldBlock.into(),
            TrySendError::Disconnected(_) => io::ErrorKind::BrokenPipe.into(),
        })
    }
}

/// A thread of the line's own, since a modem may take its time: simulated time does not wait for it. It ends with its channel, or with the line.
fn writer(line: &Line) -> io::Result<SyncSender<Vec<u8>>> {
    let (writer, pieces) = sync_channel::<Vec<u8>>(WRITING);
    let line = line.clone();
    thread::Builder::new().name("hil write".to_owned()).spawn(move || {
        for piece in pieces {
            if line.write_all(&piece).is_err() {
                // The reader makes it anew.
                return line.shut_down();
            }
        }
    })?;
    Ok(writer)
}

/// What the threads of a modem share.
struct Parts<M> {
    shared: Mutex<Shared<M>>,
    ending: AtomicBool,
    began: std::time::Instant,
    interface: u32,
    mailbox: Arc<Mailbox>,
    /// How often the line was lost.
    losses: AtomicU64,
}

impl<M: Modem> Parts<M> {
    fn lock(&self) -> MutexGuard<'_, Shared<M>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Instant {
        Instant::ZERO.saturating_add(clock::now().saturating_duration_since(self.began))
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// Bytes came, or none and time has passed.
    fn take(&self, bytes: &[u8]) -> io::Result<()> {
        let mut heard = Vec::new();
        let mut shared = self.lock();
        if shared.way.is_none() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        shared.modem.take(self.now(), bytes, &mut heard);
        let flushed = shared.flush();
        drop(shared);
        for frame in heard {
            self.mailbox.post(self.interface, frame.bytes, frame.rssi_dbm, frame.snr_quarter_db);
        }
        flushed
    }

    /// Until the line is gone.
    fn serve(&self, line: Line) {
        let Ok(writer) = writer(&line) else { return };
        {
            let mut shared = self.lock();
            shared.way = Some(Way { line: line.clone(), writer });
            shared.modem.connected(self.now());
            // A new writer has room.
            let _ = shared.flush();
        }
        let mut buffer = [0; 4096];
        while !self.is_ending() {
            let Ok(length @ 1..) = line.read(&mut buffer) else { break };
            // What a slow line has no room for is lost; the line is not.
            let full = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
            if self.take(&buffer[..length]).is_err_and(|error| !full(&error)) {
                break;
            }
        }
        line.shut_down();
        let mut shared = self.lock();
        shared.modem.lost();
        shared.way = None;
    }
}

/// A modem behind a byte stream. A line that is gone is looked for again until it is there.
pub(in crate::hil) struct ModemWire<M> {
    parts: Arc<Parts<M>>,
    shown: String,
}

impl<M: Modem + 'static> ModemWire<M> {
    /// Opens `HOST:PORT`, or `DEVICE[@BAUD]`. It must be there at the beginning.
    pub(in crate::hil) fn open(
        address: &str,
        modem: M,
        interface: u32,
        mailbox: Arc<Mailbox>,
    ) -> Result<Self, WireError> {
        let at: WireAt = address.split('#').next().unwrap_or(address).parse().map_err(|_| {
            let allowed = "a modem is at HOST:PORT, in figures, such as 127.0.0.1:8001, or at a device such as /dev/ttyUSB0@9600";
            WireError::Address { found: address.to_owned(), allowed }
        })?;
        let failed = |source| WireError::Io { what: format!("modem at {at}"), source };
        let first = Line::open(&at).map_err(failed)?;
        let (shared, ending) = (Mutex::new(Shared { modem, way: None }), AtomicBool::new(false));
        let parts = Arc::new(Parts {
            shared,
            ending,
            began: clock::now(),
            interface,
            mailbox,
            losses: AtomicU64::new(0),
        });
        let (reading, ticking, place) = (parts.clone(), parts.clone(), at.clone());
        let thread = |what: &str| thread::Builder::new().name(format!("hil {what} {at}"));
        let reader = thread("read").spawn(move || {
            let mut next = Some(first);
            while !reading.is_ending() {
                if let Ok(line) = next.take().map_or_else(|| Line::open(&place), Ok) {
                    reading.serve(line);
                    reading.losses.fetch_add(1, Ordering::Relaxed);
                }
                // One that accepts and closes is not asked at once again either.
                let looks = PAUSE.as_millis() / LOOK.as_millis();
                (0..looks).take_while(|_| !reading.is_ending()).for_each(|_| thread::sleep(LOOK));
            }
        });
        reader.map_err(failed)?;
        let ticker = thread("tick").spawn(move || {
            while !ticking.is_ending() {
                thread::sleep(LOOK);
                // A line that is gone is the reader's to make.
                let _ = ticking.take(&[]);
            }
        });
        ticker.map_err(failed)?;
        Ok(Self { parts, shown: at.to_string() })
    }
}

impl<M: Modem + 'static> Wire for ModemWire<M> {
    fn send(&mut self, frame: &Outgoing<'_>) -> io::Result<()> {
        let mut shared = self.parts.lock();
        shared.modem.put(self.parts.now(), frame.bytes).map_err(io::Error::other)?;
        shared.flush()
    }

    fn place(&self) -> String {
        self.shown.clone()
    }

    fn refused(&self) -> u64 {
        self.parts.lock().modem.refused()
    }

    fn losses(&self) -> u64 {
        self.parts.losses.load(Ordering::Relaxed)
    }
}

impl<M> Drop for ModemWire<M> {
    fn drop(&mut self) {
        self.parts.ending.store(true, Ordering::Relaxed);
        let shared = self.parts.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(way) = &shared.way {
            way.line.shut_down();
        }
    }
}
