//! SCRAM as Kafka speaks it (RFC 5802, RFC 7677): the server learns no password, and has to prove that it knew one.
//!
//! Own code, as rsasl 2.3 indexes a broker's bytes unchecked and computes however many rounds a broker asks for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::digest::core_api::BlockSizeUser;
use hmac::digest::{Digest, KeyInit};
use hmac::{Mac, SimpleHmac};
use sha2::{Sha256, Sha512};
use zeroize::Zeroizing;

use crate::config::SaslMechanism;

/// Fewer rounds make a stolen exchange too easy to guess from (RFC 7677 §4); Kafka uses no fewer either.
const MIN_ROUNDS: u32 = 4_096;
/// More would let a broker keep a thread busy; Kafka uses at most 16,384.
const MAX_ROUNDS: u32 = 100_000;

/// Why an exchange cannot go on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ScramError {
    #[error("the broker's SCRAM message cannot be read: {0}")]
    Malformed(&'static str),
    #[error("the broker asks for {0} rounds of hashing; expected {MIN_ROUNDS} to {MAX_ROUNDS}")]
    Rounds(u32),
    #[error("the broker refuses: {0}")]
    Refused(String),
    #[error("the broker could not prove that it knows the password: is it the right one?")]
    Unproven,
    #[error("the system has no random numbers")]
    NoRandom,
}

/// A client before the exchange: [`first`](Self::first), then [`answer`](Self::answer).
pub(super) struct Scram {
    sha512: bool,
    password: Zeroizing<Vec<u8>>,
    nonce: String,
    first_bare: String,
}

/// What the server has to know, if it knows the password.
#[derive(Debug)]
pub(super) struct ServerSignature(Zeroizing<Vec<u8>>);

impl Scram {
    pub(super) fn new(mechanism: SaslMechanism, user: &str, password: &str) -> Result<Self, ScramError> {
        let mut random = [0; 24];
        getrandom::getrandom(&mut random).map_err(|_| ScramError::NoRandom)?;
        Ok(Self::with_nonce(mechanism, user, password, BASE64.encode(random)))
    }

    fn with_nonce(mechanism: SaslMechanism, user: &str, password: &str, nonce: String) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Self {
            sha512: mechanism == SaslMechanism::ScramSha512,
            password: Zeroizing::new(password.as_bytes().to_vec()),
            first_bare: format!("n={user},r={nonce}"),
            nonce,
        }
    }

    pub(super) fn first(&self) -> String {
        format!("n,,{}", self.first_bare)
    }

    /// The answer to the server's challenge, and what the server has to answer to it.
    pub(super) fn answer(&self, challenge: &[u8]) -> Result<(String, ServerSignature), ScramError> {
        let challenge = text(challenge)?;
        let nonce = field(challenge, "r=")?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(ScramError::Malformed("its nonce does not extend ours"));
        }
        let salt = BASE64
            .decode(field(challenge, "s=")?)
            .map_err(|_| ScramError::Malformed("its salt is not valid base64"))?;
        let rounds: u32 = field(challenge, "i=")?
            .parse()
            .map_err(|_| ScramError::Malformed("its iteration count is not a number"))?;
        if !(MIN_ROUNDS..=MAX_ROUNDS).contains(&rounds) {
            return Err(ScramError::Rounds(rounds));
        }
        // "biws" is "n,," in base64: no channel binding.
        let unproven = format!("c=biws,r={nonce}");
        let signed = format!("{},{challenge},{unproven}", self.first_bare);
        let (proof, signature) = match self.sha512 {
            true => self.prove::<Sha512>(&salt, rounds, &signed, pbkdf2::pbkdf2_hmac::<Sha512>),
            false => self.prove::<Sha256>(&salt, rounds, &signed, pbkdf2::pbkdf2_hmac::<Sha256>),
        };
        Ok((format!("{unproven},p={}", BASE64.encode(&*proof)), signature))
    }

    fn prove<D: Digest + BlockSizeUser>(
        &self,
        salt: &[u8],
        rounds: u32,
        signed: &str,
        stretch: impl FnOnce(&[u8], &[u8], u32, &mut [u8]),
    ) -> (Zeroizing<Vec<u8>>, ServerSignature) {
        let mut salted = Zeroizing::new(vec![0; <D as Digest>::output_size()]);
        stretch(&self.password, salt, rounds, &mut salted);
        let client_key = sign::<D>(&salted, b"Client Key");
        let stored_key = D::digest(&*client_key);
        let signature = sign::<D>(&stored_key, signed.as_bytes());
        let server_key = sign::<D>(&salted, b"Server Key");
        let proof = client_key.iter().zip(signature.iter()).map(|(key, sig)| key ^ sig).collect();
        (Zeroizing::new(proof), ServerSignature(sign::<D>(&server_key, signed.as_bytes())))
    }
}

impl ServerSignature {
    /// Checks that the server knew the password too.
    pub(super) fn verify(&self, last: &[u8]) -> Result<(), ScramError> {
        let last = text(last)?;
        if let Some(refused) = last.strip_prefix("e=") {
            return Err(ScramError::Refused(crate::error::printable(refused)));
        }
        let signature = BASE64
            .decode(field(last, "v=")?)
            .map_err(|_| ScramError::Malformed("its signature is not valid base64"))?;
        // The time that this takes reveals nothing: the peer knows its own signature.
        match !signature.is_empty() && signature == *self.0 {
            true => Ok(()),
            false => Err(ScramError::Unproven),
        }
    }
}

fn sign<D: Digest + BlockSizeUser>(key: &[u8], data: &[u8]) -> Zeroizing<Vec<u8>> {
    // A key of any length will do.
    let Ok(mut hmac) = <SimpleHmac<D> as KeyInit>::new_from_slice(key) else {
        return Zeroizing::default();
    };
    hmac.update(data);
    Zeroizing::new(hmac.finalize().into_bytes().to_vec())
}

fn text(message: &[u8]) -> Result<&str, ScramError> {
    std::str::from_utf8(message).map_err(|_| ScramError::Malformed("it is not valid UTF-8"))
}

fn field<'a>(message: &'a str, name: &'static str) -> Result<&'a str, ScramError> {
    message.split(',').find_map(|part| part.strip_prefix(name)).ok_or(ScramError::Malformed(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677 §3.
    #[test]
    fn the_vectors_of_the_rfc_hold() {
        let nonce = "rOprNGfwEbeRWgbNEkqO".to_owned();
        let scram = Scram::with_nonce(SaslMechanism::ScramSha256, "user", "pencil", nonce);
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let challenge =
            b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (answer, signature) = scram.answer(challenge).unwrap();
        assert_eq!(
            answer,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        signature.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap();
        assert_eq!(signature.verify(b"v=AAAA"), Err(ScramError::Unproven));
        assert_eq!(signature.verify(b"v="), Err(ScramError::Unproven));
        assert_eq!(signature.verify(b"e=unknown-user"), Err(ScramError::Refused("unknown-user".into())));
    }

    #[test]
    fn a_name_cannot_add_fields() {
        let scram = Scram::with_nonce(SaslMechanism::ScramSha512, "a,r=b", "x", "n".into());
        assert_eq!(scram.first(), "n,,n=a=2Cr=3Db,r=n");
    }

    #[test]
    fn a_brokers_nonsense_is_an_error() {
        let ask = |challenge: &[u8]| {
            Scram::with_nonce(SaslMechanism::ScramSha512, "u", "p", "abc".into())
                .answer(challenge)
                .unwrap_err()
        };
        for challenge in [
            &b""[..],
            b"r",
            b"\xff\xfe",
            b"r=other,s=AAAA,i=4096",
            b"r=abc,s=AAAA,i=4096",
            b"r=abcd,s=*,i=4096",
            b"r=abcd,s=AAAA",
            b"r=abcd,s=AAAA,i=-1",
            b"r=abcd,s=AAAA,i=99999999999",
        ] {
            assert!(matches!(ask(challenge), ScramError::Malformed(_)), "{challenge:?}");
        }
        assert_eq!(ask(b"r=abcd,s=AAAA,i=1"), ScramError::Rounds(1));
        assert_eq!(ask(b"r=abcd,s=AAAA,i=4294967295"), ScramError::Rounds(u32::MAX));
    }
}
