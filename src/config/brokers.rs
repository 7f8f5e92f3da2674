//! The brokers to start from, in the forms in which programs have them.

use std::borrow::Cow;

/// A list of brokers for [`ProducerConfig::new`](crate::ProducerConfig::new): one text as in `bootstrap.servers`, or an
/// array, slice or `Vec` of texts.
///
/// Each text is `host:port`, or several of them with commas between. Spaces around an entry are removed.
///
/// # Examples
///
/// ```
/// use rskafka_producer::ProducerConfig;
///
/// let one_text = ProducerConfig::new("kafka-1:9092, kafka-2:9092");
/// let a_list = ProducerConfig::new(["kafka-1:9092", "kafka-2:9092"]);
/// assert_eq!(one_text.brokers, a_list.brokers);
/// ```
pub trait IntoBrokers {
    /// Returns one entry for each broker.
    fn into_brokers(self) -> Vec<String>;
}

/// The entries of a text. A comma at the end, as templates leave it, adds none.
pub(super) fn split(text: &str) -> impl Iterator<Item = String> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned)
}

macro_rules! texts {
    ($($type:ty),* $(,)?) => {$(
        impl IntoBrokers for $type {
            fn into_brokers(self) -> Vec<String> {
                split(&self).collect()
            }
        }
    )*};
}

texts!(&str, String, &String, Cow<'_, str>);

macro_rules! lists {
    ($(($($generics:tt)*) $type:ty),* $(,)?) => {$(
        impl<S: AsRef<str>, $($generics)*> IntoBrokers for $type {
            fn into_brokers(self) -> Vec<String> {
                self.iter().flat_map(|text| split(text.as_ref())).collect()
            }
        }
    )*};
}

lists!(() Vec<S>, () &Vec<S>, () &[S], (const N: usize) [S; N], (const N: usize) &[S; N]);

#[cfg(test)]
mod tests {
    use crate::config::ProducerConfig;

    #[test]
    fn brokers_come_as_one_text_or_as_a_list() {
        let expected = ["a:1", "b:2"];
        let owned: Vec<String> = expected.map(String::from).to_vec();
        for config in [
            ProducerConfig::new("a:1,b:2"),
            ProducerConfig::new(" a:1 , b:2, ,"),
            ProducerConfig::new("a:1,b:2".to_owned()),
            ProducerConfig::new(expected),
            ProducerConfig::new(owned.iter().collect::<Vec<_>>()),
            ProducerConfig::new(&expected[..]),
            ProducerConfig::new(expected.to_vec()),
            ProducerConfig::new(&owned),
            ProducerConfig::new(owned.as_slice()),
            ProducerConfig::new(["a:1,b:2"]),
            ProducerConfig::new(owned.clone()),
        ] {
            assert_eq!(config.brokers, expected);
        }
        assert!(ProducerConfig::new("").validate().unwrap_err().to_string().contains("brokers"));
    }

    #[test]
    fn a_broker_that_is_listed_twice_is_used_once() {
        let config = ProducerConfig::new("a:1,b:2, a:1");
        config.validate().unwrap();
        assert_eq!(config.addresses().len(), 2);
    }
}
