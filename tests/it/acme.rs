//! Certificates by ACME, from an authority of the tests' own that looks at the gate's ports: ordered, shown, renewed, and
//! whatever fails, what was shown before stays.

mod directory;
mod look;

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use menshen::audit::Act;
use menshen::clock::Clock;
use menshen::config::Config;
use menshen::document::Source;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use crate::harness::client::Client;
use crate::harness::process::menshen;
use crate::harness::{Ask, Gate, OPEN_BANK, Process, Reply, Setup, soon};
use crate::reconfigured::{edit, hang_up};
use directory::{Behaviour, Directory, Ports};

const NAMES: [&str; 2] = ["bank.example", "api.bank.example"];
const PLAIN: &str = "redirect: { address: \"127.0.0.1:0\", hosts: [bank.example] }\n";

/// A gate whose first listener has its certificate from the directory.
async fn prepared(directory: &Directory, more: &str) -> Gate {
    prepared_with(directory, more, PLAIN).await
}

async fn prepared_with(directory: &Directory, more: &str, lines: &str) -> Gate {
    let url = directory.url();
    let acme = format!(
        "acme: {{ directory: \"{url}\", ca: acme-ca.pem, terms-agreed: true{more} }}\n{lines}"
    );
    let setup = Setup::policy(OPEN_BANK).plain().yaml(&acme).yaml("config-watch: false");
    let gate = setup.prepare(Clock::system()).await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    std::fs::write(gate.path("acme-ca.pem"), &directory.tls_ca_pem).unwrap();
    let names = NAMES.join(", ");
    let files = "zone: business, address: \"127.0.0.1:0\", certificate: gate.pem, key: gate.key";
    edit(&gate, files, &format!("zone: business, address: \"127.0.0.1:0\", acme: [{names}]"));
    gate
}

/// How a directory comes to refuse.
type Refuse = fn(&mut Behaviour);

struct Running {
    process: Process,
    tls: SocketAddr,
}

/// Starts the gate and tells the directory where its ports are.
async fn run(gate: &Gate, directory: &Directory) -> Running {
    let process = Process::run(gate, "info").await;
    let tls = process.client().address;
    let plain =
        match std::fs::read_to_string(gate.path("menshen.yaml")).unwrap().contains("redirect:") {
            false => None,
            true => {
                process.says("sends to the port with TLS").await;
                let said = process.said();
                let line =
                    said.lines().find(|line| line.contains("sends to the port with TLS")).unwrap();
                let (_, address) = line.split_once("address=").unwrap();
                Some(address.split_whitespace().next().unwrap().parse().unwrap())
            }
        };
    directory.knows(Ports { tls, plain });
    Running { process, tls }
}

impl Running {
    /// Waits until the listener shows what the directory issued, for this name, and asks over it.
    async fn serves(&self, gate: &Gate, directory: &Directory, name: &str) {
        let client = self.trusting(directory, name);
        let shows = async {
            while client.shake(&["h2"]).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        soon("the certificate that was issued", shows).await;
        let mut connection = client.h2().await;
        if name == "bank.example" {
            connection.send(Ask::get("/one/1").by(&gate.teller())).await.expect(200);
        }
    }

    /// A client that believes the directory alone.
    fn trusting(&self, directory: &Directory, name: &str) -> Client {
        Client { host: name.to_owned(), ..Client::new(self.tls, &directory.root_pem) }
    }

    /// The serial number of what is shown.
    async fn serial(&self) -> String {
        let (shown, _) = look::shown(self.tls, "bank.example", &[b"h2"]).await.unwrap();
        let (_, read) = X509Certificate::from_der(&shown).unwrap();
        read.raw_serial_as_string()
    }

    async fn stop(self) -> String {
        let (status, said) = self.process.stop().await;
        assert!(status.success(), "{said}");
        said
    }
}

fn kept(gate: &Gate) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(gate.path("state/acme"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    files
}

fn acts(gate: &Gate, name: &str) -> Vec<Act> {
    let acts = gate.entries_so_far().into_iter().filter_map(|entry| entry.act);
    acts.filter(|act| act.name.as_str() == name).collect()
}

/// What this file says of the names, in the second zone's files' stead.
fn faults(text: &str) -> String {
    let text = format!(
        "node: a\nstate: s\nlog: l\nkey: k\npolicies: p\nupstreams: {{ c: {{ address: \"x:1\", ca: c }} }}\n{text}\n"
    );
    let source = Source { name: "menshen.yaml".into(), text };
    let parsed = Config::parse(source, std::path::Path::new(""));
    parsed.err().map(|faults| faults.to_string()).unwrap_or_default()
}

#[tokio::test]
async fn a_listener_gets_its_certificate_by_either_challenge_and_keeps_it_over_a_restart() {
    for (challenge, more) in [("tls-alpn-01", ""), ("http-01", ", challenge: http-01")] {
        let directory = Directory::start(Behaviour::default()).await;
        let gate = prepared(&directory, more).await;
        let running = run(&gate, &directory).await;
        for name in NAMES {
            running.serves(&gate, &directory, name).await;
        }
        let believed = directory.believed();
        assert_eq!(believed, NAMES.map(|name| (name.to_owned(), challenge)), "{challenge}");
        let files = kept(&gate);
        assert_eq!(files.len(), 2, "an account and a certificate: {files:?}");
        for file in &files {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        // Nothing is answered once it is over.
        assert!(look::shown(running.tls, "bank.example", &[b"acme-tls/1"]).await.is_err());
        let serial = running.serial().await;
        let said = running.stop().await;
        assert!(!said.contains("ERROR"), "{said}");
        let obtained = acts(&gate, "certificate_obtained");
        assert_eq!(obtained.len(), 1);
        assert_eq!(obtained[0].object.as_str(), "names bank.example, api.bank.example");
        assert_eq!(acts(&gate, "certificates_loaded").len(), 1);
        let again = run(&gate, &directory).await;
        again.serves(&gate, &directory, "bank.example").await;
        assert_eq!(again.serial().await, serial);
        again.stop().await;
        assert_eq!((directory.count("order"), directory.accounts()), (1, 1));
        assert_eq!(directory.faults(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn it_is_renewed_when_the_authority_suggests_and_when_a_third_is_left() {
    const DAY: i64 = 24 * 3600;
    for (what, first, suggests) in [
        ("suggested", (-60, 90 * DAY), Some((-DAY, -60))),
        ("a third", (-80 * DAY, 10 * DAY), None),
    ] {
        let directory = Directory::start(Behaviour { good: first, ..Behaviour::default() }).await;
        let gate = prepared(&directory, "").await;
        let running = run(&gate, &directory).await;
        running.serves(&gate, &directory, "bank.example").await;
        let serial = running.serial().await;
        running.stop().await;
        assert_eq!(directory.count("order"), 1, "{what}: not again at once");
        directory.behaves(|now| *now = Behaviour { suggests, ..Behaviour::default() });
        let running = run(&gate, &directory).await;
        let renewed = async {
            while running.serial().await == serial {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        soon(what, renewed).await;
        running.serves(&gate, &directory, "bank.example").await;
        assert_eq!(directory.replaced().len(), usize::from(suggests.is_some()), "{what}");
        assert_eq!((directory.count("order"), directory.accounts()), (2, 1), "{what}");
        assert_eq!(directory.count("renewal") > 0, suggests.is_some(), "{what}");
        running.stop().await;
        assert_eq!(directory.faults(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn whatever_the_authority_refuses_what_is_shown_stays_and_it_is_left_alone() {
    const DAY: i64 = 24 * 3600;
    let due = Behaviour { good: (-80 * DAY, 10 * DAY), ..Behaviour::default() };
    let refusing: [(&str, Refuse, &str); 6] = [
        ("too many", |now| now.rate_limited_s = Some(7200), "rateLimited"),
        ("not believed", |now| now.believes_nothing = true, "does not believe that it is ours"),
        ("another name", |now| now.other_name = true, "lacks a name that was ordered"),
        ("over already", |now| now.good = (-2 * DAY, -DAY), "is not good now"),
        ("a key of its own", |now| now.own_key = true, "it is not for the key of the order"),
        ("others", |now| now.asks_for_another = true, "asks for proof of what was not ordered"),
    ];
    for (what, refuse, why) in refusing {
        let directory = Directory::start(due.clone()).await;
        let gate = prepared(&directory, "").await;
        let running = run(&gate, &directory).await;
        running.serves(&gate, &directory, "bank.example").await;
        let serial = running.serial().await;
        running.stop().await;
        directory.behaves(refuse);
        let running = run(&gate, &directory).await;
        running.process.says("no certificate was issued; what is shown stays").await;
        assert!(running.process.said().contains(why), "{what}: {}", running.process.said());
        let orders = directory.count("order");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(directory.count("order"), orders, "{what}: it is not asked again at once");
        running.serves(&gate, &directory, "bank.example").await;
        assert_eq!(running.serial().await, serial, "{what}");
        let said = running.stop().await;
        if what == "too many" {
            assert!(said.contains("again_in_s=7200"), "{said}");
        }
        if what == "others" {
            assert_eq!(
                directory.count("tls-alpn-01"),
                2,
                "nothing is answered but what was ordered"
            );
        }
        let failed = acts(&gate, "certificate_order_failed");
        assert_eq!((failed.len(), failed[0].succeeded), (1, Some(false)), "{what}");
        // The next start shows what was there, too.
        directory.behaves(|now| now.rate_limited_s = Some(1));
        let running = run(&gate, &directory).await;
        assert_eq!(running.serial().await, serial, "{what}");
        running.stop().await;
    }
}

#[tokio::test]
async fn a_bad_nonce_is_replaced_and_an_account_from_elsewhere_bound() {
    let key = b"0123456789abcdef0123456789abcdef".to_vec();
    let external = Some(("kid-7".to_owned(), key.clone()));
    let behaviour = Behaviour { bad_nonces: 2, external, ..Behaviour::default() };
    let directory = Directory::start(behaviour).await;
    let more =
        ", contact: [\"mailto:duty@bank.example\"], external-account: { id: kid-7, key: eab.key }";
    let gate = prepared(&directory, more).await;
    std::fs::write(
        gate.path("eab.key"),
        URL_SAFE_NO_PAD.encode(b"another key, of another account.."),
    )
    .unwrap();
    let file = gate.path("menshen.yaml").display().to_string();
    let check = || String::from_utf8(menshen(&["check", "--config", &file]).stderr).unwrap();
    let mode = |mode| {
        std::fs::set_permissions(gate.path("eab.key"), Permissions::from_mode(mode)).unwrap();
    };
    mode(0o644);
    assert!(check().contains("eab.key`: others may read it"), "{}", check());
    mode(0o600);
    assert_eq!(check(), "");
    let running = run(&gate, &directory).await;
    running.process.says("externalAccountRequired").await;
    assert_eq!(directory.accounts(), 0);
    running.stop().await;
    std::fs::write(gate.path("eab.key"), URL_SAFE_NO_PAD.encode(&key)).unwrap();
    let running = run(&gate, &directory).await;
    running.serves(&gate, &directory, "bank.example").await;
    assert_eq!((directory.count("bad nonce"), directory.accounts()), (2, 1));
    let said = running.stop().await;
    assert!(!said.contains(&URL_SAFE_NO_PAD.encode(&key)));
    assert_eq!(directory.faults(), Vec::<String>::new());
}

#[tokio::test]
async fn a_directory_that_somebody_else_vouches_for_is_told_nothing() {
    let directory = Directory::start(Behaviour::default()).await;
    let gate = prepared(&directory, "").await;
    let other = Directory::start(Behaviour::default()).await;
    std::fs::write(gate.path("acme-ca.pem"), &other.tls_ca_pem).unwrap();
    let running = run(&gate, &directory).await;
    running.process.says("no certificate was issued; what is shown stays").await;
    assert_eq!(directory.accounts(), 0);
    // Until there is one, nobody who looks believes what is shown, and the other listener serves.
    assert!(running.trusting(&directory, "bank.example").shake(&["h2"]).await.is_err());
    running.stop().await;
}

#[tokio::test]
async fn names_that_change_with_the_file_are_ordered_and_the_old_certificate_is_shown_meanwhile() {
    let directory = Directory::start(Behaviour::default()).await;
    let gate = prepared(&directory, "").await;
    let running = run(&gate, &directory).await;
    running.serves(&gate, &directory, "bank.example").await;
    let serial = running.serial().await;
    directory.behaves(|now| now.believes_nothing = true);
    edit(&gate, "acme: [bank.example, api.bank.example]", "acme: [bank.example, new.bank.example]");
    running.process.hang_up();
    running.process.says("a new configuration is in force").await;
    running.process.says("no certificate was issued; what is shown stays").await;
    assert_eq!(running.serial().await, serial);
    directory.behaves(|now| now.believes_nothing = false);
    edit(&gate, "new.bank.example]", "newer.bank.example]");
    running.process.hang_up();
    running.serves(&gate, &directory, "newer.bank.example").await;
    assert_ne!(running.serial().await, serial);
    running.stop().await;
    assert_eq!(directory.faults(), Vec::<String>::new());
}

#[tokio::test]
async fn a_good_certificate_is_never_replaced_by_one_made_for_the_moment() {
    let directory = Directory::start(Behaviour::default()).await;
    let gate = prepared(&directory, "").await;
    edit(&gate, "api.bank.example]", "api.bank.example], clients: { ca: clients.pem }");
    std::fs::copy(gate.path("ca.pem"), gate.path("clients.pem")).unwrap();
    let running = run(&gate, &directory).await;
    running.serves(&gate, &directory, "bank.example").await;
    let serial = running.serial().await;
    // Its file is gone, and whose clients are believed changes.
    let both = kept(&gate).into_iter().find(|file| file.extension().is_some_and(|e| e == "pem"));
    std::fs::remove_file(both.unwrap()).unwrap();
    std::fs::write(gate.path("clients.pem"), &directory.tls_ca_pem).unwrap();
    hang_up(&running.process, "new certificates are shown").await;
    assert_eq!(running.serial().await, serial, "gone");
    running.process.says("the file of a listener's certificate is gone").await;
    // Names change together with that, and again before anything was issued.
    directory.behaves(|now| now.believes_nothing = true);
    for (from, to) in [
        (
            "api.bank.example], clients: { ca: clients.pem }",
            "b.bank.example], clients: { ca: ca.pem }",
        ),
        ("b.bank.example]", "c.bank.example]"),
        ("], clients: { ca: ca.pem }", "], clients: { ca: clients.pem }"),
    ] {
        edit(&gate, from, to);
        hang_up(&running.process, "a new configuration is in force").await;
        assert_eq!(running.serial().await, serial, "{to}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_state_that_waits_for_a_restart_keeps_nobody_from_their_certificates() {
    let directory = Directory::start(Behaviour::default()).await;
    let gate = prepared(&directory, "").await;
    let running = run(&gate, &directory).await;
    running.serves(&gate, &directory, "bank.example").await;
    edit(&gate, "state: state", "state: elsewhere");
    edit(&gate, "api.bank.example]", "new.bank.example]");
    hang_up(&running.process, "a new configuration is in force").await;
    running.process.says("`state` changed: takes effect after a restart").await;
    running.serves(&gate, &directory, "new.bank.example").await;
    running.stop().await;
    assert!(!gate.path("elsewhere").exists() && kept(&gate).len() == 3);
}

#[tokio::test]
async fn a_directory_that_wants_to_be_left_alone_is_whatever_the_file_says() {
    let behaviour = Behaviour { rate_limited_s: Some(7200), ..Behaviour::default() };
    let directory = Directory::start(behaviour).await;
    let gate = prepared(&directory, "").await;
    let running = run(&gate, &directory).await;
    running.process.says("no certificate was issued; what is shown stays").await;
    assert_eq!(directory.count("order"), 1);
    edit(&gate, "terms-agreed: true", "terms-agreed: true, contact: [\"mailto:a@bank.example\"]");
    hang_up(&running.process, "a new configuration is in force").await;
    // That other names are ordered shows that the file was taken up; those of before are not.
    edit(&gate, "zone: public, ", "zone: public, acme: [other.bank.example], ");
    edit(&gate, "certificate: gate.pem, key: gate.key", "");
    hang_up(&running.process, "a new configuration is in force").await;
    running.process.says("a certificate is ordered names=\"other.bank.example\"").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(directory.count("order"), 2);
    running.stop().await;
}

#[tokio::test]
async fn what_orders_need_is_read_at_a_check_a_start_and_a_reload() {
    let directory = Directory::start(Behaviour::default()).await;
    let gate = prepared(&directory, "").await;
    let running = run(&gate, &directory).await;
    running.serves(&gate, &directory, "bank.example").await;
    let file = gate.path("menshen.yaml").display().to_string();
    let is_told = |command: &str, more: &str| {
        let output = menshen(&[command, "--config", &file]);
        let said = String::from_utf8(output.stderr).unwrap();
        let name = more.trim_start_matches("ca: ");
        assert!(!output.status.success() && said.contains(name), "{command}: {said}");
    };
    for (number, more) in ["ca: gone.pem", "ca: empty.pem"].into_iter().enumerate() {
        std::fs::write(gate.path("empty.pem"), "").unwrap();
        let before = ["ca: acme-ca.pem", "ca: gone.pem"][number];
        edit(&gate, before, more);
        hang_up(&running.process, "the new configuration is refused, so the old one stays").await;
        is_told("check", more);
    }
    // A second one would be refused since the first serves on the state.
    running.stop().await;
    is_told("run", "ca: empty.pem");
    edit(&gate, "ca: empty.pem", "ca: gone.pem");
    is_told("run", "ca: gone.pem");
}

#[tokio::test]
async fn only_what_is_asked_for_at_this_moment_is_answered() {
    let directory = Directory::start(Behaviour::default()).await;
    let gate = prepared(&directory, ", challenge: http-01").await;
    let running = run(&gate, &directory).await;
    running.serves(&gate, &directory, "bank.example").await;
    let said = running.process.said();
    let line = said.lines().find(|line| line.contains("sends to the port with TLS")).unwrap();
    let (_, address) = line.split_once("address=").unwrap();
    let address: SocketAddr = address.split_whitespace().next().unwrap().parse().unwrap();
    for token in
        ["", "x", "../../etc/passwd", "%2e%2e", "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"]
    {
        let answer = look::at_plain(address, "bank.example", token, "").await.unwrap_err();
        assert!(
            answer.starts_with("HTTP/1.1 308 ") || answer.starts_with("HTTP/1.1 4"),
            "{token}: {answer}"
        );
    }
    running.stop().await;
}

#[test]
fn what_cannot_be_meant_is_refused_with_the_reason() {
    let acme = "acme: { directory: \"https://a/dir\", ca: c, terms-agreed: true }\n";
    let listener =
        |keys: &str| format!("listeners: [{{ address: \"127.0.0.1:1\", zone: z, {keys} }}]\n");
    let named = listener("acme: [a.example]");
    for good in [
        format!("{acme}{named}"),
        format!("{acme}{}", listener("certificate: c, key: k")),
        format!("{}{PLAIN}{named}", acme.replace(" }", ", challenge: http-01 }")),
    ] {
        assert_eq!(faults(&good), "", "{good}");
    }
    for (bad, why) in [
        (named.clone(), "needs the block `acme`"),
        (format!("{acme}{}", listener("acme: [a.example], certificate: c")), "is the gate's own"),
        (format!("{acme}{}", listener("acme: []")), "1 to 100 names"),
        (format!("{acme}{}", listener("acme: [\"*.a.example\"]")), "without `*`"),
        (format!("{acme}{}", listener("acme: [10.0.0.1]")), "names of hosts"),
        (format!("{acme}{}", listener("acme: [A.example]")), "in lower case"),
        (format!("{acme}{}", listener("acme: [localhost]")), "names of hosts"),
        (format!("{}{named}", acme.replace("https", "http")), "must begin with `https://`"),
        (
            format!("{}{named}", acme.replace(", terms-agreed: true", "")),
            "`terms-agreed` must be `true`",
        ),
        (
            format!("{}{named}", acme.replace("agreed: true", "agreed: yes")),
            "`terms-agreed` must be `true`",
        ),
        (format!("{}{named}", acme.replace("ca: c, ", "")), "ca"),
        (
            format!("{}{named}", acme.replace(" }", ", challenge: http-01 }")),
            "the port of `redirect`",
        ),
        (format!("{}{named}", acme.replace(" }", ", challenge: dns-01 }")), "`dns-01`"),
        (format!("{}{named}", acme.replace(" }", ", contact: [duty] }")), "mailto:"),
    ] {
        assert!(faults(&bad).contains(why), "{bad}: {}", faults(&bad));
    }
}
