//! A server's clock, as the header `Date` has it (RFC 9110 §5.6.7).

use std::time::{Duration, SystemTime};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Reads `Sun, 06 Nov 1994 08:49:37 GMT`, the one format that is still sent.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: u64 = number(words.next()?, 1, 31)?;
    let month = words.next()?;
    let month = 1 + MONTHS.iter().position(|name| *name == month)? as u64;
    let year = number(words.next()?, 1970, 9999)?;
    let mut time = words.next()?.split(':');
    let hour = number(time.next()?, 0, 23)?;
    let minute = number(time.next()?, 0, 59)?;
    let second = number(time.next()?, 0, 60)?;
    // Days since 1970, with years that begin in March, so that the leap day is their last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn number(text: &str, least: u64, most: u64) -> Option<u64> {
    text.parse().ok().filter(|number| (least..=most).contains(number))
}

/// How much later than the server's this machine's clock is, and whether it is later at all. `None` within half a minute,
/// which requests may take.
pub(crate) fn skew(server: SystemTime, ours: SystemTime) -> Option<(Duration, bool)> {
    let (difference, ahead) = match ours.duration_since(server) {
        Ok(ahead) => (ahead, true),
        Err(behind) => (behind.duration(), false),
    };
    (difference > Duration::from_secs(30)).then_some((difference, ahead))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Tue, 29 Feb 2000 23:59:59 GMT", 951_868_799),
            ("Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800),
            ("Mon, 31 Dec 2099 12:00:00 GMT", 4_102_401_600),
        ] {
            assert_eq!(parse(text), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), "{text}");
        }
        for text in
            ["", "now", "Sun, 06 Nov 1994", "Sun, 99 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1869 08:49:37 GMT"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
