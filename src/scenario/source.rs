//! The files that a scenario was read from: [`Sources`], and places in them: [`Span`].

use std::{ops::Range, path::PathBuf};

use codespan_reporting::files::SimpleFiles;
use sha2::{Digest, Sha256};

/// Largest file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 16 << 20;

/// A stretch of bytes in one of the sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) file: u32,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// One file's name as the user would write it, and its text.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: String,
    /// Where it was found; `None` for a text without a file.
    pub(crate) path: Option<PathBuf>,
}

/// All files of one scenario, in the order in which they were read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    files: Vec<Source>,
}

impl Sources {
    pub(crate) fn add(&mut self, source: Source) -> u32 {
        self.files.push(source);
        (self.files.len() - 1) as u32
    }

    /// Names and texts.
    pub(crate) fn into_files(self) -> Vec<(String, String)> {
        self.files.into_iter().map(|source| (source.name, source.text)).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    pub(crate) fn get(&self, file: u32) -> &Source {
        &self.files[file as usize]
    }

    /// The text that a span covers.
    pub(crate) fn text(&self, span: Span) -> &str {
        self.get(span.file).text.get(span.range()).unwrap_or_default()
    }

    /// Line and column of a span's start, both from 1; columns count characters.
    pub(crate) fn line_column(&self, span: Span) -> (usize, usize) {
        let text = &self.get(span.file).text;
        let before = text.get(..span.start as usize).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// Length in bytes of the longest line that a span touches.
    pub(crate) fn longest_line(&self, span: Span) -> usize {
        let text = self.get(span.file).text.as_bytes();
        let newline = |byte: &u8| *byte == b'\n';
        let (start, end) = (text.len().min(span.start as usize), text.len().min(span.end as usize));
        let first = text[..start].iter().rposition(newline).map_or(0, |at| at + 1);
        let last = text[end..].iter().position(newline).map_or(text.len(), |at| end + at);
        text[first..last].split(|byte| newline(byte)).map(<[u8]>::len).max().unwrap_or(0)
    }

    pub(crate) fn for_reporting(&self) -> SimpleFiles<&str, &str> {
        let mut files = SimpleFiles::new();
        for source in &self.files {
            files.add(source.name.as_str(), source.text.as_str());
        }
        files
    }

    /// SHA-256 over length and text of each file. Names stay out, so that a moved scenario keeps its hash.
    pub(crate) fn hash(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for source in &self.files {
            hasher.update((source.text.len() as u64).to_le_bytes());
            hasher.update(source.text.as_bytes());
        }
        hasher.finalize().into()
    }
}
