//! What is told, in five languages. A text that a language lacks does not compile; `tests.rs` sees to it that all
//! languages of a text name the same things.

mod operation;
mod people;

use super::{Kind, Notice};

/// A title and a text; what stands in braces is filled in.
type Text = (&'static str, &'static str);
/// English, Chinese, Korean, Thai, Indonesian.
type Texts = [Text; 5];

/// A language of what is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
    /// Korean.
    Korean,
    /// Thai.
    Thai,
    /// Indonesian.
    Indonesian,
}

/// Where and when; the same under every text.
const FOOT: [&str; 5] = [
    "{time}, gate {node}, entry {entry} of the log",
    "{time}，网关 {node}，日志条目 {entry}",
    "{time}, 게이트 {node}, 로그 항목 {entry}",
    "{time} เกตเวย์ {node} รายการบันทึก {entry}",
    "{time}, gerbang {node}, entri log {entry}",
];
/// Where there were several.
const TIMES: [&str; 5] = [
    "{count} times; the last one is shown",
    "共 {count} 次，此处为最近一次",
    "모두 {count}번이며, 마지막 것을 표시합니다",
    "ทั้งหมด {count} ครั้ง แสดงครั้งล่าสุด",
    "{count} kali; yang terakhir ditampilkan",
];
/// Where it is nobody's doing.
const NOBODY: [&str; 5] = ["somebody", "某人", "누군가", "บางคน", "seseorang"];

impl Language {
    /// Every language.
    pub const ALL: [Self; 5] =
        [Self::English, Self::Chinese, Self::Korean, Self::Thai, Self::Indonesian];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.pick(&["en", "zh", "ko", "th", "id"])
    }

    /// The title and the text of a notice.
    #[must_use]
    pub fn tell(self, notice: &Notice) -> (String, String) {
        let (title, text) = *self.pick_ref(&texts(notice.kind));
        let mut lines = vec![self.fill(text, notice)];
        if notice.count > 1 && !text.contains("{count}") {
            lines.push(self.fill(self.pick(&TIMES), notice));
        }
        lines.push(self.fill(self.pick(&FOOT), notice));
        (self.fill(title, notice), lines.join("\n"))
    }

    fn fill(self, text: &str, notice: &Notice) -> String {
        let time = jiff::Timestamp::from_millisecond(notice.at_ms).unwrap_or_default();
        let who = match notice.who.as_str() {
            "" => self.pick(&NOBODY),
            who => who,
        };
        let mut filled = String::new();
        let mut rest = text;
        // Each place once, so that no name is taken for a place itself.
        while let Some((before, place, after)) = next_place(rest) {
            filled.push_str(before);
            match place {
                "who" => filled.push_str(who),
                "what" => filled.push_str(&notice.what),
                "count" => filled.push_str(&notice.count.to_string()),
                "number" => filled.push_str(&notice.number.to_string()),
                "time" => filled.push_str(&time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()),
                "node" => filled.push_str(&notice.node),
                "entry" => filled.push_str(&notice.entry),
                other => filled.push_str(other),
            }
            rest = after;
        }
        filled + rest
    }

    fn pick<'t>(self, texts: &[&'t str; 5]) -> &'t str {
        self.pick_ref::<&'t str>(texts)
    }

    fn pick_ref<T>(self, [en, zh, ko, th, id]: &[T; 5]) -> &T {
        match self {
            Self::English => en,
            Self::Chinese => zh,
            Self::Korean => ko,
            Self::Thai => th,
            Self::Indonesian => id,
        }
    }
}

fn next_place(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (place, after) = rest.split_once('}')?;
    Some((before, place, after))
}

/// The texts of a kind.
pub(super) fn texts(kind: Kind) -> Texts {
    match kind {
        Kind::GrantAsked => people::GRANT_ASKED,
        Kind::GrantDecided => people::GRANT_DECIDED,
        Kind::GrantEnded => people::GRANT_ENDED,
        Kind::BreakGlass => people::BREAK_GLASS,
        Kind::ReviewDue => people::REVIEW_DUE,
        Kind::RequestWaits => people::REQUEST_WAITS,
        Kind::Finding => people::FINDING,
        Kind::ValueDetected => people::VALUE_DETECTED,
        Kind::NewField => people::NEW_FIELD,
        Kind::ForeignTenant => people::FOREIGN_TENANT,
        Kind::ClonedPasskey => people::CLONED_PASSKEY,
        Kind::ForgedNotice => operation::FORGED_NOTICE,
        Kind::StoreLost => operation::STORE_LOST,
        Kind::ShippingBehind => operation::SHIPPING_BEHIND,
        Kind::BackupOverdue => operation::BACKUP_OVERDUE,
        Kind::WitnessSilent => operation::WITNESS_SILENT,
        Kind::WitnessDisagrees => operation::WITNESS_DISAGREES,
        Kind::CertificateEnds => operation::CERTIFICATE_ENDS,
        Kind::PolicyRefused => operation::POLICY_REFUSED,
        Kind::ConfigurationRefused => operation::CONFIGURATION_REFUSED,
        Kind::CertificatesRefused => operation::CERTIFICATES_REFUSED,
        Kind::Undelivered => operation::UNDELIVERED,
        Kind::Others => operation::OTHERS,
        Kind::Test => operation::TEST,
    }
}
