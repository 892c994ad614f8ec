//! How the keys that somebody asks for stand to the ones before: the log has hashes of them, from which nobody could
//! tell that they follow one another. What is noted is the relation, never the key.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use super::Gate;
use super::trail::Trail;
use crate::audit::Order;
use crate::identity::Caller;

/// Rows of keys that are remembered, some 700 bytes each at most; the one that nobody went on with for longest is
/// forgotten for another.
const MOST_ROWS: usize = 20_000;
/// Keys of a row that the next one may stand beside: somebody may ask over several connections at once.
const LATELY: usize = 16;
/// The longest key that is compared.
const LONGEST: usize = 64;

/// What people asked for lately, by person, route and parameter.
#[derive(Debug, Default)]
pub(super) struct Orders(Mutex<Rows>);

#[derive(Debug, Default)]
struct Rows {
    rows: HashMap<(Box<str>, Box<str>), Row>,
    turn: u64,
}

#[derive(Debug, Default)]
struct Row {
    last: Box<str>,
    /// The keys of the form prefix and number, the oldest first.
    lately: VecDeque<(Box<str>, u64)>,
    turn: u64,
}

impl Orders {
    /// How this key stands to those before, and it is one of them from now on.
    fn see(&self, holder: &str, parameter: &str, key: &str) -> Option<Order> {
        if key.is_empty() || key.len() > LONGEST {
            return None;
        }
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.turn += 1;
        let turn = rows.turn;
        let name = (holder.into(), parameter.into());
        if rows.rows.len() >= MOST_ROWS && !rows.rows.contains_key(&name) {
            rows.forget_some();
        }
        let row = rows.rows.entry(name).or_default();
        row.turn = turn;
        row.see(key)
    }
}

impl Rows {
    fn forget_some(&mut self) {
        let mut turns: Vec<u64> = self.rows.values().map(|row| row.turn).collect();
        turns.sort_unstable();
        let oldest = turns.get(MOST_ROWS / 16).copied().unwrap_or(u64::MAX);
        self.rows.retain(|_, row| row.turn > oldest);
    }
}

impl Row {
    fn see(&mut self, key: &str) -> Option<Order> {
        let numbered = numbered(key);
        let (mut is_beside, mut is_known) = (false, *self.last == *key);
        if let Some((prefix, number)) = numbered {
            for (_, other) in self.lately.iter().filter(|(known, _)| **known == *prefix) {
                is_beside |= number.abs_diff(*other) == 1;
                is_known |= number == *other;
            }
            if !is_known {
                if self.lately.len() >= LATELY {
                    self.lately.pop_front();
                }
                self.lately.push_back((prefix.into(), number));
            }
        }
        let is_first = self.last.is_empty();
        let is_up = is_after(key, &self.last);
        if !is_known {
            self.last = key.into();
        }
        match (is_beside, is_up) {
            _ if is_first || is_known => None,
            (true, true) => Some(Order::Next),
            (true, false) => Some(Order::Previous),
            (false, true) => Some(Order::Up),
            (false, false) => Some(Order::Down),
        }
    }
}

/// A key that ends in digits, as what comes before them and their number.
fn numbered(key: &str) -> Option<(&str, u64)> {
    let prefix = key.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = key.get(prefix.len()..)?;
    Some((prefix, digits.parse().ok()?))
}

/// By number where both have one behind the same prefix, else as in a dictionary.
fn is_after(key: &str, other: &str) -> bool {
    match (numbered(key), numbered(other)) {
        (Some((prefix, mine)), Some((same, theirs))) if prefix == same => mine > theirs,
        _ => key > other,
    }
}

impl Gate {
    /// Notes how the keys in a request's path stand to those before.
    pub(super) fn note_order(&self, caller: &Caller, keys: &[(String, String)], trail: &mut Trail) {
        let holder = self.identity.counted_as(&caller.account);
        for (parameter, key) in keys {
            let row = format!("{} {parameter}", trail.route_name());
            let order = self.orders.see(&holder, &row, key);
            trail.ordered(&format!("{{{parameter}}}"), order);
        }
    }

    /// The same of a search in the query.
    pub(super) fn note_searched(&self, parameter: &str, value: &str, trail: &mut Trail) {
        let Some(account) = trail.account() else { return };
        let holder = self.identity.counted_as(&account);
        let row = format!("{} ?{parameter}", trail.route_name());
        trail.ordered(parameter, self.orders.see(&holder, &row, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(keys: &[&str]) -> Vec<Option<&'static str>> {
        let orders = Orders::default();
        keys.iter().map(|key| orders.see("wang", "one id", key).map(Order::word)).collect()
    }

    #[test]
    fn keys_that_follow_one_another_are_told_whatever_their_order() {
        assert_eq!(told(&["1", "2", "3"]), [None, Some("next"), Some("next")]);
        assert_eq!(told(&["C-0009", "C-0010", "C-11"]), [None, Some("next"), Some("next")]);
        assert_eq!(
            told(&["5", "7", "6", "4", "6"]),
            [None, Some("up"), Some("previous"), Some("previous"), None]
        );
        assert_eq!(told(&["adam", "berta", "anna"]), [None, Some("up"), Some("down")]);
        assert_eq!(told(&["A-1", "B-2"]), [None, Some("up")], "another prefix is no neighbour");
        assert_eq!(told(&["", &"9".repeat(65), "1"]), [None, None, None]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let orders = Orders::default();
        for n in 0..MOST_ROWS + 100 {
            orders.see(&format!("p{n}"), "one id", "1");
        }
        assert!(orders.0.lock().unwrap().rows.len() <= MOST_ROWS);
        assert_eq!(orders.see("p0", "one id", "2"), None, "the oldest is forgotten");
        let last = format!("p{}", MOST_ROWS + 99);
        assert_eq!(orders.see(&last, "one id", "2"), Some(Order::Next));
    }
}
