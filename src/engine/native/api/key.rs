//! The requests that a producer makes, and the versions of each.

use std::fmt;

/// What is requested. The numbers are Kafka's: <https://kafka.apache.org/protocol#protocol_api_keys>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub(crate) enum ApiKey {
    Produce = 0,
    Metadata = 3,
    SaslHandshake = 17,
    ApiVersions = 18,
    InitProducerId = 22,
    SaslAuthenticate = 36,
}

impl ApiKey {
    const ALL: [Self; 6] = [
        Self::Produce,
        Self::Metadata,
        Self::SaslHandshake,
        Self::ApiVersions,
        Self::InitProducerId,
        Self::SaslAuthenticate,
    ];

    pub(crate) fn code(self) -> i16 {
        self as i16
    }

    /// `None` for requests that a producer does not make.
    pub(crate) fn of(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.code() == code)
    }
}

/// Versions of a request, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VersionRange {
    pub(crate) min: i16,
    pub(crate) max: i16,
}

impl VersionRange {
    pub(crate) const fn new(min: i16, max: i16) -> Self {
        Self { min, max }
    }

    pub(crate) const fn only(version: i16) -> Self {
        Self::new(version, version)
    }

    pub(crate) fn contains(self, version: i16) -> bool {
        (self.min..=self.max).contains(&version)
    }

    /// The newest version that both sides know.
    pub(crate) fn newest_of_both(self, other: Self) -> Option<i16> {
        let newest = self.max.min(other.max);
        (newest >= self.min.max(other.min)).then_some(newest)
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.min == self.max {
            true => write!(f, "version {}", self.min),
            false => write!(f, "versions {} to {}", self.min, self.max),
        }
    }
}

/// What a broker offers of the requests that a producer makes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Versions(Vec<(ApiKey, VersionRange)>);

impl Versions {
    pub(crate) fn get(&self, key: ApiKey) -> Option<VersionRange> {
        self.0.iter().find(|(offered, _)| *offered == key).map(|(_, range)| *range)
    }
}

impl FromIterator<(ApiKey, VersionRange)> for Versions {
    fn from_iter<I: IntoIterator<Item = (ApiKey, VersionRange)>>(ranges: I) -> Self {
        Self(ranges.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_of_both_sides_is_chosen_where_they_overlap() {
        let ours = VersionRange::new(3, 9);
        for (min, max, newest) in [
            (0, 2, None),
            (0, 3, Some(3)),
            (5, 7, Some(7)),
            (0, 20, Some(9)),
            (9, 20, Some(9)),
            (10, 20, None),
        ] {
            assert_eq!(ours.newest_of_both(VersionRange::new(min, max)), newest, "{min}..={max}");
        }
    }

    #[test]
    fn every_key_is_found_by_its_code() {
        for key in ApiKey::ALL {
            assert_eq!(ApiKey::of(key.code()), Some(key));
        }
        assert_eq!(ApiKey::of(1), None);
    }
}
