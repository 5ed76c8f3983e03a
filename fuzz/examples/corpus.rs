//! Writes every door's examples to `corpus/TARGET/`, where a search starts: `cargo run --example corpus`.

use std::{fs, io};

fn main() -> io::Result<()> {
    for (name, examples) in cosmosmesh_fuzz::examples() {
        let target = if name == "bundle, lenient" { "lenient_bundle".to_owned() } else { name.replace(' ', "_") };
        let folder = format!("corpus/{target}");
        fs::create_dir_all(&folder)?;
        for (number, example) in examples.iter().enumerate() {
            fs::write(format!("{folder}/example-{number}"), example)?;
        }
    }
    Ok(())
}
