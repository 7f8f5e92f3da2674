//! Throw-away certificates.
//!
//! Made by `rcgen` without a crypto backend, its signatures by `p256`: pure Rust, so that a test on a fake broker needs
//! neither Java nor a C compiler. An RSA key would need one more crate and a long search for primes; so
//! [`Certificates::rsa_server`] has a key that lies in this crate for all to see, signed for anew each time.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::elliptic_curve::rand_core::{OsRng, RngCore};
use p256::pkcs8::{EncodePrivateKey, LineEnding, SecretDocument};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyIdMethod, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, PublicKeyData, SerialNumber,
    SignatureAlgorithm, date_time_ymd,
};
use sha2::{Digest, Sha256};

/// A certificate authority, and what it signed for tests; then a foreign one that nobody should trust.
///
/// All are for keys on P-256, but for [`rsa_server`](Self::rsa_server).
///
/// ```
/// let certificates = kafka_testbed::Certificates::generate()?;
/// assert!(certificates.ca_pem().starts_with("-----BEGIN CERTIFICATE-----"));
/// assert!(certificates.client().key_pem().starts_with("-----BEGIN PRIVATE KEY-----"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Certificates {
    ca: Identity,
    server: Identity,
    rsa_server: Identity,
    expired_server: Identity,
    wrong_host_server: Identity,
    client: Identity,
    foreign_ca: Identity,
    foreign_client: Identity,
}

/// A certificate with its key.
#[derive(Clone)]
pub struct Identity {
    certificate_pem: String,
    certificate_der: Vec<u8>,
    key_pem: String,
    key_der: Vec<u8>,
}

impl Certificates {
    /// Makes them all: two authorities and six certificates.
    ///
    /// # Errors
    ///
    /// If the system has no random bytes to give, or a certificate cannot be encoded.
    pub fn generate() -> io::Result<Self> {
        let ours = Authority::new("kafka-testbed CA")?;
        let foreign = Authority::new("a foreign CA")?;
        let server = || leaf("localhost", LOCAL, ExtendedKeyUsagePurpose::ServerAuth);
        let client = |name| leaf(name, &[], ExtendedKeyUsagePurpose::ClientAuth);
        let mut expired = server()?;
        expired.not_after = date_time_ymd(2021, 1, 1);
        let elsewhere = ["elsewhere.example"];
        let wrong_host = leaf(elsewhere[0], &elsewhere, ExtendedKeyUsagePurpose::ServerAuth)?;
        Ok(Self {
            server: ours.issue(server()?, &Key::p256()?)?,
            rsa_server: ours.issue(server()?, &Key::rsa()?)?,
            expired_server: ours.issue(expired, &Key::p256()?)?,
            wrong_host_server: ours.issue(wrong_host, &Key::p256()?)?,
            client: ours.issue(client("client")?, &Key::p256()?)?,
            foreign_client: foreign.issue(client("foreign client")?, &Key::p256()?)?,
            ca: ours.identity,
            foreign_ca: foreign.identity,
        })
    }

    /// Certificate of the authority that signed all but the foreign ones, as PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.ca.certificate_pem()
    }

    /// For a server at `localhost`, 127.0.0.1 and ::1.
    #[must_use]
    pub fn server(&self) -> &Identity {
        &self.server
    }

    /// As [`server`](Self::server), with a key of RSA, 2048 bits. The key is part of this crate, so no secret at all.
    #[must_use]
    pub fn rsa_server(&self) -> &Identity {
        &self.rsa_server
    }

    /// As [`server`](Self::server), and expired since 2021.
    #[must_use]
    pub fn expired_server(&self) -> &Identity {
        &self.expired_server
    }

    /// For a server at `elsewhere.example`, and not on this machine.
    #[must_use]
    pub fn wrong_host_server(&self) -> &Identity {
        &self.wrong_host_server
    }

    /// For a client, `CN=client`.
    #[must_use]
    pub fn client(&self) -> &Identity {
        &self.client
    }

    /// Certificate of another authority, as PEM: a client that trusts it alone trusts none of the servers above.
    #[must_use]
    pub fn foreign_ca_pem(&self) -> &str {
        self.foreign_ca.certificate_pem()
    }

    /// For a client, by the foreign authority.
    #[must_use]
    pub fn foreign_client(&self) -> &Identity {
        &self.foreign_client
    }

    /// Writes all as files into `dir`: `ca.pem` and `foreign-ca.pem`, and for each of `server`, `rsa-server`,
    /// `expired-server`, `wrong-host-server`, `client` and `foreign-client` a `NAME.pem` (the certificate), a
    /// `NAME.key` (its key) and a `NAME.keystore.pem` (both in one, as Kafka's `ssl.keystore.location` wants them).
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn write_to(&self, dir: impl AsRef<Path>) -> io::Result<PathBuf> {
        let dir = dir.as_ref();
        fs::create_dir_all(dir)?;
        fs::write(dir.join("ca.pem"), self.ca_pem())?;
        fs::write(dir.join("foreign-ca.pem"), self.foreign_ca_pem())?;
        let identities = [
            ("server", &self.server),
            ("rsa-server", &self.rsa_server),
            ("expired-server", &self.expired_server),
            ("wrong-host-server", &self.wrong_host_server),
            ("client", &self.client),
            ("foreign-client", &self.foreign_client),
        ];
        for (name, identity) in identities {
            fs::write(dir.join(format!("{name}.pem")), &identity.certificate_pem)?;
            fs::write(dir.join(format!("{name}.key")), &identity.key_pem)?;
            let both = [identity.key_pem.as_str(), &identity.certificate_pem].concat();
            fs::write(dir.join(format!("{name}.keystore.pem")), both)?;
        }
        Ok(dir.to_owned())
    }
}

impl Identity {
    /// The certificate, as PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The certificate, as DER.
    #[must_use]
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate_der
    }

    /// The key, as PEM of PKCS#8.
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// The key, as DER of PKCS#8.
    #[must_use]
    pub fn key_der(&self) -> &[u8] {
        &self.key_der
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("certificate_pem", &self.certificate_pem).finish_non_exhaustive()
    }
}

const LOCAL: &[&str] = &["localhost", "127.0.0.1", "::1"];

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
    params.serial_number = Some(SerialNumber::from(OsRng.next_u64() >> 1));
    params
}

fn leaf(name: &str, hosts: &[&str], usage: ExtendedKeyUsagePurpose) -> io::Result<CertificateParams> {
    let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = params(name);
    params.subject_alt_names = CertificateParams::new(hosts).map_err(io::Error::other)?.subject_alt_names;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// A key pair as a certificate and a server want it.
struct Key {
    public: Vec<u8>,
    algorithm: &'static SignatureAlgorithm,
    pkcs8: SecretDocument,
}

impl Key {
    fn of(secret: &SigningKey) -> io::Result<Self> {
        Ok(Self {
            public: secret.verifying_key().to_encoded_point(false).as_bytes().to_vec(),
            algorithm: &PKCS_ECDSA_P256_SHA256,
            pkcs8: secret.to_pkcs8_der().map_err(io::Error::other)?,
        })
    }

    fn p256() -> io::Result<Self> {
        Self::of(&SigningKey::random(&mut OsRng))
    }

    fn rsa() -> io::Result<Self> {
        Ok(Self {
            public: include_bytes!("certificates/rsa-2048.public.der").to_vec(),
            algorithm: &PKCS_RSA_SHA256,
            pkcs8: SecretDocument::try_from(&include_bytes!("certificates/rsa-2048.pk8.der")[..])
                .map_err(io::Error::other)?,
        })
    }

    /// The hash that ties a certificate to the one that signed it.
    fn id(&self) -> KeyIdMethod {
        KeyIdMethod::PreSpecified(Sha256::digest(&self.public)[..20].to_vec())
    }

    fn identity(&self, certificate: &Certificate) -> io::Result<Identity> {
        let key_pem = self.pkcs8.to_pem("PRIVATE KEY", LineEnding::LF).map_err(io::Error::other)?;
        Ok(Identity {
            certificate_pem: certificate.pem(),
            certificate_der: certificate.der().to_vec(),
            key_pem: key_pem.to_string(),
            key_der: self.pkcs8.as_bytes().to_vec(),
        })
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

struct Authority {
    identity: Identity,
    issuer: Issuer<'static, Signer>,
}

struct Signer {
    key: Key,
    secret: SigningKey,
}

impl Authority {
    fn new(name: &str) -> io::Result<Self> {
        let secret = SigningKey::random(&mut OsRng);
        let signer = Signer { key: Key::of(&secret)?, secret };
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.key_identifier_method = signer.key.id();
        let certificate = params.self_signed(&signer).map_err(io::Error::other)?;
        Ok(Self { identity: signer.key.identity(&certificate)?, issuer: Issuer::new(params, signer) })
    }

    fn issue(&self, mut params: CertificateParams, key: &Key) -> io::Result<Identity> {
        params.key_identifier_method = key.id();
        key.identity(&params.signed_by(key, &self.issuer).map_err(io::Error::other)?)
    }
}

impl PublicKeyData for Signer {
    fn der_bytes(&self) -> &[u8] {
        self.key.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.key.algorithm()
    }
}

impl rcgen::SigningKey for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature: DerSignature = self.secret.sign(message);
        Ok(signature.as_bytes().to_vec())
    }
}
