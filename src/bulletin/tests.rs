//! Gates that tell each other over a board that forgets, is written to by others, and stands still.

mod feed;

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::clock::Clock;
use crate::secret::MasterKey;
use crate::state::{BulletinRow, CommandRow, Leave, NewFinding, Store};

const START_MS: i64 = 1_800_000_000_000;
const DAY_MS: i64 = 86_400_000;

fn master(key: u8) -> MasterKey {
    MasterKey::from_bytes([key; 32])
}

/// A gate with a state of its own.
struct Gate {
    store: Store,
    bulletin: Bulletin,
    clock: Clock,
    _folder: tempfile::TempDir,
}

impl Gate {
    fn new(node: &str, board: &Arc<MemoryBoard>) -> Self {
        Self::of(node, board, 3)
    }

    fn of(node: &str, board: &Arc<MemoryBoard>, key: u8) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::fixed(START_MS);
        let store = Store::open(folder.path(), &master(key), clock.clone()).unwrap();
        let seals = Seals::derive(&master(key), node).unwrap();
        let bulletin =
            Bulletin::new(store.clone(), Arc::new(Arc::clone(board)), seals, clock.clone());
        Self { store, bulletin, clock, _folder: folder }
    }

    async fn turn(&self, is_on: bool, name: &str) {
        self.turn_of("tenant", is_on, name).await;
    }

    async fn turn_of(&self, kind: &str, is_on: bool, name: &str) {
        let command = CommandRow {
            verb: if is_on { "switch_on" } else { "switch_off" }.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            detail: String::new(),
            reason: "why".to_owned(),
        };
        let store = self.store.clone().acting_as("lin");
        store.set_switch(command, is_on, Leave::Alone).await.unwrap();
    }

    async fn round(&mut self) -> Round {
        self.bulletin.round().await.unwrap()
    }

    async fn off(&self) -> Vec<String> {
        self.store.switches().await.unwrap().into_iter().map(|row| row.name).collect()
    }

    async fn acts(&self) -> Vec<(String, String)> {
        let acts = self.store.pending_acts().await.unwrap();
        acts.into_iter().map(|act| (act.name, act.detail)).collect()
    }
}

fn pair() -> (Arc<MemoryBoard>, Gate, Gate) {
    let board = Arc::new(MemoryBoard::default());
    let (one, two) = (Gate::new("one", &board), Gate::new("two", &board));
    (board, one, two)
}

/// The notices that are each of a topic, and what no gate sealed.
fn told(board: &MemoryBoard) -> Vec<(String, Vec<u8>)> {
    let seals = Seals::derive(&master(3), "reader").unwrap();
    let is_one = |(tag, sealed): &(String, Vec<u8>)| {
        seals.open(tag, sealed).is_ok_and(|notice| !["feed", "heard"].contains(&&*notice.kind))
            || seals.open(tag, sealed).is_err()
    };
    board.notices().into_iter().filter(is_one).collect()
}

fn advance(gates: &[&Gate], ms: i64) {
    gates.iter().for_each(|gate| gate.clock.advance_ms(ms));
}

#[tokio::test]
async fn what_is_switched_at_one_gate_is_so_at_the_other_and_in_its_log_with_where_it_was_done() {
    let (board, mut one, mut two) = pair();
    one.turn(true, "headquarters").await;
    one.round().await;
    assert_eq!(two.round().await.taken, 1);
    assert_eq!(two.off().await, ["headquarters"]);
    assert_eq!(two.acts().await, [("switch_on_shared".to_owned(), "at one".to_owned())]);
    let row = &two.store.switches().await.unwrap()[0];
    assert_eq!((row.done_by.as_str(), row.reason.as_str()), ("lin", "why"));
    for (_, sealed) in board.notices() {
        let text = String::from_utf8_lossy(&sealed).into_owned();
        assert!(
            !text.contains("headquarters") && !text.contains("\"lin\""),
            "nothing on the board is legible"
        );
    }
    advance(&[&one, &two], 5);
    two.turn(false, "headquarters").await;
    two.round().await;
    one.round().await;
    assert!(one.off().await.is_empty());
    assert_eq!(two.round().await, Round::default(), "it says nothing new to who said it");
}

#[tokio::test]
async fn the_same_again_changes_nothing_and_an_older_one_is_replaced_on_the_board() {
    let (board, mut one, mut two) = pair();
    one.turn(true, "hq").await;
    one.round().await;
    let old = told(&board);
    two.round().await;
    advance(&[&one, &two], 5);
    two.turn(false, "hq").await;
    two.round().await;
    one.round().await;
    // Somebody who may write there, and has no key, puts the old one back.
    let replay = Exchange { posts: old.clone(), most: 10, ..Exchange::default() };
    board.exchange(replay).await.unwrap();
    for _ in 0..3 {
        one.round().await;
        two.round().await;
    }
    assert!(one.off().await.is_empty() && two.off().await.is_empty());
    assert_ne!(told(&board), old, "the newer one stands there again");
    assert_eq!(two.acts().await.len(), 2, "once switched on there, once off here");
}

#[tokio::test]
async fn whoever_is_away_hears_of_it_later_and_an_emptied_board_is_filled_again() {
    let (board, mut one, mut two) = pair();
    one.turn(true, "hq").await;
    one.round().await;
    two.round().await;
    board.flush();
    one.turn(true, "sh").await;
    one.round().await;
    two.round().await;
    assert_eq!(told(&board).len(), 2);
    let mut third = Gate::new("three", &board);
    third.round().await;
    assert_eq!(third.off().await, ["hq", "sh"]);
    // One notice alone is lost: it is there again after a minute.
    let one_of_them = told(&board).into_iter().take(1).collect();
    let lose = Exchange { drops: one_of_them, most: 10, ..Exchange::default() };
    board.exchange(lose).await.unwrap();
    assert_eq!(told(&board).len(), 1);
    advance(&[&two], 61_000);
    two.round().await;
    assert_eq!(told(&board).len(), 2);
}

#[tokio::test]
async fn what_no_gate_of_this_key_sealed_counts_for_nothing_and_is_told() {
    let (board, mut one, mut two) = pair();
    let mut stranger = Gate::of("stranger", &board, 4);
    stranger.turn(true, "hq").await;
    stranger.round().await;
    let says = "a notice, and how far it is";
    assert_eq!(two.round().await, Round { forged: 2, ..Round::default() }, "{says}");
    one.turn(true, "sh").await;
    one.round().await;
    let ours = Seals::derive(&master(3), "one").unwrap();
    let mine = told(&board).into_iter().find(|(tag, bytes)| ours.open(tag, bytes).is_ok());
    let (tag, sealed) = mine.unwrap();
    let mut altered = sealed.clone();
    *altered.last_mut().unwrap() ^= 1;
    let posts = vec![
        ("another place".to_owned(), sealed),
        (tag, altered),
        ("no notice".to_owned(), b"{}".to_vec()),
        ("too long".to_owned(), vec![0; MOST_BYTES + 1]),
    ];
    board.exchange(Exchange { posts, most: 10, ..Exchange::default() }).await.unwrap();
    assert_eq!(two.round().await, Round { forged: 4, ..Round::default() });
    assert_eq!(two.round().await, Round::default(), "each is told once");
    assert!(two.off().await.is_empty());
    // Whoever knows what was altered there puts it back, and what nobody sealed is cleared away.
    for _ in 0..2 {
        advance(&[&one, &two], 5_000);
        one.round().await;
        two.round().await;
    }
    assert_eq!(two.off().await, ["sh"]);
    assert_eq!(told(&board).len(), 1);
}

#[tokio::test]
async fn of_two_at_one_moment_the_stricter_holds_at_both() {
    for first in [true, false] {
        let (_board, mut one, mut two) = pair();
        one.turn(true, "hq").await;
        one.round().await;
        two.round().await;
        advance(&[&one, &two], 10);
        // One lets it go on; two does, and switches it off again at that very moment.
        one.turn(false, "hq").await;
        advance(&[&two], -1);
        two.turn(false, "hq").await;
        two.turn(true, "hq").await;
        let notices = |gate: &Gate| gate.store.clone();
        let stamps = [notices(&one), notices(&two)];
        let mut told = Vec::new();
        for store in stamps {
            told.push(store.bulletin_after(0, 10).await.unwrap()[0].stamp);
        }
        assert_eq!(told[0], told[1]);
        for _ in 0..3 {
            if first {
                one.round().await;
            }
            two.round().await;
            one.round().await;
        }
        assert_eq!((one.off().await.len(), two.off().await.len()), (1, 1));
    }
}

#[tokio::test]
async fn a_later_command_wins_though_its_gates_clock_is_behind() {
    let (_board, mut one, mut two) = pair();
    advance(&[&one], 3_600_000);
    one.turn(true, "hq").await;
    one.round().await;
    two.round().await;
    two.turn(false, "hq").await;
    two.round().await;
    one.round().await;
    assert!(one.off().await.is_empty() && two.off().await.is_empty());
}

fn finding(cause: &str) -> NewFinding {
    NewFinding {
        detection: "canary",
        consequence: "block",
        holder: "person/e1".to_owned(),
        account: "wang".to_owned(),
        cause: cause.to_owned(),
        at_ms: START_MS,
        count: 1,
        said: "touched".to_owned(),
        is_drill: false,
    }
}

#[tokio::test]
async fn whom_a_detection_holds_is_held_everywhere_until_released_anywhere() {
    let (_board, mut one, mut two) = pair();
    let alert = NewFinding { consequence: "alert", ..finding("a") };
    let drill = NewFinding { is_drill: true, ..finding("b") };
    one.store.add_findings(vec![finding("c"), alert, drill]).await.unwrap();
    one.round().await;
    assert_eq!(two.round().await.taken, 1, "what holds nobody stays where it was found");
    let held = two.store.curbs().await.unwrap();
    assert_eq!((held[0].holder.as_str(), held[0].consequence.as_str()), ("person/e1", "block"));
    assert!(two.store.untold_findings().await.unwrap().is_empty(), "its entry is in one log");
    let lin = two.store.clone().acting_as("lin");
    lin.release_findings("person/e1", "asked").await.unwrap();
    two.round().await;
    one.round().await;
    assert!(one.store.curbs().await.unwrap().is_empty());
    let row = &one.store.findings(false).await.unwrap()[2];
    assert_eq!((row.released_by.as_deref(), row.reason.as_deref()), (Some("lin"), Some("asked")));
}

#[tokio::test]
async fn a_budget_begins_anew_once_and_not_where_it_is_heard_of_late() {
    let (board, mut one, mut two) = pair();
    let reset = CommandRow {
        verb: "limits_reset".to_owned(),
        kind: "limits".to_owned(),
        name: "wang".to_owned(),
        detail: "subjects-1h".to_owned(),
        reason: "why".to_owned(),
    };
    one.store.reset_usage(reset, Leave::Alone).await.unwrap();
    one.round().await;
    two.round().await;
    two.round().await;
    let heard = two.store.resets_after(0).await.unwrap();
    assert_eq!(heard.len(), 2, "under the account's name and the person's, once");
    assert!(heard.iter().all(|row| row.is_shared && row.budget == "subjects-1h"));
    let mut third = Gate::new("three", &board);
    advance(&[&third], 11_000);
    third.round().await;
    assert!(third.store.resets_after(0).await.unwrap().is_empty());
    assert_eq!(third.acts().await[0].0, "limits_reset_came_late");
}

#[tokio::test]
async fn what_is_over_is_forgotten_and_what_holds_is_not() {
    let (board, mut one, mut two) = pair();
    one.turn(true, "hq").await;
    one.turn(true, "sh").await;
    advance(&[&one, &two], 5);
    one.turn(false, "sh").await;
    one.round().await;
    two.round().await;
    assert_eq!(told(&board).len(), 2);
    advance(&[&one, &two], 41 * DAY_MS);
    one.round().await;
    let mut third = Gate::new("three", &board);
    advance(&[&third], 41 * DAY_MS);
    third.round().await;
    third.round().await;
    assert_eq!(told(&board).len(), 1);
    assert_eq!(third.off().await, ["hq"]);
}

#[tokio::test]
async fn a_table_that_is_full_forgets_what_is_over_and_never_what_holds() {
    let (_board, mut one, mut two) = pair();
    for n in 0..30 {
        one.turn(true, &format!("t{n}")).await;
        one.turn(false, &format!("t{n}")).await;
    }
    assert_eq!(one.store.bulletin_after(0, 100).await.unwrap().len(), 20);
    for n in 0..5 {
        one.turn(true, &format!("s{n}")).await;
    }
    one.round().await;
    two.round().await;
    assert_eq!(two.off().await.len(), 5);
    let findings: Vec<_> = (0..30)
        .map(|n| NewFinding { holder: format!("p{n}"), ..finding(&n.to_string()) })
        .collect();
    one.store.add_findings(findings).await.unwrap();
    assert!(one.acts().await.iter().any(|(name, _)| name == "not_shared"));
    one.round().await;
    two.round().await;
    assert_eq!((one.off().await.len(), two.off().await.len()), (5, 5));
    assert_eq!(two.store.curbs().await.unwrap().len(), 15);
}

#[tokio::test]
async fn a_right_that_is_given_back_is_so_at_all_gates_however_much_there_is_to_tell() {
    let (_board, mut one, mut two) = pair();
    one.turn_of("right", true, "teller@wang").await;
    let findings =
        (0..12).map(|n| NewFinding { holder: format!("p{n}"), ..finding(&n.to_string()) });
    one.store.add_findings(findings.collect()).await.unwrap();
    one.round().await;
    two.round().await;
    assert_eq!(two.off().await, ["teller@wang"]);
    advance(&[&one, &two], 5);
    one.turn_of("right", false, "teller@wang").await;
    for _ in 0..2 {
        advance(&[&one, &two], 61_000);
        one.round().await;
        two.round().await;
    }
    assert!(one.off().await.is_empty() && two.off().await.is_empty());
}

#[tokio::test]
async fn what_a_newer_menshen_tells_is_left_alone() {
    let (board, _one, mut two) = pair();
    let seals = Seals::derive(&master(3), "newer").unwrap();
    let notice = BulletinRow {
        seq: 0,
        id: "x".to_owned(),
        kind: "weather".to_owned(),
        topic: "7".to_owned(),
        stamp: START_MS,
        lasts: true,
        origin: String::new(),
        payload: "{}".to_owned(),
    };
    let posts = vec![seals.seal(&notice).unwrap().unwrap()];
    board.exchange(Exchange { posts, most: 10, ..Exchange::default() }).await.unwrap();
    assert_eq!(two.round().await, Round { left: 1, ..Round::default() });
    assert_eq!(told(&board).len(), 1);
}

/// What happens to three gates and their board.
#[derive(Clone, Debug)]
enum Deed {
    Turn { gate: usize, is_on: bool, tenant: u8 },
    Round(usize),
    Pass { gate: usize, ms: i64 },
    Flush,
    Replay,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (0..3_usize, any::<bool>(), 0..2_u8)
            .prop_map(|(gate, is_on, tenant)| Deed::Turn { gate, is_on, tenant }),
        4 => (0..3_usize).prop_map(Deed::Round),
        2 => (0..3_usize, 0..90_000_i64).prop_map(|(gate, ms)| Deed::Pass { gate, ms }),
        1 => Just(Deed::Flush),
        1 => Just(Deed::Replay),
    ]
}

#[test]
fn whatever_is_lost_or_brought_back_all_gates_agree_in_the_end() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(24));
    let run = |deeds: Vec<Deed>| async move {
        let board = Arc::new(MemoryBoard::default());
        let mut gates = ["one", "two", "three"].map(|node| Gate::new(node, &board));
        let mut before = Vec::new();
        for deed in deeds {
            match deed {
                Deed::Turn { gate, is_on, tenant } => {
                    gates[gate].turn(is_on, &tenant.to_string()).await;
                }
                Deed::Round(gate) => {
                    gates[gate].round().await;
                }
                Deed::Pass { gate, ms } => gates[gate].clock.advance_ms(ms),
                Deed::Flush => board.flush(),
                Deed::Replay => {
                    let posts = std::mem::replace(&mut before, board.notices());
                    let replay = Exchange { posts, most: 10, ..Exchange::default() };
                    board.exchange(replay).await.unwrap();
                }
            }
        }
        for _ in 0..4 {
            for gate in &mut gates {
                gate.clock.advance_ms(61_000);
                gate.round().await;
            }
        }
        let mut agreed = Vec::new();
        for gate in &gates {
            let mut off = gate.off().await;
            off.sort_unstable();
            agreed.push(off);
        }
        agreed
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runner
        .run(&proptest::collection::vec(deed(), 1..25), |deeds| {
            let agreed = runtime.block_on(run(deeds));
            prop_assert!(agreed.iter().all(|off| *off == agreed[0]), "{:?}", agreed);
            Ok(())
        })
        .unwrap();
}
