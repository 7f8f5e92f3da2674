//! Ratio and speed of each codec on batches of JSON events: `cargo bench --bench codecs --features zstd`.
//!
//! The modules are compiled in by path, because they are not public.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "the bench uses a part of the module")]

use std::hint::black_box;
use std::time::{Duration, Instant};

#[macro_use]
#[path = "../src/macros.rs"]
#[allow(unused_macros, reason = "the bench uses a part of the module")]
mod macros;

#[path = "../src/compression/mod.rs"]
mod compression;

use compression::{Compression, Compressor};

const MEASURE: Duration = Duration::from_millis(700);

fn main() {
    println!("| codec | ratio, 1 KiB | MB/s | ratio, 64 KiB | MB/s | ratio, 1 MiB | MB/s |");
    println!("|--|--:|--:|--:|--:|--:|--:|");
    let events = events(16 << 20);
    for codec in Compression::ALL.into_iter().skip(1).filter(|codec| codec.validate().is_ok()) {
        print!("| {codec} |");
        for batch_size in [1 << 10, 64 << 10, 1 << 20] {
            let (ratio, speed) = measure(codec, &events, batch_size);
            print!(" {ratio:.2} | {speed:.0} |");
        }
        println!();
    }
}

/// The ratio, and MB (10^6 bytes) of input per second.
///
/// No batch is compressed twice in a row: the branch predictor learns one of 64 KiB by heart, which makes it twice as fast.
fn measure(codec: Compression, events: &[u8], batch_size: usize) -> (f64, f64) {
    let mut out = Vec::new();
    let (mut plain, mut compressed) = (0, 0);
    let start = Instant::now();
    for batch in events.chunks(batch_size).cycle() {
        out.clear();
        Compressor { codec, level: 1 }
            .compress(black_box(batch), &mut out)
            .expect("the encoder takes any input");
        plain += batch.len();
        compressed += out.len();
        if start.elapsed() > MEASURE {
            break;
        }
    }
    let plain = plain as f64;
    (plain / compressed as f64, plain / start.elapsed().as_secs_f64() / 1e6)
}

/// JSON events of about 200 bytes, with random identifiers in repeating words.
fn events(bytes: usize) -> Vec<u8> {
    const LOREM: &str = "lorem ipsum dolor sit amet consectetur adipiscing elit";
    const EVENTS: [&str; 6] = ["page_view", "click", "add_to_cart", "purchase", "search", "scroll"];
    const COUNTRIES: [&str; 6] = ["DE", "US", "GB", "FR", "JP", "BR"];
    let mut rng = fastrand::Rng::with_seed(1);
    let mut batch = String::with_capacity(bytes + 300);
    let mut time = 1_760_000_000_000_u64;
    while batch.len() < bytes {
        time += rng.u64(..40);
        batch += &format!(
            concat!(
                r#"{{"id":"{:016x}","ts":{},"user_id":{},"event":"{}","country":"{}","session":"{:016x}","#,
                r#""amount":{}.{:02},"path":"/shop/item/{}","ok":{},"note":"{}"}}"#
            ),
            rng.u64(..),
            time,
            rng.u32(..1_000_000),
            EVENTS[rng.usize(..6)],
            COUNTRIES[rng.usize(..6)],
            rng.u64(..),
            rng.u32(..500),
            rng.u32(..100),
            rng.u32(..5000),
            rng.u8(..10) != 0,
            &LOREM[rng.usize(..LOREM.len() / 2)..],
        );
    }
    batch.truncate(bytes);
    batch.into_bytes()
}
