//! Files that OpenSSL writes for a test.

use std::path::PathBuf;
use std::process::Command;

use rskafka_producer::Pem;

/// A temporary folder, removed at the end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    /// `None` without OpenSSL.
    pub(crate) fn new(name: &str) -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            eprintln!("SKIPPED {name}: openssl is missing");
            return None;
        }
        let dir = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Some(Self(dir))
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap()
    }

    pub(crate) fn pem(&self, name: &str) -> Pem {
        Pem::file(self.0.join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}
