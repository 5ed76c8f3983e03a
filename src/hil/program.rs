//! [`ProgramWire`]: a program that is the application of a simulated asset, by the same lines as beside a daemon.
//!
//! What it sends is an [`Asked`] for the session, stamped and logged like any frame from outside; what its node tells is an [`Answer`]. Numbers of
//! messages, what it has taken and the identifiers of its lines are between it and this side of the log: a replay needs none of them.

use super::{
    mailbox::Mailbox,
    wire::{Outgoing, Wire, WireError},
};
use crate::sim::{Answer, Asked};
use cosmosmesh_node::{
    LogLine, Message, StateItem,
    adapter::{Entries, Heard, MAX_UNTAKEN, Program, ProgramError, Said, Teller, Told, VERSION, Write},
};
use cosmosmesh_protocol::{contract::Registry, id::NodeId, node::Delivery, sync::Look};
use serde_json::Value as Json;
use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, Write as _},
    process::Command,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Messages that wait until the program has taken others; one more is lost to it, and counted.
const MAX_UNTOLD: usize = 4096;
/// The longest request that a session takes, in bytes.
const MAX_REQUEST: usize = 65_535;
/// How often it is looked whether it is time to end.
const LOOK: Duration = Duration::from_millis(100);
/// How long the program may take to end after it was asked to, before it is killed.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What is known of a program's lines.
struct Ledger {
    teller: Option<Teller>,
    contracts: Registry,
    /// Identifiers of what it asked and got no answer to, by our number.
    asked: BTreeMap<u64, Json>,
    next: u64,
    untold: VecDeque<Told>,
    /// Messages for it so far, the last one that it was given, and the last that it took.
    numbered: u64,
    given: u64,
    taken: u64,
}

impl Ledger {
    /// Tells it something; an error where it does not read.
    fn tell(&self, told: &Told) -> io::Result<()> {
        match &self.teller {
            Some(teller) if !teller.tell(told) => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(()),
        }
    }

    /// Gives it as many messages as it may have untaken.
    fn give(&mut self) -> io::Result<()> {
        while self.given.saturating_sub(self.taken) < MAX_UNTAKEN
            && let Some(told) = self.untold.front()
        {
            self.tell(told)?;
            self.untold.pop_front();
            self.given += 1;
        }
        Ok(())
    }

    fn deliver(&mut self, delivery: Delivery) -> io::Result<()> {
        if self.untold.len() >= MAX_UNTOLD {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.numbered += 1;
        let message = Message::of_delivery(self.numbered, delivery);
        self.untold.push_back(Told::of(&message, &self.contracts));
        // One that cannot be told now is told when it takes others.
        let _ = self.give();
        Ok(())
    }

    fn answer(&mut self, answer: Answer) -> io::Result<()> {
        match answer {
            Answer::Message(delivery) => self.deliver(delivery),
            Answer::Accepted { number, sequence } => {
                self.tell_asked(number, |id| Told::Accepted { id, sequence })
            }
            Answer::Refused { number, reason } => match self.asked.remove(&number) {
                Some(id) => self.refuse(id, &reason, "the simulated node refused it".to_owned()),
                None => Ok(()),
            },
            Answer::Written { number, sequence } => {
                self.tell_asked(number, |id| Told::Written { id, sequence })
            }
            Answer::Items { number, items } => {
                let items = items.into_iter().filter_map(StateItem::of).collect();
                self.tell_asked(number, |id| Told::State { id, items })
            }
            Answer::Changed(item) => match StateItem::of(item) {
                Some(item) => self.tell(&Told::Changed { item }),
                None => Ok(()),
            },
            Answer::Entries { number, size, entries } => {
                let entries = entries.iter().filter_map(|entry| LogLine::of(entry)).collect();
                self.tell_asked(number, |id| Told::Entries { id, size, entries })
            }
        }
    }

    /// Tells what belongs to something that it has asked; nobody asks for it twice.
    fn tell_asked(&mut self, number: u64, told: impl FnOnce(Json) -> Told) -> io::Result<()> {
        self.asked.remove(&number).map_or(Ok(()), |id| self.tell(&told(id)))
    }

    /// Asks the session for something, by a number that its answer comes back with.
    fn ask(
        &mut self,
        id: Json,
        (interface, mailbox): (u32, &Mailbox),
        asked: impl FnOnce(u64) -> Asked,
    ) -> io::Result<()> {
        self.next += 1;
        let bytes = asked(self.next).encode();
        let length = bytes.len();
        // Before it may be answered.
        self.asked.insert(self.next, id);
        if mailbox.post(interface, bytes, None, None) {
            return Ok(());
        }
        let id = self.asked.remove(&self.next).unwrap_or_default();
        let (reason, problem) = if length > MAX_REQUEST {
            ("payload_too_large", format!("more than {MAX_REQUEST} bytes with its header"))
        } else {
            ("busy", "too many requests wait".to_owned())
        };
        self.refuse(id, reason, problem)
    }

    fn refuse(&self, id: Json, reason: &str, problem: String) -> io::Result<()> {
        self.tell(&Told::Refused { id, reason: reason.to_owned(), problem })
    }
}

/// What both sides of a program share.
struct Shared {
    ledger: Mutex<Ledger>,
    ending: AtomicBool,
    refused: AtomicU64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what the program says. An answer that it does not read is its own loss.
    fn hear(&self, line: &str, name: &str, door: (u32, &Mailbox)) {
        let mut ledger = self.lock();
        let told = match Said::read(line) {
            Err(error) => ledger.refuse(Json::Null, error.reason(), error.to_string()),
            Ok(Said::Send(send)) => match send.message(&ledger.contracts) {
                Err(error) => ledger.refuse(send.id, error.reason(), error.to_string()),
                Ok((purpose, payload)) => {
                    let lifetime = Duration::from_secs(send.lifetime_s);
                    let destination = NodeId(send.to);
                    let asked = |number| Asked::Send { number, destination, purpose, lifetime, payload };
                    ledger.ask(send.id, door, asked)
                }
            },
            Ok(Said::Take { number }) if number > ledger.given => {
                ledger.refuse(Json::Null, "take", format!("message {number} was not given"))
            }
            Ok(Said::Take { number }) => {
                ledger.taken = ledger.taken.max(number);
                ledger.give()
            }
            Ok(Said::Write(Write { id, write })) => {
                ledger.ask(id, door, |number| Asked::write(number, &write.op()))
            }
            Ok(Said::Read(read)) => {
                let (id, query) = read.query();
                if let Err(error) = query.check() {
                    return self.count(ledger.refuse(id, error.reason(), error.to_string()));
                }
                let Look { kind, name, key, after, .. } = query.look();
                let [name, key, after] = [name, key, after].map(|part| part.map(<[u8]>::to_vec));
                ledger.ask(id, door, |number| Asked::Read { number, kind, name, key, after })
            }
            Ok(Said::Entries(Entries { id, first, most })) => {
                ledger.ask(id, door, |number| Asked::Entries { number, first, most })
            }
            Ok(Said::Watch) => match door.1.post(door.0, Asked::Watch.encode(), None, None) {
                true => Ok(()),
                false => ledger.refuse(Json::Null, "busy", "too many requests wait".to_owned()),
            },
            Ok(Said::Log { text }) => {
                let _ = writeln!(io::stderr().lock(), "{name}: {text}");
                return;
            }
        };
        self.count(told);
    }

    /// Counts what the program is not told.
    fn count(&self, told: io::Result<()>) {
        if told.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A program as the application of a simulated asset.
pub(super) struct ProgramWire {
    shared: Arc<Shared>,
    place: String,
    hearing: Option<JoinHandle<()>>,
}

impl ProgramWire {
    /// Starts a command, by the shell, as the application of the asset `name`, which is node `node`.
    pub(super) fn start(
        command: &str,
        (name, node): (&str, NodeId),
        interface: u32,
        mailbox: Arc<Mailbox>,
    ) -> Result<Self, WireError> {
        let failed = |source| WireError::Io { what: format!("`{command}`"), source };
        let program = Program::start(Command::new("sh").args(["-c", command])).map_err(failed)?;
        let (asked, untold) = (BTreeMap::new(), VecDeque::new());
        let ledger = Ledger {
            teller: program.teller(),
            contracts: Registry::standard(),
            asked,
            next: 0,
            untold,
            numbered: 0,
            given: 0,
            taken: 0,
        };
        program.tell(&Told::Hello { version: VERSION, node: node.0 });
        let (ending, refused) = (AtomicBool::new(false), AtomicU64::new(0));
        let shared = Arc::new(Shared { ledger: Mutex::new(ledger), ending, refused });
        let (hears, name) = (shared.clone(), name.to_owned());
        let hearing = thread::Builder::new()
            .name(format!("hil program {name}"))
            .spawn(move || run(program, &hears, &name, (interface, &mailbox)));
        let hearing = Some(hearing.map_err(failed)?);
        Ok(Self { shared, place: format!("`{command}`"), hearing })
    }
}

/// Hears the program until it ends, or is to.
fn run(program: Program, shared: &Shared, name: &str, door: (u32, &Mailbox)) {
    let trouble = loop {
        if shared.ending.load(Ordering::Acquire) {
            break None;
        }
        match program.hear(LOOK) {
            Ok(Heard::Line(line)) => shared.hear(&line, name, door),
            Ok(Heard::Nothing) => {}
            Ok(Heard::End) => break None,
            Err(error) => break Some(error),
        }
    };
    program.tell(&Told::Stop);
    // Its input is closed when nobody can tell it anything.
    shared.lock().teller = None;
    let status = program.end(LAST_WORDS, |_: Result<String, ProgramError>| {});
    let mut out = io::stderr().lock();
    let _ = match (trouble, status) {
        (Some(error), _) => writeln!(out, "{name}: {error}"),
        (None, Ok(status)) => writeln!(out, "{name}: the program has ended ({status})"),
        (None, Err(error)) => writeln!(out, "{name}: {error}"),
    };
}

impl Wire for ProgramWire {
    fn send(&mut self, frame: &Outgoing<'_>) -> io::Result<()> {
        let answer = Answer::decode(frame.bytes).ok_or(io::ErrorKind::InvalidData)?;
        self.shared.lock().answer(answer)
    }

    fn place(&self) -> String {
        self.place.clone()
    }

    fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }
}

impl Drop for ProgramWire {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Release);
        if let Some(hearing) = self.hearing.take() {
            // One that panicked has said so.
            let _ = hearing.join();
        }
    }
}
