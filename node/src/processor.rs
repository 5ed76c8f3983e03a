//! Which processor a thread runs on: one that nobody else uses keeps the worst case of an input near the usual one.

use std::io;

/// Whether threads of this process may run on a processor.
///
/// # Errors
/// When they may not, or nobody knows.
#[cfg(target_os = "linux")]
pub(crate) fn check(cpu: u16) -> io::Result<()> {
    let allowed = rustix::thread::sched_getaffinity(None)?;
    let exists = usize::from(cpu) < rustix::thread::CpuSet::MAX_CPU;
    if exists && allowed.is_set(usize::from(cpu)) {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "not one that this process may use"))
}

/// Keeps the calling thread on a processor that [`check`] found.
///
/// # Errors
/// Those of the system.
#[cfg(target_os = "linux")]
pub(crate) fn pin(cpu: u16) -> io::Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    set.set(usize::from(cpu));
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}

/// Elsewhere, no thread is kept anywhere.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub(crate) fn check(_cpu: u16) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system keeps no thread on a processor"))
}

/// Elsewhere, no thread is kept anywhere.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub(crate) fn pin(cpu: u16) -> io::Result<()> {
    check(cpu)
}
