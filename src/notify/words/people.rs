//! What is about people and about what they saw.

use super::Texts;

pub(super) const GRANT_ASKED: Texts = [
    (
        "A grant is asked for",
        "{who} asks for a grant: {what}. Somebody of a higher rank must approve or refuse it: `menshen grant list`.",
    ),
    (
        "有授权申请待审批",
        "{who} 申请授权：{what}。须由更高级别的人员批准或拒绝：`menshen grant list`。",
    ),
    (
        "승인 요청이 있습니다",
        "{who} 님이 권한을 요청했습니다: {what}. 상위 직급자가 승인하거나 거절해야 합니다: `menshen grant list`.",
    ),
    ("มีคำขออนุมัติ", "{who} ขออนุมัติ: {what} ผู้มีตำแหน่งสูงกว่าต้องอนุมัติหรือปฏิเสธ: `menshen grant list`"),
    (
        "Ada permohonan izin",
        "{who} memohon izin: {what}. Pejabat yang lebih tinggi harus menyetujui atau menolaknya: `menshen grant list`.",
    ),
];

pub(super) const GRANT_DECIDED: Texts = [
    ("A grant was decided", "{who} decided on a grant: {what}."),
    ("授权申请已有结果", "{who} 已处理授权申请：{what}。"),
    ("승인 요청이 처리되었습니다", "{who} 님이 권한 요청을 처리했습니다: {what}."),
    ("คำขออนุมัติได้รับการพิจารณาแล้ว", "{who} พิจารณาคำขออนุมัติแล้ว: {what}"),
    ("Permohonan izin telah diputuskan", "{who} telah memutuskan permohonan izin: {what}."),
];

pub(super) const GRANT_ENDED: Texts = [
    ("A grant has ended", "A grant came to its end: {what}."),
    ("授权已结束", "一项授权已结束：{what}。"),
    ("권한이 종료되었습니다", "권한이 종료되었습니다: {what}."),
    ("การอนุมัติสิ้นสุดแล้ว", "การอนุมัติสิ้นสุดแล้ว: {what}"),
    ("Sebuah izin telah berakhir", "Sebuah izin telah berakhir: {what}."),
];

pub(super) const BREAK_GLASS: Texts = [
    (
        "Emergency access was opened",
        "{who} opened an emergency access: {what}. It must be reviewed by somebody else in time.",
    ),
    ("已启用紧急访问", "{who} 启用了紧急访问：{what}。须由他人在期限内复核。"),
    (
        "긴급 접근이 열렸습니다",
        "{who} 님이 긴급 접근을 열었습니다: {what}. 다른 사람이 기한 안에 검토해야 합니다.",
    ),
    ("มีการเปิดสิทธิ์ฉุกเฉิน", "{who} เปิดสิทธิ์ฉุกเฉิน: {what} ผู้อื่นต้องตรวจทานภายในกำหนด"),
    (
        "Akses darurat dibuka",
        "{who} membuka akses darurat: {what}. Orang lain harus meninjaunya tepat waktu.",
    ),
];

pub(super) const REVIEW_DUE: Texts = [
    (
        "A review of an emergency access is due",
        "An emergency access has not been reviewed: {what}.",
    ),
    ("紧急访问待复核", "一次紧急访问尚未复核：{what}。"),
    ("긴급 접근 검토 기한입니다", "긴급 접근이 아직 검토되지 않았습니다: {what}."),
    ("ถึงกำหนดตรวจทานสิทธิ์ฉุกเฉิน", "สิทธิ์ฉุกเฉินยังไม่ได้รับการตรวจทาน: {what}"),
    ("Tinjauan akses darurat jatuh tempo", "Sebuah akses darurat belum ditinjau: {what}."),
];

pub(super) const REQUEST_WAITS: Texts = [
    (
        "A command waits for a second person",
        "{who} asks for a command that a second person must confirm within an hour: {what}. See `menshen switch list`.",
    ),
    (
        "有操作等待第二人确认",
        "{who} 申请的操作须由第二人在一小时内确认：{what}。请查看 `menshen switch list`。",
    ),
    (
        "두 번째 사람의 확인을 기다립니다",
        "{who} 님이 요청한 작업을 다른 사람이 한 시간 안에 확인해야 합니다: {what}. `menshen switch list` 를 보십시오.",
    ),
    (
        "มีคำสั่งรอการยืนยันจากบุคคลที่สอง",
        "{who} ขอใช้คำสั่งที่บุคคลที่สองต้องยืนยันภายในหนึ่งชั่วโมง: {what} ดู `menshen switch list`",
    ),
    (
        "Sebuah perintah menunggu orang kedua",
        "{who} meminta perintah yang harus dikonfirmasi orang kedua dalam satu jam: {what}. Lihat `menshen switch list`.",
    ),
];

pub(super) const FINDING: Texts = [
    (
        "A detection found something: {what}",
        "A detection found a pattern in what {who} did: {what}; finding {number}. See `menshen detection list`.",
    ),
    (
        "检测到异常：{what}",
        "检测发现 {who} 的行为异常：{what}；编号 {number}。请查看 `menshen detection list`。",
    ),
    (
        "탐지됨: {what}",
        "{who} 님의 활동에서 패턴이 탐지되었습니다: {what}; 번호 {number}. `menshen detection list` 를 보십시오.",
    ),
    (
        "ตรวจพบ: {what}",
        "ตรวจพบรูปแบบในการกระทำของ {who}: {what} หมายเลข {number} ดู `menshen detection list`",
    ),
    (
        "Deteksi menemukan sesuatu: {what}",
        "Deteksi menemukan pola pada tindakan {who}: {what}; temuan {number}. Lihat `menshen detection list`.",
    ),
];

pub(super) const VALUE_DETECTED: Texts = [
    (
        "A value where none of its kind belongs",
        "Values were found in a field that is not graded for them: {what}, {count} of them.",
    ),
    ("字段中出现不应有的数据", "在未按此类数据定级的字段中发现数据：{what}，共 {count} 处。"),
    (
        "있어서는 안 될 값이 발견되었습니다",
        "해당 등급이 아닌 필드에서 값이 발견되었습니다: {what}, {count}건.",
    ),
    ("พบข้อมูลในที่ที่ไม่ควรอยู่", "พบข้อมูลในฟิลด์ที่ไม่ได้จัดระดับไว้สำหรับข้อมูลนั้น: {what} จำนวน {count}"),
    (
        "Nilai di tempat yang tidak semestinya",
        "Nilai ditemukan pada bidang yang tingkatnya tidak sesuai: {what}, sebanyak {count}.",
    ),
];

pub(super) const NEW_FIELD: Texts = [
    (
        "The backend has a new field",
        "A field is not in the catalogue and does not pass: {what}. See `menshen catalog`.",
    ),
    ("后端出现新字段", "字段不在目录中，已被拦下：{what}。请查看 `menshen catalog`。"),
    (
        "백엔드에 새 필드가 있습니다",
        "목록에 없는 필드여서 통과하지 않습니다: {what}. `menshen catalog` 를 보십시오.",
    ),
    ("ระบบหลังบ้านมีฟิลด์ใหม่", "ฟิลด์ไม่อยู่ในรายการจึงไม่ผ่าน: {what} ดู `menshen catalog`"),
    (
        "Backend memiliki bidang baru",
        "Bidang tidak ada dalam katalog dan tidak diteruskan: {what}. Lihat `menshen catalog`.",
    ),
];

pub(super) const FOREIGN_TENANT: Texts = [
    (
        "Records of a foreign tenant",
        "The backend gave records of a foreign tenant: {what}, {count} of them. They did not pass.",
    ),
    ("出现其他租户的记录", "后端返回了其他租户的记录：{what}，共 {count} 条，已被拦下。"),
    (
        "다른 테넌트의 레코드",
        "백엔드가 다른 테넌트의 레코드를 보냈습니다: {what}, {count}건. 통과하지 않았습니다.",
    ),
    ("ข้อมูลของผู้เช่ารายอื่น", "ระบบหลังบ้านส่งข้อมูลของผู้เช่ารายอื่น: {what} จำนวน {count} ข้อมูลไม่ผ่าน"),
    (
        "Catatan milik penyewa lain",
        "Backend memberikan catatan milik penyewa lain: {what}, sebanyak {count}. Catatan itu tidak diteruskan.",
    ),
];

pub(super) const CLONED_PASSKEY: Texts = [
    (
        "There may be a copy of a passkey",
        "A passkey of {who} was refused: its counter went back, so there may be a copy of it.",
    ),
    ("通行密钥可能被复制", "{who} 的通行密钥被拒绝：计数器倒退，可能存在副本。"),
    (
        "패스키가 복제되었을 수 있습니다",
        "{who} 님의 패스키가 거부되었습니다: 카운터가 뒤로 갔으므로 사본이 있을 수 있습니다.",
    ),
    ("พาสคีย์อาจถูกทำสำเนา", "พาสคีย์ของ {who} ถูกปฏิเสธ: ตัวนับย้อนกลับ จึงอาจมีสำเนา"),
    (
        "Mungkin ada salinan kunci sandi",
        "Kunci sandi milik {who} ditolak: penghitungnya mundur, jadi mungkin ada salinannya.",
    ),
];
