//! The script beside the model, on a server of our own: whatever is said, both answer the same.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::bulletin::{Board as _, Exchange, MemoryBoard};
use crate::clock::Clock;
use crate::identity::{ProofShown, SharedProof, SharedProofs as _};
use crate::limits::shared::{MemoryShared, Span};

/// A private server, ended with the test.
pub(crate) struct Server {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new("redis-server")
            .arg("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("tests/setup.sh installs redis-server: {e}"));
        let settings = format!(
            "port {port}\nbind 127.0.0.1\nsave \"\"\nappendonly no\ndir {}\n",
            folder.path().display()
        );
        child.stdin.take().unwrap().write_all(settings.as_bytes()).unwrap();
        let server = Self { child, port, _folder: folder };
        for _ in 0..500 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return server;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the server did not start");
    }

    pub(crate) fn store(&self) -> RedisShared {
        self.store_of("key")
    }

    fn store_of(&self, fingerprint: &str) -> RedisShared {
        let settings = RedisSettings {
            url: format!("redis://127.0.0.1:{}", self.port),
            ca: None,
            password_file: None,
            deadline: Duration::from_secs(2),
        };
        RedisShared::new(&settings, fingerprint.to_owned()).unwrap()
    }

    fn board(&self) -> RedisBoard {
        let settings = RedisSettings {
            url: format!("redis://127.0.0.1:{}", self.port),
            ca: None,
            password_file: None,
            deadline: Duration::from_secs(2),
        };
        RedisBoard::new(&settings, "key".to_owned()).unwrap()
    }

    fn proofs(&self) -> RedisProofs {
        let settings = RedisSettings {
            url: format!("redis://127.0.0.1:{}", self.port),
            ca: None,
            password_file: None,
            deadline: Duration::from_secs(2),
        };
        RedisProofs::new(&settings, "key".to_owned()).unwrap()
    }

    async fn command(&self, words: &[&str]) {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query_async::<()>(&mut connection).await.unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn beat(node: &str, ready: Option<&Arc<str>>) -> Beat {
    Beat {
        node: node.into(),
        run: format!("{node}~0").into(),
        now_ms: Clock::system().unix_ms(),
        ready: ready.cloned(),
        fresh: "life".into(),
        known: vec![("two".into(), 500)],
        gates: Some(2),
    }
}

/// Ten hours, in parts of ten minutes.
const WINDOW_S: u32 = 36_000;
const PART_MS: i64 = 600_000;

/// Whole parts ago, but not when it is about to end: the two stores look at their clocks one after the other.
fn age() -> impl Strategy<Value = i64> {
    prop_oneof![0..59_i64, 64..80_i64].prop_map(|parts| parts * PART_MS)
}

/// Waits while a part is about to end.
async fn within_a_part() {
    while !(500..PART_MS - 20_000).contains(&Clock::system().unix_ms().rem_euclid(PART_MS)) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0..8_u64, 0..200_u64]
}

fn item() -> impl Strategy<Value = Item> {
    let subjects = || proptest::collection::vec(0..60_u64, 0..4);
    let past = proptest::collection::vec((0..40_u64, age()), 0..3);
    let numbers = (number(), number(), number(), number());
    let counts = (any::<bool>(), proptest::bool::weighted(0.1));
    let ask = proptest::option::of(number());
    (0..3_usize, counts, numbers, ask, subjects(), subjects(), past).prop_map(
        |(account, (distinct, reset), (limit, held, spent, given), ask, paid, claims, past)| {
            let counts = if distinct { Counts::Subjects } else { Counts::Amounts };
            let account = format!("{distinct}{account}").into();
            let mut item = Item::about(account, counts, Span::of(WINDOW_S), limit * 2);
            let spent = if distinct { 0 } else { spent };
            let (paid, claims) = if distinct { (paid, claims) } else { Default::default() };
            (item.held, item.spent, item.given, item.ask) = (held, spent, given / 3, ask);
            (item.paid, item.claims, item.past) = (paid, claims, past);
            item.reset = reset;
            item
        },
    )
}

fn call() -> impl Strategy<Value = (usize, i64, u64, Vec<Item>)> {
    (0..2_usize, 0..4_i64, 1..9_u64, proptest::collection::vec(item(), 1..5))
}

/// What both must answer alike; until when, they know to a second.
fn alike(reply: Reply) -> Vec<(Standing, i64)> {
    let Reply::Settled(standings) = reply else { return Vec::new() };
    let rounded = |standing: &Standing| (standing.relaxes_ms + 500) / 1_000;
    let without = |mut standing: Standing| {
        let relaxes_s = rounded(&standing);
        standing.relaxes_ms = 0;
        (standing, relaxes_s)
    };
    standings.into_iter().map(without).collect()
}

#[test]
fn the_script_answers_whatever_the_model_answers() {
    let server = Server::start();
    let calls = proptest::collection::vec(call(), 1..40);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(60));
    runner
        .run(&calls, |calls| {
            wait(async {
                within_a_part().await;
                server.command(&["FLUSHALL"]).await;
                let stores: [Box<dyn SharedStore>; 2] =
                    [Box::new(server.store()), Box::new(MemoryShared::new(Clock::system()))];
                let mut answers = [Vec::new(), Vec::new()];
                for (store, answers) in stores.iter().zip(&mut answers) {
                    let pulse = store.beat(beat("one", None)).await.unwrap();
                    for (at, (gate, generation, divisor, items)) in calls.iter().enumerate() {
                        if at == 5 {
                            for node in ["one", "two"] {
                                store.beat(beat(node, Some(&pulse.epoch))).await.unwrap();
                            }
                        }
                        let call = Call {
                            epoch: Arc::clone(&pulse.epoch),
                            run: ["one~0", "two~0"][*gate].into(),
                            generation: *generation,
                            now_ms: Clock::system().unix_ms(),
                            divisor: *divisor,
                            items: items.clone(),
                        };
                        answers.push(alike(store.settle(call).await.unwrap()));
                        let pulse = store.beat(beat(["one", "two"][*gate], None)).await.unwrap();
                        let recalled = pulse.recalled.iter().map(ToString::to_string);
                        let mut recalled = Vec::from_iter(recalled);
                        recalled.sort_unstable();
                        let told =
                            Standing { granted: recalled.len() as u64, ..Standing::default() };
                        answers.push(vec![(told, 0)]);
                    }
                }
                for (at, (redis, model)) in answers[0].iter().zip(&answers[1]).enumerate() {
                    for ((redis, soon), (model, late)) in redis.iter().zip(model) {
                        prop_assert_eq!(redis, model, "answer {}", at);
                        prop_assert!((soon - late).abs() <= 2, "answer {}: {} {}", at, soon, late);
                    }
                    prop_assert_eq!(redis.len(), model.len());
                }
                Ok(())
            })
        })
        .unwrap();
}

#[test]
fn a_server_that_was_emptied_began_anew_and_hears_nothing_of_before() {
    let server = Server::start();
    wait(async {
        let store = server.store();
        let before = store.beat(beat("one", None)).await.unwrap();
        server.command(&["FLUSHALL"]).await;
        let call = Call {
            epoch: Arc::clone(&before.epoch),
            run: "one~0".into(),
            generation: 1,
            now_ms: Clock::system().unix_ms(),
            divisor: 1,
            items: Vec::new(),
        };
        assert_eq!(store.settle(call).await.unwrap(), Reply::Stranger);
        let mut again = beat("one", Some(&before.epoch));
        again.fresh = "another life".into();
        assert_eq!(*store.beat(again).await.unwrap().epoch, *"another life");
    });
}

#[test]
fn a_server_that_started_again_began_anew_though_it_remembers_something() {
    let server = Server::start();
    wait(async {
        let store = server.store();
        store.beat(beat("one", None)).await.unwrap();
        // As if another run of the server had written it.
        server.command(&["HSET", "{menshen}:epoch", "server", "an earlier run"]).await;
        let mut again = beat("one", None);
        again.fresh = "another life".into();
        assert_eq!(*store.beat(again).await.unwrap().epoch, *"another life");
    });
}

#[test]
fn a_server_that_forgets_keys_or_belongs_to_others_is_not_used() {
    let server = Server::start();
    wait(async {
        server.store().beat(beat("one", None)).await.unwrap();
        let other = server.store_of("another key").beat(beat("one", None)).await;
        assert!(other.unwrap_err().to_string().contains("another master key"));
        server.command(&["CONFIG", "SET", "maxmemory", "100mb"]).await;
        server.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
        let evicts = server.store().beat(beat("one", None)).await;
        assert!(evicts.unwrap_err().to_string().contains("noeviction"));
    });
}

#[test]
fn a_server_whose_clock_is_not_the_gates_is_not_used_and_begins_anew_if_it_jumped() {
    let server = Server::start();
    wait(async {
        let store = server.store();
        let before = store.beat(beat("one", None)).await.unwrap();
        let now_ms = Clock::system().unix_ms() - 3_600_000;
        let call = Call {
            epoch: Arc::clone(&before.epoch),
            run: "one~0".into(),
            generation: 1,
            now_ms,
            divisor: 1,
            items: Vec::new(),
        };
        assert!(matches!(store.settle(call).await.unwrap(), Reply::Skewed(_)));
        let fresh = || Beat { fresh: "another life".into(), ..beat("one", None) };
        let skewed = store.beat(Beat { now_ms, ..fresh() }).await.unwrap_err();
        assert!(skewed.to_string().contains("ahead of this machine's"), "{skewed}");
        // It was the gate's clock, so the life goes on.
        assert_eq!(store.beat(fresh()).await.unwrap().epoch, before.epoch);
        server.command(&["HSET", "{menshen}:epoch", "last", &now_ms.to_string()]).await;
        store.beat(Beat { now_ms, ..fresh() }).await.unwrap_err();
        assert_eq!(*store.beat(fresh()).await.unwrap().epoch, *"another life");
    });
}

fn sealed() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let one = (0..6_u8, 0..4_u8).prop_map(|(tag, value)| (format!("t{tag}"), vec![255, value]));
    proptest::collection::vec(one, 0..4)
}

#[test]
fn the_board_on_the_server_answers_whatever_the_one_in_memory_answers() {
    let server = Server::start();
    let deed = (0..12_u8, sealed(), sealed(), 1..5_usize);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(40));
    runner
        .run(&proptest::collection::vec(deed, 1..25), |deeds| {
            wait(async {
                server.command(&["FLUSHALL"]).await;
                let (redis, memory) = (server.board(), MemoryBoard::default());
                let mut readers = [(String::new(), 0), (String::new(), 0)];
                for (at, (what, posts, drops, most)) in deeds.into_iter().enumerate() {
                    if what == 0 {
                        server.command(&["FLUSHALL"]).await;
                        memory.flush();
                    }
                    let (life, cursor) = readers[at % 2].clone();
                    let fresh = format!("life {at}");
                    let exchange = Exchange { life, fresh, cursor, most, posts, drops };
                    let told = redis.exchange(exchange.clone()).await.unwrap();
                    let model = memory.exchange(exchange).await.unwrap();
                    prop_assert_eq!(&told, &model, "call {}", at);
                    readers[at % 2] = (told.life, told.cursor);
                }
                Ok(())
            })
        })
        .unwrap();
}

#[test]
fn a_server_that_started_again_is_another_life_of_the_board_and_goes_on_counting() {
    let server = Server::start();
    wait(async {
        let board = server.board();
        let post = |tag: &str| vec![(tag.to_owned(), b"x".to_vec())];
        let first =
            Exchange { fresh: "one".into(), most: 9, posts: post("a"), ..Exchange::default() };
        let before = board.exchange(first).await.unwrap();
        server.command(&["HSET", "{menshen}:board", "server", "an earlier run"]).await;
        server.command(&["HDEL", "{menshen}:board", "count"]).await;
        let (life, cursor) = (before.life.clone(), before.cursor);
        let again = Exchange {
            life,
            fresh: "two".into(),
            cursor,
            most: 9,
            posts: post("b"),
            drops: vec![],
        };
        let after = board.exchange(again).await.unwrap();
        assert_eq!((before.life.as_str(), after.life.as_str()), ("one", "two"));
        assert_eq!((after.notices.len(), after.cursor), (2, 2));
    });
}

/// A proof that was made now.
fn shown(name: u8) -> ProofShown {
    let now_ms = Clock::system().unix_ms();
    let made_s = now_ms.div_euclid(1000);
    ProofShown { name: [name; 32], made_s, until_s: made_s + 60, ahead_s: 10, now_ms }
}

#[test]
fn a_proof_is_taken_once_by_all_and_by_none_while_nobody_can_tell() {
    let server = Server::start();
    let (one, two) = (server.proofs(), server.proofs());
    wait(async {
        let began = |ago_ms: i64| (Clock::system().unix_ms() - ago_ms).to_string();
        one.begin(shown(1).now_ms).await.unwrap();
        assert_eq!(one.take(shown(1)).await.unwrap(), SharedProof::Unknown, "it began just now");
        // So long may a proof that was used before have been made ahead of that, by the clocks of all.
        server.command(&["HSET", "{menshen}:proofs", "began", &began(19_000)]).await;
        assert_eq!(one.take(shown(1)).await.unwrap(), SharedProof::Unknown);
        server.command(&["HSET", "{menshen}:proofs", "began", &began(22_000)]).await;
        assert_eq!(one.take(shown(1)).await.unwrap(), SharedProof::Once);
        for store in [&two, &one] {
            assert_eq!(store.take(shown(1)).await.unwrap(), SharedProof::Replayed);
        }
        assert_eq!(two.take(shown(2)).await.unwrap(), SharedProof::Once);
        let skewed = ProofShown { now_ms: shown(3).now_ms + 60_000, ..shown(3) };
        assert!(one.take(skewed).await.unwrap_err().to_string().contains("clock"));
        server.command(&["HSET", "{menshen}:proofs", "server", "another run"]).await;
        assert_eq!(two.take(shown(3)).await.unwrap(), SharedProof::Unknown, "it was started anew");
    });
}

#[test]
fn a_proof_is_remembered_until_no_gate_believes_it() {
    let server = Server::start();
    let store = server.proofs();
    wait(async {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", server.port)).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        store.begin(shown(1).now_ms).await.unwrap();
        server.command(&["HSET", "{menshen}:proofs", "began", "0"]).await;
        assert_eq!(store.take(shown(1)).await.unwrap(), SharedProof::Once);
        let key = format!("{{menshen}}:proof:{}", "01".repeat(32));
        let lasts: i64 = redis::cmd("PTTL").arg(key).query_async(&mut connection).await.unwrap();
        // The whole minute, and what a gate's clock may be late.
        assert!((60_000..=70_000).contains(&lasts), "{lasts}");
    });
}
