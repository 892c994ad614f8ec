//! Who asks the log afterwards: a privacy officer, a customer, whoever found a leaked file, the monthly reviewer; and
//! whether it could be brought back. With the product's own commands, each of which is an entry itself.

use std::io;
use std::path::{Path, PathBuf};

use super::door::Trouble;
use super::log::{accesses, folder, sealer};
use super::story::Story;
use crate::audit::{Filter, Readings};
use crate::secret::MasterKey;

/// What a command said.
struct Said {
    code: Option<i32>,
    text: String,
}

pub(super) async fn play(story: &mut Story<'_>, program: &Path) -> io::Result<()> {
    story
        .step(
            "One command says who saw a customer in a month, and why",
            "It asks the index and judges each hit in the log; who asks is recorded before anything is shown.",
            async |story: &mut Story<'_>| who_saw_a_customer(story, program).await,
        )
        .await?;
    story
        .step(
            "The customer gets a page that names posts, not employees",
            "Whoever has a right to know who saw their data has it in their own language.",
            async |story: &mut Story<'_>| a_page_for_the_customer(story, program).await,
        )
        .await?;
    story
        .step(
            "A leaked file names its reader by its watermark",
            "A few lines of it, or its name, are enough; a file that never left leads to nobody.",
            async |story: &mut Story<'_>| a_leaked_file_names_its_reader(story, program).await,
        )
        .await?;
    story
        .step(
            "The monthly review is signed by whoever read it",
            "With a key that the gate never sees; neither the review nor the signature can be exchanged later.",
            async |story: &mut Story<'_>| a_review_is_signed(story, program).await,
        )
        .await?;
    story
        .step(
            "What was read of the log waits to be an entry of it",
            "Sealed and durable before it was shown; the gate takes it over when it starts.",
            every_reading_is_recorded,
        )
        .await?;
    story
        .step(
            "A backup stands in two places, and one is brought back to try it",
            "A copy that nobody has tried to restore is a hope.",
            async |story: &mut Story<'_>| a_backup_is_tried(story, program).await,
        )
        .await
}

/// Runs the product in the demo's folder, and notes what was asked and the line of its answer with `telling` in it.
async fn run(
    story: &mut Story<'_>,
    program: &Path,
    args: &[&str],
    telling: &str,
) -> Result<Said, Trouble> {
    let (program, place) = (program.to_owned(), story.stage.path().to_owned());
    let own: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let ran = tokio::task::spawn_blocking(move || {
        std::process::Command::new(program).args(own).current_dir(place).output()
    });
    let ran = ran.await.map_err(io::Error::other)??;
    let text = [ran.stdout, ran.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let line = text.lines().find(|line| line.contains(telling)).or(text.lines().next());
    let asked: Vec<String> = args.iter().map(|arg| quoted(arg)).collect();
    story.note(&format!("menshen {}", asked.join(" ")), line.unwrap_or_default());
    Ok(Said { code: ran.status.code(), text })
}

fn quoted(arg: &str) -> String {
    if arg.contains(' ') { format!("\"{arg}\"") } else { arg.to_owned() }
}

/// The month in which the customer was first seen.
fn month(story: &Story<'_>) -> Result<String, Trouble> {
    let subject = Some(sealer(story)?.token("customer", "1001"));
    let found = accesses(story, Filter { subject, ..Filter::default() })?;
    let time = found.first().map(|access| access.entry.time.to_string());
    Ok(time.unwrap_or_default().chars().take(7).collect())
}

async fn who_saw_a_customer(story: &mut Story<'_>, program: &Path) -> Result<(), Trouble> {
    let month = month(story)?;
    let whom = ["report", "subject", "customer:1001", "--month", &month];
    let said = run(story, program, &[&whom[..], &CONFIG].concat(), "li.na").await?;
    story.check("li.na saw her", said.code == Some(0) && said.text.contains("li.na"));
    story.check("for the purpose she declared", said.text.contains("service"));
    story.check("and it shows nothing of the customer", !said.text.contains("13900001234"));
    let search = ["log", "search", "--subject", "customer:1001", "--clear", "customer.name"];
    let said = run(story, program, &[&search[..], &CONFIG].concat(), "li.na").await?;
    story.check("a search tells the same", said.code == Some(0) && said.text.contains("li.na"));
    Ok(())
}

/// Where the commands find the gate's files.
const CONFIG: [&str; 2] = ["--config", "menshen.yaml"];

async fn a_page_for_the_customer(story: &mut Story<'_>, program: &Path) -> Result<(), Trouble> {
    for (language, title) in
        [("ko", "내 정보를 누가 보았나"), ("id", "Siapa yang melihat data Anda")]
    {
        let whom = ["report", "subject", "customer:1001", "--language", language];
        let said = run(story, program, &[&whom[..], &CONFIG].concat(), "<h1>").await?;
        story.check("a page to hand out", said.code == Some(0) && said.text.contains(title));
        let names_posts = said.text.contains("teller") && !said.text.contains("li.na");
        story.check("with posts and no names", names_posts);
    }
    Ok(())
}

async fn a_leaked_file_names_its_reader(
    story: &mut Story<'_>,
    program: &Path,
) -> Result<(), Trouble> {
    let (mark, _) = story.copy.clone().unwrap_or_default();
    let place = story.stage.path().to_owned();
    std::fs::write(place.join("found.txt"), format!("C1,a customer\nsource: {mark}\n"))?;
    std::fs::write(place.join("other.txt"), "C1,a customer\nsource: somewhere else\n")?;
    let trace = ["log", "trace", "log", "--key", "master.key", "--file"];
    let said = run(story, program, &[&trace[..], &["found.txt"]].concat(), "dewi").await?;
    story.check("it is dewi's", said.code == Some(0) && said.text.contains("dewi"));
    story.check("by its mark", said.text.contains("its mark stands in it"));
    let said = run(story, program, &[&trace[..], &["other.txt"]].concat(), "nobody").await?;
    story.check("another leads to nobody", said.code == Some(1) && said.text.contains("nobody"));
    Ok(())
}

async fn a_review_is_signed(story: &mut Story<'_>, program: &Path) -> Result<(), Trouble> {
    let (month, place) = (month(story)?, story.stage.path().to_owned());
    let review = ["report", "monthly", &month, "--view", "json", "--out", "review.json"];
    let made = run(story, program, &[&review[..], &CONFIG].concat(), "").await?;
    story.check("the review is made", made.code == Some(0) && place.join("review.json").exists());
    let key = ["review", "key", "alice.key", "--name", "alice"];
    let public = run(story, program, &key, "alice").await?.text;
    let whose = ["--reviewer-key", "alice.key", "--name", "alice"];
    let sign = ["review", "sign", "--report", "review.json", "--month", &month];
    let remark = ["--remark", "one export, asked about"];
    let sign = [&sign[..], &whose, &remark, &CONFIG].concat();
    let signed = run(story, program, &sign, "review").await?;
    story.check("alice signs it", signed.code == Some(0));
    std::fs::write(place.join("review.sig"), &signed.text)?;
    let check = ["review", "check", "review.json", "review.sig", "--reviewer", public.trim()];
    let held = run(story, program, &check, "").await?;
    story.check("the signature holds", held.code == Some(0));
    let text = std::fs::read_to_string(place.join("review.json"))?;
    std::fs::write(place.join("review.json"), text.replacen("dewi", "nobody", 1))?;
    let held = run(story, program, &check, "").await?;
    story.check("of a review that was altered it does not", held.code == Some(1));
    Ok(())
}

async fn every_reading_is_recorded(story: &mut Story<'_>) -> Result<(), Trouble> {
    let master = MasterKey::read(&story.stage.path().join("master.key"))?;
    let waiting = Readings::new(&folder(story), &master)?.waiting()?;
    let names: Vec<String> =
        waiting.iter().filter_map(|one| Some(one.reading.as_ref()?.name.clone())).collect();
    story.note("what waits in log/readings", &names.join(", "));
    for name in ["report_made", "log_searched", "log_traced", "review_signed"] {
        story.check(name, names.iter().any(|one| one == name));
    }
    Ok(())
}

async fn a_backup_is_tried(story: &mut Story<'_>, program: &Path) -> Result<(), Trouble> {
    let place = story.stage.path().to_owned();
    let mut config = std::fs::read_to_string(place.join("menshen.yaml"))?;
    config
        .push_str("backup: { to: { here: { folder: backup-1 }, there: { folder: backup-2 } } }\n");
    std::fs::write(place.join("with-backup.yaml"), config)?;
    for folder in ["backup-1", "backup-2"] {
        std::fs::create_dir(place.join(folder))?;
    }
    let config = ["--config", "with-backup.yaml"];
    let made = run(story, program, &[&["backup"][..], &config].concat(), "").await?;
    let is_in =
        |folder: &PathBuf| std::fs::read_dir(folder).is_ok_and(|mut all| all.next().is_some());
    let both = ["backup-1", "backup-2"].iter().all(|folder| is_in(&place.join(folder)));
    story.check("in both places", made.code == Some(0) && both);
    let test = ["restore", "--test", "--place", "there"];
    let tested = run(story, program, &[&test[..], &config].concat(), "ok").await?;
    story.check("it can be restored", tested.code == Some(0) && tested.text.contains("ok"));
    Ok(())
}
