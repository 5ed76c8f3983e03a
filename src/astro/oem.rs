//! Reading CCSDS orbit ephemeris messages (OEM, CCSDS 502.0-B-3 §5) in KVN.

use super::{Body, Epoch, EpochError, Motion, StateRow};

/// The most rows an OEM may hold.
const ROW_LIMIT: usize = 1_000_000;

/// Why a text is not an OEM this simulator can fly. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OemError {
    /// A keyword's value is not supported.
    #[error("line {line}: {key} is {found:?}; allowed: {allowed}")]
    Value {
        /// The line.
        line: usize,
        /// The keyword.
        key: &'static str,
        /// What it says.
        found: String,
        /// What it may say.
        allowed: &'static str,
    },
    /// A segment's metadata lack a keyword.
    #[error("line {line}: the metadata that end here lack {key}")]
    Missing {
        /// The line of META_STOP.
        line: usize,
        /// The keyword.
        key: &'static str,
    },
    /// Something stands where it may not.
    #[error("line {line}: {found:?} does not belong here")]
    Unexpected {
        /// The line.
        line: usize,
        /// The line's text.
        found: String,
    },
    /// A row's epoch cannot be read.
    #[error("line {line}: {error}")]
    Time {
        /// The line.
        line: usize,
        /// Why.
        error: EpochError,
    },
    /// A row has the wrong number of values, or one that is no finite number.
    #[error("line {line}: {found} numbers after the epoch, expected 6 or 9")]
    Numbers {
        /// The line.
        line: usize,
        /// How many could be read.
        found: usize,
    },
    /// A row is not after the one before it.
    #[error("line {line}: the epoch does not increase")]
    NotIncreasing {
        /// The line.
        line: usize,
    },
    /// Fewer than 2 or more than a million rows.
    #[error("{found} rows; allowed: {min} to {max}")]
    Rows {
        /// How many.
        found: usize,
        /// The least.
        min: usize,
        /// The most.
        max: usize,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Header,
    Meta,
    Data,
    Covariance,
}

#[derive(Default)]
struct Meta {
    center: Option<Body>,
    frame: bool,
    time_system: bool,
}

/// Reads an OEM into a [`Motion::Table`] on the clock of `epoch`. Frames ICRF and EME2000 (taken as the same: they differ by
/// 23 mas), time system UTC, one centre for all segments; accelerations and covariances are passed over.
///
/// # Errors
/// [`OemError`] names the line.
pub fn parse_oem(text: &str, epoch: Epoch) -> Result<Motion, OemError> {
    let mut part = Part::Header;
    let mut meta = Meta::default();
    let mut center = None;
    let mut rows: Vec<StateRow> = Vec::new();
    for (line, content) in (1..).zip(text.lines().map(str::trim)) {
        let unexpected = || OemError::Unexpected { line, found: content.to_owned() };
        match (part, content) {
            (_, "") => {}
            (_, comment) if comment.starts_with("COMMENT") => {}
            (Part::Header | Part::Data, "META_START") => {
                meta = Meta::default();
                part = Part::Meta;
            }
            (Part::Meta, "META_STOP") => {
                let found = segment_center(&meta, line)?;
                if center.is_some_and(|center| center != found) {
                    let found = format!("{found:?}");
                    return Err(OemError::Value {
                        line,
                        key: "CENTER_NAME",
                        found,
                        allowed: "that of the first segment",
                    });
                }
                center = Some(found);
                part = Part::Data;
            }
            (Part::Data, "COVARIANCE_START") => part = Part::Covariance,
            (Part::Covariance, "COVARIANCE_STOP") => part = Part::Data,
            (Part::Covariance, _) => {}
            (Part::Header, _) => {
                let (key, value) = content.split_once('=').ok_or_else(unexpected)?;
                if key.trim() == "CCSDS_OEM_VERS" && !["1.0", "2.0", "3.0"].contains(&value.trim()) {
                    let found = value.trim().to_owned();
                    return Err(OemError::Value {
                        line,
                        key: "CCSDS_OEM_VERS",
                        found,
                        allowed: "1.0, 2.0, 3.0",
                    });
                }
            }
            (Part::Meta, _) => {
                let (key, value) = content.split_once('=').ok_or_else(unexpected)?;
                meta.read(line, key.trim(), value.trim())?;
            }
            (Part::Data, _) => {
                let row = read_row(line, content, epoch)?;
                match rows.last() {
                    // Segments may share the state at their common border.
                    Some(last) if *last == row => {}
                    Some(last) if last.time >= row.time => return Err(OemError::NotIncreasing { line }),
                    Some(_) | None => rows.push(row),
                }
                if rows.len() > ROW_LIMIT {
                    return Err(OemError::Rows { found: rows.len(), min: 2, max: ROW_LIMIT });
                }
            }
        }
    }
    match center {
        Some(center) if rows.len() >= 2 => Ok(Motion::Table { center, rows }),
        Some(_) | None => Err(OemError::Rows { found: rows.len(), min: 2, max: ROW_LIMIT }),
    }
}

impl Meta {
    fn read(&mut self, line: usize, key: &str, value: &str) -> Result<(), OemError> {
        let refuse = |key, allowed| Err(OemError::Value { line, key, found: value.to_owned(), allowed });
        match key {
            "CENTER_NAME" => {
                self.center = match value.to_ascii_uppercase().as_str() {
                    "EARTH" => Some(Body::Earth),
                    "MOON" => Some(Body::Moon),
                    "MARS" => Some(Body::Mars),
                    "SUN" => Some(Body::Sun),
                    _ => return refuse("CENTER_NAME", "EARTH, MOON, MARS, SUN"),
                }
            }
            "REF_FRAME" if ["ICRF", "EME2000"].contains(&value) => self.frame = true,
            "REF_FRAME" => return refuse("REF_FRAME", "ICRF, EME2000"),
            "TIME_SYSTEM" if value == "UTC" => self.time_system = true,
            "TIME_SYSTEM" => return refuse("TIME_SYSTEM", "UTC"),
            // The rest (object names, usable times, the producer's interpolation) changes nothing here.
            _ => {}
        }
        Ok(())
    }
}

fn segment_center(meta: &Meta, line: usize) -> Result<Body, OemError> {
    if !meta.frame {
        return Err(OemError::Missing { line, key: "REF_FRAME" });
    }
    if !meta.time_system {
        return Err(OemError::Missing { line, key: "TIME_SYSTEM" });
    }
    meta.center.ok_or(OemError::Missing { line, key: "CENTER_NAME" })
}

fn read_row(line: usize, content: &str, epoch: Epoch) -> Result<StateRow, OemError> {
    let mut words = content.split_ascii_whitespace();
    let stamp = words.next().unwrap_or_default().trim_end_matches('Z');
    let at = Epoch::parse(&format!("{stamp}Z")).map_err(|error| OemError::Time { line, error })?;
    let mut numbers = [0.0; 9];
    let mut found = 0;
    for word in words {
        let Some(place) = numbers.get_mut(found) else {
            return Err(OemError::Numbers { line, found: found + 1 });
        };
        match word.parse::<f64>() {
            Ok(value) if value.is_finite() => *place = value * 1e3,
            Ok(_) | Err(_) => return Err(OemError::Numbers { line, found }),
        }
        found += 1;
    }
    if found != 6 && found != 9 {
        return Err(OemError::Numbers { line, found });
    }
    let [x, y, z, vx, vy, vz, ..] = numbers;
    Ok(StateRow { time: epoch.sim_time_of(at), position_m: [x, y, z], velocity_mps: [vx, vy, vz] })
}
