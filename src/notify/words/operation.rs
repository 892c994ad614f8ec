//! What the operator has to mend.

use super::Texts;

pub(super) const STORE_LOST: Texts = [
    (
        "The shared store is lost",
        "The store in which several gates count together does not answer, or was emptied. Limits are stricter until it is back. What is commanded at one gate may not hold at the others.",
    ),
    (
        "共享存储不可用",
        "多个网关共同计数的存储无应答或已被清空。恢复之前限额从严。在一个网关执行的命令可能不会在其他网关生效。",
    ),
    (
        "공유 저장소를 쓸 수 없습니다",
        "여러 게이트가 함께 세는 저장소가 응답하지 않거나 비워졌습니다. 돌아올 때까지 한도가 더 엄격합니다. 한 게이트에서 내린 명령이 다른 게이트에는 미치지 않을 수 있습니다.",
    ),
    (
        "ที่เก็บข้อมูลร่วมใช้งานไม่ได้",
        "ที่เก็บข้อมูลที่หลายเกตเวย์ใช้นับร่วมกันไม่ตอบสนองหรือถูกล้าง ข้อจำกัดจะเข้มงวดขึ้นจนกว่าจะกลับมา คำสั่งที่เกตเวย์หนึ่งอาจยังไม่มีผลที่เกตเวย์อื่น",
    ),
    (
        "Penyimpanan bersama hilang",
        "Penyimpanan tempat beberapa gerbang menghitung bersama tidak menjawab atau dikosongkan. Batas lebih ketat sampai pulih. Perintah di satu gerbang mungkin tidak berlaku di gerbang lain.",
    ),
];

pub(super) const FORGED_NOTICE: Texts = [
    (
        "Somebody writes in the gates' shared store",
        "On the board of the gates stands what no gate wrote: somebody else has the store's password. It counts for nothing. Change the password, and see who has it.",
    ),
    (
        "有人在网关的共享存储中写入",
        "网关的公告板上有并非任何网关写入的内容：他人持有该存储的密码。这些内容不起作用。请更换密码并查明持有者。",
    ),
    (
        "누군가 게이트의 공유 저장소에 기록합니다",
        "게이트의 게시판에 어떤 게이트도 쓰지 않은 내용이 있습니다. 다른 누군가가 저장소의 비밀번호를 가지고 있습니다. 그 내용은 효력이 없습니다. 비밀번호를 바꾸고 누가 가지고 있는지 확인하십시오.",
    ),
    (
        "มีผู้เขียนลงในที่เก็บข้อมูลร่วมของเกตเวย์",
        "บนกระดานของเกตเวย์มีสิ่งที่ไม่มีเกตเวย์ใดเขียน: มีผู้อื่นถือรหัสผ่านของที่เก็บข้อมูล สิ่งนั้นไม่มีผล เปลี่ยนรหัสผ่านและตรวจดูว่าใครถืออยู่",
    ),
    (
        "Seseorang menulis di penyimpanan bersama gerbang",
        "Di papan gerbang terdapat yang tidak ditulis gerbang mana pun: orang lain memegang kata sandi penyimpanan. Itu tidak berlaku. Ganti kata sandinya, dan periksa siapa yang memilikinya.",
    ),
];

pub(super) const SHIPPING_BEHIND: Texts = [
    (
        "The log does not get to {what}",
        "Entries of the log do not get to `{what}` and wait longer than allowed.",
    ),
    ("日志未能送达 {what}", "日志条目未能送达 `{what}`，等待时间已超过允许值。"),
    (
        "로그가 {what} 에 도달하지 않습니다",
        "로그 항목이 `{what}` 에 도달하지 못하고 허용된 것보다 오래 기다립니다.",
    ),
    ("บันทึกส่งไม่ถึง {what}", "รายการบันทึกส่งไม่ถึง `{what}` และรอนานเกินกำหนด"),
    (
        "Log tidak sampai ke {what}",
        "Entri log tidak sampai ke `{what}` dan menunggu lebih lama dari yang diizinkan.",
    ),
];

pub(super) const WITNESS_SILENT: Texts = [
    (
        "The witness {what} does not cosign the log",
        "The witness `{what}` has cosigned no checkpoint of the log for longer than allowed.",
    ),
    ("见证方 {what} 未对日志副署", "见证方 `{what}` 未对日志检查点副署的时间已超过允许值。"),
    (
        "증인 {what} 이(가) 로그에 공동 서명하지 않습니다",
        "증인 `{what}` 이(가) 허용된 것보다 오래 로그의 체크포인트에 공동 서명하지 않았습니다.",
    ),
    ("พยาน {what} ไม่ลงนามร่วมในบันทึก", "พยาน `{what}` ไม่ได้ลงนามร่วมในจุดตรวจของบันทึกนานเกินกำหนด"),
    (
        "Saksi {what} tidak ikut menandatangani log",
        "Saksi `{what}` tidak ikut menandatangani checkpoint log lebih lama dari yang diizinkan.",
    ),
];

pub(super) const WITNESS_DISAGREES: Texts = [
    (
        "The witness {what} saw another log",
        "The witness `{what}` saw other entries than this log has: some were removed or altered.",
    ),
    (
        "见证方 {what} 看到的是另一份日志",
        "见证方 `{what}` 看到的条目与本日志不同：有条目被删除或篡改。",
    ),
    (
        "증인 {what} 이(가) 다른 로그를 보았습니다",
        "증인 `{what}` 이(가) 본 항목이 이 로그와 다릅니다. 일부가 삭제되었거나 변경되었습니다.",
    ),
    ("พยาน {what} เห็นบันทึกที่ต่างออกไป", "พยาน `{what}` เห็นรายการที่ต่างจากบันทึกนี้ มีบางรายการถูกลบหรือแก้ไข"),
    (
        "Saksi {what} melihat log yang lain",
        "Saksi `{what}` melihat entri yang berbeda dari log ini: ada yang dihapus atau diubah.",
    ),
];

pub(super) const BACKUP_OVERDUE: Texts = [
    (
        "No new backup in {what}",
        "The newest backup in `{what}` is older than it may be, or there is none.",
    ),
    ("{what} 没有新的备份", "`{what}` 中最新的备份已过期，或没有备份。"),
    ("{what} 에 새 백업이 없습니다", "`{what}` 의 최신 백업이 너무 오래되었거나 없습니다."),
    ("ไม่มีข้อมูลสำรองใหม่ใน {what}", "ข้อมูลสำรองล่าสุดใน `{what}` เก่าเกินกำหนดหรือไม่มี"),
    (
        "Tidak ada cadangan baru di {what}",
        "Cadangan terbaru di `{what}` terlalu lama, atau tidak ada.",
    ),
];

pub(super) const CERTIFICATE_ENDS: Texts = [
    (
        "A certificate ends soon: {what}",
        "The certificate of the listener `{what}` ends within two weeks, or has ended. Replace its file.",
    ),
    ("证书即将到期：{what}", "监听地址 `{what}` 的证书将在两周内到期或已到期，请更换证书文件。"),
    (
        "인증서가 곧 만료됩니다: {what}",
        "수신 주소 `{what}` 의 인증서가 두 주 안에 만료되거나 이미 만료되었습니다. 파일을 교체하십시오.",
    ),
    (
        "ใบรับรองใกล้หมดอายุ: {what}",
        "ใบรับรองของ `{what}` จะหมดอายุภายในสองสัปดาห์หรือหมดอายุแล้ว โปรดเปลี่ยนไฟล์",
    ),
    (
        "Sertifikat segera berakhir: {what}",
        "Sertifikat pendengar `{what}` berakhir dalam dua minggu, atau sudah berakhir. Gantilah berkasnya.",
    ),
];

pub(super) const POLICY_REFUSED: Texts = [
    (
        "A new policy was refused",
        "A new policy has a fault and was refused; the one before stays in force: {what}.",
    ),
    ("新策略被拒绝", "新策略有误，已被拒绝，原策略继续生效：{what}。"),
    (
        "새 정책이 거부되었습니다",
        "새 정책에 오류가 있어 거부되었고 이전 정책이 유지됩니다: {what}.",
    ),
    ("นโยบายใหม่ถูกปฏิเสธ", "นโยบายใหม่มีข้อผิดพลาดและถูกปฏิเสธ นโยบายเดิมยังมีผล: {what}"),
    (
        "Kebijakan baru ditolak",
        "Kebijakan baru bermasalah dan ditolak; yang lama tetap berlaku: {what}.",
    ),
];

pub(super) const CONFIGURATION_REFUSED: Texts = [
    (
        "A new configuration was refused",
        "The gate's new configuration has a fault and was refused; all of the one before stays in force: {what}.",
    ),
    ("新配置被拒绝", "网关的新配置有误，已被拒绝，原配置全部继续生效：{what}。"),
    (
        "새 설정이 거부되었습니다",
        "게이트의 새 설정에 오류가 있어 거부되었고 이전 설정이 모두 유지됩니다: {what}.",
    ),
    ("การตั้งค่าใหม่ถูกปฏิเสธ", "การตั้งค่าใหม่ของเกตเวย์มีข้อผิดพลาดและถูกปฏิเสธ การตั้งค่าเดิมทั้งหมดยังมีผล: {what}"),
    (
        "Konfigurasi baru ditolak",
        "Konfigurasi baru gerbang bermasalah dan ditolak; seluruh yang lama tetap berlaku: {what}.",
    ),
];

pub(super) const CERTIFICATES_REFUSED: Texts = [
    (
        "New certificates were refused",
        "New certificates cannot be used and were refused; the ones before are still shown: {what}.",
    ),
    ("新证书被拒绝", "新证书无法使用，已被拒绝，仍使用原证书：{what}。"),
    (
        "새 인증서가 거부되었습니다",
        "새 인증서를 쓸 수 없어 거부되었고 이전 것이 유지됩니다: {what}.",
    ),
    ("ใบรับรองใหม่ถูกปฏิเสธ", "ใบรับรองใหม่ใช้ไม่ได้และถูกปฏิเสธ ยังใช้ใบเดิม: {what}"),
    (
        "Sertifikat baru ditolak",
        "Sertifikat baru tidak dapat dipakai dan ditolak; yang lama tetap ditunjukkan: {what}.",
    ),
];

pub(super) const UNDELIVERED: Texts = [
    ("Notices did not get to {what}", "{count} notices did not get to `{what}` and were given up."),
    ("通知未能送达 {what}", "{count} 条通知未能送达 `{what}`，已放弃。"),
    (
        "알림이 {what} 에 도달하지 않았습니다",
        "알림 {count}건이 `{what}` 에 도달하지 못해 포기되었습니다.",
    ),
    ("การแจ้งเตือนส่งไม่ถึง {what}", "การแจ้งเตือน {count} รายการส่งไม่ถึง `{what}` และถูกยกเลิก"),
    (
        "Pemberitahuan tidak sampai ke {what}",
        "{count} pemberitahuan tidak sampai ke `{what}` dan dihentikan.",
    ),
];

pub(super) const OTHERS: Texts = [
    (
        "Further notices",
        "There were {count} further ones, more than are told one by one. Look into the log: `menshen log search`.",
    ),
    ("其他通知", "另有 {count} 条，未逐条通知。请查看日志：`menshen log search`。"),
    (
        "추가 알림",
        "하나씩 알리기에는 많은 {count}건이 더 있습니다. 로그를 보십시오: `menshen log search`.",
    ),
    ("การแจ้งเตือนอื่น", "มีอีก {count} รายการที่ไม่ได้แจ้งทีละรายการ โปรดดูบันทึก: `menshen log search`"),
    (
        "Pemberitahuan lain",
        "Ada {count} lagi, lebih banyak daripada yang diberitahukan satu per satu. Lihat log: `menshen log search`.",
    ),
];

pub(super) const TEST: Texts = [
    ("A test", "This is a test: notices of the gate get here."),
    ("测试", "这是一条测试消息：网关的通知可以送达此处。"),
    ("시험", "시험 메시지입니다: 게이트의 알림이 이곳에 도달합니다."),
    ("ทดสอบ", "นี่คือข้อความทดสอบ: การแจ้งเตือนของเกตเวย์ส่งถึงที่นี่"),
    ("Uji coba", "Ini uji coba: pemberitahuan gerbang sampai di sini."),
];
