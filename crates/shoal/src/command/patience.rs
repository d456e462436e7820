//! How long to wait, as people write it: `30s`, `500ms`, `2m`, or plain seconds.

use std::time::Duration;

use clap::ValueEnum;
use model::Level;
use model::limits::ADMIN_WAIT_MAX;

/// How far a purge must have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wait {
    /// In the log, on disk at a majority.
    Committed,
    /// Applied by every live node.
    Applied,
    /// No node anywhere, silent ones included, can serve the old content.
    Fenced,
}

impl From<Wait> for Level {
    fn from(wait: Wait) -> Level {
        match wait {
            Wait::Committed => Level::Committed,
            Wait::Applied => Level::Applied,
            Wait::Fenced => Level::Fenced,
        }
    }
}

/// Parses any length of time.
pub(crate) fn duration(given: &str) -> Result<Duration, String> {
    let refuse = || format!("{given:?}: expected a time such as 30s, 500ms, 2m or 30 (seconds)");
    let digits = given.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = given.split_at(digits);
    let number: u64 = number.parse().map_err(|_| refuse())?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" | "" => 1_000,
        "m" | "min" => 60_000,
        _ => return Err(refuse()),
    };
    number.checked_mul(unit_ms).map(Duration::from_millis).ok_or_else(refuse)
}

/// Parses how long a node is asked to wait.
pub(crate) fn patience(given: &str) -> Result<Duration, String> {
    let patience = duration(given)?;
    match patience.is_zero() || patience > ADMIN_WAIT_MAX {
        true => Err(format!("{given:?}: expected 1ms to {}s", ADMIN_WAIT_MAX.as_secs())),
        false => Ok(patience),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_or_is_in_seconds() {
        for (given, millis) in [
            ("30s", 30_000),
            ("500ms", 500),
            ("2m", 120_000),
            ("2min", 120_000),
            ("7", 7_000),
            ("1ms", 1),
        ] {
            assert_eq!(patience(given), Ok(Duration::from_millis(millis)), "{given}");
        }
    }

    #[test]
    fn what_is_no_time_is_told_what_would_be() {
        for bad in ["", "s", "-1s", "1.5s", "30 s", "30h", "99999999999999999999", "é"] {
            assert!(patience(bad).unwrap_err().contains("such as 30s"), "{bad}");
        }
        for far in ["0", "0ms", "121s", "3m"] {
            assert!(patience(far).unwrap_err().contains("1ms to 120s"), "{far}");
        }
        assert!(duration("1000000000000000000m").is_err());
    }
}
