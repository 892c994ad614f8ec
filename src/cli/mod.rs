//! The command line: one file per subcommand.

pub mod log;

/// Parses the arguments, runs the subcommand and gives the exit code.
#[must_use]
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(70)
}
