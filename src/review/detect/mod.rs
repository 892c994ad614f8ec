//! The detections, one file for a family. Each looks at what is known of a person and at an entry, and says what it
//! found.

mod canary;
mod habits;
mod leaving;
mod searches;
mod sequence;
mod unlinked;
mod volume;

use super::Hit;
use super::person::Person;
use super::rules::Rules;
use super::seen::Seen;

pub(super) use leaving::{switched_off, took_a_file_before};
pub(super) use sequence::span;

/// Looks at one entry of one person.
type Detect = fn(&mut Person, &Seen<'_>, &Rules, &mut Vec<Hit>);

/// Those that are about a single person, in the order in which they look.
pub(super) const OF_A_PERSON: [Detect; 8] = [
    canary::detect,
    sequence::detect,
    searches::detect,
    volume::detect,
    habits::detect,
    canary::watched,
    canary::own_record,
    unlinked::detect,
];
