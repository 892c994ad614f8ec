//! The demo as people meet it: the tour, and every line of the guide pasted into a shell.

use std::path::Path;
use std::process::Command;

use menshen::clock::Clock;
use menshen::demo::guide::{self, Control};
use menshen::demo::stage::{Options, Stage};
use menshen::demo::template::{self, Template};
use menshen::demo::tour;

fn options() -> Options {
    Options { listen: "127.0.0.1:0".parse().unwrap(), folder: None }
}

/// The product, whose commands the tour runs.
fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_menshen"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_the_tour_holds() {
    let mut out = Vec::new();
    let told = Box::pin(tour::run_alone(&options(), program(), &mut out)).await.unwrap();
    assert!(told.held() && told.steps >= 15, "{}", String::from_utf8_lossy(&out));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tour_shows_two_gates_where_a_server_for_their_store_is_found() {
    let mut out = Vec::new();
    let told = Box::pin(tour::run(&options(), program(), &mut out)).await.unwrap();
    let text = String::from_utf8_lossy(&out);
    assert!(told.held() && text.contains("demo-b"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_story_of_a_template_holds() {
    for name in Template::names() {
        let template = Template::named(name).unwrap();
        let mut out = Vec::new();
        let told = Box::pin(template::run(template, &options(), &mut out)).await.unwrap();
        assert!(told.held() && told.steps > 0, "{name}\n{}", String::from_utf8_lossy(&out));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_the_guide_does_what_it_says() {
    let stage = Stage::set(&options(), Clock::system()).await.unwrap();
    let (folder, controls) = (stage.path().to_owned(), guide::controls(&stage));
    assert!(controls.len() > 15);
    let ran = tokio::task::spawn_blocking(move || {
        controls.into_iter().map(|control| (paste(&folder, &control), control)).collect::<Vec<_>>()
    });
    for (said, control) in ran.await.unwrap() {
        let got = last_status(&said);
        assert_eq!(got, control.status, "{}\n{}\n{said}", control.title, control.command);
    }
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_names_every_account_and_shows_every_control() {
    let stage = Stage::set(&options(), Clock::system()).await.unwrap();
    let mut out = Vec::new();
    guide::print(&stage, "/somewhere", &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    for control in guide::controls(&stage) {
        assert!(text.contains(control.title) && text.contains(control.expect));
    }
    assert!(text.contains("lanterns-at-dusk") && text.contains("otpauth://totp/"));
    assert!(text.lines().all(|line| line.chars().count() <= 112), "{text}");
    stage.strike().await;
}

fn paste(folder: &Path, control: &Control) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_menshen")).parent().unwrap();
    let script = format!("export PATH=\"{}:$PATH\"\n{}", program.display(), control.command);
    let ran = Command::new("sh").args(["-c", &script]).current_dir(folder).output().unwrap();
    assert!(ran.status.success(), "{}\n{}", control.command, String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

/// The status of the last answer that `curl -i` printed.
fn last_status(said: &str) -> Option<u16> {
    let line = said.lines().rfind(|line| line.starts_with("HTTP/"))?;
    line.split(' ').nth(1)?.parse().ok()
}
