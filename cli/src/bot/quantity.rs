//! Amounts as people write them: `200/s`, `10%`, `64..512`, `10s:500,30s:2000`.

use std::fmt::{self, Display};
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// Why an amount cannot be understood.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{0}")]
pub struct InvalidQuantity(String);

fn invalid<T>(text: impl Into<String>) -> Result<T, InvalidQuantity> {
    Err(InvalidQuantity(text.into()))
}

/// So many a second: `200`, `200/s`, `1.5k/s`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct PerSecond(pub f64);

impl FromStr for PerSecond {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        let number = text.strip_suffix("/s").unwrap_or(text);
        let rate = scaled(number)
            .ok_or_else(|| InvalidQuantity(format!("{text} is no rate such as 200/s")))?;
        if rate > RATE_MAX {
            return invalid(format!("{text} is more than {RATE_MAX:.0}/s"));
        }
        Ok(Self(rate))
    }
}

/// A number, or a share of all: `20`, `10%`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part {
    /// So many.
    Number(u32),
    /// Of one: 0 to 1.
    Share(f64),
}

impl Part {
    /// How many of `all` that is, rounded up.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a share of a u32 is one")]
    pub fn of(self, all: u32) -> u32 {
        match self {
            Self::Number(number) => number.min(all),
            Self::Share(share) => (f64::from(all) * share).ceil() as u32,
        }
    }
}

impl FromStr for Part {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        let what = || InvalidQuantity(format!("{text} is no number and no share such as 10%"));
        match text.strip_suffix('%') {
            Some(percent) => match percent.parse::<f64>() {
                Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Self::Share(percent / 100.0)),
                _ => Err(what()),
            },
            None => text.parse().map(Self::Number).map_err(|_| what()),
        }
    }
}

/// A share of all in each second: `5%/s`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SharePerSecond(pub f64);

impl FromStr for SharePerSecond {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        let percent = text.strip_suffix("/s").unwrap_or(text).strip_suffix('%');
        match percent.and_then(|percent| percent.parse::<f64>().ok()) {
            Some(percent) if (0.0..=100.0).contains(&percent) => Ok(Self(percent / 100.0)),
            _ => invalid(format!("{text} is no share of clients such as 5%/s")),
        }
    }
}

/// Bytes of a message: `128`, or any of `64..512`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Size {
    /// The fewest.
    pub min: usize,
    /// The most.
    pub max: usize,
}

impl FromStr for Size {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        let (min, max) = text.split_once("..").unwrap_or((text, text));
        match (min.parse(), max.parse()) {
            (Ok(min), Ok(max)) if min <= max => Ok(Self { min, max }),
            _ => invalid(format!("{text} is no size such as 128 or 64..512")),
        }
    }
}

impl Display for Size {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max {
            write!(out, "{}", self.min)
        } else {
            write!(out, "{}..{}", self.min, self.max)
        }
    }
}

/// A part of the load: within its time the rate goes evenly from where it was to this one. `30s:2000`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage {
    /// How long.
    pub length: Duration,
    /// The rate at its end.
    pub rate: PerSecond,
}

impl FromStr for Stage {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        let Some((length, rate)) = text.split_once(':') else {
            return invalid(format!("{text} is no stage such as 30s:2000"));
        };
        let length = humantime::parse_duration(length)
            .map_err(|error| InvalidQuantity(format!("{text}: {error}")))?;
        Ok(Self {
            length,
            rate: rate.parse()?,
        })
    }
}

/// How many: `100000`, `100k`, `1.5M`.
///
/// # Errors
/// When it is none.
#[expect(
    clippy::cast_possible_truncation,
    reason = "checked to be a whole number in range"
)]
pub fn count(text: &str) -> Result<u64, InvalidQuantity> {
    match scaled(text) {
        Some(number) if number.fract() == 0.0 && number <= COUNT_MAX => Ok(number as u64),
        _ => invalid(format!("{text} is no number such as 100000 or 100k")),
    }
}

fn scaled(text: &str) -> Option<f64> {
    let (number, scale) = match text.as_bytes().last()? {
        b'k' => (&text[..text.len() - 1], 1e3),
        b'M' => (&text[..text.len() - 1], 1e6),
        _ => (text, 1.0),
    };
    let number: f64 = number.parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number * scale)
}

/// More than a process can send; keeps all times exact.
const RATE_MAX: f64 = 10_000_000.0;

const COUNT_MAX: f64 = 1e15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        assert_eq!("200/s".parse(), Ok(PerSecond(200.0)));
        assert_eq!("1.5k".parse(), Ok(PerSecond(1500.0)));
        assert_eq!("0".parse(), Ok(PerSecond(0.0)));
        assert_eq!("20".parse(), Ok(Part::Number(20)));
        assert_eq!("10%".parse(), Ok(Part::Share(0.1)));
        assert_eq!("5%/s".parse(), Ok(SharePerSecond(0.05)));
        assert_eq!("128".parse(), Ok(Size { min: 128, max: 128 }));
        assert_eq!("64..512".parse(), Ok(Size { min: 64, max: 512 }));
        assert_eq!(count("100k"), Ok(100_000));
        let stage = Stage {
            length: Duration::from_secs(30),
            rate: PerSecond(2000.0),
        };
        assert_eq!("30s:2000".parse(), Ok(stage));
    }

    #[test]
    fn nonsense_is_named() {
        for text in ["", "fast", "-1", "NaN", "inf", "1e300/s", "2/m"] {
            let error = text.parse::<PerSecond>().unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
        assert!("101%".parse::<Part>().is_err());
        assert!("-1%".parse::<Part>().is_err());
        assert!("1.5".parse::<Part>().is_err());
        assert!("5".parse::<SharePerSecond>().is_err());
        assert!("512..64".parse::<Size>().is_err());
        assert!("30:2000".parse::<Stage>().is_err());
        assert!("30s".parse::<Stage>().is_err());
        assert!(count("1.5").is_err());
    }

    #[test]
    fn a_part_is_never_more_than_all_and_a_share_is_at_least_one() {
        assert_eq!(Part::Number(20).of(5), 5);
        assert_eq!(Part::Share(0.1).of(5), 1);
        assert_eq!(Part::Share(0.0).of(5), 0);
        assert_eq!(Part::Share(1.0).of(5), 5);
    }
}
