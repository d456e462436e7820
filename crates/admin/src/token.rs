//! The token that opens the door: read from a file that only its owner may read.
//!
//! Only its hash is kept. Hashes are compared in constant time, so that answers do not tell how
//! much of a guess was right.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use model::limits::{TOKEN_BYTES_MAX, TOKEN_BYTES_MIN};

use crate::AdminError;

const OTHERS: u32 = 0o077;

/// What an operator must show.
#[derive(Clone)]
pub struct Token(blake3::Hash);

impl Token {
    /// Reads the token from `file`, which must be its owner's alone.
    pub fn read(file: &Path) -> Result<Token, AdminError> {
        let unreadable = |source| AdminError::TokenFile { file: file.to_owned(), source };
        let (mode, text) = load(file).map_err(unreadable)?;
        if mode & OTHERS != 0 {
            return Err(AdminError::TokenMode { file: file.to_owned(), mode });
        }
        let shape = || AdminError::TokenText { file: file.to_owned() };
        Token::parse(&text).ok_or_else(shape)
    }

    /// Whether `shown` is this token.
    pub(crate) fn is(&self, shown: &[u8]) -> bool {
        blake3::hash(shown) == self.0
    }

    fn parse(text: &[u8]) -> Option<Token> {
        let token = text.trim_ascii();
        let fits = (TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX).contains(&token.len());
        let printable = token.iter().all(u8::is_ascii_graphic);
        (fits && printable).then(|| Token(blake3::hash(token)))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The permission bits and the text of one and the same file; a little more than a token may have
/// is read, never all.
fn load(file: &Path) -> io::Result<(u32, Vec<u8>)> {
    let opened = File::open(file)?;
    let mode = opened.metadata()?.permissions().mode() & 0o777;
    let mut text = Vec::new();
    opened.take(TOKEN_BYTES_MAX as u64 * 2).read_to_end(&mut text)?;
    Ok((mode, text))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::path::PathBuf;

    use super::*;

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("admin.token");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        (directory, file)
    }

    #[test]
    fn a_token_is_its_files_text_without_the_line_end() {
        let (_directory, file) = file("0123456789abcdef\n", 0o600);
        let token = Token::read(&file).unwrap();
        assert!(token.is(b"0123456789abcdef"));
        assert!(!token.is(b"0123456789abcdef\n") && !token.is(b"0123456789abcde"));
        assert_eq!(format!("{token:?}"), "Token(..)");
    }

    #[test]
    fn a_token_has_its_least_and_most_bytes_and_not_one_beyond() {
        for (bytes, fits) in [
            (TOKEN_BYTES_MIN - 1, false),
            (TOKEN_BYTES_MIN, true),
            (TOKEN_BYTES_MAX, true),
            (TOKEN_BYTES_MAX + 1, false),
        ] {
            assert_eq!(Token::parse("x".repeat(bytes).as_bytes()).is_some(), fits, "{bytes}");
        }
    }

    #[test]
    fn a_file_that_holds_no_token_is_refused_by_name() {
        for text in ["", "\n", "too short", "two words, and long enough", "0123456789abcdefä"] {
            let (_directory, file) = file(text, 0o600);
            let refusal = Token::read(&file).unwrap_err().to_string();
            assert!(refusal.contains("admin.token holds no token"), "{text:?}: {refusal}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_with_its_mode() {
        for mode in [0o644, 0o640, 0o604, 0o620, 0o601] {
            let (_directory, file) = file("0123456789abcdef", mode);
            let refusal = Token::read(&file).unwrap_err().to_string();
            assert!(refusal.contains(&format!("mode {mode:04o}")), "{refusal}");
            assert!(refusal.contains("admin.token"), "{refusal}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let refusal = Token::read(Path::new("/nowhere/admin.token")).unwrap_err();
        assert!(refusal.to_string().contains("/nowhere/admin.token"));
    }
}
