//! The bodies: customers as a bank's backend writes them, and some that are unlike them; and what a clerk may
//! see of each.

use bytes::Bytes;
use menshen::policy::kind::Kind;

use super::job::Job;

/// The fields of an entity, and which of them rules show.
pub struct Catalogue {
    pub entity: &'static str,
    pub fields: &'static str,
    pub rule: &'static str,
}

/// 21 fields, of which three are left out and three masked.
pub const CUSTOMER: Catalogue = Catalogue {
    entity: "customer",
    fields: "      id: 1\n      name: 1\n      phone: { grade: 1, kind: phone }\n      \
        email: { grade: 1, kind: email }\n      resident_id: { grade: 1, kind: cn-resident-id }\n      \
        password_hash: sealed\n      branch: 1\n      city: 1\n      street: 1\n      postcode: 1\n      country: 1\n      \
        segment: 1\n      language: 1\n      opened_at: 1\n      updated_at: 1\n      balance: 1\n      currency: 1\n      \
        active: 1\n      internal_note: 1\n      risk_score: 1\n      remark: 1\n",
    rule: "clear: [id, name, branch, city, street, postcode, country, segment, language, opened_at, updated_at, \
        balance, currency, active, remark], masked: [phone, email, resident_id]",
};

const TEXT: Catalogue = Catalogue {
    entity: "thing",
    fields: "      id: 1\n      text: 1\n      secret: 1\n      deep: 1\n      \"values[]\": 1\n",
    rule: RULE,
};

const DEEP: Catalogue = Catalogue {
    entity: "thing",
    fields: "      id: 1\n      text: 1\n      secret: 1\n      \"values[]\": 1\n      \
        deep: { a: { b: { c: { d: { e: { f: 1 } } } } } }\n",
    rule: RULE,
};

const RULE: &str = "clear: [id, values, text, deep]";

/// What a clerk may see of customers.
pub fn customers_job() -> Job {
    let masked =
        [("phone", Kind::Phone), ("email", Kind::Email), ("resident_id", Kind::CnResidentId)];
    Job::of(&["password_hash", "internal_note", "risk_score"], &masked)
}

/// An array of customers, of about so many bytes.
pub fn customers(bytes: usize) -> Bytes {
    let names = ["张三丰", "Budi Santoso", "สมชาย ใจดี", "김민용", "Alice Smith"];
    array(bytes, |n| {
        let (name, b, d) = (names[n % names.len()], n % 500, n % 9 + 1);
        format!(
            concat!(
                r#"{{"id":"C{n:07}","name":"{name}","phone":"138{n:08}","email":"user{n}@example.com","#,
                r#""resident_id":"1101011990{n:08}","password_hash":"$argon2id$v=19$m=65536$c29tZXNhbHQ$RdescudvJCsgt3ub+b27Ce{n:08}","#,
                r#""branch":"BJ-{b:03}","city":"Beijing","street":"Jianguo Road {n}","postcode":"100020","country":"CN","#,
                r#""segment":"retail","language":"zh-CN","opened_at":"2019-04-0{d}T08:15:00Z","updated_at":"2026-01-1{d}T12:30:45Z","#,
                r#""balance":{n}.25,"currency":"CNY","active":true,"internal_note":"called twice, wants \"gold\" status","#,
                r#""risk_score":0.{n}1,"remark":"prefers to be called in the morning"}}"#
            ),
            n = n,
            name = name,
            b = b,
            d = d,
        )
    })
}

/// What of the other bodies.
pub fn others_job() -> Job {
    Job::of(&["secret"], &[])
}

/// Each with its name, of 10 MB.
pub fn others() -> Vec<(&'static str, Catalogue, Bytes)> {
    let thing = |inside: &dyn Fn(usize) -> String| {
        array(10_000_000, |n| format!(r#"{{"id":{n},{},"secret":"{n}"}}"#, inside(n)))
    };
    let numbers = |n: usize| {
        let values: Vec<String> = (0..40)
            .map(|i| format!("{}{}.{:06}", if i % 3 == 0 { "-" } else { "" }, n % 180, n * 37 + i))
            .collect();
        format!(r#""values":[{}]"#, values.join(","))
    };
    vec![
        (
            "long texts",
            TEXT,
            thing(&|n| format!(r#""text":"{n} {}""#, "the quick brown fox ".repeat(100))),
        ),
        (
            "Chinese",
            TEXT,
            thing(&|n| format!(r#""text":"{n} {}""#, "客户要求上午联系，".repeat(20))),
        ),
        (
            "escapes",
            TEXT,
            thing(&|n| format!(r#""text":"{n} {}""#, r#"a\n\"b\" \u5ba2\\ "#.repeat(20))),
        ),
        ("numbers", TEXT, thing(&numbers)),
        (
            "deep",
            DEEP,
            thing(&|n| format!(r#""deep":{{"a":{{"b":{{"c":{{"d":{{"e":{{"f":{n}}}}}}}}}}}}}"#)),
        ),
        (
            "white space",
            TEXT,
            thing(&|n| format!("\n    \"text\" : \"{n}\" ,\n    \"values\" : [ 1 , 2 , 3 ]\n  ")),
        ),
    ]
}

fn array(bytes: usize, one: impl Fn(usize) -> String) -> Bytes {
    let mut body = String::from("[");
    let mut number = 0;
    while body.len() < bytes {
        if number > 0 {
            body.push(',');
        }
        body.push_str(&one(number));
        number += 1;
    }
    body.push(']');
    Bytes::from(body)
}
