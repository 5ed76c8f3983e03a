//! Where in the file a mistake is: reading with places, and finding the place of a field again.

use super::{check::ConfigErrors, raw::RawConfig};
use ron::{
    Options,
    error::{Position, SpannedError},
    extensions::Extensions,
};
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::{fmt, fs::File, io::Read as _, path::Path};

/// One mistake: where, in which field, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file as it was named.
    pub file: String,
    /// From 1; 0 when the file could not be read.
    pub line: usize,
    /// From 1, in characters; 0 when the file could not be read.
    pub column: usize,
    /// Path of the field from the file's root, `peers[2].via`; empty for the root.
    pub field: String,
    /// What is wrong, and what is allowed.
    pub problem: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.problem)?;
        self.suggestion.iter().try_for_each(|meant| write!(f, "; did you mean `{meant}`?"))
    }
}

impl std::error::Error for ConfigError {}

pub(super) fn read_text(path: &Path, most: u64) -> Result<String, ConfigErrors> {
    let failed = |problem: String| {
        let file = path.display().to_string();
        let (line, column, field, suggestion) = Default::default();
        ConfigErrors(vec![ConfigError { file, line, column, field, problem, suggestion }])
    };
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > most {
        return Err(failed(format!("larger than {most} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        failed(format!("not UTF-8 from byte {at} on"))
    })
}

pub(super) fn options() -> Options {
    Options::default().with_default_extension(Extensions::IMPLICIT_SOME).with_recursion_limit(32)
}

/// Reads the text into what was typed; the first mistake ends it.
pub(super) fn parse(file: &str, text: &str) -> Result<RawConfig, ConfigErrors> {
    let mut track = serde_path_to_error::Track::new();
    let read = (|| {
        let mut reader = ron::Deserializer::from_str_with_options(text, &options())?;
        let deserializer = serde_path_to_error::Deserializer::new(&mut reader, &mut track);
        let read = <RawConfig as serde::Deserialize>::deserialize(deserializer);
        let read = read.map_err(|error| reader.span_error(error))?;
        reader.end().map_err(|error| reader.span_error(error))?;
        Ok(read)
    })();
    read.map_err(|error: SpannedError| {
        let path = track.path().to_string();
        let field = if path == "." { String::new() } else { path };
        ConfigErrors(vec![told((file, text), field, &error)])
    })
}

fn told((file, text): (&str, &str), field: String, error: &SpannedError) -> ConfigError {
    let suggestion = match &error.code {
        ron::Error::NoSuchStructField { expected, found, .. }
        | ron::Error::NoSuchEnumVariant { expected, found, .. } => nearest(found, expected),
        _ => None,
    };
    let (line, column) = first_word(text, error.span.start);
    ConfigError { file: file.to_owned(), line, column, field, problem: error.code.to_string(), suggestion }
}

/// Line and column of what is written from `place` on: the reader's places are in front of blanks.
fn first_word(text: &str, place: Position) -> (usize, usize) {
    let (mut line, mut column) = (place.line, place.col);
    let rest = text.split_inclusive('\n').nth(line.saturating_sub(1)).map_or("", |found| {
        let start = found.char_indices().nth(column.saturating_sub(1)).map_or(found.len(), |(at, _)| at);
        // `found` is a part of `text`.
        &text[found.as_ptr() as usize - text.as_ptr() as usize + start..]
    });
    let blanks = rest.chars().take_while(|c| c.is_whitespace());
    if rest.trim_start().is_empty() {
        return (line, column);
    }
    for blank in blanks {
        (line, column) = if blank == '\n' { (line + 1, 1) } else { (line, column + 1) };
    }
    (line, column)
}

/// The candidate that `found` was probably meant to be, if one is near.
fn nearest(found: &str, candidates: &[&str]) -> Option<String> {
    let score = |candidate: &&&str| (strsim::jaro_winkler(found, candidate) * 1000.0) as u32;
    candidates.iter().max_by_key(score).filter(|best| score(best) > 800).map(|best| (*best).to_owned())
}

/// A step to a field: its name, or its place in a list.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Field(&'static str),
    Item(usize),
}

/// The path as it is told.
pub(super) fn path_of(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Field(name) if path.is_empty() => path.push_str(name),
            Step::Field(name) => path.push_str(&format!(".{name}")),
            Step::Item(place) => path.push_str(&format!("[{place}]")),
        }
    }
    path
}

/// Line and column of a field of a text that was read before; of what holds it, where it was not written.
pub(super) fn find(text: &str, steps: &[Step]) -> (usize, usize) {
    (0..=steps.len())
        .rev()
        .find_map(|depth| {
            let mut reader = ron::Deserializer::from_str_with_options(text, &options()).ok()?;
            let walked = Walk(&steps[..depth]).deserialize(&mut reader);
            let error = walked.err().filter(|error| *error == ron::Error::Message(FOUND.to_owned()))?;
            Some(first_word(text, reader.span_error(error).span.start))
        })
        .unwrap_or((1, 1))
}

/// What the walk fails with where it was to arrive: the reader knows the place of a failure, and of nothing else.
const FOUND: &str = "found";

struct Walk<'a>(&'a [Step]);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.0.is_empty() {
            return Err(D::Error::custom(FOUND));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what was read before")
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match self.0.split_first() {
                Some((Step::Field(name), rest)) if *name == key => map.next_value_seed(Walk(rest))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut place = 0;
        loop {
            let more = match self.0.split_first() {
                Some((Step::Item(wanted), rest)) if *wanted == place => {
                    list.next_element_seed(Walk(rest))?.is_some()
                }
                _ => list.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                return Ok(());
            }
            place += 1;
        }
    }
}
