//! One step: a command that is shown, run with its output untouched, and timed.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

/// Why the checks ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A command ran, and its answer is no.
    Command(String),
    /// A command could not be started.
    Start(String, io::Error),
    /// Something that the checks need is not on this machine and cannot be had.
    Missing(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Command(command) => write!(f, "{command}"),
            Self::Start(command, error) => write!(f, "{command}: {error}"),
            Self::Missing(what) => write!(f, "{what}"),
        }
    }
}

/// Writes a line for the person who watches.
pub(crate) fn say(line: &str) {
    // A closed standard error leaves only the exit code to speak.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// The workspace's folder.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// The folder of what is built.
pub(crate) fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// A command in the workspace's folder, without standard input.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(workspace()).stdin(Stdio::null());
    command
}

/// Runs Cargo.
pub(crate) fn cargo(arguments: &[&str]) -> Result<(), Failure> {
    run(command("cargo", arguments))
}

/// Shows `command`, runs it, and fails when it fails.
#[expect(clippy::disallowed_methods, reason = "says how long a check took")]
pub(crate) fn run(mut command: Command) -> Result<(), Failure> {
    let shown = shown(&command);
    say(&format!("\n$ {shown}"));
    let start = Instant::now();
    let status = command.status().map_err(|error| Failure::Start(shown.clone(), error))?;
    say(&format!("({:.0} s)", start.elapsed().as_secs_f64()));
    if status.success() { Ok(()) } else { Err(Failure::Command(format!("{shown} ({status})"))) }
}

/// What `command` prints; none when it fails or is not there.
pub(crate) fn answer(mut command: Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// As one would type it.
fn shown(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        Some(format!("{}=\"{}\"", name.to_string_lossy(), value?.to_string_lossy()))
    });
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words = words.map(|word| word.to_string_lossy().into_owned());
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_command_is_shown_as_one_would_type_it() {
    let mut doc = command("cargo", &["doc", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    assert_eq!(shown(&doc), "RUSTDOCFLAGS=\"-D warnings\" cargo doc --no-deps");
}

#[test]
fn a_command_that_fails_or_is_not_there_is_a_failure() {
    assert!(matches!(run(command("cargo", &["no-such-command"])), Err(Failure::Command(_))));
    assert!(matches!(run(command("no-such-program", &[])), Err(Failure::Start(..))));
    assert!(answer(command("cargo", &["--version"])).is_some_and(|text| text.starts_with("cargo ")));
    assert_eq!(answer(command("cargo", &["no-such-command"])), None);
}
