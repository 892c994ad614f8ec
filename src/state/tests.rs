//! The state through its own front door: durable, private, and alive after a fault.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::secret::Secret;

struct Folder {
    dir: tempfile::TempDir,
    clock: Clock,
}

impl Folder {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), clock: Clock::fixed(1_800_000_000_000) }
    }

    fn open(&self) -> Store {
        Store::open(&self.dir.path().join("state"), &key(), self.clock.clone()).unwrap()
    }
}

fn key() -> MasterKey {
    MasterKey::from_bytes([3; 32])
}

fn account(name: &str) -> NewAccountRow {
    NewAccountRow {
        name: name.into(),
        display_name: name.to_uppercase(),
        kind: "staff".into(),
        roles: "[]".into(),
        attributes: "{}".into(),
        password_hash: Secret::new("hash".into()),
    }
}

fn add(person: &str, bucket: i64, amount: u64) -> UsageChange {
    UsageChange::Add(UsageRow { person: person.into(), budget: "b".into(), bucket, amount })
}

fn see(person: &str, bucket: i64, subject: u64) -> UsageChange {
    UsageChange::See(SeenRow { person: person.into(), budget: "b".into(), bucket, subject })
}

#[tokio::test]
async fn an_act_is_noted_with_the_change_itself_or_not_at_all() {
    let folder = Folder::new();
    let store = folder.open().acting_as("operator uid 7");
    store.insert_account(account("wang")).await.unwrap();
    assert!(store.insert_account(account("wang")).await.is_err());
    assert!(store.set_standing("nobody", "disabled", "account_disabled").await.is_err());
    store.set_standing("wang", "disabled", "account_disabled").await.unwrap();
    drop(store);
    let store = folder.open();
    let acts = store.pending_acts().await.unwrap();
    let told: Vec<_> = acts.iter().map(|a| (a.name.as_str(), a.account.as_str())).collect();
    assert_eq!(told, [("account_added", "wang"), ("account_disabled", "wang")]);
    assert!(
        acts.iter().all(|a| a.done_by == "operator uid 7" && a.at_ms == folder.clock.unix_ms())
    );
    for act in acts {
        store.act_recorded(act.seq).await.unwrap();
    }
    assert!(store.pending_acts().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_reopening() {
    let folder = Folder::new();
    let store = folder.open();
    store.insert_account(account("wang")).await.unwrap();
    store.add_usage(vec![add("p", 5, 3), add("p", 5, 4), see("p", 5, u64::MAX)]).await.unwrap();
    store.add_usage(vec![see("p", 5, u64::MAX), add("p", 2, 1)]).await.unwrap();
    drop(store);
    let store = folder.open();
    assert_eq!(store.account("wang").await.unwrap().unwrap().display_name, "WANG");
    let usage = store.load_usage(5).await.unwrap();
    assert_eq!(usage.amounts.iter().map(|row| row.amount).collect::<Vec<_>>(), [7]);
    assert_eq!(usage.seen.iter().map(|row| row.subject).collect::<Vec<_>>(), [u64::MAX]);
    let forget = UsageChange::Forget { budget: "b".into(), before: 5 };
    store.add_usage(vec![forget]).await.unwrap();
    assert_eq!(store.load_usage(0).await.unwrap().amounts.len(), 1);
}

#[tokio::test]
async fn amounts_saturate_instead_of_wrapping() {
    let store = Folder::new();
    let store = store.open();
    let most = u64::try_from(i64::MAX).unwrap();
    store.add_usage(vec![add("p", 1, most), add("p", 1, 5)]).await.unwrap();
    assert_eq!(store.load_usage(0).await.unwrap().amounts[0].amount, most);
    assert_eq!(
        store.add_usage(vec![add("p", 1, most + 1)]).await,
        Err(StateError::Value("an amount"))
    );
}

#[tokio::test]
async fn the_files_are_private_to_their_owner() {
    let folder = Folder::new();
    let store = folder.open();
    store.add_usage(vec![add("p", 1, 1)]).await.unwrap();
    let dir = folder.dir.path().join("state");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    let files: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|f| f.unwrap().path()).collect();
    assert!(files.len() >= 3, "expected the database and its journal files, found {files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn another_master_key_does_not_open_the_folder() {
    let folder = Folder::new();
    drop(folder.open());
    let other = MasterKey::from_bytes([4; 32]);
    let opened = Store::open(&folder.dir.path().join("state"), &other, Clock::system());
    assert_eq!(opened.err(), Some(StateError::OtherKey));
}

#[tokio::test]
async fn whoever_guesses_many_names_leaves_no_more_locks_than_are_kept() {
    let folder = Folder::new();
    let store = folder.open();
    let (lock_s, longest_lock_s) = (1800, 24 * 3600);
    let (per_name, per_address) = (1, 1000);
    let rules =
        FailureRules { per_name, per_address, window_s: 900, lock_s, longest_lock_s, known_s: 60 };
    for n in 0..60_u8 {
        let attempt = Attempt { name: [n; 32], address: [n; 32] };
        assert!(matches!(store.charge_attempt(attempt, rules).await, Ok(Charge::Admitted(_))));
        folder.clock.advance_ms(1000);
    }
    let last = Attempt { name: [59; 32], address: [0; 32] };
    assert!(matches!(store.charge_attempt(last, rules).await, Ok(Charge::Locked { .. })));
    let file = Connection::open(store.path()).unwrap();
    let count = |sql: &str| file.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM lockouts"), 21);
}

#[tokio::test]
async fn the_locks_of_an_older_file_hold_for_strangers() {
    let folder = Folder::new();
    let path = folder.open().path().to_owned();
    let older = Connection::open(&path).unwrap();
    older.execute_batch("DROP TABLE lockouts; DROP TABLE networks; DROP TABLE failures;").unwrap();
    for table in ["failures (attempt INTEGER PRIMARY KEY AUTOINCREMENT, name BLOB NOT NULL, address BLOB NOT NULL,
        at_s INTEGER NOT NULL)", "lockouts (name BLOB PRIMARY KEY, until_s INTEGER NOT NULL)"] {
        older.execute_batch(&format!("CREATE TABLE {table} STRICT")).unwrap();
    }
    older.execute_batch("CREATE INDEX failures_by_name ON failures (name, at_s)").unwrap();
    older.execute("INSERT INTO lockouts VALUES (?1, ?2)", ([1_u8; 32], i64::MAX)).unwrap();
    older.execute_batch(include_str!("migrations/0004_networks.sql")).unwrap();
    let sql = "SELECT length(bucket), times FROM lockouts WHERE until_s = ?1";
    let kept = older.query_row(sql, [i64::MAX], |row| Ok((row.get(0)?, row.get(1)?)));
    assert_eq!(kept, Ok((0_i64, 1_i64)));
}

#[tokio::test]
async fn a_file_from_a_newer_program_is_refused() {
    let folder = Folder::new();
    let path = folder.open().path().to_owned();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let opened = Store::open(&folder.dir.path().join("state"), &key(), Clock::system());
    assert!(matches!(opened, Err(StateError::Newer { found: 99, .. })), "{opened:?}");
}

#[tokio::test]
async fn a_file_of_an_older_program_keeps_its_sessions_and_can_park_requests() {
    let folder = Folder::new();
    let dir = folder.dir.path().join("state");
    std::fs::create_dir(&dir).unwrap();
    let old = Connection::open(dir.join("menshen.db")).unwrap();
    for step in [
        include_str!("migrations/0001_start.sql"),
        include_str!("migrations/0002_acts.sql"),
        include_str!("migrations/0003_fields.sql"),
    ] {
        old.execute_batch(step).unwrap();
    }
    old.execute_batch(
        "INSERT INTO accounts VALUES ('wang', 'W', 'staff', '[]', '{}', 'hash', NULL, 0, 0, 0, 0);
         PRAGMA user_version = 3;",
    )
    .unwrap();
    let begin = "INSERT INTO sessions VALUES (NULL, ?1, 'wang', '[]', 1800000000, 1800009000)";
    old.execute(begin, [[1; 32]]).unwrap();
    drop(old);
    let store = folder.open();
    assert_eq!(store.session([1; 32]).await.unwrap().unwrap().account.name, "wang");
    assert!(store.park(parked(1, 1), 10).await.unwrap());
    assert_eq!(store.take_parked([1; 32], [1; 32]).await.unwrap(), Some(vec![1]));
}

fn parked(id: u8, session: u8) -> ParkedRow {
    let until_s = 1_800_000_600;
    ParkedRow { id: [id; 32], session: [session; 32], sealed: vec![id], until_s }
}

/// A store with one account that has these sessions.
async fn with_sessions(folder: &Folder, sessions: std::ops::Range<u8>) -> Store {
    let store = folder.open();
    store.insert_account(account("wang")).await.unwrap();
    store
        .write(move |connection| {
            for id in sessions {
                let begin = "INSERT INTO sessions (id, account, factors, last_seen_s, expires_s)
                     VALUES (?1, 'wang', '[]', 1800000000, 1800009000)";
                connection.execute(begin, [[id; 32]])?;
            }
            Ok(())
        })
        .await
        .unwrap();
    store
}

#[tokio::test]
async fn of_all_who_take_a_parked_request_one_has_it() {
    let folder = Folder::new();
    let store = with_sessions(&folder, 1..2).await;
    assert!(store.park(parked(1, 1), 10).await.unwrap());
    assert_eq!(store.take_parked([1; 32], [2; 32]).await.unwrap(), None, "not theirs");
    let take = || store.take_parked([1; 32], [1; 32]);
    let (first, second) = tokio::join!(take(), take());
    let mut both = [first.unwrap(), second.unwrap()];
    both.sort();
    assert_eq!(both, [None, Some(vec![1])]);
}

#[tokio::test]
async fn parked_requests_are_bounded_and_end_with_their_time_and_session() {
    let folder = Folder::new();
    let store = with_sessions(&folder, 1..6).await;
    assert!(!store.park(parked(9, 9), 3).await.unwrap(), "nobody has that session");
    for n in 1..4 {
        assert!(store.park(parked(n, n), 3).await.unwrap());
    }
    assert!(!store.park(parked(4, 4), 3).await.unwrap(), "there is no room");
    assert!(store.park(parked(8, 3), 3).await.unwrap(), "the newest of a session replaces it");
    assert_eq!(store.parked([3; 32], [3; 32]).await.unwrap(), None);
    assert_eq!(store.parked([8; 32], [3; 32]).await.unwrap(), Some(vec![8]));
    store.end_session([1; 32]).await.unwrap();
    assert_eq!(store.parked([1; 32], [1; 32]).await.unwrap(), None, "it ended with its session");
    folder.clock.advance_ms(600_000);
    assert_eq!(store.parked([2; 32], [2; 32]).await.unwrap(), None);
    assert_eq!(store.take_parked([2; 32], [2; 32]).await.unwrap(), None);
    store.forget_parked().await.unwrap();
    let left = "SELECT count(*) FROM parked";
    let left: i64 =
        Connection::open(store.path()).unwrap().query_row(left, [], |r| r.get(0)).unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = Folder::new();
    let dir = folder.dir.path().join("state");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("menshen.db"), "x".repeat(4096)).unwrap();
    let opened = Store::open(&dir, &key(), Clock::system());
    assert!(matches!(opened, Err(StateError::Damaged { .. })), "{opened:?}");
}

#[tokio::test]
async fn a_full_disk_is_told_and_the_writer_heals() {
    let folder = Folder::new();
    let store = folder.open();
    let pages = |most: &'static str| {
        store.write(move |connection| {
            let pages: i64 = connection.query_row(most, [], |row| row.get(0))?;
            Ok(pages)
        })
    };
    pages("PRAGMA max_page_count = 1").await.unwrap();
    let many = || (0..2_000).map(|subject| see("p", 1, subject)).collect::<Vec<_>>();
    let (first, second) = tokio::join!(store.add_usage(many()), store.add_usage(many()));
    assert_eq!((first, second), (Err(StateError::Full), Err(StateError::Full)));
    assert_eq!(store.load_usage(0).await.unwrap(), Usage::default());
    pages("PRAGMA max_page_count = 1000000").await.unwrap();
    store.add_usage(many()).await.unwrap();
    assert_eq!(store.load_usage(0).await.unwrap().seen.len(), 2_000);
}

#[tokio::test]
async fn work_that_fails_does_not_undo_its_neighbours_in_the_same_commit() {
    let folder = Folder::new();
    let store = folder.open();
    // Holds the writer's thread until all three wait behind it and so share one commit.
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let held = store.write(move |_| {
        assert!(gate.recv().is_ok());
        Ok(())
    });
    let neighbours = async {
        let three = async {
            tokio::join!(
                store.add_usage(vec![add("p", 1, 1)]),
                // The first row is written, the second does not fit.
                store.add_usage(vec![add("p", 1, 100), add("p", 1, u64::MAX)]),
                store.add_usage(vec![add("p", 1, 1)]),
            )
        };
        let free = async {
            tokio::task::yield_now().await;
            release.send(()).unwrap();
        };
        tokio::join!(three, free).0
    };
    let (held, (before, failed, after)) = tokio::join!(held, neighbours);
    assert_eq!((held, before, after), (Ok(()), Ok(()), Ok(())));
    assert_eq!(failed, Err(StateError::Value("an amount")));
    assert_eq!(store.load_usage(0).await.unwrap().amounts[0].amount, 2);
}

#[tokio::test]
async fn a_reader_cannot_write() {
    let folder = Folder::new();
    let store = folder.open();
    let tried = store.read(|connection| Ok(connection.execute("DELETE FROM accounts", [])?)).await;
    assert!(tried.is_err());
}

#[tokio::test]
async fn two_processes_can_write_beside_each_other() {
    let folder = Folder::new();
    let (one, other) = (folder.open(), folder.open());
    let (first, second) =
        tokio::join!(one.insert_account(account("a")), other.insert_account(account("b")));
    assert_eq!((first, second), (Ok(()), Ok(())));
    assert_eq!(one.accounts(10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_proof_is_taken_once_and_too_many_are_refused_rather_than_forgotten() {
    let folder = Folder::new();
    let store = folder.open();
    let proof = |n: u8| store.take_proof([n; 32], [n; 32], folder.clock.unix_s() + 60);
    assert_eq!(proof(0).await, Ok(ProofTaken::Once));
    assert_eq!(proof(0).await, Ok(ProofTaken::Replayed));
    for n in 1..20 {
        assert_eq!(proof(n).await, Ok(ProofTaken::Once));
    }
    assert_eq!(proof(20).await, Err(StateError::Full));
    assert_eq!(proof(0).await, Ok(ProofTaken::Replayed), "none was forgotten for it");
    folder.clock.advance_ms(60_000);
    assert_eq!(proof(20).await, Ok(ProofTaken::Once));
}

#[tokio::test]
async fn a_key_with_many_proofs_keeps_no_other_key_out() {
    let folder = Folder::new();
    let store = folder.open();
    let proof = |n: u8, key: u8| store.take_proof([n; 32], [key; 32], folder.clock.unix_s() + 60);
    for n in 0..4 {
        assert_eq!(proof(n, 1).await, Ok(ProofTaken::Once));
    }
    for n in 4..100 {
        assert_eq!(proof(n, 1).await, Ok(ProofTaken::TooMany));
    }
    assert_eq!(proof(0, 1).await, Ok(ProofTaken::Replayed), "none was forgotten for it");
    assert_eq!(proof(100, 2).await, Ok(ProofTaken::Once));
    folder.clock.advance_ms(60_000);
    assert_eq!(proof(4, 1).await, Ok(ProofTaken::Once));
    let file = Connection::open(store.path()).unwrap();
    let counts = "SELECT count(*), sum(live) FROM replay_counts";
    let counts = file.query_row(counts, [], |row| Ok((row.get(0)?, row.get(1)?)));
    assert_eq!(counts, Ok((2_i64, 2_i64)), "one key, and in all");
}

fn notice(target: &str, key: &str, count: u64) -> NewNotice {
    NewNotice {
        target: target.into(),
        merge_key: key.into(),
        notice: format!("{key}{count}"),
        count,
        since_ms: 1,
    }
}

#[tokio::test]
async fn notices_of_one_kind_wait_as_one_and_what_comes_while_it_is_sent_waits_on() {
    let folder = Folder::new();
    let store = folder.open();
    let queue = |rows, next| store.queue_notices(rows, None, (next, format!("e{next}")));
    queue(vec![notice("a", "k", 1), notice("a", "k", 2), notice("b", "k", 1)], 7).await.unwrap();
    assert_eq!(store.notice_cursor().await.unwrap(), Some((7, "e7".to_owned())));
    let sent = store.notices_for("a").await.unwrap().remove(0);
    assert_eq!((sent.count, sent.notice.as_str()), (3, "k2"));
    queue(vec![notice("a", "k", 4)], 8).await.unwrap();
    store.notice_done(sent).await.unwrap();
    let left = store.notices_for("a").await.unwrap();
    assert_eq!((left.len(), left[0].count), (1, 4));
    assert_eq!(store.keep_notices_of(vec!["b".into()]).await.unwrap(), 1);
    assert_eq!(store.notices_waiting().await.unwrap(), [("b".to_owned(), 1, 1)]);
}

#[tokio::test]
async fn notices_beyond_the_room_for_them_become_a_number_and_none_is_uncounted() {
    let folder = Folder::new();
    let store = folder.open();
    let rest = notice("", "rest", 1);
    let rows = (0..40).map(|n| notice("a", &format!("k{n}"), 1)).collect();
    store.queue_notices(rows, Some(rest), (1, String::new())).await.unwrap();
    let waiting = store.notices_for("a").await.unwrap();
    assert!(waiting.len() <= 5, "{waiting:?}");
    assert_eq!(waiting.iter().map(|row| row.count).sum::<u64>(), 40);
    assert!(waiting.iter().any(|row| row.notice == "k391"), "the newest is told: {waiting:?}");
}

#[tokio::test]
async fn a_commit_that_failed_is_known_until_more_than_a_little_can_be_written() {
    let folder = Folder::new();
    let store = folder.open();
    let room = |pages: u32| {
        store.write(move |file| Ok(file.pragma_update(None, "max_page_count", pages)?))
    };
    // As on a disk that is full: no file grows below what it has.
    room(1).await.unwrap();
    assert!(!store.is_failing());
    assert_eq!(store.write_on_trial().await, Err(StateError::Full));
    assert!(store.is_failing());
    store.insert_account(account("wang")).await.unwrap();
    assert!(store.is_failing(), "there was a place for a little");
    assert_eq!(store.write_on_trial().await, Err(StateError::Full));
    room(1_000_000).await.unwrap();
    assert!(store.is_failing());
    store.write_on_trial().await.unwrap();
    assert!(!store.is_failing());
    let file = Connection::open(store.path()).unwrap();
    let left: i64 = file.query_row("SELECT count(*) FROM trial", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_commit_that_hangs_is_known_while_it_does() {
    let folder = Folder::new();
    let store = folder.open();
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let hanging = store.write(move |_| {
        wait.recv().unwrap_err();
        Ok(())
    });
    let watching = async {
        while !store.is_failing() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        drop(go_on);
    };
    let (hung, ()) = tokio::join!(hanging, watching);
    hung.unwrap();
    assert!(!store.is_failing());
}
