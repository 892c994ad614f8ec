//! Dates in a scene are counted from today, so that "left yesterday" stays true: `@today-1` becomes
//! a date, `@now-1` the same as a moment; in a path too, as a segment of its own.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

const DAY_S: i64 = 86_400;

/// Replaces every text in `value` that is a counted date. Bounded by the depth that JSON was read with.
pub(super) fn settle(value: &mut Value, now_unix_s: i64) {
    match value {
        Value::String(text) => {
            let parts = text.split('/');
            let settled: Vec<String> = parts
                .map(|part| counted(part, now_unix_s).unwrap_or_else(|| part.to_owned()))
                .collect();
            *text = settled.join("/");
        }
        Value::Array(items) => items.iter_mut().for_each(|item| settle(item, now_unix_s)),
        Value::Object(members) => members.values_mut().for_each(|inner| settle(inner, now_unix_s)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn counted(text: &str, now_unix_s: i64) -> Option<String> {
    let (days, is_date) = match text.strip_prefix("@today") {
        Some(days) => (days, true),
        None => (text.strip_prefix("@now")?, false),
    };
    let days: i64 = if days.is_empty() { 0 } else { days.parse().ok()? };
    let now = Timestamp::from_second(now_unix_s).ok()?;
    let then = now.checked_add(SignedDuration::from_secs(days.checked_mul(DAY_S)?)).ok()?;
    let moment = then.to_string();
    if is_date { moment.split('T').next().map(str::to_owned) } else { Some(moment) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn dates_are_counted_from_today_and_other_texts_stay() {
        let mut value =
            json!({ "a": ["@today", "@today-1", "@today+30"], "b": "@now", "c": "@home" });
        settle(&mut value, 1_700_000_000);
        let dates = json!({
            "a": ["2023-11-14", "2023-11-13", "2023-12-14"], "b": "2023-11-14T22:13:20Z", "c": "@home"
        });
        assert_eq!(value, dates);
    }

    #[test]
    fn dates_are_counted_in_a_path() {
        let mut value = json!("GET /api/arrivals/@today-1/guests");
        settle(&mut value, 1_700_000_000);
        assert_eq!(value, "GET /api/arrivals/2023-11-13/guests");
    }
}
