//! Numbers that identify people: national ids, telephones, accounts and cards, valid by their own
//! checksums, so that what recognises them in free text can be tried on them.

use jiff::civil::Date;

use super::random::Random;

/// What a national id encodes of its holder.
pub(super) struct Holder {
    pub(super) born: Date,
    pub(super) female: bool,
}

/// A Chinese resident identity number: area, birth date, sequence, ISO 7064 MOD 11-2 (GB 11643).
pub(super) fn chinese_resident_id(area: &str, holder: &Holder, random: &mut Random) -> String {
    let sequence = odd_or_even(random.below(499), !holder.female);
    let body = format!("{area}{}{sequence:03}", holder.born.strftime("%Y%m%d"));
    let sum = weighted(&body, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    let check = "10X98765432".chars().nth(usize::try_from(sum % 11).unwrap_or(0)).unwrap_or('0');
    format!("{body}{check}")
}

/// A Thai national identity number: 13 digits, the last a check digit modulo 11.
pub(super) fn thai_national_id(random: &mut Random) -> String {
    let body = format!("{}{}", random.between(1, 8), random.digits(11));
    let sum = weighted(&body, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    format!("{body}{}", (11 - sum % 11) % 10)
}

/// A Korean resident registration number: birth date, century and sex, place, check digit.
pub(super) fn korean_resident_number(holder: &Holder, random: &mut Random) -> String {
    let century = if holder.born.year() < 2000 { 1 } else { 3 };
    let sex = century + u32::from(holder.female);
    let front = holder.born.strftime("%y%m%d").to_string();
    let back = format!("{sex}{}", random.digits(5));
    let sum = weighted(&format!("{front}{back}"), &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]);
    format!("{front}-{back}{}", (11 - sum % 11) % 10)
}

/// An Indonesian NIK: area, birth date with 40 added to a woman's day, sequence.
pub(super) fn indonesian_nik(area: &str, holder: &Holder, random: &mut Random) -> String {
    let day = holder.born.day() + if holder.female { 40 } else { 0 };
    let month_and_year = holder.born.strftime("%m%y");
    format!("{area}{day:02}{month_and_year}{:04}", random.between(1, 40))
}

/// A passport number: one letter and eight digits.
pub(super) fn passport(random: &mut Random) -> String {
    format!("{}{}", random.pick(&["A", "C", "K", "X"]), random.digits(8))
}

/// A card number on one of the card schemes' published test prefixes, valid by Luhn.
pub(super) fn card(random: &mut Random) -> String {
    let prefix = random.pick(&["411111", "555555", "222300", "625094", "353011"]);
    let body = format!("{prefix}{}", random.digits(9));
    format!("{body}{}", luhn_digit(&body))
}

/// A Chinese mobile number: 11 digits.
pub(super) fn chinese_phone(random: &mut Random) -> String {
    let prefix = random.pick(&["134", "136", "138", "139", "150", "158", "177", "186", "199"]);
    format!("{prefix}{}", random.digits(8))
}

/// A Thai mobile number: `0XX-XXX-XXXX`.
pub(super) fn thai_phone(random: &mut Random) -> String {
    let prefix = random.pick(&["06", "08", "09"]);
    format!("{prefix}{}-{}-{}", random.between(1, 9), random.digits(3), random.digits(4))
}

/// A Korean mobile number: `010-XXXX-XXXX`.
pub(super) fn korean_phone(random: &mut Random) -> String {
    format!("010-{}{}-{}", random.between(2, 9), random.digits(3), random.digits(4))
}

/// An Indonesian mobile number: 12 digits from `08`.
pub(super) fn indonesian_phone(random: &mut Random) -> String {
    format!("08{}{}", random.pick(&["12", "13", "21", "57", "78", "95"]), random.digits(8))
}

/// A British or American number from the ranges kept for fiction.
pub(super) fn english_phone(random: &mut Random) -> String {
    if random.chance(70) {
        return format!("+44 7700 900{}", random.digits(3));
    }
    let area = random.pick(&["212", "312", "415", "617", "646", "713", "808", "917"]);
    format!("+1 {area} 555 01{}", random.digits(2))
}

/// Makes `number` odd or even without leaving three digits.
fn odd_or_even(number: u32, odd: bool) -> u32 {
    number * 2 + u32::from(odd)
}

/// The sum of each digit of `digits` times its weight.
fn weighted(digits: &str, weights: &[u32]) -> u32 {
    digits.chars().filter_map(|c| c.to_digit(10)).zip(weights).map(|(d, w)| d * w).sum()
}

/// The digit that makes `body` valid by Luhn (ISO/IEC 7812-1).
fn luhn_digit(body: &str) -> u32 {
    let doubled = |(at, digit): (usize, u32)| match (at.is_multiple_of(2), digit * 2) {
        (true, twice) if twice > 9 => twice - 9,
        (true, twice) => twice,
        (false, _) => digit,
    };
    let sum: u32 = body.chars().rev().filter_map(|c| c.to_digit(10)).enumerate().map(doubled).sum();
    (10 - sum % 10) % 10
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use jiff::civil::date;

    /// GB 11643 as the standard states it: the weights times the digits, X as ten, leave one.
    pub(crate) fn is_chinese_resident_id(id: &str) -> bool {
        let value = |c: char| if c == 'X' { Some(10) } else { c.to_digit(10) };
        let digits: Vec<u32> = id.chars().filter_map(value).collect();
        let weight = |at: usize| (0..17 - at).fold(1, |w, _| w * 2 % 11);
        let sum: u32 = digits.iter().enumerate().map(|(at, d)| d * weight(at)).sum();
        digits.len() == 18 && id.len() == 18 && sum % 11 == 1
    }

    pub(crate) fn is_thai_national_id(id: &str) -> bool {
        let digits: Vec<u32> = id.chars().filter_map(|c| c.to_digit(10)).collect();
        let sum: u32 = digits.iter().take(12).zip((2..=13).rev()).map(|(d, w)| d * w).sum();
        digits.len() == 13 && id.len() == 13 && (11 - sum % 11) % 10 == digits[12]
    }

    pub(crate) fn is_korean_resident_number(number: &str) -> bool {
        let digits: Vec<u32> = number.chars().filter_map(|c| c.to_digit(10)).collect();
        let weights = (2..=9).chain(2..=5);
        let sum: u32 = digits.iter().take(12).zip(weights).map(|(d, w)| d * w).sum();
        digits.len() == 13 && number.len() == 14 && (11 - sum % 11) % 10 == digits[12]
    }

    pub(crate) fn is_luhn_valid(pan: &str) -> bool {
        let digits = pan.chars().rev().filter_map(|c| c.to_digit(10));
        let sum: u32 = digits
            .enumerate()
            .map(|(at, d)| if at % 2 == 1 { d * 2 % 10 + d / 5 } else { d })
            .sum();
        pan.len() == 16 && sum.is_multiple_of(10)
    }

    #[test]
    fn the_checks_accept_published_examples_and_refuse_a_changed_digit() {
        assert!(is_chinese_resident_id("11010519491231002X"));
        assert!(!is_chinese_resident_id("11010519491231003X"));
        assert!(is_thai_national_id("1234545678781"));
        assert!(!is_thai_national_id("1234545678789"));
        assert!(is_korean_resident_number("971013-9019902"));
        assert!(!is_korean_resident_number("971013-9019903"));
        assert!(is_luhn_valid("4111111111111111"));
        assert!(!is_luhn_valid("4111111111111112"));
    }

    #[test]
    fn generated_numbers_pass_their_own_check() {
        for index in 0..500 {
            let mut random = Random::for_item(5, index);
            let holder = Holder { born: date(1988, 2, 29), female: index.is_multiple_of(2) };
            let chinese = chinese_resident_id("310104", &holder, &mut random);
            assert!(is_chinese_resident_id(&chinese), "{chinese}");
            let thai = thai_national_id(&mut random);
            assert!(is_thai_national_id(&thai), "{thai}");
            let korean = korean_resident_number(&holder, &mut random);
            assert!(is_korean_resident_number(&korean), "{korean}");
            let pan = card(&mut random);
            assert!(is_luhn_valid(&pan), "{pan}");
        }
    }

    #[test]
    fn the_korean_number_tells_birth_date_century_and_sex() {
        let holder = Holder { born: date(2001, 7, 9), female: true };
        let number = korean_resident_number(&holder, &mut Random::for_item(5, 1));
        assert!(number.starts_with("010709-4"), "{number}");
        assert_eq!(number.len(), 14);
    }

    #[test]
    fn a_womans_nik_has_forty_added_to_the_day() {
        let holder = Holder { born: date(1990, 1, 5), female: true };
        let nik = indonesian_nik("317406", &holder, &mut Random::for_item(5, 1));
        assert!(nik.starts_with("317406450190"), "{nik}");
        assert_eq!(nik.len(), 16);
    }
}
