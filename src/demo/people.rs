//! The demo bank's customers: made from a seed, realistic in form, nobody in particular.
//!
//! Two of their fields exist to be withheld: `password_hash`, which must never pass a gate, and
//! `internal_score`, which the demo's catalogue does not declare.

use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use serde::{Deserialize, Serialize};

use super::branches::{BRANCHES, Branch, Place};
use super::names::{self, Locale, PersonName};
use super::numbers::{self, Holder};
use super::random::Random;

/// The id of the first customer; the others follow without a gap.
pub const FIRST_ID: u64 = 1001;

const SEED: u64 = 0x6d65_6e73_6865_6e00;

/// A record as the bank's backend keeps and returns it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Customer {
    /// Number of the customer.
    pub id: u64,
    /// Full name in the person's own script.
    pub name: String,
    /// Mobile number in the local form.
    pub phone: String,
    /// Address at a domain reserved for examples.
    pub email: String,
    /// National identity or passport number, valid by its checksum where the kind has one.
    pub id_number: String,
    /// ISO 8601 date.
    pub birth_date: String,
    /// Code of the branch that serves the customer.
    pub branch: String,
    /// `retail`, `premium` or `private`.
    pub segment: String,
    /// Where the customer lives, in the local script.
    pub address: Address,
    /// One to three accounts.
    pub accounts: Vec<Account>,
    /// None to two cards.
    pub cards: Vec<Card>,
    /// What staff typed; may hold names and telephone numbers of others.
    pub note: String,
    /// Looks like an Argon2 hash; no password belongs to it.
    pub password_hash: String,
    /// A number nobody declared to the gate.
    pub internal_score: u32,
}

/// A postal address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Address {
    /// City or province.
    pub city: String,
    /// Street and number, with the district where addresses name it.
    pub street: String,
}

/// A bank account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Account number, digits only.
    pub number: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Balance in units of the currency.
    pub balance: f64,
}

/// A payment card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// Card number on a test prefix, valid by Luhn.
    pub pan: String,
}

/// The customers in the order of their ids; each is the same however many are taken.
pub fn customers() -> impl Iterator<Item = Customer> {
    (0..).map(customer)
}

/// The customer at `index`, counted from 0.
#[must_use]
pub fn customer(index: u64) -> Customer {
    let mut random = Random::for_item(SEED, index);
    let random = &mut random;
    let branch = branch_of(index);
    let id = FIRST_ID.saturating_add(index);
    let name = names::draw(branch.locale, random);
    let place = random.pick(branch.places);
    let holder = holder(random);
    Customer {
        id,
        phone: phone(branch.locale, random),
        email: email(&name, id, random),
        id_number: id_number(branch.locale, place, &holder, random),
        birth_date: holder.born.to_string(),
        branch: branch.code.to_owned(),
        segment: segment(random).to_owned(),
        address: address(branch.locale, place, random),
        accounts: accounts(branch, random),
        cards: (0..random.below(3)).map(|_| Card { pan: numbers::card(random) }).collect(),
        note: note(branch, random),
        password_hash: password_hash(random),
        internal_score: random.below(1_000),
        name: name.written,
    }
}

/// The branch that serves the customer at `index`.
pub(super) fn branch_of(index: u64) -> &'static Branch {
    let [first, ..] = &BRANCHES;
    let at = usize::try_from(index % 6).unwrap_or(0);
    BRANCHES.get(at).unwrap_or(first)
}

/// A telephone number of `locale`.
pub(super) fn phone(locale: Locale, random: &mut Random) -> String {
    match locale {
        Locale::Chinese => numbers::chinese_phone(random),
        Locale::Thai => numbers::thai_phone(random),
        Locale::Korean => numbers::korean_phone(random),
        Locale::Indonesian => numbers::indonesian_phone(random),
        Locale::English => numbers::english_phone(random),
    }
}

/// An address in `place`, numbered as `locale` does.
pub(super) fn address(locale: Locale, place: Place, random: &mut Random) -> Address {
    let street = random.pick(place.streets);
    let house = random.between(1, 288);
    let street = match locale {
        Locale::Chinese => {
            let room = random.between(1, 28) * 100 + random.between(1, 4);
            format!("{street}{house}号{room}室")
        }
        Locale::Thai => format!("{house}/{} {street}", random.between(1, 99)),
        Locale::Korean => format!("{street} {house}"),
        Locale::Indonesian => format!("{street} No. {house}"),
        Locale::English => format!("{house} {street}"),
    };
    Address { city: place.city.to_owned(), street }
}

/// Three in a hundred customers are minors.
fn holder(random: &mut Random) -> Holder {
    const FIRST_ADULT: Date = date(1936, 1, 1);
    const FIRST_MINOR: Date = date(2012, 1, 1);
    let born = if random.chance(3) {
        FIRST_MINOR.saturating_add(i64::from(random.below(2_500)).days())
    } else {
        FIRST_ADULT.saturating_add(i64::from(random.below(26_000)).days())
    };
    Holder { born, female: random.chance(50) }
}

fn id_number(locale: Locale, place: Place, holder: &Holder, random: &mut Random) -> String {
    match locale {
        Locale::Chinese => numbers::chinese_resident_id(place.area, holder, random),
        Locale::Thai => numbers::thai_national_id(random),
        Locale::Korean => numbers::korean_resident_number(holder, random),
        Locale::Indonesian => numbers::indonesian_nik(place.area, holder, random),
        Locale::English => numbers::passport(random),
    }
}

fn email(name: &PersonName, id: u64, random: &mut Random) -> String {
    let domain = random.pick(&["example.com", "example.net", "example.org"]);
    format!("{}{id}@{domain}", name.mailbox)
}

fn segment(random: &mut Random) -> &'static str {
    match random.below(100) {
        0..80 => "retail",
        80..95 => "premium",
        _ => "private",
    }
}

fn accounts(branch: &Branch, random: &mut Random) -> Vec<Account> {
    let count = random.between(1, 3);
    let account = |_| Account {
        number: format!("{}{}", random.between(1, 9), random.digits(13)),
        currency: branch.currency.code.to_owned(),
        balance: branch.currency.amount(random.below(900_000_000)),
    };
    (0..count).map(account).collect()
}

fn note(branch: &Branch, random: &mut Random) -> String {
    let other = names::draw(branch.locale, random).written;
    let phone = phone(branch.locale, random);
    random.pick(branch.notes).replace("{name}", &other).replace("{phone}", &phone)
}

fn password_hash(random: &mut Random) -> String {
    format!("$argon2id$v=19$m=19456,t=2,p=1${}${}", random.base64(22), random.base64(43))
}

#[cfg(test)]
mod tests {
    use super::numbers::tests::{
        is_chinese_resident_id, is_korean_resident_number, is_luhn_valid, is_thai_national_id,
    };
    use super::*;
    use std::collections::BTreeSet;

    fn of_branch(code: &str) -> Vec<Customer> {
        customers().take(2_000).filter(|c| c.branch == code).collect()
    }

    fn shape(text: &str) -> String {
        text.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect()
    }

    #[test]
    fn a_customer_is_the_same_however_many_are_made() {
        assert_eq!(customers().nth(41), Some(customer(41)));
        assert_eq!(customer(41).id, FIRST_ID + 41);
        assert_ne!(customer(41).email, customer(47).email);
    }

    #[test]
    fn the_first_customer_never_changes() {
        let first = customer(0);
        assert_eq!(first.branch, "sh01");
        assert_eq!((first.name.as_str(), first.phone.as_str()), ("陈梓萱", "15862243038"));
    }

    #[test]
    fn every_branch_serves_hundreds_with_valid_national_ids() {
        for branch in &BRANCHES {
            let people = of_branch(branch.code);
            assert!(people.len() > 300, "{}", branch.code);
            for customer in people {
                let id = customer.id_number.as_str();
                let valid = match branch.locale {
                    Locale::Chinese => is_chinese_resident_id(id),
                    Locale::Thai => is_thai_national_id(id),
                    Locale::Korean => is_korean_resident_number(id),
                    Locale::Indonesian => shape(id) == "9999999999999999",
                    Locale::English => id.len() == 9 && id.starts_with(char::is_alphabetic),
                };
                assert!(valid, "{}: {id}", branch.code);
            }
        }
    }

    #[test]
    fn every_phone_has_its_countrys_form() {
        for customer in customers().take(2_000) {
            let shape = shape(&customer.phone);
            let wanted: &[&str] = match customer.branch.as_str() {
                "sh01" | "bj07" => &["99999999999"],
                "bkk02" => &["999-999-9999"],
                "sel03" => &["999-9999-9999"],
                "jkt05" => &["999999999999"],
                _ => &["+99 9999 999999", "+9 999 999 9999"],
            };
            assert!(wanted.contains(&shape.as_str()), "{}", customer.phone);
        }
    }

    #[test]
    fn the_id_number_agrees_with_the_birth_date() {
        for customer in of_branch("sh01") {
            let digits = customer.birth_date.replace('-', "");
            assert_eq!(customer.id_number.get(6..14), Some(digits.as_str()));
        }
        for customer in of_branch("sel03") {
            let digits = customer.birth_date.replace('-', "");
            assert_eq!(customer.id_number.get(..6), digits.get(2..));
        }
    }

    #[test]
    fn cards_are_valid_by_luhn_and_some_customers_have_none() {
        let people: Vec<Customer> = customers().take(500).collect();
        assert!(people.iter().flat_map(|c| &c.cards).all(|card| is_luhn_valid(&card.pan)));
        assert!(people.iter().any(|c| c.cards.is_empty()));
        assert!(people.iter().any(|c| c.cards.len() == 2));
    }

    #[test]
    fn no_field_but_the_note_is_ever_blank() {
        for c in customers().take(2_000) {
            let fields = [&c.name, &c.phone, &c.email, &c.address.city, &c.address.street];
            assert!(fields.iter().all(|f| !f.trim().is_empty()), "{c:?}");
            assert!(!c.note.contains('{'), "{}", c.note);
            assert_eq!(c.password_hash.len(), 97);
        }
    }

    #[test]
    fn ids_mailboxes_and_national_ids_do_not_repeat() {
        let people: Vec<Customer> = customers().take(2_000).collect();
        let mails: BTreeSet<&str> = people.iter().map(|c| c.email.as_str()).collect();
        assert_eq!(mails.len(), 2_000);
        let ids: BTreeSet<&str> = people.iter().map(|c| c.id_number.as_str()).collect();
        assert!(ids.len() > 1_990, "{}", ids.len());
    }

    #[test]
    fn a_few_customers_are_minors() {
        let minors = customers().take(2_000).filter(|c| c.birth_date.as_str() > "2012").count();
        assert!((20..120).contains(&minors), "{minors}");
    }
}
