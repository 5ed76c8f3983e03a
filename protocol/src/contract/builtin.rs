//! The contracts that every node knows, in their first versions.

use super::schema::{Field, Schema, Type, Version};
use alloc::{boxed::Box, string::ToString, vec::Vec};

/// The least curvature that the plan contract allows on a shared variable, relative to the scale on which prices are chosen: nearly linear
/// problems are the hard ones, since a small change of price moves them from one bound to the other.
///
/// With 0.01, the exchange takes 97 rounds where it takes 15 with 0.3.
pub const MIN_CURVATURE: f64 = 0.3;

/// Most slots of a series.
const SLOTS: u32 = 1_024;

const ANY: Type = Type::Uint(0, u64::MAX);
const ACCURACY: Type = Type::Float(Some(0.0));

fn series(of: Type) -> Type {
    Type::Array(SLOTS, Box::new(of))
}

fn schema(name: &str, fields: impl IntoIterator<Item = (u32, &'static str, bool, Type)>) -> Schema {
    let field = |(number, name, required, holds): (u32, &str, bool, Type)| Field {
        number,
        name: name.to_string(),
        required,
        holds,
    };
    let version = Version { name: name.to_string(), major: 1, minor: 0 };
    Schema { version, fields: fields.into_iter().map(field).collect() }
}

/// Telemetry, forecasts, commands, events, trades and plan signals. Times are milliseconds since 2000-01-01 UTC (RFC 9171 §4.2.6), quantities
/// in SI units.
#[must_use]
pub fn standard() -> Vec<Schema> {
    alloc::vec![
        schema(
            "telemetry",
            [
                (1, "time", true, ANY),
                (2, "quantity", true, Type::Text(32)),
                (3, "value", true, Type::Float(None)),
                (4, "standard_uncertainty", false, ACCURACY),
                (5, "unit", false, Type::Text(16)),
            ]
        ),
        schema(
            "forecast",
            [
                (1, "quantity", true, Type::Text(32)),
                (2, "start", true, ANY),
                (3, "step_ms", true, Type::Uint(1, 31_622_400_000)),
                (4, "expected", true, series(Type::Float(None))),
                (5, "standard_uncertainty", false, series(ACCURACY)),
                (6, "unit", false, Type::Text(16)),
            ]
        ),
        schema(
            "command",
            [
                (1, "action", true, Type::Text(32)),
                (2, "not_before", false, ANY),
                (3, "not_after", false, ANY),
                (4, "arguments", false, Type::Bytes(1_024)),
            ]
        ),
        schema(
            "event",
            [
                (1, "time", true, ANY),
                (2, "kind", true, Type::Text(32)),
                // As in RFC 5424 §6.2.1: 0 emergency to 7 debug.
                (3, "severity", true, Type::Uint(0, 7)),
                (4, "detail", false, Type::Text(256)),
            ]
        ),
        schema(
            "trade",
            [
                // 0 energy [J], 1 downlink [s], 2 storage [B].
                (1, "commodity", true, Type::Uint(0, 2)),
                // 0 offered, 1 asked for.
                (2, "side", true, Type::Uint(0, 1)),
                (3, "start", true, ANY),
                (4, "end", true, ANY),
                (5, "amount", true, ACCURACY),
                (6, "price", true, Type::Float(None)),
                (7, "partner", false, ANY),
            ]
        ),
        schema(
            "plan",
            [
                (1, "epoch", true, ANY),
                (2, "round", true, ANY),
                (3, "prices", false, series(Type::Float(None))),
                (4, "shares", false, series(Type::Float(None))),
                (5, "curvature", true, series(Type::Float(Some(MIN_CURVATURE)))),
            ]
        ),
    ]
}
