//! [`Program`]: a program that runs, what it says line by line, and what it is told. Nothing here waits for it without limit.

use super::{MAX_LINE, line::Told};
use crate::clock::monotonic;
use std::{
    io::{self, BufRead, BufReader, Read, Write as _},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel},
    thread,
    time::Duration,
};

/// Lines that wait for a program to read them, and that it has said and nobody has heard.
const MAX_LINES: usize = 256;
/// How often it is looked whether a program has ended.
const LOOK: Duration = Duration::from_millis(25);
/// How long what an ended program has said may take to be read: something that it has started may hold its output open.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Why a program says nothing more.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It cannot be started, heard or waited for.
    #[error("the program: {0}")]
    System(#[from] io::Error),
    /// A line without end.
    #[error("the program said a line of more than {MAX_LINE} bytes")]
    LongLine,
}

/// What there is to hear.
#[derive(Debug)]
pub enum Heard {
    /// A line, without its end.
    Line(String),
    /// Nothing yet.
    Nothing,
    /// Nothing more: it has ended, or closed its output.
    End,
}

/// Tells a program something. Its input stays open as long as there is one.
#[derive(Clone, Debug)]
pub struct Teller(SyncSender<String>);

impl Teller {
    /// Tells it something; says whether there was room. A program that does not read has none in the end.
    #[must_use]
    pub fn tell(&self, told: &Told) -> bool {
        self.tell_line(told.line()).is_ok()
    }

    /// The same of a line, which is given back where there was no room.
    pub(super) fn tell_line(&self, line: String) -> Result<(), String> {
        match self.0.try_send(line) {
            Err(TrySendError::Full(line)) => Err(line),
            // Nobody is there any more to be told.
            Ok(()) | Err(TrySendError::Disconnected(_)) => Ok(()),
        }
    }
}

/// A program that runs. Its standard error is ours. Dropping it kills it. When it ends, whichever way, what it has started ends with it, on
/// Linux and as far as that has stayed in its process group.
#[derive(Debug)]
pub struct Program {
    child: Child,
    /// None when its input is closed.
    told: Option<Teller>,
    said: Receiver<Result<String, ProgramError>>,
    /// It was waited for: its number may be another's.
    waited: bool,
}

impl Program {
    /// Starts it.
    ///
    /// # Errors
    /// Those of the system.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // So that all of it can be ended, and a Ctrl-C at the terminal is ours to hear.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let mut child = command.spawn()?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe));
        };
        let (told, to_write) = sync_channel::<String>(MAX_LINES);
        let (say, said) = sync_channel(MAX_LINES);
        let program = Self { child, told: Some(Teller(told)), said, waited: false };
        // Both threads end with the pipes, whoever else holds these; nobody waits for them.
        thread::Builder::new().name("tell program".to_owned()).spawn(move || {
            for line in to_write {
                // That it is gone is noticed by its output.
                if input.write_all(line.as_bytes()).and_then(|()| input.flush()).is_err() {
                    return;
                }
            }
        })?;
        thread::Builder::new().name("hear program".to_owned()).spawn(move || hear(output, &say))?;
        Ok(program)
    }

    /// Whoever is to tell it something; nobody when its input is closed.
    #[must_use]
    pub fn teller(&self) -> Option<Teller> {
        self.told.clone()
    }

    /// Tells it something, where there is room and its input is open.
    pub fn tell(&self, told: &Told) -> bool {
        self.told.as_ref().is_some_and(|teller| teller.tell(told))
    }

    /// What it says next; waits for it at most for `patience`.
    ///
    /// # Errors
    /// [`ProgramError`]; nothing more comes.
    pub fn hear(&self, patience: Duration) -> Result<Heard, ProgramError> {
        let said = if patience.is_zero() {
            self.said.try_recv().map_err(|error| match error {
                TryRecvError::Empty => RecvTimeoutError::Timeout,
                TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
            })
        } else {
            self.said.recv_timeout(patience)
        };
        match said {
            Ok(line) => Ok(Heard::Line(line?)),
            Err(RecvTimeoutError::Timeout) => Ok(Heard::Nothing),
            Err(RecvTimeoutError::Disconnected) => Ok(Heard::End),
        }
    }

    /// Closes its input, once what it was told is written and no other [`Teller`] is left, and waits for its end; kills it after `patience`. What it says meanwhile goes to `heard`.
    ///
    /// # Errors
    /// Those of the system.
    pub fn end(
        mut self,
        patience: Duration,
        mut heard: impl FnMut(Result<String, ProgramError>),
    ) -> io::Result<ExitStatus> {
        self.told = None;
        let begun = monotonic();
        let status = loop {
            if self.has_ended() || begun.elapsed() >= patience {
                self.kill();
                let status = self.child.wait()?;
                self.waited = true;
                break status;
            }
            if let Ok(line) = self.said.recv_timeout(LOOK) {
                heard(line);
            } else {
                // Its output may be closed.
                thread::sleep(LOOK / 5);
            }
        };
        let begun = monotonic();
        while let Some(left) = LAST_LINES.checked_sub(begun.elapsed())
            && let Ok(line) = self.said.recv_timeout(left)
        {
            heard(line);
        }
        Ok(status)
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        #[cfg(target_os = "linux")]
        if let Some(id) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            use rustix::process::{WaitId, WaitIdOptions, waitid};
            // Not waited for: its number stays its own, by which what it has started is ended.
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            if let Ok(status) = waitid(WaitId::Pid(id), look) {
                return status.is_some();
            }
        }
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Kills it, and what it has started. Only before it was waited for.
    fn kill(&mut self) {
        #[cfg(target_os = "linux")]
        if let Some(group) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            // It has not been waited for, so that the number is still its.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.kill();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !self.waited {
            self.kill();
            let _ = self.child.wait();
        }
    }
}

/// Hears lines until the program closes its output, or says one without end.
fn hear(output: impl Read, say: &SyncSender<Result<String, ProgramError>>) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        let said = match output.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line) {
            Ok(0) => return,
            Ok(count) if count > MAX_LINE => Err(ProgramError::LongLine),
            Ok(_) => Ok(String::from_utf8_lossy(&line).trim().to_owned()),
            Err(error) => Err(error.into()),
        };
        let last = said.is_err();
        let blank = matches!(&said, Ok(line) if line.is_empty());
        // Who says more than is heard waits: its pipe fills.
        if !blank && say.send(said).is_err() || last {
            return;
        }
    }
}
