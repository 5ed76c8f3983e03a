//! From the syntax tree to typed values, gathering every mistake: [`Decode`], and the macros that declare what may be written.

use std::rc::Rc;

use super::{
    diagnostic::{Draft, Mistake, nearest},
    source::Span,
    syntax::{Entry, Name, Node, Value},
};

/// Where a value stands: in the text, and in the tree of fields.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) span: Span,
    pub(crate) field: Rc<str>,
}

/// A value that knows where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

/// A list whose elements know where they stand.
pub(crate) type List<T> = Spanned<Vec<Spanned<T>>>;

/// What has been found wrong so far, and the path of the field at hand.
#[derive(Debug, Default)]
pub(crate) struct Context {
    pub(crate) drafts: Vec<Draft>,
    path: String,
}

impl Context {
    pub(crate) fn report(&mut self, node: &Node, mistake: Mistake, found: String, allowed: String) {
        self.report_meant(node, mistake, found, allowed, None);
    }

    pub(crate) fn report_meant(
        &mut self,
        node: &Node,
        mistake: Mistake,
        found: String,
        allowed: String,
        suggestion: Option<String>,
    ) {
        let field = self.path.clone();
        self.drafts.push(Draft {
            mistake,
            span: node.span,
            field,
            found,
            allowed,
            suggestion,
            related: Vec::new(),
        });
    }

    /// Runs `inner` with the path extended by `segment`.
    fn inside<T>(&mut self, segment: &str, inner: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        if length > 0 && !segment.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(segment);
        let result = inner(self);
        self.path.truncate(length);
        result
    }

    /// The fields of a record, each once and each known.
    pub(crate) fn fields<'a>(&mut self, node: &'a Node, known: &[&str]) -> Option<&'a [Entry]> {
        let entries = match &node.value {
            Value::Struct(_, entries) => entries.as_slice(),
            Value::Tuple(_, items) if items.is_empty() => &[],
            Value::Word(_) => &[],
            _ => {
                let allowed = format!("fields in parentheses: ({}: …)", known.join(": …, "));
                self.report(node, Mistake::WrongType, node.describe(), allowed);
                return None;
            }
        };
        for (at, entry) in entries.iter().enumerate() {
            let first = entries[..at].iter().find(|earlier| earlier.name.text == entry.name.text);
            if let Some(first) = first {
                self.twice(&entry.name, &first.name);
            } else if !known.contains(&entry.name.text.as_str()) {
                self.unknown(&entry.name, known);
            }
        }
        Some(entries)
    }

    fn twice(&mut self, name: &Name, first: &Name) {
        let field = self.path_to(&name.text);
        self.drafts.push(Draft {
            mistake: Mistake::DuplicateField,
            span: name.span,
            field,
            found: format!("`{}` again", name.text),
            allowed: "each field once".to_owned(),
            suggestion: None,
            related: vec![(first.span, "first given here".to_owned())],
        });
    }

    fn unknown(&mut self, name: &Name, known: &[&str]) {
        let field = self.path_to(&name.text);
        self.drafts.push(Draft {
            mistake: Mistake::UnknownField,
            span: name.span,
            field,
            found: format!("`{}`", name.text),
            allowed: known.join(", "),
            suggestion: nearest(&name.text, known.iter().copied()).map(|meant| format!("`{meant}`")),
            related: Vec::new(),
        });
    }

    fn path_to(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) }
    }

    /// Reads one field of a record.
    pub(crate) fn read<F: Field>(&mut self, owner: &Node, entries: &[Entry], name: &str) -> Option<F> {
        let node = entries.iter().find(|entry| entry.name.text == name).map(|entry| &entry.value);
        self.inside(name, |cx| F::read(node, owner, cx))
    }
}

/// What can be read from a node of the tree.
pub(crate) trait Decode: Sized {
    /// What may be written, for a message and for the documentation.
    fn what() -> String;

    /// Whether the word `None` is a value of it, rather than none.
    fn names_none() -> bool {
        false
    }

    /// The value, or `None` when a mistake was reported.
    fn decode(node: &Node, cx: &mut Context) -> Option<Self>;
}

/// What can be read from a field that may be missing.
pub(crate) trait Field: Sized {
    const REQUIRED: bool;
    fn what() -> String;
    fn read(node: Option<&Node>, owner: &Node, cx: &mut Context) -> Option<Self>;
}

impl<T: Decode> Decode for Spanned<T> {
    fn what() -> String {
        T::what()
    }

    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        let place = Place { span: node.span, field: Rc::from(cx.path.as_str()) };
        T::decode(node, cx).map(|value| Self { value, place })
    }
}

impl<T: Decode> Field for Spanned<T> {
    const REQUIRED: bool = true;

    fn what() -> String {
        T::what()
    }

    fn read(node: Option<&Node>, owner: &Node, cx: &mut Context) -> Option<Self> {
        if let Some(node) = node {
            return Self::decode(node, cx);
        }
        // The opening bracket, not the whole record, which may be the whole file.
        let span = owner.opening();
        let field = cx.path.clone();
        let name = field.rsplit('.').next().unwrap_or_default().to_owned();
        cx.drafts.push(Draft {
            mistake: Mistake::MissingField,
            span,
            field,
            found: format!("no `{name}` here"),
            allowed: T::what(),
            suggestion: None,
            related: Vec::new(),
        });
        None
    }
}

impl<T: Decode> Field for Option<Spanned<T>> {
    const REQUIRED: bool = false;

    fn what() -> String {
        T::what()
    }

    /// `None` and `Some(x)` may be written out, as in RON without implicit options.
    fn read(node: Option<&Node>, _owner: &Node, cx: &mut Context) -> Option<Self> {
        match node.map(|node| (node, &node.value)) {
            None => Some(None),
            Some((_, Value::Word(word))) if word == "None" && !T::names_none() => Some(None),
            Some((_, Value::Tuple(Some(name), items))) if name.text == "Some" && items.len() == 1 => {
                Spanned::decode(&items[0], cx).map(Some)
            }
            Some((node, _)) => Spanned::decode(node, cx).map(Some),
        }
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn what() -> String {
        format!("a list, each element {}", T::what())
    }

    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        let Value::List(items) = &node.value else {
            cx.report(node, Mistake::WrongType, node.describe(), Self::what());
            return None;
        };
        // Every element is read, so that all their mistakes are reported.
        let read: Vec<Option<T>> = items
            .iter()
            .enumerate()
            .map(|(at, item)| cx.inside(&format!("[{at}]"), |cx| T::decode(item, cx)))
            .collect();
        read.into_iter().collect()
    }
}

impl Decode for String {
    fn what() -> String {
        "a text in double quotes".to_owned()
    }

    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        if let Value::Text(text) = &node.value {
            return Some(text.clone());
        }
        let meant = match &node.value {
            Value::Word(word) => Some(format!("\"{word}\"")),
            _ => None,
        };
        cx.report_meant(node, Mistake::WrongType, node.describe(), Self::what(), meant);
        None
    }
}

impl Decode for f64 {
    fn what() -> String {
        "a number".to_owned()
    }

    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        if let Value::Number(number, _) = node.value {
            return Some(number);
        }
        cx.report(node, Mistake::WrongType, node.describe(), Self::what());
        None
    }
}

impl Decode for bool {
    fn what() -> String {
        "true or false".to_owned()
    }

    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        if let Value::Bool(value) = node.value {
            return Some(value);
        }
        cx.report(node, Mistake::WrongType, node.describe(), Self::what());
        None
    }
}

macro_rules! whole {
    ($($kind:ty),+) => {$(
        impl Decode for $kind {
            fn what() -> String {
                format!("a whole number from {} to {}", Self::MIN, Self::MAX)
            }

            fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
                let mistake = match node.value {
                    Value::Number(_, Some(whole)) => match Self::try_from(whole) {
                        Ok(whole) => return Some(whole),
                        Err(_) => Mistake::OutOfRange,
                    },
                    _ => Mistake::WrongType,
                };
                cx.report(node, mistake, node.describe(), Self::what());
                None
            }
        }
    )+};
}

whole!(u8, u32, u64);

/// A least and a largest size; one number is both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SizeRange(pub(crate) u32, pub(crate) u32);

impl Decode for SizeRange {
    fn what() -> String {
        "a whole number, or (least, largest)".to_owned()
    }

    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        match &node.value {
            Value::Tuple(None, items) if items.len() == 2 => {
                let (least, largest) = (u32::decode(&items[0], cx), u32::decode(&items[1], cx));
                Some(Self(least?, largest?))
            }
            Value::Number(..) => u32::decode(node, cx).map(|size| Self(size, size)),
            _ => {
                cx.report(node, Mistake::WrongType, node.describe(), Self::what());
                None
            }
        }
    }
}

/// One number for all slots, or one per slot.
#[derive(Clone, Debug)]
pub(crate) enum Series {
    Constant(f64),
    PerSlot(Vec<f64>),
}

impl Decode for Series {
    fn what() -> String {
        "a number, or a list with one per slot".to_owned()
    }

    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        match &node.value {
            Value::Number(number, _) => Some(Self::Constant(*number)),
            Value::List(_) => Vec::decode(node, cx).map(Self::PerSlot),
            _ => {
                cx.report(node, Mistake::WrongType, node.describe(), Self::what());
                None
            }
        }
    }
}

impl Node {
    /// What it is, in a few words.
    pub(crate) fn describe(&self) -> String {
        let named = |name: &Option<Name>| name.as_ref().map_or("", |name| name.text.as_str()).to_owned();
        match &self.value {
            Value::Bool(value) => value.to_string(),
            Value::Number(_, Some(whole)) => whole.to_string(),
            Value::Number(number, None) => number.to_string(),
            Value::Text(text) if text.chars().count() > 40 => "a text".to_owned(),
            Value::Text(text) => format!("\"{text}\""),
            Value::Char(c) => format!("{c:?}"),
            Value::List(_) => "a list".to_owned(),
            Value::Word(word) => format!("`{word}`"),
            Value::Tuple(name, _) => format!("{}(…)", named(name)),
            Value::Struct(name, _) => format!("{}(… : …)", named(name)),
            Value::Map(_) => "a map".to_owned(),
        }
    }

    /// The name in front of a parenthesis, or the word itself.
    pub(crate) fn name(&self) -> Option<(&str, Span)> {
        match &self.value {
            Value::Word(word) => Some((word, self.span)),
            Value::Tuple(Some(name), _) | Value::Struct(Some(name), _) => Some((&name.text, name.span)),
            _ => None,
        }
    }

    /// The name or first bracket, where a missing field is reported.
    fn opening(&self) -> Span {
        self.name()
            .map_or(Span { end: self.span.end.min(self.span.start + 1), ..self.span }, |(_, span)| span)
    }
}

/// One field of a record, for the documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRow {
    /// As written.
    pub name: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What may be written.
    pub what: String,
    /// What holds when it is not written; empty for required fields.
    pub default: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

/// A record or choice that a scenario may contain, for the documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `(field: value, …)`.
    Record {
        /// Its name; it may be written in front of the parenthesis.
        name: &'static str,
        /// Its fields.
        fields: Vec<FieldRow>,
    },
    /// One of several names, some with fields.
    Choice {
        /// What is chosen.
        name: &'static str,
        /// Names, and the record that follows in parentheses, if one does.
        variants: Vec<(&'static str, Option<&'static str>)>,
    },
}

/// A record: it can also be read when a choice's name stands in front of it.
pub(crate) trait Record: Sized {
    const NAME: &'static str;
    fn shape() -> Shape;
    fn decode_fields(node: &Node, cx: &mut Context) -> Option<Self>;
}

/// Refuses another name than the record's own in front of its parenthesis.
pub(crate) fn check_name(node: &Node, own: &str, cx: &mut Context) -> Option<()> {
    match node.name() {
        Some((name, _)) if name != own => {
            let allowed = format!("({own}'s fields in parentheses), with or without `{own}` in front");
            cx.report(node, Mistake::WrongType, format!("`{name}`"), allowed);
            None
        }
        _ => Some(()),
    }
}

/// Reports a name that is not one of a choice's.
pub(crate) fn unknown_choice<T>(node: &Node, known: &[&str], cx: &mut Context) -> Option<T> {
    let allowed = known.join(", ");
    match node.name() {
        Some((name, span)) => {
            let meant = nearest(name, known.iter().copied()).map(|meant| format!("`{meant}`"));
            let at = Node { span, value: Value::Word(name.to_owned()) };
            cx.report_meant(&at, Mistake::UnknownChoice, format!("`{name}`"), allowed, meant);
        }
        None => {
            let meant = match &node.value {
                Value::Text(text) => {
                    nearest(text, known.iter().copied()).map(|m| format!("{m}, without quotes"))
                }
                _ => None,
            };
            let at = Node { span: node.opening(), value: Value::Bool(true) };
            let at = if matches!(node.value, Value::Struct(..)) { &at } else { node };
            let found = match node.value {
                Value::Struct(..) | Value::Tuple(..) => "a parenthesis without a name in front".to_owned(),
                _ => node.describe(),
            };
            cx.report_meant(at, Mistake::UnknownChoice, found, format!("one of {allowed}"), meant);
        }
    }
    None
}

/// Declares a record: its struct, its decoding, and its rows of the documentation.
macro_rules! record {
    ($(#[$doc:meta])* $name:ident $label:literal { $($field:ident : $kind:ty, $default:literal, $meaning:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub(crate) struct $name { $(pub(crate) $field: $kind,)* }

        impl $crate::scenario::decode::Record for $name {
            const NAME: &'static str = $label;

            fn shape() -> $crate::scenario::decode::Shape {
                $crate::scenario::decode::Shape::Record {
                    name: $label,
                    fields: vec![$($crate::scenario::decode::FieldRow {
                        name: stringify!($field),
                        required: <$kind as $crate::scenario::decode::Field>::REQUIRED,
                        what: <$kind as $crate::scenario::decode::Field>::what(),
                        default: $default,
                        meaning: $meaning,
                    },)*],
                }
            }

            fn decode_fields(
                node: &$crate::scenario::syntax::Node,
                cx: &mut $crate::scenario::decode::Context,
            ) -> Option<Self> {
                let entries = cx.fields(node, &[$(stringify!($field)),*])?;
                $(let $field = cx.read::<$kind>(node, entries, stringify!($field));)*
                Some(Self { $($field: $field?,)* })
            }
        }

        impl $crate::scenario::decode::Decode for $name {
            fn what() -> String {
                concat!("(", $label, ")").to_owned()
            }

            fn decode(
                node: &$crate::scenario::syntax::Node,
                cx: &mut $crate::scenario::decode::Context,
            ) -> Option<Self> {
                $crate::scenario::decode::check_name(node, $label, cx)?;
                if matches!(node.value, $crate::scenario::syntax::Value::Word(_)) {
                    cx.report(
                        node,
                        $crate::scenario::diagnostic::Mistake::WrongType,
                        node.describe(),
                        <Self as $crate::scenario::decode::Decode>::what(),
                    );
                    return None;
                }
                <Self as $crate::scenario::decode::Record>::decode_fields(node, cx)
            }
        }
    };
}

/// Declares a choice between names, some with a record after them.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident $label:literal { $($variant:ident $(($payload:ty))?),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        #[allow(clippy::large_enum_variant, reason = "a scenario has a handful of them, read once")]
        pub(crate) enum $name { $($variant $(($payload))?),+ }

        impl $name {
            pub(crate) const NAMES: &'static [&'static str] = &[$(stringify!($variant)),+];

            pub(crate) fn shape() -> $crate::scenario::decode::Shape {
                $crate::scenario::decode::Shape::Choice {
                    name: $label,
                    variants: vec![$((
                        stringify!($variant),
                        choice!(@label $($payload)?),
                    )),+],
                }
            }
        }

        impl $crate::scenario::decode::Decode for $name {
            fn what() -> String {
                format!("one of {}", Self::NAMES.join(", "))
            }

            fn names_none() -> bool {
                Self::NAMES.contains(&"None")
            }

            fn decode(
                node: &$crate::scenario::syntax::Node,
                cx: &mut $crate::scenario::decode::Context,
            ) -> Option<Self> {
                match node.name().map(|(name, _)| name) {
                    $(Some(stringify!($variant)) => choice!(@decode node, cx, $name, $variant $(, $payload)?),)+
                    _ => $crate::scenario::decode::unknown_choice(node, Self::NAMES, cx),
                }
            }
        }
    };
    (@label) => { None };
    (@label $payload:ty) => { Some(<$payload as $crate::scenario::decode::Record>::NAME) };
    (@decode $node:ident, $cx:ident, $name:ident, $variant:ident) => {{
        if !matches!($node.value, $crate::scenario::syntax::Value::Word(_)) {
            let allowed = concat!("`", stringify!($variant), "` alone").to_owned();
            $cx.report($node, $crate::scenario::diagnostic::Mistake::WrongType, $node.describe(), allowed);
            return None;
        }
        Some($name::$variant)
    }};
    (@decode $node:ident, $cx:ident, $name:ident, $variant:ident, $payload:ty) => {
        <$payload as $crate::scenario::decode::Record>::decode_fields($node, $cx).map($name::$variant)
    };
}

pub(crate) use {choice, record};
