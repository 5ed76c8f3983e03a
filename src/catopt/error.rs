//! Why a folder is not a diagram of problems, or a diagram not a problem.

use std::{io, path::PathBuf};

/// Everything that can be wrong with a wiring diagram and its files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatoptError {
    /// The operating system refuses.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
    /// The target is in use.
    #[error("{} exists and is not a folder that `catopt export` wrote", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// Not JSON, or JSON of another shape.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// A field holds what it may not.
    #[error("{}: {place}: found {found}, allowed: {allowed}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// Table, row and field.
        place: String,
        /// What stands there.
        found: String,
        /// What could.
        allowed: String,
    },
    /// Two parts that go by their names have the same one.
    #[error("{what} {name:?} is there twice")]
    Twice {
        /// Box, junction or variable.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A part names another one that is not there.
    #[error("{place} refers to {what} {found}, but there are {count}")]
    Missing {
        /// Who refers.
        place: String,
        /// To what.
        what: &'static str,
        /// The index, from 0.
        found: usize,
        /// How many there are.
        count: usize,
    },
    /// A diagram is put into a box with another number of ports.
    #[error("box {name:?} has {ports} ports, but the diagram in it has {outer} outer ports")]
    Arity {
        /// The box.
        name: String,
        /// Its ports.
        ports: usize,
        /// The diagram's outer ports.
        outer: usize,
    },
    /// A figure needs what the reader may not see.
    #[error("box {name:?} is redacted: whoever exported it could not see its problem")]
    Redacted {
        /// The box.
        name: String,
    },
    /// A port of a box that holds a problem has no restriction map.
    #[error("a port of box {name:?} has no restriction map")]
    Unrestricted {
        /// The box.
        name: String,
    },
    /// An assignment lacks a box, or has another number of values.
    #[error("box {name:?} has {expected} variables, but {found} values were given")]
    Assignment {
        /// The box.
        name: String,
        /// Values given.
        found: usize,
        /// Variables of the box.
        expected: usize,
    },
    /// The diagram is not of a fleet's form.
    #[error("not the problem of a fleet: {reason}")]
    Form {
        /// What is in the way.
        reason: String,
    },
    /// There is no central optimum.
    #[error("the composite problem has no optimum: {0}")]
    Optimum(String),
}
