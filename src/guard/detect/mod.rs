//! The detector: values that look like a card, an identity number, a telephone number, an e-mail address
//! or an account, in places that are not graded for them. It makes stricter only: what it does not
//! find is no safer for that.
//!
//! One file per family says what counts and how often chance looks like it.

mod account;
mod card;
mod email;
mod glance;
mod identity;
mod phone;
mod reading;

#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::guard::mask::{WHOLLY_MASKED, mask_into};
use crate::policy::kind::Kind;
use crate::policy::plan::{Detection, OnHit, Sought};
use glance::FEWEST_DIGITS;
pub use glance::{may_hold, number_may_hold};
use reading::Reading;

/// What is masked may bring forth what looks like a hit once more; so often is it masked again.
const ROUNDS: usize = 4;

type Finder = fn(&Reading) -> Vec<Range<usize>>;

/// What finds the values of each kind that can be looked for.
const FINDERS: [(Kind, Finder); 8] = [
    (Kind::BankCard, card::find),
    (Kind::BankAccount, account::find),
    (Kind::CnResidentId, identity::cn),
    (Kind::KrResidentNumber, identity::kr),
    (Kind::ThNationalId, identity::th),
    (Kind::IdNik, identity::nik),
    (Kind::Phone, phone::find),
    (Kind::Email, email::find),
];

/// What was found in a value, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The kinds, each once, in the order in which the policy names them.
    pub kinds: Vec<Kind>,
    /// What becomes of the value.
    pub fate: Fate,
}

/// What becomes of a value in which something was found: the strictest of what the kinds call for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It passes as it is; somebody is told.
    Passes,
    /// It passes with what was found in masked form.
    Masked(String),
    /// It does not pass.
    Withheld,
    /// The body around it does not pass, because of this kind.
    Refused(Kind),
}

/// Looks through a text, unescaped; `None` if nothing was found.
#[must_use]
pub fn examine(detection: &Detection, text: &str) -> Option<Found> {
    if !may_hold(text.as_bytes()) {
        return None;
    }
    judge(detection, text, &Reading::of(text))
}

/// Looks through a JSON number: as a whole number written out, whichever way it is written.
///
/// Thirteen digits that are a time in milliseconds since 1970, 2001 to 2033, are taken for that.
#[must_use]
pub fn examine_number(detection: &Detection, number: &str) -> Option<Found> {
    if !number_may_hold(number.as_bytes()) {
        return None;
    }
    let whole = reading::whole_number(number)?;
    if whole.len() < FEWEST_DIGITS || (whole.len() == 13 && whole.starts_with('1')) {
        return None;
    }
    judge(detection, &whole, &Reading::of(&whole))
}

fn judge(detection: &Detection, text: &str, reading: &Reading) -> Option<Found> {
    let mut kinds = Vec::new();
    let mut masked = Vec::new();
    let (mut is_withheld, mut refused) = (false, None);
    for sought in &detection.sought {
        let kind = sought.mask.kind();
        let places = places(kind, reading);
        if places.is_empty() {
            continue;
        }
        kinds.push(kind);
        match sought.on_hit {
            OnHit::Alert => {}
            OnHit::Mask => masked.extend(places.into_iter().map(|place| (place, *sought))),
            OnHit::Withhold => is_withheld = true,
            OnHit::Refuse => refused = refused.or(Some(kind)),
        }
    }
    if kinds.is_empty() {
        return None;
    }
    let fate = match refused {
        Some(kind) => Fate::Refused(kind),
        None if is_withheld => Fate::Withheld,
        None if masked.is_empty() => Fate::Passes,
        None => Fate::Masked(masked_again(detection, masked_once(text, masked))),
    };
    Some(Found { kinds, fate })
}

/// Where values of the kind stand, in bytes of the text, in order, none overlapping another.
fn places(kind: Kind, reading: &Reading) -> Vec<Range<usize>> {
    let finder = FINDERS.iter().find(|(other, _)| *other == kind);
    let mut places = finder.map_or_else(Vec::new, |(_, find)| find(reading));
    places.sort_by_key(|place| (place.start, place.end));
    places.dedup_by(|next, last| {
        let overlaps = next.start < last.end;
        if overlaps {
            last.end = last.end.max(next.end);
        }
        overlaps
    });
    places
}

/// The text with each place masked; where places of two kinds overlap, all that they cover is hidden. One that
/// is of two kinds from end to end is masked as the first of them, so that no two masks add up.
fn masked_once(text: &str, mut places: Vec<(Range<usize>, Sought)>) -> String {
    places.sort_by_key(|(place, _)| (place.start, place.end));
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    let mut ahead = places.into_iter().peekable();
    while let Some((place, sought)) = ahead.next() {
        let (mut end, mut is_one) = (place.end, true);
        while let Some((next, _)) = ahead.next_if(|(next, _)| next.start < end) {
            is_one &= next == place;
            end = end.max(next.end);
        }
        masked.push_str(text.get(done..place.start).unwrap_or_default());
        match text.get(place.start..end) {
            Some(value) if is_one => mask_into(sought.mask, value, &mut masked),
            Some(_) | None => masked.push_str(WHOLLY_MASKED),
        }
        done = end;
    }
    masked.push_str(text.get(done..).unwrap_or_default());
    masked
}

/// Masks until nothing is found that must not show: the end of a masked form and what stands behind it can
/// look like a value of their own.
fn masked_again(detection: &Detection, mut text: String) -> String {
    for _ in 0..ROUNDS {
        let reading = Reading::of(&text);
        let masks = detection.sought.iter().filter(|sought| sought.on_hit == OnHit::Mask);
        let found: Vec<(Range<usize>, Sought)> = masks
            .flat_map(|sought| {
                places(sought.mask.kind(), &reading).into_iter().map(|place| (place, *sought))
            })
            .collect();
        if found.is_empty() {
            return text;
        }
        text = masked_once(&text, found);
    }
    WHOLLY_MASKED.to_owned()
}
