//! How many messages failed.

use std::ops::AddAssign;

use crate::error::Fate;

/// Messages that failed, by fate. One whose time ended while it was in flight is counted then, not again when
/// its batch is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "failed messages have to be counted"]
pub(crate) struct Failed {
    pub(crate) not_persisted: usize,
    pub(crate) possibly_persisted: usize,
}

impl Failed {
    pub(crate) fn of(count: usize, fate: Fate) -> Self {
        match fate {
            Fate::NotPersisted => Self { not_persisted: count, possibly_persisted: 0 },
            Fate::PossiblyPersisted => Self { not_persisted: 0, possibly_persisted: count },
        }
    }

    pub(crate) fn total(self) -> usize {
        self.not_persisted + self.possibly_persisted
    }
}

impl AddAssign for Failed {
    fn add_assign(&mut self, more: Self) {
        self.not_persisted += more.not_persisted;
        self.possibly_persisted += more.possibly_persisted;
    }
}
