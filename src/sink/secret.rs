//! Secrets: where they come from, and a key that is made of one. Comes in: a file or a variable of the environment. Goes
//! out: signatures. What the secret is stands in no text that this makes.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use ring::hmac;

use super::SinkError;

/// Where a secret stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In a file, alone; a line end behind it is no part of it.
    File(PathBuf),
    /// In a variable of the environment.
    Env(String),
}

/// Longer is no secret but a mistaken file.
const LONGEST: u64 = 4_096;

/// A key that signs.
#[derive(Clone)]
pub(super) struct Key(hmac::Key);

impl SecretSource {
    /// Reads the secret.
    pub(super) fn key(&self) -> Result<Key, SinkError> {
        let secret = self.read().map_err(|error| SinkError::Secret { of: self.clone(), error })?;
        Ok(Key(hmac::Key::new(hmac::HMAC_SHA256, &secret)))
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        let mut secret = match self {
            SecretSource::File(path) => {
                let mut bytes = Vec::new();
                File::open(path)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
                bytes
            }
            SecretSource::Env(name) => match std::env::var(name) {
                Ok(secret) => secret.into_bytes(),
                Err(std::env::VarError::NotPresent) => return Err(io::Error::other("is not set")),
                Err(std::env::VarError::NotUnicode(_)) => return Err(io::Error::other("is no text")),
            },
        };
        while secret.pop_if(|last| matches!(last, b'\n' | b'\r')).is_some() {}
        match secret.len() as u64 {
            0 => Err(io::Error::other("is empty")),
            1..=LONGEST => Ok(secret),
            _ => Err(io::Error::other("is longer than 4096 bytes")),
        }
    }
}

impl std::fmt::Display for SecretSource {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SecretSource::File(path) => write!(out, "{}", path.display()),
            SecretSource::Env(name) => write!(out, "${name}"),
        }
    }
}

impl Key {
    /// `t=SECONDS,v1=HEX`: HMAC-SHA256 over `SECONDS.BODY`, so that neither can be exchanged and an old message is seen to
    /// be old.
    pub fn signature(&self, secs: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(secs.to_string().as_bytes());
        context.update(b".");
        context.update(body);
        let digits: String = context.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("t={secs},v1={digits}")
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: &[u8]) -> Result<Key, SinkError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hook.key");
        std::fs::write(&path, secret).unwrap();
        SecretSource::File(path).key()
    }

    #[test]
    fn a_signature_is_hmac_sha256_over_time_and_body() {
        // RFC 4231, test case 2: its data has a point nowhere, so the key signs an empty time by hand.
        let known =
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"Jefe"), b"7.what do ya want for nothing?");
        let digits: String = known.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let signature = key(b"Jefe\n").unwrap().signature(7, b"what do ya want for nothing?");
        assert_eq!(signature, format!("t=7,v1={digits}"));
    }

    #[test]
    fn what_is_no_secret_is_refused_and_no_secret_is_told() {
        for (secret, told) in [(&b""[..], "is empty"), (b"\n", "is empty"), (&[b'x'; 5_000], "longer than")] {
            let error = key(secret).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
        let missing = SecretSource::Env("BONGSU_NO_SUCH_SECRET".to_owned()).key().unwrap_err().to_string();
        assert_eq!(missing, "$BONGSU_NO_SUCH_SECRET: the secret cannot be read: is not set");
        assert_eq!(format!("{:?}", key(b"hunter2").unwrap()), "Key(…)");
    }
}
