//! Months whose review nobody has signed: they nag.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::audit::Filter;
use crate::index::{Index, IndexError};

/// So many months are looked back.
const MONTHS: i64 = 12;
/// Signatures that are looked at.
const SIGNATURES: usize = 200;

/// The months of the last twelve that have entries, are over, and have no signed review, as `2026-10`; in UTC.
pub(super) fn unsigned(index: &mut Index, now_ms: i64) -> Result<Vec<String>, IndexError> {
    let Some(first_ms) = index.first_ms()? else { return Ok(Vec::new()) };
    let day = |ms| {
        let moment = Timestamp::from_millisecond(ms).unwrap_or_default();
        moment.to_zoned(TimeZone::UTC).date().first_of_month()
    };
    let (first, this): (Date, Date) = (day(first_ms), day(now_ms));
    let filter = Filter { act: Some("review_signed".to_owned()), ..Filter::default() };
    let page = index.search(&filter, None, SIGNATURES)?;
    let objects = page.accesses.iter().filter_map(|access| access.entry.act.as_ref());
    let signed: BTreeSet<String> = objects.map(|act| act.object.to_string()).collect();
    let back = (1..=MONTHS).filter_map(|back| this.checked_sub(back.months()).ok());
    let over =
        back.filter(|month| *month >= first).map(|month| month.strftime("%Y-%m").to_string());
    let mut months: Vec<_> =
        over.filter(|month| !signed.contains(&format!("monthly {month}"))).collect();
    months.reverse();
    Ok(months)
}
