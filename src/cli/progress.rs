//! The progress bar: simulated time, events per second, time left; on standard error, and only on a terminal.

use crate::{
    report::words::{duration, number},
    sim::Progress,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal as _, stderr};

/// A progress bar, or nothing where nobody would see it.
pub(super) struct Bar(Option<ProgressBar>);

impl Bar {
    /// A bar on standard error, if that is a terminal.
    pub(super) fn new() -> Self {
        if !stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stderr_with_hz(10));
        let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}  {eta} left");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self(Some(bar))
    }

    /// Shows how far the run is.
    pub(super) fn show(&mut self, progress: Progress) {
        let Some(bar) = &self.0 else { return };
        let share = progress.now.as_secs_f64() / progress.end.as_secs_f64().max(1e-9);
        bar.set_position((share * 1000.0) as u64);
        let rate = progress.events as f64 / bar.elapsed().as_secs_f64().max(1e-3);
        let (now, end) = (duration(progress.now.as_secs_f64()), duration(progress.end.as_secs_f64()));
        bar.set_message(format!("{now} of {end}  {} events/s", number(rate.round())));
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
