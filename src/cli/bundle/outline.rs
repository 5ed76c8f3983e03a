//! A bundle as lines for a person to read.

use std::{
    fmt::Display,
    io::{self, Write},
};

use serde_json::Value as Json;

use super::{
    anatomy::{Anatomy, BlockPart, Crc, Flags, PrimaryPart},
    refusal::Refusal,
};

/// Writes the verdict and the parts.
pub(super) fn write(out: &mut impl Write, anatomy: &Anatomy, refusals: &[Refusal]) -> io::Result<()> {
    if refusals.is_empty() {
        writeln!(out, "accepted: a bundle of {} bytes", anatomy.bytes)?;
    } else {
        writeln!(out, "refused: {} bytes", anatomy.bytes)?;
    }
    for refusal in refusals {
        writeln!(out, "  {} ({}): {}", refusal.reason, refusal.section, refusal.message)?;
    }
    if let Some(primary) = &anatomy.primary {
        writeln!(out)?;
        write_primary(out, primary)?;
    }
    for block in &anatomy.blocks {
        writeln!(out)?;
        write_block(out, block)?;
    }
    match &anatomy.stopped {
        Some(stopped) => writeln!(out, "\nbyte {}: {}", stopped.at, stopped.why),
        None => Ok(()),
    }
}

fn line(out: &mut impl Write, name: &str, value: impl Display) -> io::Result<()> {
    writeln!(out, "  {name:<13}{value}")
}

fn write_primary(out: &mut impl Write, primary: &PrimaryPart) -> io::Result<()> {
    writeln!(out, "primary block, bytes {} to {}", primary.at, primary.at + primary.bytes)?;
    if let Some(version) = primary.version {
        line(out, "version", version)?;
    }
    if let Some(flags) = &primary.flags {
        line(out, "flags", flags_text(flags))?;
    }
    for (name, endpoint) in [
        ("source", &primary.source),
        ("destination", &primary.destination),
        ("report to", &primary.report_to),
    ] {
        line(out, name, endpoint.as_deref().unwrap_or("malformed"))?;
    }
    if let Some(creation) = &primary.creation {
        let time = creation.utc.clone().unwrap_or_else(|| match creation.time_ms {
            0 => "no clock".into(),
            ms => format!("{ms} ms after the year 2000"),
        });
        line(out, "created", format_args!("{time}, sequence {}", creation.sequence))?;
    }
    if let Some(lifetime_ms) = primary.lifetime_ms {
        line(out, "lifetime", format_args!("{lifetime_ms} ms"))?;
    }
    if let Some(fragment) = &primary.fragment {
        line(out, "fragment", format_args!("from byte {} of {}", fragment.offset, fragment.total))?;
    }
    write_crc(out, primary.crc.as_ref())
}

fn write_block(out: &mut impl Write, block: &BlockPart) -> io::Result<()> {
    let number = block.number.map_or_else(|| "without a number".into(), |number| number.to_string());
    let kind = block.kind.map(|kind| format!(" (type {kind})")).unwrap_or_default();
    let end = block.at + block.bytes;
    writeln!(out, "block {number}: {}{kind}, bytes {} to {end}", block.name, block.at)?;
    if let Some(flags) = &block.flags {
        line(out, "flags", flags_text(flags))?;
    }
    write_crc(out, block.crc.as_ref())?;
    if let Some(bytes) = block.data_bytes {
        line(out, "data", format_args!("{bytes} bytes"))?;
    }
    match &block.data {
        Json::Null => {}
        Json::Object(fields) => {
            for (name, value) in fields {
                line(out, &name.replace('_', " "), plain(value))?;
            }
        }
        other => line(out, "content", plain(other))?,
    }
    match &block.data_hex {
        Some(hex) if !hex.is_empty() => {
            let more = if block.data_bytes.is_some_and(|bytes| 2 * bytes > hex.len()) { "…" } else { "" };
            line(out, "hex", format_args!("{hex}{more}"))
        }
        _ => Ok(()),
    }
}

fn write_crc(out: &mut impl Write, crc: Option<&Crc>) -> io::Result<()> {
    let Some(crc) = crc else { return Ok(()) };
    let value = crc.value.as_deref().map(|value| format!(" {value}")).unwrap_or_default();
    let holds = match crc.holds {
        Some(true) => ", holds",
        Some(false) => ", DOES NOT HOLD",
        None => "",
    };
    line(out, "crc", format_args!("{}{value}{holds}", crc.name))
}

fn flags_text(flags: &Flags) -> String {
    let mut parts: Vec<String> = flags.names.iter().map(ToString::to_string).collect();
    if flags.unassigned != 0 {
        parts.push(format!("unassigned {:#x}", flags.unassigned));
    }
    if parts.is_empty() { "none".into() } else { parts.join(", ") }
}

fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}
