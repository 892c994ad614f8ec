//! What names suggest: kinds of values, meanings of query parameters, names for entities. Guesses only.

use super::shape::{Member, Shape};

/// What is written for a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guess {
    /// It must never leave.
    Sealed,
    Kind(&'static str),
    /// It might be a person's name.
    Perhaps,
    Nothing,
}

/// What a scalar seems to be, from its name and format and from what stands beside it.
pub(super) fn field(name: &str, kind: &str, format: &str, beside: &[Member]) -> Guess {
    const SECRETS: &[&str] = &[
        "password",
        "passwd",
        "passphrase",
        "secret",
        "cvv",
        "cvc",
        "otp",
        "accesstoken",
        "refreshtoken",
        "apikey",
        "privatekey",
        "passwordhash",
    ];
    const FORMATS: &[(&str, &str)] = &[
        ("email", "email"),
        ("idn-email", "email"),
        ("ipv4", "ip-address"),
        ("ipv6", "ip-address"),
        ("phone", "phone"),
    ];
    if format == "password" || names(name, SECRETS) {
        return Guess::Sealed;
    }
    if kind == "boolean" {
        return Guess::Nothing;
    }
    if let Some((_, kind)) = FORMATS.iter().find(|(known, _)| *known == format) {
        return Guess::Kind(kind);
    }
    let fits = |guess: &&(&[&str], &str)| names(name, guess.0);
    match KINDS.iter().find(fits) {
        // Numbers are sums and places; a telephone number is an integer at most.
        Some((_, found)) if kind != "number" || ["amount", "location"].contains(found) => {
            return Guess::Kind(found);
        }
        Some(_) | None => {}
    }
    match plain(name).as_str() {
        "name" if of_people(beside) => Guess::Kind("person-name"),
        "name" => Guess::Perhaps,
        "ip" => Guess::Kind("ip-address"),
        _ => Guess::Nothing,
    }
}

/// Endings of names, and the kinds that they suggest; the first that fits counts.
const KINDS: &[(&[&str], &str)] = &[
    (&["username", "userid", "loginname", "nickname"], "user-name"),
    (&["email", "emailaddress"], "email"),
    (&["deviceid", "imei", "imsi", "macaddress"], "device-id"),
    (&["passport", "passportno", "passportnumber"], "passport"),
    (&["licenseplate", "licenceplate", "platenumber", "plateno"], "plate"),
    (&["latitude", "longitude"], "location"),
    (&["balance", "salary", "income"], "amount"),
    (&["note", "notes", "comment", "comments", "remark", "remarks"], "free-text"),
    (&["ipaddress", "ipaddr", "clientip", "remoteip"], "ip-address"),
    (&["phone", "phonenumber", "mobile", "telephone", "msisdn", "tel", "cellphone"], "phone"),
    (&["birthdate", "dateofbirth", "birthday", "dob"], "birth-date"),
    (
        &[
            "firstname",
            "lastname",
            "surname",
            "fullname",
            "familyname",
            "givenname",
            "middlename",
            "customername",
            "holdername",
            "contactname",
            "recipientname",
            "ownername",
            "cardholder",
        ],
        "person-name",
    ),
    (&["cardnumber", "creditcard", "pan", "cardno"], "bank-card"),
    (&["iban", "accountnumber", "bankaccount", "accountno"], "bank-account"),
    (&["nationalid", "idnumber", "identitynumber", "ssn", "idcard", "citizenid"], "national-id"),
    (&["postcode", "postalcode", "zip", "zipcode"], "postcode"),
    (&["address", "street", "addressline1", "addressline2", "streetaddress"], "address"),
];

/// Whether records with these members seem to be about people.
pub(super) fn of_people(members: &[Member]) -> bool {
    members.iter().any(|member| marks_a_person(&member.name))
}

fn marks_a_person(name: &str) -> bool {
    const OF_PEOPLE: &[&str] = &["email", "phone", "birth-date", "person-name", "national-id"];
    KINDS.iter().any(|(words, kind)| OF_PEOPLE.contains(kind) && names(name, words))
}

/// Whether a name is one of the words or ends with one; short words must be its last word.
fn names(name: &str, words: &[&str]) -> bool {
    const SHORT: usize = 5;
    let whole = plain(name);
    let last = entity_name(name).rsplit('_').next().unwrap_or("").to_owned();
    words.iter().any(|word| {
        whole == *word || last == *word || (word.len() >= SHORT && whole.ends_with(word))
    })
}

/// What a query parameter means by its name alone, if it is one of paging and order.
pub(super) fn parameter(name: &str) -> Option<&'static str> {
    match plain(name).as_str() {
        "page" | "pageno" | "pagenumber" | "offset" | "cursor" | "skip" | "start" | "after"
        | "before" | "pagetoken" | "nexttoken" => Some("page"),
        "limit" | "perpage" | "pagesize" | "size" | "maxresults" | "top" => Some("page-size"),
        "sort" | "sortby" | "orderby" => Some("sort"),
        _ => None,
    }
}

/// The path of the one scalar of a record that a parameter seems to search.
pub(super) fn searched(parameter: &str, members: &[Member]) -> Option<String> {
    let wanted = plain(parameter);
    let fits = |member: &&Member| {
        let name = plain(&member.name);
        name == wanted || format!("{name}s") == wanted || format!("{wanted}s") == name
    };
    let member = members.iter().find(fits)?;
    let (inner, arrays) = member.shape.innermost();
    inner.is_scalar().then(|| format!("{}{}", member.name, "[]".repeat(arrays)))
}

/// Whether an answer's members are a list and what is said about it, and which the list is.
pub(super) fn envelope(members: &[Member]) -> Option<&Member> {
    const LISTS: &[&str] = &[
        "items", "data", "results", "result", "content", "records", "list", "rows", "values",
        "entries", "payload", "response", "body",
    ];
    let is_record = |shape: &Shape| matches!(shape, Shape::Entity(_) | Shape::Object(_));
    let mut held = members.iter().filter(|member| {
        let (inner, arrays) = member.shape.innermost();
        arrays < 2 && is_record(inner) && LISTS.contains(&plain(&member.name).as_str())
    });
    let one = held.next().filter(|_| held.next().is_none())?;
    let has_id = members.iter().any(|m| m.shape.is_scalar() && plain(&m.name).ends_with("id"));
    (!has_id).then_some(one)
}

/// `PetOwner` and `pet-owner` as `pet_owner`, and no word that means something else.
pub(super) fn entity_name(schema: &str) -> String {
    const LENGTH: usize = 60;
    const TAKEN: [&str; 9] = ["pass", "total", "sealed", "ungraded", "any", "1", "2", "3", "4"];
    let mut name = String::new();
    let mut before = ' ';
    for c in schema.chars().take(LENGTH) {
        if c.is_uppercase() && (before.is_lowercase() || before.is_ascii_digit()) {
            name.push('_');
        }
        before = c;
        if c.is_alphanumeric() {
            name.extend(c.to_lowercase().filter(|c| c.is_alphanumeric()));
        } else if !name.ends_with('_') && !name.is_empty() {
            name.push('_');
        }
    }
    let name = name.trim_matches('_').to_owned();
    if name.is_empty() || TAKEN.contains(&name.as_str()) { format!("{name}_record") } else { name }
        .trim_start_matches('_')
        .to_owned()
}

/// Without case and separators, so that `first_name` and `firstName` are one.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
