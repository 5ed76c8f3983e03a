//! From a file, its includes and imports to a checked scenario.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{
    check::{self, Raw},
    checked::Scenario,
    decode::{Context, Decode, List, Spanned},
    diagnostic::{Diagnostics, Draft, Mistake},
    raw::{RawHosts, RawPart, RawScenario},
    source::{MAX_FILE_BYTES, Source, Sources, Span},
    syntax::{self, Node, Value},
};

/// The version of the format that this program reads.
const VERSION: i128 = 1;
/// Deepest chain of includes.
const MAX_INCLUDE_DEPTH: usize = 8;
/// Files of one scenario in all.
const MAX_FILES: usize = 256;

impl Scenario {
    /// Reads the scenario file at `path`, and all that it includes or imports.
    ///
    /// # Errors
    /// Every mistake that was found: the syntax error, or all values that cannot be read, or all rules that do not hold.
    pub fn load(path: &Path) -> Result<Self, Diagnostics> {
        Self::load_with_files(path).map(|(scenario, _)| scenario)
    }

    /// The same, with the files that were read: their names relative to the scenario's folder, and their texts, the scenario first.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_with_files(path: &Path) -> Result<(Self, Vec<(String, String)>), Diagnostics> {
        let name = path.display().to_string();
        let mut files = Files { root: root_of(path), ..Files::default() };
        match read_text(path) {
            Ok(text) => {
                files.sources.add(Source { name, text, path: Some(path.to_owned()) });
                let (scenario, sources) = files.checked()?;
                let mut read = sources.into_files();
                if let (Some((first, _)), Some(name)) = (read.first_mut(), path.file_name()) {
                    *first = name.to_string_lossy().into_owned();
                }
                Ok((scenario, read))
            }
            Err(refusal) => {
                let end = refusal.prefix.len() as u32;
                files.sources.add(Source { name, text: refusal.prefix, path: None });
                let span = Span { file: 0, start: end, end };
                let Refusal { mistake, found, allowed, .. } = refusal.why;
                files.draft(span, mistake, found, allowed);
                Err(files.diagnostics())
            }
        }
    }

    /// Reads a scenario from `text`, called `name` in messages. Without a file there is nothing to include or import from.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(name: &str, text: &str) -> Result<Self, Diagnostics> {
        let mut files = Files::default();
        files.sources.add(Source { name: name.to_owned(), text: text.to_owned(), path: None });
        files.scenario()
    }
}

/// What was read, and what was found wrong with it.
#[derive(Default)]
pub(super) struct Files {
    pub(super) sources: Sources,
    pub(super) drafts: Vec<Draft>,
    /// The scenario's folder, canonical: nothing outside of it is read.
    root: Option<PathBuf>,
    /// Files in the order in which they include one another, canonical, the scenario first.
    chain: Vec<PathBuf>,
    /// Parts taken in so far, canonical.
    parts: Vec<PathBuf>,
}

impl Files {
    /// The text of a file that a field names, relative to the file that the field stands in.
    pub(super) fn import(&mut self, name: &Spanned<String>) -> Option<Source> {
        let path = self.resolve(name)?;
        self.take_in(name, path).map(|file| self.sources.get(file).clone())
    }

    fn scenario(self) -> Result<Scenario, Diagnostics> {
        self.checked().map(|(scenario, _)| scenario)
    }

    fn checked(mut self) -> Result<(Scenario, Sources), Diagnostics> {
        let checked = self.raw().and_then(|raw| check::check(&raw, &mut self));
        match checked {
            Some(scenario) if self.drafts.is_empty() => Ok((scenario, self.sources)),
            _ => Err(self.diagnostics()),
        }
    }

    fn diagnostics(self) -> Diagnostics {
        Diagnostics::new(self.drafts, self.sources)
    }

    fn raw(&mut self) -> Option<Raw> {
        if let Some(path) = self.sources.get(0).path.as_ref().and_then(|path| path.canonicalize().ok()) {
            self.chain.push(path);
        }
        let root: RawScenario = self.decode(0)?;
        let mut raw = Raw {
            classes: elements(root.classes.as_ref()),
            kits: elements(root.kits.as_ref()),
            assets: elements(root.assets.as_ref()),
            root,
        };
        raw.assets.extend(elements(raw.root.hosts.as_ref()).iter().flat_map(Spanned::<RawHosts>::assets));
        let includes = raw.root.includes.clone();
        self.includes(includes.as_ref(), &mut raw);
        self.drafts.is_empty().then_some(raw)
    }

    fn includes(&mut self, includes: Option<&List<String>>, raw: &mut Raw) {
        for include in includes.map(|list| list.value.as_slice()).unwrap_or_default() {
            let Some(path) = self.resolve(include) else { continue };
            if !self.may_include(include, &path) {
                continue;
            }
            self.parts.push(path.clone());
            let Some(file) = self.take_in(include, path.clone()) else { continue };
            let Some(part) = self.decode::<RawPart>(file) else { continue };
            debug_assert_eq!(
                i128::from(part.version.value),
                VERSION,
                "other versions are refused before decoding"
            );
            raw.classes.extend(elements(part.classes.as_ref()));
            raw.kits.extend(elements(part.kits.as_ref()));
            raw.assets.extend(elements(part.assets.as_ref()));
            self.chain.push(path);
            self.includes(part.includes.as_ref(), raw);
            self.chain.pop();
        }
    }

    fn may_include(&mut self, include: &Spanned<String>, path: &PathBuf) -> bool {
        let (found, allowed) = if self.chain.contains(path) {
            (
                "a file that includes itself, by way of this line",
                "parts that do not include one another in a circle",
            )
        } else if self.parts.contains(path) {
            ("a file that is included already", "each part once")
        } else if self.chain.len() > MAX_INCLUDE_DEPTH {
            ("one more part inside a part", "a chain of at most 8 includes")
        } else {
            return true;
        };
        self.refuse(include, Mistake::Include, found.to_owned(), allowed.to_owned());
        false
    }

    /// The canonical path of a file that a field names.
    fn resolve(&mut self, name: &Spanned<String>) -> Option<PathBuf> {
        let from = self.sources.get(name.place.span.file).path.clone();
        let (Some(root), Some(from)) = (self.root.clone(), from) else {
            let found = format!("\"{}\" in a text without a folder", name.value);
            self.refuse(name, Mistake::Include, found, "a scenario that is read from a file".to_owned());
            return None;
        };
        let found = format!("\"{}\"", name.value);
        let relative = Path::new(&name.value);
        if name.value.is_empty() || relative.is_absolute() {
            self.refuse(name, Mistake::Include, found, "a path relative to this file".to_owned());
            return None;
        }
        let joined = from.parent().unwrap_or(Path::new("")).join(relative);
        match joined.canonicalize() {
            Err(error) => {
                self.refuse(
                    name,
                    Mistake::Include,
                    format!("{found}: {error}"),
                    "a file that can be read".to_owned(),
                );
                None
            }
            Ok(path) if !path.starts_with(&root) => {
                self.refuse(name, Mistake::Include, found, "a file inside the scenario's folder".to_owned());
                None
            }
            Ok(path) => Some(path),
        }
    }

    fn take_in(&mut self, name: &Spanned<String>, path: PathBuf) -> Option<u32> {
        if self.sources.len() >= MAX_FILES {
            let allowed = format!("at most {MAX_FILES} files in all");
            self.refuse(name, Mistake::Include, "one more file".to_owned(), allowed);
            return None;
        }
        let shown = self.root.as_ref().and_then(|root| path.strip_prefix(root).ok()).unwrap_or(&path);
        let shown = shown.display().to_string();
        match read_text(&path) {
            Ok(text) => Some(self.sources.add(Source { name: shown, text, path: Some(path) })),
            Err(unread) => {
                let Refusal { found, allowed, mistake } = unread.why;
                self.refuse(name, mistake, found, allowed);
                None
            }
        }
    }

    fn refuse(&mut self, name: &Spanned<String>, mistake: Mistake, found: String, allowed: String) {
        let (span, field) = (name.place.span, name.place.field.to_string());
        self.drafts.push(Draft {
            mistake,
            span,
            field,
            found,
            allowed,
            suggestion: None,
            related: Vec::new(),
        });
    }

    fn draft(&mut self, span: Span, mistake: Mistake, found: String, allowed: String) {
        let field = String::new();
        self.drafts.push(Draft {
            mistake,
            span,
            field,
            found,
            allowed,
            suggestion: None,
            related: Vec::new(),
        });
    }

    /// Parses and decodes the file number `file`.
    fn decode<T: Decode>(&mut self, file: u32) -> Option<T> {
        let text = &self.sources.get(file).text;
        if text.trim().is_empty() {
            let span = Span { file, start: 0, end: 0 };
            self.draft(span, Mistake::Syntax, "an empty file".to_owned(), "fields in parentheses".to_owned());
            return None;
        }
        match syntax::parse(file, text) {
            Ok(node) if !self.version_known(&node) => None,
            Ok(node) => {
                let mut context = Context::default();
                let value = T::decode(&node, &mut context);
                let clean = context.drafts.is_empty();
                self.drafts.append(&mut context.drafts);
                value.filter(|_| clean)
            }
            Err(error) => {
                let mistake = if error.too_deep { Mistake::TooDeep } else { Mistake::Syntax };
                let opened = error.opened.filter(|opened| !opened.range().eq(error.span.range()));
                self.drafts.push(Draft {
                    mistake,
                    span: error.span,
                    field: String::new(),
                    found: error.found,
                    allowed: error.allowed,
                    suggestion: None,
                    related: opened.map(|span| (span, "inside this".to_owned())).into_iter().collect(),
                });
                None
            }
        }
    }

    /// Fields of another version mean nothing to this program: only the version itself is reported then.
    fn version_known(&mut self, node: &Node) -> bool {
        let Value::Struct(_, entries) = &node.value else { return true };
        let Some(version) = entries.iter().find(|entry| entry.name.text == "version") else { return true };
        if !matches!(version.value.value, Value::Number(_, Some(whole)) if whole != VERSION) {
            return true;
        }
        self.drafts.push(Draft {
            mistake: Mistake::Version,
            span: version.value.span,
            field: "version".to_owned(),
            found: version.value.describe(),
            allowed: format!("version {VERSION}, which this program reads"),
            suggestion: None,
            related: Vec::new(),
        });
        false
    }
}

fn elements<T: Clone>(list: Option<&List<T>>) -> Vec<Spanned<T>> {
    list.map(|list| list.value.clone()).unwrap_or_default()
}

fn root_of(path: &Path) -> Option<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    folder.canonicalize().ok()
}

/// Why a file is not taken.
struct Refusal {
    mistake: Mistake,
    found: String,
    allowed: String,
}

/// A file that is not taken, and the text before the place where reading stopped.
struct Unread {
    why: Refusal,
    prefix: String,
}

fn unread(mistake: Mistake, found: String, allowed: &str) -> Unread {
    Unread { why: Refusal { mistake, found, allowed: allowed.to_owned() }, prefix: String::new() }
}

fn read_text(path: &Path) -> Result<String, Unread> {
    let bytes = read_bytes(path)
        .map_err(|error| unread(Mistake::Unreadable, error.to_string(), "a file that can be read"))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let found = format!("more than {MAX_FILE_BYTES} bytes");
        return Err(unread(Mistake::TooLarge, found, "a file of at most 16 MiB"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let prefix = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
        let found = format!("the byte 0x{:02x}", error.as_bytes()[valid]);
        Unread { prefix, ..unread(Mistake::NotUtf8, found, "UTF-8 text") }
    })
}

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // The limit holds for files whose size is not known before they are read, such as devices.
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
