//! What customers ordered: none to six orders each, some of them sent to somebody else.

use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use serde::Serialize;

use super::branches::{Branch, Currency};
use super::names;
use super::people::{self, Customer, FIRST_ID};
use super::random::Random;

const SEED: u64 = 0x6f72_6465_7273_0001;

/// An order with its lines and where it went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Order {
    /// Number of the order; begins with the customer's.
    pub id: u64,
    /// Who ordered.
    pub customer_id: u64,
    /// Code of the branch that serves the customer.
    pub branch: String,
    /// RFC 3339, UTC.
    pub placed_at: String,
    /// `placed`, `shipped`, `delivered` or `returned`.
    pub status: String,
    /// Sum of the lines.
    pub amount: f64,
    /// ISO 4217 code.
    pub currency: String,
    /// Who receives it; one in five is a gift to a person of its own.
    pub ship_to: Recipient,
    /// One to four lines.
    pub lines: Vec<Line>,
}

/// The name and address on the parcel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recipient {
    /// Full name.
    pub name: String,
    /// Telephone number for the courier.
    pub phone: String,
    /// City or province.
    pub city: String,
    /// Street and number.
    pub street: String,
}

/// One article of an order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// Stock-keeping unit.
    pub sku: String,
    /// What the article is called, in the branch's language.
    pub title: String,
    /// How many.
    pub quantity: u32,
    /// Price of one.
    pub price: f64,
}

/// The orders of `customer`, always the same for the same id; the newest is last.
#[must_use]
pub fn orders(customer: &Customer) -> Vec<Order> {
    let index = customer.id.saturating_sub(FIRST_ID);
    let mut random = Random::for_item(SEED, index);
    let branch = people::branch_of(index);
    let count = random.below(7);
    (0..count).map(|nth| order(customer, nth, branch, &mut random)).collect()
}

fn order(customer: &Customer, nth: u32, branch: &Branch, random: &mut Random) -> Order {
    let (lines, total) = lines(branch, random);
    Order {
        id: customer.id.saturating_mul(10).saturating_add(u64::from(nth)),
        customer_id: customer.id,
        branch: customer.branch.clone(),
        placed_at: placed_at(nth, random),
        status: random
            .pick(&["placed", "shipped", "delivered", "delivered", "returned"])
            .to_owned(),
        amount: branch.currency.amount(total),
        currency: branch.currency.code.to_owned(),
        ship_to: recipient(customer, branch, random),
        lines,
    }
}

/// A time within the `nth` quarter of a year from the start of 2025.
fn placed_at(nth: u32, random: &mut Random) -> String {
    const FIRST: Date = date(2025, 1, 1);
    let day = FIRST.saturating_add(i64::from(nth * 91 + random.below(91)).days());
    let (hour, minute, second) = (random.below(24), random.below(60), random.below(60));
    format!("{day}T{hour:02}:{minute:02}:{second:02}Z")
}

fn recipient(customer: &Customer, branch: &Branch, random: &mut Random) -> Recipient {
    let (name, phone, address) = if random.chance(20) {
        let name = names::draw(branch.locale, random).written;
        let phone = people::phone(branch.locale, random);
        let place = random.pick(branch.places);
        (name, phone, people::address(branch.locale, place, random))
    } else {
        (customer.name.clone(), customer.phone.clone(), customer.address.clone())
    };
    Recipient { name, phone, city: address.city, street: address.street }
}

/// The lines and their sum in the smallest units in use.
fn lines(branch: &Branch, random: &mut Random) -> (Vec<Line>, u32) {
    let mut total = 0_u32;
    let mut lines = Vec::new();
    for _ in 0..random.between(1, 4) {
        let (line, sum) = line(branch, branch.currency, random);
        total = total.saturating_add(sum);
        lines.push(line);
    }
    (lines, total)
}

fn line(branch: &Branch, currency: Currency, random: &mut Random) -> (Line, u32) {
    let good = random.pick(branch.goods);
    let quantity = random.between(1, 3);
    let line = Line {
        sku: good.sku.to_owned(),
        title: good.title.to_owned(),
        quantity,
        price: currency.amount(good.price),
    };
    (line, good.price.saturating_mul(quantity))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_has_none_to_six_orders_and_they_never_change() {
        let counts: Vec<usize> = people::customers().take(300).map(|c| orders(&c).len()).collect();
        assert!(counts.contains(&0) && counts.contains(&6));
        assert!(counts.iter().all(|n| *n <= 6));
        let customer = people::customer(3);
        assert_eq!(orders(&customer), orders(&customer));
    }

    #[test]
    fn the_amount_is_the_sum_of_the_lines() {
        for order in people::customers().take(300).flat_map(|c| orders(&c)) {
            let sum: f64 = order.lines.iter().map(|l| l.price * f64::from(l.quantity)).sum();
            assert!((sum - order.amount).abs() < 0.001, "{order:?}");
        }
    }

    #[test]
    fn some_orders_go_to_a_person_who_did_not_order() {
        let gifts = people::customers()
            .take(300)
            .flat_map(|c| orders(&c).into_iter().map(move |o| o.ship_to.phone != c.phone))
            .filter(|gift| *gift)
            .count();
        assert!(gifts > 50, "{gifts}");
    }

    #[test]
    fn orders_are_dated_in_order_and_as_rfc_3339() {
        for customer in people::customers().take(100) {
            let times: Vec<String> = orders(&customer).into_iter().map(|o| o.placed_at).collect();
            assert!(times.is_sorted(), "{times:?}");
            assert!(times.iter().all(|t| t.parse::<jiff::Timestamp>().is_ok()), "{times:?}");
        }
    }
}
