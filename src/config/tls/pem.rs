//! Files and texts in PEM format, and what those in other formats are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem;
use zeroize::Zeroizing;

use super::Pem;
use crate::error::{Error, ErrorKind, Result, printable};

pub(super) type Bytes = Zeroizing<Vec<u8>>;

pub(super) fn invalid(text: String) -> Error {
    Error::new(ErrorKind::InvalidConfig, text)
}

/// A mark that some editors put at the start of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

pub(super) fn read(pem: &Pem, setting: &str) -> Result<Bytes> {
    let (bytes, path) = match pem {
        Pem::Text(text) => (Zeroizing::new(text.expose().as_bytes().to_vec()), None),
        Pem::File(path) => {
            let shown = printable(&path.display().to_string());
            let read = std::fs::read(path).map(Zeroizing::new);
            (
                read.map_err(|error| invalid(format!("{setting}: {shown} cannot be read: {error}")))?,
                Some(shown),
            )
        }
    };
    if let Some(advice) = other_format(&bytes, path.as_deref().unwrap_or("IN")) {
        return Err(invalid(format!("{setting}: {} {advice}", path.as_deref().unwrap_or("the text"))));
    }
    let unmarked = bytes.as_slice().strip_prefix(BYTE_ORDER_MARK).map(|rest| Zeroizing::new(rest.to_vec()));
    Ok(unmarked.unwrap_or(bytes))
}

/// What a file is instead of PEM, and the command that converts it.
fn other_format(bytes: &[u8], path: &str) -> Option<String> {
    Some(match bytes {
        [0xfe, 0xed, 0xfe, 0xed, ..] | [0xce, 0xce, 0xce, 0xce, ..] => format!(
            "is a keystore of Java's (JKS), and only PEM is read. Convert a truststore by `keytool -list -rfc -keystore \
             {path} > ca.pem`, or remove it if it is a copy of Java's own: the platform's authorities are trusted. Convert a \
             keystore by `keytool -importkeystore -srckeystore {path} -destkeystore out.p12 -deststoretype PKCS12` and \
             `openssl pkcs12 -in out.p12 -nodes -out client.pem`"
        ),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            "is UTF-16, as PowerShell's `>` writes it: save it as ASCII or UTF-8".to_owned()
        }
        _ => match after_sequence(bytes)? {
            [2, 1, 3, ..] => format!(
                "is PKCS#12, and only PEM is read. Convert a truststore by `openssl pkcs12 -in {path} -nokeys -out ca.pem`, a \
                 keystore by `openssl pkcs12 -in {path} -nodes -out client.pem`"
            ),
            [2, 1, ..] => {
                format!(
                    "is a key in DER format, and only PEM is read: convert it by `openssl pkey -in {path} -out key.pem`"
                )
            }
            [0x30, ..] => format!(
                "is a certificate or key in DER format, and only PEM is read: convert it by `openssl x509 -in {path} -out \
                 cert.pem` or `openssl pkey -in {path} -out key.pem`"
            ),
            _ => return None,
        },
    })
}

/// What is in an ASN.1 sequence, with which all of them begin.
fn after_sequence(bytes: &[u8]) -> Option<&[u8]> {
    let (&[tag, length], rest) = bytes.split_first_chunk()?;
    let more = match length {
        ..=0x80 => 0,
        _ => usize::from(length & 0x7f),
    };
    (tag == 0x30 && more <= 4).then(|| rest.get(more..)).flatten()
}

/// The bytes of the first section of this kind.
pub(super) fn section(pem: &[u8], kind: &str) -> Option<Bytes> {
    let text = std::str::from_utf8(pem).ok()?;
    let (_, rest) = text.split_once(&format!("-----BEGIN {kind}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {kind}-----"))?;
    let body = Zeroizing::new(body.split_whitespace().collect::<String>());
    STANDARD.decode(body.as_bytes()).ok().map(Zeroizing::new)
}

pub(super) fn no_pem(error: &pem::Error, what: &str) -> String {
    match error {
        pem::Error::NoItemsFound => {
            format!("there is no {what} in PEM format (\"-----BEGIN …\"; JKS and PKCS#12 are not read)")
        }
        _ => format!("the {what} in PEM format is damaged"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_formats_are_known_by_their_first_bytes() {
        let sequence = |inner: &[u8]| [&[0x30, 0x82, 0x09, 0x99], inner].concat();
        for (bytes, expected) in [
            (vec![0xfe, 0xed, 0xfe, 0xed, 0, 0], "keytool -list -rfc -keystore /k"),
            (sequence(&[2, 1, 3, 0x30]), "openssl pkcs12 -in /k -nokeys"),
            (vec![0x30, 0x80, 2, 1, 3, 0x30], "PKCS#12"),
            (sequence(&[2, 1, 0, 0x30]), "openssl pkey -in /k"),
            (sequence(&[0x30, 0x82, 1, 1]), "openssl x509 -in /k"),
            (b"\xff\xfe-\0-\0".to_vec(), "UTF-16"),
        ] {
            let advice = other_format(&bytes, "/k").unwrap();
            assert!(advice.contains(expected), "{advice}");
        }
        for bytes in [&b""[..], b"0", b"-----BEGIN", b"0\x84", b"0\xff", b"\xef\xbb\xbf-----"] {
            assert_eq!(other_format(bytes, "/k"), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_mark_at_the_start_is_skipped() {
        let marked = Pem::text("\u{feff}-----BEGIN CERTIFICATE-----");
        assert_eq!(read(&marked, "tls.ca").unwrap().as_slice(), b"-----BEGIN CERTIFICATE-----");
    }
}
