//! A proxy, put together from settings that come one by one and in any order.

use crate::config::{ProducerConfig, Proxy, Secret};

/// What was said about a proxy so far.
#[derive(Default)]
pub(super) struct ProxyParts {
    pub(super) url: Option<Proxy>,
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
}

impl ProxyParts {
    /// Changes what was set by code before only where text says otherwise.
    pub(super) fn apply(self, config: &mut ProducerConfig, problems: &mut Vec<String>) {
        let proxy = self.url.or(config.proxy.take());
        let problem = match (&proxy, &self.username, &self.password) {
            (_, None, None) | (Some(_), Some(_), Some(_)) => None,
            (None, ..) => Some("proxy.username or proxy.password is set without proxy.url"),
            (_, None, _) => Some("proxy.password is set without proxy.username"),
            (_, _, None) => Some("proxy.username is set without proxy.password"),
        };
        problems.extend(problem.map(str::to_owned));
        config.proxy = proxy.map(|proxy| match (self.username, self.password) {
            (Some(user), Some(password)) => proxy.credentials(user, password),
            _ => proxy,
        });
    }
}
