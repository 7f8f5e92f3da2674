//! Which cryptography is used.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

use super::TlsConfig;

/// The provider of the configuration, of the process, or of this crate's features; or what to do to have one.
pub(super) fn provider(config: &TlsConfig) -> Result<Arc<CryptoProvider>, String> {
    if let Some(given) = config.provider.as_ref().or(CryptoProvider::get_default()) {
        return Ok(given.clone());
    }
    built_in()
}

#[cfg(feature = "tls-graviola")]
fn built_in() -> Result<Arc<CryptoProvider>, String> {
    match graviola::missing() {
        [] => Ok(Arc::new(rustls_graviola::default_provider())),
        missing => ring().ok_or_else(|| {
            format!(
                "tls: this processor lacks {}, without which the cryptography of the feature tls-graviola cannot run: \
                 enable tls-ring (which brings C) beside it, or hand in another provider by TlsConfig::provider",
                missing.join(", ")
            )
        }),
    }
}

#[cfg(not(feature = "tls-graviola"))]
fn built_in() -> Result<Arc<CryptoProvider>, String> {
    ring().ok_or_else(|| {
        "tls: no cryptography is chosen: enable the feature tls-graviola (no C) or tls-ring of rskafka-producer, hand \
         one in by TlsConfig::provider, or install rustls's process default"
            .into()
    })
}

#[cfg(feature = "tls-ring")]
fn ring() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(rustls::crypto::ring::default_provider()))
}

#[cfg(not(feature = "tls-ring"))]
fn ring() -> Option<Arc<CryptoProvider>> {
    None
}

/// graviola asserts that the processor has what it needs; this asks first.
#[cfg(feature = "tls-graviola")]
mod graviola {
    use std::sync::OnceLock;

    /// Names of the instruction sets that are missing.
    pub(super) fn missing() -> &'static [&'static str] {
        static MISSING: OnceLock<Vec<&str>> = OnceLock::new();
        MISSING.get_or_init(|| those_missing(&detected()))
    }

    fn those_missing(detected: &[(&'static str, bool)]) -> Vec<&'static str> {
        detected.iter().filter(|(_, there)| !there).map(|(name, _)| *name).collect()
    }

    #[cfg(target_arch = "x86_64")]
    fn detected() -> [(&'static str, bool); 6] {
        [
            ("adx", std::arch::is_x86_feature_detected!("adx")),
            ("aes", std::arch::is_x86_feature_detected!("aes")),
            ("avx", std::arch::is_x86_feature_detected!("avx")),
            ("avx2", std::arch::is_x86_feature_detected!("avx2")),
            ("bmi1", std::arch::is_x86_feature_detected!("bmi1")),
            ("pclmulqdq", std::arch::is_x86_feature_detected!("pclmulqdq")),
        ]
    }

    #[cfg(target_arch = "aarch64")]
    fn detected() -> [(&'static str, bool); 4] {
        [
            ("neon", std::arch::is_aarch64_feature_detected!("neon")),
            ("aes", std::arch::is_aarch64_feature_detected!("aes")),
            ("pmull", std::arch::is_aarch64_feature_detected!("pmull")),
            ("sha2", std::arch::is_aarch64_feature_detected!("sha2")),
        ]
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn what_the_processor_lacks_is_named() {
            assert_eq!(those_missing(&[("aes", true), ("adx", false)]), ["adx"]);
        }
    }
}
