//! What a caller asks of a command's delivery: under which key, how far, how long.
//!
//! Every write of the API takes the same three, so they are read in one place.

use std::str::FromStr;
use std::time::Duration;

use control::CommandId;
use model::limits::{ADMIN_WAIT_MAX, IDEMPOTENCY_KEY_CHARS_MAX, PURGE_WAIT, SUBMIT};
use model::{Invalid, Level};

use crate::problem::{Fault, Problem};

/// How a command is to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    /// The key that the caller chose.
    pub(crate) key: Option<String>,
    /// The id behind it.
    pub(crate) id: Option<CommandId>,
    /// How far the command must come.
    pub(crate) level: Level,
    /// How long the caller waits for it.
    pub(crate) patience: Duration,
}

impl Demand {
    /// Reads what the caller gave; what is left out gets its default.
    pub(crate) fn read(
        key: Option<String>,
        wait: Option<Level>,
        timeout_ms: Option<u64>,
    ) -> Result<Demand, Problem> {
        Demand::of(key, wait.unwrap_or(Level::Applied), patience(timeout_ms, SUBMIT)?)
    }

    /// The same for a purge, which waits longer: a node that went silent holds `fenced` up until
    /// its lease is over.
    pub(crate) fn of_purge(
        key: Option<String>,
        level: Level,
        timeout_ms: Option<u64>,
    ) -> Result<Demand, Problem> {
        Demand::of(key, level, patience(timeout_ms, PURGE_WAIT)?)
    }

    fn of(key: Option<String>, level: Level, patience: Duration) -> Result<Demand, Problem> {
        let id = key.as_deref().map(command_id).transpose()?;
        Ok(Demand { key, id, level, patience })
    }
}

/// The id in a path: as receipts print it, or the key that was chosen for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KnownId(pub(crate) CommandId);

impl FromStr for KnownId {
    type Err = Invalid;

    fn from_str(given: &str) -> Result<KnownId, Invalid> {
        command_id(given).map(KnownId)
    }
}

/// How long a caller waits.
pub(crate) fn patience(timeout_ms: Option<u64>, default: Duration) -> Result<Duration, Problem> {
    let patience = timeout_ms.map_or(default, Duration::from_millis);
    if patience.is_zero() || patience > ADMIN_WAIT_MAX {
        let (given, most) = (patience.as_millis(), ADMIN_WAIT_MAX.as_millis());
        let detail = format!("timeout_ms: {given} given, expected 1 to {most}");
        return Err(Problem::new(Fault::Malformed, detail));
    }
    Ok(patience)
}

/// The id behind a key: 32 hex digits are an id as receipts print it, anything else is hashed.
fn command_id(key: &str) -> Result<CommandId, Invalid> {
    let chars = key.chars().count();
    if chars == 0 || chars > IDEMPOTENCY_KEY_CHARS_MAX {
        return Err(Invalid::new("idempotency_key", key, "1 to 64 characters"));
    }
    let is_printed_id = key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let (true, Ok(id)) = (is_printed_id, u128::from_str_radix(key, 16)) {
        return Ok(CommandId(id));
    }
    let mut id = [0; 16];
    blake3::Hasher::new().update(key.as_bytes()).finalize_xof().fill(&mut id);
    Ok(CommandId(u128::from_be_bytes(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_id_parses_back_to_itself() {
        for id in [CommandId(0), CommandId(u128::MAX), CommandId(0x0123_4567)] {
            assert_eq!(command_id(&id.to_string()), Ok(id));
        }
        let upper = CommandId(0xabc).to_string().to_uppercase();
        assert_eq!(command_id(&upper), Ok(CommandId(0xabc)));
    }

    #[test]
    fn a_chosen_key_always_means_the_same_id() {
        assert_eq!(command_id("deploy-42"), command_id("deploy-42"));
        assert_ne!(command_id("deploy-42"), command_id("deploy-43"));
        let golden = &blake3::hash(b"deploy-42").to_hex()[..32];
        assert_eq!(command_id("deploy-42").unwrap().to_string(), golden);
        assert!(command_id("+2345678901234567890123456789012").is_ok());
    }

    #[test]
    fn a_key_has_1_to_64_characters() {
        assert!(command_id(&"ä".repeat(IDEMPOTENCY_KEY_CHARS_MAX)).is_ok());
        for bad in ["", &"x".repeat(IDEMPOTENCY_KEY_CHARS_MAX + 1)] {
            assert!(command_id(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn patience_is_bounded_and_has_a_default() {
        let read = |timeout_ms| Demand::read(None, None, timeout_ms);
        assert_eq!(read(None).unwrap().patience, Duration::from_secs(10));
        assert_eq!(read(None).unwrap().level, Level::Applied);
        assert_eq!(read(Some(120_000)).unwrap().patience, ADMIN_WAIT_MAX);
        let purge = Demand::of_purge(None, Level::Fenced, None).unwrap();
        assert_eq!((purge.level, purge.patience), (Level::Fenced, Duration::from_secs(30)));
        for bad in [0, 120_001, u64::MAX] {
            let problem = read(Some(bad)).unwrap_err();
            assert!(problem.detail.contains("expected 1 to 120000"), "{problem:?}");
        }
    }
}
