//! What stays: a log that verifies, tells who saw whom, holds no value and cannot be altered unnoticed.

use std::io;
use std::path::{Path, PathBuf};

use super::door::Trouble;
use super::story::{Story, password_of};
use crate::audit::{
    Access, Accesses, Effect, Extent, Filter, Frame, Mode, OpenedFrames, Opener, Reader, RestKey,
    SubjectSealer, note::Verifier, verify,
};
use crate::demo::cast::CUSTOMERS;
use crate::demo::people;
use crate::secret::MasterKey;

/// The most of a log's files that are looked through.
const FILE_LIMIT: usize = 10_000;

pub(super) async fn play(story: &mut Story<'_>) -> io::Result<()> {
    story
        .step(
            "The log verifies, while it is written and after the gate has stopped",
            "Every entry is hashed into a tree whose head is signed; the public key is all it takes.",
            the_log_verifies,
        )
        .await?;
    story
        .step(
            "It tells who saw whom",
            "The customer stands there under a keyed reference, which the reviewer's key opens.",
            it_tells_who_saw_whom,
        )
        .await?;
    story
        .step(
            "Refusals and exports stand there too",
            "What was refused says as much as what was shown; a bulk names each person in it.",
            refusals_and_exports_stand_there,
        )
        .await?;
    story
        .step(
            "A copy of that export leads back to whoever took it",
            "Each file has a mark of its own, and the log has the hash of the bytes that left.",
            a_copy_leads_back,
        )
        .await?;
    story
        .step(
            "No customer's data, no password and no token stands in it",
            "A log that holds what it guards is one more place to steal it from.",
            it_holds_no_value,
        )
        .await?;
    story
        .step(
            "One flipped bit in a copy is found",
            "Whoever can write to the disk still cannot rewrite what happened.",
            a_flipped_bit_is_found,
        )
        .await
}

pub(super) fn folder(story: &Story<'_>) -> PathBuf {
    story.stage.path().join("log")
}

async fn the_log_verifies(story: &mut Story<'_>) -> Result<(), Trouble> {
    let dir = folder(story);
    let verifier = story.stage.server().map(|server| server.log().verifier().clone());
    let verifier = verifier.ok_or(Trouble::Closed)?;
    let live = verify(&dir, &verifier, None);
    story.check("while it is written", live.is_ok());
    story.stage.stop().await;
    let key = std::fs::read_to_string(dir.join("verifier.key"))?;
    story.check("the key in its folder is the gate's", key.trim() == verifier.to_string());
    let result = verify(&dir, &verifier, None);
    let said = match &result {
        Ok(verified) => format!("ok, {} entries, unaltered and in order", verified.entries),
        Err(broken) => broken.to_string(),
    };
    story.note("menshen log verify log", &said);
    story.check("at rest, to the last byte", result.is_ok_and(|verified| verified.entries > 100));
    Ok(())
}

/// The accesses that a filter wants, oldest first.
pub(super) fn accesses(story: &Story<'_>, filter: Filter) -> Result<Vec<Access>, Trouble> {
    let (dir, opener) = (folder(story), opener(story)?);
    let mut accesses = Accesses::new(filter, 1_000);
    for read in Reader::new(&dir, 0, opener) {
        let (index, record) = read?;
        accesses.add(index, record);
    }
    Ok(accesses.finish())
}

fn opener(story: &Story<'_>) -> Result<Opener, Trouble> {
    let master = MasterKey::read(&story.stage.path().join("master.key"))?;
    Ok(Opener::new(&folder(story), vec![RestKey::new(&master)?]))
}

pub(super) fn sealer(story: &Story<'_>) -> Result<SubjectSealer, Trouble> {
    let master = MasterKey::read(&story.stage.path().join("master.key"))?;
    Ok(SubjectSealer::new(&master)?)
}

async fn it_tells_who_saw_whom(story: &mut Story<'_>) -> Result<(), Trouble> {
    let sealer = sealer(story)?;
    let subject = Some(sealer.token("customer", "1001"));
    let found = accesses(story, Filter { subject, ..Filter::default() })?;
    let by_teller = |access: &&Access| {
        let actor = access.entry.actor.as_ref();
        let route = access.entry.request.as_ref().map(|request| request.route.as_str());
        actor.is_some_and(|a| a.account.as_str() == "li.na") && route == Some("customer.view")
    };
    let access = found.iter().find(by_teller);
    let opened = access.and_then(|access| access.subjects.iter().next());
    let opened = opened.and_then(|subject| sealer.open(subject).ok()).unwrap_or_default();
    let data = access.and_then(|access| access.outcome.as_ref()?.data.clone()).unwrap_or_default();
    let masked: Vec<&str> = data.masked.iter().collect();
    let purpose =
        access.and_then(|access| access.entry.why.as_ref().map(|why| why.purpose.to_string()));
    let said = format!("li.na saw {opened}; masked: {}", masked.join(", "));
    story.note("menshen log show log --key master.key --subject customer:1001", &said);
    story.check("the reference opens to customer:1001", opened == "customer:1001");
    story.check("the phone was masked, the name clear", {
        masked.contains(&"customer.phone") && data.clear.iter().any(|name| name == "customer.name")
    });
    story.check("for the purpose she declared", purpose.as_deref() == Some("service"));
    story.check("it was complete", access.is_some_and(|access| !access.is_without_outcome()));
    Ok(())
}

async fn refusals_and_exports_stand_there(story: &mut Story<'_>) -> Result<(), Trouble> {
    let of = |actor: &str| Filter { actor: Some(actor.to_owned()), ..Filter::default() };
    let is_denied = |access: &&Access| {
        access.entry.decision.as_ref().is_some_and(|decision| decision.effect == Effect::Deny)
    };
    let denied = accesses(story, of("alice"))?.iter().filter(is_denied).count();
    story.note("menshen log show log --key master.key --actor alice", &format!("{denied} denials"));
    story.check("the auditor's three attempts", denied == 3);
    let exports = accesses(story, of("dewi"))?;
    let most = exports.iter().map(|access| access.subject_count).max().unwrap_or_default();
    story.note(
        "menshen log show log --key master.key --actor dewi",
        &format!("an export of {most} people"),
    );
    story.check("the export names all 2,000", usize::try_from(most).ok() == Some(CUSTOMERS));
    let rest = accesses(story, Filter::default())?;
    let lost = rest.iter().filter(|access| access.is_without_outcome()).count();
    story.check("no access is without its outcome", lost == 0 && !rest.is_empty());
    Ok(())
}

async fn a_copy_leads_back(story: &mut Story<'_>) -> Result<(), Trouble> {
    let (mark, hash) = story.copy.clone().unwrap_or_default();
    for (how, found) in [
        ("--watermark", Filter { watermark: Some(mark.clone()), ..Filter::default() }),
        ("--sha256", Filter { sha256: Some(hash.clone()), ..Filter::default() }),
    ] {
        let found = accesses(story, found)?;
        let whose = |access: &Access| Some(access.entry.actor.as_ref()?.account.to_string());
        let whose: Vec<String> = found.iter().filter_map(whose).collect();
        let value = if how == "--sha256" { &hash } else { &mark };
        let value: String = value.chars().take(17).collect();
        story.note(
            &format!("menshen log show log --key master.key {how} {value}"),
            &whose.join(", "),
        );
        story.check("it is dewi's, and nobody else's", whose == ["dewi"]);
        let is_whole = |access: &Access| {
            let data = access.outcome.as_ref()?.data.as_ref()?;
            Some(data.file == Some(Extent::Complete) && data.mode == Some(Mode::Download))
        };
        story.check("all of the file", found.iter().all(|one| is_whole(one) == Some(true)));
    }
    Ok(())
}

async fn it_holds_no_value(story: &mut Story<'_>) -> Result<(), Trouble> {
    let mut secrets: Vec<String> = Vec::new();
    for customer in people::customers().take(12) {
        secrets.extend([customer.name, customer.phone, customer.email, customer.id_number]);
    }
    secrets.extend(["13900001234", "not-her-password", "li.nobody"].map(str::to_owned));
    secrets.extend(["li.na", "dewi", "somchai"].map(|name| password_of(name).to_owned()));
    secrets.extend(story.cookies().cloned());
    secrets.push(std::fs::read_to_string(story.stage.path().join("partner.token"))?);
    // Sealed references are random text, in which chance spells a name of four letters now and then.
    secrets.retain(|secret| secret.len() >= 6);
    let files = files(&folder(story))?;
    let mut found = Vec::new();
    for file in &files {
        let bytes = std::fs::read(file)?;
        let text = String::from_utf8_lossy(&bytes);
        found.extend(secrets.iter().filter(|secret| text.contains(secret.as_str())).cloned());
    }
    // Nor when everything that is sealed is open.
    let mut opened = 0_usize;
    for frame in OpenedFrames::new(&folder(story), 0, opener(story)?) {
        if let Frame::Json(json) = frame?.1 {
            let text = String::from_utf8_lossy(&json);
            found.extend(secrets.iter().filter(|secret| text.contains(secret.as_str())).cloned());
            opened += 1;
        }
    }
    let asked = format!(
        "{} values in {} files of the log, and in its {opened} entries opened",
        secrets.len(),
        files.len()
    );
    story.note(&asked, &format!("{} found", found.len()));
    story.check("none of them", found.is_empty() && !files.is_empty() && opened > 100);
    Ok(())
}

async fn a_flipped_bit_is_found(story: &mut Story<'_>) -> Result<(), Trouble> {
    let (dir, copy) = (folder(story), story.stage.path().join("log-copy"));
    let verifier = std::fs::read_to_string(dir.join("verifier.key"))?;
    let verifier: Verifier = verifier.trim().parse().map_err(io::Error::other)?;
    for file in files(&dir)? {
        let Ok(below) = file.strip_prefix(&dir) else { continue };
        let to = copy.join(below);
        std::fs::create_dir_all(to.parent().unwrap_or(&copy))?;
        std::fs::copy(&file, &to)?;
    }
    story.check("the copy verifies", verify(&copy, &verifier, None).is_ok());
    let entries = files(&copy.join("tile").join("entries"))?;
    let victim = entries.first().ok_or(Trouble::Closed)?;
    let mut bytes = std::fs::read(victim)?;
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    std::fs::write(victim, bytes)?;
    let result = verify(&copy, &verifier, None);
    let said = result.as_ref().map_or_else(ToString::to_string, |_| "ok".to_owned());
    story.note("menshen log verify log-copy", &said);
    story.check("the place is named", result.is_err_and(|broken| broken.index.is_some()));
    story.check("the log itself is as it was", verify(&dir, &verifier, None).is_ok());
    Ok(())
}

/// All files below a folder, in order.
fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = vec![dir.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if files.len() < FILE_LIMIT {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}
