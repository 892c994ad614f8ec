//! A real Chromium before a gate, driven over the DevTools protocol, with a virtual authenticator.
//!
//! It trusts the authority of the test's gate and finds the gate's hosts on this machine. Where there is no
//! Chromium the tests fail; `tests/setup.sh` installs it.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A browser starts and works slowly beside other tests.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

pub(crate) struct Browser {
    child: Child,
    _profile: TempDir,
    socket: TcpStream,
    session: String,
    authenticator: String,
    last_id: u64,
    /// What the browser refused for the sake of a page's policy, and scripts that failed.
    pub(crate) complaints: Vec<String>,
}

impl Browser {
    /// Starts one that trusts certificates of the authority with this hash of its key.
    pub(crate) async fn start(trusted: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let child = Command::new("chromium")
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args([
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
            ])
            .args(["--disable-sync", "--disable-quic", "--remote-debugging-port=0"])
            .arg("--host-resolver-rules=MAP *.example 127.0.0.1")
            .arg(format!("--ignore-certificate-errors-spki-list={trusted}"))
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("Chromium ({error}): run `sh tests/setup.sh`"));
        let port_file = profile.path().join("DevToolsActivePort");
        let found = patiently("Chromium to start", async || {
            let text = std::fs::read_to_string(&port_file).ok()?;
            let (port, path) = text.trim().split_once('\n')?;
            Some((port.parse::<u16>().ok()?, path.to_owned()))
        });
        let (port, path) = found.await;
        let socket = upgrade(port, &path).await;
        let (session, authenticator) = Default::default();
        let (last_id, complaints) = (0, Vec::new());
        let mut browser =
            Self { child, _profile: profile, socket, session, authenticator, last_id, complaints };
        browser.open_tab().await;
        browser
    }

    async fn open_tab(&mut self) {
        let target = self.call("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = self.call("Target.attachToTarget", attach).await;
        self.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Network", "Log"] {
            self.call(&format!("{domain}.enable"), json!({})).await;
        }
        self.call("WebAuthn.enable", json!({ "enableUI": false })).await;
    }

    /// Calls a method of the DevTools protocol.
    pub(crate) async fn call(&mut self, method: &str, params: Value) -> Value {
        let answer = self.try_call(method, params).await;
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    async fn try_call(&mut self, method: &str, params: Value) -> Result<Value, String> {
        self.last_id += 1;
        let id = self.last_id;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        write_text(&mut self.socket, &message.to_string()).await;
        loop {
            let read = tokio::time::timeout(PATIENCE, read_text(&mut self.socket));
            let text = read.await.unwrap_or_else(|_| panic!("no answer to {method}"));
            let said: Value = serde_json::from_str(&text).unwrap();
            if said["id"] == id {
                let error = said["error"]["message"].as_str();
                return error.map_or_else(|| Ok(said["result"].clone()), |e| Err(e.to_owned()));
            }
            self.hear(&said);
        }
    }

    fn hear(&mut self, event: &Value) {
        let entry = &event["params"]["entry"];
        if event["method"] == "Log.entryAdded" && entry["source"] == "security" {
            self.complaints.push(entry["text"].to_string());
        }
        if event["method"] == "Runtime.exceptionThrown" {
            self.complaints.push(event["params"]["exceptionDetails"].to_string());
        }
    }
}

/// As a person uses it.
impl Browser {
    pub(crate) async fn goto(&mut self, url: &str) {
        let gone = self.call("Page.navigate", json!({ "url": url })).await;
        assert_eq!(gone["errorText"], json!(null), "{url}");
        self.until("document.readyState == 'complete'").await;
    }

    pub(crate) async fn click(&mut self, css: &str) {
        let element = format!("document.querySelector({})", json!(css));
        self.until(&format!("!!{element}")).await;
        self.js(&format!("{element}.click()")).await;
    }

    pub(crate) async fn fill(&mut self, css: &str, text: &str) {
        let element = format!("document.querySelector({})", json!(css));
        self.until(&format!("!!{element}")).await;
        self.js(&format!("{element}.value = {}", json!(text))).await;
    }

    pub(crate) async fn sees(&mut self, text: &str) {
        self.until(&format!("document.body.innerText.includes({})", json!(text))).await;
    }

    pub(crate) async fn text(&mut self) -> String {
        self.js("document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the expression is true.
    pub(crate) async fn until(&mut self, expression: &str) {
        let begun = tokio::time::Instant::now();
        while self.try_js(expression).await != Ok(json!(true)) {
            if begun.elapsed() > PATIENCE {
                panic!("waited in vain for {expression}; the page says: {}", self.text().await);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    pub(crate) async fn js(&mut self, expression: &str) -> Value {
        self.try_js(expression).await.unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    async fn try_js(&mut self, expression: &str) -> Result<Value, String> {
        let params =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.try_call("Runtime.evaluate", params).await?;
        match answer.get("exceptionDetails") {
            Some(details) => Err(details.to_string()),
            None => Ok(answer["result"]["value"].clone()),
        }
    }
}

/// As somebody uses it who has no pointer.
impl Browser {
    /// One key, down and up: `Tab`, `Enter` or `Space`.
    pub(crate) async fn press(&mut self, code: &str) {
        let (key, number, text) = match code {
            "Tab" => ("Tab", 9, ""),
            "Enter" => ("Enter", 13, "\r"),
            "Space" => (" ", 32, " "),
            other => panic!("no key `{other}`"),
        };
        let kind = if text.is_empty() { "rawKeyDown" } else { "keyDown" };
        for kind in [kind, "keyUp"] {
            let mut event =
                json!({ "type": kind, "key": key, "code": code, "windowsVirtualKeyCode": number });
            if kind == "keyDown" {
                event["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Types into whatever has the focus.
    pub(crate) async fn types(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text })).await;
    }

    /// Goes on by `Tab` until the element has the focus, which can be seen.
    pub(crate) async fn tab_to(&mut self, css: &str) {
        let css = json!(css);
        let there = format!("!!document.querySelector({css}) && document.readyState == 'complete'");
        self.until(&there).await;
        let has_focus = format!("document.activeElement.matches({css})");
        for _ in 0..40 {
            if self.js(&has_focus).await == json!(true) {
                let ring =
                    "(look => look.outlineStyle != 'none' && parseFloat(look.outlineWidth) > 0)(
                    getComputedStyle(document.activeElement))";
                assert_eq!(
                    self.js(ring).await,
                    json!(true),
                    "nobody sees that {css} has the focus"
                );
                return;
            }
            self.press("Tab").await;
        }
        panic!("no key leads to {css}; the page says: {}", self.text().await);
    }
}

/// The virtual authenticator.
impl Browser {
    /// Plugs one in, in place of another. It stores passkeys and somebody is always present.
    pub(crate) async fn authenticator(&mut self, knows_its_person: bool) {
        if !self.authenticator.is_empty() {
            let old = json!({ "authenticatorId": self.authenticator });
            self.call("WebAuthn.removeVirtualAuthenticator", old).await;
        }
        let options = json!({ "options": {
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
            "hasUserVerification": knows_its_person, "isUserVerified": knows_its_person,
            "automaticPresenceSimulation": true,
        }});
        let added = self.call("WebAuthn.addVirtualAuthenticator", options).await;
        self.authenticator = added["authenticatorId"].as_str().unwrap().to_owned();
    }

    /// Whether its check of the person succeeds.
    pub(crate) async fn verify_person(&mut self, succeeds: bool) {
        let id = &self.authenticator;
        let params = json!({ "authenticatorId": id, "isUserVerified": succeeds });
        self.call("WebAuthn.setUserVerified", params).await;
    }

    /// The passkeys in it.
    pub(crate) async fn passkeys(&mut self) -> Vec<Value> {
        let id = json!({ "authenticatorId": self.authenticator });
        let held = self.call("WebAuthn.getCredentials", id).await;
        held["credentials"].as_array().unwrap().clone()
    }

    /// Puts these in place of those that it has, as a copy of it would have them.
    pub(crate) async fn restore(&mut self, passkeys: &[Value]) {
        let id = self.authenticator.clone();
        self.call("WebAuthn.clearCredentials", json!({ "authenticatorId": id })).await;
        for passkey in passkeys {
            let params = json!({ "authenticatorId": id, "credential": passkey });
            self.call("WebAuthn.addCredential", params).await;
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().unwrap();
    }
}

async fn patiently<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = tokio::time::Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// Opens the websocket (RFC 6455). Whether the answer fits the key is of no interest here.
async fn upgrade(port: u16, path: &str) -> TcpStream {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let key = STANDARD.encode([7; 16]);
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(socket.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    socket
}

/// One frame of text, masked with zeros: nothing stands between the test and the browser.
async fn write_text(socket: &mut TcpStream, text: &str) {
    let mut frame = vec![0x81];
    match (u8::try_from(text.len()), u16::try_from(text.len())) {
        (Ok(length @ ..126), _) => frame.push(0x80 | length),
        (_, Ok(length)) => {
            frame.push(0x80 | 126);
            frame.extend(length.to_be_bytes());
        }
        (_, Err(_)) => {
            frame.push(0x80 | 127);
            frame.extend(u64::try_from(text.len()).unwrap().to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(text.as_bytes());
    socket.write_all(&frame).await.unwrap();
}

/// The next message of text, put together from its frames.
async fn read_text(socket: &mut TcpStream) -> String {
    let mut message = Vec::new();
    loop {
        let head = socket.read_u8().await.unwrap();
        let length = match socket.read_u8().await.unwrap() {
            126 => u64::from(socket.read_u16().await.unwrap()),
            127 => socket.read_u64().await.unwrap(),
            short => u64::from(short),
        };
        let mut part = vec![0; usize::try_from(length).unwrap()];
        socket.read_exact(&mut part).await.unwrap();
        // A ping or the like is no part of a message.
        if head & 0x0f < 8 {
            message.extend(part);
            if head & 0x80 != 0 {
                return String::from_utf8(message).unwrap();
            }
        }
    }
}
