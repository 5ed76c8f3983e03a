//! The daemon from outside: over real sockets, as a process that is killed, before peers that misbehave, on disks that fail.

mod control;
mod crash;
mod delivery;
mod faults;
mod fleet;
mod hostile;
mod place;
