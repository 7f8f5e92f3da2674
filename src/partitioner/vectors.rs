//! Every rule against vectors that the clients it stands for were run to get.

use super::{crc32, fnv1a, murmur2};

/// Columns: the key in hex, three hashes, then for each of four rules the partition for each of 13 counts.
const VECTORS: &str = include_str!("vectors.csv");
const COUNTS: [u32; 13] = [1, 2, 3, 5, 6, 7, 10, 12, 16, 32, 100, 128, 1000];

fn unhex(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().map(|c| c.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn every_vector_of_java_sarama_and_librdkafka_holds() {
    let mut checked = 0;
    for line in VECTORS.lines().skip(1) {
        let fields: Vec<_> = line.split(',').collect();
        let key = unhex(fields[0]);
        assert_eq!(murmur2::hash(&key) as i32, fields[1].parse::<i32>().unwrap(), "{line}");
        assert_eq!(fnv1a::hash(&key), fields[2].parse::<u32>().unwrap(), "{line}");
        assert_eq!(crc32::hash(&key), fields[3].parse::<u32>().unwrap(), "{line}");
        let rules = [murmur2::partition, fnv1a::partition, fnv1a::reference_partition, crc32::partition];
        for (rule, expected) in rules.iter().zip(fields[4..].chunks(COUNTS.len())) {
            for (count, expected) in COUNTS.iter().zip(expected) {
                assert_eq!(rule(&key, *count), expected.parse::<u32>().unwrap(), "{line} over {count}");
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 45 * 13 * 4);
}

#[test]
fn hashes_at_the_ends_of_the_signed_range() {
    // The smallest integer has no absolute value in its type.
    assert_eq!(fnv1a::hash(b"1468509572224"), 0x8000_0000);
    assert_eq!(fnv1a::partition(b"1468509572224", 3), 2);
    assert_eq!(fnv1a::reference_partition(b"1468509572224", 3), 0);
    assert_eq!(murmur2::hash(b"fwtfuod"), 0x8000_0000);
    assert_eq!(murmur2::partition(b"fwtfuod", 3), 0);
    assert_eq!(murmur2::hash(b"yidq6sb"), 0xffff_ffff);
}
