//! What the process may do with files once it runs: write below the gate's own folders, and start no program.
//!
//! Whoever gets the gate to do their will can then leave nothing elsewhere on the machine. The system's Landlock keeps it, so
//! nobody needs rights for it, and nothing takes it back.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, AccessFs, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus,
};

use crate::backup::Place;
use crate::config::Config;
use crate::index::Index;
use crate::scan::Way;
use crate::ship::To;

/// What is asked of the system; an older one keeps what it can.
const WANTED: ABI = ABI::V5;

/// How far the system keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confinement {
    /// All of it.
    Whole,
    /// What this system can.
    Partial,
    /// It cannot.
    None,
}

/// Confines this thread and those that it starts: call it before there are others.
///
/// Folders that the gate makes at its start are made here, since a folder must be there to be named.
///
/// # Errors
/// The system refused, or a folder cannot be made.
pub fn confine(config: &Config) -> Result<Confinement, ConfineError> {
    let scans = config.scanners.iter().any(|scanner| matches!(scanner.way, Way::Command(_)));
    let write = AccessFs::from_write(WANTED);
    // A scanner that is a program must be started, with whatever that needs.
    let kept = if scans { write } else { write | AccessFs::Execute };
    // The first form of it lets nobody rename from one folder to another, as the log does: without `Refer` it is none.
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::SoftRequirement)
        .handle_access(AccessFs::Refer)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(kept)?
        .create()?;
    for folder in own(config)? {
        rules = beneath(rules, &folder, write)?;
    }
    if scans {
        // Scanners have no environment of ours, and so the system's place for temporary files.
        rules = beneath(rules, Path::new("/tmp"), write)?;
    }
    rules = beneath(rules, Path::new("/dev/null"), AccessFs::WriteFile.into())?;
    Ok(match rules.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => Confinement::Whole,
        RulesetStatus::PartiallyEnforced => Confinement::Partial,
        RulesetStatus::NotEnforced => Confinement::None,
    })
}

/// Why the process is not confined.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// The system refused the rules.
    #[error("the system refuses to confine the gate's files: {0}; `confine: false` does without")]
    Rules(#[from] RulesetError),
    /// A folder of the gate's cannot be made.
    #[error("`{path}`: {source}", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

fn beneath(
    rules: landlock::RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<landlock::RulesetCreated, RulesetError> {
    match PathFd::new(path) {
        Ok(opened) => rules.add_rule(PathBeneath::new(opened, access)),
        Err(error) => {
            let folder = path.display();
            tracing::warn!(%folder, %error, "nothing can be written below it before the next start");
            Ok(rules)
        }
    }
}

/// The folders that the gate writes; those that it makes itself are made.
fn own(config: &Config) -> Result<Vec<PathBuf>, ConfineError> {
    let index = config.index.clone().unwrap_or_else(|| Index::place_of(&config.log));
    let mut folders = vec![config.state.clone(), config.log.clone(), index];
    for folder in &folders {
        private(folder).map_err(|source| ConfineError::Folder { path: folder.clone(), source })?;
    }
    let copies = config.checkpoint_copies.iter().map(|copies| copies.folder.as_path());
    let backups = config.backup.iter().flat_map(|backup| &backup.places);
    let backups = backups.filter_map(|named| match &named.place {
        Place::Folder(folder) => Some(folder.as_path()),
        Place::S3(_) => None,
    });
    for folder in copies.chain(backups) {
        // What cannot be made, the parts say that write there.
        private(folder).unwrap_or_default();
        folders.push(folder.to_owned());
    }
    folders.extend(config.ship.iter().filter_map(|settings| match &settings.to {
        To::File(path) => path.parent().map(|folder| Path::new(".").join(folder)),
        To::Syslog(_) | To::Webhook(_) | To::Nats(_) | To::S3(_) => None,
    }));
    Ok(folders)
}

/// Makes a folder for its owner alone, unless it is there.
fn private(folder: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
