//! A value that others wait for.
//!
//! As tokio's `watch`, but waiters are woken in the order in which they came, so that what follows from a change is no
//! matter of chance.

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Watched<T> {
    value: Mutex<T>,
    changed: Notify,
}

impl<T> Watched<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: Mutex::new(value), changed: Notify::new() }
    }

    /// Looks at the value.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.value.lock())
    }

    /// Changes the value where `change` says that it did, and wakes those who wait for it. Returns whether it did.
    pub(crate) fn change(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
        let changed = change(&mut self.value.lock());
        if changed {
            self.changed.notify_waiters();
        }
        changed
    }

    /// Resolves at the next change after this call.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Waits until `look` finds something.
    ///
    /// # Cancel safety
    ///
    /// It only looks.
    pub(crate) async fn when<R>(&self, mut look: impl FnMut(&T) -> Option<R>) -> R {
        loop {
            // Before the look: it misses no change after that.
            let changed = self.changed();
            if let Some(found) = self.look(&mut look) {
                return found;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn waiters_see_each_change_in_the_order_in_which_they_came() {
        let (watched, order) = (Arc::new(Watched::new(0)), Arc::new(Mutex::new(Vec::new())));
        let waiters: Vec<_> = (0..20)
            .map(|waiter| {
                let (watched, order) = (watched.clone(), order.clone());
                tokio::spawn(async move {
                    let found = watched.when(|value| (*value > 1).then_some(*value)).await;
                    order.lock().push(waiter);
                    found
                })
            })
            .collect();
        tokio::task::yield_now().await;
        assert!(!watched.change(|_| false), "nothing changed");
        for value in [1, 2] {
            watched.change(|old| std::mem::replace(old, value) != value);
            tokio::task::yield_now().await;
        }
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap(), 2);
        }
        assert_eq!(*order.lock(), (0..20).collect::<Vec<_>>());
    }
}
