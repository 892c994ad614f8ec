//! What one masked form costs, by kind and form of the value, in nanoseconds.
//!
//! `cargo bench --bench masks` prints the best of several runs over 1,000 different values each. The first
//! three are on the way of nearly every record of customers, and the filter's speed hangs on them.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::expect_used, reason = "a benchmark may stop")]

use std::hint::black_box;
use std::time::Instant;

use menshen::guard::mask::mask_into;
use menshen::policy::kind::{Kind, Mask};

const VALUES: usize = 1_000;
const RUNS: usize = 200;

/// A kind, what is measured of it, and its value number `n`.
type Case = (Kind, &'static str, fn(usize) -> String);

const CASES: &[Case] = &[
    (Kind::Phone, "13812345678", |n| format!("138{n:08}")),
    (Kind::Email, "user1234567@example.com", |n| format!("user{n}@example.com")),
    (Kind::CnResidentId, "110101199012345678", |n| format!("1101011990{n:08}")),
    (Kind::Phone, "+86 138-1234-5678", |n| format!("+86 138-{:04}-{:04}", n % 997, n)),
    (Kind::Phone, "0812345678", |n| format!("08{n:08}")),
    (Kind::Phone, "010-1234-5678", |n| format!("010-{:04}-{:04}", n % 997, n)),
    (Kind::Email, "用户@例子.公司", |n| format!("用户{n}@例子.公司")),
    (Kind::PersonName, "张三丰", |_| "张三丰".to_owned()),
    (Kind::PersonName, "김민용", |_| "김민용".to_owned()),
    (Kind::PersonName, "Budi Santoso", |_| "Budi Santoso".to_owned()),
    (Kind::PersonName, "สมชาย ใจดี", |_| "สมชาย ใจดี".to_owned()),
    (Kind::BankCard, "4111 1111 1111 1111", |n| format!("4111 1111 1111 {:04}", n)),
    (Kind::BankAccount, "110-234-560012", |n| format!("110-234-56{:04}", n)),
    (Kind::KrResidentNumber, "900101-1234567", |n| format!("900101-123{:04}", n)),
    (Kind::Passport, "M12345621", |n| format!("M1234{:04}", n)),
    (Kind::BirthDate, "1990-05-17", |n| format!("1990-05-{:02}", n % 28 + 1)),
    (Kind::Amount, "12345.67", |n| format!("{n}.67")),
    (Kind::Address, "北京市海淀区中关村大街1号", |n| {
        format!("北京市海淀区中关村大街{n}号")
    }),
    (Kind::IpAddress, "203.0.113.7", |n| format!("203.0.{}.{}", n % 200, n % 250)),
    (Kind::FreeText, "prefers to be called", |n| format!("prefers to be called at {n}")),
];

fn main() {
    for (kind, form, value) in CASES {
        let values: Vec<String> = (0..VALUES).map(value).collect();
        let nanoseconds = nanoseconds(Mask::of(*kind), &values);
        println!("{nanoseconds:>8.1} ns  {:<20}{form}", kind.name());
    }
}

/// Per value, in the fastest run.
fn nanoseconds(mask: Mask, values: &[String]) -> f64 {
    let mut out = String::with_capacity(512);
    let fastest = (0..RUNS).map(|_| {
        let start = Instant::now();
        for value in values {
            out.clear();
            mask_into(mask, black_box(value), &mut out);
            black_box(&out);
        }
        start.elapsed()
    });
    fastest.min().expect("at least one run").as_secs_f64() * 1e9 / values.len() as f64
}
