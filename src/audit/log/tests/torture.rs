//! A disk that takes half of a write, is full, fails, or loses at a crash whatever was not synced, sector by sector.
//!
//! `MENSHEN_ROUNDS` says how many crashes there are in all; a failure tells its seed.

use std::os::unix::fs::FileExt as _;

use super::*;

/// What reaches the disk together, or not at all.
const SECTOR: usize = 512;

/// Numbers that a seed gives again.
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most.max(1) as u64).unwrap()
    }

    fn is_one_in(&mut self, many: u64) -> bool {
        self.next().is_multiple_of(many)
    }
}

/// A file, whatever its name is by now: its number, which may be given again, and when it was made.
type FileId = (u64, std::time::SystemTime);

fn id_of(file: &fs::Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt as _;
    (file.ino(), file.created().unwrap())
}

/// A write that no sync has made durable yet.
#[derive(Debug)]
struct Unsynced {
    file: FileId,
    /// Whether a sync failed since: no later one makes it durable.
    is_forgotten: bool,
    position: u64,
    before: Vec<u8>,
    length: usize,
}

#[derive(Debug)]
struct Medium {
    chance: Chance,
    is_armed: bool,
    unsynced: Vec<Unsynced>,
    faults: u64,
}

impl Medium {
    /// What was cut off a file needs no sync any more: it is written anew, or not at all.
    fn cut(&mut self, file: FileId, length: u64) {
        for write in self.unsynced.iter_mut().filter(|write| write.file == file) {
            let left = length.saturating_sub(write.position);
            write.length = write.length.min(usize::try_from(left).unwrap_or(usize::MAX));
            write.before.truncate(write.length);
        }
        self.unsynced.retain(|write| write.length > 0);
    }
}

#[derive(Debug)]
struct CruelDisk(Mutex<Medium>);

/// Where an open file is now, under whatever name.
fn path_of(file: &File) -> PathBuf {
    use std::os::fd::AsRawFd as _;
    fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap()
}

/// What stands there now. The log opens its files for writing alone.
fn read_at(path: &Path, position: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let Ok(file) = File::open(path) else { return Vec::new() };
    let read = file.read_at(&mut bytes, position).unwrap_or(0);
    bytes.truncate(read);
    bytes
}

impl Disk for CruelDisk {
    fn write(&self, file: &File, bytes: &[u8], position: u64) -> io::Result<()> {
        let mut medium = self.0.lock().unwrap();
        let is_faulty = medium.is_armed && medium.chance.is_one_in(24);
        let taken = if is_faulty { medium.chance.below(bytes.len() + 1) } else { bytes.len() };
        let path = path_of(file);
        let before = read_at(&path, position, taken);
        let metadata = file.metadata()?;
        let (id, is_forgotten) = (id_of(&metadata), false);
        medium.cut(id, metadata.len());
        medium.unsynced.push(Unsynced { file: id, is_forgotten, position, before, length: taken });
        file.write_all_at(&bytes[..taken], position)?;
        if !is_faulty {
            return Ok(());
        }
        medium.faults += 1;
        match medium.chance.is_one_in(2) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Err(io::Error::from_raw_os_error(5)),
        }
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        let mut medium = self.0.lock().unwrap();
        let id = id_of(&file.metadata()?);
        if medium.is_armed && medium.chance.is_one_in(24) {
            // The system forgets that the pages were dirty: a later sync says yes and writes nothing of them.
            medium.faults += 1;
            let of_it = medium.unsynced.iter_mut().filter(|write| write.file == id);
            of_it.for_each(|write| write.is_forgotten = true);
            return Err(io::Error::from_raw_os_error(5));
        }
        medium.unsynced.retain(|write| write.file != id || write.is_forgotten);
        Ok(())
    }
}

impl CruelDisk {
    fn new(seed: u64) -> Arc<Self> {
        let chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        Arc::new(Self(Mutex::new(Medium {
            chance,
            is_armed: false,
            unsynced: Vec::new(),
            faults: 0,
        })))
    }

    /// What is on the disk after the power went: `false` if a file moved while it was copied.
    fn crash(&self, live: &Path, crashed: &Path) -> bool {
        let mut medium = self.0.lock().unwrap();
        let names = names_in(live);
        if !copy_of_a_moving_folder(live, crashed) || names != names_in(live) {
            return false;
        }
        for (file, path) in &names {
            // The copy of a file that a writer has cut meanwhile may be longer: it was there, so it may be there still.
            let length = fs::metadata(live.join(path)).map_or(0, |metadata| metadata.len());
            medium.cut(*file, length);
        }
        let Medium { chance, unsynced, .. } = &mut *medium;
        for write in unsynced.iter().rev() {
            let Some(path) = names.get(&write.file) else { continue };
            let Ok(file) = File::options().write(true).open(crashed.join(path)) else { continue };
            lose(&file, write, chance);
        }
        true
    }
}

/// The names that files have at the moment, below the folder.
fn names_in(live: &Path) -> std::collections::HashMap<FileId, PathBuf> {
    let (mut names, mut folders) = (std::collections::HashMap::new(), vec![live.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // What was renamed or removed meanwhile makes both looks differ.
            let Ok(metadata) = fs::metadata(&path) else { continue };
            if metadata.is_dir() {
                folders.push(path);
            } else {
                names.insert(id_of(&metadata), path.strip_prefix(live).unwrap().to_owned());
            }
        }
    }
    names
}

/// Each sector of a write that was not synced is there or is not.
fn lose(file: &File, write: &Unsynced, chance: &mut Chance) {
    let mut before = write.before.clone();
    before.resize(write.length, 0);
    let kept = chance.below(3);
    for (n, sector) in before.chunks(SECTOR).enumerate() {
        let is_lost = match kept {
            0 => true,
            1 => false,
            _ => chance.is_one_in(2),
        };
        if is_lost {
            file.write_all_at(sector, write.position + (n * SECTOR) as u64).unwrap();
        }
    }
}

/// A log on a cruel disk crashes so many times while it goes on.
fn endure(seed: u64, crashes: u64) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let live = fs::canonicalize(dir.path()).unwrap().join("live");
    let disk = CruelDisk::new(seed);
    let eager = Settings { publish_interval: Duration::from_millis(2), ..settings() };
    let opened = Log::open_on(Arc::clone(&disk) as _, &live, eager, Clock::system(), &keys());
    let (log, _) = opened.unwrap();
    disk.0.lock().unwrap().is_armed = true;
    let (mut acknowledged, mut refused) = (Vec::new(), 0);
    let mut next = 0;
    for crash in 0..crashes {
        for _ in 0..30 {
            let together: Vec<_> =
                (next..next + 3).map(|n| (n, log.append(entry(&log, n)))).collect();
            next += 3;
            for (n, append) in together {
                match block_on(append) {
                    Ok(_) => acknowledged.push(n),
                    Err(_) => refused += 1,
                }
            }
        }
        let crashed = dir.path().join(format!("crash{crash}"));
        while !disk.crash(&live, &crashed) {
            let _absent = fs::remove_dir_all(&crashed);
        }
        let (recovered, _) = open(&crashed);
        append_many(&recovered, 1_000_000..1_000_003);
        recovered.close();
        verify(&crashed, &verifier(), None).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        let found = counts(&crashed);
        let mut sorted = found.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), found.len(), "seed {seed}: an entry stands twice");
        for n in &acknowledged {
            assert!(
                sorted.binary_search(n).is_ok(),
                "seed {seed}: {n} was acknowledged and is gone"
            );
        }
        fs::remove_dir_all(&crashed).unwrap();
    }
    disk.0.lock().unwrap().is_armed = false;
    append_many(&log, next..next + 1);
    log.close();
    verify(&live, &verifier(), None).unwrap();
    assert!(acknowledged.len() as u64 > refused, "{} of {next}", acknowledged.len());
    disk.0.lock().unwrap().faults
}

#[test]
fn short_writes_full_disks_failed_syncs_and_torn_sectors_lose_nothing_that_was_acknowledged() {
    let rounds =
        std::env::var_os("MENSHEN_ROUNDS").and_then(|n| n.into_string().ok()?.parse().ok());
    let rounds: u64 = rounds.unwrap_or(24);
    let mut faults = 0;
    for seed in 1..=rounds.div_ceil(8) {
        faults += endure(seed, 8);
    }
    assert!(faults > rounds, "{faults} faults in {rounds} crashes");
}
