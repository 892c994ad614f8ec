//! Tests: the vectors of `tests/vectors/detect.tsv`, and what must hold whatever the text.

use proptest::prelude::*;

use super::*;
use crate::policy::kind::Mask;

fn sought(kind: Kind, on_hit: OnHit) -> Sought {
    Sought { mask: Mask::of(kind), on_hit }
}

fn everything(on_hit: OnHit) -> Detection {
    let sought = FINDERS.iter().map(|(kind, _)| sought(*kind, on_hit)).collect();
    Detection { name: "customer.note".into(), sought }
}

fn masked(text: &str) -> String {
    match examine(&everything(OnHit::Mask), text).map(|found| found.fate) {
        Some(Fate::Masked(masked)) => masked,
        Some(other) => panic!("{other:?}"),
        None => text.to_owned(),
    }
}

/// Kind, text and what is found in it.
fn vectors() -> Vec<(Kind, &'static str, Vec<&'static str>)> {
    let lines = include_str!("../../../tests/vectors/detect.tsv").lines().skip(1);
    let vector = |line: &'static str| {
        let [kind, text, found, _note] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let found = if found == "-" { Vec::new() } else { found.split(" | ").collect() };
        (Kind::named(kind).unwrap(), text, found)
    };
    lines.map(vector).collect()
}

#[test]
fn every_vector_is_found_as_written() {
    let vectors = vectors();
    for (kind, text, wanted) in &vectors {
        let reading = Reading::of(text);
        let found: Vec<&str> =
            places(*kind, &reading).into_iter().map(|place| text.get(place).unwrap()).collect();
        assert_eq!(&found, wanted, "{} in `{text}`", kind.name());
        let alone = Detection { name: "x".into(), sought: vec![sought(*kind, OnHit::Alert)] };
        assert_eq!(examine(&alone, text).is_some(), !wanted.is_empty(), "`{text}`");
    }
    for (kind, _) in FINDERS {
        let of = || vectors.iter().filter(|(other, ..)| *other == kind);
        let hits = of().filter(|(_, _, found)| !found.is_empty()).count();
        assert!(hits >= 4 && of().count() - hits >= 4, "{}", kind.name());
    }
}

#[test]
fn only_what_was_found_is_masked_and_in_the_mask_of_its_kind() {
    for (text, wanted) in [
        ("卡号4111111111111111，请退款", "卡号************1111，请退款"),
        ("a 13800138000 b zhang@example.com c", "a 138****8000 b zh***@example.com c"),
        ("4111 1111 1111 1111 / 4111111111111111", "************1111 / ************1111"),
        ("४१११११११११११११११", "***"),
        ("41111111\u{200b}11111111", "************1111"),
        ("\u{2066}4111\u{2069}\u{fe0f}1111\u{34f}1111\u{e0031}\u{180e}1111", "\u{2066}***"),
    ] {
        assert_eq!(masked(text), wanted, "{text}");
    }
}

#[test]
fn where_two_kinds_overlap_all_that_they_cover_is_hidden() {
    // Thirteen digits that are a Thai number and a Korean one: masked as the one that is looked for first.
    let is_both = |text: &String| {
        let reading = Reading::of(text);
        !identity::th(&reading).is_empty() && !identity::kr(&reading).is_empty()
    };
    let both = (0..10_000).map(|n| format!("211101312{n:04}")).find(is_both).unwrap();
    assert_eq!(masked(&format!("x {both} y")), "x ******-******* y");
    // A Chinese telephone number inside an address.
    assert_eq!(masked("13800138000@example.com"), "***");
    assert_eq!(masked("+8613800138000"), "+86 138****8000");
}

#[test]
fn the_strictest_of_what_the_kinds_call_for_holds() {
    let text = "4111111111111111 zhang@example.com";
    let with = |card, email| {
        let sought = vec![sought(Kind::BankCard, card), sought(Kind::Email, email)];
        let found = examine(&Detection { name: "x".into(), sought }, text).unwrap();
        assert_eq!(found.kinds, [Kind::BankCard, Kind::Email]);
        found.fate
    };
    assert_eq!(with(OnHit::Alert, OnHit::Alert), Fate::Passes);
    let card_masked = Fate::Masked("************1111 zhang@example.com".to_owned());
    assert_eq!(with(OnHit::Mask, OnHit::Alert), card_masked);
    assert_eq!(with(OnHit::Alert, OnHit::Withhold), Fate::Withheld);
    assert_eq!(with(OnHit::Withhold, OnHit::Mask), Fate::Withheld);
    assert_eq!(with(OnHit::Alert, OnHit::Refuse), Fate::Refused(Kind::Email));
}

#[test]
fn what_a_masked_form_makes_with_what_stands_behind_it_is_masked_as_well() {
    let text = "4242424242424242 4242 4242 4242";
    let masked = masked(text);
    assert!(examine(&everything(OnHit::Mask), &masked).is_none(), "{masked}");
}

#[test]
fn a_number_is_looked_at_as_it_would_be_written_out() {
    let found = |number: &str| examine_number(&everything(OnHit::Mask), number).map(|f| f.fate);
    let card = Some(Fate::Masked("************1111".to_owned()));
    for number in ["4111111111111111", "4111111111111111.0", "4.111111111111111e15"] {
        assert_eq!(found(number), card, "{number}");
    }
    for number in ["13800138000", "1.3800138e10", "138e8", "13.8E+9"] {
        assert!(found(number).is_some(), "{number}");
    }
    assert!(found("3100601234565").is_some());
    // Milliseconds since 1970, which a Thai number can look like.
    assert_eq!(found("1101700207030"), None);
    for number in ["0", "-1.5", "1e400", "20240115", "4111111111111112"] {
        assert_eq!(found(number), None, "{number}");
    }
}

#[test]
fn a_text_of_nothing_but_small_numbers_is_read_in_linear_time() {
    let text = "1 2-3.4 ".repeat(8000);
    for _ in 0..3 {
        assert!(examine(&everything(OnHit::Mask), &text).is_none());
    }
}

fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[0-9]{1,20}",
        "[ .+*@()-]{1,2}",
        "[0-9０-９ -]{1,24}",
        prop::sample::select(vectors()).prop_map(|(_, text, _)| text.to_owned()),
        ".{0,6}",
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_text_nothing_is_found_in_what_was_masked(text in any_text()) {
        let masked = masked(&text);
        prop_assert_eq!(examine(&everything(OnHit::Mask), &masked), None, "{} in {}", masked, text);
    }

    #[test]
    fn whatever_is_found_the_first_look_lets_through(text in any_text()) {
        let reading = Reading::of(&text);
        let is_found = FINDERS.iter().any(|(kind, _)| !places(*kind, &reading).is_empty());
        prop_assert!(!is_found || may_hold(text.as_bytes()), "{}", text);
    }

    #[test]
    fn places_lie_in_the_text_in_order(text in any_text()) {
        let reading = Reading::of(&text);
        for (kind, _) in FINDERS {
            let mut done = 0;
            for place in places(kind, &reading) {
                prop_assert!(place.start >= done && text.get(place.clone()).is_some());
                done = place.end;
            }
        }
    }
}
