//! A program at work: its process, its lines, and the node that it is the asset of.

use super::{
    MAX_LINE, VERSION,
    line::{Said, Told},
};
use crate::client::{Client, ClientError};
use cosmosmesh_protocol::{contract::Registry, id::NodeId};
use serde_json::Value as Json;
use std::{
    io::{self, BufRead, BufReader, Read as _, Write as _},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{
        Mutex, PoisonError,
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
    /// It cannot be started, spoken with or waited for.
    #[error("the program: {0}")]
    Program(#[from] io::Error),
    /// A line without end.
    #[error("the program said a line of more than {MAX_LINE} bytes")]
    LongLine,
    /// The node.
    #[error(transparent)]
    Client(#[from] ClientError),
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
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
    };
    let session = Session {
        sending,
        receiving,
        contracts: Registry::standard(),
        input: Mutex::new(Some(input)),
        given: AtomicU64::new(0),
        untaken: AtomicU64::new(0),
        over: AtomicBool::new(false),
    };
    let result = thread::scope(|scope| {
        let listening = scope.spawn(|| {
            let result = session.listen(BufReader::new(output));
            session.over.store(true, Ordering::Release);
            result
        });
        session.tell(&Told::Hello { version: VERSION, node });
        let given = session.give(stop);
        if stop.load(Ordering::Acquire) {
            session.tell(&Told::Stop);
        }
        // Its standard input ends, and it is to do so too. A program that does not is killed, which ends its output.
        drop(session.input.lock().unwrap_or_else(PoisonError::into_inner).take());
        let status = end(&mut child);
        let heard = listening.join().expect("listening does not panic");
        given.and(heard).and(status.map_err(AttachError::from))
    });
    if result.is_err() {
        // It may still run where it could not be waited for.
        let _ = child.kill();
    }
    result
}

/// Waits for the end of a program, for a while.
fn end(child: &mut Child) -> io::Result<ExitStatus> {
    let begun = crate::clock::monotonic();
    while begun.elapsed() < LAST_WORDS {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(LOOK / 4);
    }
    child.kill()?;
    child.wait()
}

struct Session<'a> {
    sending: &'a Client,
    receiving: &'a Client,
    contracts: Registry,
    input: Mutex<Option<ChildStdin>>,
    /// The last message that the program was given.
    given: AtomicU64,
    untaken: AtomicU64,
    over: AtomicBool,
}

impl Session<'_> {
    /// A program that is gone is noticed by its output.
    fn tell(&self, told: &Told) {
        if let Some(input) = &mut *self.input.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = input.write_all(told.line().as_bytes()).and_then(|()| input.flush());
        }
    }

    /// Gives the program its messages until it ends.
    fn give(&self, stop: &AtomicBool) -> Result<(), AttachError> {
        while !self.over.load(Ordering::Acquire) && !stop.load(Ordering::Acquire) {
            if self.untaken.load(Ordering::Acquire) >= MAX_UNTAKEN {
                thread::sleep(LOOK / 4);
                continue;
            }
            if let Some(message) = self.receiving.receive(LOOK)? {
                self.untaken.fetch_add(1, Ordering::AcqRel);
                self.given.store(message.number, Ordering::Release);
                self.tell(&Told::of(&message, &self.contracts));
            }
        }
        Ok(())
    }

    fn listen(&self, mut output: impl BufRead) -> Result<(), AttachError> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let count = output.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)?;
            if count == 0 {
                return Ok(());
            }
            if count > MAX_LINE {
                return Err(AttachError::LongLine);
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim();
            if text.is_empty() {
                continue;
            }
            match Said::read(text) {
                Ok(said) => self.hear(said)?,
                Err(error) => self.refuse(Json::Null, error.reason(), error.to_string()),
            }
        }
    }

    fn hear(&self, said: Said) -> Result<(), AttachError> {
        match said {
            Said::Send(send) => {
                let (purpose, payload) = match send.message(&self.contracts) {
                    Ok(message) => message,
                    Err(error) => {
                        self.refuse(send.id, error.reason(), error.to_string());
                        return Ok(());
                    }
                };
                let lifetime = Duration::from_secs(send.lifetime_s);
                match self.sending.send(NodeId(send.to), purpose, lifetime, &payload) {
                    Ok(accepted) => self.tell(&Told::Accepted { id: send.id, sequence: accepted.sequence }),
                    Err(ClientError::Refused(refusal)) => {
                        self.refuse(send.id, &refusal.reason, refusal.problem)
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Said::Take { number } if number > self.given.load(Ordering::Acquire) => {
                self.refuse(Json::Null, "take", format!("message {number} was not given"));
            }
            Said::Take { number } => {
                self.sending.take_through(number)?;
                // Numbers grow by one with each message; what was taken twice counts once.
                let left = self.given.load(Ordering::Acquire).saturating_sub(number);
                self.untaken.fetch_min(left, Ordering::AcqRel);
            }
            Said::Log { text } => tracing::info!(text, "program"),
        }
        Ok(())
    }

    fn refuse(&self, id: Json, reason: &str, problem: String) {
        self.tell(&Told::Refused { id, reason: reason.to_owned(), problem });
    }
}
