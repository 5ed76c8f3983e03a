//! [`Scope`]: the part of the fleet that a certificate or a rule is for.

use alloc::boxed::Box;
use core::{fmt, str::FromStr};

/// Longest scope in bytes.
pub const MAX_SCOPE_LEN: usize = 48;

/// A path of names, such as `mars/base`: it covers itself and all below. The empty one covers everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope(Box<str>);

/// Why a text is no scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Too long.
    #[error("{found} bytes, at most {MAX_SCOPE_LEN} are allowed")]
    Length {
        /// Bytes found.
        found: usize,
    },
    /// A character that names do not have, or an empty name.
    #[error("not names of small letters, digits, `-` and `_`, with `/` between them, at byte {at}")]
    Character {
        /// Where.
        at: usize,
    },
}

impl Scope {
    /// Everything.
    #[must_use]
    pub fn everything() -> Self {
        Self::default()
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `other` is this scope or below it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match other.0.strip_prefix(&*self.0) {
            Some(rest) => self.0.is_empty() || rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        if text.len() > MAX_SCOPE_LEN {
            return Err(ScopeError::Length { found: text.len() });
        }
        let mut before = b'/';
        for (at, byte) in text.bytes().enumerate() {
            let name = byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
            if !name && (byte != b'/' || before == b'/') {
                return Err(ScopeError::Character { at });
            }
            before = byte;
        }
        if before == b'/' && !text.is_empty() {
            return Err(ScopeError::Character { at: text.len() - 1 });
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "everything" } else { &self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        text.parse().unwrap()
    }

    #[test]
    fn a_scope_covers_itself_and_what_is_below() {
        assert!(scope("").covers(&scope("mars/base")));
        assert!(scope("mars").covers(&scope("mars")));
        assert!(scope("mars").covers(&scope("mars/base")));
        assert!(!scope("mars").covers(&scope("marsh")));
        assert!(!scope("mars/base").covers(&scope("mars")));
        assert!(!scope("mars").covers(&scope("")));
    }

    #[test]
    fn other_texts_are_no_scopes() {
        for text in ["/", "a/", "/a", "a//b", "A", "a b", "é"] {
            assert!(text.parse::<Scope>().is_err(), "{text}");
        }
        assert_eq!("a".repeat(49).parse::<Scope>(), Err(ScopeError::Length { found: 49 }));
    }
}
