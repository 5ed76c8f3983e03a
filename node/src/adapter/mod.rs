//! The process adapter: any program in any language becomes an asset by speaking JSON, one object a line, on its standard input and output.
//!
//! | To the program | |
//! |---|---|
//! | `{"type":"hello","version":1,"node":1}` | first of all: whose program it is |
//! | `{"type":"message","number":7,"source":"ipn:2.0","purpose":"command","created_ms":…,"record":{"action":"drive"}}` | a message; with `payload_hex` where it is no record of a standard contract |
//! | `{"type":"accepted","id":1,"sequence":3}` | what it sent is durable, and on its way |
//! | `{"type":"refused","id":1,"reason":"stream_full","problem":"…"}` | what it sent, or said, is not |
//! | `{"type":"written","id":2,"sequence":9}` | what it wrote to shared state is durable |
//! | `{"type":"state","id":3,"items":[{"kind":"map","name":"site","key":"door","value":"open","writer":2,"written_ms":…}]}` | what it asked for of shared state |
//! | `{"type":"changed","item":{…}}` | another has written to a map or a register: how it reads now |
//! | `{"type":"entries","id":4,"size":92,"entries":[{"index":17,"clock_ms":…,"time_ms":…,"words":"accepted …","entry_hex":"…"}]}` | what it asked for of the node's log |
//! | `{"type":"missed"}` | so much was written that it is not told piece by piece: it is to be read |
//! | `{"type":"stop"}` | it is to end |
//!
//! | From the program | |
//! |---|---|
//! | `{"type":"send","id":1,"to":2,"purpose":"telemetry","lifetime_s":60,"record":{"time":0,"quantity":"battery","value":0.7}}` | a message: a `record`, or a `text`, or a `payload_hex` |
//! | `{"type":"take","number":7}` | it has dealt with all messages up to that one: none of them comes again |
//! | `{"type":"write","id":2,"write":"put","map":"site","key":"door","value":"open"}` | to shared state; or `remove` (`map`, `key`), `register` (`register`, `value`), `add` and `drop` (`set`, `member`), `count` (`counter`, `by`) |
//! | `{"type":"read","id":3,"kind":"map","name":"site","key":"door"}` | asks for a key; for all of an object without `key`, for all objects without `name`; 1000 items at a time; `after` the last one, of its `kind` |
//! | `{"type":"watch"}` | it is to be told from now on what others write to shared state: all that is not in what it reads next; `refused` with no `id` where none is shared |
//! | `{"type":"entries","id":4,"first":17,"most":10}` | asks for entries of the node's own, tamper-evident log: 1000 at a time; none without `most`, which tells how many there are |
//! | `{"type":"log","text":"…"}` | for the log of the daemon |
//!
//! A `record` has the fields of the contract of its purpose (telemetry, command, event) by their names, bytes in hexadecimal digits. A message
//! that was not taken is given again to the next run of the program. At most [`MAX_UNTAKEN`] messages are given ahead.
//!
//! [`Said`] and [`Told`] are the lines, without processes: for a program beside a simulated asset. [`Program`] is
//! a program that runs, and [`attach`] runs one with a [`crate::Client`].

mod line;
mod process;
mod program;
mod record;

pub use line::{Entries, LineError, MAX_ENTRIES, Read, Said, Send, Told, Write};
pub use process::{Heard, Program, ProgramError, Teller};
pub use program::{AttachError, MAX_UNTAKEN, attach};
pub use record::{RecordTextError, from_json, to_json};

/// The version of the lines.
pub const VERSION: u32 = 1;
/// Bytes of the longest line.
pub const MAX_LINE: usize = 1 << 20;
