//! How fast a log of a million decisions is replayed, on one core.
//!
//! Run with `cargo bench --bench replay [-- DECISIONS]`; the log is made first, in a temporary folder.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use menshen::audit::tile::{Kind, Tile, WIDTH, encode_bundle};
use menshen::audit::{
    Actor, ActorKind, Answer, Auth, Data, Decision, Effect, Ending, Entry, EntryError, EntryId,
    Event, Frame, Moment, OpenedFrames, Opener, Origin, Request, Stamp, Trait, Why,
};
use menshen::document::Source;
use menshen::policy::{Program, compile};
use menshen::replay::Replay;

const DECISIONS: u64 = 1_000_000;
/// A month of decisions, all day.
const APART_MS: u64 = 2_592;
const START_MS: u64 = 1_790_000_000_000;
const ACCOUNTS: u64 = 3_000;
const BRANCHES: u64 = 80;

fn main() -> Result<(), Box<dyn Error>> {
    let wanted = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let decisions = wanted.unwrap_or(DECISIONS);
    let mut out = std::io::stdout().lock();
    let (live, next) = (policy("8..20")?, policy("7..21")?);
    let dir = tempfile::tempdir()?;
    let bytes = write_log(dir.path(), decisions)?;
    writeln!(out, "{decisions} decisions and their outcomes, {} MB", bytes / 1_000_000)?;
    writeln!(
        out,
        "| compared with | s | s on the core | decisions/s | different | undetermined |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    for (name, old) in [("the record", None), ("the old policy", Some(&live))] {
        measure(dir.path(), name, Replay::new(&next, old), &mut out)?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn measure(
    dir: &Path,
    name: &str,
    mut replay: Replay<'_>,
    out: &mut dyn std::io::Write,
) -> Result<(), Box<dyn Error>> {
    let (start, began) = (Instant::now(), on_core()?);
    for frame in OpenedFrames::new(dir, 0, Opener::new(dir, Vec::new())) {
        if let Frame::Json(json) = frame?.1 {
            replay.take(&json);
        }
    }
    let report = replay.finish();
    let (seconds, worked) = (start.elapsed().as_secs_f64(), on_core()? - began);
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = report.decisions as f64 / worked;
    let (different, undetermined) = (report.different, report.undetermined);
    Ok(writeln!(
        out,
        "| {name} | {seconds:.2} | {worked:.2} | {rate:.0} | {different} | {undetermined} |"
    )?)
}

/// Seconds that this thread had a core; others may use the machine meanwhile.
fn on_core() -> Result<f64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanoseconds: f64 = text.split(' ').next().ok_or("no time")?.parse()?;
    Ok(nanoseconds / 1e9)
}

/// The demo's bank, with hours in which its tellers work.
fn policy(hours: &str) -> Result<Program, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/demo");
    let mut sources = Vec::new();
    for name in ["catalogue.yaml", "routes.yaml", "rules.yaml"] {
        let text = std::fs::read_to_string(folder.join(name))?;
        sources.push(Source { name: name.to_owned(), text });
    }
    let text = format!(
        "rules:\n  - name: the desk is closed at night\n    deny: view\n    to: teller\n    \
         when: \"!(time.hour('Asia/Shanghai') in {hours} || caller.kind == 'machine')\"\n"
    );
    sources.push(Source { name: "night.yaml".to_owned(), text });
    Ok(compile(&sources)?)
}

fn write_log(dir: &Path, decisions: u64) -> Result<u64, Box<dyn Error>> {
    let (mut bundle, mut index, mut bytes) = (Vec::new(), 0, 0);
    for n in 0..decisions * 2 {
        let frames = entry(n).encode(|| Err::<Stamp, EntryError>(EntryError::Json))?;
        bundle.extend(frames.into_iter().map(|(_, json)| json));
        if bundle.len() as u64 == WIDTH || n == decisions * 2 - 1 {
            let tile = Tile { kind: Kind::Entries, index, width: bundle.len() as u64 };
            let path = dir.join(tile.path());
            let encoded = encode_bundle(&bundle).ok_or("an entry is too long")?;
            bytes += encoded.len() as u64;
            std::fs::create_dir_all(path.parent().ok_or("no folder")?)?;
            std::fs::write(path, encoded)?;
            bundle.clear();
            index += 1;
        }
    }
    std::fs::create_dir_all(dir.join("journal"))?;
    Ok(bytes)
}

/// A decision, or the outcome of the one before.
fn entry(n: u64) -> Entry {
    let (of, is_outcome) = (n / 2, n % 2 == 1);
    let unix_ms = i64::try_from(START_MS + of * APART_MS).unwrap_or_default();
    let mut random = [0; 10];
    random.iter_mut().zip(n.to_le_bytes()).for_each(|(to, from)| *to = from);
    let id = EntryId::new(unix_ms, random);
    let stamp = Stamp { id, time: Moment(unix_ms), node: "gate-1".into() };
    let event = if is_outcome { Event::Outcome } else { Event::Decision };
    let mut entry = Entry::new(event, stamp);
    entry.actor = Some(actor(of));
    entry.request = Some(request(of));
    if is_outcome {
        entry.decided_by = Some(id);
        entry.result =
            Some(Answer { status: Some(200), ended: Some(Ending::Complete), ..Answer::default() });
    } else {
        decide(&mut entry, of);
    }
    entry
}

fn actor(of: u64) -> Actor {
    let account = of * 7 % ACCOUNTS;
    let role = if account.is_multiple_of(5) { "supervisor" } else { "teller" };
    let mut actor = Actor {
        account: format!("corp:e{account}").as_str().into(),
        kind: Some(ActorKind::Staff),
        roles: [role].into_iter().collect(),
        ..Actor::default()
    };
    let branch = format!("sh{:02}", account % BRANCHES);
    if let Some(branch) = Trait::text(&branch) {
        actor.attributes.push("branch", branch);
    }
    actor.attributes.push("tenant", Trait::Missing);
    actor
}

fn request(of: u64) -> Request {
    let mut request = Request {
        method: "GET".into(),
        host: "bank.example".into(),
        route: "customer.view".into(),
        template: "/api/customers/{id}".into(),
        action: "view".into(),
        ..Request::default()
    };
    request.query.push("{id}", None, &format!("{of:032x}"));
    request
}

fn decide(entry: &mut Entry, of: u64) {
    let mut auth = Auth { assurance: 2, credential: "bearer".into(), ..Auth::default() };
    auth.factors = ["token"].into_iter().collect();
    auth.token = format!("{:032x}", of % ACCOUNTS).as_str().into();
    auth.levels.push(2, i64::try_from(of % 3_000).unwrap_or_default());
    entry.auth = Some(auth);
    entry.origin = Some(Origin {
        address: Some([10, 0, 0, 5].into()),
        port: Some(40_000),
        zone: "business".into(),
        tls: "TLSv1.3".into(),
        user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0".into(),
        ..Origin::default()
    });
    entry.why = Some(Why { purpose: "service".into(), ..Why::default() });
    let mut decision = Decision::new(Effect::Allow);
    decision.rules = ["tellers serve their branch"].into_iter().collect();
    decision.policy = "5d41402abc4b2a76b9719d911017c5925d41402abc4b2a76b9719d911017c592".into();
    entry.decision = Some(decision);
    let clear = ["id", "name", "branch", "segment", "address.city", "accounts.currency"];
    let masked = ["phone", "address.street", "accounts.number"];
    let full = |name: &&str| format!("customer.{name}");
    entry.data = Some(Data {
        entity: "customer".into(),
        clear: clear.iter().map(full).collect(),
        masked: masked.iter().map(full).collect(),
        highest_grade: "4".into(),
        ..Data::default()
    });
    entry.result = Some(Answer { decide_us: Some(120), ..Answer::default() });
}
