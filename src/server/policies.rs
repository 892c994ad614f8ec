//! Reads a policy folder from the disk and compiles it.

use std::path::{Path, PathBuf};

use crate::document::{Faults, Source};
use crate::limits::AllowanceFault;
use crate::policy::{Program, compile};
use crate::proxy::check_limits;

/// Policy files of one folder; a folder with more is a mistake.
const FILE_LIMIT: usize = 1000;

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A file or the folder could not be read.
    #[error("`{path}`: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No policy file is there.
    #[error("`{path}`: no policy file (`*.yaml`) here", path = .0.display())]
    Empty(PathBuf),
    /// Too many files.
    #[error("`{path}`: more than {FILE_LIMIT} policy files", path = .0.display())]
    TooMany(PathBuf),
    /// Limits that cannot be counted.
    #[error("the `limits` of the policy cannot be counted: {0}")]
    Limits(AllowanceFault),
    /// Faults in the files.
    #[error("{0}")]
    Faults(Faults),
}

/// Reads and compiles the folder.
///
/// # Errors
/// [`PolicyError`], with every fault of every file.
pub fn load_policies(folder: &Path) -> Result<Program, PolicyError> {
    compile_policies(&read_policies(folder)?)
}

/// Compiles policy files and checks that their limits can be counted.
///
/// # Errors
/// [`PolicyError`], with every fault of every file.
pub fn compile_policies(sources: &[Source]) -> Result<Program, PolicyError> {
    let program = compile(sources).map_err(PolicyError::Faults)?;
    check_limits(&program).map_err(PolicyError::Limits)?;
    Ok(program)
}

/// Reads the `*.yaml` files of a folder, or one file, in the order of their names.
///
/// # Errors
/// [`PolicyError`] for what cannot be read.
pub fn read_policies(folder: &Path) -> Result<Vec<Source>, PolicyError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| PolicyError::File { path, source }
    };
    let mut files = Vec::new();
    if folder.is_file() {
        files.push(folder.to_owned());
    } else {
        for entry in std::fs::read_dir(folder).map_err(failed(folder))? {
            let path = entry.map_err(failed(folder))?.path();
            if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
                files.push(path);
            }
        }
    }
    if files.is_empty() {
        return Err(PolicyError::Empty(folder.to_owned()));
    }
    if files.len() > FILE_LIMIT {
        return Err(PolicyError::TooMany(folder.to_owned()));
    }
    files.sort();
    let mut sources = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).map_err(failed(&path))?;
        sources.push(Source { name: path.display().to_string(), text });
    }
    Ok(sources)
}
