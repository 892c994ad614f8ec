//! The vectors, the guide that shows them, and what no form may do.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

/// A line of `tests/vectors/masks.tsv`.
struct Vector {
    mask: Mask,
    input: String,
    output: String,
    note: String,
}

fn file(path: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(path).unwrap()
}

fn vectors() -> Vec<Vector> {
    let read = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let [kind, style, input, output, note] = cells[..] else { panic!("five cells: {line}") };
        let kind = Kind::named(kind).unwrap_or_else(|| panic!("a kind: {line}"));
        let mask = Mask::styled(kind, style).unwrap_or_else(|| panic!("a style: {line}"));
        let [input, output, note] = [input, output, note].map(str::to_owned);
        Vector { mask, input, output, note }
    };
    file("tests/vectors/masks.tsv").lines().skip(1).map(read).collect()
}

#[test]
fn every_vector_comes_out_as_written() {
    for Vector { mask: form, input, output, .. } in vectors() {
        assert_eq!(mask(form, &input), output, "{form:?} {input}");
    }
}

#[test]
fn common_values_go_the_short_way() {
    let values = [
        (Kind::Phone, "13812345678"),
        (Kind::Email, "li.si+bank@example.com"),
        (Kind::CnResidentId, "11010119900307123X"),
    ];
    for (kind, text) in values {
        let mut out = String::new();
        assert!(common::form(Mask::of(kind), text, &mut out).is_some(), "{text}");
    }
}

#[test]
fn every_style_of_every_kind_has_a_vector() {
    let shown: BTreeSet<String> =
        vectors().iter().map(|vector| format!("{:?}", vector.mask)).collect();
    let missing: Vec<Mask> =
        Mask::every().filter(|mask| !shown.contains(&format!("{mask:?}"))).collect();
    assert!(missing.is_empty(), "no vector for {missing:?}");
}

/// The vectors as the guide shows them.
fn table(vectors: &[Vector]) -> String {
    let mut table = String::from("| kind | style | value | masked | |\n|---|---|---|---|---|\n");
    for Vector { mask, input, output, note } in vectors {
        let (kind, style) = (mask.kind().name(), mask.style().name());
        writeln!(table, "| `{kind}` | `{style}` | `{input}` | `{output}` | {note} |").unwrap();
    }
    table
}

#[test]
fn the_guide_shows_the_vectors() {
    let guide = file("docs/guide/masks.md");
    let (_, shown) = guide.split_once("<!-- vectors -->\n").unwrap();
    let table = table(&vectors());
    assert!(shown == table, "docs/guide/masks.md must end with:\n{table}");
}

#[test]
fn the_guide_names_every_kind_with_its_styles() {
    let guide = file("docs/guide/masks.md");
    for (name, kind) in Kind::NAMES {
        let styles: Vec<String> =
            kind.styles().iter().map(|style| format!("`{}`", style.name())).collect();
        let row = format!("| `{name}` | {} |", styles.join(" "));
        assert!(guide.contains(&row), "docs/guide/masks.md lacks a row that begins\n{row}");
    }
}

/// The most letters and digits of a value that its masked form shows, beyond what is public of it.
fn most_shown(mask: Mask) -> usize {
    match (mask.kind(), mask.style()) {
        (_, Style::All) => 0,
        (Kind::PersonName, Style::First4) => 12,
        (Kind::PersonName, _) => 6,
        // Seven digits and a calling code of two.
        (Kind::Phone, Style::Ends) => 9,
        (Kind::CnResidentId, Style::Ends) => 2,
        (Kind::CnResidentId, _) => 7,
        (Kind::IdNik | Kind::NationalId, Style::Ends) => 6,
        (Kind::Passport | Kind::ResidencePermit | Kind::DriverLicence, Style::Ends) => 3,
        (Kind::Plate, _) => 3,
        // Half of a MAC address.
        (Kind::DeviceId, _) => 6,
        // Two characters of at most three letters, as combining marks count.
        (Kind::UserName, _) => 6,
        (_, Style::Last1) => 1,
        (_, Style::Last2) => 2,
        (_, Style::Last3 | Style::First3) if mask.kind() != Kind::Email => 3,
        (_, Style::Last4 | Style::Year) => 4,
        (_, Style::First6) => 6,
        (_, Style::First7) => 7,
        (_, Style::BinLast4) => 10,
        (Kind::BirthDate, Style::Band) => 8,
        // The domain, the city and the network are public; bands are no part of a value; what is
        // private is tested by the table and below.
        (Kind::Email | Kind::Address | Kind::IpAddress | Kind::Amount | Kind::Location, _) => {
            usize::MAX
        }
        other => panic!("nothing is promised for {other:?}"),
    }
}

fn any_mask() -> impl Strategy<Value = Mask> {
    prop::sample::select(Mask::every().collect::<Vec<_>>())
}

/// Texts of any kind; the vectors are among them.
fn any_value() -> impl Strategy<Value = String> {
    let inputs: Vec<String> = vectors().into_iter().map(|vector| vector.input).collect();
    prop_oneof![
        any::<String>(),
        prop::sample::select(inputs),
        "[+]?[0-9 -]{1,22}",
        "[0-9]{6,19}",
        "[0-9]{17}[0-9Xx]",
        "[A-Z]{0,2}[0-9]{5,12}",
        "[0-9A-F]{2}(:[0-9A-F]{2}){5}",
        "[京沪A-Z][A-Z][0-9A-Z]{4,7}",
        "-?[0-9]{1,3}\\.[0-9]{0,8}(, ?-?[0-9]{1,3}\\.[0-9]{1,8})?",
        "-?[0-9]{1,3}(,[0-9]{3}){0,4}(\\.[0-9]{1,4})?(e[0-9]{1,3})?",
        "[a-z.]{1,12}@[a-z]{1,8}\\.[a-z]{2,3}",
        "[A-Z][a-z]{0,9}( [A-Z][a-z]{0,9}){0,4}",
        "[张王李欧阳明月三丰]{1,6}",
        "[김민용박수진]{1,6}",
        "[สมชายใจดีเกศา ]{1,14}",
        "[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}",
        "[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}",
        "[北京上海广东省市区县路号0-9]{1,16}",
        "[서울경기]{2}[시도]( [가-힣]{1,3}[시구군동로길0-9]){0,4}( [0-9-]{1,6})?",
        "[0-9]{1,3}( (เขต|อ\\.|จ\\.|กทม)[ก-ฮ0-9]{0,6}){1,3}",
        "Jl\\. [A-Z][a-z]{1,6} [0-9]{1,3}(, (Kec\\.|Kota|Kab\\.) [A-Z][a-z0-9]{1,8}){0,3}",
    ]
}

/// Values of the common forms, and what is nearly one.
fn nearly_common() -> impl Strategy<Value = String> {
    prop_oneof![
        "1[0-9]{9,11}",
        "[0-9]{16,18}[0-9Xxé]?",
        "[a-z0-9.!*@ é-]{0,5}@[a-zA-Z0-9.@é-]{0,9}",
        "[a-z]{60,66}@[a-z]{1,3}\\.[a-z]{240,255}",
        any_value(),
    ]
}

/// The same text in full-width forms.
fn full_width(text: &str) -> String {
    let wide = |char: char| match char {
        '!'..='~' => char::from_u32(u32::from(char) + 0xfee0).unwrap(),
        ' ' => '\u{3000}',
        other => other,
    };
    text.chars().map(wide).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn no_mask_shows_more_than_its_style_allows(form in any_mask(), text in any_value()) {
        let masked = mask(form, &text);
        let shown = masked.chars().filter(|char| char.is_alphanumeric()).count();
        prop_assert!(shown <= most_shown(form), "{:?}: {:?} gives {:?}", form, text, masked);
        prop_assert!(masked.len() <= LONGEST_FORM);
        prop_assert!(masked.contains('*') || has_no_stars(form));
    }

    #[test]
    fn the_short_way_gives_what_the_long_way_gives(
        form in prop::sample::select(vec!["phone", "email", "cn-resident-id"]),
        text in nearly_common(),
    ) {
        let form = Mask::of(Kind::named(form).unwrap());
        let (mut short, mut long) = (String::from("before "), String::from("before "));
        if common::form(form, &text, &mut short).is_some() {
            any_form(form, &text, &mut long);
            prop_assert_eq!(short, long);
        } else {
            prop_assert_eq!(short, "before ");
        }
    }

    #[test]
    fn a_masked_form_is_known_as_one(form in any_mask(), text in any_value()) {
        let masked = mask(form, &text);
        prop_assert!(is_masked_form(form, &masked), "{:?} {}", form, masked);
        let retyped = format!(" {} ", full_width(&masked));
        prop_assert!(is_masked_form(form, &retyped), "{:?} {}", form, retyped);
    }

    #[test]
    fn a_masked_form_masked_again_is_the_same_or_shows_nothing(form in any_mask(), text in any_value()) {
        let masked = mask(form, &text);
        let wanted = if masked.contains('*') { WHOLLY_MASKED } else { &masked };
        prop_assert_eq!(mask(form, &masked), wanted);
    }

    #[test]
    fn full_width_forms_are_masked_like_plain_ones(form in any_mask(), text in "[ -~]{0,24}") {
        prop_assert_eq!(mask(form, &full_width(&text)), mask(form, &text));
    }

    #[test]
    fn a_chinese_mobile_shows_seven_digits(
        front in "1[3-9][0-9]",
        middle in "[0-9]{4}",
        back in "[0-9]{4}",
    ) {
        let masked = mask(Mask::of(Kind::Phone), &format!("{front}{middle}{back}"));
        prop_assert_eq!(masked, format!("{front}****{back}"));
    }

    #[test]
    fn no_digit_of_a_date_of_birth_is_shown(
        region in "[1-9][0-9]{5}",
        birth in "[0-9]{8}",
        end in "[0-9]{3}[0-9X]",
        form in prop::sample::select(vec!["ends", "verify", "all"]),
    ) {
        let form = Mask::styled(Kind::CnResidentId, form).unwrap();
        let masked = mask(form, &format!("{region}{birth}{end}"));
        prop_assert!(masked == WHOLLY_MASKED || masked.get(6..14) == Some("********"));
    }

    #[test]
    fn no_digit_of_an_address_is_shown(text in any_value(), style in prop::sample::select(vec!["city", "district"])) {
        let masked = mask(Mask::styled(Kind::Address, style).unwrap(), &text);
        prop_assert!(!masked.contains(char::is_numeric), "{:?} gives {:?}", text, masked);
    }

    #[test]
    fn an_amount_lies_in_its_band(amount in 0_u64..2_000_000_000_000, cents in 0..100_u8) {
        let masked = mask(Mask::of(Kind::Amount), &format!("{amount}.{cents:02}"));
        let value = |bound: &str| {
            let (digits, factor) = match bound.split_at(bound.len() - 1) {
                (digits, "k") => (digits, 1_000),
                (digits, "M") => (digits, 1_000_000),
                (digits, "B") => (digits, 1_000_000_000),
                (digits, "T") => (digits, 1_000_000_000_000),
                _ => (bound, 1),
            };
            digits.parse::<u64>().unwrap() * factor
        };
        match masked.split_once('-') {
            Some((low, high)) => prop_assert!((value(low)..value(high)).contains(&amount)),
            None => prop_assert!(masked == "1T+" && amount >= 1_000_000_000_000),
        }
    }

    #[test]
    fn places_that_are_near_look_the_same(whole in 0..90_u8, shown in 0..100_u8, hidden in "[0-9]{1,8}") {
        let masked = mask(Mask::of(Kind::Location), &format!("{whole}.{shown:02}{hidden}"));
        prop_assert_eq!(masked, format!("{whole}.{shown:02}"));
    }
}

#[test]
fn what_masks_show_of_one_number_under_two_kinds_is_no_more_than_under_one() {
    let visible = |kind: Kind, text: &str| {
        let masked = mask(Mask::of(kind), text);
        masked.chars().map(|char| char != '*').collect::<Vec<bool>>()
    };
    let numbers = [
        (Kind::CnResidentId, "110101199003071234"),
        (Kind::KrResidentNumber, "900101-1234567"),
        (Kind::ThNationalId, "1-1017-00203-45-3"),
        (Kind::IdNik, "3171234567890001"),
    ];
    for (kind, text) in numbers {
        assert_eq!(visible(Kind::NationalId, text), visible(kind, text), "{kind:?}");
    }
}
