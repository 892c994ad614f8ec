//! Reads a policy folder from the disk and compiles it.

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::document::{Faults, Source};
use crate::limits::AllowanceFault;
use crate::policy::{Program, compile};
use crate::proxy::check_limits;
use crate::registry::Demands;
use crate::suite::{self, SuiteError};

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
    /// Policy files in a folder below, which would be passed over in silence, rules that deny included.
    #[error(
        "`{path}`: policy files in a folder below the others are not read; move them up, or name that folder",
        path = .0.display()
    )]
    Nested(PathBuf),
    /// Too many files.
    #[error("`{path}`: more than {FILE_LIMIT} policy files", path = .0.display())]
    TooMany(PathBuf),
    /// A route's `to` names a backend that the configuration does not have.
    #[error(
        "route `{route}` has files scanned by `{scanner}`, which is not among the `scanners` of the configuration"
    )]
    NoScanner {
        /// The route.
        route: String,
        /// The scanner.
        scanner: String,
    },
    /// A route goes nowhere.
    #[error(
        "route `{route}` goes to `{upstream}`, which is not among the `upstreams` of the configuration"
    )]
    NoUpstream {
        /// The route.
        route: String,
        /// What it names.
        upstream: String,
    },
    /// Limits that cannot be counted.
    #[error("the `limits` of the policy cannot be counted: {0}")]
    Limits(AllowanceFault),
    /// Tests that stand beside it do not hold.
    #[error("{count} of the tests beside the policy fail, the first is {first}")]
    Tests {
        /// How many.
        count: usize,
        /// The name and place of the first, and what differs.
        first: String,
    },
    /// It could not be judged to its end, which refuses it.
    #[error("the policy could not be judged: {0}")]
    Broken(String),
    /// Faults in the files.
    #[error("{0}")]
    Faults(Faults),
}

impl PolicyError {
    /// How many faults there are, and the first of them in one line.
    pub(super) fn summary(&self) -> (usize, String) {
        if let Self::Faults(faults) = self
            && let Some(first) = faults.as_slice().first()
        {
            let (place, line, column) = (&first.file, first.line, first.column);
            let first = format!("{place}:{line}:{column}: {}", first.message);
            return (faults.as_slice().len(), first);
        }
        match self {
            Self::Tests { count, .. } => (*count, self.to_string()),
            Self::File { .. }
            | Self::Empty(_)
            | Self::Nested(_)
            | Self::TooMany(_)
            | Self::NoUpstream { .. }
            | Self::NoScanner { .. }
            | Self::Limits(_)
            | Self::Broken(_)
            | Self::Faults(_) => (1, self.to_string()),
        }
    }
}

/// Reads and compiles the folder.
///
/// # Errors
/// [`PolicyError`], with every fault of every file.
pub fn load_policies(folder: &Path) -> Result<Program, PolicyError> {
    compile_policies(&read_policies(folder)?)
}

/// Compiles files, holds them against the backends that there are and runs the tests beside them: all
/// that a policy must pass before it decides.
///
/// # Errors
/// [`PolicyError`], as [`load_policies`].
pub(super) fn admit(sources: &[Source], backends: &Backends) -> Result<Program, PolicyError> {
    let program = compile_policies(sources)?;
    check_backends(&program, backends)?;
    check_tests(sources, &program)?;
    Ok(program)
}

/// Whether there are all backends and scanners that the routes of a policy name.
///
/// # Errors
/// [`PolicyError`] names the route.
pub(super) fn check_backends(program: &Program, backends: &Backends) -> Result<(), PolicyError> {
    for route in program.routes() {
        if !backends.upstreams.iter().any(|name| name == route.upstream()) {
            return Err(PolicyError::NoUpstream {
                route: route.name().to_owned(),
                upstream: route.upstream().to_owned(),
            });
        }
        let scanner = route.sending().uploads().and_then(|uploads| uploads.scanner());
        if let Some(scanner) = scanner.filter(|name| !backends.has_scanner(name)) {
            let (route, scanner) = (route.name().to_owned(), scanner.to_owned());
            return Err(PolicyError::NoScanner { route, scanner });
        }
    }
    Ok(())
}

fn check_tests(sources: &[Source], program: &Program) -> Result<(), PolicyError> {
    let report = suite::run(sources, program, None).map_err(|error| match error {
        SuiteError::Faults(faults) => PolicyError::Faults(faults),
        SuiteError::Rehearsal(error) => PolicyError::Broken(error.to_string()),
    })?;
    let Some(first) = report.failures().next() else { return Ok(()) };
    let differs = first.differences.first();
    let differs = differs.map_or_else(String::new, |d| {
        format!(": {} should be {}, is {}", d.part, d.expected, d.got)
    });
    let first = format!("`{}` ({}:{}){differs}", first.name, first.file, first.line);
    Err(PolicyError::Tests { count: report.failures().count(), first })
}

/// Compiles the files of a candidate, which decides nothing: what would keep it from being put in force
/// is only warned of.
///
/// # Errors
/// [`PolicyError`] for what cannot be compiled.
pub(super) fn admit_candidate(
    sources: &[Source],
    backends: &Backends,
) -> Result<Program, PolicyError> {
    if let Err(error) = admit(sources, backends) {
        let (faults, first) = error.summary();
        tracing::warn!(faults, first, "the candidate policy could not be put in force as it is");
    }
    compile(sources).map_err(PolicyError::Faults)
}

/// The names of the backends and scanners that the configuration has.
#[derive(Clone, Debug)]
pub(super) struct Backends {
    upstreams: Vec<String>,
    scanners: Vec<String>,
}

impl Backends {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            upstreams: config.upstreams.iter().map(|upstream| upstream.name.clone()).collect(),
            scanners: config.scanners.iter().map(|scanner| scanner.name.clone()).collect(),
        }
    }

    fn has_scanner(&self, name: &str) -> bool {
        self.scanners.iter().any(|known| known == name)
    }
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
        let mut inner = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(failed(folder))? {
            let path = entry.map_err(failed(folder))?.path();
            if is_policy(&path) {
                files.push(path);
            } else if path.is_dir() && !is_hidden(&path) {
                inner.push(path);
            }
        }
        check_nested(&inner, !files.is_empty())?;
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

fn is_policy(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "yaml" || e == "yml")
}

/// Mounts of Kubernetes keep the files that links point to in folders of such names.
fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// Folders below one that has policy files must have none themselves; a folder of folders is told as empty.
fn check_nested(folders: &[PathBuf], has_files: bool) -> Result<(), PolicyError> {
    for folder in folders.iter().filter(|_| has_files) {
        let failed = |source| PolicyError::File { path: folder.clone(), source };
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            if is_policy(&entry.map_err(failed)?.path()) {
                return Err(PolicyError::Nested(folder.clone()));
            }
        }
    }
    Ok(())
}

/// What a policy asks of partners.
pub(super) fn demands(program: &Program) -> Demands {
    let purposes = program.purposes().map(str::to_owned).collect();
    Demands { level: program.partner_level(), purposes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_files_in_a_folder_below_are_told_and_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "roles: { clerk: {} }\n").unwrap();
        };
        write("shop/rules.yaml");
        assert!(matches!(read_policies(folder.path()), Err(PolicyError::Empty(_))));
        write("rules.yaml");
        let refused = read_policies(folder.path()).unwrap_err();
        assert!(matches!(&refused, PolicyError::Nested(path) if path.ends_with("shop")));
        std::fs::rename(folder.path().join("shop"), folder.path().join("..data")).unwrap();
        write("notes/README.md");
        assert_eq!(read_policies(folder.path()).unwrap().len(), 1);
    }
}
