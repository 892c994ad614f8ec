//! A scanner that is a program: the file goes to its standard input, its exit code is the verdict.

use std::io::Write as _;
use std::process::{Child, Stdio};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::{Command, ScanError, Verdict};

/// How often it is looked whether the program has ended.
const LOOK: Duration = Duration::from_millis(5);

/// Runs the program on a thread of its own, which keeps the place until the program has ended.
pub(super) async fn ask(
    command: &Command,
    file: &Bytes,
    time: Duration,
    place: OwnedSemaphorePermit,
) -> Result<Verdict, ScanError> {
    let (command, file) = (command.clone(), file.clone());
    let running = tokio::task::spawn_blocking(move || {
        let verdict = run(&command, &file, time);
        drop(place);
        verdict
    });
    running.await.map_err(|error| ScanError::Unreachable(std::io::Error::other(error)))?
}

fn run(command: &Command, file: &[u8], time: Duration) -> Result<Verdict, ScanError> {
    let mut child = std::process::Command::new(&command.program)
        .args(&command.arguments)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let input = child.stdin.take();
    let (written, ended) = std::thread::scope(|scope| {
        // Apart: a program that stops reading must not keep us from seeing its end.
        let writing = scope.spawn(move || input.map(|mut input| input.write_all(file)));
        let ended = wait(&mut child, time);
        (writing.join().ok().flatten(), ended)
    });
    let code = ended?.ok_or(ScanError::Timeout(time))?;
    if code == command.found {
        return Ok(Verdict::Found(String::new()));
    }
    match (code == command.clean, written) {
        (true, Some(Ok(()))) => Ok(Verdict::Clean),
        (true, _) => Err(ScanError::TooEarly),
        (false, _) => Err(ScanError::NoVerdict(code)),
    }
}

/// The exit code; `None` for a program that was killed because its time was up.
fn wait(child: &mut Child, time: Duration) -> Result<Option<i32>, ScanError> {
    let mut waited = Duration::ZERO;
    loop {
        if let Some(status) = child.try_wait()? {
            // One that a signal ended has no code, and no verdict.
            return Ok(Some(status.code().unwrap_or(-1)));
        }
        if waited >= time {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(LOOK);
        waited += LOOK;
    }
}
