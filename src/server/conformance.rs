//! One suite for whatever budgets are counted by: memory, SQLite, and two gates over a shared store, in memory and at a real
//! `redis-server`. Each case runs over all of them and knows none.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::usage::StoredUsage;
use crate::clock::Clock;
use crate::limits::shared::{MemoryShared, Shared, SharedSettings, SharedStore};
use crate::limits::store::memory::MemoryStore;
use crate::limits::{Allowance, Budget, Limits, Settings, Take, Terms, Unit, UsageStore, Window};
use crate::secret::MasterKey;
use crate::shared::tests::Server;
use crate::state::Store;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carrier {
    Memory,
    Sqlite,
    SharedMemory,
    Redis,
}

const ALL: [Carrier; 4] = [Carrier::Memory, Carrier::Sqlite, Carrier::SharedMemory, Carrier::Redis];

/// Where things are kept while gates come and go.
struct World {
    carrier: Carrier,
    folder: tempfile::TempDir,
    own: [Arc<MemoryStore>; 2],
    shared: Option<Arc<dyn SharedStore>>,
    _server: Option<Server>,
    allowance: Arc<Allowance>,
    gates: Vec<Arc<Limits>>,
    keepers: Vec<JoinHandle<()>>,
    runs: u32,
}

impl World {
    async fn open(carrier: Carrier, terms: &Terms) -> Self {
        let server = (carrier == Carrier::Redis).then(Server::start);
        let shared: Option<Arc<dyn SharedStore>> = match (carrier, &server) {
            (Carrier::SharedMemory, _) => Some(Arc::new(MemoryShared::new(Clock::system()))),
            (_, Some(server)) => Some(Arc::new(server.store())),
            (_, None) => None,
        };
        let mut world = Self {
            carrier,
            folder: tempfile::tempdir().unwrap(),
            own: Default::default(),
            shared,
            _server: server,
            allowance: Arc::new(Allowance::new(std::slice::from_ref(terms)).unwrap()),
            gates: Vec::new(),
            keepers: Vec::new(),
            runs: 0,
        };
        world.restart().await;
        world
    }

    /// Ends every gate as a crash does, and starts it again on what was kept.
    async fn restart(&mut self) {
        self.keepers.drain(..).for_each(|keeper| keeper.abort());
        self.gates.clear();
        self.runs += 1;
        if self.shared.is_none() {
            let limits = self.limits(0).await;
            self.gates = vec![Arc::new(limits)];
            return;
        }
        for (at, node) in ["one", "two"].into_iter().enumerate() {
            let limits = self.limits(at).await;
            let settings = SharedSettings {
                node: node.into(),
                gates: Some(2),
                deadline: Duration::from_secs(5),
                ..SharedSettings::default()
            };
            let names = MasterKey::from_bytes([7; 32]).tagger("test").unwrap();
            let (store, run) = (self.shared.clone().unwrap(), self.runs.to_string());
            let shared = Shared::new(store, &Clock::system(), settings, names, &run);
            let limits = Arc::new(limits.sharing(Arc::clone(&shared)));
            self.gates.push(Arc::clone(&limits));
            self.keepers.push(TaskTracker::new().spawn(async move {
                loop {
                    shared.round(|| limits.released()).await;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }));
        }
    }

    async fn limits(&self, at: usize) -> Limits {
        let clock = Clock::system();
        let store: Arc<dyn UsageStore> = match self.carrier {
            Carrier::Memory | Carrier::SharedMemory | Carrier::Redis => self.own[at].clone(),
            Carrier::Sqlite => {
                let master = MasterKey::from_bytes([7; 32]);
                let store = Store::open(self.folder.path(), &master, clock.clone()).unwrap();
                Arc::new(StoredUsage::load(store, |account| account.into()).await.unwrap())
            }
        };
        Limits::open(Settings::default(), &clock, store).unwrap()
    }

    /// The gate of this turn.
    fn gate(&self, turn: u64) -> Arc<Limits> {
        Arc::clone(&self.gates[usize::try_from(turn).unwrap() % self.gates.len()])
    }

    /// Gives one record about somebody, if it may leave.
    async fn give(&self, turn: u64, subject: u64) -> bool {
        give(self.gate(turn), Arc::clone(&self.allowance), subject).await
    }

    async fn given_soon(&self, turn: u64, subject: u64) {
        let given = async {
            while !self.give(turn, subject).await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let carrier = self.carrier;
        let soon = tokio::time::timeout(Duration::from_secs(60), given).await;
        soon.unwrap_or_else(|_| panic!("{carrier:?} did not give {subject}"));
    }
}

async fn give(gate: Arc<Limits>, allowance: Arc<Allowance>, subject: u64) -> bool {
    let Ok(seat) = gate.admit_shared("ann", &Arc::default(), &allowance).await else {
        return false;
    };
    seat.take_record(Some(subject), None) == Take::Release && seat.persist().await.is_ok()
}

fn an_hour(limit: u64) -> Vec<Window> {
    vec![Window::sliding(limit, 3_600)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_person_is_given_and_the_next_is_not_over_any_store_and_any_restart() {
    for carrier in ALL {
        let mut world =
            World::open(carrier, &Terms { subjects: an_hour(12), ..Terms::default() }).await;
        for subject in 0..12 {
            world.given_soon(subject, subject).await;
        }
        for turn in 0..2 {
            assert!(!world.give(turn, 12).await, "{carrier:?}");
            world.given_soon(turn, 3).await;
        }
        world.restart().await;
        world.given_soon(0, 7).await;
        world.given_soon(1, 7).await;
        assert!(!world.give(0, 12).await && !world.give(1, 12).await, "{carrier:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_is_taken_of_every_budget_or_of_none_over_any_store() {
    for carrier in ALL {
        let terms = Terms { subjects: an_hour(2), records: an_hour(10), ..Terms::default() };
        let world = World::open(carrier, &terms).await;
        for turn in 0..2 {
            world.given_soon(turn, turn).await;
        }
        for turn in 0..6 {
            assert!(!world.give(turn, 5).await, "{carrier:?}");
        }
        for turn in 2..10 {
            world.given_soon(turn, turn % 2).await;
        }
        assert!(!world.give(0, 0).await && !world.give(1, 1).await, "{carrier:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_leave_is_not_counted_over_any_store() {
    for carrier in ALL {
        let terms = Terms { records: an_hour(8), ..Terms::default() };
        let world = World::open(carrier, &terms).await;
        world.given_soon(0, 0).await;
        for turn in 0..4 {
            let gate = world.gate(turn);
            let seat = gate.admit_shared("ann", &Arc::default(), &world.allowance).await;
            let Ok(seat) = seat else { continue };
            while seat.take_record(Some(1), None) == Take::Release {}
        }
        for turn in 1..8 {
            world.given_soon(turn, 1).await;
        }
        assert!(!world.give(0, 1).await && !world.give(1, 1).await, "{carrier:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_reach_the_limit_and_do_not_pass_it_over_any_store() {
    for carrier in ALL {
        let terms = Terms { records: an_hour(30), ..Terms::default() };
        let world = World::open(carrier, &terms).await;
        world.given_soon(0, 0).await;
        let (tasks, mut running) = (TaskTracker::new(), Vec::new());
        for turn in 0..8 {
            let (gate, allowance) = (world.gate(turn), Arc::clone(&world.allowance));
            running.push(tasks.spawn(async move {
                let mut given = 0;
                for _ in 0..10 {
                    given += u64::from(give(Arc::clone(&gate), Arc::clone(&allowance), 1).await);
                }
                given
            }));
        }
        let mut given = 1;
        for task in running {
            given += task.await.unwrap();
        }
        assert!(given <= 30, "{carrier:?}: {given}");
        for turn in given..30 {
            world.given_soon(turn, 1).await;
        }
        assert!(!world.give(0, 1).await && !world.give(1, 1).await, "{carrier:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_slides_over_any_store() {
    for carrier in ALL {
        let terms = Terms { records: vec![Window::sliding(4, 3)], ..Terms::default() };
        let world = World::open(carrier, &terms).await;
        let clock = Clock::system();
        let mut given = Vec::new();
        for turn in 0..9 {
            world.given_soon(turn, turn).await;
            given.push(clock.unix_ms());
        }
        // Whatever was given is within the answer's time of when it was booked.
        let spans = given.iter().zip(given.iter().skip(4));
        assert!(
            spans.clone().all(|(first, fifth)| fifth - first >= 2_000),
            "{carrier:?} {given:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_begins_anew_where_every_gate_was_told_to_over_any_store() {
    for carrier in ALL {
        let terms = Terms { subjects: an_hour(6), records: an_hour(9), ..Terms::default() };
        let world = World::open(carrier, &terms).await;
        for turn in 0..6 {
            world.given_soon(turn, turn).await;
        }
        assert!(!world.give(0, 6).await && !world.give(1, 7).await, "{carrier:?}");
        for gate in &world.gates {
            gate.reset("ann", &Budget::sliding(Unit::Subjects, 3_600));
        }
        for turn in 6..9 {
            world.given_soon(turn, turn).await;
        }
        // Of the other budget all still counts.
        assert!(!world.give(0, 9).await && !world.give(1, 9).await, "{carrier:?}");
    }
}
