//! AWS's environment variables.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Secret;

/// The process's environment, or what stands in for it. A variable that is empty is as good as unset.
#[derive(Clone, Default)]
pub(crate) struct Variables(Option<Arc<BTreeMap<String, Secret>>>);

impl Variables {
    pub(crate) fn these(variables: impl IntoIterator<Item = (String, Secret)>) -> Self {
        Self(Some(Arc::new(variables.into_iter().collect())))
    }

    pub(crate) fn secret(&self, name: &str) -> Option<Secret> {
        let value = match &self.0 {
            Some(variables) => variables.get(name).cloned(),
            None => std::env::var(name).ok().map(Secret::from),
        };
        value.filter(|value| !value.is_empty())
    }

    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.secret(name).map(|value| value.expose().to_owned())
    }

    /// A switch, such as `AWS_EC2_METADATA_DISABLED`.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Where AWS's tools keep a file: the variable says so, or it is in the home directory.
    pub(crate) fn file(&self, variable: &str, in_home: &str) -> Option<PathBuf> {
        let home = || self.get("HOME").or_else(|| self.get("USERPROFILE")).map(PathBuf::from);
        match self.get(variable) {
            Some(path) => match path.strip_prefix("~/") {
                Some(rest) => home().map(|home| home.join(rest)),
                None => Some(path.into()),
            },
            None => home().map(|home| home.join(in_home)),
        }
    }
}
