//! A policy that is replaced under a running gate: in one step, recorded first, or not at all.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use menshen::audit::{Act, Ending, Entry};
use tokio::sync::Semaphore;

use crate::harness::client::finish;
use crate::harness::upstream::{chunk, head};
use crate::harness::{Ask, Gate, NOW_S, OPEN_BANK, Process, Reply, Setup, Step, soon};
use menshen::clock::Clock;

const ONE: &str = r#"{"id":1,"name":"n","note":"x","phone":"13812345678"}"#;

/// The open bank, whose tellers see the phone in clear.
fn wider() -> String {
    OPEN_BANK.replace("clear: [id, name, note,", "clear: [id, name, note, phone,")
}

/// The open bank, of which tellers may do nothing but remove.
fn closed() -> String {
    OPEN_BANK.replace("to: teller\n    of: customer", "to: stranger\n    of: customer")
}

/// The open bank, of which tellers may only read, and only the records that a condition admits.
fn where_named() -> String {
    let rule = OPEN_BANK.replace(", update, create]", "]\n    where: record.name == caller.branch");
    rule.replace("    write: [name, note, phone]\n", "")
}

/// The open bank with a test beside it, which expects this status of an answer that is a 200.
fn tested(status: u16) -> String {
    let test = "tests:\n  - name: a teller looks at one\n    caller: { roles: [teller] }\n    request: GET bank.example/one/1\n    backend: { id: 1 }\n";
    format!("{OPEN_BANK}{test}    expect: {status}\n")
}

fn write(gate: &Gate, text: &str) {
    std::fs::write(gate.path("policies/policy.yaml"), text).unwrap();
}

/// Waits until another policy than this one is in force.
async fn replaced(gate: &Gate, old: &str) -> String {
    let changes = async {
        loop {
            let version = gate.server().policy_version();
            if version != old {
                return version;
            }
            pause().await;
        }
    };
    soon("a new policy", changes).await
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

async fn phone(gate: &Gate) -> String {
    let answer = gate.ask(Ask::get("/one/1").by(&gate.teller())).await;
    answer.expect(200).json()["phone"].as_str().unwrap_or("absent").to_owned()
}

fn acts(entries: &[Entry], name: &str) -> Vec<Act> {
    let acts = entries.iter().filter_map(|entry| entry.act.clone());
    acts.filter(|act| act.name.as_str() == name).collect()
}

/// Waits until the log has an act of this name, and gives all of them.
async fn recorded(gate: &Gate, name: &str) -> Vec<Act> {
    let waiting = async {
        loop {
            let found = acts(&gate.entries_so_far(), name);
            if !found.is_empty() {
                return found;
            }
            pause().await;
        }
    };
    soon(name, waiting).await
}

#[tokio::test]
async fn a_changed_folder_is_in_force_without_a_restart_and_the_log_says_so() {
    let mut gate = Setup::policy(OPEN_BANK).start().await;
    gate.upstream.answers(Reply::json(ONE));
    assert_eq!(phone(&gate).await, "138****5678");
    let old = gate.server().policy_version();
    write(&gate, &wider());
    let new = replaced(&gate, &old).await;
    assert_eq!(phone(&gate).await, "13812345678");
    let entries = gate.entries().await;
    let loaded = acts(&entries, "policy_loaded");
    assert_eq!(loaded.len(), 1);
    assert_eq!((loaded[0].before.as_str(), loaded[0].after.as_str()), (&*old, &*new));
    assert_eq!(loaded[0].succeeded, Some(true));
    let place = entries.iter().position(|entry| entry.act.as_ref() == Some(&loaded[0])).unwrap();
    let decided_by = |version: &str| {
        let by =
            |entry: &&Entry| entry.decision.as_ref().is_some_and(|d| d.policy.as_str() == version);
        entries.iter().position(|entry| by(&entry)).unwrap()
    };
    assert!(decided_by(&old) < place && place < decided_by(&new), "recorded before it decides");
}

#[tokio::test]
async fn a_faulty_folder_is_refused_once_and_the_old_policy_stays() {
    let mut gate = Setup::policy(OPEN_BANK).start().await;
    gate.upstream.answers(Reply::json(ONE));
    let old = gate.server().policy_version();
    for (what, text) in [
        ("a fault", OPEN_BANK.replace("masked: [phone", "masked: [phne")),
        ("an unknown backend", OPEN_BANK.replace("to: core", "to: cellar")),
        ("no yaml", "{".to_owned()),
        ("a test that fails", tested(404)),
    ] {
        let before = acts(&gate.entries_so_far(), "policy_refused").len();
        write(&gate, &text);
        let refusal = async {
            while acts(&gate.entries_so_far(), "policy_refused").len() == before {
                pause().await;
            }
        };
        soon(what, refusal).await;
        gate.server().reload();
        assert_eq!(phone(&gate).await, "138****5678", "{what}");
        assert_eq!(gate.server().policy_version(), old, "{what}");
    }
    write(&gate, &tested(200));
    replaced(&gate, &old).await;
    let entries = gate.entries().await;
    let refused = acts(&entries, "policy_refused");
    assert_eq!(refused.len(), 4, "each fault is told once: {refused:?}");
    assert!(refused.iter().all(|act| act.succeeded == Some(false) && act.count >= Some(1)));
    assert!(refused.iter().all(|act| act.before.as_str() == old));
    assert_eq!(acts(&entries, "policy_loaded").len(), 1);
}

#[tokio::test]
async fn a_folder_that_is_swapped_by_a_link_is_followed() {
    let mut gate = Setup::policy(OPEN_BANK).prepare(Clock::fixed(NOW_S * 1000)).await;
    let link = gate.path("policies");
    std::fs::rename(&link, gate.path("v1")).unwrap();
    std::os::unix::fs::symlink("v1", &link).unwrap();
    gate.start().await;
    let mut old = gate.server().policy_version();
    for (name, text) in [("v2", wider()), ("v3", closed()), ("v4", OPEN_BANK.to_owned())] {
        std::fs::create_dir(gate.path(name)).unwrap();
        std::fs::write(gate.path(name).join("policy.yaml"), text).unwrap();
        swap_link(&link, name);
        old = replaced(&gate, &old).await;
    }
    // Also in the folder that the link names now.
    std::fs::write(gate.path("v4/policy.yaml"), wider()).unwrap();
    replaced(&gate, &old).await;
}

#[tokio::test]
async fn a_mounted_config_map_is_followed() {
    let mut gate = Setup::policy(OPEN_BANK).prepare(Clock::fixed(NOW_S * 1000)).await;
    let folder = gate.path("policies");
    for (name, text) in [("..1", OPEN_BANK.to_owned()), ("..2", wider())] {
        std::fs::create_dir(folder.join(name)).unwrap();
        std::fs::write(folder.join(name).join("policy.yaml"), text).unwrap();
    }
    std::os::unix::fs::symlink("..1", folder.join("..data")).unwrap();
    std::fs::remove_file(folder.join("policy.yaml")).unwrap();
    std::os::unix::fs::symlink("..data/policy.yaml", folder.join("policy.yaml")).unwrap();
    gate.start().await;
    let old = gate.server().policy_version();
    swap_link(&folder.join("..data"), "..2");
    replaced(&gate, &old).await;
}

/// Puts a link to `to` in the place of another one, in one step.
fn swap_link(link: &Path, to: &str) {
    let new = link.with_file_name("..new");
    std::os::unix::fs::symlink(to, &new).unwrap();
    std::fs::rename(&new, link).unwrap();
}

#[tokio::test]
async fn where_the_folder_is_not_watched_only_asking_reloads_it() {
    let gate = Setup::policy(OPEN_BANK).yaml("policies-watch: false").start().await;
    let old = gate.server().policy_version();
    write(&gate, &wider());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(gate.server().policy_version(), old);
    gate.server().reload();
    replaced(&gate, &old).await;
}

#[tokio::test]
async fn no_request_fails_while_policies_are_swapped() {
    let mut gate = Setup::policy(OPEN_BANK).yaml("policies-watch: false").start().await;
    gate.upstream.answers(Reply::json(ONE));
    let token = gate.teller();
    let clients: Vec<_> = {
        let mut clients = Vec::new();
        for _ in 0..4 {
            clients.push(gate.h2().await);
        }
        clients
    };
    let (done, finished) = tokio::sync::watch::channel(false);
    let load = clients.into_iter().map(|mut connection| {
        let (token, finished) = (token.clone(), finished.clone());
        async move {
            let mut seen = [0, 0];
            while !*finished.borrow() {
                let answer = connection.send(Ask::get("/one/1").by(&token)).await;
                let text = answer.expect(200).text().to_owned();
                let is_clear = text.contains("13812345678");
                assert!(is_clear || text.contains("138****5678"), "{text}");
                seen[usize::from(is_clear)] += 1;
            }
            seen
        }
    });
    let swaps = async {
        let mut old = gate.server().policy_version();
        for text in [wider(), OPEN_BANK.to_owned()].iter().cycle().take(10) {
            write(&gate, text);
            gate.server().reload();
            old = replaced(&gate, &old).await;
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        done.send_replace(true);
    };
    let (seen, ()) = tokio::join!(futures_all(load), swaps);
    let (masked, clear) = seen.iter().fold((0, 0), |(m, c), [x, y]| (m + x, c + y));
    assert!(masked > 0 && clear > 0, "both policies decided: {masked} {clear}");
    assert_eq!(acts(&gate.entries().await, "policy_loaded").len(), 10);
}

async fn futures_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|cx| {
        let mut is_pending = false;
        for (future, output) in &mut running {
            if output.is_none() {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(value) => *output = Some(value),
                    std::task::Poll::Pending => is_pending = true,
                }
            }
        }
        if is_pending { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    running.into_iter().filter_map(|(_, output)| output).collect()
}

/// A stream that gave its first records and waits for the test to go on.
fn halves(gate: &Gate) -> Arc<Semaphore> {
    let go_on = Arc::new(Semaphore::new(0));
    let headers = [("content-type", "application/json"), ("transfer-encoding", "chunked")];
    let record = format!(r#"{{"id":1,"note":"{}"}}"#, "n".repeat(9000));
    let first = [head(200, &headers), chunk(format!("[{record},").as_bytes())].concat();
    let rest = [chunk(format!("{record}]").as_bytes()), b"0\r\n\r\n".to_vec()].concat();
    let wait = Step::Wait(Arc::clone(&go_on));
    gate.upstream.answers(Reply::raw(first).then(wait).then(Step::Send(rest)));
    go_on
}

#[tokio::test]
async fn a_stream_is_cut_off_when_its_caller_loses_the_right() {
    for (what, policy) in [
        ("denied", closed()),
        ("a field less", OPEN_BANK.replace("clear: [id, name, note,", "clear: [id, name,")),
        ("no such route", OPEN_BANK.replace("bank.example/all", "bank.example/everything")),
        ("other records", where_named()),
    ] {
        let mut gate = Setup::policy(OPEN_BANK).yaml("bodies: { held-kib: 4 }").start().await;
        let _never = halves(&gate);
        let mut connection = gate.h2().await;
        let stream = connection.begin(Ask::get("/all").by(&gate.teller())).await.unwrap();
        let old = gate.server().policy_version();
        write(&gate, &policy);
        replaced(&gate, &old).await;
        // The backend says nothing more, so that only the new policy can have ended it.
        let answer = finish(stream).await;
        assert!(answer.cut.is_some(), "{what}");
        let entries = gate.entries().await;
        let outcome = entries.iter().find(|entry| entry.decided_by.is_some()).unwrap();
        let ended = outcome.result.as_ref().unwrap().ended;
        assert_eq!(ended, Some(Ending::AbortedByPolicy), "{what}");
    }
}

#[tokio::test]
async fn a_stream_goes_on_when_its_right_stands() {
    let mut gate = Setup::policy(OPEN_BANK).yaml("bodies: { held-kib: 4 }").start().await;
    let go_on = halves(&gate);
    let mut connection = gate.h2().await;
    let stream = connection.begin(Ask::get("/all").by(&gate.teller())).await.unwrap();
    let old = gate.server().policy_version();
    // Other rules under other names, and nothing else for this caller.
    write(
        &gate,
        &OPEN_BANK.replace("tellers work", "tellers do work").replace("stranger: {}", "guest: {}"),
    );
    replaced(&gate, &old).await;
    go_on.add_permits(1);
    let answer = finish(stream).await;
    assert_eq!(answer.cut, None);
    assert_eq!(answer.expect(200).json().as_array().unwrap().len(), 2);
    let entries = gate.entries().await;
    let ended = entries.iter().filter_map(|entry| entry.result.as_ref()?.ended);
    assert_eq!(ended.collect::<Vec<_>>(), [Ending::Complete]);
}

#[tokio::test]
async fn a_process_reloads_on_sighup_and_only_what_it_can_record() {
    let setup = Setup::policy(OPEN_BANK).plain().yaml("policies-watch: false");
    let gate = setup.prepare(Clock::system()).await;
    gate.upstream.answers(Reply::json(ONE));
    let process = Process::run(&gate, "info").await;
    let phone = async || {
        let ask = Ask::get("/one/1").by(&gate.teller());
        process.client().h1().await.send(ask).await
    };
    assert_eq!(phone().await.expect(200).json()["phone"], "138****5678");
    write(&gate, &OPEN_BANK.replace("masked: [phone", "masked: [phne"));
    process.hang_up();
    process.says("the new policy is refused, so the old one stays").await;
    assert!(process.said().contains("policy.yaml:"), "it names the first fault");
    recorded(&gate, "policy_refused").await;
    assert_eq!(phone().await.expect(200).json()["phone"], "138****5678");
    write(&gate, &wider());
    process.hang_up();
    process.says("a new policy is in force").await;
    assert_eq!(recorded(&gate, "policy_loaded").await.len(), 1);
    assert_eq!(phone().await.expect(200).json()["phone"], "13812345678");
    process.limit_files(Some(0));
    write(&gate, OPEN_BANK);
    process.hang_up();
    process.says("a new policy could not be recorded, so the old one stays").await;
    process.limit_files(None);
    process.hang_up();
    soon("the log to heal", async {
        while acts(&gate.entries_so_far(), "policy_loaded").len() < 2 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            process.hang_up();
        }
    })
    .await;
    let (status, _said) = process.stop().await;
    assert!(status.success());
}

/// Who mended a file looks whether that was all.
#[tokio::test]
async fn that_a_fault_is_mended_is_said_also_where_all_is_then_as_it_was() {
    let gate = Setup::policy(OPEN_BANK).plain().prepare(Clock::system()).await;
    let process = Process::run(&gate, "info").await;
    let good = std::fs::read_to_string(gate.path("policies/policy.yaml")).unwrap();
    write(&gate, &good.replace("masked: [phone", "masked: [phne"));
    process.says("the new policy is refused, so the old one stays").await;
    write(&gate, &good);
    process.says("the folder has the policy again that is in force").await;
    let file = gate.path("menshen.yaml");
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{good}\nnonsense: 1\n")).unwrap();
    process.says("the new configuration is refused, so the old one stays").await;
    std::fs::write(&file, good).unwrap();
    process.says("the file has the configuration again that is in force").await;
}
