//! The keys of `detections`.

use super::super::detections::Consequence;
use super::keys::{DURATION, NAMES, key};
use super::{Form, Table};

const ONE: Form = Form::Either(&[Form::Words(|| vec!["off"]), Form::Table(&DETECTION)]);

pub(super) const DETECTIONS: Table = Table {
    name: "detections",
    keys: &[
        key("own-median", "More people in a day than `times` the person's own median.", ONE),
        key("sequential-ids", "Keys of paths and searches that follow one another.", ONE),
        key("zero-hits", "Searches that found nobody.", ONE),
        key("many-openers", "One data subject who is opened by many persons.", ONE),
        key("own-record", "Somebody who opens the record that is their own.", ONE),
        key("off-hours", "Work outside `hours`.", ONE),
        key("new-place", "Grade 3 from a network or device that is new for the person.", ONE),
        key("dormant", "An account that nobody used for `days`.", ONE),
        key("canary", "One of the data subjects whom nobody has a reason to open.", ONE),
        key("watched", "One of the data subjects who are opened with a reason only.", ONE),
        key("export-then-leave", "A file, and within `days` the account goes.", ONE),
        key("steady-draw", "On `days` days in a row nearly the limit of people a day.", ONE),
        key("page-depth", "Turning pages beyond `count`.", ONE),
        key("switched-off", "Somebody switches off an account, a device or a control.", ONE),
        key("partner-volume", "A partner who takes more than `times` its own median.", ONE),
        key("colleague", "Somebody who opens the record of a colleague.", ONE),
        key("unlinked", "Records without a case, where the policy flags its lack.", ONE),
        key("mutual-approvals", "Two who agree to each other's grants `count` times each.", ONE),
        key("release", "The roles whose holders release what a detection holds.", NAMES),
    ],
    one_of: &[],
    may_be_empty: true,
};

const DETECTION: Table = Table {
    name: "detection",
    keys: &[
        key(
            "action",
            "What follows: `alert` only, a fresh factor, slowly from then on, or nothing more.",
            Form::Words(|| Consequence::ALL.iter().map(|one| one.name()).collect()),
        ),
        key("except", "Roles whose holders are not looked at.", NAMES),
        key("count", "So many of them are a finding.", Form::Number(1, 1_000_000)),
        key("within", "In what time they come.", DURATION),
        key("times", "So many times the usual.", Form::Number(2, 100)),
        key("least", "Below this it is never a finding.", Form::Number(1, 1_000_000)),
        key("days", "So many days, of absence, learning or in a row.", Form::Number(1, 365)),
        key("percent", "So much of the limit of a day.", Form::Number(50, 100)),
        key("hours", "Hours of work, such as `Mon-Fri 08:00-20:00`.", Form::Text),
        key("zone", "The time zone of the hours, such as `Asia/Shanghai`.", Form::Text),
        key(
            "subjects",
            "The canaries, or the watched: keys of data subjects by entity.",
            Form::Named(&NAMES),
        ),
        key("of", "The entity of the callers' own records.", Form::Text),
        key("attribute", "The attribute of a caller that holds the own record's key.", Form::Text),
    ],
    one_of: &[],
    may_be_empty: true,
};
