//! RON as a tree in which every value knows its place: [`parse`].
//!
//! The `ron` crate forgets positions once a value has its type, stops at the first mistake, and takes duplicate keys and NaN
//! silently. This reader takes the language that scenarios are written in (`ron`'s data model with implicit `Some`), and a
//! test holds it against `ron` itself. Reading takes time linear in the text; depth is bounded before recursion.

use super::source::Span;

/// Deepest nesting of brackets.
pub(crate) const MAX_DEPTH: usize = 64;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

/// A value of RON.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Bool(bool),
    /// Finite; the whole number beside it when it was written as one.
    Number(f64, Option<i128>),
    Text(String),
    Char(char),
    List(Vec<Node>),
    /// `Name`
    Word(String),
    /// `(a, b)` or `Name(a, b)`; also `()`.
    Tuple(Option<Name>, Vec<Node>),
    /// `(field: value)` or `Name(field: value)`
    Struct(Option<Name>, Vec<Entry>),
    /// `{ key: value }`
    Map(Vec<(Node, Node)>),
}

/// A name and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// A field and its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) name: Name,
    pub(crate) value: Node,
}

/// Where and why a text is not RON.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SyntaxError {
    pub(crate) span: Span,
    pub(crate) found: String,
    pub(crate) allowed: String,
    /// The bracket that was open.
    pub(crate) opened: Option<Span>,
    pub(crate) too_deep: bool,
}

/// Reads `text`, the file number `file` of the sources.
pub(crate) fn parse(file: u32, text: &str) -> Result<Node, SyntaxError> {
    let mut reader =
        Reader { file, text, at: if text.starts_with('\u{feff}') { 3 } else { 0 }, open: Vec::new() };
    reader.blank()?;
    reader.attributes()?;
    let node = reader.value()?;
    reader.blank()?;
    if reader.at < text.len() {
        return Err(reader.unexpected("the end of the file"));
    }
    Ok(node)
}

struct Reader<'a> {
    file: u32,
    text: &'a str,
    at: usize,
    /// Where each bracket that is open stands.
    open: Vec<usize>,
}

type Parsed<T> = Result<T, SyntaxError>;

impl Reader<'_> {
    fn span(&self, start: usize, end: usize) -> Span {
        Span { file: self.file, start: start as u32, end: end as u32 }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, token: &str) -> bool {
        let there = self.rest().starts_with(token);
        if there {
            self.at += token.len();
        }
        there
    }

    fn error(&self, span: Span, found: impl Into<String>, allowed: &str) -> SyntaxError {
        let opened = self.open.last().map(|&at| self.span(at, at + 1));
        SyntaxError { span, found: found.into(), allowed: allowed.to_owned(), opened, too_deep: false }
    }

    /// What stands here is not what is `allowed`.
    fn unexpected(&self, allowed: &str) -> SyntaxError {
        match self.peek() {
            None => {
                let blank_start = self.text.trim_end().len();
                let start = self.text[..blank_start].char_indices().last().map_or(0, |(at, _)| at);
                self.error(self.span(start, blank_start.max(start)), "the end of the file", allowed)
            }
            Some(c) => self.error(
                self.span(self.at, self.at + c.len_utf8()),
                format!("`{}`", c.escape_debug()),
                allowed,
            ),
        }
    }

    /// Skips white space and comments.
    fn blank(&mut self) -> Parsed<()> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches(is_blank);
            self.at += rest.len() - trimmed.len();
            if self.rest().starts_with("//") {
                self.at += self.rest().find('\n').unwrap_or(self.rest().len());
            } else if self.rest().starts_with("/*") {
                self.block_comment()?;
            } else {
                return Ok(());
            }
        }
    }

    fn block_comment(&mut self) -> Parsed<()> {
        let start = self.at;
        self.at += 2;
        let mut depth = 1_u32;
        while depth > 0 {
            if self.take("/*") {
                depth += 1;
            } else if self.take("*/") {
                depth -= 1;
            } else if let Some(c) = self.peek() {
                self.at += c.len_utf8();
            } else {
                return Err(self.error(
                    self.span(start, start + 2),
                    "a comment without an end",
                    "`*/` that closes it",
                ));
            }
        }
        Ok(())
    }

    fn attributes(&mut self) -> Parsed<()> {
        while self.rest().starts_with("#") {
            let start = self.at;
            let end = start + self.rest().find(['\n', ']']).map_or(self.rest().len(), |at| at + 1);
            let written: String = self.text[start..end].chars().filter(|c| !c.is_whitespace()).collect();
            if written != "#![enable(implicit_some)]" {
                let span = self.span(start, self.text[..end].trim_end().len());
                return Err(self.error(span, "another attribute", "`#![enable(implicit_some)]`, or none"));
            }
            self.at = end;
            self.blank()?;
        }
        Ok(())
    }

    fn value(&mut self) -> Parsed<Node> {
        let start = self.at;
        let value = match self.peek() {
            Some('"') => Value::Text(self.string()?),
            Some('\'') => Value::Char(self.character()?),
            Some('[') => self.list()?,
            Some('{') => self.map()?,
            Some('(') => self.parenthesis(None)?,
            Some(c) if c.is_ascii_digit() || matches!(c, '+' | '-' | '.') => self.number()?,
            Some('r') if matches!(self.text.as_bytes().get(self.at + 1), Some(b'"' | b'#')) => {
                self.raw_string()?
            }
            Some(c) if is_name_start(c) => self.named()?,
            _ => return Err(self.unexpected("a value")),
        };
        Ok(Node { span: self.span(start, self.at), value })
    }

    fn enter(&mut self) -> Parsed<()> {
        if self.open.len() >= MAX_DEPTH {
            let span = self.span(self.at, self.at + 1);
            let mut error =
                self.error(span, "one more bracket", &format!("at most {MAX_DEPTH} nested brackets"));
            error.too_deep = true;
            return Err(error);
        }
        self.open.push(self.at);
        self.at += 1;
        self.blank()
    }

    fn leave(&mut self, close: &str) -> bool {
        let left = self.take(close);
        if left {
            self.open.pop();
        }
        left
    }

    /// After an element: whether another may follow.
    fn comma(&mut self, close: &str) -> Parsed<bool> {
        self.blank()?;
        if self.take(",") {
            self.blank()?;
            return Ok(!self.rest().starts_with(close));
        }
        if self.rest().starts_with(close) {
            return Ok(false);
        }
        Err(self.unexpected(&format!("`,` or `{close}`")))
    }

    fn list(&mut self) -> Parsed<Value> {
        self.enter()?;
        let mut items = Vec::new();
        let mut more = !self.rest().starts_with(']');
        while more {
            items.push(self.value()?);
            more = self.comma("]")?;
        }
        self.leave("]");
        Ok(Value::List(items))
    }

    fn map(&mut self) -> Parsed<Value> {
        self.enter()?;
        let mut entries = Vec::new();
        let mut more = !self.rest().starts_with('}');
        while more {
            let key = self.value()?;
            self.blank()?;
            if !self.take(":") {
                return Err(self.unexpected("`:`"));
            }
            self.blank()?;
            entries.push((key, self.value()?));
            more = self.comma("}")?;
        }
        self.leave("}");
        Ok(Value::Map(entries))
    }

    fn parenthesis(&mut self, name: Option<Name>) -> Parsed<Value> {
        self.enter()?;
        if self.leave(")") {
            return Ok(Value::Tuple(name, Vec::new()));
        }
        if !self.at_field()? {
            let mut items = Vec::new();
            let mut more = true;
            while more {
                items.push(self.value()?);
                more = self.comma(")")?;
            }
            self.leave(")");
            return Ok(Value::Tuple(name, items));
        }
        let mut entries = Vec::new();
        let mut more = true;
        while more {
            entries.push(self.entry()?);
            more = self.comma(")")?;
        }
        self.leave(")");
        Ok(Value::Struct(name, entries))
    }

    /// Whether `name:` stands here.
    fn at_field(&mut self) -> Parsed<bool> {
        let start = self.at;
        let named = self.peek().is_some_and(is_name_start);
        if named {
            self.name();
            self.blank()?;
        }
        let field = named && self.rest().starts_with(':');
        self.at = start;
        Ok(field)
    }

    fn entry(&mut self) -> Parsed<Entry> {
        if !self.peek().is_some_and(is_name_start) {
            return Err(self.unexpected("a field's name"));
        }
        let name = self.name();
        self.blank()?;
        if !self.take(":") {
            return Err(self.unexpected("`:` after the field's name"));
        }
        self.blank()?;
        Ok(Entry { name, value: self.value()? })
    }

    fn name(&mut self) -> Name {
        let start = self.at;
        let rest = self.rest();
        let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        self.at += length;
        Name { text: self.text[start..self.at].to_owned(), span: self.span(start, self.at) }
    }

    fn named(&mut self) -> Parsed<Value> {
        let name = self.name();
        match name.text.as_str() {
            "true" => return Ok(Value::Bool(true)),
            "false" => return Ok(Value::Bool(false)),
            _ => {}
        }
        let after = self.at;
        self.blank()?;
        if self.rest().starts_with('(') {
            return self.parenthesis(Some(name));
        }
        self.at = after;
        Ok(Value::Word(name.text))
    }

    fn number(&mut self) -> Parsed<Value> {
        let start = self.at;
        let rest = self.rest();
        let mut length = 0;
        let mut previous = ' ';
        let hex = rest.trim_start_matches(['+', '-']).starts_with("0x");
        for (at, c) in rest.char_indices() {
            let sign = matches!(c, '+' | '-') && (at == 0 || (matches!(previous, 'e' | 'E') && !hex));
            if !(sign || c.is_ascii_alphanumeric() || matches!(c, '.' | '_')) {
                break;
            }
            previous = c;
            length = at + c.len_utf8();
        }
        self.at += length;
        let written = &self.text[start..self.at];
        number_value(written).ok_or_else(|| {
            let what = format!("`{written}`");
            self.error(self.span(start, self.at), what, "a finite number such as 12, -3.5 or 1e-6")
        })
    }

    fn string(&mut self) -> Parsed<String> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.peek() {
                None => {
                    let span = self.span(start, start + 1);
                    return Err(self.error(span, "a text without an end", "`\"` that closes it"));
                }
                Some('"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some('\\') => {
                    let escaped = self.escape()?;
                    text.push(escaped);
                }
                Some(c) => {
                    text.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
    }

    fn escape(&mut self) -> Parsed<char> {
        let start = self.at;
        self.at += 1;
        let kind = self.peek();
        self.at += kind.map_or(0, char::len_utf8);
        let escaped = match kind {
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('0') => Some('\0'),
            Some(c @ ('"' | '\'' | '\\')) => Some(c),
            Some('x') => self.hexadecimal(2),
            Some('u') => self.braced(),
            _ => None,
        };
        escaped.ok_or_else(|| {
            let span = self.span(start, self.at);
            self.error(span, "an unknown escape", r#"\n, \r, \t, \0, \", \', \\, \xHH or \u{H…}"#)
        })
    }

    fn hexadecimal(&mut self, digits: usize) -> Option<char> {
        let written = self.text.get(self.at..self.at + digits)?;
        let code = written
            .bytes()
            .all(|b| b.is_ascii_hexdigit())
            .then(|| u32::from_str_radix(written, 16).ok())??;
        self.at += digits;
        char::from_u32(code)
    }

    fn braced(&mut self) -> Option<char> {
        if !self.take("{") {
            return None;
        }
        let digits = self.rest().find('}').filter(|&digits| (1..=6).contains(&digits))?;
        let c = self.hexadecimal(digits)?;
        self.take("}");
        Some(c)
    }

    fn character(&mut self) -> Parsed<char> {
        let start = self.at;
        self.at += 1;
        let c = match self.peek() {
            Some('\\') => Some(self.escape()?),
            Some(c) if c != '\'' => {
                self.at += c.len_utf8();
                Some(c)
            }
            _ => None,
        };
        match c {
            Some(c) if self.take("'") => Ok(c),
            _ => Err(self.error(self.span(start, start + 1), "a quote", "one character between quotes")),
        }
    }

    fn raw_string(&mut self) -> Parsed<Value> {
        let start = self.at;
        self.at += 1;
        let hashes = self.rest().len() - self.rest().trim_start_matches('#').len();
        self.at += hashes;
        if !self.take("\"") {
            return Err(self.unexpected("`\"` of a raw text"));
        }
        let close = format!("\"{}", "#".repeat(hashes));
        let Some(length) = self.rest().find(&close) else {
            let span = self.span(start, start + 1);
            return Err(self.error(span, "a raw text without an end", &format!("`{close}` that closes it")));
        };
        let text = self.rest()[..length].to_owned();
        self.at += length + close.len();
        Ok(Value::Text(text))
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn number_value(written: &str) -> Option<Value> {
    let plain: String = written.chars().filter(|&c| c != '_').collect();
    let (negative, digits) = match plain.as_bytes().first()? {
        b'-' => (true, &plain[1..]),
        b'+' => (false, &plain[1..]),
        _ => (false, plain.as_str()),
    };
    let radix = match digits.get(..2) {
        Some("0x") => 16,
        Some("0b") => 2,
        Some("0o") => 8,
        _ => 10,
    };
    let bare = if radix == 10 { digits } else { &digits[2..] };
    if !bare.starts_with(['+', '-']) {
        if let Ok(whole) = i128::from_str_radix(bare, radix) {
            let whole = if negative { -whole } else { whole };
            return Some(Value::Number(whole as f64, Some(whole)));
        }
    }
    if radix != 10 || !bare.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let number: f64 = plain.parse().ok()?;
    number.is_finite().then_some(Value::Number(number, None))
}
