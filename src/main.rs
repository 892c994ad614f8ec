//! The `menshen` program: parse arguments, run, exit code.

fn main() -> std::process::ExitCode {
    menshen::cli::main()
}
