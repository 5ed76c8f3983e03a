//! A program at work as the application of a node.

use super::{
    VERSION,
    line::{Entries, MAX_ENTRIES, Said, Told, Write},
    process::{Heard, Program, ProgramError, Teller},
};
use crate::{
    client::{Client, ClientError},
    ledger::LogLine,
};
use cosmosmesh_protocol::{contract::Registry, id::NodeId};
use serde_json::Value as Json;
use std::{
    io,
    process::{Command, ExitStatus},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// Messages that a program is given before it has taken the first of them.
pub const MAX_UNTAKEN: u64 = 64;
/// How often it is looked whether it is time to end.
const LOOK: Duration = Duration::from_millis(100);
/// How long a program may take to end after it was asked to, before it is killed.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Why a program does not work.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The program.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The node.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl From<io::Error> for AttachError {
    fn from(error: io::Error) -> Self {
        Self::Program(error.into())
    }
}

/// Runs a program as the application of a node until it ends or `stop` is set, and gives how it ended. Its standard error is ours.
///
/// `sending` and `receiving` are holds on the same node: one waits for messages while the other sends.
///
/// # Errors
/// [`AttachError`]; the program does not run any more.
pub fn attach(
    command: &mut Command,
    sending: &Client,
    receiving: &Client,
    stop: &AtomicBool,
) -> Result<ExitStatus, AttachError> {
    let node = sending.health()?.node;
    let mut program = Program::start(command)?;
    let Some(teller) = program.teller() else {
        return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
    };
    let session = Session {
        sending,
        receiving,
        contracts: Registry::standard(),
        stop,
        given: AtomicU64::new(0),
        untaken: AtomicU64::new(0),
        over: AtomicBool::new(false),
        seen: Mutex::new(None),
    };
    let worked = thread::scope(|scope| {
        session.tell(&teller, &Told::Hello { version: VERSION, node });
        let other = teller.clone();
        let giving = scope.spawn(|| session.give(other));
        let heard = session.listen(&mut program, &teller);
        session.over.store(true, Ordering::Release);
        giving.join().expect("giving does not panic").and(heard)
    });
    if stop.load(Ordering::Acquire) {
        program.tell(&Told::Stop);
    }
    // Its standard input ends, and it is to do so too. What it still says is done; nobody answers any more.
    drop(teller);
    let mut last = Ok(());
    let status = program.end(LAST_WORDS, |line| {
        if last.is_ok() && worked.is_ok() {
            last = line.map_err(AttachError::from).and_then(|line| session.hear(&line, &mut |_| {}));
        }
    })?;
    worked.and(last)?;
    Ok(status)
}

struct Session<'a> {
    sending: &'a Client,
    receiving: &'a Client,
    contracts: Registry,
    stop: &'a AtomicBool,
    /// The last message that the program was given.
    given: AtomicU64,
    untaken: AtomicU64,
    over: AtomicBool,
    /// From where on it is told what others write to shared state, once it has said that it watches.
    seen: Mutex<Option<u64>>,
}

impl Session<'_> {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire) || self.stop.load(Ordering::Acquire)
    }

    fn seen(&self) -> MutexGuard<'_, Option<u64>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a program that does not read, but not for ever: it is over when it ends, or is to.
    fn tell(&self, teller: &Teller, told: &Told) {
        let mut line = told.line();
        while let Err(untold) = teller.tell_line(line) {
            if self.is_over() {
                return;
            }
            thread::sleep(LOOK / 4);
            line = untold;
        }
    }

    /// Gives the program its messages until it is over.
    fn give(&self, teller: Teller) -> Result<(), AttachError> {
        while !self.is_over() {
            let seen = *self.seen();
            if let Some(seen) = seen {
                let next = self.give_changes(&teller, seen)?;
                *self.seen() = Some(next);
            }
            if self.untaken.load(Ordering::Acquire) >= MAX_UNTAKEN {
                thread::sleep(LOOK / 4);
                continue;
            }
            let received = self.receiving.receive(LOOK);
            if received.is_err() {
                self.over.store(true, Ordering::Release);
            }
            if let Some(message) = received? {
                self.untaken.fetch_add(1, Ordering::AcqRel);
                self.given.store(message.number, Ordering::Release);
                self.tell(&teller, &Told::of(&message, &self.contracts));
            }
        }
        Ok(())
    }

    /// Tells the program what others have written to shared state since `seen`; gives what to ask for next time.
    fn give_changes(&self, teller: &Teller, seen: u64) -> Result<u64, AttachError> {
        let changes = self.receiving.state_changes(Some(seen), Duration::ZERO);
        if changes.is_err() {
            self.over.store(true, Ordering::Release);
        }
        let changes = changes?;
        if changes.missed {
            self.tell(teller, &Told::Missed);
        }
        changes.items.into_iter().for_each(|item| self.tell(teller, &Told::Changed { item }));
        Ok(changes.next)
    }

    /// Does what the program says until it is over.
    fn listen(&self, program: &mut Program, teller: &Teller) -> Result<(), AttachError> {
        while !self.is_over() {
            match program.hear(LOOK)? {
                Heard::Line(line) => self.hear(&line, &mut |told| self.tell(teller, &told))?,
                // What it has started may hold its output open.
                Heard::Nothing if program.has_ended() => break,
                Heard::Nothing => {}
                Heard::End => break,
            }
        }
        Ok(())
    }

    fn hear(&self, line: &str, tell: &mut dyn FnMut(Told)) -> Result<(), AttachError> {
        let refused = |id, reason: &str, problem| Told::Refused { id, reason: reason.to_owned(), problem };
        match Said::read(line) {
            Err(error) => tell(refused(Json::Null, error.reason(), error.to_string())),
            Ok(Said::Send(send)) => {
                let (purpose, payload) = match send.message(&self.contracts) {
                    Ok(message) => message,
                    Err(error) => {
                        tell(refused(send.id, error.reason(), error.to_string()));
                        return Ok(());
                    }
                };
                let lifetime = Duration::from_secs(send.lifetime_s);
                match self.sending.send(NodeId(send.to), purpose, lifetime, &payload) {
                    Ok(accepted) => tell(Told::Accepted { id: send.id, sequence: accepted.sequence }),
                    Err(ClientError::Refused(refusal)) => {
                        tell(refused(send.id, &refusal.reason, refusal.problem));
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(Said::Take { number }) if number > self.given.load(Ordering::Acquire) => {
                tell(refused(Json::Null, "take", format!("message {number} was not given")));
            }
            Ok(Said::Take { number }) => {
                self.sending.take_through(number)?;
                // Numbers grow by one with each message; what was taken twice counts once.
                let left = self.given.load(Ordering::Acquire).saturating_sub(number);
                self.untaken.fetch_min(left, Ordering::AcqRel);
            }
            Ok(Said::Write(Write { id, write })) => match self.sending.write_state(write) {
                Ok(dot) => tell(Told::Written { id, sequence: dot.sequence }),
                Err(ClientError::Refused(refusal)) => tell(refused(id, &refusal.reason, refusal.problem)),
                Err(error) => return Err(error.into()),
            },
            Ok(Said::Read(read)) => {
                let (id, query) = read.query();
                match self.sending.read_state(query) {
                    Ok(items) => tell(Told::State { id, items }),
                    Err(ClientError::Refused(refusal)) => {
                        tell(refused(id, &refusal.reason, refusal.problem));
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(Said::Entries(asked)) => match self.entries(&asked) {
                Ok(told) => tell(told),
                Err(ClientError::Refused(refusal)) => {
                    tell(refused(asked.id, &refusal.reason, refusal.problem))
                }
                Err(error) => return Err(error.into()),
            },
            Ok(Said::Watch) => match self.watch() {
                Ok(()) => {}
                Err(ClientError::Refused(refusal)) => {
                    tell(refused(Json::Null, &refusal.reason, refusal.problem));
                }
                Err(error) => return Err(error.into()),
            },
            Ok(Said::Log { text }) => tracing::info!(text, "program"),
        }
        Ok(())
    }

    /// The program watches from now on: what it asks next is answered by what was there at this moment, and what comes after is told.
    fn watch(&self) -> Result<(), ClientError> {
        if self.seen().is_none() {
            let changes = self.sending.state_changes(None, Duration::ZERO)?;
            *self.seen() = Some(changes.next);
        }
        Ok(())
    }

    /// What the node's log holds of what is asked for. Entries come a segment at a time.
    fn entries(&self, asked: &Entries) -> Result<Told, ClientError> {
        let (size, mut entries) = (self.sending.log()?.size, Vec::new());
        let end = asked.first.saturating_add(asked.most.min(MAX_ENTRIES)).min(size);
        let mut next = asked.first;
        while next < end {
            let some = self.sending.log_entries(next, end - next)?;
            if some.is_empty() {
                break;
            }
            next += some.len() as u64;
            entries.extend(some.iter().filter_map(|entry| LogLine::of(entry)));
        }
        Ok(Told::Entries { id: asked.id.clone(), size, entries })
    }
}
