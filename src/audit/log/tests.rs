//! The log as a whole: durability, recovery, faults of the disk, and what verification finds.

mod tampered;
mod torture;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;

use super::*;
use crate::audit::batch::Segment;
use crate::audit::merkle::{inclusion_proof, leaf_hash, perfect_root, verify_inclusion};
use crate::audit::tile::{Kind, Tile, decode_bundle, decode_hashes};
use crate::audit::verify::verify;
use crate::audit::{Fault, Opener, Reader};

fn keys() -> MasterKey {
    MasterKey::from_bytes([5; 32])
}

fn settings() -> Settings {
    Settings { segment_bytes: 64 * 1024, ..Settings::default() }
}

fn open(dir: &Path) -> (Log, Recovery) {
    Log::open(dir, settings(), Clock::fixed(1_790_000_000_000), &keys()).unwrap()
}

fn verifier() -> Verifier {
    let seed = keys().derive("audit-checkpoint").unwrap();
    Signer::new("menshen.log", seed.expose()).unwrap().verifier().clone()
}

fn entry(log: &Log, n: u64) -> Entry {
    let mut entry = log.entry(Event::Session).unwrap();
    entry.act = Some(Act { name: "sign_in".into(), count: Some(n), ..Act::default() });
    entry
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn append_many(log: &Log, numbers: std::ops::Range<u64>) {
    let waiting: Vec<_> = numbers.map(|n| log.append(entry(log, n))).collect();
    block_on(async {
        for append in waiting {
            append.await.unwrap();
        }
    });
}

fn read(dir: &Path, first: u64) -> impl Iterator<Item = (u64, Entry)> {
    let opener = Opener::new(dir, vec![RestKey::new(&keys()).unwrap()]);
    Reader::new(dir, first, opener).map(|read| read.map(|(i, r)| (i, r.entry().unwrap())).unwrap())
}

fn counts(dir: &Path) -> Vec<u64> {
    let entries = read(dir, 0).map(|(_, entry)| entry);
    entries.filter(|e| e.event == Event::Session).map(|e| e.act.unwrap().count.unwrap()).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    // The first publication makes the folder of tiles.
    if !dir.exists() {
        return found;
    }
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

/// A log of `published` entries in tiles and `further` in the journal only, as a crash leaves it.
fn crashed(published: u64, further: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(&dir.path().join("live"));
    append_many(&log, 0..published);
    log.close();
    let slow = Settings { publish_interval: Duration::from_secs(600), ..settings() };
    let live = dir.path().join("live");
    let (log, _) = Log::open(&live, slow, Clock::system(), &keys()).unwrap();
    append_many(&log, published..published + further);
    copy(&live, &dir.path().join("crashed"));
    log.close();
    dir
}

#[test]
fn what_was_appended_is_read_back_in_order_and_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let (log, recovery) = open(dir.path());
    assert_eq!(recovery, Recovery::default());
    append_many(&log, 0..700);
    log.close();
    assert_eq!(counts(dir.path()), (0..700).collect::<Vec<_>>());
    let verified = verify(dir.path(), &verifier(), None).unwrap();
    assert_eq!((verified.entries, verified.journal_entries), (700, 0));
    assert!(dir.path().join("tile/entries/002.p/188").exists());
    assert!(!dir.path().join("tile/entries/001.p").exists());
}

#[test]
fn roots_and_proofs_from_the_tiles_equal_those_of_another_implementation() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(dir.path());
    append_many(&log, 0..600);
    log.close();
    let mut theirs = MemoryBackedTree::<sha2::Sha256, Vec<u8>>::new();
    for path in ["000", "001", "002.p/88"] {
        let bundle = fs::read(dir.path().join("tile/entries").join(path)).unwrap();
        decode_bundle(&bundle).0.iter().for_each(|e| theirs.push(e.to_vec()));
    }
    let verified = verify(dir.path(), &verifier(), None).unwrap();
    assert_eq!(verified.checkpoint_root.as_slice(), theirs.root().as_bytes().as_slice());
    let folder = Folder::new(dir.path());
    let mut node = |level: u32, n: u64| -> io::Result<_> {
        let (tile_level, inner) = (u8::try_from(level / 8).unwrap(), level % 8);
        let first = n << inner;
        let end = (first % 256) + (1 << inner);
        let tile = Tile { kind: Kind::Hashes(tile_level), index: first / 256, width: end };
        let hashes = decode_hashes(&folder.read_tile(&tile)?).unwrap();
        Ok(perfect_root(
            &hashes[usize::try_from(first % 256).unwrap()..usize::try_from(end).unwrap()],
        ))
    };
    for index in [0, 255, 256, 511, 512, 599] {
        let proof = inclusion_proof(index, 600, &mut node).unwrap().unwrap();
        let expected = theirs.prove_inclusion(usize::try_from(index).unwrap());
        assert_eq!(proof.concat(), expected.as_bytes());
        let leaf = leaf_hash(theirs.get(usize::try_from(index).unwrap()).unwrap());
        assert!(verify_inclusion(&leaf, index, 600, &proof, &verified.checkpoint_root));
    }
}

#[test]
fn concurrent_appends_are_all_durable_and_get_different_places() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(dir.path());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let receipts = runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..64_u64 {
            let log = log.clone();
            tasks.spawn(async move {
                let mut receipts = Vec::new();
                for n in 0..20 {
                    receipts.push(log.append(entry(&log, task * 100 + n)).await.unwrap());
                }
                receipts
            });
        }
        tasks.join_all().await
    });
    // Durable already, before anything is closed or published.
    let stored: BTreeMap<_, _> = read(dir.path(), 0).map(|(i, e)| (e.id, i)).collect();
    assert_eq!(stored.len(), 64 * 20);
    for own in receipts {
        assert!(own.iter().is_sorted_by_key(|r| r.index));
        assert!(own.iter().all(|r| stored.get(&r.id) == Some(&r.index)));
    }
    log.close();
    verify(dir.path(), &verifier(), None).unwrap();
}

#[test]
fn a_dropped_future_is_written_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(dir.path());
    drop(log.append(entry(&log, 1)));
    log.append_detached(entry(&log, 2));
    log.close();
    assert_eq!(counts(dir.path()), [1, 2]);
    assert!(matches!(block_on(log.append(entry(&log, 3))), Err(LogError::Closed)));
}

#[test]
fn a_second_writer_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(dir.path());
    let second = Log::open(dir.path(), settings(), Clock::system(), &keys());
    assert!(matches!(second, Err(LogError::Locked(_))));
    // As somebody does who takes it for stale.
    std::fs::remove_file(dir.path().join("lock")).unwrap();
    let second = Log::open(dir.path(), settings(), Clock::system(), &keys());
    assert!(matches!(second, Err(LogError::Locked(_))));
    log.close();
    drop(open(dir.path()));
}

#[test]
fn a_log_of_another_master_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).0.close();
    let other = MasterKey::from_bytes([6; 32]);
    let refused = Log::open(dir.path(), settings(), Clock::system(), &other);
    assert!(
        matches!(refused, Err(LogError::Broken { broken, .. }) if matches!(broken.fault, Fault::VerifierKey { .. }))
    );
}

#[test]
fn entries_in_the_journal_only_survive_a_crash_and_are_published_afterwards() {
    // Fewer than are published at once, however slow the machine is, and over the edge of a bundle.
    let dir = crashed(300, 250);
    let log_dir = dir.path().join("crashed");
    let verified = verify(&log_dir, &verifier(), None).unwrap();
    assert_eq!((verified.entries, verified.checkpoint_size), (550, 300));
    let (log, recovery) = open(&log_dir);
    assert_eq!(recovery, Recovery { entries: 550, replayed: 250, torn_bytes: 0, keys_missing: 0 });
    append_many(&log, 550..900);
    log.close();
    assert_eq!(counts(&log_dir), (0..900).collect::<Vec<_>>());
    let verified = verify(&log_dir, &verifier(), None).unwrap();
    assert_eq!((verified.entries, verified.journal_entries), (900, 0));
}

#[test]
fn a_copy_taken_at_any_moment_recovers_with_every_entry_acknowledged_by_then() {
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("live");
    let eager = Settings { publish_interval: Duration::from_millis(1), ..settings() };
    let (log, _) = Log::open(&live, eager, Clock::system(), &keys()).unwrap();
    let acknowledged = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in (0..3000).step_by(10) {
                append_many(&log, n..n + 10);
                acknowledged.store(n + 10, Ordering::SeqCst);
            }
            done.store(true, Ordering::SeqCst);
        });
        let mut round = 0;
        while !done.load(Ordering::SeqCst) {
            round += 1;
            let crashed = dir.path().join(format!("crash{round}"));
            let before = acknowledged.load(Ordering::SeqCst);
            if !copy_of_a_moving_folder(&live, &crashed) {
                continue;
            }
            let (copy, _) = open(&crashed);
            append_many(&copy, 9000..9010);
            copy.close();
            let verified = verify(&crashed, &verifier(), None).unwrap();
            assert!(verified.entries >= before + 10, "{} of {before}", verified.entries);
            let found = counts(&crashed);
            let (old, new) = found.split_at(found.len() - 10);
            assert_eq!(old, (0..old.len() as u64).collect::<Vec<_>>());
            assert_eq!(new, (9000..9010).collect::<Vec<_>>());
        }
        assert!(round > 0);
    });
    log.close();
    verify(&live, &verifier(), None).unwrap();
}

/// A crash shows one moment; a copy takes a while. Copying backwards in the order of writing (journal
/// last) keeps what a later file relies on; false if a file vanished meanwhile.
fn copy_of_a_moving_folder(from: &Path, to: &Path) -> bool {
    fs::create_dir_all(to.join("journal")).unwrap();
    for name in ["verifier.key", "checkpoint"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
    let listed = |below: &str| std::panic::catch_unwind(|| files(&from.join(below)));
    let Ok(segments) = listed("journal") else { return false };
    let mut paths = Vec::new();
    for below in ["keys", "tile", "journal"] {
        let Ok(found) = listed(below) else { return false };
        paths.extend(found);
    }
    // What a segment held may have gone into tiles since these were listed.
    segments.iter().all(|segment| paths.contains(segment))
        && paths.iter().all(|path| {
            let target = to.join(path.strip_prefix(from).unwrap());
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            path.extension().is_some_and(|e| e == "tmp") || fs::copy(path, target).is_ok()
        })
}

#[test]
fn a_torn_tail_is_cut_off_reported_and_recorded() {
    let dir = crashed(10, 20);
    let log_dir = dir.path().join("crashed");
    let segment = files(&log_dir.join("journal")).pop().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    // Not the last byte that is not zero: a signature may end in one that is.
    let end = Segment::scan(&bytes).end;
    let torn = bytes[..200].to_vec();
    bytes[end..end + 200].copy_from_slice(&torn);
    bytes[end + 150] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let broken = verify(&log_dir, &verifier(), None).unwrap_err();
    assert!(matches!(broken.fault, Fault::Tail(200)) && broken.index == Some(30), "{broken}");
    let (log, recovery) = open(&log_dir);
    assert_eq!(recovery, Recovery { entries: 30, replayed: 20, torn_bytes: 200, keys_missing: 0 });
    append_many(&log, 30..31);
    log.close();
    assert_eq!(counts(&log_dir), (0..31).collect::<Vec<_>>());
    let custody: Vec<_> = read(&log_dir, 30).map(|(_, e)| e).collect();
    let act = custody[0].act.clone().unwrap();
    assert_eq!((act.name.as_str(), act.count), ("torn_tail_removed", Some(200)));
    verify(&log_dir, &verifier(), None).unwrap();
}

#[tokio::test]
async fn a_log_that_was_removed_moved_or_cut_under_the_gate_takes_no_more_entries() {
    let remove_journal = |dir: &Path| fs::remove_dir_all(dir.join("journal")).unwrap();
    let remove_segments = |dir: &Path| {
        files(&dir.join("journal")).into_iter().for_each(|file| fs::remove_file(file).unwrap());
    };
    let remove = |dir: &Path| fs::remove_dir_all(dir).unwrap();
    let move_away = |dir: &Path| {
        fs::rename(dir, dir.with_extension("old")).unwrap();
        fs::create_dir(dir).unwrap();
    };
    let cut = |dir: &Path| {
        let segment = files(&dir.join("journal")).pop().unwrap();
        File::options().write(true).open(segment).unwrap().set_len(0).unwrap();
    };
    let ways: [&dyn Fn(&Path); 5] = [&remove_journal, &remove_segments, &remove, &move_away, &cut];
    for (number, way) in ways.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("log");
        let slow = Settings { publish_interval: Duration::from_secs(600), ..settings() };
        let (log, _) = Log::open(&at, slow, Clock::fixed(1_790_000_000_000), &keys()).unwrap();
        log.append(log.entry(Event::Session).unwrap()).await.unwrap();
        way(&at);
        for _ in 0..3 {
            let refused = log.append(log.entry(Event::Session).unwrap()).await;
            assert!(matches!(refused, Err(LogError::Unavailable(_))), "{number}: {refused:?}");
        }
        assert!(!log.health().is_healthy, "{number}");
    }
}

#[test]
fn a_journal_that_lost_what_the_tiles_have_leaves_no_gap_behind() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(dir.path());
    append_many(&log, 0..40);
    log.close();
    let segment = files(&dir.path().join("journal")).pop().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let (half, _) = Segment::scan(&bytes).batches.pop().unwrap();
    bytes[half..].fill(0);
    fs::write(&segment, &bytes).unwrap();
    verify(dir.path(), &verifier(), None).unwrap();
    let (log, recovery) = open(dir.path());
    assert_eq!((recovery.entries, recovery.replayed), (40, 0));
    append_many(&log, 40..43);
    log.close();
    verify(dir.path(), &verifier(), None).unwrap();
    assert_eq!(counts(dir.path()), (0..43).collect::<Vec<_>>());
}

#[test]
fn a_journal_altered_before_its_end_keeps_the_log_from_opening() {
    let dir = tempfile::tempdir().unwrap();
    let slow = Settings { publish_interval: Duration::from_secs(600), ..settings() };
    let live = dir.path().join("live");
    let (log, _) = Log::open(&live, slow, Clock::system(), &keys()).unwrap();
    append_many(&log, 0..5);
    append_many(&log, 5..10);
    let crashed = dir.path().join("crashed");
    copy(&live, &crashed);
    log.close();
    let segment = files(&crashed.join("journal")).pop().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    bytes[300] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let refused = Log::open(&crashed, settings(), Clock::system(), &keys());
    assert!(
        matches!(refused, Err(LogError::Broken { broken, .. }) if broken.fault == Fault::Journal)
    );
}

#[test]
fn a_log_without_its_checkpoint_is_not_begun_anew() {
    let dir = crashed(300, 5);
    let log_dir = dir.path().join("crashed");
    fs::remove_file(log_dir.join("checkpoint")).unwrap();
    let refused = Log::open(&log_dir, settings(), Clock::system(), &keys());
    assert!(
        matches!(refused, Err(LogError::Broken { broken, .. }) if broken.fault == Fault::Missing)
    );
}

/// 10 batches of 30 in tiles and journal, then 40 more in the journal only; made once.
fn sample() -> &'static Path {
    static SAMPLE: std::sync::OnceLock<tempfile::TempDir> = std::sync::OnceLock::new();
    let dir = SAMPLE.get_or_init(|| crashed(600, 40));
    Box::leak(dir.path().join("crashed").into_boxed_path())
}

/// Whether the byte lies in space of a superseded segment that no batch uses.
fn is_unused(path: &Path, at: usize) -> bool {
    let segments = files(path.parent().unwrap());
    let is_superseded = segments.last().map(PathBuf::as_path) != Some(path);
    path.parent().unwrap().ends_with("journal")
        && is_superseded
        && at >= crate::audit::batch::Segment::scan(&fs::read(path).unwrap()).end
}

/// The files that the chain is about; what the keys of entries say is not among it.
fn chained(dir: &Path) -> Vec<PathBuf> {
    let is_key =
        |file: &Path| file.parent().unwrap().ends_with("keys") || file.ends_with("last-key");
    files(dir).into_iter().filter(|f| !f.ends_with("lock") && !is_key(f)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn a_flipped_bit_anywhere_is_found(file in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), near_start in any::<bool>(), bit in 0_u8..8) {
        let dir = tempfile::tempdir().unwrap();
        copy(sample(), dir.path());
        let all = chained(dir.path());
        let path = file.get(&all);
        let mut bytes = fs::read(path).unwrap();
        let at = at.index(if near_start { bytes.len().min(4000) } else { bytes.len() });
        prop_assume!(!is_unused(path, at));
        bytes[at] ^= 1 << bit;
        fs::write(path, bytes).unwrap();
        prop_assert!(verify(dir.path(), &verifier(), None).is_err(), "{} byte {at}", path.display());
    }

    #[test]
    fn a_removed_or_shortened_file_is_found(file in any::<prop::sample::Index>(), keep in any::<prop::sample::Index>(), whole in any::<bool>()) {
        let dir = tempfile::tempdir().unwrap();
        copy(sample(), dir.path());
        let all = chained(dir.path());
        let path = file.get(&all);
        let bytes = fs::read(path).unwrap();
        let cut = if whole { 0 } else { keep.index(bytes.len()) };
        // Cutting off prepared zeros changes nothing that anyone wrote.
        prop_assume!(bytes[cut..].iter().any(|b| *b != 0));
        if whole { fs::remove_file(path).unwrap() } else { fs::write(path, &bytes[..cut]).unwrap() }
        // The journal's first segment may go as soon as the tiles have its entries, as these do.
        prop_assume!(!(whole && is_first_and_covered(&all, path)));
        // Without a later checkpoint nobody can know of entries that stood in the journal only.
        let is_last_segment = all.iter().rfind(|f| f.parent().unwrap().ends_with("journal")) == Some(path);
        prop_assume!(!is_last_segment);
        prop_assert!(verify(dir.path(), &verifier(), None).is_err(), "{}", path.display());
    }
}

fn is_first_and_covered(all: &[PathBuf], path: &Path) -> bool {
    let mut segments = all.iter().filter(|f| f.parent().unwrap().ends_with("journal"));
    let first = segments.next().unwrap();
    let following: u64 =
        segments.next().unwrap().file_name().unwrap().to_str().unwrap().parse().unwrap();
    first == path && following <= 600
}

#[test]
fn a_flipped_byte_of_an_entry_is_named_by_its_position() {
    let dir = tempfile::tempdir().unwrap();
    copy(sample(), dir.path());
    let path = dir.path().join("tile/entries/001");
    let mut bytes = fs::read(&path).unwrap();
    let mut at = 0;
    for _ in 0..17 {
        at += 2 + usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    }
    bytes[at + 20] ^= 1;
    fs::write(&path, bytes).unwrap();
    let broken = verify(dir.path(), &verifier(), None).unwrap_err();
    assert_eq!(
        (broken.file.as_str(), broken.index, broken.fault),
        ("tile/entries/001", Some(273), Fault::Entry)
    );
}

#[test]
fn entries_forged_with_all_their_hashes_are_found_by_the_signature() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for dir in [&a, &b] {
        let (log, _) = open(dir.path());
        append_many(&log, 0..300);
        log.close();
    }
    let checkpoint = fs::read(a.path().join("checkpoint")).unwrap();
    fs::write(b.path().join("checkpoint"), checkpoint).unwrap();
    let broken = verify(b.path(), &verifier(), None).unwrap_err();
    assert_eq!(broken.fault, Fault::Root);
}

#[test]
fn a_log_cut_back_or_rewritten_is_found_against_an_earlier_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let (short, full, other) =
        (dir.path().join("short"), dir.path().join("full"), dir.path().join("other"));
    for (path, count) in [(&full, 300), (&other, 500)] {
        let (log, _) = open(path);
        append_many(&log, 0..count);
        log.close();
    }
    copy(&full, &short);
    let (log, _) = open(&full);
    append_many(&log, 300..400);
    log.close();
    let checkpoint =
        |dir: &Path| verifier().open(&fs::read(dir.join("checkpoint")).unwrap()).unwrap();
    assert!(verify(&full, &verifier(), Some(&checkpoint(&short))).is_ok());
    let cut = verify(&short, &verifier(), Some(&checkpoint(&full))).unwrap_err();
    assert_eq!(cut.fault, Fault::Shorter { entries: 300, size: 400 });
    let rewritten = verify(&other, &verifier(), Some(&checkpoint(&full))).unwrap_err();
    assert_eq!(rewritten.fault, Fault::Rewritten(400));
}

#[test]
fn a_log_that_is_being_written_verifies_at_any_moment() {
    let dir = tempfile::tempdir().unwrap();
    let eager = Settings { publish_interval: Duration::from_millis(1), ..settings() };
    let (log, _) = Log::open(dir.path(), eager, Clock::system(), &keys()).unwrap();
    std::thread::scope(|scope| {
        let writing =
            scope.spawn(|| (0..2000).step_by(20).for_each(|n| append_many(&log, n..n + 20)));
        let mut last = 0;
        while !writing.is_finished() {
            let verified = verify(dir.path(), &verifier(), None).unwrap();
            assert!(verified.entries >= last);
            last = verified.entries;
        }
    });
    log.close();
}

/// A disk whose writes or syncs can be made to fail.
#[derive(Debug, Default)]
struct FaultyDisk {
    /// Bytes that still fit; then a write is cut short, as on a full disk.
    space: AtomicU64,
    fails_to_sync: AtomicBool,
    hangs: Mutex<()>,
}

impl FaultyDisk {
    fn with_space() -> Arc<Self> {
        let disk = Self::default();
        disk.space.store(u64::MAX / 2, Ordering::SeqCst);
        Arc::new(disk)
    }
}

impl Disk for FaultyDisk {
    fn write(&self, file: &File, bytes: &[u8], position: u64) -> io::Result<()> {
        let space = self.space.load(Ordering::SeqCst);
        let length = bytes.len() as u64;
        self.space.store(space.saturating_sub(length), Ordering::SeqCst);
        let fits = usize::try_from(length.min(space)).unwrap();
        SystemDisk.write(file, &bytes[..fits], position)?;
        if space < length { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        drop(self.hangs.lock().unwrap());
        if self.fails_to_sync.load(Ordering::SeqCst) {
            return Err(io::Error::other("input/output error"));
        }
        SystemDisk.sync(file)
    }
}

#[test]
fn an_entry_that_a_disk_neither_takes_nor_refuses_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::with_space();
    let (log, _) =
        Log::open_on(disk.clone(), dir.path(), settings(), Clock::system(), &keys()).unwrap();
    let hung = disk.hangs.lock().unwrap();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let given_up = runtime.unwrap().block_on(log.append(entry(&log, 1)));
    assert!(matches!(given_up, Err(LogError::Slow(PATIENCE))), "{given_up:?}");
    drop(hung);
    log.close();
    assert_eq!(counts(dir.path()), [1], "it is still recorded");
}

/// Breaks the disk after some entries and mends it; what was acknowledged must be there, once.
fn survives(fault: impl Fn(&FaultyDisk), mend: impl Fn(&FaultyDisk)) {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::with_space();
    let opened =
        Log::open_on(Arc::clone(&disk) as _, dir.path(), settings(), Clock::system(), &keys());
    let (log, _) = opened.unwrap();
    append_many(&log, 0..5);
    for round in 0..3 {
        fault(&disk);
        let refused = block_on(log.append(entry(&log, 1_000_000)));
        assert!(matches!(refused, Err(LogError::Unavailable(_))), "{refused:?}");
        let health = log.health();
        assert!(!health.is_healthy && health.failure.is_some());
        log.append_detached(entry(&log, 100 + round));
        assert!(block_on(log.append(entry(&log, 1_000_000))).is_err());
        mend(&disk);
        append_many(&log, 5 + round..6 + round);
        assert!(log.health().is_healthy);
    }
    let crashed = dir.path().join("crashed");
    while !copy_of_a_moving_folder(dir.path(), &crashed) {
        fs::remove_dir_all(&crashed).unwrap();
    }
    log.close();
    let (recovered, _) = open(&crashed);
    recovered.close();
    for dir in [dir.path(), &crashed] {
        let found = counts(dir);
        assert_eq!(found, [0, 1, 2, 3, 4, 100, 5, 101, 6, 102, 7]);
    }
    verify(&crashed, &verifier(), None).unwrap();
    verify(dir.path(), &verifier(), None).unwrap();
}

#[test]
fn a_full_disk_refuses_entries_and_heals_without_loss_or_duplicate() {
    let full = |disk: &FaultyDisk| disk.space.store(100, Ordering::SeqCst);
    let mended = |disk: &FaultyDisk| disk.space.store(u64::MAX / 2, Ordering::SeqCst);
    survives(full, mended);
}

#[test]
fn a_failed_sync_refuses_entries_and_heals_without_loss_or_duplicate() {
    let broken = |disk: &FaultyDisk| disk.fails_to_sync.store(true, Ordering::SeqCst);
    let mended = |disk: &FaultyDisk| disk.fails_to_sync.store(false, Ordering::SeqCst);
    survives(broken, mended);
}

#[test]
fn a_full_queue_refuses_and_a_missed_outcome_is_confessed_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::with_space();
    let small = Settings { queue_entries: 2, ..settings() };
    let opened = Log::open_on(Arc::clone(&disk) as _, dir.path(), small, Clock::system(), &keys());
    let (log, _) = opened.unwrap();
    disk.space.store(0, Ordering::SeqCst);
    assert!(block_on(log.append(entry(&log, 1))).is_err());
    // Detached entries come back after each failure, until their share is full.
    for n in 0..20 {
        log.append_detached(entry(&log, n));
    }
    let health = log.health();
    assert!(!health.is_healthy && health.missed > 0, "{health:?}");
    disk.space.store(u64::MAX / 2, Ordering::SeqCst);
    while !log.health().is_healthy {
        std::thread::yield_now();
    }
    log.close();
    let entries: Vec<_> = read(dir.path(), 0).map(|(_, e)| e).collect();
    let confessed: u64 = entries
        .iter()
        .filter(|e| e.event == Event::Custody)
        .map(|e| e.act.as_ref().unwrap().count.unwrap())
        .sum();
    assert_eq!(confessed, log.health().missed);
    assert_eq!(counts(dir.path()).len() as u64 + confessed, 20);
}

#[test]
fn subjects_beyond_one_entry_are_written_as_continuations_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(dir.path());
    let sealer = crate::audit::SubjectSealer::new(&keys()).unwrap();
    let mut outcome = log.entry(Event::Outcome).unwrap();
    for n in 0..4000 {
        outcome.add_subject(sealer.seal("customer", &n.to_string()).unwrap()).unwrap();
    }
    let id = outcome.id;
    block_on(log.append(outcome)).unwrap();
    log.close();
    let entries: Vec<_> = read(dir.path(), 0).map(|(_, e)| e).collect();
    assert!(entries.len() > 2);
    assert!(entries[1..].iter().all(|e| e.continues.unwrap().id == id));
    let total: usize = entries.iter().map(|e| e.subjects.as_ref().unwrap().refs.len()).sum();
    assert_eq!(total, 4000);
    verify(dir.path(), &verifier(), None).unwrap();
}
