//! The bank's six branches: where each stands, what it speaks, pays and calls a street.

use super::names::Locale;

/// One branch and what its customers have in common.
pub(super) struct Branch {
    /// The code that records carry, such as `sh01`.
    pub(super) code: &'static str,
    pub(super) locale: Locale,
    pub(super) currency: Currency,
    pub(super) places: &'static [Place],
    pub(super) notes: &'static [&'static str],
    pub(super) goods: &'static [Good],
}

/// A currency and whether it has minor units in use.
#[derive(Clone, Copy)]
pub(super) struct Currency {
    pub(super) code: &'static str,
    pub(super) has_cents: bool,
}

impl Currency {
    /// The amount that `minor` of the smallest units in use make.
    pub(super) fn amount(self, minor: u32) -> f64 {
        let divisor = if self.has_cents { 100.0 } else { 1.0 };
        f64::from(minor) / divisor
    }
}

/// A city, the registration code that national ids begin with there, and some of its streets.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) city: &'static str,
    /// Empty where national ids name no place.
    pub(super) area: &'static str,
    pub(super) streets: &'static [&'static str],
}

/// Something a customer orders; the price is in the smallest units in use.
#[derive(Clone, Copy, Default)]
pub(super) struct Good {
    pub(super) sku: &'static str,
    pub(super) title: &'static str,
    pub(super) price: u32,
}

/// The branches; customers are spread over them in turn.
pub(super) const BRANCHES: [Branch; 6] = [
    Branch {
        code: "sh01",
        locale: Locale::Chinese,
        currency: Currency { code: "CNY", has_cents: true },
        places: SHANGHAI,
        notes: CHINESE_NOTES,
        goods: CHINESE_GOODS,
    },
    Branch {
        code: "bj07",
        locale: Locale::Chinese,
        currency: Currency { code: "CNY", has_cents: true },
        places: BEIJING,
        notes: CHINESE_NOTES,
        goods: CHINESE_GOODS,
    },
    Branch {
        code: "bkk02",
        locale: Locale::Thai,
        currency: Currency { code: "THB", has_cents: true },
        places: BANGKOK,
        notes: THAI_NOTES,
        goods: THAI_GOODS,
    },
    Branch {
        code: "sel03",
        locale: Locale::Korean,
        currency: Currency { code: "KRW", has_cents: false },
        places: SEOUL,
        notes: KOREAN_NOTES,
        goods: KOREAN_GOODS,
    },
    Branch {
        code: "jkt05",
        locale: Locale::Indonesian,
        currency: Currency { code: "IDR", has_cents: false },
        places: JAKARTA,
        notes: INDONESIAN_NOTES,
        goods: INDONESIAN_GOODS,
    },
    Branch {
        code: "ldn09",
        locale: Locale::English,
        currency: Currency { code: "GBP", has_cents: true },
        places: LONDON,
        notes: ENGLISH_NOTES,
        goods: ENGLISH_GOODS,
    },
];

const SHANGHAI: &[Place] = &[
    Place {
        city: "上海市", area: "310115", streets: &["浦东新区世纪大道", "浦东新区张杨路"]
    },
    Place {
        city: "上海市", area: "310101", streets: &["黄浦区南京东路", "黄浦区淮海中路"]
    },
    Place {
        city: "上海市", area: "310104", streets: &["徐汇区漕溪北路", "徐汇区肇嘉浜路"]
    },
    Place {
        city: "苏州市", area: "320508", streets: &["姑苏区平江路", "姑苏区人民路"]
    },
];

const BEIJING: &[Place] = &[
    Place {
        city: "北京市", area: "110101", streets: &["东城区王府井大街", "东城区东直门内大街"]
    },
    Place {
        city: "北京市", area: "110105", streets: &["朝阳区建国路", "朝阳区工人体育场北路"]
    },
    Place {
        city: "北京市", area: "110108", streets: &["海淀区中关村大街", "海淀区知春路"]
    },
];

const BANGKOK: &[Place] = &[
    Place {
        city: "กรุงเทพมหานคร",
        area: "",
        streets: &[
            "ถนนสุขุมวิท แขวงคลองเตย",
            "ถนนสีลม แขวงสีลม",
            "ถนนพหลโยธิน แขวงจตุจักร",
            "ถนนเพชรบุรี แขวงมักกะสัน",
        ],
    },
    Place {
        city: "นนทบุรี",
        area: "",
        streets: &["ถนนติวานนท์ ตำบลบางกระสอ", "ถนนแจ้งวัฒนะ ตำบลคลองเกลือ"],
    },
];

const SEOUL: &[Place] = &[
    Place {
        city: "서울특별시",
        area: "",
        streets: &["강남구 테헤란로", "서초구 서초대로", "종로구 세종대로"],
    },
    Place {
        city: "서울특별시",
        area: "",
        streets: &["마포구 월드컵북로", "송파구 올림픽로", "용산구 이태원로"],
    },
    Place {
        city: "성남시", area: "", streets: &["분당구 판교역로", "분당구 정자일로"]
    },
];

const JAKARTA: &[Place] = &[
    Place {
        city: "Jakarta Selatan",
        area: "317406",
        streets: &["Jl. H.R. Rasuna Said", "Jl. Fatmawati Raya"],
    },
    Place {
        city: "Jakarta Pusat",
        area: "317106",
        streets: &["Jl. M.H. Thamrin", "Jl. Kebon Sirih"],
    },
    Place { city: "Jakarta Barat", area: "317303", streets: &["Jl. Gajah Mada", "Jl. Daan Mogot"] },
    Place {
        city: "Depok",
        area: "327605",
        streets: &["Jl. Margonda Raya", "Gg. Masjid Al-Ikhlas"],
    },
];

const LONDON: &[Place] = &[
    Place {
        city: "London",
        area: "",
        streets: &["Clerkenwell Road", "St John's Wood High Street"],
    },
    Place { city: "London", area: "", streets: &["Whitechapel Road", "King's Cross Road"] },
    Place { city: "Bristol", area: "", streets: &["Park Street", "Whiteladies Road"] },
];

// Notes are what staff type: `{phone}` and `{name}` stand for personal data nobody expects there.
const CHINESE_NOTES: &[&str] = &[
    "",
    "客户要求修改通讯地址，请先核实身份。",
    "联系人{name}，手机{phone}，仅限工作日联系。",
    "VIP 客户，请优先接待 😊",
    "客户说：\"不要再打电话了\"。",
];

const THAI_NOTES: &[&str] = &[
    "",
    "ลูกค้าขอเปลี่ยนที่อยู่จัดส่งเอกสาร",
    "ติดต่อคุณ{name} โทร {phone} หลัง 18:00 น.",
    "ลูกค้าสำคัญ โปรดดูแลเป็นพิเศษ 🙏",
];

const KOREAN_NOTES: &[&str] = &[
    "",
    "주소 변경 요청, 본인 확인 필요.",
    "대리인 {name}, 연락처 {phone}.",
    "고객님이 \"문자만 보내 주세요\"라고 하심.",
];

const INDONESIAN_NOTES: &[&str] = &[
    "",
    "Nasabah minta ubah alamat, verifikasi dahulu.",
    "Hubungi {name} di {phone}, hanya jam kerja.",
    "Nasabah prioritas.\nJangan ditawari kartu kredit lagi.",
];

const ENGLISH_NOTES: &[&str] = &[
    "",
    "Asked for a new address; check identity first.",
    "Called from {phone} on behalf of {name}; said \"not after six, please\".",
    "Letters scanned to C:\\crm\\letters\\2025.\tSee also the blue folder.",
];

const CHINESE_GOODS: &[Good] = &[
    Good { sku: "CN-TEA-01", title: "龙井茶 250 克", price: 16_800 },
    Good { sku: "CN-KTL-02", title: "不锈钢电热水壶", price: 12_990 },
    Good { sku: "CN-BAG-03", title: "商务双肩包", price: 25_900 },
    Good { sku: "CN-BKS-04", title: "《红楼梦》精装本", price: 9_800 },
];

const THAI_GOODS: &[Good] = &[
    Good { sku: "TH-RIC-01", title: "ข้าวหอมมะลิ 5 กก.", price: 24_500 },
    Good { sku: "TH-SLK-02", title: "ผ้าพันคอไหมไทย", price: 89_000 },
    Good { sku: "TH-FAN-03", title: "พัดลมตั้งโต๊ะ", price: 79_900 },
];

const KOREAN_GOODS: &[Good] = &[
    Good { sku: "KR-GIN-01", title: "홍삼정 240g", price: 198_000 },
    Good { sku: "KR-CUP-02", title: "텀블러 500ml", price: 23_900 },
    Good { sku: "KR-SOX-03", title: "면양말 10켤레", price: 12_900 },
];

const INDONESIAN_GOODS: &[Good] = &[
    Good { sku: "ID-BTK-01", title: "Kemeja batik lengan panjang", price: 275_000 },
    Good { sku: "ID-KOP-02", title: "Kopi Gayo 500 g", price: 98_000 },
    Good { sku: "ID-HLM-03", title: "Helm half face \"SNI\"", price: 325_000 },
];

const ENGLISH_GOODS: &[Good] = &[
    Good { sku: "UK-TEA-01", title: "Loose leaf tea, 500 g", price: 1_250 },
    Good { sku: "UK-UMB-02", title: "Gentleman's umbrella", price: 4_500 },
    Good { sku: "UK-LMP-03", title: "Desk lamp <LED>", price: 3_299 },
];
