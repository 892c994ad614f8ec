//! The process keeps itself from writing elsewhere than into its folders.

use menshen::clock::Clock;

use crate::harness::process::Process;
use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup};
use crate::shipping::until;

/// A gate that carries its log to a file below `there`.
async fn gate(more: &str) -> Gate {
    let ship = format!("{more}ship: {{ far: {{ to: file, path: there/log.jsonl }} }}");
    let gate = Setup::policy(OPEN_BANK).yaml(&ship).prepare(Clock::system()).await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    std::fs::create_dir(gate.path("there")).unwrap();
    std::fs::create_dir(gate.path("elsewhere")).unwrap();
    gate
}

async fn ask(gate: &Gate, process: &Process) {
    let mut connection = process.client().h2().await;
    connection.send(Ask::get("/one/1").by(&gate.teller())).await.expect(200);
}

/// Where its folder was there is now another one of the same name.
fn replaced(gate: &Gate) {
    std::fs::rename(gate.path("there"), gate.path("before")).unwrap();
    std::os::unix::fs::symlink(gate.path("elsewhere"), gate.path("there")).unwrap();
}

#[tokio::test]
async fn what_is_none_of_its_folders_it_does_not_write_whoever_points_it_there() {
    let gate = gate("").await;
    let process = Process::run(&gate, "info").await;
    if process.said().contains("this system has no Landlock") {
        // It says so and serves, as the guide has it; there is nothing that could keep it.
        return ask(&gate, &process).await;
    }
    assert!(process.said().contains("writes below its own folders only"), "{}", process.said());
    ask(&gate, &process).await;
    until("entries in the file", || gate.path("there/log.jsonl").exists()).await;
    replaced(&gate);
    ask(&gate, &process).await;
    process.says("the log cannot be carried").await;
    assert!(process.said().contains("Permission denied"), "{}", process.said());
    assert!(!gate.path("elsewhere/log.jsonl").exists());
    let (status, said) = process.stop().await;
    assert!(status.success(), "{said}");
}

#[tokio::test]
async fn an_operator_may_do_without() {
    let gate = gate("confine: false\n").await;
    let process = Process::run(&gate, "info").await;
    process.says("may write wherever its user may").await;
    replaced(&gate);
    ask(&gate, &process).await;
    until("entries in the other file", || gate.path("elsewhere/log.jsonl").exists()).await;
    process.stop().await;
}

/// What it holds in memory are keys and what customers are shown.
#[tokio::test]
async fn no_core_is_dumped_and_nobody_reads_its_memory() {
    let gate = gate("").await;
    let process = Process::run(&gate, "info").await;
    let of = format!("/proc/{}", process.id());
    let limits = std::fs::read_to_string(format!("{of}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
    // What belongs to a process that may be dumped is its user's; of another everything is root's, and only root attaches.
    let owner =
        std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(format!("{of}/mem")).unwrap());
    assert_eq!(owner, 0);
    process.stop().await;
}

fn of(process: &Process, key: &str) -> String {
    of_process(&process.id().to_string(), key)
}

/// What the system says of a process.
fn of_process(id: &str, key: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap_or_default().trim().to_owned()
}

#[tokio::test]
async fn calls_that_it_does_not_need_are_given_up_and_it_serves() {
    let gate = gate("").await;
    let process = Process::run(&gate, "info").await;
    assert!(process.said().contains("has given up the calls"), "{}", process.said());
    assert_eq!(of(&process, "Seccomp:"), "2", "it is filtered");
    let filters = |text: &str| text.parse::<u32>().unwrap();
    let own = of_process("self", "Seccomp_filters:");
    assert!(filters(&of(&process, "Seccomp_filters:")) > filters(&own), "by more than we are");
    assert_eq!(of(&process, "NoNewPrivs:"), "1");
    ask(&gate, &process).await;
    let (status, said) = process.stop().await;
    assert!(status.success(), "{said}");
}

#[tokio::test]
async fn an_operator_may_keep_all_calls() {
    let gate = gate("confine-calls: false\n").await;
    let process = Process::run(&gate, "info").await;
    process.says("may make every call of the system").await;
    assert_eq!(of(&process, "Seccomp_filters:"), of_process("self", "Seccomp_filters:"));
    ask(&gate, &process).await;
    process.stop().await;
}
