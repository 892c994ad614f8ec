//! A log that somebody altered: each way is found, with the place and what to do.

use super::*;
use crate::audit::Broken;

/// The entries of the second bundle of [`sample`], which begins with entry 256.
fn bundle(dir: &Path) -> (PathBuf, Vec<Vec<u8>>) {
    copy(sample(), dir);
    let path = dir.join("tile/entries/001");
    let entries = decode_bundle(&fs::read(&path).unwrap()).0.iter().map(|e| e.to_vec()).collect();
    (path, entries)
}

fn encoded(entries: &[Vec<u8>]) -> Vec<u8> {
    let framed = entries.iter().flat_map(|entry| {
        let length = u16::try_from(entry.len()).unwrap().to_be_bytes();
        length.into_iter().chain(entry.iter().copied())
    });
    framed.collect()
}

/// What is found after somebody changed the entries of the bundle.
fn altered(change: impl Fn(&mut Vec<Vec<u8>>)) -> Broken {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut entries) = bundle(dir.path());
    change(&mut entries);
    fs::write(path, encoded(&entries)).unwrap();
    let broken = verify(dir.path(), &verifier(), None).unwrap_err();
    assert!(broken.fault.to_do().contains("keep the folder as it is"), "{broken}");
    broken
}

#[test]
fn a_deleted_swapped_or_duplicated_entry_is_named_by_its_position() {
    let swapped = altered(|entries| entries.swap(40, 41));
    assert_eq!((swapped.index, swapped.fault), (Some(256 + 40), Fault::Entry));
    let duplicated = altered(|entries| entries[40] = entries[39].clone());
    assert_eq!((duplicated.index, duplicated.fault), (Some(256 + 40), Fault::Entry));
    let added = altered(|entries| entries.insert(40, entries[39].clone()));
    assert_eq!(added.file, "tile/entries/001");
    assert!(matches!(added.fault, Fault::Entry | Fault::Bundle), "{added}");
    assert!(added.index.is_none_or(|index| index == 256 + 40), "{added}");
    let deleted = altered(|entries| drop(entries.remove(40)));
    assert_eq!(deleted.file, "tile/entries/001");
    assert_eq!((deleted.index, &deleted.fault), (Some(256 + 40), &Fault::Entry), "{deleted}");
}

#[test]
fn a_batch_that_was_removed_or_swapped_in_the_journal_keeps_the_log_from_opening() {
    for change in ["removed", "swapped"] {
        let dir = tempfile::tempdir().unwrap();
        copy(sample(), dir.path());
        let slow = Settings { publish_interval: Duration::from_secs(600), ..settings() };
        let (log, _) = Log::open(dir.path(), slow, Clock::system(), &keys()).unwrap();
        append_many(&log, 2000..2001);
        append_many(&log, 2001..2002);
        append_many(&log, 2002..2003);
        // As a kill leaves it: three batches behind one another that no tile has.
        let crashed = dir.path().join("crashed");
        while !copy_of_a_moving_folder(dir.path(), &crashed) {
            fs::remove_dir_all(&crashed).unwrap();
        }
        log.close();
        let segment = files(&crashed.join("journal")).pop().unwrap();
        let bytes = fs::read(&segment).unwrap();
        let scanned = crate::audit::batch::Segment::scan(&bytes);
        let starts = Vec::from_iter(scanned.batches.iter().map(|(at, _)| *at));
        let [.., a, b, c] = starts[..] else { panic!("three batches: {starts:?}") };
        let (first, second) = (bytes[a..b].to_vec(), bytes[b..c].to_vec());
        let (head, tail) = (&bytes[..a], &bytes[c..]);
        let written = match change {
            "removed" => [head, second.as_slice(), tail].concat(),
            _ => [head, second.as_slice(), first.as_slice(), tail].concat(),
        };
        fs::write(&segment, written).unwrap();
        let broken = verify(&crashed, &verifier(), None).unwrap_err();
        assert!(broken.file.starts_with("journal/"), "{change}: {broken}");
        let refused = Log::open(&crashed, settings(), Clock::system(), &keys());
        assert!(matches!(refused, Err(LogError::Broken { .. })), "{change}: {refused:?}");
    }
}

#[test]
fn a_forged_checkpoint_and_a_wrong_key_are_told() {
    let dir = tempfile::tempdir().unwrap();
    copy(sample(), dir.path());
    let checkpoint = dir.path().join("checkpoint");
    let text = fs::read_to_string(&checkpoint).unwrap();
    // A size of its own, under the old signature.
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines[1] = "599".to_owned();
    fs::write(&checkpoint, lines.join("\n") + "\n").unwrap();
    let forged = verify(dir.path(), &verifier(), None).unwrap_err();
    assert!(matches!(forged.fault, Fault::Checkpoint(_)), "{forged}");
    assert!(forged.file == "checkpoint" && forged.fault.to_do().starts_with("start no gate"));
    let refused = Log::open(dir.path(), settings(), Clock::system(), &keys());
    assert!(matches!(refused, Err(LogError::Broken { .. })), "{refused:?}");
    fs::write(&checkpoint, text).unwrap();
    let seed = MasterKey::from_bytes([6; 32]).derive("audit-checkpoint").unwrap();
    let other = Signer::new("menshen.log", seed.expose()).unwrap();
    let wrong = verify(dir.path(), other.verifier(), None).unwrap_err();
    assert!(matches!(wrong.fault, Fault::VerifierKey { .. } | Fault::Checkpoint(_)), "{wrong}");
}
