//! The log's folder: where each file stands, how it is read, and how it is replaced in one step.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::disk::Disk;
use super::note::MAX_NOTE_BYTES;
use super::tile::{Tile, WIDTH};

/// A larger segment is refused unread.
pub(super) const MAX_SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// A bundle of the largest entries.
const MAX_TILE_BYTES: u64 = WIDTH * (2 + 65_535);

/// Temporary files; left behind by a crash they mean nothing.
const TEMPORARY: &str = "tmp";

/// The name of the file that tells the newest key.
pub(super) const LAST_KEY: &str = "last-key";

/// What stands beside the tree, a small file each.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// The keys of days.
    Keys,
    /// The certificates of destructions.
    Certificates,
    /// Which bundles were removed.
    Removed,
    /// What was read of the log and waits to come into it.
    Readings,
    /// The checkpoints that witnesses cosigned.
    Witnessed,
}

impl Part {
    /// The name of its folder.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Certificates => "certificates",
            Self::Removed => "removed",
            Self::Readings => "readings",
            Self::Witnessed => "witnessed",
        }
    }
}

/// The folder of one log.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn checkpoint(&self) -> PathBuf {
        self.root.join("checkpoint")
    }

    pub(super) fn verifier_key(&self) -> PathBuf {
        self.root.join("verifier.key")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// Tells the number of the newest key that was made, beside the keys: whoever loses the newest ones is found.
    pub(super) fn last_key(&self) -> PathBuf {
        self.root.join(LAST_KEY)
    }

    /// That number; none in a log that never had keys.
    pub(super) fn read_last_key(&self) -> io::Result<Option<u32>> {
        let text = match read_capped(&self.last_key(), MAX_NOTE_BYTES as u64) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let number =
            std::str::from_utf8(&text).ok().and_then(|text| text.strip_suffix('\n')?.parse().ok());
        let wrong = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("`{LAST_KEY}` is no number of a key"),
            )
        };
        number.map(Some).ok_or_else(wrong)
    }

    /// Where the files of this part stand.
    pub(super) fn part(&self, part: Part) -> PathBuf {
        self.root.join(part.word())
    }

    /// The names of its files, in order; temporary ones left out.
    pub(super) fn names_of(&self, part: Part) -> io::Result<Vec<String>> {
        let mut names = names(&self.part(part))?;
        names.retain(|name| !is_temporary(name));
        names.sort_unstable();
        Ok(names)
    }

    /// One of its files as it stands.
    pub(super) fn read_of(&self, part: Part, name: &str) -> io::Result<Vec<u8>> {
        read_capped(&self.part(part).join(name), MAX_NOTE_BYTES as u64)
    }

    pub(super) fn tile(&self, tile: &Tile) -> PathBuf {
        self.root.join(tile.path())
    }

    /// The segment whose first entry has this index; 20 digits, so that names sort like numbers.
    pub(super) fn segment(&self, first: u64) -> PathBuf {
        self.journal().join(format!("{first:020}"))
    }

    /// The first index of every segment, in order.
    pub(super) fn segments(&self) -> io::Result<Vec<u64>> {
        let mut segments = Vec::new();
        for name in names(&self.journal())? {
            if let Some(first) = segment_index(&name) {
                segments.push(first);
            }
        }
        segments.sort_unstable();
        Ok(segments)
    }

    /// The checkpoint as it stands.
    pub(super) fn read_checkpoint(&self) -> io::Result<Vec<u8>> {
        read_capped(&self.checkpoint(), MAX_NOTE_BYTES as u64)
    }

    /// The verifier key as it stands.
    pub(super) fn read_verifier_key(&self) -> io::Result<Vec<u8>> {
        read_capped(&self.verifier_key(), MAX_NOTE_BYTES as u64)
    }

    /// A whole segment.
    pub(super) fn read_segment(&self, first: u64) -> io::Result<Vec<u8>> {
        read_capped(&self.segment(first), MAX_SEGMENT_BYTES)
    }

    /// The tile, or a wider one of the same place: a reader may be a step behind the writer, who
    /// removes a partial tile when a wider one is there.
    pub(super) fn read_tile(&self, tile: &Tile) -> io::Result<Vec<u8>> {
        let exact = read_capped(&self.tile(tile), MAX_TILE_BYTES);
        let Err(missing) = exact else { return exact };
        if missing.kind() != io::ErrorKind::NotFound || tile.width == WIDTH {
            return Err(missing);
        }
        let full = Tile { width: WIDTH, ..*tile };
        let wider = self.partial_widths(&full)?.into_iter().find(|width| *width > tile.width);
        let wider = Tile { width: wider.unwrap_or(WIDTH), ..*tile };
        read_capped(&self.tile(&wider), MAX_TILE_BYTES)
    }

    /// The widths of the partial files of a tile, in order.
    pub(super) fn partial_widths(&self, full: &Tile) -> io::Result<BTreeSet<u64>> {
        let found = names(&self.partial_folder(full))?;
        Ok(found.iter().filter_map(|name| name.parse().ok()).collect())
    }

    pub(super) fn partial_folder(&self, tile: &Tile) -> PathBuf {
        let mut path = self.tile(&Tile { width: WIDTH, ..*tile }).into_os_string();
        path.push(".p");
        path.into()
    }

    /// Every file below `tile` and `journal`, as paths from the root; temporary ones left out.
    pub(super) fn files(&self, below: &str) -> io::Result<Vec<String>> {
        let mut files = Vec::new();
        let mut folders = vec![below.to_owned()];
        while let Some(folder) = folders.pop() {
            for name in names(&self.root.join(&folder))? {
                let path = format!("{folder}/{name}");
                if self.root.join(&path).is_dir() {
                    folders.push(path);
                } else if !is_temporary(&name) {
                    files.push(path);
                }
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    /// Removes what a crash left half-written.
    pub(super) fn remove_temporary(&self) -> io::Result<()> {
        for folder in [self.root.clone(), self.journal()] {
            for name in names(&folder)?.iter().filter(|name| is_temporary(name)) {
                fs::remove_file(folder.join(name))?;
            }
        }
        Ok(())
    }
}

/// The index in a segment's name; `None` for any other name.
pub(super) fn segment_index(name: &str) -> Option<u64> {
    let index = name.parse().ok()?;
    (format!("{index:020}") == name).then_some(index)
}

fn is_temporary(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == TEMPORARY)
}

/// The names in a folder; none if there is no such folder.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let listed = match fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    listed.map(|entry| entry.map(|e| e.file_name().to_string_lossy().into_owned())).collect()
}

fn read_capped(path: &Path, cap: u64) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > cap {
        let message = format!("the file is longer than {cap} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    fs::read(path)
}

/// Replaces files in one step each, and makes that durable.
#[derive(Debug)]
pub(super) struct Replacer<'a> {
    root: &'a Path,
    disk: &'a dyn Disk,
    /// One temporary name at the root for all files of one who replaces.
    temporary: &'static str,
    changed: BTreeSet<PathBuf>,
}

impl<'a> Replacer<'a> {
    pub(super) fn new(folder: &'a Folder, disk: &'a dyn Disk) -> Self {
        Self::beside(folder, disk, "new")
    }

    /// One that works while another does, under a name of its own.
    pub(super) fn beside(folder: &'a Folder, disk: &'a dyn Disk, temporary: &'static str) -> Self {
        Self { root: &folder.root, disk, temporary, changed: BTreeSet::new() }
    }

    /// Puts a file in place; its name is durable after [`Replacer::settle`].
    pub(super) fn put(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let parent = path.parent().unwrap_or(self.root);
        fs::create_dir_all(parent)?;
        let temporary = self.root.join(format!("{}.{TEMPORARY}", self.temporary));
        let file = File::create(&temporary)?;
        self.disk.write(&file, bytes, 0)?;
        self.disk.sync(&file)?;
        fs::rename(&temporary, path)?;
        let inside = parent.ancestors().take_while(|folder| folder.starts_with(self.root));
        self.changed.extend(inside.map(Path::to_owned));
        Ok(())
    }

    /// Returns when every name put so far is durable.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        for folder in std::mem::take(&mut self.changed) {
            sync_folder(&folder)?;
        }
        Ok(())
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
