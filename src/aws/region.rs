//! Regions of AWS: the one in a broker's name, and the hosts of services in one.

/// The region in the name of a broker of MSK: `b-1.shop.abc123.c2.kafka.eu-central-1.amazonaws.com`, `boot-abc123.c1.kafka-serverless.…`,
/// and the like behind a VPC endpoint or in China.
pub(super) fn of_broker(host: &str) -> Option<&str> {
    let labels: Vec<_> = host.split('.').collect();
    labels.windows(2).find_map(|pair| match pair {
        ["kafka" | "kafka-serverless", region] if is_region(region) => Some(*region),
        _ => None,
    })
}

/// Whether this looks like a region, such as `us-east-1`, `us-gov-west-1` or `eusc-de-east-1`.
pub(super) fn is_region(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let [words @ .., number] = &parts[..] else { return false };
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    words.len() >= 2
        && words.iter().all(is_word)
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// The host of STS in a region.
pub(super) fn sts_host(region: &str) -> String {
    const PARTITIONS: [(&str, &str); 6] = [
        ("cn-", "amazonaws.com.cn"),
        ("eusc-", "amazonaws.eu"),
        ("us-iso-", "c2s.ic.gov"),
        ("us-isob-", "sc2s.sgov.gov"),
        ("us-isof-", "csp.hci.ic.gov"),
        ("eu-isoe-", "cloud.adc-e.uk"),
    ];
    let partition = PARTITIONS.iter().find(|(prefix, _)| region.starts_with(prefix));
    format!("sts.{region}.{}", partition.map_or("amazonaws.com", |(_, suffix)| suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brokers_name_says_its_region() {
        for (host, region) in [
            ("b-1.shop.abc123.c2.kafka.us-east-1.amazonaws.com", "us-east-1"),
            ("b-2-public.shop.abc123.c2.kafka.eu-central-1.amazonaws.com", "eu-central-1"),
            ("boot-abc123.c1.kafka-serverless.ap-southeast-2.amazonaws.com", "ap-southeast-2"),
            ("b-1.shop.abc123.c3.kafka.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("b-1.shop.abc123.c3.kafka.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
            ("b-14-1.iam.shop.abc123.c2.kafka.us-west-2.amazonaws.com", "us-west-2"),
            ("vpce-0abc-1def.kafka.eu-west-1.vpce.amazonaws.com", "eu-west-1"),
        ] {
            assert_eq!(of_broker(host), Some(region), "{host}");
        }
        for host in [
            "localhost",
            "kafka",
            "10.0.0.1",
            "kafka.internal.example.com",
            "b-1.kafka.us-east.amazonaws.com",
            "",
        ] {
            assert_eq!(of_broker(host), None, "{host}");
        }
    }

    #[test]
    fn services_of_other_partitions_have_other_hosts() {
        assert_eq!(sts_host("eu-central-1"), "sts.eu-central-1.amazonaws.com");
        assert_eq!(sts_host("cn-north-1"), "sts.cn-north-1.amazonaws.com.cn");
        assert_eq!(sts_host("us-iso-east-1"), "sts.us-iso-east-1.c2s.ic.gov");
    }

    #[test]
    fn what_is_no_region_is_not_taken_for_one() {
        for text in ["", "us", "us-east", "us-east-x", "us--1", "us-east-1/../x", "US-EAST-1", "-1", "1"] {
            assert!(!is_region(text), "{text}");
        }
    }
}
