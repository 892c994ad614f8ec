//! Names of people in five languages, each in its own script with the Latin form for a mailbox.
//!
//! The parts are common ones, combined at random: whoever bears such a name is not meant.

use super::random::Random;

/// Which language a customer's name, address and notes are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Locale {
    /// Family name first, no space.
    Chinese,
    /// Given name first; no word spaces within a part, many combining vowels and tones.
    Thai,
    /// Family name first, no space.
    Korean,
    /// Latin script; some people have one name only.
    Indonesian,
    /// Latin script with apostrophes, hyphens and diacritics.
    English,
}

/// A name as written and as the mailbox before the `@` has it.
pub(super) struct PersonName {
    pub(super) written: String,
    pub(super) mailbox: String,
}

/// Draws a name of `locale`.
pub(super) fn draw(locale: Locale, random: &mut Random) -> PersonName {
    match locale {
        Locale::Chinese => family_first(CHINESE_FAMILY, CHINESE_GIVEN, random),
        Locale::Korean => family_first(KOREAN_FAMILY, KOREAN_GIVEN, random),
        Locale::Thai => given_first(THAI_GIVEN, THAI_FAMILY, random),
        Locale::Indonesian if random.chance(8) => one_name(INDONESIAN_GIVEN, random),
        Locale::Indonesian => given_first(INDONESIAN_GIVEN, INDONESIAN_FAMILY, random),
        Locale::English => given_first(ENGLISH_GIVEN, ENGLISH_FAMILY, random),
    }
}

/// A part of a name: as written, and in lower-case Latin letters.
type Part = (&'static str, &'static str);

fn family_first(family: &[Part], given: &[Part], random: &mut Random) -> PersonName {
    let (family, given) = (random.pick(family), random.pick(given));
    PersonName {
        written: format!("{}{}", family.0, given.0),
        mailbox: format!("{}.{}", given.1, family.1),
    }
}

fn given_first(given: &[Part], family: &[Part], random: &mut Random) -> PersonName {
    let (given, family) = (random.pick(given), random.pick(family));
    PersonName {
        written: format!("{} {}", given.0, family.0),
        mailbox: format!("{}.{}", given.1, family.1),
    }
}

fn one_name(given: &[Part], random: &mut Random) -> PersonName {
    let given = random.pick(given);
    PersonName { written: given.0.to_owned(), mailbox: given.1.to_owned() }
}

const CHINESE_FAMILY: &[Part] = &[
    ("王", "wang"),
    ("李", "li"),
    ("张", "zhang"),
    ("刘", "liu"),
    ("陈", "chen"),
    ("杨", "yang"),
    ("赵", "zhao"),
    ("黄", "huang"),
    ("周", "zhou"),
    ("吴", "wu"),
    ("徐", "xu"),
    ("孙", "sun"),
    ("胡", "hu"),
    ("朱", "zhu"),
    ("高", "gao"),
    ("林", "lin"),
    ("何", "he"),
    ("郭", "guo"),
    ("马", "ma"),
    ("罗", "luo"),
    ("欧阳", "ouyang"),
    ("司马", "sima"),
    ("诸葛", "zhuge"),
];

// The last two hold characters outside the basic plane (four bytes in UTF-8), as real registers do.
const CHINESE_GIVEN: &[Part] = &[
    ("小明", "xiaoming"),
    ("伟", "wei"),
    ("芳", "fang"),
    ("娜", "na"),
    ("秀英", "xiuying"),
    ("敏", "min"),
    ("静", "jing"),
    ("丽", "li"),
    ("强", "qiang"),
    ("磊", "lei"),
    ("洋", "yang"),
    ("勇", "yong"),
    ("杰", "jie"),
    ("涛", "tao"),
    ("超", "chao"),
    ("桂英", "guiying"),
    ("建华", "jianhua"),
    ("志强", "zhiqiang"),
    ("浩然", "haoran"),
    ("子涵", "zihan"),
    ("雨桐", "yutong"),
    ("思远", "siyuan"),
    ("欣怡", "xinyi"),
    ("梓萱", "zixuan"),
    ("𬭎", "hong"),
    ("𬱖之", "weizhi"),
];

const THAI_GIVEN: &[Part] = &[
    ("สมชาย", "somchai"),
    ("สมหญิง", "somying"),
    ("วิภา", "wipha"),
    ("สุดารัตน์", "sudarat"),
    ("ณัฐพล", "nattapon"),
    ("กมลวรรณ", "kamonwan"),
    ("ชัยวัฒน์", "chaiwat"),
    ("ปิยะ", "piya"),
    ("อรุณี", "arunee"),
    ("ธนพล", "thanaphon"),
    ("ศิริพร", "siriporn"),
    ("พิมพ์ชนก", "pimchanok"),
    ("กิตติ", "kitti"),
    ("มานี", "manee"),
    ("วีระ", "weera"),
    ("จิราภรณ์", "jiraporn"),
];

const THAI_FAMILY: &[Part] = &[
    ("ศรีสุข", "srisuk"),
    ("ใจดี", "jaidee"),
    ("ทองดี", "thongdee"),
    ("แสงทอง", "saengthong"),
    ("บุญมี", "boonmee"),
    ("รัตนกุล", "rattanakul"),
    ("จันทร์เพ็ญ", "chanpen"),
    ("สุขสวัสดิ์", "suksawat"),
    ("พงษ์ไพบูลย์", "phongphaibun"),
    ("อินทร์แก้ว", "inkaew"),
    ("มณีรัตน์", "maneerat"),
    ("เจริญผล", "charoenphon"),
];

const KOREAN_FAMILY: &[Part] = &[
    ("김", "kim"),
    ("이", "lee"),
    ("박", "park"),
    ("최", "choi"),
    ("정", "jung"),
    ("강", "kang"),
    ("조", "cho"),
    ("윤", "yoon"),
    ("장", "jang"),
    ("임", "lim"),
    ("한", "han"),
    ("오", "oh"),
    ("서", "seo"),
    ("신", "shin"),
    ("권", "kwon"),
    ("황", "hwang"),
    ("남궁", "namgung"),
    ("제갈", "jegal"),
];

const KOREAN_GIVEN: &[Part] = &[
    ("민준", "minjun"),
    ("서연", "seoyeon"),
    ("지후", "jihoo"),
    ("하은", "haeun"),
    ("도윤", "doyoon"),
    ("수아", "sua"),
    ("예준", "yejun"),
    ("지민", "jimin"),
    ("용", "yong"),
    ("민용", "minyong"),
    ("현우", "hyunwoo"),
    ("유진", "yujin"),
    ("은지", "eunji"),
    ("성민", "sungmin"),
    ("영희", "younghee"),
    ("철수", "chulsoo"),
    ("준", "jun"),
];

const INDONESIAN_GIVEN: &[Part] = &[
    ("Budi", "budi"),
    ("Siti", "siti"),
    ("Agus", "agus"),
    ("Dewi", "dewi"),
    ("Eko", "eko"),
    ("Sri", "sri"),
    ("Putri", "putri"),
    ("Rizky", "rizky"),
    ("Wahyu", "wahyu"),
    ("Ayu", "ayu"),
    ("Bambang", "bambang"),
    ("Ratna", "ratna"),
    ("Hendra", "hendra"),
    ("Indah", "indah"),
    ("Yusuf", "yusuf"),
    ("Nur'aini", "nuraini"),
    ("Suharti", "suharti"),
];

const INDONESIAN_FAMILY: &[Part] = &[
    ("Santoso", "santoso"),
    ("Wijaya", "wijaya"),
    ("Pratama", "pratama"),
    ("Lestari", "lestari"),
    ("Hidayat", "hidayat"),
    ("Saputra", "saputra"),
    ("Kusuma", "kusuma"),
    ("Nugroho", "nugroho"),
    ("Rahmawati", "rahmawati"),
    ("Setiawan", "setiawan"),
    ("Gunawan", "gunawan"),
    ("Siregar", "siregar"),
    ("Simanjuntak", "simanjuntak"),
    ("Halim", "halim"),
    ("Utami", "utami"),
];

const ENGLISH_GIVEN: &[Part] = &[
    ("Oliver", "oliver"),
    ("Amelia", "amelia"),
    ("George", "george"),
    ("Isla", "isla"),
    ("Harry", "harry"),
    ("Siân", "sian"),
    ("Zoë", "zoe"),
    ("Noah", "noah"),
    ("Mary-Jane", "mary-jane"),
    ("Arthur", "arthur"),
    ("Grace", "grace"),
    ("William J.", "william"),
    ("Charlotte", "charlotte"),
    ("Mohammed", "mohammed"),
    ("Priya", "priya"),
    ("Bo", "bo"),
];

const ENGLISH_FAMILY: &[Part] = &[
    ("Smith", "smith"),
    ("Jones", "jones"),
    ("O'Brien", "obrien"),
    ("Taylor-Wood", "taylor-wood"),
    ("Brown", "brown"),
    ("Williams", "williams"),
    ("McDonald", "mcdonald"),
    ("Evans", "evans"),
    ("Patel", "patel"),
    ("Nguyen", "nguyen"),
    ("Okafor", "okafor"),
    ("Walker", "walker"),
    ("Brontë", "bronte"),
    ("de la Cruz", "delacruz"),
    ("Li", "li"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn some(locale: Locale) -> Vec<PersonName> {
        (0..300).map(|index| draw(locale, &mut Random::for_item(9, index))).collect()
    }

    fn in_ranges(text: &str, ranges: &[(u32, u32)]) -> bool {
        text.chars()
            .all(|c| ranges.iter().any(|(low, high)| (*low..=*high).contains(&u32::from(c))))
    }

    #[test]
    fn chinese_thai_and_korean_names_are_in_their_own_script() {
        let han = &[(0x4e00, 0x9fff), (0x2_0000, 0x3_134f)];
        let thai = &[(0x0e01, 0x0e5b), (0x20, 0x20)];
        let hangul = &[(0xac00, 0xd7a3)];
        assert!(some(Locale::Chinese).iter().all(|n| in_ranges(&n.written, han)));
        assert!(some(Locale::Thai).iter().all(|n| in_ranges(&n.written, thai)));
        assert!(some(Locale::Korean).iter().all(|n| in_ranges(&n.written, hangul)));
    }

    #[test]
    fn some_chinese_names_need_four_bytes_a_character() {
        assert!(some(Locale::Chinese).iter().any(|n| n.written.chars().any(|c| c.len_utf8() == 4)));
    }

    #[test]
    fn some_indonesians_have_one_name_and_most_have_two() {
        let single = some(Locale::Indonesian).iter().filter(|n| !n.written.contains(' ')).count();
        assert!((5..100).contains(&single), "{single}");
    }

    #[test]
    fn every_mailbox_is_plain_ascii() {
        for locale in
            [Locale::Chinese, Locale::Thai, Locale::Korean, Locale::Indonesian, Locale::English]
        {
            for name in some(locale) {
                let plain = |c: char| c.is_ascii_lowercase() || c == '.' || c == '-';
                assert!(name.mailbox.chars().all(plain), "{}", name.mailbox);
            }
        }
    }
}
