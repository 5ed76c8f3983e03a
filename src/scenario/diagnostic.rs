//! Mistakes in a scenario, each with its place: [`Diagnostics`].

use std::fmt;

use codespan_reporting::{
    diagnostic::{Diagnostic as Reported, Label},
    term,
};
use serde::Serialize;

use super::source::{Sources, Span};

/// What kind of mistake it is; its name in kebab case is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mistake {
    /// The file could not be read.
    Unreadable,
    /// The file is larger than [`MAX_FILE_BYTES`](super::MAX_FILE_BYTES).
    TooLarge,
    /// The file is not UTF-8.
    NotUtf8,
    /// The text is not RON.
    Syntax,
    /// Brackets are nested deeper than any scenario needs.
    TooDeep,
    /// `version` is not one that this program reads.
    Version,
    /// A field or key is given twice.
    DuplicateField,
    /// A field that does not exist here.
    UnknownField,
    /// A field that must be there is not.
    MissingField,
    /// A value of another type.
    WrongType,
    /// A name that is not one of the choices.
    UnknownChoice,
    /// A text that is not a number with a unit of the right kind.
    BadQuantity,
    /// A value outside of its range.
    OutOfRange,
    /// A name that nothing in the scenario has.
    UnknownName,
    /// A name or number that another already has.
    DuplicateName,
    /// Values that cannot be together.
    Inconsistent,
    /// A file that cannot be included or imported.
    Include,
}

impl Mistake {
    const fn title(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable file",
            Self::TooLarge => "file too large",
            Self::NotUtf8 => "not UTF-8",
            Self::Syntax => "syntax error",
            Self::TooDeep => "nested too deep",
            Self::Version => "unknown version",
            Self::DuplicateField => "field given twice",
            Self::UnknownField => "unknown field",
            Self::MissingField => "missing field",
            Self::WrongType => "wrong type",
            Self::UnknownChoice => "unknown choice",
            Self::BadQuantity => "not a quantity",
            Self::OutOfRange => "value out of range",
            Self::UnknownName => "unknown name",
            Self::DuplicateName => "name given twice",
            Self::Inconsistent => "values do not fit together",
            Self::Include => "file cannot be taken in",
        }
    }
}

/// One mistake, as the checks state it.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) mistake: Mistake,
    pub(crate) span: Span,
    pub(crate) field: String,
    pub(crate) found: String,
    pub(crate) allowed: String,
    pub(crate) suggestion: Option<String>,
    pub(crate) related: Vec<(Span, String)>,
}

/// One mistake: where, what was found, what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// What kind of mistake it is.
    pub mistake: Mistake,
    /// The file as the user named it, or as an include did.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Path of the field from the file's root, `assets[2].motion.elements.eccentricity`; empty for the root.
    pub field: String,
    /// What was found.
    pub found: String,
    /// What is allowed.
    pub allowed: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl fmt::Display for Diagnostic {
    /// One line: file, position, field, found, allowed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.mistake.title())?;
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": found {}; allowed: {}", self.found, self.allowed)?;
        match &self.suggestion {
            Some(meant) => write!(f, "; did you mean {meant}?"),
            None => Ok(()),
        }
    }
}

/// Every mistake of one scenario, in the order of its text; at least one.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    drafts: Vec<Draft>,
    list: Vec<Diagnostic>,
    sources: Sources,
}

impl Diagnostics {
    pub(crate) fn new(mut drafts: Vec<Draft>, sources: Sources) -> Self {
        drafts.sort_by_key(|draft| (draft.span.file, draft.span.start));
        let list = drafts.iter().map(|draft| place(draft, &sources)).collect();
        Self { drafts, list, sources }
    }

    /// The mistakes.
    #[must_use]
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }

    /// The mistakes with excerpts of the source, as lines of plain text.
    #[must_use]
    pub fn render(&self) -> String {
        let files = self.sources.for_reporting();
        let config = term::Config::default();
        let mut text = String::new();
        for draft in &self.drafts {
            if term::emit_to_string(&mut text, &config, &files, &reported(draft)).is_err() {
                // Only a position outside of its file makes the renderer fail: say the rest at least.
                text.push_str(&place(draft, &self.sources).to_string());
                text.push('\n');
            }
        }
        text
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render())
    }
}

impl std::error::Error for Diagnostics {}

fn place(draft: &Draft, sources: &Sources) -> Diagnostic {
    let (line, column) = sources.line_column(draft.span);
    Diagnostic {
        mistake: draft.mistake,
        file: sources.get(draft.span.file).name.clone(),
        line,
        column,
        field: draft.field.clone(),
        found: draft.found.clone(),
        allowed: draft.allowed.clone(),
        suggestion: draft.suggestion.clone(),
    }
}

fn reported(draft: &Draft) -> Reported<usize> {
    let title = draft.mistake.title();
    let message = if draft.field.is_empty() { title.to_owned() } else { format!("{title}: {}", draft.field) };
    let mut labels = vec![
        Label::primary(draft.span.file as usize, draft.span.range())
            .with_message(format!("found {}", draft.found)),
    ];
    for (span, text) in &draft.related {
        labels.push(Label::secondary(span.file as usize, span.range()).with_message(text));
    }
    let mut notes = vec![format!("allowed: {}", draft.allowed)];
    if let Some(meant) = &draft.suggestion {
        notes.push(format!("did you mean {meant}?"));
    }
    Reported::error().with_message(message).with_labels(labels).with_notes(notes)
}

/// The candidate that `found` was probably meant to be, if one is near.
pub(crate) fn nearest<'a>(found: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = found.to_lowercase();
    let mut best: Option<(f64, &str)> = None;
    for candidate in candidates {
        let score = strsim::jaro_winkler(&lower, &candidate.to_lowercase());
        if score > best.map_or(0.8, |(score, _)| score) {
            best = Some((score, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}
