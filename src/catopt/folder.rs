//! A diagram as a folder: `fleet.acset.json`, its schema, and a file for each box.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    CatoptError, Composite, Content, OpenBox,
    acset::{self, Acset},
    mathopt::Model,
};

/// The diagram's file.
const DIAGRAM: &str = "fleet.acset.json";
/// Its schema, for a reader that asks.
const SCHEMA: &str = "schema.json";
/// How deep diagrams may be nested.
const DEEPEST: usize = 8;

/// Writes `diagram` as the folder `target`, which appears whole or not at all. A folder that was written before is replaced.
///
/// # Errors
/// [`CatoptError::Occupied`], a faulty diagram, and what the operating system refuses; `target` is as it was then.
pub fn write(diagram: &Composite, target: &Path) -> Result<(), CatoptError> {
    diagram.check()?;
    if target.exists() && !is_replaceable(target)? {
        return Err(CatoptError::Occupied { path: target.into() });
    }
    let mut partial = target.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    remove(&partial)?;
    fs::create_dir_all(&partial).map_err(io(&partial))?;
    json(&partial.join(SCHEMA), &acset::schema())?;
    diagram_file(diagram, &partial, "", DIAGRAM)?;
    remove(target)?;
    fs::rename(&partial, target).map_err(io(target))
}

/// Reads a folder that [`write()`] wrote, or a tool that keeps to the same formats.
///
/// # Errors
/// [`CatoptError`] with the file, and the line or field.
pub fn read(folder: &Path) -> Result<Composite, CatoptError> {
    diagram_at(folder, DIAGRAM, 0)
}

/// `within` is the boxes that the diagram is in, each followed by a dot: boxes of one name in two diagrams have two files.
fn diagram_file(diagram: &Composite, folder: &Path, within: &str, name: &str) -> Result<(), CatoptError> {
    let file = |one: &OpenBox| match one.content {
        Content::Program(_) => Some(format!("{within}{}.mof.json", file_name(&one.name))),
        Content::Nested(_) => Some(format!("{within}{}.acset.json", file_name(&one.name))),
        Content::Redacted => None,
    };
    for one in &diagram.boxes {
        match (&one.content, file(one)) {
            (Content::Program(program), Some(file)) => {
                json(&folder.join(file), &Model::of(&one.name, program))?;
            }
            (Content::Nested(inner), Some(file)) => {
                diagram_file(inner, folder, &format!("{within}{}.", file_name(&one.name)), &file)?;
            }
            _ => {}
        }
    }
    json(&folder.join(name), &Acset::of(diagram, file))
}

fn diagram_at(folder: &Path, name: &str, depth: usize) -> Result<Composite, CatoptError> {
    let path = folder.join(name);
    let tables: Acset = parse(&path)?;
    tables.diagram(&path, |of, file| {
        let fault = |found: String, allowed: String| CatoptError::Field {
            path: path.clone(),
            place: format!("model of box {of:?}"),
            found,
            allowed,
        };
        let plain = !file.starts_with('.') && !file.contains(['/', '\\', '\0']);
        if plain && file.ends_with(".mof.json") {
            let path = folder.join(file);
            return parse::<Model>(&path)?.program(&path).map(Content::Program);
        }
        if plain && file.ends_with(".acset.json") {
            if depth == DEEPEST {
                return Err(fault(format!("a diagram {} levels deep", depth + 1), format!("{DEEPEST}")));
            }
            return diagram_at(folder, file, depth + 1).map(Content::Nested);
        }
        let allowed = "the name of a file in this folder that ends in .mof.json or .acset.json";
        Err(fault(format!("{file:?}"), allowed.into()))
    })
}

/// A box's name with everything but letters, digits, `-`, `_` and `@` as `=` and its code, so that it is a file's name.
fn file_name(name: &str) -> String {
    let mut file = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '@') {
            file.push(c);
        } else {
            file.push_str(&format!("={:x}=", u32::from(c)));
        }
    }
    file
}

fn is_replaceable(folder: &Path) -> Result<bool, CatoptError> {
    if !folder.is_dir() {
        return Ok(false);
    }
    let empty = fs::read_dir(folder).map_err(io(folder))?.next().is_none();
    Ok(empty || folder.join(DIAGRAM).is_file())
}

fn remove(folder: &Path) -> Result<(), CatoptError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io(folder)(error)),
        _ => Ok(()),
    }
}

fn json(path: &Path, value: &impl Serialize) -> Result<(), CatoptError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| refused(path, &error))?;
    text.push(b'\n');
    fs::write(path, text).map_err(io(path))
}

fn parse<T: DeserializeOwned>(path: &Path) -> Result<T, CatoptError> {
    let text = fs::read(path).map_err(io(path))?;
    serde_json::from_slice(&text).map_err(|error| refused(path, &error))
}

fn refused(path: &Path, error: &serde_json::Error) -> CatoptError {
    let (line, column) = (error.line(), error.column());
    let message = error.to_string();
    let message =
        message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message).to_owned();
    CatoptError::Json { path: path.into(), line, column, message }
}

fn io(path: &Path) -> impl FnOnce(io::Error) -> CatoptError {
    let path = path.to_owned();
    move |source| CatoptError::Io { path, source }
}
