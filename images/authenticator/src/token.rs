//! An OATH token: TOTP with SHA-1, 6 digits, 30 s (RFC 6238), as hardware tokens are sold.

use std::fmt;

use totp_rs::{Algorithm, Builder, Secret, Totp};

use crate::Error;

/// A person's token. Prints nothing.
pub struct Token(Totp);

impl Token {
    /// From the secret that the gateway's administration gave out, in base32.
    pub fn new(base32: &str) -> Result<Self, Error> {
        let secret = Secret::try_from_base32(base32).map_err(|_| Error::TokenSecret)?;
        Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(6)
            .with_step_duration(30)
            .with_secret(secret)
            .build()
            .map(Self)
            .map_err(|_| Error::TokenSecret)
    }

    /// The code that the token shows at a time, in seconds since 1970.
    pub fn code(&self, at: u64) -> String {
        self.0.generate(at).to_string()
    }

    /// The code of now.
    pub fn code_now(&self) -> String {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        self.code(now)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_shows_the_codes_of_rfc_6238() {
        // The RFC's secret "12345678901234567890"; its codes have 8 digits, a token's the last 6.
        let token = Token::new("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap();
        for (at, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(token.code(at), code);
        }
    }

    #[test]
    fn token_prints_nothing() {
        let token = Token::new("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap();
        assert_eq!(format!("{token:?}"), "Token(…)");
    }
}
