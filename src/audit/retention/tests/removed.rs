//! Bundles that are removed: by what is signed and certified only, also after a crash, beside a backup and a reader.

use super::*;
use crate::audit::note::Signer;
use crate::audit::proof::{ProofError, prove};
use crate::audit::retention::removal::{Removal, Runs};

/// Enough steps for some bundles beyond the journal.
const STEPS: u64 = 2_000;

fn open(dir: &Path, clock: &Clock) -> Log {
    let settings = Settings {
        publish_interval: Duration::from_millis(1),
        segment_bytes: 64 * 1024,
        ..Settings::default()
    };
    Log::open(dir, settings, clock.clone(), &MasterKey::from_bytes([1; 32])).unwrap().0
}

fn filled(dir: &Path, clock: &Clock) -> Log {
    let log = open(dir, clock);
    for n in 0..STEPS {
        write(&log, Event::Session, &format!("step {n}"));
    }
    // Bundles follow the journal on a thread of their own.
    while log.health().published < STEPS {
        std::thread::sleep(Duration::from_millis(1));
    }
    log
}

fn bundle(dir: &Path, number: u64) -> std::path::PathBuf {
    dir.join(format!("tile/entries/{number:03}"))
}

/// Puts a note on the first bundle beside the log, signed with the key of this seed.
fn put_note(dir: &Path, log: &Log, seed: &[u8; 32]) {
    let key = Folder::new(dir).names_of(Part::Keys).unwrap();
    let key = key.iter().find(|name| name.contains("-security-")).unwrap();
    let mut keys = Runs::default();
    keys.push(KeyName::parse(key).unwrap(), 256);
    let removal = Removal { number: 1, time: Moment(NOON), bundles: [(0, keys)].into() };
    let signer = Signer::new(log.verifier().name(), seed).unwrap();
    std::fs::create_dir_all(dir.join("removed")).unwrap();
    std::fs::write(dir.join("removed/00000001"), removal.sign(&signer)).unwrap();
}

#[test]
fn a_note_that_is_forged_or_early_removes_nothing_and_no_backup_believes_it() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOON);
    let log = filled(dir.path(), &clock);
    live(&log, &clock, dir.path(), 1, &[]);
    let files = || LogSnapshot::take(dir.path(), log.verifier()).unwrap().files();
    put_note(dir.path(), &log, &[9; 32]);
    let refused = log.tend_retention(&periods(), &[]).unwrap_err();
    assert!(refused.to_string().contains("removed/00000001"), "{refused}");
    assert!(bundle(dir.path(), 0).exists());
    assert!(files().all(|file| file.is_ok()), "nothing is missing, so no note is asked");
    std::fs::rename(bundle(dir.path(), 0), dir.path().join("taken")).unwrap();
    let failed = files().find_map(Result::err).unwrap();
    assert!(failed.to_string().contains("removed/00000001"), "{failed}");
    std::fs::rename(dir.path().join("taken"), bundle(dir.path(), 0)).unwrap();

    // Signed by the log itself, while the key is there: as from a copy of another time.
    let own = MasterKey::from_bytes([1; 32]).derive("audit-checkpoint").unwrap();
    put_note(dir.path(), &log, own.expose());
    log.tend_retention(&periods(), &[]).unwrap();
    assert!(bundle(dir.path(), 0).exists());
    log.close();
}

#[test]
fn a_key_that_is_called_destroyed_without_a_certificate_removes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOON);
    let log = filled(dir.path(), &clock);
    live(&log, &clock, dir.path(), 1, &[]);
    for name in Folder::new(dir.path()).names_of(Part::Keys).unwrap() {
        let path = dir.path().join("keys").join(&name);
        let key = KeyName::parse(&name).unwrap();
        let file = KeyFile::read(key, &std::fs::read(&path).unwrap()).unwrap();
        let state = State::Destroyed { destroyed: Moment(NOON), certificate: "00000001".into() };
        std::fs::write(&path, KeyFile { state, ..file }.write()).unwrap();
    }
    assert_eq!(log.tend_retention(&periods(), &[]).unwrap().removed, 0);
    assert!(bundle(dir.path(), 0).exists() && !dir.path().join("removed").exists());
    log.close();
}

#[test]
fn bundles_that_one_round_could_not_remove_are_removed_by_a_later_one() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOON);
    let log = filled(dir.path(), &clock);
    live(&log, &clock, dir.path(), 50, &[]);
    // A file where the folder of notes should be: the keys go, and then the round fails.
    let removed = dir.path().join("removed");
    std::fs::write(&removed, "").unwrap();
    for _ in 0..6 {
        pass_a_week(&clock, dir.path());
        assert!(log.tend_retention(&periods(), &[]).is_err());
    }
    std::fs::remove_file(&removed).unwrap();
    let again = log.tend_retention(&periods(), &[]).unwrap();
    assert!(again.destroyed == 0 && again.removed >= 512, "{again:?}");
    assert!(!bundle(dir.path(), 0).exists());
    let verifier = log.verifier().clone();
    let after = log.tend_retention(&periods(), &[]).unwrap();
    assert_eq!(
        (after.removed, Folder::new(dir.path()).names_of(Part::Removed).unwrap().len()),
        (0, 1)
    );
    log.close();
    verify(dir.path(), &verifier, None).unwrap();
    checked(dir.path(), &verifier).unwrap();
}

#[test]
fn a_copy_that_is_taken_while_keys_and_bundles_go_verifies() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let clock = Clock::fixed(NOON);
    let log = filled(dir.path(), &clock);
    live(&log, &clock, dir.path(), 50, &[]);
    let mut files = LogSnapshot::take(dir.path(), log.verifier()).unwrap().files();
    let put = |(path, bytes): (String, Vec<u8>)| {
        let path = copy.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    files.by_ref().take(6).for_each(|file| put(file.unwrap()));
    let tended = live(&log, &clock, dir.path(), 6, &[]);
    assert!(tended.destroyed > 0 && tended.removed >= 512, "{tended:?}");
    files.for_each(|file| put(file.unwrap()));
    let verifier = log.verifier().clone();
    log.close();
    verify(copy.path(), &verifier, None).unwrap();
    assert!(checked(copy.path(), &verifier).unwrap() > 0);
}

#[test]
fn who_waits_at_the_end_of_a_log_reads_no_notes_and_a_removed_place_says_its_note() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOON);
    let log = filled(dir.path(), &clock);
    let tended = live(&log, &clock, dir.path(), 56, &[]);
    assert!(tended.removed >= 512, "{tended:?}");
    let verifier = log.verifier().clone();
    let removed = prove(dir.path(), &verifier, 7).unwrap_err();
    assert!(matches!(removed, ProofError::Removed { index: 7, note: 1 }), "{removed}");
    assert!(removed.to_string().contains("was removed when its time was over, note"), "{removed}");
    let last = log.health().durable - 1;
    log.close();
    // Bytes that are gone without a note are still a fault.
    let held = std::fs::read(dir.path().join("removed/00000001")).unwrap();
    std::fs::write(dir.path().join("removed/00000001"), "nothing").unwrap();
    assert!(matches!(prove(dir.path(), &verifier, 7), Err(ProofError::Broken(_))));
    std::fs::write(dir.path().join("removed/00000001"), held).unwrap();
    // What cannot be read shows who reads it.
    std::fs::create_dir(dir.path().join("removed/00000002")).unwrap();
    let rest = RestKey::new(&MasterKey::from_bytes([1; 32])).unwrap();
    let from = |first| Reader::new(dir.path(), first, Opener::new(dir.path(), vec![rest.clone()]));
    assert_eq!(from(last).map(Result::unwrap).count(), 1);
    assert!(from(0).next().unwrap().is_err(), "below the end they are asked");
}

/// Somebody else's verifier over a log of which bundles are gone; see `tests/outsider/verify.py`.
#[test]
fn a_verifier_that_others_wrote_confirms_a_log_of_which_bundles_were_removed() {
    let outsider = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outsider");
    let python = outsider.join("venv/bin/python");
    assert!(python.exists(), "run `sh tests/setup.sh`");
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOON);
    let log = filled(dir.path(), &clock);
    let removed = live(&log, &clock, dir.path(), 56, &[]).removed;
    assert!(removed >= 512, "{removed}");
    log.close();
    let key = std::fs::read_to_string(dir.path().join("verifier.key")).unwrap();
    let ask = || {
        let ran = std::process::Command::new(&python)
            .arg(outsider.join("verify.py"))
            .arg(dir.path())
            .arg(key.trim())
            .output()
            .unwrap();
        let said = String::from_utf8([ran.stdout, ran.stderr].concat()).unwrap();
        (ran.status.success(), said)
    };
    let (holds, said) = ask();
    let alone = format!(", {removed} of them by their hashes alone\n");
    assert!(holds && said.starts_with("ok ") && said.ends_with(&alone), "{said}");
    let flip = |path: &Path| {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[100] ^= 1;
        std::fs::write(path, bytes).unwrap();
    };
    // The hashes of what is gone are still held against the root, and what is there against its hashes.
    for path in [dir.path().join("tile/0/000"), bundle(dir.path(), removed / 256)] {
        flip(&path);
        assert!(!ask().0, "{}", path.display());
        flip(&path);
    }
    assert!(ask().0);
}
