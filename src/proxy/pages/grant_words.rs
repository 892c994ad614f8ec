//! The words of the pages about grants, in five languages.

/// What the pages say.
pub(super) struct GrantWords {
    pub(super) title: &'static str,
    pub(super) needed: &'static str,
    pub(super) needed_lead: &'static str,
    pub(super) ask: &'static str,
    pub(super) reason: &'static str,
    pub(super) mine: &'static str,
    pub(super) none: &'static str,
    pub(super) to_decide: &'static str,
    pub(super) approve: &'static str,
    pub(super) refuse: &'static str,
    pub(super) take_back: &'static str,
    pub(super) banner: &'static str,
    /// In the order of the states: asked, approved, refused, expired, revoked, used-up, reviewed.
    states: [&'static str; 7],
}

const STATES: [&str; 7] =
    ["asked", "approved", "refused", "expired", "revoked", "used-up", "reviewed"];

impl GrantWords {
    /// A state, as people say it.
    pub(super) fn state(&self, word: &str) -> &'static str {
        let at = STATES.iter().position(|state| *state == word);
        at.and_then(|at| self.states.get(at)).copied().unwrap_or("?")
    }
}

/// The words of a language; English for any other.
pub(super) fn words_of(lang: &str) -> &'static GrantWords {
    match lang.split('-').next().unwrap_or_default() {
        "zh" => &ZH,
        "ko" => &KO,
        "th" => &TH,
        "id" => &ID,
        _ => &EN,
    }
}

const EN: GrantWords = GrantWords {
    title: "Grants",
    needed: "Somebody must grant this first",
    needed_lead: "You may ask for it. Say why; somebody else decides, and you then try again.",
    ask: "Ask for a grant",
    reason: "Reason",
    mine: "What you asked for",
    none: "Nothing yet.",
    to_decide: "Waiting for you to decide",
    approve: "Approve",
    refuse: "Refuse",
    take_back: "Take back",
    banner: "Opened in an emergency, and to be reviewed:",
    states: ["waits", "holds", "refused", "over", "taken back", "used up", "reviewed"],
};

const ZH: GrantWords = GrantWords {
    title: "授权",
    needed: "需要他人先授权",
    needed_lead: "您可以申请。请说明理由，由他人审批，通过后请重试。",
    ask: "申请授权",
    reason: "理由",
    mine: "您的申请",
    none: "暂无。",
    to_decide: "等待您审批",
    approve: "同意",
    refuse: "拒绝",
    take_back: "撤回",
    banner: "紧急开启，须事后复核：",
    states: ["待审批", "有效", "已拒绝", "已过期", "已撤回", "已用完", "已复核"],
};

const KO: GrantWords = GrantWords {
    title: "권한 승인",
    needed: "먼저 다른 사람의 승인이 필요합니다",
    needed_lead: "승인을 요청할 수 있습니다. 사유를 적으면 다른 사람이 결정하며, 승인된 뒤 다시 시도하십시오.",
    ask: "승인 요청",
    reason: "사유",
    mine: "내가 요청한 승인",
    none: "아직 없습니다.",
    to_decide: "결정을 기다리는 요청",
    approve: "승인",
    refuse: "거절",
    take_back: "취소",
    banner: "긴급 열람 중이며 사후 검토가 필요합니다:",
    states: ["대기", "유효", "거절됨", "만료됨", "취소됨", "사용됨", "검토됨"],
};

const TH: GrantWords = GrantWords {
    title: "การอนุญาต",
    needed: "ต้องได้รับอนุญาตจากผู้อื่นก่อน",
    needed_lead: "คุณขออนุญาตได้ โปรดระบุเหตุผล ผู้อื่นจะเป็นผู้ตัดสินใจ แล้วลองใหม่เมื่อได้รับอนุญาต",
    ask: "ขออนุญาต",
    reason: "เหตุผล",
    mine: "คำขอของคุณ",
    none: "ยังไม่มี",
    to_decide: "รอการตัดสินใจของคุณ",
    approve: "อนุญาต",
    refuse: "ปฏิเสธ",
    take_back: "ถอนคืน",
    banner: "เปิดในกรณีฉุกเฉินและต้องได้รับการตรวจสอบ:",
    states: ["รอ", "มีผล", "ถูกปฏิเสธ", "หมดเวลา", "ถอนคืนแล้ว", "ใช้หมดแล้ว", "ตรวจสอบแล้ว"],
};

const ID: GrantWords = GrantWords {
    title: "Izin",
    needed: "Orang lain harus memberi izin dahulu",
    needed_lead: "Anda dapat memintanya. Tulis alasannya; orang lain memutuskan, lalu coba lagi.",
    ask: "Minta izin",
    reason: "Alasan",
    mine: "Permintaan Anda",
    none: "Belum ada.",
    to_decide: "Menunggu keputusan Anda",
    approve: "Setujui",
    refuse: "Tolak",
    take_back: "Tarik kembali",
    banner: "Dibuka dalam keadaan darurat dan harus ditinjau:",
    states: ["menunggu", "berlaku", "ditolak", "berakhir", "ditarik", "habis dipakai", "ditinjau"],
};
