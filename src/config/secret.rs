//! Text that must not be seen.

use zeroize::Zeroizing;

/// A password or a token: wiped from memory when dropped, and never shown by `Debug`, errors or logs.
///
/// ```
/// # use rskafka_producer::Secret;
/// assert!(!format!("{:?}", Secret::from("hunter2")).contains("hunter2"));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl<S: Into<String>> From<S> for Secret {
    fn from(text: S) -> Self {
        Self(Zeroizing::new(text.into()))
    }
}

debug_as!(Secret, "***");
