//! The tree as text: its files, and Rust code without comments, literals and tests.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A Rust file.
pub(crate) struct Source {
    /// Relative to the workspace, with `/`.
    pub(crate) path: String,
    /// As it stands.
    pub(crate) text: String,
    /// With blanks for comments and the insides of literals; offsets and lines are those of `text`.
    pub(crate) code: String,
    /// `code` with blanks for what only tests see.
    pub(crate) product: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = without_comments_and_literals(text);
        let product = without_tests(&code);
        Self { path: path.to_owned(), text: text.to_owned(), code, product }
    }

    /// The first folder or file below `root`, without `.rs`; none for a file elsewhere or for the crate's root.
    pub(crate) fn layer(&self, root: &str) -> Option<&str> {
        let below = self.path.strip_prefix(root)?.strip_prefix('/')?;
        let name = below.split('/').next()?.trim_end_matches(".rs");
        (!matches!(name, "lib" | "main")).then_some(name)
    }

    /// `path:line`, for messages.
    pub(crate) fn at(&self, offset: usize) -> String {
        format!("{}:{}", self.path, self.text[..offset].lines().count().max(1))
    }
}

/// The workspace's folder.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files of the tree in order of their paths, without what builds and runs leave.
pub(crate) fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    gather(workspace(), &mut found);
    found.sort();
    found
}

fn gather(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the tree can be read") {
        let path = entry.expect("an entry of the tree can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !matches!(name.as_str(), ".git" | "target" | "runs") {
                gather(&path, found);
            }
        } else if name != ".git" {
            found.push(path);
        }
    }
}

/// A file's path relative to the workspace, with `/`.
pub(crate) fn name_of(path: &Path) -> String {
    let relative = path.strip_prefix(workspace()).expect("inside the workspace");
    relative.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// All Rust files; those that a parent declares as `#[cfg(test)] mod name;` have no product code.
pub(crate) fn sources() -> Vec<Source> {
    let mut sources: Vec<Source> = files()
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| Source::new(&name_of(path), &fs::read_to_string(path).expect("Rust is UTF-8")))
        .collect();
    let only_tests: Vec<String> = sources.iter().flat_map(test_modules).collect();
    for source in &mut sources {
        let stem = source.path.trim_end_matches(".rs").trim_end_matches("/mod");
        if only_tests.iter().any(|test| stem == test || stem.starts_with(&format!("{test}/"))) {
            source.product = blank(&source.product, 0, source.product.len());
        }
    }
    sources
}

/// Paths, without `.rs`, of the modules that a file declares for tests only.
fn test_modules(source: &Source) -> Vec<String> {
    let stem = source.path.trim_end_matches(".rs");
    let parent = stem.rsplit_once('/').map_or("", |(parent, _)| parent);
    let folder = ["/mod", "/lib", "/main"].iter().find_map(|root| stem.strip_suffix(root)).unwrap_or(stem);
    let mut found = Vec::new();
    for (start, attribute) in source.code.match_indices(TEST_ONLY) {
        let from = start + attribute.len();
        let length = item_length(&source.code[from..]);
        let (code, text) = (&source.code[from..from + length], &source.text[from..from + length]);
        let Some((before, name)) = code.trim_end_matches(';').rsplit_once("mod ") else { continue };
        if code.contains('{') {
            continue;
        }
        // `#[path]` counts from the folder of the file that says it.
        let path = before.find("#[path").and_then(|_| text.split('"').nth(1));
        found.push(path.map_or_else(
            || format!("{folder}/{}", name.trim()),
            |path| format!("{parent}/{}", path.trim_end_matches(".rs")),
        ));
    }
    found
}

const TEST_ONLY: &str = "#[cfg(test)]";

/// `text` with blanks for bytes `from` to `to`; lines stay.
fn blank(text: &str, from: usize, to: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for byte in &mut bytes[from..to] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
    String::from_utf8(bytes).expect("whole characters were replaced")
}

fn without_tests(code: &str) -> String {
    let mut product = code.to_owned();
    for (start, attribute) in code.match_indices(TEST_ONLY) {
        let from = start + attribute.len();
        product = blank(&product, start, from + item_length(&code[from..]));
    }
    product
}

/// Bytes to the end of the item that `code` starts with: its `;`, or the brace that closes its body.
fn item_length(code: &str) -> usize {
    let ends_with_body = !code.trim_start().starts_with("use ");
    let mut depth = 0_usize;
    for (offset, byte) in code.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && ends_with_body {
                    return offset + 1;
                }
            }
            b';' if depth == 0 => return offset + 1,
            _ => {}
        }
    }
    code.len()
}

fn without_comments_and_literals(text: &str) -> String {
    let mut out = text.to_owned();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let previous = text[..at].chars().next_back();
        let (keep, length) = if rest.starts_with("//") {
            (0, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            (0, comment_length(rest))
        } else if rest.starts_with('"') {
            (1, text_length(rest))
        } else if rest.starts_with("r\"") || rest.starts_with("r#") {
            if previous.is_some_and(|c| c.is_alphanumeric() && c != 'b' || c == '_') {
                (0, 0)
            } else {
                (1, raw_length(rest))
            }
        } else if rest.starts_with('\'') {
            (1, character_length(rest))
        } else {
            (0, 0)
        };
        if length > 0 {
            let inner_end = at + length - keep.min(length - 1);
            out = if at + keep < inner_end { blank(&out, at + keep, inner_end) } else { out };
            at += length;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    out
}

fn comment_length(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    let bytes = text.as_bytes();
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn text_length(text: &str) -> usize {
    let mut escaped = false;
    for (offset, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return offset + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of the raw text or raw identifier that `text` starts with; 0 for the latter.
fn raw_length(text: &str) -> usize {
    let hashes = text[1..].bytes().take_while(|&byte| byte == b'#').count();
    if text.as_bytes().get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    text[2 + hashes..].find(&end).map_or(text.len(), |offset| 2 + hashes + offset + end.len())
}

/// Length of the character literal that `text` starts with; 0 for a lifetime.
fn character_length(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => text[3..].find('\'').map_or(0, |offset| 3 + offset + 1),
        Some(_) => characters.next().filter(|&(_, c)| c == '\'').map_or(0, |(offset, _)| offset + 1),
        None => 0,
    }
}

#[test]
fn only_code_is_left_of_a_file() {
    let text = "let a = \"HashMap\"; // HashMap\nlet b = '\\''; let c: &'static str = r#\"HashMap\"#; /* HashMap */ b";
    let code = without_comments_and_literals(text);
    assert!(
        !code.contains("HashMap") && code.contains("let c: &'static str") && code.ends_with(" b"),
        "{code}"
    );
    assert_eq!(code.len(), text.len());
}

#[test]
fn tests_are_told_from_the_product() {
    let text =
        "fn a() {}\n#[cfg(test)]\nuse x::{y, z};\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
    let source = Source::new("src/a/b.rs", text);
    assert!(source.code.contains("fn b()") && source.code.contains("use x"));
    assert!(!source.product.contains("fn b()") && !source.product.contains("use x"));
    assert!(source.product.contains("fn a()") && source.product.contains("fn c()"));
    assert_eq!(test_modules(&Source::new("src/a/mod.rs", "#[cfg(test)]\nmod tests;")), ["src/a/tests"]);
    assert_eq!(test_modules(&Source::new("src/a/b.rs", "#[cfg(test)]\nmod tests;")), ["src/a/b/tests"]);
    let elsewhere = "#[cfg(test)]\n#[path = \"b_tests.rs\"]\nmod tests;";
    assert_eq!(test_modules(&Source::new("src/a/b.rs", elsewhere)), ["src/a/b_tests"]);
}
