//! The pages in a real Chromium: all three levels of assurance, what each of them shows, a request that is led
//! through the highest, and whether the pages can be used by everybody.

use menshen::clock::Clock;
use menshen::demo::stage::{Options, Stage};
use menshen::demo::{codes, people};
use menshen::secret::Secret;
use serde_json::{Value, json};

use crate::harness::browser::Browser;
use crate::harness::{Gate, OPEN_BANK, Reply, Setup};

const PASSWORD: &str = "a quiet lantern";
/// Sends a form of a page of the bank's.
const FORM: &str =
    "const form = document.createElement('form'); form.method = 'post'; form.action = '/one';
        const field = document.createElement('input'); field.name = 'name'; field.value = 'li wei';
        form.append(field); document.body.append(form); form.submit()";

/// A bank whose telephone numbers need a code and whose notes need a key, and where adding a customer needs a
/// fresh key.
fn policy() -> String {
    let grades = "grades: { 1: {}, 2: { assurance: 2 }, 3: { assurance: 3 }, sealed: {} }";
    let create =
        "    action: create\n    require: { assurance: 3, fresh: 5m }\n    sent-as: [json, form]\n";
    OPEN_BANK
        .replace("grades: { 1: {}, 2: {}, sealed: {} }", grades)
        .replace("      note: 1\n", "      note: { grade: 3, kind: opaque }\n")
        .replace("clear: [id, name, note,", "clear: [id, name, note, phone,")
        .replace("masked: [phone, ", "masked: [")
        .replace("    action: create\n", create)
}

/// A person at a browser before a gate, with a password and an authenticator app.
struct Desk {
    gate: Gate,
    browser: Browser,
    site: String,
    secret: Secret<Vec<u8>>,
}

impl Desk {
    async fn set() -> Self {
        Self::of(&policy()).await
    }

    async fn of(policy: &str) -> Self {
        let setup = Setup::policy(policy).tweak(|config| config.addresses.attempts.burst = 1000);
        let gate = setup.start().await;
        let one = r#"{"id":1,"name":"li","phone":"13812345678","note":"rings at night"}"#;
        gate.upstream.answers(Reply::json(one));
        gate.add_account("wang", PASSWORD, "teller").await;
        let secret = gate.enrol("wang").await;
        let mut browser = Box::pin(Browser::start(&gate.ca_key_hash)).await;
        browser.authenticator(true).await;
        let site = format!("https://bank.example:{}", gate.server().addresses()[0].port());
        Self { gate, browser, site, secret }
    }

    async fn goto(&mut self, path: &str) {
        let url = format!("{}{path}", self.site);
        self.browser.goto(&url).await;
    }

    async fn show_password(&mut self) {
        self.goto("/.menshen/login").await;
        self.browser.fill("#account", "wang").await;
        self.browser.fill("#password", PASSWORD).await;
        self.browser.click("form button").await;
        self.browser.until("location.pathname == '/.menshen/code'").await;
    }

    /// Types the next code where the page asks for one.
    async fn show_code(&mut self) {
        self.gate.advance_s(30);
        let code = self.gate.code(&self.secret);
        self.browser.fill("#code", &code).await;
        self.browser.click("form button").await;
        self.browser.until("!document.querySelector('#code')").await;
    }

    /// From nobody to a passkey in the authenticator.
    async fn register(&mut self) {
        self.show_password().await;
        self.show_code().await;
        self.browser.sees("assurance level 2").await;
        self.browser.fill("#passkey-name", "blue key").await;
        self.browser.click("#passkey-register").await;
        self.browser.sees("The passkey was registered.").await;
    }

    async fn forget_cookies(&mut self) {
        self.browser.call("Network.clearBrowserCookies", json!({})).await;
    }

    async fn enter(&mut self) {
        self.goto("/.menshen/login").await;
        self.browser.click("#passkey-sign-in").await;
    }

    /// What the gate lets the browser see of a customer.
    async fn looks_at(&mut self) -> Value {
        self.goto("/one/1").await;
        serde_json::from_str(&self.browser.text().await).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn password_code_and_passkey_each_show_more() {
    let mut desk = Desk::set().await;
    desk.show_password().await;
    assert_eq!(desk.looks_at().await, json!({ "id": 1, "name": "li" }));
    desk.goto("/.menshen/session").await;
    desk.browser.click("a[href='/.menshen/code']").await;
    desk.show_code().await;
    assert_eq!(desk.looks_at().await, json!({ "id": 1, "name": "li", "phone": "13812345678" }));
    desk.goto("/.menshen/session").await;
    desk.browser.click("#passkey-register").await;
    desk.browser.sees("My passkey: gives level 3").await;
    desk.browser.click("#passkey-raise").await;
    desk.browser.sees("assurance level 3").await;
    assert_eq!(
        desk.looks_at().await,
        json!({ "id": 1, "name": "li", "phone": "13812345678", "note": "rings at night" })
    );
    assert_eq!(desk.browser.complaints, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_three_levels_as_its_guide_says() {
    let options = Options { listen: "127.0.0.1:0".parse().unwrap(), folder: None };
    let stage = Stage::set(&options, Clock::system()).await.unwrap();
    let site = format!("https://bank.example:{}", stage.address().unwrap().port());
    let known = people::customer(0);
    let mut browser = Browser::start(stage.ca_key_hash()).await;
    browser.authenticator(true).await;
    browser.goto(&format!("{site}/.menshen/login")).await;
    browser.fill("#account", "zhao.lei").await;
    browser.fill("#password", "plum-rain-in-june").await;
    browser.click("form button").await;
    browser.until("location.pathname == '/.menshen/code'").await;
    let one = looked_up(&mut browser, &site).await;
    assert!(one.contains(&known.name) && !one.contains(&known.phone), "{one}");
    browser.goto(&format!("{site}/.menshen/session")).await;
    browser.click("a[href='/.menshen/code']").await;
    let code = codes::current(stage.path(), "zhao.lei", Clock::system().unix_s()).unwrap();
    browser.fill("#code", &code.digits).await;
    browser.click("form button").await;
    browser.sees("assurance level 2").await;
    let two = looked_up(&mut browser, &site).await;
    assert!(two.contains(&known.phone) && !two.contains(&known.id_number), "{two}");
    browser.goto(&format!("{site}/.menshen/session")).await;
    browser.click("#passkey-register").await;
    browser.sees("My passkey: gives level 3").await;
    browser.click("#passkey-raise").await;
    browser.sees("assurance level 3").await;
    let three = looked_up(&mut browser, &site).await;
    assert!(three.contains(&known.id_number), "{three}");
    assert_eq!(browser.complaints, [""; 0]);
    stage.strike().await;
}

/// What the browser gets of the demo's first customer, for the purpose that it is asked for.
async fn looked_up(browser: &mut Browser, site: &str) -> String {
    browser.goto(&format!("{site}/api/customers/1001")).await;
    is_clean(browser, &axe(), "Say what for").await;
    browser.click("#purpose-risk").await;
    browser.click("form button").await;
    browser.sees("\"branch\"").await;
    browser.text().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_signs_in_alone_and_a_copy_of_it_does_not() {
    let mut desk = Desk::set().await;
    desk.register().await;
    desk.browser.sees("blue key: gives level 3").await;
    let copies = desk.browser.passkeys().await;
    assert_eq!(copies.len(), 1);
    desk.forget_cookies().await;
    desk.enter().await;
    desk.browser.sees("signed in as wang at assurance level 3").await;
    desk.browser.click("form[action='/.menshen/logout'] button").await;
    desk.browser.sees("Your session on this host has ended.").await;
    desk.browser.restore(&copies).await;
    desk.enter().await;
    desk.browser.sees("The passkey was not accepted.").await;
    assert_eq!(desk.browser.js("location.pathname").await, "/.menshen/login");
    desk.browser.restore(&[]).await;
    desk.enter().await;
    desk.browser.sees("No passkey was shown.").await;
    let entries = desk.gate.entries().await;
    assert!(entries.iter().any(|entry| entry.alert.is_some()), "the copy is an alert");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_that_did_not_check_its_person_gives_no_level_3() {
    let mut desk = Desk::set().await;
    desk.register().await;
    desk.browser.verify_person(false).await;
    desk.goto("/.menshen/session").await;
    desk.browser.click("#passkey-raise").await;
    desk.browser.sees("No passkey was shown.").await;
    desk.forget_cookies().await;
    desk.enter().await;
    desk.browser.sees("No passkey was shown.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_that_never_checks_anybody_gives_level_2_beside_a_password() {
    let mut desk = Desk::set().await;
    desk.browser.authenticator(false).await;
    desk.register().await;
    desk.browser.sees("blue key: gives level 2").await;
    desk.forget_cookies().await;
    desk.show_password().await;
    desk.browser.click("#passkey-raise").await;
    desk.browser.sees("assurance level 2").await;
    assert_eq!(desk.looks_at().await.get("note"), None);
    desk.enter().await;
    desk.browser.sees("No passkey was shown.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_survives_the_passkey_that_it_needs_and_is_sent_once() {
    let mut desk = Desk::set().await;
    desk.register().await;
    desk.goto("/.menshen/session").await;
    desk.browser.js(FORM).await;
    desk.browser.until("location.pathname == '/.menshen/step-up'").await;
    desk.browser.sees("One more step").await;
    desk.is_clean(&axe(), "One more step").await;
    assert_eq!(
        desk.browser.js("!!document.querySelector('#code')").await,
        false,
        "no code would do"
    );
    assert_eq!(desk.gate.upstream.hits(), 0);
    desk.browser.click("#passkey-raise").await;
    desk.browser.sees("POST /one").await;
    desk.is_clean(&axe(), "Send your request").await;
    desk.browser.click("form button").await;
    desk.browser.sees("\"name\":\"li\"").await;
    let asked = desk.gate.upstream.asked().pop().unwrap();
    assert_eq!((asked.method.as_str(), asked.body.as_slice()), ("POST", &b"name=li%20wei"[..]));
    assert_eq!(desk.gate.upstream.hits(), 1);
    assert_eq!(desk.browser.complaints, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_can_be_used_by_keyboard_and_screen_reader() {
    let axe = axe();
    let mut desk = Desk::set().await;
    desk.goto("/.menshen/login").await;
    desk.is_clean(&axe, "Sign in").await;
    desk.browser.fill("#account", "wang").await;
    desk.browser.fill("#password", "not it at all").await;
    desk.browser.click("form button").await;
    desk.browser.sees("The sign-in was refused.").await;
    desk.is_clean(&axe, "Sign in").await;
    desk.show_password().await;
    desk.is_clean(&axe, "One-time code").await;
    desk.show_code().await;
    desk.is_clean(&axe, "Signed in").await;
    desk.browser.click("#passkey-register").await;
    desk.browser.sees("The passkey was registered.").await;
    desk.is_clean(&axe, "Signed in").await;
    for (path, title) in [
        ("devices", "Sessions and devices"),
        ("enrol", "One-time codes"),
        ("recovery", "Recovery codes"),
        ("password", "Change the password"),
    ] {
        desk.goto(&format!("/.menshen/{path}")).await;
        desk.is_clean(&axe, title).await;
    }
    desk.goto("/.menshen/session").await;
    desk.browser.click("#passkey-raise").await;
    desk.browser.sees("assurance level 3").await;
    desk.goto("/.menshen/devices").await;
    desk.is_clean(&axe, "Sessions and devices").await;
    desk.goto("/.menshen/recovery").await;
    desk.browser.click("form button").await;
    desk.browser.sees("shown only once").await;
    desk.is_clean(&axe, "Recovery codes").await;
    let invited = desk.gate.identity().invite("wang", "bank.example").await.unwrap();
    desk.goto(&format!("/.menshen/invitation?t={}", invited.token.expose())).await;
    desk.is_clean(&axe, "Welcome").await;
    desk.goto("/.menshen/enrol").await;
    desk.browser.click("form button").await;
    desk.browser.until("!!document.querySelector('svg.qr')").await;
    desk.is_clean(&axe, "One-time codes").await;
    desk.goto("/.menshen/step-up").await;
    desk.is_clean(&axe, "Nothing is kept").await;
    desk.goto("/.menshen/session").await;
    desk.browser.click("form[action='/.menshen/logout'] button").await;
    desk.browser.sees("Your session on this host has ended.").await;
    desk.is_clean(&axe, "Signed out").await;
    for (language, title) in
        [("zh-CN", "登录"), ("th", "เข้าสู่ระบบ"), ("ko-KR,en;q=0.5", "로그인"), ("id", "Masuk")]
    {
        let headers = json!({ "headers": { "Accept-Language": language } });
        desk.browser.call("Network.setExtraHTTPHeaders", headers).await;
        desk.goto("/.menshen/login").await;
        desk.is_clean(&axe, title).await;
    }
    assert_eq!(desk.browser.complaints, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_sign_in_to_a_kept_request_the_keyboard_alone_is_enough() {
    let work = "    to: teller\n    of: customer\n";
    let with_purpose = policy().replacen(work, &format!("{work}    purpose: service\n"), 1);
    let mut desk = Desk::of(&with_purpose).await;
    desk.browser.call("Emulation.setFocusEmulationEnabled", json!({ "enabled": true })).await;
    desk.goto("/.menshen/login").await;
    for (field, text) in [("#account", "wang"), ("#password", PASSWORD)] {
        desk.browser.tab_to(field).await;
        desk.browser.types(text).await;
    }
    desk.browser.press("Enter").await;
    desk.browser.until("location.pathname == '/.menshen/code'").await;
    desk.browser.tab_to("#code").await;
    let code = desk.gate.code(&desk.secret);
    desk.browser.types(&code).await;
    desk.browser.press("Enter").await;
    desk.browser.sees("assurance level 2").await;
    desk.browser.tab_to("#passkey-register").await;
    desk.browser.press("Enter").await;
    desk.browser.sees("The passkey was registered.").await;
    desk.goto("/one/1").await;
    desk.is_clean(&axe(), "Say what for").await;
    desk.says_what_for().await;
    desk.browser.sees("\"name\":\"li\"").await;
    desk.goto("/.menshen/session").await;
    desk.browser.js(FORM).await;
    desk.browser.sees("POST /one").await;
    desk.says_what_for().await;
    desk.browser.tab_to("#passkey-raise").await;
    desk.browser.press("Enter").await;
    desk.browser.sees("POST /one").await;
    desk.says_what_for().await;
    desk.browser.sees("\"name\":\"li\"").await;
    assert_eq!(desk.gate.upstream.asked().pop().unwrap().method, "POST");
    desk.goto("/.menshen/session").await;
    desk.browser.tab_to("form[action='/.menshen/logout'] button").await;
    desk.browser.press("Space").await;
    desk.browser.sees("Your session on this host has ended.").await;
    assert_eq!(desk.browser.complaints, [""; 0]);
}

impl Desk {
    /// Chooses the one purpose where one is to be chosen, and sends the request, by keyboard.
    async fn says_what_for(&mut self) {
        if self.browser.js("!!document.querySelector('#purpose-service')").await == json!(true) {
            self.browser.tab_to("#purpose-service").await;
            self.browser.press("Space").await;
        }
        self.browser.tab_to("form button").await;
        self.browser.press("Enter").await;
    }
}

/// The checker of accessibility that runs inside the page.
fn axe() -> String {
    let axe =
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/node_modules/axe-core/axe.min.js");
    std::fs::read_to_string(axe)
        .unwrap_or_else(|error| panic!("axe ({error}): run `sh tests/setup.sh`"))
}

impl Desk {
    async fn is_clean(&mut self, axe: &str, title: &str) {
        is_clean(&mut self.browser, axe, title).await;
    }
}

/// Axe finds nothing on the page with this heading, in light and in dark.
async fn is_clean(browser: &mut Browser, axe: &str, title: &str) {
    let is_there = format!(
        "document.readyState == 'complete' && document.querySelector('h1')?.innerText == '{title}'"
    );
    browser.until(&is_there).await;
    for scheme in ["light", "dark"] {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        browser.call("Emulation.setEmulatedMedia", json!({ "features": [feature] })).await;
        browser.js(&format!("{axe}; 0")).await;
        let run = "axe.run(document).then((ran) => ran.violations.map((one) =>
            one.id + ': ' + one.nodes.map((node) => node.html + ' ' + node.failureSummary).join()))";
        let found = browser.js(run).await;
        assert_eq!(found, json!([]), "{title}, {scheme}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_but_passkeys_works_without_a_script() {
    let mut desk = Desk::set().await;
    let off = json!({ "value": true });
    desk.browser.call("Emulation.setScriptExecutionDisabled", off).await;
    desk.goto("/.menshen/login").await;
    assert!(desk.browser.text().await.contains("Passkeys need JavaScript."));
    assert!(!desk.browser.text().await.contains("Sign in with a passkey"));
    desk.show_password().await;
    desk.show_code().await;
    desk.browser.sees("assurance level 2").await;
    desk.browser.click("form[action='/.menshen/logout'] button").await;
    desk.browser.sees("Your session on this host has ended.").await;
}
