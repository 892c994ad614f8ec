use super::settings::{App, MailSettings, Start};
use super::words::texts;
use super::{Kind, Language, Notice, NotifyError, mail, sign};
use crate::audit::{Act, Actor, Alert, Concern, Entry, EntryId, Event, Found, Moment, Stamp, Why};
use crate::ship::{Peer, Security};

fn entry(event: Event) -> Entry {
    let id = EntryId::new(1_800_000_000_000, [1; 10]);
    let mut entry =
        Entry::new(event, Stamp { id, time: Moment(1_800_000_000_000), node: "g1".into() });
    entry.actor = Some(Actor { account: "corp:wang".into(), ..Actor::default() });
    entry
}

fn act(name: &str, object: &str) -> Entry {
    let mut entry = entry(Event::Change);
    entry.act = Some(Act { name: name.into(), object: object.into(), ..Act::default() });
    entry
}

#[test]
fn what_needs_a_person_is_told_and_what_does_not_is_not() {
    let kind = |entry: &Entry| Notice::of(entry).map(|notice| notice.kind);
    assert_eq!(kind(&act("switch_on_asked", "tenant hq")), Some(Kind::RequestWaits));
    assert_eq!(kind(&act("partner_drafted", "partner swift")), Some(Kind::RequestWaits));
    assert_eq!(kind(&act("partner_reviewed", "partner swift")), Some(Kind::RequestWaits));
    assert_eq!(kind(&act("partner_activated", "partner swift")), None);
    assert_eq!(kind(&act("policy_refused", "policy")), Some(Kind::PolicyRefused));
    let refused = act("configuration_refused", "configuration");
    assert_eq!(kind(&refused), Some(Kind::ConfigurationRefused));
    assert_eq!(kind(&act("grant_asked", "grant 7")), Some(Kind::GrantAsked));
    assert_eq!(kind(&act("glass_broken", "grant 7")), Some(Kind::BreakGlass));
    assert_eq!(kind(&act("grant_review_due", "grant 7")), Some(Kind::ReviewDue));
    assert_eq!(kind(&act("grant_review_overdue_drill", "grant 7")), Some(Kind::ReviewDue));
    assert_eq!(kind(&act("switch_on", "tenant hq")), None);
    assert_eq!(kind(&act("started", "policy 1")), None);
    assert_eq!(kind(&entry(Event::Decision)), None);
    for concern in Concern::ALL {
        let mut alert = entry(Event::Alert);
        alert.alert = Some(Alert::new(*concern, 3));
        assert!(kind(&alert).is_some(), "{concern}");
    }
}

#[test]
fn a_reason_that_somebody_wrote_is_never_told() {
    let mut entry = act("switch_on_asked", "person corp:li");
    entry.why = Some(Why { reason: "guest Zhang 13800138000".into(), ..Why::default() });
    let notice = Notice::of(&entry).unwrap();
    assert!(!serde_json::to_string(&notice).unwrap().contains("Zhang"));
}

#[test]
fn a_finding_says_which_detection_whose_and_whether_it_was_a_drill() {
    let mut entry = entry(Event::Alert);
    let mut alert = Alert::new(Concern::Finding, 400);
    alert.found = Some(Found {
        finding: 9,
        detection: "zero-hits".into(),
        said: "400 searches".into(),
        action: "slow".into(),
        drill: true,
    });
    entry.alert = Some(alert);
    let notice = Notice::of(&entry).unwrap();
    let (title, text) = Language::English.tell(&notice);
    assert_eq!(title, "A detection found something: zero-hits: slow (drill)");
    assert!(text.contains("corp:wang") && text.contains("finding 9"), "{text}");
    assert!(text.contains(&notice.entry) && text.contains("2027-01-15 08:00:00 UTC"), "{text}");
}

#[test]
fn names_are_cut_and_stand_on_one_line() {
    let long = "x\r\nBcc: all".repeat(100);
    let notice = Notice::of(&act("switch_on_asked", &long)).unwrap();
    assert!(notice.what.chars().count() <= 121 && !notice.what.contains(['\r', '\n']));
}

#[test]
fn every_language_names_the_same_things_and_no_place_is_left() {
    let places = |text: &str| {
        let mut places: Vec<_> =
            text.split('{').skip(1).map(|r| r.split('}').next().unwrap().to_owned()).collect();
        places.sort();
        places
    };
    let notice = Notice { count: 7, number: 3, ..Notice::of(&act("policy_refused", "p")).unwrap() };
    for kind in Kind::ALL {
        let texts = texts(kind);
        for (title, text) in &texts[1..] {
            assert_eq!(places(title), places(texts[0].0), "{title}");
            assert_eq!(places(text), places(texts[0].1), "{text}");
        }
        for language in Language::ALL {
            let (title, text) = language.tell(&Notice { kind, ..notice.clone() });
            assert!(!title.contains(['{', '}']) && !text.contains(['{', '}']), "{title}: {text}");
        }
    }
}

#[test]
fn a_name_in_braces_is_a_name() {
    let notice =
        Notice { who: "{entry}".into(), ..Notice::of(&act("grant_asked", "{who}")).unwrap() };
    let (_, text) = Language::English.tell(&notice);
    assert!(text.starts_with("{entry} asks for a grant: grant_asked {who}."), "{text}");
}

#[test]
fn what_is_single_keeps_apart_and_the_rest_adds_up() {
    let key = |name, object| Notice::of(&act(name, object)).unwrap().merge_key();
    let other = Notice { entry: "other".into(), ..Notice::of(&act("grant_asked", "g")).unwrap() };
    assert_ne!(key("grant_asked", "g"), other.merge_key());
    let again =
        Notice { entry: "other".into(), ..Notice::of(&act("policy_refused", "p")).unwrap() };
    assert_eq!(key("policy_refused", "p"), again.merge_key());
}

/// The example of the specification, <https://github.com/standard-webhooks/standard-webhooks>.
#[test]
fn a_hook_is_signed_as_the_standard_webhooks_say() {
    let key = sign::hook_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let signed =
        sign::hook(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
    assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    for weak in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_!", ""] {
        assert!(sign::hook_key(weak).is_none(), "{weak}");
    }
}

#[test]
fn each_app_gets_its_own_form_and_no_mention_or_link_of_a_name() {
    let text = "corp:<!channel> <at user_id=\"all\"></at> @all & more";
    let body = |app: App, secret| app.post(text, secret, 1_700_000_000_123);
    let slack = body(App::Slack, None).body;
    assert!(slack.contains("&lt;!channel&gt;") && slack.contains("&amp; more"), "{slack}");
    for app in [App::DingTalk, App::WeCom] {
        let json: serde_json::Value = serde_json::from_str(&body(app, None).body).unwrap();
        assert_eq!(json["msgtype"], "text");
        let content = json["text"]["content"].as_str().unwrap();
        assert!(!content.contains(['<', '@']), "{content}");
    }
    let ding = body(App::DingTalk, Some("SEC1"));
    assert!(ding.query.starts_with("timestamp=1700000000123&sign="), "{}", ding.query);
    assert!(!ding.query.contains(['+', '/']) && ding.query.ends_with("%3D"), "{}", ding.query);
    let feishu: serde_json::Value =
        serde_json::from_str(&body(App::Feishu, Some("s")).body).unwrap();
    assert_eq!(feishu["timestamp"], "1700000000");
    assert!(feishu["sign"].is_string() && feishu["content"]["text"].is_string());
}

#[test]
fn a_text_is_cut_to_what_every_app_takes() {
    let post = App::WeCom.post(&"客".repeat(2000), None, 0);
    let json: serde_json::Value = serde_json::from_str(&post.body).unwrap();
    assert!(json["text"]["content"].as_str().unwrap().len() <= 2048);
}

#[test]
fn an_app_that_says_no_with_a_status_of_success_has_not_taken_it() {
    let refused = |app: App, answer: &str| {
        matches!(app.took("p", answer.as_bytes()), Err(NotifyError::Refused { .. }))
    };
    assert!(App::DingTalk.took("p", br#"{"errcode":0,"errmsg":"ok"}"#).is_ok());
    assert!(refused(App::DingTalk, r#"{"errcode":310000,"errmsg":"sign not match"}"#));
    assert!(refused(App::WeCom, r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#));
    let both = br#"{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}"#;
    assert!(App::Feishu.took("p", both).is_ok());
    assert!(refused(App::Feishu, r#"{"code":19021,"data":{},"msg":"sign match fail"}"#));
    assert!(App::Slack.took("p", b"ok").is_ok());
    for (app, other) in
        [(App::Slack, "invalid_payload"), (App::Feishu, "<html>"), (App::WeCom, "{}")]
    {
        assert!(matches!(app.took("p", other.as_bytes()), Err(NotifyError::Answer(_))), "{other}");
    }
}

#[test]
fn a_mail_is_ascii_with_short_lines_and_its_text_cannot_end_it() {
    let settings = MailSettings {
        peer: Peer { host: "m".into(), port: 25, security: Security::PlainOnLoopback },
        start: Start::Tls,
        login: None,
        from: "gate@bank.example".into(),
        recipients: vec!["a@bank.example".into(), "b@bank.example".into()],
    };
    let text = format!("{}\n.\nQUIT\n", "客户".repeat(100));
    let mail = mail::message(&settings, "id-1", 1_800_000_000, ("标题\r\nBcc: x@y", &text));
    assert!(
        mail.is_ascii() && mail.lines().all(|line| line.len() <= 76 && !line.starts_with('.')),
        "{mail}"
    );
    assert!(
        !mail.contains("Bcc") && mail.contains("Date: Fri, 15 Jan 2027 08:00:00 +0000\r\n"),
        "{mail}"
    );
    assert!(mail.contains("Message-ID: <id-1@bank.example>\r\n"), "{mail}");
    assert_eq!(mail.matches('\n').count(), mail.matches("\r\n").count());
}
