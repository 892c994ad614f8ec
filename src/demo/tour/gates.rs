//! Two gates that share a store: whoever is stopped at one is stopped at the other. The demo needs nothing else
//! installed, so this is told only where a server for the store is found.
//!
//! Gates that share count by the clock of the store as well, which nobody sets by hand. So these two are a pair of their
//! own, by the machine's clock, beside the one of the story.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use http::StatusCode;
use http::header::SET_COOKIE;
use serde_json::{Value, json};

use super::door::{Answer, Door, Protocol, Trouble};
use super::story::{Ask, Story, password_of};
use crate::clock::Clock;
use crate::command::{Doer, Kind, Target, Way};
use crate::demo::stage::{Options, Sharing, Stage};
use crate::identity::{COOKIE_NAME, totp_code_at};
use crate::secret::MasterKey;
use crate::server::Server;

const CLERK: &str = "somchai";
/// Servers that speak what the gate does.
const SERVERS: [&str; 2] = ["redis-server", "valkey-server"];
/// So often something is asked again that takes a moment: what the other gate holds is given back, a notice arrives.
const TIMES: u32 = 60;
const PAUSE: Duration = Duration::from_millis(250);

pub(super) async fn play(story: &mut Story<'_>) -> io::Result<()> {
    let Some(store) = Store::start() else {
        return story.aside(
            "Two gates that share a store count and stop together: where `redis-server` or `valkey-server` is installed, this tour shows it.",
        );
    };
    story
        .step(
            "Whoever is stopped at one gate is stopped at a second that shares its store",
            "Two gates do not give twice; and what is commanded at one holds at all within a second.",
            async |story: &mut Story<'_>| stopped_at_both(story, &store).await,
        )
        .await
}

async fn stopped_at_both(story: &mut Story<'_>, store: &Store) -> Result<(), Trouble> {
    let master = MasterKey::generate()?;
    let one = Branch::open("demo-a", &master, store).await?;
    let two = match Branch::open("demo-b", &master, store).await {
        Ok(two) => two,
        Err(trouble) => {
            one.close().await;
            return Err(trouble);
        }
    };
    let told = tell(story, &one, &two).await;
    one.close().await;
    two.close().await;
    told
}

async fn tell(story: &mut Story<'_>, one: &Branch, two: &Branch) -> Result<(), Trouble> {
    for (gate, pages) in [(one, [1, 2]), (two, [3, 4])] {
        for number in pages {
            let count = gate.whole_page(number).await?;
            let asked = format!("page {number} of ten customers, by {CLERK} at {}", gate.node);
            story.note(&asked, &format!("200, {count} customers"));
            story.check("10 customers", count == 10);
        }
    }
    for gate in [one, two] {
        let answer = gate.ask(&page(5)).await?;
        story.note(&format!("page 5, at {}", gate.node), &answer.text());
        story.check("429", answer.status == StatusCode::TOO_MANY_REQUESTS);
    }
    let seen = two.whole_page(1).await?;
    story.check("whom one gate showed, the other still shows", seen == 10);
    let desk = one.stage.server().map(Server::desk).ok_or(Trouble::Closed)?;
    let officer = Doer { name: "the security officer".into(), person: "officer".into() };
    let clerk = Target::new(Kind::Person, CLERK)?;
    desk.turn(&officer, Way::On, &clerk, "nobody answers at his desk").await?;
    story.note(
        "menshen switch on person somchai --reason …, at demo-a",
        "`person somchai` is switched off",
    );
    let mut refused = false;
    for _ in 0..TIMES {
        refused = two.ask(&page(1)).await?.status == StatusCode::FORBIDDEN;
        if refused {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    story.check("403 at demo-b a moment later", refused);
    Ok(())
}

fn page(number: u32) -> Ask {
    let path = format!("/api/customers?branch=bkk02&per_page=10&page={number}");
    Ask::get(path).purpose("service")
}

/// One of the two gates, and the clerk's way to it.
struct Branch {
    node: &'static str,
    stage: Stage,
    door: Door,
    address: SocketAddr,
    cookie: String,
}

impl Branch {
    async fn open(node: &'static str, master: &MasterKey, store: &Store) -> Result<Self, Trouble> {
        let options = Options { listen: SocketAddr::from(([127, 0, 0, 1], 0)), folder: None };
        let sharing = Sharing { node, master: master.clone(), port: store.port };
        let stage = Stage::share(&options, Clock::system(), &sharing).await?;
        let door = Door::new(stage.ca_pem(), stage.host(), stage.tasks())?;
        let address = stage.address().ok_or(Trouble::Closed)?;
        let mut gate = Self { node, stage, door, address, cookie: String::new() };
        if let Err(trouble) = gate.sign_in().await {
            gate.close().await;
            return Err(trouble);
        }
        Ok(gate)
    }

    async fn sign_in(&mut self) -> Result<(), Trouble> {
        let enrolment = self.stage.enrolment(CLERK);
        let code = enrolment.and_then(|e| totp_code_at(&e.secret, self.stage.clock().unix_s()));
        let code = code.ok_or_else(|| Trouble::NoCode(CLERK.to_owned()))?;
        let password = json!({ "account": CLERK, "password": password_of(CLERK) });
        let steps = [("/.menshen/login", password), ("/.menshen/code", json!({ "code": code }))];
        for (path, body) in steps {
            let answer = self.ask(&Ask::post(path, body)).await?;
            let cookie = answer.headers.get(SET_COOKIE).and_then(|value| value.to_str().ok());
            let value = cookie.and_then(|cookie| cookie.split(';').next()?.split_once('='));
            if let Some((COOKIE_NAME, value)) = value {
                value.clone_into(&mut self.cookie);
            }
        }
        Ok(())
    }

    async fn ask(&self, ask: &Ask) -> Result<Answer, Trouble> {
        let cookie = Some(&self.cookie).filter(|cookie| !cookie.is_empty());
        let request = ask.request(cookie)?;
        self.door.send(self.address, Protocol::Http1, request).await
    }

    /// How many customers a page has, once the gate was lent what it takes; who was shown already costs nothing.
    async fn whole_page(&self, number: u32) -> Result<usize, Trouble> {
        let mut most = 0;
        for _ in 0..TIMES {
            let answer = self.ask(&page(number)).await?;
            let items = answer.json().get("items").and_then(Value::as_array).map_or(0, Vec::len);
            most = most.max(items);
            if most == 10 {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(most)
    }

    async fn close(self) {
        let Self { stage, .. } = self;
        stage.strike().await;
    }
}

/// A server for the store, with nothing on any disk; ended with the step.
struct Store {
    child: Child,
    port: u16,
}

impl Store {
    /// None if no server is installed, or it does not start.
    fn start() -> Option<Self> {
        SERVERS.into_iter().find_map(Self::run)
    }

    fn run(server: &str) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let mut command = Command::new(server);
        command.arg("-").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().ok()?;
        let settings = format!("port {port}\nbind 127.0.0.1\nsave \"\"\nappendonly no\n");
        let told = child.stdin.take().map(|mut to| to.write_all(settings.as_bytes()));
        let store = Self { child, port };
        told?.ok()?;
        for _ in 0..250 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(store);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
    }
}
