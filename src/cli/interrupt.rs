//! Ctrl-C: a run ends between two stretches, and leaves no half folder.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Whether the user asked to stop.
#[derive(Clone, Debug)]
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Whether to go on.
    pub(super) fn flow(&self) -> ControlFlow<()> {
        if self.0.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Watches for Ctrl-C. Without a handler (one is set already) it never comes, and the signal ends the process as it always does.
pub(super) fn watch() -> Interrupt {
    let flag = Arc::new(AtomicBool::new(false));
    let set = flag.clone();
    // A second handler in one process is refused: then the first one stays.
    let _ = ctrlc::set_handler(move || {
        if set.swap(true, Ordering::Relaxed) {
            // Asked twice: between stretches is not soon enough.
            std::process::exit(130);
        }
    });
    Interrupt(flag)
}
