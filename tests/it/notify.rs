//! People are told what needs one of them, over servers that others wrote: mail, a signed webhook, four apps. What is
//! told stands in the log, nothing of it is a customer's, and a target that is down misses nothing.

use std::time::Duration;

use menshen::audit::{Concern, Entry};
use menshen::clock::Clock;
use menshen::command::{Doer, Done, Kind as SwitchKind, Target, Way};
use menshen::config::Config;
use menshen::document::Source;
use menshen::notify::{
    Kind, Language, MailSettings, Message, Notice, NotifyError, Settings, Start, To, send,
};
use menshen::ship::{Peer, Security};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::process::menshen;
use crate::harness::{Gate, NOW_S, OPEN_BANK, Setup};
use crate::shipping::servers::{Server, free_port};
use crate::shipping::{Elsewhere, metrics, until};

const HOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// What somebody writes who should not.
const REASON: &str = "guest Zhang San, 13800138000";

async fn receiver(elsewhere: &Elsewhere, kind: &str, last: &str) -> Server {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/notify");
    let python = format!("{folder}/venv/bin/python");
    assert!(std::path::Path::new(&python).exists(), "run `sh tests/setup.sh`");
    let port = free_port();
    let [cert, key, file] = ["server.pem", "server.key", kind].map(|name| elsewhere.path(name));
    let script = format!("{folder}/receive.py");
    let arguments = [&script, kind, &port.to_string(), &cert, &key, &file, last];
    Server::begin(elsewhere, port, &python, arguments.map(str::to_owned).to_vec()).await
}

/// What a receiver took.
fn taken(elsewhere: &Elsewhere, kind: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(elsewhere.path(kind)).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn by_path(elsewhere: &Elsewhere, path: &str) -> Vec<Value> {
    taken(elsewhere, "https").into_iter().filter(|one| one["path"] == path).collect()
}

/// Asks for a command that a second person must agree to.
async fn ask(gate: &Gate, tenant: &str) {
    let desk = gate.server().desk();
    desk.set_two_person(&["tenant".to_owned()]).await.unwrap();
    let target = Target::new(SwitchKind::Tenant, tenant).unwrap();
    let done = desk.turn(&Doer::user("uma", 1000), Way::On, &target, REASON).await.unwrap();
    assert!(matches!(done, Done::Waits(_)), "{done:?}");
}

fn asked(gate: &Gate) -> Vec<Entry> {
    let is_it = |entry: &Entry| {
        entry.act.as_ref().is_some_and(|act| act.name.as_str() == "switch_on_asked")
    };
    gate.entries_so_far().into_iter().filter(is_it).collect()
}

async fn gate(notify: &str, clock: Clock) -> Gate {
    let setup = Setup::policy(OPEN_BANK).yaml("metrics: { address: \"127.0.0.1:0\" }");
    let mut gate = setup.yaml(&format!("notify:\n{notify}")).prepare(clock).await;
    gate.start().await;
    gate
}

#[tokio::test]
async fn every_kind_of_target_is_told_in_its_language_and_form_and_no_reason_leaves() {
    let elsewhere = Elsewhere::new();
    let robots = receiver(&elsewhere, "https", HOOK_SECRET).await;
    let mail = receiver(&elsewhere, "smtp", "start").await;
    let (port, mail_port, ca) = (robots.port, mail.port, elsewhere.path("ca.pem"));
    let url =
        |path: &str| elsewhere.secret(&path[..3], &format!("https://localhost:{port}/{path}\n"));
    let [ding, wecom, feishu, slack] =
        ["dingtalk?access_token=T", "wecom?key=K", "feishu", "slack"].map(url);
    let [hook, sec, fei, password] =
        [("hook", HOOK_SECRET), ("sec", "SECding"), ("sig", "fei"), ("pass", "hush")]
            .map(|(name, text)| elsewhere.secret(name, text));
    let mut gate = gate(
        &format!(
            "  hook: {{ to: webhook, url: \"https://localhost:{port}/hook\", secret: {hook}, ca: {ca} }}\n\
             \x20 mail: {{ to: smtp, language: zh, address: \"localhost:{mail_port}\", user: gate, password: {password}, \
             from: gate@bank.example, recipients: [desk@bank.example, nobody@bank.example], ca: {ca} }}\n\
             \x20 ding: {{ to: dingtalk, language: zh, url-file: {ding}, secret: {sec}, ca: {ca} }}\n\
             \x20 wecom: {{ to: wecom, language: th, url-file: {wecom}, ca: {ca} }}\n\
             \x20 feishu: {{ to: feishu, language: ko, url-file: {feishu}, secret: {fei}, ca: {ca} }}\n\
             \x20 slack: {{ to: slack, language: id, url-file: {slack}, ca: {ca} }}\n\
             \x20 other: {{ to: slack, about: [findings], url-file: {slack}, ca: {ca} }}"
        ),
        Clock::system(),
    )
    .await;
    ask(&gate, "hq").await;
    let paths = ["/hook", "/dingtalk", "/wecom", "/feishu", "/slack"];
    until("all targets to be told", || {
        paths.iter().all(|path| !by_path(&elsewhere, path).is_empty())
            && !taken(&elsewhere, "smtp").is_empty()
    })
    .await;
    let entry = asked(&gate)[0].id.to_string();
    for path in paths {
        let told = by_path(&elsewhere, path);
        assert_eq!(told.len(), 1, "{told:?}");
        let text = told[0].to_string();
        assert!(text.contains(&entry) && text.contains("uma"), "{text}");
        assert!(text.contains("switch_on_asked tenant hq"), "{text}");
    }
    let hooked = &by_path(&elsewhere, "/hook")[0];
    assert_eq!(hooked["body"]["type"], "menshen.request_waits");
    assert_eq!(hooked["body"]["data"]["title"], "A command waits for a second person");
    let text = |path: &str, place: &str| {
        by_path(&elsewhere, path)[0]["body"].pointer(place).unwrap().as_str().unwrap().to_owned()
    };
    assert!(text("/dingtalk", "/text/content").starts_with("[menshen] 有操作等待第二人确认"));
    assert!(text("/wecom", "/text/content").contains("มีคำสั่งรอการยืนยันจากบุคคลที่สอง"));
    assert!(text("/feishu", "/content/text").contains("두 번째 사람의 확인을 기다립니다"));
    assert!(text("/slack", "/text").contains("Sebuah perintah menunggu orang kedua"));
    let mailed = &taken(&elsewhere, "smtp")[0];
    assert_eq!(mailed["subject"], "[menshen] 有操作等待第二人确认");
    assert_eq!(mailed["to"], serde_json::json!(["desk@bank.example"]));
    assert!(mailed["tls"] == true && mailed["defects"] == 0, "{mailed}");
    assert!(mailed["text"].as_str().unwrap().contains(&entry), "{mailed}");
    let all = format!("{:?}{:?}", taken(&elsewhere, "https"), taken(&elsewhere, "smtp"));
    assert!(
        !all.contains("Zhang") && !all.contains("13800138000") && !all.contains("refused"),
        "{all}"
    );
    gate.stop().await;
    tried_by_hand(&gate, &elsewhere);
}

/// The operator sees that each of them works, and which does not.
fn tried_by_hand(gate: &Gate, elsewhere: &Elsewhere) {
    let config = gate.path("menshen.yaml").display().to_string();
    let said = menshen(&["notify", "test", "--config", &config, "--to", "ding"]);
    let text = String::from_utf8([said.stdout, said.stderr].concat()).unwrap();
    assert!(said.status.success() && text.contains("`ding` took it"), "{text}");
    let said = menshen(&["notify", "test", "--config", &config, "--to", "mail"]);
    let text = String::from_utf8([said.stdout, said.stderr].concat()).unwrap();
    assert_eq!(said.status.code(), Some(1), "{text}");
    assert!(text.contains("`nobody@bank.example`: 550 5.1.1 no such mailbox"), "{text}");
    let told = by_path(elsewhere, "/dingtalk");
    assert!(told.last().unwrap().to_string().contains("这是一条测试消息"), "{told:?}");
    let said = menshen(&["notify", "list", "--config", &config]);
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(text.contains("`hook`: nothing waits"), "{text}");
}

#[tokio::test]
async fn a_target_that_is_down_gets_each_notice_once_it_is_back_also_after_a_restart() {
    let elsewhere = Elsewhere::new();
    let mut robots = receiver(&elsewhere, "https", HOOK_SECRET).await;
    robots.kill();
    let (port, ca) = (robots.port, elsewhere.path("ca.pem"));
    let hook = elsewhere.secret("hook", HOOK_SECRET);
    let notify = format!(
        "  hook: {{ to: webhook, url: \"https://localhost:{port}/hook\", secret: {hook}, ca: {ca} }}"
    );
    let mut gate = gate(&notify, Clock::system()).await;
    for tenant in ["a", "b", "c"] {
        ask(&gate, tenant).await;
    }
    until("the requests to be recorded", || asked(&gate).len() == 3).await;
    // What is recorded while nobody reads is read after the next start.
    gate.restart().await;
    ask(&gate, "d").await;
    robots.again().await;
    until("all of them", || by_path(&elsewhere, "/hook").len() >= 4).await;
    let config = gate.path("menshen.yaml").display().to_string();
    until("nothing to wait", || {
        let said = menshen(&["notify", "list", "--config", &config]);
        String::from_utf8(said.stdout).unwrap().contains("nothing waits")
    })
    .await;
    let mut told: Vec<_> =
        by_path(&elsewhere, "/hook").iter().map(|one| one["id"].to_string()).collect();
    told.sort();
    told.dedup();
    assert_eq!((told.len(), by_path(&elsewhere, "/hook").len()), (4, 4), "each once");
    let mut recorded: Vec<_> =
        asked(&gate).iter().map(|entry| format!("\"{}-1\"", entry.id)).collect();
    recorded.sort();
    assert_eq!(told, recorded);
    gate.stop().await;
}

#[tokio::test]
async fn what_cannot_be_told_is_given_up_recorded_counted_and_told_elsewhere() {
    let elsewhere = Elsewhere::new();
    let mail = receiver(&elsewhere, "smtp", "at-once").await;
    let (port, ca) = (mail.port, elsewhere.path("ca.pem"));
    let password = elsewhere.secret("pass", "hush");
    let dead = elsewhere.secret("dead", &format!("https://localhost:{}/slack", free_port()));
    let notify = format!(
        "  far: {{ to: slack, url-file: {dead}, ca: {ca}, give-up-after: 1h }}\n\
         \x20 near: {{ to: smtp, tls: at-once, about: [operation], address: \"localhost:{port}\", user: gate, \
         password: {password}, from: gate@bank.example, recipients: [desk@bank.example], ca: {ca} }}"
    );
    let mut gate = gate(&notify, Clock::fixed(NOW_S * 1000)).await;
    ask(&gate, "hq").await;
    until("the request to be recorded", || asked(&gate).len() == 1).await;
    gate.advance_s(2 * 3600);
    let given_up = |gate: &Gate| {
        let mut alerts = gate.entries_so_far().into_iter().filter_map(|entry| entry.alert);
        alerts.find(|alert| alert.concern == Concern::Notice)
    };
    until("it to be given up", || given_up(&gate).is_some()).await;
    assert!(given_up(&gate).unwrap().kinds.iter().eq(["far"]));
    until("the other target to hear of it", || !taken(&elsewhere, "smtp").is_empty()).await;
    let told = &taken(&elsewhere, "smtp")[0];
    assert_eq!(told["subject"], "[menshen] Notices did not get to far");
    let text = metrics(&gate).await;
    assert!(text.contains("menshen_notices_given_up_total{target=\"far\"} 1"), "{text}");
    gate.stop().await;
}

fn mail_to(port: u16, ca: &str, start: Start) -> Settings {
    let security = Security::Tls { server_name: "localhost".into(), ca: ca.into(), identity: None };
    Settings {
        name: "mail".into(),
        language: Language::English,
        about: Vec::new(),
        give_up_after: Duration::from_secs(3600),
        to: To::Mail(MailSettings {
            peer: Peer { host: "127.0.0.1".into(), port, security },
            start,
            login: None,
            from: "gate@bank.example".into(),
            recipients: vec!["desk@bank.example".into()],
        }),
    }
}

fn message() -> Message {
    let notice = Notice {
        kind: Kind::Test,
        entry: "e".into(),
        at_ms: 0,
        node: "g".into(),
        who: String::new(),
        what: String::new(),
        count: 1,
        number: 0,
    };
    Message { id: "e-1".into(), notice, at_ms: 0 }
}

/// A mail server that says these words, each after what it heard; gives all that it heard.
async fn says(words: &'static [&'static str]) -> (u16, tokio::task::JoinHandle<String>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = tokio_util::task::TaskTracker::new().spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = String::new();
        for word in words {
            stream.write_all(word.as_bytes()).await.unwrap();
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).await.unwrap_or(0);
            heard.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        heard
    });
    (port, heard)
}

#[tokio::test]
async fn a_mail_server_that_will_not_encrypt_hears_nothing_but_a_greeting() {
    let elsewhere = Elsewhere::new();
    let ca = elsewhere.path("ca.pem");
    for (words, expected) in [
        (&["220 mx\r\n", "250-mx\r\n250 AUTH PLAIN\r\n"][..], "STARTTLS"),
        // Said before the encryption, to be taken for something that was said under it.
        (
            &["220 mx\r\n", "250 STARTTLS\r\n", "220 go\r\n250 AUTH PLAIN\r\n"],
            "a clean beginning of TLS",
        ),
        (&["hello\r\n"], "replies as SMTP has them"),
    ] {
        let (port, heard) = says(words).await;
        let error = send(&mail_to(port, &ca, Start::StartTls), &message()).await.unwrap_err();
        let NotifyError::Lacking { lacking, .. } = error else { panic!("{error}") };
        assert_eq!(lacking, expected);
        let heard = heard.await.unwrap();
        assert!(!heard.contains("MAIL") && !heard.contains("gate@"), "{heard}");
    }
    let (port, _) = says(&["220 mx\r\n"]).await;
    let refused = send(&mail_to(port, &ca, Start::StartTls), &message()).await;
    assert!(matches!(refused, Err(NotifyError::Way(_))), "a connection that ends early");
}

#[tokio::test]
async fn a_mail_server_with_a_certificate_of_somebody_else_hears_nothing() {
    let (elsewhere, other) = (Elsewhere::new(), Elsewhere::new());
    for start in ["start", "at-once"] {
        let mail = receiver(&elsewhere, "smtp", start).await;
        let begins = if start == "start" { Start::StartTls } else { Start::Tls };
        let refused = send(&mail_to(mail.port, &other.path("ca.pem"), begins), &message()).await;
        assert!(matches!(refused, Err(NotifyError::Way(_))), "{refused:?}");
    }
    assert!(taken(&elsewhere, "smtp").is_empty());
}

#[tokio::test]
async fn a_certificate_near_its_end_is_an_alert() {
    let mut gate = Setup::policy(OPEN_BANK).prepare(Clock::fixed(NOW_S * 1000)).await;
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["bank.example".to_owned()]).unwrap();
    let soon = Clock::system().unix_s() + 5 * 24 * 3600;
    let day = jiff::Timestamp::from_second(soon).unwrap().to_zoned(jiff::tz::TimeZone::UTC).date();
    let [month, of_month] = [day.month(), day.day()].map(|n| u8::try_from(n).unwrap());
    params.not_after = rcgen::date_time_ymd(day.year().into(), month, of_month);
    std::fs::write(gate.path("gate.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(gate.path("gate.key"), key.serialize_pem()).unwrap();
    gate.start().await;
    let near = |gate: &Gate| {
        let is_it = |entry: &Entry| {
            entry.alert.as_ref().is_some_and(|alert| alert.concern == Concern::Certificate)
        };
        gate.entries_so_far().into_iter().filter(is_it).count()
    };
    until("the alert of both listeners", || near(&gate) == 2).await;
    gate.stop().await;
}

#[test]
fn faults_in_notify_are_told_with_their_place() {
    let fault = |target: &str| {
        let text = format!("notify:\n  desk: {{ {target} }}\n");
        let source = Source { name: "menshen.yaml".into(), text };
        Config::parse(source, std::path::Path::new("")).unwrap_err().to_string()
    };
    for (target, said) in [
        ("to: pager", "pager"),
        ("to: slack, ca: a.pem", "`url-file`"),
        ("to: slack, url-file: u", "`ca`"),
        ("to: slack, url-file: u, plain: anywhere", "can only be `loopback`"),
        ("to: slack, url-file: u, ca: a, secret: s", "`secret`"),
        ("to: slack, url-file: u, ca: a, about: [gossip]", "gossip"),
        ("to: slack, url-file: u, ca: a, language: fr", "fr"),
        ("to: slack, url-file: u, ca: a, give-up-after: 1s", "`give-up-after` must be between"),
        ("to: webhook, url: \"https://h/\", ca: a", "`secret`"),
        ("to: webhook, url: \"http://h/\", secret: s, ca: a", "must begin with `https://`"),
        (
            "to: smtp, address: \"m:587\", ca: a, from: g, recipients: [a@b]",
            "`g` is not a mail address",
        ),
        (
            "to: smtp, address: \"m:587\", ca: a, from: g@b, recipients: [\"a@b>\"]",
            "`a@b>` is not a mail address",
        ),
        ("to: smtp, address: \"m:587\", ca: a, from: g@b, recipients: []", "1 to 50 addresses"),
        (
            "to: smtp, address: \"m:587\", ca: a, from: g@b, recipients: [a@b], user: u",
            "`password`",
        ),
        ("to: smtp, address: \"m:587\", ca: a, from: g@b, recipients: [a@b], tls: never", "never"),
        ("to: smtp, address: \"m:25\", from: g@b, recipients: [a@b]", "`ca`"),
    ] {
        let told = fault(target);
        assert!(told.contains(said), "{target}: {told}");
    }
}
