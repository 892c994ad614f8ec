//! Hard caps: what no policy may exceed, whoever it is about. A limit that states more is refused, not lowered:
//! its author meant something else.

use super::super::limits::{Limits, Per};
use super::super::model::Whose;
use crate::document::{Code, Keys, Reader};

/// Records on one page.
const PAGE: u32 = 200;
/// Records of one tenant a day.
const TENANT_RECORDS: u32 = 10_000;

pub(super) fn check(reader: &mut Reader<'_>, keys: &Keys<'_>, per: Whose, limits: &Limits) {
    let page = limits.page.filter(|page| *page > PAGE);
    if let (Some(page), Some(pair)) = (page, keys.find("page")) {
        let message = format!("`page` is {page}, and no policy may give more than {PAGE}");
        let help = "what must be larger is an `export`, with its own limits".to_owned();
        reader.fault(pair.value.span, Code::AboveCap, message, Some(help));
    }
    let within_a_day = |per: &Per| match per {
        Per::Seconds(seconds) => *seconds <= 86_400,
        Per::Day(_) => true,
    };
    let mut records = limits.records.iter();
    let above = records.find(|window| window.count > TENANT_RECORDS && within_a_day(&window.per));
    if let (Whose::Tenant, Some(window), Some(pair)) = (per, above, keys.find("records")) {
        let message = format!(
            "a tenant would be given {} records {}, and no policy may give more than {TENANT_RECORDS} a day",
            window.count, window.per
        );
        reader.fault(pair.value.span, Code::AboveCap, message, None);
    }
}
