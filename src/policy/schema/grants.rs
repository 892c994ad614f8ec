//! The keys of `grants`.

use super::keys::{ACTIONS, DURATION, NAMES, key, required};
use super::{Form, Table};

const BREAK_GLASS: Table = Table {
    name: "break-glass",
    keys: &[
        key("longest", "How long it stays open; 30m if left out.", DURATION),
        key("assurance", "What the holder must show; 2 if left out.", Form::Number(1, 3)),
        key("fresh", "How old that factor may be; 5m if left out.", DURATION),
        key("review", "Within which time somebody else must review it; 24h if left out.", DURATION),
        key("subjects", "How many people it may be about; 1 if left out.", Form::Number(1, 200)),
    ],
    one_of: &[],
    may_be_empty: true,
};

pub(super) const GRANT: Table = Table {
    name: "grant",
    keys: &[
        required("to", "Who may be granted it: a role, a list of roles, or `any`.", NAMES),
        key("action", "The actions; all if left out.", ACTIONS),
        key("route", "The routes; all if left out.", NAMES),
        key("lends", "The roles that may be lent; none if left out.", NAMES),
        key(
            "grade",
            "The highest grade of a field that it may open; 3 if left out.",
            Form::Number(1, 4),
        ),
        key("by", "Who agrees: `higher-rank`, which is meant if left out, or roles.", NAMES),
        key("number", "How many people must agree; 1 if left out.", Form::Number(1, 5)),
        key("assurance", "What each of them must show; 2 if left out.", Form::Number(1, 3)),
        key("fresh", "How old that factor may be; 15m if left out.", DURATION),
        key("longest", "How long it lasts at most; 1h if left out.", DURATION),
        key(
            "uses",
            "How often it may be used at most; `any` if left out.",
            Form::Either(&[Form::Number(1, 1_000_000), Form::Words(|| vec!["any"])]),
        ),
        key(
            "subjects",
            "How many people it may be about; 1 if left out, `any` for a grant that names nobody.",
            Form::Either(&[Form::Number(1, 200), Form::Words(|| vec!["any"])]),
        ),
        key(
            "rows",
            "How many records a search may give that it is about, over all its pages; it is about no search if left out.",
            Form::Number(1, 1_000_000),
        ),
        key("waits", "How long a request waits to be decided; 24h if left out.", DURATION),
        key(
            "ring",
            "After so many grants the other way round, nobody agrees any more; `3/30d` if left out.",
            Form::Pattern("^[0-9]+/[0-9]+d$", "3/30d"),
        ),
        key(
            "break-glass",
            "What opens at once, loudly, and must be reviewed.",
            Form::Table(&BREAK_GLASS),
        ),
    ],
    one_of: &[],
    may_be_empty: false,
};
