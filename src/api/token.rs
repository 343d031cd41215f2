//! The server's token. Only its digest is kept, and compared in constant time, so that neither memory nor timing tells it.

use std::fmt;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

/// Shorter ones can be guessed.
const SHORTEST: usize = 16;

/// What a caller must present as `Authorization: Bearer`.
#[derive(Clone)]
pub struct Token([u8; 32]);

/// Why a token cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Its file cannot be read.
    #[error("failed to read --token-file {path}: {source}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It could be guessed.
    #[error("the token has {0} characters: write at least 16 into the file of --token-file, for example from `openssl rand -hex 32`")]
    TooShort(usize),
    /// It cannot stand in a header.
    #[error("the token holds a blank or a character that is not visible ASCII: write one word into the file of --token-file")]
    NotAWord,
}

impl Token {
    /// The token in a file; white space around it does not count.
    ///
    /// # Errors
    /// [`TokenError`] naming the file or the flag, and the mend.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let text = std::fs::read_to_string(path).map_err(|source| TokenError::Unreadable { path: path.to_owned(), source })?;
        Self::new(text.trim())
    }

    /// A token as it is.
    ///
    /// # Errors
    /// [`TokenError`] when it is too short or cannot stand in a header.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(TokenError::NotAWord);
        }
        if text.len() < SHORTEST {
            return Err(TokenError::TooShort(text.len()));
        }
        Ok(Self(Sha256::digest(text).into()))
    }

    /// Whether `presented` is this token.
    pub(super) fn is(&self, presented: &str) -> bool {
        let presented: [u8; 32] = Sha256::digest(presented).into();
        self.0.ct_eq(&presented).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_from_a_file_and_never_printed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, "a-token-of-some-length\n").unwrap();
        let token = Token::read(&path).unwrap();
        assert!(token.is("a-token-of-some-length"));
        assert!(!token.is("a-token-of-some-lengti") && !token.is(""));
        assert_eq!(format!("{token:?}"), "Token(..)");
    }

    #[test]
    fn what_could_be_guessed_or_sent_wrongly_is_refused_with_the_mend() {
        assert!(Token::new("short").unwrap_err().to_string().contains("at least 16"));
        assert!(matches!(Token::new("two words of a token"), Err(TokenError::NotAWord)));
        let missing = Token::read(Path::new("/nowhere/token")).unwrap_err().to_string();
        assert!(missing.contains("--token-file /nowhere/token"), "{missing}");
    }
}
