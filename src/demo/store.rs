//! The backend's memory: the customers, found by id or search and changed by a merge.
//!
//! Any field can be merged, `internal_score` included: keeping writes to what a caller may write is
//! the gate's work, not this backend's.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;
use serde_json::Value;

use super::DemoError;
use super::people::{self, Customer, FIRST_ID};

/// The most customers held; each takes about 2 KiB.
pub(super) const MOST_CUSTOMERS: usize = 100_000;

/// All customers, each beside its compact JSON so that a large export costs no serialising.
pub(super) struct Store {
    records: RwLock<Vec<Record>>,
}

struct Record {
    customer: Customer,
    compact: Bytes,
}

/// What a search asks for; an empty search finds everybody.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// The whole telephone number.
    pub(super) phone: Option<String>,
    /// A part of the name.
    pub(super) name: Option<String>,
    /// The branch's code.
    pub(super) branch: Option<String>,
    pub(super) sort: Sort,
    /// Counted from 1.
    pub(super) page: usize,
    pub(super) per_page: usize,
}

/// The order of a search's answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// By number, smallest first.
    #[default]
    Id,
    /// By number, largest first.
    IdDescending,
    /// By name, in the order of code points.
    Name,
    /// By telephone number, which betrays it to whoever reads the order.
    Phone,
}

/// A page of a search's answer.
pub(super) struct Found {
    pub(super) items: Vec<Customer>,
    pub(super) total: usize,
}

/// Why a merge was refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum MergeError {
    #[error("no customer has this id")]
    NoCustomer,
    #[error("the merged record is not a customer: {0}")]
    Shape(#[from] serde_json::Error),
}

impl Store {
    /// The first `count` customers.
    pub(super) fn of(count: usize) -> Result<Self, DemoError> {
        if count == 0 || count > MOST_CUSTOMERS {
            return Err(DemoError::Customers { asked: count, most: MOST_CUSTOMERS });
        }
        let records: Result<Vec<Record>, _> =
            people::customers().take(count).map(Record::of).collect();
        Ok(Self { records: RwLock::new(records.map_err(DemoError::Record)?) })
    }

    /// The customer with this id.
    pub(super) fn customer(&self, id: u64) -> Option<Customer> {
        self.read().get(index_of(id)?).map(|record| record.customer.clone())
    }

    /// The compact JSON of the customer at `index`, counted from 0.
    pub(super) fn compact(&self, index: usize) -> Option<Bytes> {
        self.read().get(index).map(|record| record.compact.clone())
    }

    /// The page that `search` asks for and how many there are in all.
    pub(super) fn search(&self, search: &Search) -> Found {
        let records = self.read();
        let mut found: Vec<&Customer> =
            records.iter().map(|r| &r.customer).filter(|c| search.matches(c)).collect();
        match search.sort {
            Sort::Id => {}
            Sort::IdDescending => found.reverse(),
            Sort::Name => found.sort_by(|a, b| a.name.cmp(&b.name)),
            Sort::Phone => found.sort_by(|a, b| a.phone.cmp(&b.phone)),
        }
        let skip = search.page.saturating_sub(1).saturating_mul(search.per_page);
        let items = found.iter().skip(skip).take(search.per_page).map(|c| (*c).clone()).collect();
        Found { items, total: found.len() }
    }

    /// Merges `patch` into the customer (RFC 7396) and returns the result; the id stays.
    pub(super) fn merge(&self, id: u64, patch: Value) -> Result<Customer, MergeError> {
        let mut records = self.records.write().unwrap_or_else(PoisonError::into_inner);
        let index = index_of(id).ok_or(MergeError::NoCustomer)?;
        let record = records.get_mut(index).ok_or(MergeError::NoCustomer)?;
        let mut value = serde_json::to_value(&record.customer)?;
        merge_into(&mut value, patch);
        let mut merged: Customer = serde_json::from_value(value)?;
        merged.id = id;
        *record = Record::of(merged.clone())?;
        Ok(merged)
    }

    // A writer that panicked left a whole record behind, so its lock is still good.
    fn read(&self) -> RwLockReadGuard<'_, Vec<Record>> {
        self.records.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn of(customer: Customer) -> Result<Self, serde_json::Error> {
        let compact = Bytes::from(serde_json::to_vec(&customer)?);
        Ok(Self { customer, compact })
    }
}

impl Search {
    fn matches(&self, customer: &Customer) -> bool {
        self.phone.as_ref().is_none_or(|phone| customer.phone == *phone)
            && self.name.as_ref().is_none_or(|name| customer.name.contains(name.as_str()))
            && self.branch.as_ref().is_none_or(|branch| customer.branch == *branch)
    }
}

fn index_of(id: u64) -> Option<usize> {
    usize::try_from(id.checked_sub(FIRST_ID)?).ok()
}

/// The recursion is bounded by the depth that the JSON reader accepts.
pub(super) fn merge_into(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Some(object) = target.as_object_mut() else { return };
    for (key, change) in patch {
        if change.is_null() {
            object.remove(&key);
        } else {
            merge_into(object.entry(key).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn all() -> Search {
        Search { page: 1, per_page: 10, ..Search::default() }
    }

    #[test]
    fn a_store_of_no_or_too_many_customers_is_refused() {
        assert!(matches!(Store::of(0), Err(DemoError::Customers { .. })));
        assert!(matches!(Store::of(MOST_CUSTOMERS + 1), Err(DemoError::Customers { .. })));
    }

    #[test]
    fn a_search_finds_by_phone_part_of_the_name_and_branch() {
        let store = Store::of(100).unwrap();
        let wanted = store.customer(FIRST_ID + 4).unwrap();
        let found = store.search(&Search { phone: Some(wanted.phone.clone()), ..all() });
        assert_eq!(found.items, vec![wanted.clone()]);
        let part = wanted.name.chars().take(3).collect::<String>();
        let found = store.search(&Search { name: Some(part), ..all() });
        assert!(found.items.contains(&wanted));
        let found = store.search(&Search { branch: Some("sel03".into()), ..all() });
        assert_eq!((found.items.len(), found.total), (10, 17));
    }

    #[test]
    fn pages_follow_each_other_and_end() {
        let store = Store::of(25).unwrap();
        let ids = |page| -> Vec<u64> {
            store.search(&Search { page, ..all() }).items.iter().map(|c| c.id).collect()
        };
        assert_eq!(ids(2), (FIRST_ID + 10..FIRST_ID + 20).collect::<Vec<_>>());
        assert_eq!(ids(3).len(), 5);
        assert!(ids(4).is_empty());
    }

    #[test]
    fn a_merge_changes_what_it_names_and_nothing_else() {
        let store = Store::of(3).unwrap();
        let before = store.customer(FIRST_ID).unwrap();
        let patch = json!({"id": 7, "phone": "13900000000", "address": {"street": "x"}});
        let after = store.merge(FIRST_ID, patch).unwrap();
        assert_eq!((after.id, after.phone.as_str()), (FIRST_ID, "13900000000"));
        assert_eq!(after.address.city, before.address.city);
        assert_eq!(after.address.street, "x");
        assert_eq!(store.customer(FIRST_ID), Some(after.clone()));
        let compact: Customer = serde_json::from_slice(&store.compact(0).unwrap()).unwrap();
        assert_eq!(compact, after);
    }

    #[test]
    fn a_merge_that_breaks_the_record_changes_nothing() {
        let store = Store::of(3).unwrap();
        let before = store.customer(FIRST_ID);
        for patch in [json!({"phone": null}), json!({"phone": 5}), json!([]), json!("x")] {
            assert!(matches!(store.merge(FIRST_ID, patch), Err(MergeError::Shape(_))));
        }
        assert_eq!(store.customer(FIRST_ID), before);
        assert!(matches!(store.merge(1, json!({})), Err(MergeError::NoCustomer)));
    }
}
