//! How often a client had to wait for the other side.

/// Counts the round trips of one connection by the order in which bytes pass.
///
/// The connection itself is one. Each time the client speaks after the server, or first, is another: requests written
/// one behind the other without waiting are one together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RoundTrips {
    count: u64,
    client_spoke_last: bool,
}

impl RoundTrips {
    /// A connection was made.
    pub(crate) fn connected() -> Self {
        Self { count: 1, client_spoke_last: false }
    }

    /// Bytes of the client passed.
    pub(crate) fn client_spoke(&mut self) {
        self.count += u64::from(!self.client_spoke_last);
        self.client_spoke_last = true;
    }

    /// Bytes of the server passed.
    pub(crate) fn server_spoke(&mut self) {
        self.client_spoke_last = false;
    }

    pub(crate) fn count(self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(order: &str) -> u64 {
        let mut trips = RoundTrips::connected();
        for who in order.chars() {
            match who {
                'c' => trips.client_spoke(),
                _ => trips.server_spoke(),
            }
        }
        trips.count()
    }

    #[test]
    fn connecting_is_one_and_each_turn_of_the_client_another() {
        assert_eq!(count(""), 1);
        assert_eq!(count("c"), 2);
        assert_eq!(count("cs"), 2);
        assert_eq!(count("cscs"), 3);
        assert_eq!(count("cscscs"), 4);
    }

    #[test]
    fn what_is_pipelined_is_one() {
        assert_eq!(count("cccsss"), 2);
        assert_eq!(count("cccsccss"), 3);
    }

    #[test]
    fn a_server_that_speaks_unasked_costs_nothing() {
        assert_eq!(count("sss"), 1);
        assert_eq!(count("scsss"), 2);
    }
}
