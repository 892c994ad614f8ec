//! The formats, and what no format may do.

use proptest::prelude::*;

use super::*;

const FORMATS: &[(Kind, &str, &str)] = &[
    (Kind::PersonName, "张三", "张*"),
    (Kind::PersonName, "张三丰", "张**"),
    (Kind::PersonName, "欧阳明月", "欧阳**"),
    (Kind::PersonName, "欧阳", "欧*"),
    (Kind::PersonName, "赵", "*"),
    (Kind::PersonName, "김민용", "김*용"),
    (Kind::PersonName, "김용", "김*"),
    (Kind::PersonName, "남궁민수", "남**수"),
    (Kind::PersonName, "Budi Santoso", "B*** S***"),
    (Kind::PersonName, "Élodie O'Neil-Smith", "É*** O***"),
    (Kind::PersonName, "J Li", "* L***"),
    (Kind::PersonName, "สมชาย ใจดี", "ส*** จ***"),
    (Kind::PersonName, "张San", "***"),
    (Kind::PersonName, "Robot 7", "***"),
    (Kind::CnResidentId, "110101199003071234", "1****************4"),
    (Kind::CnResidentId, "11010119900307123x", "1****************x"),
    (Kind::CnResidentId, "１１０１０１１９９００３０７１２３４", "1****************4"),
    (Kind::CnResidentId, "11010119900307", "***"),
    (Kind::KrResidentNumber, "900101-1234567", "******-*******"),
    (Kind::ThNationalId, "1101700203453", "*-****-*****-**-3"),
    (Kind::ThNationalId, "1-1017-00203-45-3", "*-****-*****-**-3"),
    (Kind::IdNik, "3171234567890001", "3171**********01"),
    (Kind::NationalId, "110101199003071234", "1****************4"),
    (Kind::NationalId, "900101-1234567", "******-*******"),
    (Kind::NationalId, "1-1017-00203-45-3", "*-****-*****-**-3"),
    (Kind::NationalId, "3171234567890001", "3171**********01"),
    (Kind::NationalId, "1101700203453", "***"),
    (Kind::Phone, "13812345678", "138****5678"),
    (Kind::Phone, "+86 138-1234-5678", "+86 138****5678"),
    (Kind::Phone, "008613812345678", "+86 138****5678"),
    (Kind::Phone, "０８１２３４１２３４", "08*-***-1234"),
    (Kind::Phone, "+66 81 234 1234", "+66 8*-***-1234"),
    (Kind::Phone, "010-1234-5678", "010-****-5678"),
    (Kind::Phone, "011-123-4567", "011-***-4567"),
    (Kind::Phone, "+82 10 1234 5678", "+82 10-****-5678"),
    (Kind::Phone, "081234567789", "0812*****789"),
    (Kind::Phone, "+62 812-3456-7789", "+62 812*****789"),
    (Kind::Phone, "91234567", "******67"),
    (Kind::Phone, "+44 20 7946 0958", "********0958"),
    (Kind::Phone, "12345", "***"),
    (Kind::Phone, "call me", "***"),
    (Kind::Email, "lisi@example.com", "li***@example.com"),
    (Kind::Email, "a@example.com", "*@example.com"),
    (Kind::Email, "ab@example.com", "a***@example.com"),
    (Kind::Email, "a@b", "***"),
    (Kind::Email, "not an address", "***"),
    (Kind::BankCard, "4111 1111 1111 1111", "************1111"),
    (Kind::BankCard, "41111111111", "***"),
    (Kind::BankAccount, "110-234-560012", "********0012"),
    (Kind::BankAccount, "1234567", "***"),
    (Kind::BirthDate, "1990-05-17", "1990-**-**"),
    (Kind::BirthDate, "1990-05-17T00:00:00Z", "1990-**-**"),
    (Kind::BirthDate, "19900517", "1990-**-**"),
    (Kind::BirthDate, "17/05/1990", "1990-**-**"),
    (Kind::BirthDate, "1990年5月17日", "1990-**-**"),
    (Kind::BirthDate, "1990년 5월 17일", "1990-**-**"),
    (Kind::BirthDate, "90-05-17", "***"),
    (Kind::BirthDate, "1990-05-17 born in Hanoi", "***"),
    (Kind::Address, "北京市朝阳区建国路1号", "北京市***"),
    (Kind::Address, "广东省深圳市南山区科技园", "广东省深圳市***"),
    (Kind::Address, "朝阳区城市花园3号", "***"),
    (Kind::Address, "市场路1号", "***"),
    (Kind::Address, "서울특별시 서초구 서초동 1", "서울특별시 ***"),
    (Kind::Address, "경기도 성남시 분당구 1", "경기도 성남시 ***"),
    (Kind::Address, "Jl. Sudirman 1, Jakarta", "***"),
    (Kind::Postcode, "100020", "100***"),
    (Kind::Postcode, "06236", "062**"),
    (Kind::Postcode, "123", "***"),
    (Kind::UserName, "abigail", "ab***"),
    (Kind::UserName, "abc", "a***"),
    (Kind::UserName, "ab", "***"),
    (Kind::IpAddress, "203.0.113.7", "203.0.***.7"),
    (Kind::IpAddress, "2001:db8::7", "2001:db8:0:0:0:0:0:****"),
    (Kind::IpAddress, "::ffff:203.0.113.7", "***"),
    (Kind::IpAddress, "203.0.113", "***"),
    (Kind::Opaque, "anything", "***"),
    (Kind::Email, "", "***"),
];

#[test]
fn each_kind_has_its_format() {
    for (kind, text, masked) in FORMATS {
        assert_eq!(mask(*kind, text), *masked, "{kind:?} {text}");
    }
}

/// The most letters and digits of a value that a kind shows, beyond what is public of it.
fn most_shown(kind: Kind) -> usize {
    match kind {
        Kind::PersonName => 6,
        Kind::Phone => 9,
        Kind::IdNik | Kind::NationalId => 6,
        // Two characters of at most three letters, as combining marks count.
        Kind::UserName => 6,
        Kind::CnResidentId => 2,
        Kind::ThNationalId => 1,
        Kind::KrResidentNumber | Kind::Opaque => 0,
        Kind::BankCard | Kind::BankAccount | Kind::BirthDate => 4,
        Kind::Postcode => 3,
        // The domain, the city and the network are public; what is private is tested by the table.
        Kind::Email | Kind::Address | Kind::IpAddress => usize::MAX,
    }
}

fn any_kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(Kind::NAMES.iter().map(|(_, kind)| *kind).collect::<Vec<_>>())
}

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[+]?[0-9 -]{1,22}",
        "[0-9]{6,19}",
        "[0-9]{17}[0-9Xx]",
        "[a-z.]{1,12}@[a-z]{1,8}\\.[a-z]{2,3}",
        "[A-Z][a-z]{0,9}( [A-Z][a-z]{0,9}){0,4}",
        "[张王李欧阳明月三丰]{1,6}",
        "[김민용박수진]{1,6}",
        "[สมชายใจดีเกศา ]{1,14}",
        "[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}",
        "[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}",
        "[北京上海广东省市区路号0-9]{1,16}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_mask_shows_more_than_its_kind_allows(kind in any_kind(), text in any_value()) {
        let masked = mask(kind, &text);
        let shown = masked.chars().filter(|char| char.is_alphanumeric()).count();
        prop_assert!(shown <= most_shown(kind), "{:?}: {:?} gives {:?}", kind, text, masked);
        prop_assert!(masked.contains('*'));
        prop_assert_ne!(&masked, &text);
        prop_assert!(is_masked_form(&masked));
    }

    #[test]
    fn a_masked_form_masked_again_shows_nothing(kind in any_kind(), text in any_value()) {
        prop_assert_eq!(mask(kind, &mask(kind, &text)), WHOLLY_MASKED);
    }
}
