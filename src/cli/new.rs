//! `cosmosmesh new`: writes a commented scenario.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::Args;

use super::{CliError, Outcome};

/// The scenario that is written, with `{name}` for its name.
const TEMPLATE: &str = include_str!("new_template.ron");

/// Writes a commented scenario to start from.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cosmosmesh new base-camp                 writes base-camp.ron
  cosmosmesh new scenarios/base-camp.ron   the same, elsewhere
  cosmosmesh run base-camp.ron             it runs as it is")]
pub struct NewArgs {
    /// The scenario's name, or a path that ends in it: letters, digits, `-` and `_`. An existing file is never replaced.
    #[arg(value_name = "NAME")]
    name: PathBuf,
}

/// Writes the file.
///
/// # Errors
/// When the name is not a scenario's name, the file exists, or it cannot be written.
pub fn execute(args: NewArgs) -> Result<Outcome, CliError> {
    let path = if args.name.extension().is_some_and(|extension| extension == "ron") {
        args.name
    } else {
        let mut name = args.name.into_os_string();
        name.push(".ron");
        PathBuf::from(name)
    };
    let name = scenario_name(&path)?;
    let failed = |source| CliError::File { path: path.clone(), source };
    // `create_new` refuses an existing file in the same step, so that nothing can come in between.
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
    file.write_all(TEMPLATE.replace("{name}", &name).as_bytes()).map_err(failed)?;
    writeln!(io::stdout().lock(), "wrote {}", path.display())?;
    Ok(Outcome::Done)
}

fn scenario_name(path: &Path) -> Result<String, CliError> {
    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if plain && (1..=64).contains(&name.len()) {
        return Ok(name.to_owned());
    }
    Err(CliError::Usage(format!("found the name \"{name}\"; allowed: 1 to 64 letters, digits, `-` and `_`")))
}
