//! The vectors, the guide that shows them, and what no form may do.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

/// A line of `tests/vectors/masks.tsv`. The locale says whose custom it shows; no mask is told it.
struct Vector {
    mask: Mask,
    locale: String,
    /// As the file has it: `\u{200b}` stands for what is not seen.
    written: String,
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
        let [kind, style, locale, written, output, note] = cells[..] else {
            panic!("six cells: {line}")
        };
        let kind = Kind::named(kind).unwrap_or_else(|| panic!("a kind: {line}"));
        let mask = Mask::styled(kind, style).unwrap_or_else(|| panic!("a style: {line}"));
        let [locale, written, output, note] = [locale, written, output, note].map(str::to_owned);
        Vector { mask, locale, input: unescaped(&written), written, output, note }
    };
    file("tests/vectors/masks.tsv").lines().skip(1).map(read).collect()
}

fn unescaped(written: &str) -> String {
    let mut parts = written.split("\\u{");
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        let (code, rest) = part.split_once('}').unwrap();
        text.push(char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap());
        text.push_str(rest);
    }
    text
}

#[test]
fn every_vector_comes_out_as_written() {
    let differs = |Vector { mask: form, input, output, .. }: Vector| {
        let masked = mask(form, &input);
        (masked != output).then(|| format!("{form:?} {input}: {masked}, not {output}"))
    };
    let differences: Vec<String> = vectors().into_iter().filter_map(differs).collect();
    assert!(differences.is_empty(), "{differences:#?}");
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
    let mut table =
        String::from("| kind | style | locale | value | masked | |\n|---|---|---|---|---|---|\n");
    for Vector { mask, locale, written, output, note, .. } in vectors {
        let (kind, style) = (mask.kind().name(), mask.style().name());
        let row =
            format!("| `{kind}` | `{style}` | {locale} | `{written}` | `{output}` | {note} |");
        writeln!(table, "{row}").unwrap();
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

/// What is not seen, melts into what stands before it, or looks like something else.
const ODD: &[&str] = &[
    "\u{0}",
    "\u{7}",
    "\u{ad}",
    "\u{300}",
    "\u{301}",
    "\u{34f}",
    "\u{e33}",
    "\u{e38}",
    "\u{e48}",
    "\u{11a8}",
    "\u{1160}",
    "\u{200b}",
    "\u{200c}",
    "\u{200d}",
    "\u{200e}",
    "\u{200f}",
    "\u{202e}",
    "\u{2060}",
    "\u{2066}",
    "\u{2800}",
    "\u{3164}",
    "\u{fe0f}",
    "\u{feff}",
    "\u{20e3}",
    "\u{e0101}",
    "\u{1f1e8}\u{1f1f3}",
    "\u{1f3fd}",
    "👩\u{200d}💻",
    "١",
    "๗",
    "７",
    "②",
    "𝟗",
    "ﷺ",
    "㌀",
    "ﬃ",
    "㈱",
    "\u{2028}",
    "\u{85}",
    "\t",
    "–",
    "−",
    "＊",
];

/// A text with odd characters strewn in.
fn oddly(text: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let odd =
        prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(ODD)), 1..5);
    (text, odd).prop_map(|(text, odd)| {
        let mut chars: Vec<String> = text.chars().map(String::from).collect();
        for (at, odd) in odd {
            chars.insert(at.index(chars.len() + 1), odd.to_owned());
        }
        chars.concat()
    })
}

/// Texts of any kind, a third of them with odd characters.
fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![2 => even_value(), 1 => oddly(even_value())]
}

/// Texts of any kind; the vectors are among them.
fn even_value() -> impl Strategy<Value = String> {
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
        prop_assert!(masked.contains('*') || has_no_stars(form));
    }

    #[test]
    fn no_masked_form_is_longer_than_the_cap(form in any_mask(), text in any_value()) {
        let masked = mask(form, &text);
        let most = LONGEST_FORM.min(text.len() + MOST_ADDED);
        prop_assert!(masked == WHOLLY_MASKED || masked.len() <= most);
    }

    #[test]
    fn something_is_always_hidden(form in any_mask(), text in any_value()) {
        // Of an address of the internet, what its colons stand for is written out.
        prop_assume!(!has_no_stars(form) && form.kind() != Kind::IpAddress);
        let masked = mask(form, &text);
        let seen = |text: &str| text.graphemes(true).filter(|c| !c.trim().is_empty()).count();
        let clear = seen(&masked.replace('*', ""));
        prop_assert!(clear == 0 || clear < seen(&visible(&text)), "{:?} gives {:?}", text, masked);
    }

    #[test]
    fn of_an_email_address_at_most_three_characters_are_shown(
        style in prop::sample::select(vec![("domain", 0), ("first2", 2), ("first3", 3)]),
        text in prop_oneof![any_value(), oddly("[a-zé用ส]{1,5}".prop_map(|local| local + "@a.b"))],
    ) {
        let masked = mask(Mask::styled(Kind::Email, style.0).unwrap(), &text);
        let (local, _) = masked.split_once('@').unwrap_or((&masked, ""));
        prop_assert!(local.replace('*', "").graphemes(true).count() <= style.1, "{}", masked);
    }

    #[test]
    fn what_is_not_seen_changes_nothing(
        form in any_mask(),
        text in even_value(),
        unseen in prop::sample::select(vec!['\u{ad}', '\u{200b}', '\u{202e}', '\u{2069}', '\u{feff}']),
        at in any::<prop::sample::Index>(),
    ) {
        let mut chars: Vec<char> = text.chars().collect();
        chars.insert(at.index(chars.len() + 1), unseen);
        let strewn: String = chars.into_iter().collect();
        let masked = mask(form, &strewn);
        prop_assert!(masked == mask(form, &visible(&text)) || masked == WHOLLY_MASKED);
    }

    #[test]
    fn characters_that_no_kind_has_hide_all(
        form in any_mask(),
        text in "[a-z]{1,9}",
        odd in prop::sample::select(vec!['\u{0}', '\u{1b}', '\u{200d}', '\u{fe0f}', '\u{3164}', '\u{e0041}']),
    ) {
        prop_assert_eq!(mask(form, &format!("{text}{odd}{text}")), WHOLLY_MASKED);
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
        let retyped = format!(" {}\u{200b} ", full_width(&masked));
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

#[test]
fn compound_surnames_are_in_order() {
    assert!(name::COMPOUND_SURNAMES.is_sorted());
}

#[test]
fn a_pseudonym_is_known_however_it_is_dressed() {
    for text in ["p~x", " p~x", "ｐ～x", "p\u{200b}~x", "\u{202e}p~x", "p\u{200d}~x"] {
        assert!(is_masked_form(Mask::of(Kind::Opaque), text), "{text:?}");
    }
}
