//! Gates that tell each other of grants, links and what data subjects said, over a board that forgets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use super::super::*;
use crate::clock::Clock;
use crate::consent::{Register, Says, Statement};
use crate::grant::{Ask, Counter, Emergency, Grant, State, Terms, Told, Unreadable, Verdict, Who};
use crate::link::{Link, Links, Taken, Ticket};
use crate::policy::{ConsentKind, Said};
use crate::secret::MasterKey;
use crate::state::{GrantRow, GrantStep, Lane, Store};

const START_MS: i64 = 1_800_000_000_000;
const NOW_S: i64 = START_MS / 1000;

fn master() -> MasterKey {
    MasterKey::from_bytes([3; 32])
}

/// A gate with a state of its own.
struct Gate {
    store: Store,
    bulletin: Bulletin,
    links: Links,
    subjects: Register,
    grants: Counter,
    clock: Clock,
    _folder: tempfile::TempDir,
}

impl Gate {
    fn new(node: &str, board: &Arc<MemoryBoard>) -> Self {
        Self::at(node, board, Clock::fixed(START_MS))
    }

    fn at(node: &str, board: &Arc<MemoryBoard>, clock: Clock) -> Self {
        Self::on(tempfile::tempdir().unwrap(), node, board, clock)
    }

    /// On a state that is there.
    fn on(folder: tempfile::TempDir, node: &str, board: &Arc<MemoryBoard>, clock: Clock) -> Self {
        let store = Store::open(folder.path(), &master(), clock.clone()).unwrap();
        let seals = Seals::derive(&master(), node).unwrap();
        let bulletin =
            Bulletin::new(store.clone(), Arc::new(Arc::clone(board)), seals, clock.clone());
        let links = Links::new(store.clone(), &master(), clock.clone()).unwrap();
        let subjects = Register::new(store.clone(), &master(), clock.clone()).unwrap();
        let grants = Counter::new(store.clone(), &master(), clock.clone()).unwrap();
        Self { store, bulletin, links, subjects, grants, clock, _folder: folder }
    }

    async fn round(&mut self) -> Round {
        self.bulletin.round().await.unwrap()
    }

    async fn ties(&self, subject: &str) -> bool {
        self.links.load().await.unwrap();
        self.links.stands(self.links.tag_of(&link(subject)))
    }

    async fn put(&self, subject: &str) {
        self.links.put("crm", &[link(subject)]).await.unwrap();
    }

    async fn end(&self, subject: &str) {
        self.links.end("crm", &[link(subject)]).await.unwrap();
    }

    async fn take(&self, ticket: &str, subject: &str, issued_s: i64) -> Taken {
        let ticket = Ticket { issuer: "queue", id: ticket, issued_s };
        self.links.take_ticket(&link(subject), &ticket).await.unwrap()
    }

    async fn say(&self, says: Says) {
        self.say_of("42", says).await;
    }

    async fn say_of(&self, subject: &str, says: Says) {
        self.subjects.put("crm", &[statement(subject, says)]).await.unwrap();
    }

    async fn said(&self) -> Option<Said> {
        self.said_by("42").await
    }

    async fn said_by(&self, subject: &str) -> Option<Said> {
        self.subjects.load().await.unwrap();
        self.subjects.said("customer", subject, "marketing", None)
    }

    async fn acts(&self) -> Vec<(String, String)> {
        let acts = self.store.pending_acts().await.unwrap();
        acts.into_iter().map(|act| (act.name, act.detail)).collect()
    }

    async fn ask(&self, name: &str, emergency: Option<Emergency>) -> Grant {
        let ask = Ask::read(|field| match field {
            "route" => "guest.scan",
            "action" => "view",
            "subjects" => "guest:G7",
            "reason" => "lost key card",
            _ => "",
        });
        self.grants.ask(&who(name), ask.unwrap(), (600, 3600), emergency).await.unwrap()
    }

    async fn approve(&self, name: &str, id: &str) -> Grant {
        let who = who(name);
        let approved = self.grants.approve(&who, id, (TERMS, 86_400), true, (2, Some(1)));
        approved.await.unwrap()
    }

    async fn state(&self, id: &str) -> State {
        self.grants.grant(id).await.unwrap().state
    }
}

const TERMS: Terms = Terms {
    number: 1,
    assurance: 2,
    fresh_s: 900,
    longest_s: 3600,
    uses: None,
    subjects: None,
    rows: None,
    ring: 2,
};

fn who(name: &str) -> Who {
    Who { account: format!("corp:{name}"), person: name.to_owned(), roles: Vec::new() }
}

fn link(subject: &str) -> Link {
    Link {
        account: "corp:wang".into(),
        kind: "call".into(),
        entity: "customer".into(),
        subject: subject.into(),
        reference: "C-1".into(),
        until_s: NOW_S + 86_400,
    }
}

fn statement(subject: &str, says: Says) -> Statement {
    Statement { entity: "customer".into(), subject: subject.into(), says, reference: String::new() }
}

fn consent_of(kind: ConsentKind, until_s: i64) -> Says {
    Says::Consent { purpose: "marketing".into(), kind, notice: 1, until_s, recipient: None }
}

fn consent() -> Says {
    consent_of(ConsentKind::Explicit, NOW_S + 10_000_000)
}

fn yes() -> Option<Said> {
    Some(Said::Yes { kind: ConsentKind::Explicit, notice: 1 })
}

fn object() -> Says {
    Says::Object { purpose: "marketing".into(), recipient: String::new() }
}

fn pair() -> (Arc<MemoryBoard>, [Gate; 2]) {
    let board = Arc::new(MemoryBoard::default());
    let gates = [Gate::new("one", &board), Gate::new("two", &board)];
    (board, gates)
}

/// Rounds of all, so that each has heard of where the others are and of what they have.
async fn rounds(gates: &mut [Gate]) {
    for _ in 0..3 {
        for gate in &mut *gates {
            gate.round().await;
        }
    }
}

fn advance(gates: &[Gate], ms: i64) {
    gates.iter().for_each(|gate| gate.clock.advance_ms(ms));
}

#[tokio::test]
async fn a_link_that_is_put_at_one_gate_ties_at_the_other_and_its_end_at_either_ends_it_at_both() {
    let (board, mut gates) = pair();
    gates[0].put("42").await;
    rounds(&mut gates).await;
    assert!(gates[1].ties("42").await);
    let put = ("links_put_shared".to_owned(), "1: call; at one".to_owned());
    assert_eq!(gates[1].acts().await, [put]);
    for (_, sealed) in board.notices() {
        let text = String::from_utf8_lossy(&sealed).into_owned();
        assert!(!text.contains("corp:wang"), "nothing on the board is legible");
    }
    gates[1].end("42").await;
    rounds(&mut gates).await;
    assert!(!gates[0].ties("42").await && !gates[1].ties("42").await);
    let count = gates[0].acts().await.len();
    rounds(&mut gates).await;
    assert_eq!(gates[0].acts().await.len(), count, "it says nothing new to who said it");
    assert_eq!(gates[0].round().await, Round::default());
}

#[tokio::test]
async fn of_a_put_and_an_end_the_later_holds_at_all_gates_and_at_one_moment_the_end() {
    for (ahead_ms, stands) in [(0, false), (5, true)] {
        let (_board, mut gates) = pair();
        gates[1].clock.advance_ms(ahead_ms);
        gates[0].end("42").await;
        gates[1].put("42").await;
        rounds(&mut gates).await;
        assert_eq!((gates[0].ties("42").await, gates[1].ties("42").await), (stands, stands));
    }
    // A gate whose clock is behind ends what it has heard of all the same.
    let (_board, mut gates) = pair();
    gates[0].clock.advance_ms(50_000);
    gates[0].put("42").await;
    rounds(&mut gates).await;
    assert!(gates[1].ties("42").await);
    gates[1].end("42").await;
    rounds(&mut gates).await;
    assert!(!gates[0].ties("42").await && !gates[1].ties("42").await);
}

#[tokio::test]
async fn all_links_of_an_account_that_are_ended_at_one_gate_are_so_also_where_one_was_unheard_of() {
    let (_board, mut gates) = pair();
    gates[0].put("41").await;
    rounds(&mut gates).await;
    gates[1].put("42").await;
    advance(&gates, 1);
    assert_eq!(gates[0].links.end_all("desk", "corp:wang").await.unwrap(), 1);
    rounds(&mut gates).await;
    for gate in &gates {
        assert!(!gate.ties("41").await && !gate.ties("42").await);
    }
    advance(&gates, 1);
    gates[1].put("42").await;
    rounds(&mut gates).await;
    assert!(gates[0].ties("42").await, "another case");
}

#[tokio::test]
async fn a_ticket_that_was_taken_at_one_gate_opens_no_ended_case_again_at_another() {
    let (_board, mut gates) = pair();
    assert_eq!(gates[0].take("T1", "42", NOW_S).await, Taken::Now);
    rounds(&mut gates).await;
    assert!(gates[1].ties("42").await);
    assert_eq!(gates[1].take("T1", "42", NOW_S).await, Taken::Before, "once at all gates");
    advance(&gates, 500);
    gates[0].end("42").await;
    rounds(&mut gates).await;
    assert_eq!(gates[1].take("T1", "42", NOW_S).await, Taken::Before);
    assert_eq!(gates[1].take("T2", "42", NOW_S).await, Taken::Ended, "it was kept back");
    assert!(!gates[1].ties("42").await);
    advance(&gates, 2_000);
    assert_eq!(gates[1].take("T3", "42", NOW_S + 2).await, Taken::Now, "another case");
    rounds(&mut gates).await;
    assert!(gates[0].ties("42").await);
}

#[tokio::test]
async fn a_ticket_that_is_shown_at_one_gate_before_it_heard_of_the_end_at_another_opens_nothing() {
    let (_board, mut gates) = pair();
    advance(&gates, 5_000);
    gates[0].end("42").await;
    advance(&gates, 200);
    // Made before the end, and shown after it where nobody has heard of that yet.
    assert_eq!(gates[1].take("T1", "42", NOW_S).await, Taken::Now);
    rounds(&mut gates).await;
    assert!(!gates[0].ties("42").await && !gates[1].ties("42").await);
}

#[tokio::test]
async fn a_ticket_that_is_older_than_a_call_that_put_the_link_changes_nothing_at_any_gate() {
    let (_board, mut gates) = pair();
    advance(&gates, 5_000);
    gates[0].put("42").await;
    assert_eq!(gates[0].take("T1", "42", NOW_S).await, Taken::Now);
    assert_eq!(gates[0].take("T1", "42", NOW_S).await, Taken::Before);
    rounds(&mut gates).await;
    let rows = [
        gates[0].store.links_of("corp:wang").await.unwrap().len(),
        gates[1].store.links_of("corp:wang").await.unwrap().len(),
    ];
    assert_eq!(rows, [1, 1]);
    // The call's case is over before the ticket's would be.
    let short = Link { until_s: NOW_S + 60, ..link("43") };
    gates[0].links.put("crm", &[short]).await.unwrap();
    rounds(&mut gates).await;
    advance(&gates, 61_000);
    assert_eq!(gates[0].take("T2", "43", NOW_S).await, Taken::Ended);
    rounds(&mut gates).await;
    assert!(!gates[0].ties("43").await && !gates[1].ties("43").await);
}

#[tokio::test]
async fn of_a_subject_and_a_purpose_the_last_word_counts_at_whichever_gate_it_was_said() {
    let (_board, mut gates) = pair();
    gates[0].say(consent()).await;
    rounds(&mut gates).await;
    assert_eq!(gates[1].said().await, yes());
    let told = gates[1].acts().await;
    assert_eq!(told[0].0, "subjects_registered_shared");
    assert_eq!(told[0].1, "at one; 1: consent marketing");
    gates[1].clock.advance_ms(-3_000);
    let withdrawal = Says::Withdraw { purpose: String::new(), recipient: String::new() };
    gates[1].say(withdrawal).await;
    rounds(&mut gates).await;
    assert_eq!((gates[0].said().await, gates[1].said().await), (Some(Said::No), Some(Said::No)));
    gates[1].say(consent()).await;
    rounds(&mut gates).await;
    assert_eq!((gates[0].said().await, gates[1].said().await), (yes(), yes()));
}

#[tokio::test]
async fn at_one_moment_a_no_counts_and_a_silence_replaces_nothing_whichever_is_heard_of_first() {
    for first in [0, 1] {
        let (_board, mut gates) = pair();
        gates[first].say(consent()).await;
        gates[1 - first].say(object()).await;
        rounds(&mut gates).await;
        assert_eq!(
            (gates[0].said().await, gates[1].said().await),
            (Some(Said::No), Some(Said::No))
        );
        let (_board, mut gates) = pair();
        gates[first].say(object()).await;
        gates[1 - first].clock.advance_ms(700);
        gates[1 - first].say(consent_of(ConsentKind::Deemed, NOW_S + 10_000_000)).await;
        rounds(&mut gates).await;
        assert_eq!(
            (gates[0].said().await, gates[1].said().await),
            (Some(Said::No), Some(Said::No))
        );
    }
}

#[tokio::test]
async fn a_no_that_is_heard_of_after_the_consent_that_followed_it_stands_again_when_that_ends() {
    let (_board, mut gates) = pair();
    gates[0].say(object()).await;
    gates[1].clock.advance_ms(500);
    gates[1].say(consent_of(ConsentKind::Explicit, NOW_S + 600)).await;
    rounds(&mut gates).await;
    assert_eq!((gates[0].said().await, gates[1].said().await), (yes(), yes()));
    advance(&gates, 601_000);
    assert_eq!((gates[0].said().await, gates[1].said().await), (Some(Said::No), Some(Said::No)));
}

#[tokio::test]
async fn marks_are_put_and_taken_away_at_all_gates() {
    let (_board, mut gates) = pair();
    let mark = Says::Mark { mark: "hidden".into(), until_s: NOW_S + 10_000_000 };
    gates[0].say(mark).await;
    rounds(&mut gates).await;
    let marked = async |gate: &Gate| {
        gate.subjects.load().await.unwrap();
        gate.subjects.is_marked("customer", "42", "hidden").unwrap()
    };
    assert!(marked(&gates[1]).await);
    gates[1].say(Says::Unmark { mark: "hidden".into() }).await;
    rounds(&mut gates).await;
    assert!(!marked(&gates[0]).await && !marked(&gates[1]).await);
}

#[tokio::test]
async fn a_grant_is_asked_for_at_one_gate_agreed_to_at_another_and_taken_back_at_either() {
    let (board, mut gates) = pair();
    let id = gates[0].ask("wu", None).await.id;
    rounds(&mut gates).await;
    assert_eq!(gates[1].approve("mei", &id).await.state, State::Approved);
    rounds(&mut gates).await;
    assert_eq!(gates[0].state(&id).await, State::Approved);
    let told = gates[0].acts().await.pop().unwrap();
    assert_eq!(
        told,
        ("grant_approved_shared".into(), "view guest.scan of 1 person for corp:wu; at two".into())
    );
    for (_, sealed) in board.notices() {
        assert!(!String::from_utf8_lossy(&sealed).contains("guest.scan"));
    }
    gates[0].grants.revoke(&who("wu"), &id, "done").await.unwrap();
    rounds(&mut gates).await;
    assert_eq!(gates[1].state(&id).await, State::Revoked);
    // Who agreed to whose is known at both: the third of a ring is refused at either.
    for _ in 0..2 {
        let id = gates[0].ask("mei", None).await.id;
        gates[0].approve("wu", &id).await;
    }
    let id = gates[1].ask("wu", None).await.id;
    rounds(&mut gates).await;
    let ring = gates[1].grants.approve(&who("mei"), &id, (TERMS, 86_400), true, (2, Some(1))).await;
    assert!(ring.is_err(), "{ring:?}");
}

#[tokio::test]
async fn of_steps_that_are_taken_at_once_with_a_grant_the_stricter_holds_at_all_gates() {
    for first in [0, 1] {
        let (_board, mut gates) = pair();
        let id = gates[0].ask("wu", None).await.id;
        rounds(&mut gates).await;
        gates[first].approve("mei", &id).await;
        gates[1 - first].grants.refuse(&who("tan"), &id, "no").await.unwrap();
        rounds(&mut gates).await;
        assert_eq!(gates[0].state(&id).await, State::Refused);
        assert_eq!(gates[1].state(&id).await, State::Refused);
        // The same step at both: one row in the end.
        let id = gates[0].ask("wu", None).await.id;
        rounds(&mut gates).await;
        gates[0].approve("mei", &id).await;
        gates[1].approve("tan", &id).await;
        rounds(&mut gates).await;
        let agreed =
            [gates[0].grants.grant(&id).await.unwrap(), gates[1].grants.grant(&id).await.unwrap()];
        assert_eq!(agreed[0], agreed[1]);
    }
}

#[tokio::test]
async fn a_review_that_an_emergency_owes_is_owed_at_all_gates_reminded_of_at_one_and_given_at_either()
 {
    let (_board, mut gates) = pair();
    let glass =
        Emergency { review_until_s: NOW_S + 3_600, grade: 4, drill: false, told: Told::Nothing };
    let id = gates[0].ask("wu", Some(glass)).await.id;
    rounds(&mut gates).await;
    assert_eq!(gates[1].acts().await[0].0, "glass_broken_shared");
    advance(&gates, 4_000_000);
    assert!(gates[1].grants.grant(&id).await.unwrap().is_overdue(gates[1].clock.unix_s()));
    for gate in &gates {
        gate.grants.tidy().await.unwrap();
        gate.grants.remind().await.unwrap();
    }
    let reminded = |acts: &[(String, String)]| {
        acts.iter().filter(|(name, _)| name == "grant_review_overdue").count()
    };
    let acts = [gates[0].acts().await, gates[1].acts().await];
    assert_eq!((reminded(&acts[0]), reminded(&acts[1])), (1, 0));
    rounds(&mut gates).await;
    gates[1].grants.review(&who("eve"), &id, Verdict::Fit, "seen").await.unwrap();
    rounds(&mut gates).await;
    let reviewed = gates[0].grants.grant(&id).await.unwrap();
    assert!(reviewed.state == State::Reviewed && !reviewed.is_overdue(i64::MAX));
}

#[tokio::test]
async fn a_grant_that_is_too_long_to_be_told_holds_at_its_gate_alone_and_ends_at_all() {
    let (_board, mut gates) = pair();
    let subjects: Vec<String> =
        (0..190).map(|n| format!("guest:{n}-{}", "G".repeat(200))).collect();
    let subjects = subjects.join(" ");
    let ask = |subjects: &str| {
        Ask::read(|field| match field {
            "route" => "guest.scan",
            "action" => "view",
            "subjects" => subjects,
            "reason" => "a list",
            _ => "",
        })
        .unwrap()
    };
    let long = gates[0].grants.ask(&who("wu"), ask(&subjects), (600, 3600), None).await.unwrap();
    gates[0].approve("mei", &long.id).await;
    let short = gates[0].grants.ask(&who("li"), ask("guest:G7"), (600, 3600), None).await.unwrap();
    gates[0].approve("mei", &short.id).await;
    rounds(&mut gates).await;
    assert!(gates[1].grants.grant(&long.id).await.is_err(), "it opens nothing there");
    assert_eq!(gates[1].state(&short.id).await, State::Approved, "and holds up no other");
}

#[tokio::test]
async fn an_emergency_that_cannot_be_told_whole_owes_its_review_at_all_gates_until_that_is_given() {
    let (_board, mut gates) = pair();
    // As a gate keeps it that lets so long a one through.
    let row = |state: &str, change, weight, review_s| GrantRow {
        id: "G-long".into(),
        person: "wu".into(),
        state: state.into(),
        asked_ms: START_MS,
        until_s: NOW_S + 600,
        review_s,
        sealed: vec![7; 20_000],
        change,
        weight,
    };
    let step = |act| GrantStep { act, ..GrantStep::default() };
    let broken = row("approved", 0, 1_000, Some(NOW_S + 1_800));
    gates[0].store.put_grant(broken, step("glass_broken"), (10, 3)).await.unwrap();
    rounds(&mut gates).await;
    let news = gates[1].grants.news(0).await.unwrap();
    let told = |owes_review| Unreadable { id: "G-long".into(), person: "wu".into(), owes_review };
    assert_eq!((news.grants.len(), &*news.unreadable), (0, &[told(true)][..]));
    assert_eq!(gates[1].acts().await[0].0, "glass_broken_shared");
    let reviewed = row("reviewed", 1, 6_000, None);
    gates[0].store.put_grant(reviewed, step("grant_reviewed"), (10, 3)).await.unwrap();
    rounds(&mut gates).await;
    let news = gates[1].grants.news(news.change).await.unwrap();
    assert_eq!(news.unreadable, [told(false)]);
}

/// Puts what takes some forty batches.
async fn feed(gate: &Gate, from: usize) {
    for n in 0..10 {
        let many = (0..100).map(|m| statement(&format!("c-{}", from + n * 100 + m), consent()));
        gate.subjects.put("crm", &many.collect::<Vec<_>>()).await.unwrap();
    }
}

#[tokio::test]
async fn a_flood_of_consents_holds_up_no_objection_fills_no_board_and_comes_whole() {
    let (board, mut gates) = pair();
    rounds(&mut gates).await;
    feed(&gates[0], 0).await;
    gates[0].say_of("c-7", object()).await;
    gates[0].put("42").await;
    gates[0].round().await;
    assert!(board.notices().len() < 12, "{}", board.notices().len());
    gates[1].round().await;
    assert_eq!(
        gates[1].said_by("c-7").await,
        Some(Said::No),
        "before the consents behind which it was said"
    );
    assert!(gates[1].ties("42").await);
    assert_eq!(gates[1].said_by("c-999").await, Some(Said::Nothing), "not all came yet");
    let mut least = u64::MAX;
    for _ in 0..60 {
        advance(&gates, 150);
        gates[0].round().await;
        let behind = gates[1].round().await.behind;
        assert!(behind <= least);
        least = behind;
        assert!(board.notices().len() < 60, "{}", board.notices().len());
    }
    assert_eq!(least, 0);
    for n in 0..1000 {
        let wanted = if n == 7 { Some(Said::No) } else { yes() };
        assert_eq!(gates[1].said_by(&format!("c-{n}")).await, wanted, "{n}");
    }
    advance(&gates, 5_000);
    rounds(&mut gates).await;
    assert_eq!(board.notices().len(), 2, "what was read is taken away");
}

#[tokio::test]
async fn a_gate_that_was_away_or_knows_nothing_is_told_by_any_that_knows_and_holds_up_no_other() {
    let (board, mut gates) = pair();
    rounds(&mut gates).await;
    feed(&gates[0], 0).await;
    feed(&gates[0], 1_000).await;
    for _ in 0..40 {
        advance(&gates, 150);
        rounds(&mut gates).await;
    }
    advance(&gates, 5_000);
    rounds(&mut gates).await;
    assert_eq!(gates[1].said_by("c-1999").await, yes());
    let [one, two] = gates;
    // The gate where all was said is gone for good.
    drop(one);
    two.clock.advance_ms(60_000);
    let clock = Clock::fixed(START_MS + 71_000);
    let mut gates =
        [two, Gate::at("three", &board, clock.clone()), Gate::at("four", &board, clock)];
    rounds(&mut gates).await;
    // While the newcomers are told of the past, what is new is told at once.
    gates[0].put("42").await;
    rounds(&mut gates).await;
    assert!(gates[1].ties("42").await && gates[2].ties("42").await);
    let mut known = 0;
    for n in 0..40 {
        known += u8::from(gates[1].said_by(&format!("c-{}", n * 50)).await == yes());
    }
    assert!((1..40).contains(&known), "some came, and not all yet: {known} of 40");
    for n in 0..40 {
        // It does not end while something new is told all the time.
        gates[0].say_of(&format!("new-{n}"), consent()).await;
        advance(&gates, 150);
        rounds(&mut gates).await;
    }
    for _ in 0..4 {
        // Until the one that is gone counts as away.
        advance(&gates, 9_000);
        rounds(&mut gates).await;
    }
    assert_eq!((gates[1].round().await.behind, gates[2].round().await.behind), (0, 0));
    for gate in &gates[1..] {
        for n in [0, 999, 1_999] {
            assert_eq!(gate.said_by(&format!("c-{n}")).await, yes(), "{n}");
        }
    }
}

#[tokio::test]
async fn a_state_that_came_out_of_a_backup_is_told_what_it_forgot_and_what_it_says_is_heard() {
    let (board, mut gates) = pair();
    gates[0].say(consent()).await;
    rounds(&mut gates).await;
    let backup = tempfile::tempdir().unwrap();
    gates[0].store.snapshot_to(&backup.path().join(Store::file_name())).unwrap();
    // What was said since is in no backup of the gate where it was said.
    advance(&gates, 10);
    gates[0].say(object()).await;
    for n in 0..5 {
        gates[0].put(&n.to_string()).await;
    }
    rounds(&mut gates).await;
    let [one, two] = gates;
    drop(one);
    crate::state::end_after_restore(backup.path(), "gate-1-x", START_MS + 5, 1).unwrap();
    two.clock.advance_ms(490);
    let restored = Gate::on(backup, "one", &board, Clock::fixed(START_MS + 500));
    let mut gates = [restored, two];
    rounds(&mut gates).await;
    assert_eq!(gates[0].said().await, Some(Said::No));
    assert!(gates[0].ties("3").await);
    // Its numbers begin anew where the backup ends, and yet nothing of it is taken for known.
    gates[0].put("new").await;
    rounds(&mut gates).await;
    assert!(gates[1].ties("new").await);
}

#[tokio::test]
async fn a_state_that_was_put_back_together_with_its_log_is_told_what_it_forgot_and_is_heard() {
    let (board, mut gates) = pair();
    gates[0].put("old").await;
    rounds(&mut gates).await;
    let copy = tempfile::tempdir().unwrap();
    gates[0].store.snapshot_to(&copy.path().join(Store::file_name())).unwrap();
    advance(&gates, 10);
    for n in 0..5 {
        gates[0].put(&n.to_string()).await;
    }
    rounds(&mut gates).await;
    let [one, two] = gates;
    drop(one);
    two.clock.advance_ms(490);
    let mut gates = [Gate::on(copy, "one", &board, Clock::fixed(START_MS + 500)), two];
    gates[0].put("new").await;
    for _ in 0..4 {
        rounds(&mut gates).await;
        advance(&gates, 3_000);
    }
    assert!(gates[1].ties("new").await, "its number was given to another before");
    assert!(gates[0].ties("old").await && gates[0].ties("3").await);
    let acts = gates[0].acts().await;
    assert_eq!(acts.iter().filter(|(name, _)| name == "feeds_begun_anew").count(), 1, "{acts:?}");
}

#[tokio::test]
async fn a_state_that_forgot_what_is_over_is_not_taken_for_one_that_was_put_back() {
    let (_board, mut gates) = pair();
    for n in 0..5 {
        gates[0].put(&n.to_string()).await;
    }
    rounds(&mut gates).await;
    advance(&gates, 2 * 86_400_000);
    gates[0].store.forget_links(NOW_S + 86_401).await.unwrap();
    rounds(&mut gates).await;
    assert_eq!(gates[0].store.feed_heads().await.unwrap().of(Lane::Links), 0);
    assert!(gates[0].acts().await.iter().all(|(name, _)| name != "feeds_begun_anew"));
}

/// A board that fails while it is told to.
struct Flaky {
    board: Arc<MemoryBoard>,
    fails: AtomicBool,
}

impl Board for Flaky {
    fn exchange(&self, exchange: Exchange) -> BoardFuture<'_> {
        match self.fails.load(Ordering::Relaxed) {
            true => Box::pin(async { Err(BoardError("it is away".into())) }),
            false => self.board.exchange(exchange),
        }
    }
}

#[tokio::test]
async fn what_was_read_is_taken_away_also_after_a_call_that_failed() {
    let (board, mut gates) = pair();
    let flaky = Arc::new(Flaky { board: Arc::clone(&board), fails: AtomicBool::new(false) });
    let seals = Seals::derive(&master(), "one").unwrap();
    let (store, clock) = (gates[0].store.clone(), gates[0].clock.clone());
    gates[0].bulletin = Bulletin::new(store, Arc::clone(&flaky) as Arc<dyn Board>, seals, clock);
    rounds(&mut gates).await;
    gates[0].put("42").await;
    rounds(&mut gates).await;
    assert!(board.notices().len() > 2);
    advance(&gates, 5_000);
    gates[0].round().await;
    flaky.fails.store(true, Ordering::Relaxed);
    assert!(gates[0].bulletin.round().await.is_err());
    flaky.fails.store(false, Ordering::Relaxed);
    for _ in 0..3 {
        advance(&gates, 5_000);
        rounds(&mut gates).await;
    }
    assert_eq!(board.notices().len(), 2, "where both are");
}

#[tokio::test]
async fn rows_that_somebody_else_writes_count_for_nothing_and_those_of_before_change_nothing() {
    let (board, mut gates) = pair();
    rounds(&mut gates).await;
    gates[0].put("42").await;
    gates[0].round().await;
    let old = board.notices();
    rounds(&mut gates).await;
    advance(&gates, 5_000);
    gates[1].end("42").await;
    rounds(&mut gates).await;
    board.exchange(Exchange { posts: old, most: 10, ..Exchange::default() }).await.unwrap();
    for _ in 0..3 {
        advance(&gates, 61_000);
        rounds(&mut gates).await;
    }
    assert!(!gates[0].ties("42").await && !gates[1].ties("42").await);
}

/// What happens to three gates and their board.
#[derive(Clone, Debug)]
enum Deed {
    Put(usize, u8),
    End(usize, u8),
    EndAll(usize),
    Ticket(usize, u8, i64),
    Say(usize, u8, bool),
    Round(usize),
    Pass(usize, i64),
    Flush,
    Lose(usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => (0..3_usize, 0..2_u8).prop_map(|(gate, n)| Deed::Put(gate, n)),
        2 => (0..3_usize, 0..2_u8).prop_map(|(gate, n)| Deed::End(gate, n)),
        1 => (0..3_usize).prop_map(Deed::EndAll),
        2 => (0..3_usize, 0..2_u8, -3..20_i64).prop_map(|(gate, n, s)| Deed::Ticket(gate, n, s)),
        3 => (0..3_usize, 0..2_u8, any::<bool>()).prop_map(|(gate, n, is)| Deed::Say(gate, n, is)),
        6 => (0..3_usize).prop_map(Deed::Round),
        2 => (0..3_usize, 0..40_000_i64).prop_map(|(gate, ms)| Deed::Pass(gate, ms)),
        1 => Just(Deed::Flush),
        1 => (0..8_usize).prop_map(Deed::Lose),
    ]
}

async fn agreed(deeds: Vec<Deed>) -> Vec<Vec<String>> {
    let board = Arc::new(MemoryBoard::default());
    let mut gates = ["one", "two", "three"].map(|node| Gate::new(node, &board));
    for deed in deeds {
        match deed {
            Deed::Put(gate, n) => gates[gate].put(&n.to_string()).await,
            Deed::End(gate, n) => gates[gate].end(&n.to_string()).await,
            Deed::EndAll(gate) => {
                gates[gate].links.end_all("desk", "corp:wang").await.unwrap();
            }
            Deed::Ticket(gate, n, after_s) => {
                let (ticket, issued_s) = (format!("T{n}-{after_s}"), NOW_S + after_s);
                // One that ends sooner than what a call puts.
                let link = Link { until_s: NOW_S + 40_000, ..link(&n.to_string()) };
                let ticket = Ticket { issuer: "queue", id: &ticket, issued_s };
                gates[gate].links.take_ticket(&link, &ticket).await.ok();
            }
            Deed::Say(gate, n, is_yes) => {
                let says = if is_yes { consent() } else { object() };
                gates[gate].say_of(&n.to_string(), says).await;
            }
            Deed::Round(gate) => {
                gates[gate].round().await;
            }
            Deed::Pass(gate, ms) => gates[gate].clock.advance_ms(ms),
            Deed::Flush => board.flush(),
            Deed::Lose(at) => {
                let drops = board.notices().into_iter().skip(at).take(1).collect();
                board.exchange(Exchange { drops, most: 10, ..Exchange::default() }).await.unwrap();
            }
        }
    }
    for _ in 0..8 {
        for gate in &mut gates {
            gate.clock.advance_ms(11_000);
            gate.round().await;
        }
    }
    let mut agreed = Vec::new();
    for gate in &gates {
        let mut known = Vec::new();
        for n in ["0", "1"] {
            known.push(format!("{n}: {} {:?}", gate.ties(n).await, gate.said_by(n).await));
        }
        // Also on when what stands ends.
        gate.clock.advance_ms(50_000_000);
        for n in ["0", "1"] {
            known.push(format!("{n} later: {}", gate.ties(n).await));
        }
        agreed.push(known);
    }
    agreed
}

#[test]
fn whatever_is_lost_all_gates_agree_in_the_end_on_links_and_on_what_was_said() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(24));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runner
        .run(&proptest::collection::vec(deed(), 1..30), |deeds| {
            let agreed = runtime.block_on(agreed(deeds));
            prop_assert!(agreed.iter().all(|known| *known == agreed[0]), "{:?}", agreed);
            Ok(())
        })
        .unwrap();
}

#[test]
fn every_lane_has_a_word_of_its_own_that_the_board_and_the_state_agree_on() {
    for lane in Lane::ALL {
        assert_eq!(serde_json::to_value(lane).unwrap(), lane.word());
    }
}
