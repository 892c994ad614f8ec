//! Every key of the language, with the words of the guide.

use super::super::consent::ConsentKind;
use super::super::detect::DETECTED;
use super::super::kind::Kind;
use super::super::model::{Action, Format, Whose};
use super::super::plan::OnHit;
use super::super::rotation::Rotate;
use super::super::search::FilterForm;
use super::super::sending::BodyForm;
use super::super::two_person;
use super::{Form, Key, Table};

pub(super) const DURATION: Form = Form::Pattern("^[0-9]+[smhd]$", "15m");
const WINDOW: Form = Form::Pattern(
    "^\\s*[0-9]+\\s*/\\s*(s|sec|second|m|min|minute|h|hour|d|day|w|week|calendar-day|[0-9]+[smhd])\\s*$",
    "500/h",
);
const BYTES: Form = Form::Pattern(
    "^\\s*[0-9]+(KiB|MiB|GiB)\\s*/\\s*(s|sec|second|m|min|minute|h|hour|d|day|w|week|calendar-day|[0-9]+[smhd])\\s*$",
    "100MiB/day",
);
const RATE: Form = Form::Pattern(
    "^\\s*[0-9]+\\s*/\\s*(s|sec|second|m|min|minute|h|hour|d|day|w|week|[0-9]+[smhd])\\s*( burst \\s*[0-9]+\\s*)?$",
    "120/min burst 20",
);
const MATCH: Form = Form::Pattern(
    "^(GET|POST|PUT|PATCH|DELETE) +([^ /:]+|\\[[0-9a-f:.]+\\])/.*$",
    "GET bank.example/api/customers/{id}",
);
const SEARCHED: Form = Form::Pattern("^[^.]+\\..+$", "customer.phone");

const CASE_KIND: Form = Form::Pattern("^[a-z0-9-]{1,32}$", "call");
const CASE_KINDS: Form = Form::OneOrMany(&CASE_KIND);
const LINK: Form = Form::Either(&[
    CASE_KINDS,
    Form::Table(&Table {
        name: "link",
        keys: &[
            required("kinds", "The kinds of cases of which one must tie.", CASE_KINDS),
            key(
                "missing",
                "What becomes of a record without one: `deny`, or `flag` to let it pass and say so in the log.",
                Form::Words(|| vec!["deny", "flag"]),
            ),
        ],
        one_of: &[],
        may_be_empty: false,
    }),
]);

const REQUIREMENT: Form = Form::Table(&Table {
    name: "requirement",
    keys: &[
        ASSURANCE,
        FRESH,
        key("zone", "The caller stands in one of these zones.", NAMES),
        key(
            "device",
            "The caller uses a device whose key is bound to them.",
            Form::Words(|| vec!["bound"]),
        ),
        key("grant", "Somebody granted it.", Form::Words(required_word)),
        key(
            "link",
            "A case of one of these kinds ties the caller to whom the record is about.",
            LINK,
        ),
    ],
    one_of: &[],
    may_be_empty: false,
});

const RULE_STEP_UP: Form = Form::Table(&Table {
    name: "rule-step-up",
    keys: &[ON_RECORDS, ASSURANCE, FRESH],
    one_of: &[],
    may_be_empty: false,
});

const STEP_UP: Form = Form::Table(&Table {
    name: "step-up",
    keys: &[
        ON_RECORDS,
        ASSURANCE,
        FRESH,
        key("fields", "For these fields in clear; without it for the record.", PATHS),
        key("grade", "For the fields of this grade and of higher ones.", Form::Number(1, 4)),
    ],
    one_of: &[],
    may_be_empty: false,
});

const ON_RECORDS: Key = required(
    "where",
    "On records for which the condition holds, or cannot be evaluated.",
    Form::Condition,
);
const ASSURANCE: Key = key(
    "assurance",
    "At least this sure who it is: 1 password, 2 with a one-time code, 3 with a key.",
    Form::Number(1, 3),
);
const FRESH: Key =
    key("fresh", "A factor of that assurance was shown at most so long ago.", DURATION);

pub(super) const NAMES: Form = Form::OneOrMany(&Form::Text);
const PATHS: Form = Form::OneOrMany(&Form::Text);

pub(super) const FILE: Table = Table {
    name: "file",
    keys: &[
        key(
            "tenant",
            "The tenant whose callers alone this file is about. It then only makes stricter: rules that deny, limits, `require`, what routes and grades require, and how long the log keeps entries of its callers.",
            Form::Text,
        ),
        key(
            "require",
            "What callers of the tenant must prove on every route, beside everything else. Only in a file with `tenant`.",
            REQUIREMENT,
        ),
        key(
            "grades",
            "What a caller must prove to see a field in clear: 1 open to 4 secret, and `sealed`, which never leaves.",
            Form::Table(&GRADES),
        ),
        key(
            "purposes",
            "The closed list of what data may be asked for.",
            Form::Either(&[Form::List(&Form::Text), Form::Named(&Form::Table(&PURPOSE))]),
        ),
        key(
            "entities",
            "What the data are: kinds of record. A member that is not listed does not pass, whoever asks.",
            Form::Named(&Form::Table(&ENTITY)),
        ),
        key(
            "routes",
            "What is published: a method, a host and a path each. Whatever has no route does not exist.",
            Form::Named(&Form::Table(&ROUTE)),
        ),
        key(
            "roles",
            "The roles that rules and limits are about. `any` is no role but every caller.",
            Form::Named(&Form::Table(&ROLE)),
        ),
        key(
            "rules",
            "Who may do what. Rules that allow add up; a rule that denies takes away, whatever allows it.",
            Form::List(&Form::Table(&RULE)),
        ),
        key(
            "limits",
            "How much is given, per account, over all sessions. Of all limits about a caller's roles the strictest holds.",
            Form::List(&Form::Table(&LIMIT)),
        ),
        key(
            "masks",
            "In which style the values of a kind are masked, on all routes alike.",
            Form::Masks,
        ),
        key(
            "pseudonyms",
            "When pseudonyms change, for every purpose that does not say otherwise. Without it they stay.",
            Form::Table(&PSEUDONYMS),
        ),
        key(
            "detect",
            "What is looked for in values of fields that are not graded for it, and what becomes of a hit. It only makes stricter.",
            Form::Table(&DETECT),
        ),
        key(
            "two-person",
            "What one person alone may not command: another one must agree. `exports` both ways, `exports-off` to let them go on.",
            Form::OneOrMany(&Form::Words(two_person::words)),
        ),
        key(
            "registered",
            "Whose callers ask nothing unless the registry has them as active: partners, tenants, or both.",
            Form::OneOrMany(&Form::Words(|| super::super::registered::WORDS.to_vec())),
        ),
        key(
            "partner-level",
            "How well partners must protect what they receive, as somebody attests it in the registry.",
            Form::Number(1, 3),
        ),
        key(
            "grants",
            "Who may be granted what, by whom and for how long. All that is about a request binds; what nothing is about nobody grants.",
            Form::List(&Form::Table(&super::grants::GRANT)),
        ),
        key(
            "apart",
            "Sets of roles of which nobody may hold two, by one account or by several: whoever does is let do nothing.",
            Form::List(&NAMES),
        ),
        key(
            "detections",
            "Which patterns in what people do are looked for, and what follows. Those that are not named are as shipped.",
            Form::Table(&super::detections::DETECTIONS),
        ),
        key(
            "retention",
            "For how many months each class of the log is kept. Without it nothing of the log is destroyed. In a file with `tenant`: `staff_access` no shorter, `customer_usage` and `customer_identity` no longer than the platform says, and no other.",
            Form::Table(&RETENTION),
        ),
        key(
            "tests",
            "What the policy is meant to say, one case after another, for `menshen test`.",
            Form::List(&Form::Anything),
        ),
        key(
            "fixtures",
            "Callers, records and the time that several tests share.",
            Form::Named(&Form::Anything),
        ),
    ],
    one_of: &[],
    may_be_empty: true,
};

const DETECT: Table = Table {
    name: "detect",
    keys: &[
        key(
            "answers",
            "In answers: `mask` what was found, `withhold` the value, or `alert` only.",
            Form::Table(&HITS_IN_ANSWERS),
        ),
        key(
            "requests",
            "In request bodies: `refuse` the body, or `alert` only.",
            Form::Table(&HITS_IN_REQUESTS),
        ),
        key(
            "except",
            "Fields in which these kinds, or `all`, are not looked for.",
            Form::Named(&EXCEPTED),
        ),
        key(
            "except-routes",
            "Routes on which these kinds, or `all`, are not looked for.",
            Form::Named(&EXCEPTED),
        ),
    ],
    one_of: &[],
    may_be_empty: true,
};

const EXCEPTED: Form =
    Form::Either(&[Form::Words(|| vec!["all"]), Form::OneOrMany(&Form::Words(detected))]);

const IN_ANSWERS: Form = Form::Words(|| OnHit::IN_ANSWERS.iter().map(|(name, _)| *name).collect());
const IN_REQUESTS: Form =
    Form::Words(|| OnHit::IN_REQUESTS.iter().map(|(name, _)| *name).collect());

const HITS_IN_ANSWERS: Table = Table {
    name: "hits-in-answers",
    keys: &[
        key("bank-card", "Payment card numbers.", IN_ANSWERS),
        key("bank-account", "International bank account numbers (IBAN).", IN_ANSWERS),
        key("cn-resident-id", "Chinese resident identity numbers.", IN_ANSWERS),
        key("kr-resident-number", "Korean resident registration numbers.", IN_ANSWERS),
        key("th-national-id", "Thai identity numbers.", IN_ANSWERS),
        key(
            "id-nik",
            "Indonesian identity numbers, which many numbers of sixteen digits look like.",
            IN_ANSWERS,
        ),
        key("phone", "Telephone numbers.", IN_ANSWERS),
        key("email", "E-mail addresses.", IN_ANSWERS),
    ],
    one_of: &[],
    may_be_empty: true,
};

const HITS_IN_REQUESTS: Table = Table {
    name: "hits-in-requests",
    keys: &[
        key("bank-card", "Payment card numbers.", IN_REQUESTS),
        key("bank-account", "International bank account numbers (IBAN).", IN_REQUESTS),
        key("cn-resident-id", "Chinese resident identity numbers.", IN_REQUESTS),
        key("kr-resident-number", "Korean resident registration numbers.", IN_REQUESTS),
        key("th-national-id", "Thai identity numbers.", IN_REQUESTS),
        key(
            "id-nik",
            "Indonesian identity numbers, which many numbers of sixteen digits look like.",
            IN_REQUESTS,
        ),
        key("phone", "Telephone numbers.", IN_REQUESTS),
        key("email", "E-mail addresses.", IN_REQUESTS),
    ],
    one_of: &[],
    may_be_empty: true,
};

const GRADES: Table = Table {
    name: "grades",
    keys: &[
        key("1", "What grade 1, open, asks.", REQUIREMENT),
        key("2", "What grade 2 asks.", REQUIREMENT),
        key("3", "What grade 3 asks.", REQUIREMENT),
        key("4", "What grade 4, secret, asks.", REQUIREMENT),
        key("sealed", "Never leaves, so that there is nothing to ask: `sealed: {}`.", Form::Empty),
    ],
    one_of: &[],
    may_be_empty: true,
};

const PURPOSE: Table = Table {
    name: "purpose",
    keys: &[
        key(
            "ticket",
            "The form of the ticket that it counts with: `*` any run, `?` one character, `#` one digit.",
            Form::Pattern("^.{1,64}$", "CMP-*"),
        ),
        key(
            "consent",
            "What it asks of whom records are about: `required`, or `objection` for all but those who objected.",
            Form::Either(&[
                Form::Words(|| vec!["required", "objection"]),
                Form::Table(&Table {
                    name: "consent",
                    keys: &[
                        key(
                            "kinds",
                            "The kinds that count; all but `deemed` without it.",
                            Form::OneOrMany(&Form::Words(|| {
                                ConsentKind::NAMES.map(|(name, _)| name).to_vec()
                            })),
                        ),
                        key("notice", "The oldest notice that counts.", Form::Number(1, 65_535)),
                    ],
                    one_of: &[],
                    may_be_empty: false,
                }),
            ]),
        ),
        key("pseudonyms", "When the pseudonyms of this purpose change.", Form::Table(&PSEUDONYMS)),
    ],
    one_of: &[],
    may_be_empty: true,
};

const PSEUDONYMS: Table = Table {
    name: "pseudonyms",
    keys: &[
        required(
            "rotate",
            "After what time a value gets another pseudonym; `never` lets them stay.",
            Form::Words(periods),
        ),
        key("zone", "The time zone in which the time is reckoned; without it UTC.", Form::Text),
    ],
    one_of: &[],
    may_be_empty: false,
};

const RETENTION: Table = Table {
    name: "retention",
    keys: &[
        key(
            "staff_access",
            "Who of the staff saw whose data; 36 if left out.",
            Form::Number(24, 36),
        ),
        key(
            "customer_usage",
            "What customers did with their own data; 24 if left out.",
            Form::Number(6, 24),
        ),
        key(
            "customer_identity",
            "Who those customers were; 18 if left out, or as long as `customer_usage`.",
            Form::Number(6, 18),
        ),
        key(
            "security",
            "Sign-ins, alerts, the custody of the log; 36 if left out.",
            Form::Number(12, 36),
        ),
        key(
            "ledger",
            "Who changed which right, policy or account; 60 if left out.",
            Form::Number(36, 60),
        ),
    ],
    one_of: &[],
    may_be_empty: true,
};

const ENTITY: Table = Table {
    name: "entity",
    keys: &[
        key(
            "subject",
            "The field that is the key of the data subject: what \"whose data\" and \"different people\" count.",
            Form::Text,
        ),
        key(
            "registered-as",
            "The entity under which it is registered what its data subjects said and are marked as.",
            Form::Text,
        ),
        key(
            "tenant",
            "The field that says whose record it is; a caller who has a tenant gets nothing of another's.",
            Form::Text,
        ),
        key(
            "flags",
            "Marks that some records have, each with its condition; rules that allow must name them.",
            Form::Named(&Form::Condition),
        ),
        key(
            "step-up",
            "Factors that are asked for where a condition holds on the record, for some of its fields or for the record.",
            Form::List(&STEP_UP),
        ),
        required("fields", "The record's members.", Form::Members),
    ],
    one_of: &[],
    may_be_empty: false,
};

pub(super) const FIELD: Table = Table {
    name: "field",
    keys: &[
        required(
            "grade",
            "How sensitive the field is: 1 open to 4 secret, or `sealed`, which never leaves, or `ungraded`, which is closed until somebody grades it.",
            GRADE,
        ),
        key(
            "kind",
            "What kind of value it is, which decides how it is masked.",
            Form::Words(kinds),
        ),
    ],
    one_of: &[],
    may_be_empty: false,
};

/// What may stand where a grade is expected.
pub(super) const GRADE: Form = Form::Either(&[Form::Number(1, 4), Form::Words(closed_grades)]);

const ROUTE: Table = Table {
    name: "route",
    keys: &[
        required(
            "match",
            "Method, host without port, and path; `{name}` stands for one whole segment.",
            MATCH,
        ),
        required("to", "The upstream of the operator's file that answers.", Form::Text),
        required(
            "action",
            "`view` one record, `search` a list that a query selects, `export` in bulk, `create`, `update`, `delete`, `call` none of these.",
            Form::Words(actions),
        ),
        key("path", "Which field a parameter of the path searches.", Form::Named(&SEARCHED)),
        key(
            "query",
            "What each query parameter means. Undeclared ones are refused.",
            Form::Named(&Form::Either(&[
                Form::Words(query_uses),
                SEARCHED,
                Form::Table(&PARAMETER),
            ])),
        ),
        key(
            "accepts",
            "Where records stand in the request's body. Without it there may be no body.",
            Form::Places { pass: false },
        ),
        key(
            "sent-as",
            "The forms in which a body may come; without it JSON.",
            Form::OneOrMany(&Form::Words(body_forms)),
        ),
        key(
            "unwritable",
            "What becomes of a member that the caller may not write: `refuse` the body, or `drop` the member.",
            Form::Words(|| vec!["refuse", "drop"]),
        ),
        key("uploads", "The files that a body may bring.", Form::Table(&UPLOADS)),
        key(
            "returns",
            "Where records stand in the answer. Without it the answer is an empty 204.",
            Form::Places { pass: true },
        ),
        key(
            "as",
            "The types that the answer may have; without it JSON.",
            Form::OneOrMany(&Form::Words(formats)),
        ),
        key(
            "watermark",
            "For `export`: where its records carry the mark of whoever took them.",
            Form::Table(&WATERMARK),
        ),
        key("opaque", "The answer passes unread.", Form::Table(&OPAQUE)),
        key(
            "answer",
            "`constant`: an empty 202 at once, whatever the backend says.",
            Form::Words(|| vec!["constant"]),
        ),
        key(
            "retry",
            "Which requests are sent to another backend: `unsent` ones, or `idempotent` ones that may have been acted on, too. Without it as the upstream says.",
            Form::Words(|| vec!["unsent", "idempotent"]),
        ),
        key(
            "reads",
            "For `update` and `delete`: the view over which the record is read first, so that `where` can be tested.",
            Form::Text,
        ),
        key("headers", "What passes of heads besides the usual, both ways.", Form::Table(&HEADERS)),
        key("require", "What using the route at all asks of a caller.", REQUIREMENT),
        key("zones", "It exists in these zones only; without it in all.", NAMES),
    ],
    one_of: &[],
    may_be_empty: false,
};

const HEADERS: Table = Table {
    name: "headers",
    keys: &[
        key("send", "Headers of the request that reach the backend too, in lower case.", PATHS),
        key(
            "pass",
            "Headers of the backend's answer that reach the caller, each held to what its name asks.",
            PATHS,
        ),
        key("cookies", "Cookies of the backend's, which go both ways.", PATHS),
    ],
    one_of: &[],
    may_be_empty: false,
};

const MEANING: Form = Form::Either(&[Form::Words(query_uses), SEARCHED]);

const PARAMETER: Table = Table {
    name: "parameter",
    keys: &[
        required("means", "What the parameter means.", MEANING),
        key(
            "at-least",
            "Of a search: the fewest characters; then no wildcards either.",
            Form::Number(1, 100),
        ),
        key(
            "too-large",
            "Of a `page-size` above the limit: `refuse`, or `clamp` it to the limit.",
            Form::Words(|| vec!["refuse", "clamp"]),
        ),
        key("as", "How a `filter` is written.", Form::Words(filter_forms)),
        key("of", "What an `include` may name.", NAMES),
    ],
    one_of: &[],
    may_be_empty: false,
};

const WATERMARK: Table = Table {
    name: "watermark",
    keys: &[
        required(
            "by",
            "`field`: each record gets a member; `order`: it is legible in the order of the records; `header`, which every file has, is enough.",
            Form::OneOrMany(&Form::Words(|| vec!["header", "field", "order"])),
        ),
        key("name", "The member or column, with `field`.", Form::Text),
    ],
    one_of: &[],
    may_be_empty: false,
};

const UPLOADS: Table = Table {
    name: "uploads",
    keys: &[
        required("files", "The parts that are files, by name.", Form::Named(&Form::Table(&UPLOAD))),
        key(
            "scanner",
            "The scanner of the operator's file that must call each one clean.",
            Form::Text,
        ),
    ],
    one_of: &[],
    may_be_empty: false,
};

const UPLOAD: Table = Table {
    name: "upload",
    keys: &[
        required("types", "The media types that it may have, such as `application/pdf`.", PATHS),
        required("size", "The largest file.", Form::Pattern("^[0-9]+(KiB|MiB|GiB)$", "5MiB")),
        key("most", "The most files of this name; without it one.", Form::Number(1, 64)),
    ],
    one_of: &[],
    may_be_empty: false,
};

const OPAQUE: Table = Table {
    name: "opaque",
    keys: &[
        key(
            "types",
            "The media types that may pass, such as `application/pdf`; not for a WebSocket.",
            PATHS,
        ),
        required(
            "grade",
            "The grade of what is in it, met in full or refused.",
            Form::Number(1, 4),
        ),
        key(
            "size",
            "The most that one answer may have; not for `text/event-stream`.",
            Form::Pattern("^[0-9]+(KiB|MiB|GiB)$", "20MiB"),
        ),
        key("subject", "The parameter of the path that is the data subject's key.", Form::Text),
        key("of", "The entity that it is about.", Form::Text),
        key("websocket", "It is a WebSocket, with these terms.", Form::Table(&WEBSOCKET)),
    ],
    one_of: &["types", "websocket"],
    may_be_empty: false,
};

const SIZE: Form = Form::Pattern("^[0-9]+(KiB|MiB|GiB)$", "1MiB");

const WEBSOCKET: Table = Table {
    name: "websocket",
    keys: &[
        required("sent", "The most that a caller may send over one.", SIZE),
        required("received", "The most that a caller may receive over one.", SIZE),
        key("message", "The largest message, either way; without it `64KiB`.", SIZE),
        key(
            "frames",
            "The most frames that a caller may send in a second; without it 100.",
            Form::Number(1, 10_000),
        ),
        key("idle", "How long both sides may be silent; without it `60s`, at most `1h`.", DURATION),
        key("lifetime", "How long it may last; without it `1h`, at most `24h`.", DURATION),
        key(
            "each",
            "How many one person may have open at once; without it 4.",
            Form::Number(1, 1000),
        ),
        key(
            "all",
            "How many all together may have open at once; without it 256.",
            Form::Number(1, 100_000),
        ),
        key(
            "origins",
            "The origins of pages that may open it, such as `https://bank.example`; without it the route's own alone.",
            PATHS,
        ),
        key("protocols", "The subprotocols that may be agreed on; without it none.", PATHS),
        key(
            "compression",
            "The extension by which messages may be packed; without it none.",
            Form::Words(|| vec!["permessage-deflate"]),
        ),
    ],
    one_of: &[],
    may_be_empty: false,
};

/// What `pass` means, which stands among the entities of `returns`.
pub(super) const PASS: &str =
    "Places of scalars that are no field and pass as they are, such as `$.page`.";
/// What `total` means, beside it.
pub(super) const TOTAL: &str =
    "Places of scalars that tell how many records there are: they pass where none can be withheld.";

const ROLE: Table = Table {
    name: "role",
    keys: &[
        key(
            "includes",
            "Who has this role has those too, with their rules and their limits.",
            NAMES,
        ),
        key(
            "rank",
            "How high the role stands, for approvals; changes no decision.",
            Form::Number(0, 100),
        ),
        key(
            "external",
            "Whether people outside the organisation hold it; changes no decision.",
            Form::Flag,
        ),
    ],
    one_of: &[],
    may_be_empty: true,
};

const RULE: Table = Table {
    name: "rule",
    keys: &[
        required(
            "name",
            "Stands in the log and in `explain`; one line, at most 200 bytes.",
            Form::Text,
        ),
        key("allow", "The actions that the rule allows.", ACTIONS),
        key("deny", "The actions that the rule takes away.", ACTIONS),
        required("to", "A role, a list of roles, or `any`.", NAMES),
        key("of", "The entity whose fields the rule names.", Form::Text),
        key("route", "Only on these routes.", NAMES),
        key("clear", "Fields that are shown as they are.", PATHS),
        key("masked", "Fields that are shown masked.", PATHS),
        key(
            "pseudonym",
            "Fields that are shown as a keyed hash of purpose, field and value.",
            PATHS,
        ),
        key("write", "Which fields a body may carry; for `create`, `update`, `call`.", PATHS),
        key("flags", "For records with these flags as well; rules that allow.", NAMES),
        key("where", "Only on records for which the condition holds.", Form::Condition),
        key("when", "Only if the condition holds for caller, request and time.", Form::Condition),
        key(
            "purpose",
            "Only for one of these purposes. A rule that denies also hits those who declare none.",
            NAMES,
        ),
        key("require", "Only for callers who meet it; rules that allow.", REQUIREMENT),
        key(
            "step-up",
            "Of records for which a condition holds, only for callers who have shown this factor; rules that allow.",
            RULE_STEP_UP,
        ),
    ],
    one_of: &["allow", "deny"],
    may_be_empty: false,
};

pub(super) const ACTIONS: Form = Form::OneOrMany(&Form::Words(actions));

const LIMIT: Table = Table {
    name: "limit",
    keys: &[
        required("to", "A role, a list of roles, or `any`.", NAMES),
        key(
            "per",
            "Who counts together: each `person` alone, which is meant without it, or all of a `role`, `tenant` or `partner`.",
            Form::Words(holders),
        ),
        key(
            "on",
            "Which requests count; all, without it. What they take counts for limits on all requests too.",
            Form::Table(&ON),
        ),
        key(
            "zone",
            "The time zone of a `calendar-day` and of `off-hours`; without it UTC.",
            Form::Text,
        ),
        key(
            "off-hours",
            "When only a part of what adds up over time is given.",
            Form::Table(&OFF_HOURS),
        ),
        key(
            "when-reached",
            "What becomes of an answer that reaches a limit midway: `end` it at a record, or `refuse` it whole.",
            Form::Words(|| vec!["end", "refuse"]),
        ),
        key("rate", "Requests per time: a window without `burst`, a pace with it.", RATE),
        key("concurrent", "Requests at once, their answers included.", Form::Number(1, 100_000)),
        key(
            "page",
            "Outermost records in one answer to a `search`, and the `page-size`.",
            Form::Number(1, 200),
        ),
        key("records", "Records given per time.", Form::OneOrMany(&WINDOW)),
        key("subjects", "Different people given per time.", Form::OneOrMany(&WINDOW)),
        key("bytes", "Bytes given per time.", Form::OneOrMany(&BYTES)),
        key(
            "unmask",
            "Different people per time of whom a field of grade 3 or 4 is given in clear.",
            Form::OneOrMany(&WINDOW),
        ),
        key("files", "Answers to an `export` per time.", Form::OneOrMany(&WINDOW)),
        key("zero-hits", "Searches per time that find nobody.", Form::OneOrMany(&WINDOW)),
        key(
            "export",
            "`none` denies every export; a map bounds it.",
            Form::Either(&[Form::Words(|| vec!["none"]), Form::Table(&EXPORT)]),
        ),
        key(
            "store-lost",
            "While the store that gates share is lost: `local` goes on with what this gate was lent, which is meant without it; `deny` gives nothing.",
            Form::Words(|| vec!["local", "deny"]),
        ),
    ],
    one_of: &[],
    may_be_empty: false,
};

const OFF_HOURS: Table = Table {
    name: "off-hours",
    keys: &[
        required(
            "hours",
            "The hours in which the limits hold as they stand, such as `Mon-Fri 08:00-20:00`.",
            Form::Text,
        ),
        required("factor", "The part of them that holds outside, less than 1.", Form::Fraction),
    ],
    one_of: &[],
    may_be_empty: false,
};

const ON: Table = Table {
    name: "on",
    keys: &[
        key("purpose", "The purposes declared; requests that declare none do not count.", NAMES),
        key("action", "The actions.", Form::OneOrMany(&Form::Words(actions))),
        key("route", "The routes.", NAMES),
        key(
            "grant",
            "What is asked under a grant that opened in an emergency.",
            Form::Words(|| vec!["emergency"]),
        ),
    ],
    one_of: &[],
    may_be_empty: false,
};

const EXPORT: Table = Table {
    name: "export",
    keys: &[
        key(
            "rows",
            "Outermost records in one answer to an `export`.",
            Form::Pattern("^\\s*[0-9]+\\s*/file\\s*$", "500/file"),
        ),
        key("files", "Answers to an `export` per time.", Form::OneOrMany(&WINDOW)),
        key("grant", "An `export` without a grant is denied.", Form::Words(required_word)),
    ],
    one_of: &[],
    may_be_empty: false,
};

pub(super) const fn key(name: &'static str, doc: &'static str, form: Form) -> Key {
    Key { name, doc, form, required: false }
}

pub(super) const fn required(name: &'static str, doc: &'static str, form: Form) -> Key {
    Key { name, doc, form, required: true }
}

fn required_word() -> Vec<&'static str> {
    vec!["required"]
}

fn periods() -> Vec<&'static str> {
    Rotate::NAMES.iter().map(|(name, _)| *name).collect()
}

fn kinds() -> Vec<&'static str> {
    Kind::NAMES.iter().map(|(name, _)| *name).collect()
}

fn detected() -> Vec<&'static str> {
    DETECTED.iter().map(|kind| kind.name()).collect()
}

fn holders() -> Vec<&'static str> {
    Whose::NAMES.iter().map(|(name, _)| *name).collect()
}

fn actions() -> Vec<&'static str> {
    Action::NAMES.iter().map(|(name, _)| *name).collect()
}

fn formats() -> Vec<&'static str> {
    Format::NAMES.iter().map(|(name, _)| *name).collect()
}

fn closed_grades() -> Vec<&'static str> {
    vec!["sealed", "ungraded"]
}

fn query_uses() -> Vec<&'static str> {
    vec!["page", "page-size", "sort", "filter", "fields", "include", "free"]
}

fn body_forms() -> Vec<&'static str> {
    BodyForm::NAMES.iter().map(|(name, _)| *name).collect()
}

fn filter_forms() -> Vec<&'static str> {
    FilterForm::NAMES.iter().map(|(name, _)| *name).collect()
}
