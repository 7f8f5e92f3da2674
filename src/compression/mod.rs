//! The codecs of a record batch, all without C.

#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "lz4")]
mod lz4;
mod ratio;
pub(crate) mod scratch;
#[cfg(feature = "snappy")]
mod snappy;
#[cfg(feature = "zstd")]
mod zstd;

pub(crate) use ratio::Ratio;

names! {
    /// Compression of batches (Kafka: `compression.type`). A batch that would not shrink is sent uncompressed.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum Compression {
        /// None.
        #[default]
        None = "none",
        /// Feature `gzip`. Small, but slow.
        Gzip = "gzip",
        /// Feature `snappy`.
        Snappy = "snappy",
        /// Feature `lz4`. The fastest.
        Lz4 = "lz4",
        /// Feature `zstd`.
        Zstd = "zstd",
    }

    /// The name that Kafka's `compression.type` has for it.
    as_str;

    /// Every codec.
    ALL;
}

/// A compressor failed. The batch is sent uncompressed.
#[derive(Debug, thiserror::Error)]
#[error("{codec} could not compress a batch: {cause}")]
pub(crate) struct CompressError {
    codec: Compression,
    cause: String,
}

/// A codec, and how hard it tries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compressor {
    pub(crate) codec: Compression,
    /// Only gzip and zstd have levels.
    #[cfg_attr(
        not(any(feature = "gzip", feature = "zstd")),
        expect(dead_code, reason = "the others have none")
    )]
    pub(crate) level: u32,
}

impl Compression {
    /// The codec's bits in the attributes of a batch: Kafka numbers them in this order.
    pub(crate) const fn id(self) -> i16 {
        self as i16
    }

    /// Whether a large batch takes long enough to be compressed beside the task that sends.
    pub(crate) const fn is_slow(self) -> bool {
        matches!(self, Self::Gzip | Self::Zstd)
    }

    pub(crate) fn validate(self) -> Result<(), String> {
        let built_in = match self {
            Self::None => true,
            Self::Gzip => cfg!(feature = "gzip"),
            Self::Snappy => cfg!(feature = "snappy"),
            Self::Lz4 => cfg!(feature = "lz4"),
            Self::Zstd => cfg!(feature = "zstd"),
        };
        match built_in {
            true => Ok(()),
            false => {
                Err(format!("batch.compression (compression.type) {self} needs the cargo feature \"{self}\""))
            }
        }
    }
}

impl Compressor {
    /// Appends what `input` is compressed to.
    ///
    /// An encoder that panics is contained: what it says is the error.
    pub(crate) fn compress(self, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        let work = std::panic::AssertUnwindSafe(|| match self.codec {
            Compression::None => {
                out.extend_from_slice(input);
                Ok(())
            }
            #[cfg(feature = "gzip")]
            Compression::Gzip => gzip::compress(input, self.level, out),
            #[cfg(feature = "snappy")]
            Compression::Snappy => snappy::compress(input, out),
            #[cfg(feature = "lz4")]
            Compression::Lz4 => lz4::compress(input, out),
            #[cfg(feature = "zstd")]
            Compression::Zstd => zstd::compress(input, self.level, out),
            #[allow(unreachable_patterns, reason = "which patterns are left depends on the features")]
            _ => Err(std::io::Error::other("not built in")),
        });
        contained(work).map_err(|cause| CompressError { codec: self.codec, cause })
    }
}

/// What `work` came to; a panic is an error like others.
fn contained(work: impl FnOnce() -> std::io::Result<()> + std::panic::UnwindSafe) -> Result<(), String> {
    match std::panic::catch_unwind(work) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("the encoder panicked".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(any(feature = "gzip", feature = "zstd"))]
    #[test]
    fn a_higher_level_makes_a_batch_smaller_whatever_the_one_before_was() {
        let mut random = fastrand::Rng::with_seed(7);
        let event = |_| {
            format!(
                "{{\"id\":\"{:016x}\",\"price\":{},\"text\":\"lorem ipsum\"}}",
                random.u64(..),
                random.u8(..)
            )
        };
        let text: String = (0..500).map(event).collect();
        for (codec, high) in [(Compression::Gzip, 6), (Compression::Zstd, 19)] {
            if codec.validate().is_err() {
                continue;
            }
            let size = |level| {
                let mut out = Vec::new();
                Compressor { codec, level }.compress(text.as_bytes(), &mut out).unwrap();
                out.len()
            };
            let (one, least) = (size(1), size(high));
            assert!(least * 100 < one * 97, "{codec}: {one}, and {least} at level {high}");
            assert_eq!((size(1), size(high)), (one, least), "{codec}");
        }
    }

    #[test]
    fn an_encoder_that_panics_is_an_encoder_that_fails() {
        assert_eq!(contained(|| panic!("a bug of the encoder")), Err("the encoder panicked".to_owned()));
        assert_eq!(contained(|| Err(std::io::Error::other("full"))), Err("full".to_owned()));
        assert_eq!(contained(|| Ok(())), Ok(()));
    }
}
