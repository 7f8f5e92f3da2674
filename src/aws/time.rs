//! Times as AWS writes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last time of year 9999, beyond which none of the formats goes.
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// ISO 8601 in its basic format: `20150830T123600Z`.
pub(super) fn basic(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().min(LAST);
    let text = humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string();
    text.replace(['-', ':'], "")
}

/// The day alone: `20150830`.
pub(super) fn basic_date(time: SystemTime) -> String {
    let mut text = basic(time);
    text.truncate(8);
    text
}

/// RFC 3339, such as `2015-08-30T12:36:00Z` or `2015-08-30T14:36:00.123+02:00`.
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    if let Ok(time) = humantime::parse_rfc3339_weak(text) {
        return Some(time);
    }
    let (time, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let (sign, offset) = offset.split_at_checked(1)?;
    let (hours, minutes) = offset.split_once(':')?;
    let seconds =
        (hours.parse::<u64>().ok()? * 60).checked_add(minutes.parse::<u64>().ok()?)?.checked_mul(60)?;
    let (time, offset) = (humantime::parse_rfc3339_weak(time).ok()?, Duration::from_secs(seconds));
    match sign {
        "+" => time.checked_sub(offset),
        "-" => time.checked_add(offset),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: u64 = 1_440_938_160;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn times_are_written_as_signatures_have_them_whatever_the_clock_says() {
        assert_eq!((basic(at(SOME)), basic_date(at(SOME))), ("20150830T123600Z".into(), "20150830".into()));
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(basic(before), "19700101T000000Z");
        assert_eq!(basic(at(1 << 40)), "99991231T235959Z");
    }

    #[test]
    fn times_of_aws_are_read() {
        for text in [
            "2015-08-30T12:36:00Z",
            "2015-08-30 12:36:00",
            "2015-08-30T14:36:00+02:00",
            "2015-08-30T07:06:00-05:30",
            " 2015-08-30T12:36:00+00:00\n",
        ] {
            assert_eq!(parse(text), Some(at(SOME)), "{text}");
        }
        assert_eq!(parse("2015-08-30T12:36:00.25Z"), Some(at(SOME) + Duration::from_millis(250)));
        for text in [
            "",
            "never",
            "+00:00",
            "2015-08-30",
            "2015-08-30T12:36:00*02:00",
            "äöüäöü",
            "2015-08-30T12:36:00+99999999999999999999:00",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
