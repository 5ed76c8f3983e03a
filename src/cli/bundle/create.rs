//! `cosmosmesh bundle create`: the bytes of a bundle.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use clap::{Args, ValueEnum};
use cosmosmesh_protocol::{
    bundle::{Bundle, BundleFlags, CrcKind, CreationTimestamp, Fragment, HopCount, Primary},
    id::EndpointId,
    time::DtnTime,
};

use super::{Policy, input, names};
use crate::{
    cli::{CliError, Outcome},
    scenario::parse_duration,
};

/// Makes a bundle: the same arguments give the same bytes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cosmosmesh bundle create --source ipn:1.1 --destination ipn:2.1 --payload hello
  cosmosmesh bundle create --source dtn://rover/mail --destination ipn:2.1 --payload-file picture.png --lifetime \"2 d\" --output picture.cbor
  cosmosmesh bundle create --source ipn:1.1 --destination ipn:2.1 --creation-time 823046400000 --hop-limit 8 --flags report-delivery --report-to ipn:1.1

Without --creation-time the source has no clock: the creation time is 0, and the bundle has an age.

Exit codes: 0 made; 2 arguments that give no bundle which the policy accepts, or a file that cannot be read or written.")]
pub(super) struct CreateArgs {
    /// Who sends it, such as ipn:1.1, ipn:977000.1.1 or dtn://rover/mail.
    #[arg(long, value_name = "ENDPOINT")]
    source: EndpointId,
    /// Whom it is for.
    #[arg(long, value_name = "ENDPOINT")]
    destination: EndpointId,
    /// Who gets the reports.
    #[arg(long, value_name = "ENDPOINT", default_value = "dtn:none")]
    report_to: EndpointId,
    /// How long it is of use, such as "90 s" or "2 d".
    #[arg(long, value_name = "DURATION", default_value = "1 h", value_parser = milliseconds)]
    lifetime: u64,
    /// The payload, as text.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["payload_file", "payload_hex"])]
    payload: Option<String>,
    /// The payload, from a file.
    #[arg(long, value_name = "FILE", conflicts_with = "payload_hex")]
    payload_file: Option<PathBuf>,
    /// The payload, in hexadecimal.
    #[arg(long, value_name = "HEX")]
    payload_hex: Option<String>,
    /// Checksum of every block.
    #[arg(long, value_enum, default_value_t = Checksum::Crc32c)]
    crc: Checksum,
    /// Creation time in DTN time: milliseconds since the year 2000, UTC.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    creation_time: u64,
    /// Sequence number of the creation timestamp.
    #[arg(long, value_name = "N", default_value_t = 0)]
    sequence: u64,
    /// Processing control flags, by name, with commas between them.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = flag)]
    flags: Vec<BundleFlags>,
    /// Hop limit, 1 to 255: adds a hop count block.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    hop_limit: Option<u8>,
    /// Hops so far.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "hop_limit")]
    hop_count: u64,
    /// Age in milliseconds: adds a bundle age block.
    #[arg(long, value_name = "MS")]
    age: Option<u64>,
    /// Adds a previous node block.
    #[arg(long, value_name = "ENDPOINT")]
    previous_node: Option<EndpointId>,
    /// The payload is a fragment that starts at this byte of the whole.
    #[arg(long, value_name = "BYTE", requires = "fragment_total")]
    fragment_offset: Option<u64>,
    /// Length of the whole that the fragment is of.
    #[arg(long, value_name = "BYTES", requires = "fragment_offset")]
    fragment_total: Option<u64>,
    /// What the bundle must pass: lenient makes one that strict nodes refuse.
    #[arg(long, value_enum, default_value_t = Policy::Strict)]
    policy: Policy,
    /// Write the bytes to this file, or with - to standard output, in place of hexadecimal to standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Hexadecimal in the file too.
    #[arg(long)]
    hex: bool,
}

/// A checksum type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Checksum {
    /// No checksum.
    None,
    /// CRC-16/X.25.
    #[value(name = "crc16")]
    Crc16,
    /// CRC-32C.
    #[value(name = "crc32c")]
    Crc32c,
}

impl From<Checksum> for CrcKind {
    fn from(checksum: Checksum) -> Self {
        match checksum {
            Checksum::None => Self::None,
            Checksum::Crc16 => Self::X25,
            Checksum::Crc32c => Self::Castagnoli,
        }
    }
}

fn milliseconds(text: &str) -> Result<u64, String> {
    let span = parse_duration(text).filter(|span| span.as_nanos() > 0);
    let span = span.ok_or_else(|| format!("`{text}` is not a duration above zero, such as \"90 s\""))?;
    Ok(span.as_nanos().unsigned_abs() / 1_000_000)
}

fn flag(name: &str) -> Result<BundleFlags, String> {
    let mut named = names::BUNDLE_FLAGS.iter().filter(|(_, flag)| *flag != BundleFlags::IS_FRAGMENT);
    named.clone().find(|(known, _)| *known == name).map(|(_, flag)| *flag).ok_or_else(|| {
        let known: Vec<&str> = named.by_ref().map(|(known, _)| *known).collect();
        format!("known are {}", known.join(", "))
    })
}

/// Runs it.
///
/// # Errors
/// As the exit codes say.
pub(super) fn execute(args: &CreateArgs) -> Result<Outcome, CliError> {
    let bytes = make(args, payload(args)?)?;
    let text = format!("{}\n", input::hex(&bytes));
    match &args.output {
        None => io::stdout().lock().write_all(text.as_bytes())?,
        Some(path) => {
            let bytes = if args.hex { text.as_bytes() } else { &bytes };
            if path.as_os_str() == "-" {
                io::stdout().lock().write_all(bytes)?;
            } else {
                fs::write(path, bytes).map_err(|source| CliError::File { path: path.clone(), source })?;
            }
        }
    }
    Ok(Outcome::Done)
}

fn payload(args: &CreateArgs) -> Result<Vec<u8>, CliError> {
    if let Some(path) = &args.payload_file {
        return fs::read(path).map_err(|source| CliError::File { path: path.clone(), source });
    }
    if let Some(text) = &args.payload_hex {
        let odd = || CliError::Usage("--payload-hex: hexadecimal digits in pairs are needed".into());
        return input::unhex(text.as_bytes()).ok_or_else(odd);
    }
    Ok(args.payload.clone().unwrap_or_default().into_bytes())
}

fn make(args: &CreateArgs, payload: Vec<u8>) -> Result<Vec<u8>, CliError> {
    let creation = CreationTimestamp { time: DtnTime(args.creation_time), sequence: args.sequence };
    let fragment = args.fragment_offset.zip(args.fragment_total);
    let primary = Primary {
        flags: args.flags.iter().fold(BundleFlags::default(), |flags, flag| flags.with(*flag)),
        crc: args.crc.into(),
        report_to: args.report_to.clone(),
        fragment: fragment.map(|(offset, total)| Fragment { offset, total }),
        ..Primary::new(args.source.clone(), args.destination.clone(), creation, args.lifetime)
    };
    let mut bundle = Bundle::new(primary, payload);
    if let Some(node) = &args.previous_node {
        bundle.set_previous_node(node);
    }
    if let Some(limit) = args.hop_limit {
        bundle.set_hop_count(HopCount { limit, count: args.hop_count });
    }
    // RFC 9171 §4.4.2: without a creation time it must tell its age.
    let age = args.age.or((creation.time == DtnTime::UNKNOWN).then_some(0));
    if let Some(age_ms) = age {
        bundle.set_age_ms(age_ms);
    }
    let bytes = bundle.encode();
    match Bundle::decode_with(&bytes, args.policy.into()) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(CliError::Usage(format!("no such bundle: {error} ({})", error.section()))),
    }
}
