//! The server's side of SCRAM (RFC 5802), as strict as Kafka's.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::digest::{KeyInit, OutputSizeUser};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256, Sha512};

/// As many as Kafka's default.
const ITERATIONS: u32 = 4096;
const SALT: &[u8] = b"kafka-testbed salt";

/// Which hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha512,
}

/// A client's first message, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFirst {
    pub(super) user: String,
    /// The user to act as; empty for the user itself.
    pub(super) authorization_id: String,
    header: String,
    bare: String,
    nonce: String,
}

/// What is kept between the two messages.
#[derive(Debug)]
pub(super) struct Exchange {
    hash: Hash,
    header: String,
    nonce: String,
    /// Both first messages, which the proof covers.
    auth_message: String,
}

impl ClientFirst {
    /// `n,a=who,n=user,r=nonce`
    pub(super) fn read(message: &[u8]) -> Option<Self> {
        let message = std::str::from_utf8(message).ok()?;
        let mut parts = message.splitn(3, ',');
        let (binding, authorization, bare) = (parts.next()?, parts.next()?, parts.next()?);
        // Kafka has no channel binding.
        if !matches!(binding, "n" | "y") {
            return None;
        }
        let authorization_id = match authorization {
            "" => String::new(),
            named => unescaped(named.strip_prefix("a=")?)?,
        };
        let mut fields = bare.split(',');
        let user = unescaped(fields.next()?.strip_prefix("n=")?)?;
        let nonce = fields.next()?.strip_prefix("r=")?.to_owned();
        let header = format!("{binding},{authorization},");
        Some(Self { user, authorization_id, header, bare: bare.to_owned(), nonce })
    }

    /// The server's answer, and what it has to remember.
    pub(super) fn answer(self, hash: Hash, server_nonce: &str) -> (String, Exchange) {
        let nonce = self.nonce + server_nonce;
        let first = format!("r={nonce},s={},i={ITERATIONS}", STANDARD.encode(SALT));
        let auth_message = format!("{},{first}", self.bare);
        (first, Exchange { hash, header: self.header, nonce, auth_message })
    }
}

impl Exchange {
    /// The server's last message; `None` if the client does not know the password.
    pub(super) fn finish(self, message: &[u8], password: &str) -> Option<String> {
        match self.hash {
            Hash::Sha256 => {
                let salted = pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), SALT, ITERATIONS);
                self.verify::<Hmac<Sha256>, Sha256>(message, &salted)
            }
            Hash::Sha512 => {
                let salted = pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password.as_bytes(), SALT, ITERATIONS);
                self.verify::<Hmac<Sha512>, Sha512>(message, &salted)
            }
        }
    }

    fn verify<M: Mac + KeyInit + OutputSizeUser, H: Digest>(
        self,
        message: &[u8],
        salted: &[u8],
    ) -> Option<String> {
        let message = std::str::from_utf8(message).ok()?;
        let (without_proof, proof) = message.rsplit_once(",p=")?;
        let expected = format!("c={},r={}", STANDARD.encode(&self.header), self.nonce);
        if without_proof != expected {
            return None;
        }
        let auth_message = format!("{},{without_proof}", self.auth_message);
        let sign = |key: &[u8], data: &[u8]| {
            let mac = <M as Mac>::new_from_slice(key).ok()?;
            Some(mac.chain_update(data).finalize().into_bytes())
        };
        let client_key = sign(salted, b"Client Key")?;
        let signature = sign(&H::digest(&client_key), auth_message.as_bytes())?;
        let right: Vec<u8> = client_key.iter().zip(&signature).map(|(key, sign)| key ^ sign).collect();
        if STANDARD.decode(proof).ok()? != right {
            return None;
        }
        let server_key = sign(salted, b"Server Key")?;
        Some(format!("v={}", STANDARD.encode(sign(&server_key, auth_message.as_bytes())?)))
    }
}

/// `=2C` is a comma and `=3D` an equals sign; any other escape is an error.
fn unescaped(name: &str) -> Option<String> {
    let mut parts = name.split('=');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        let (sign, rest) = match part.get(..2)? {
            "2C" => (',', &part[2..]),
            "3D" => ('=', &part[2..]),
            _ => return None,
        };
        plain.push(sign);
        plain.push_str(rest);
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages were made by Python's `hashlib` and `hmac` for our salt and count.
    #[test]
    fn a_proof_of_the_password_is_taken_and_no_other() {
        let first = ClientFirst::read(b"n,,n=al=2Cice,r=client").unwrap();
        assert_eq!((first.user.as_str(), first.authorization_id.as_str()), ("al,ice", ""));
        let begin = |hash| {
            let first = ClientFirst::read(b"n,,n=al=2Cice,r=client").unwrap();
            let (answer, exchange) = first.answer(hash, "server");
            assert_eq!(answer, "r=clientserver,s=a2Fma2EtdGVzdGJlZCBzYWx0,i=4096");
            exchange
        };
        let proof = b"c=biws,r=clientserver,p=+3kq5Ej/3CI5gRpnLljKbajnUrNPmupXpaP77ZMFoXE=";
        let last = begin(Hash::Sha256).finish(proof, "wonderland-4f1e");
        assert_eq!(last.as_deref(), Some("v=O/pmiRxQOpZV7uuEEWiqpP567Hz77xiYk2O9jZ0419k="));
        assert_eq!(begin(Hash::Sha256).finish(proof, "another"), None);
        let other_nonce = b"c=biws,r=clientother,p=+3kq5Ej/3CI5gRpnLljKbajnUrNPmupXpaP77ZMFoXE=";
        assert_eq!(begin(Hash::Sha256).finish(other_nonce, "wonderland-4f1e"), None);

        let proof = b"c=biws,r=clientserver,p=5iFIi6bcGEbHXqlesnH55qrFCDVTWXP3CqaAjQbaP+pF17og13pvzLNXbxu/75JTB33DFJyX2VbUkk+FyEfpdw==";
        let last = begin(Hash::Sha512).finish(proof, "wonderland-4f1e");
        assert_eq!(
            last.as_deref(),
            Some(
                "v=Z6FwBL+yctYYErtmmE+9kS9+ihZSlLQBjEDvsndNbWKcOcV50Ew50NIySpLBW410v9gP7d1NZz4v00KVxIMwIQ=="
            )
        );
    }

    #[test]
    fn what_is_not_scram_is_refused() {
        for message in [&b""[..], b"p=tls,,n=a,r=b", b"n,,m=x,n=a,r=b", b"n,,n=a=b,r=c", b"n,,n=a", b"\xff"] {
            assert_eq!(ClientFirst::read(message), None, "{message:?}");
        }
    }
}
