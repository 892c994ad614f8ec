//! The fail-closed matrix: whatever the backend sends, the answer is filtered, refused or reset, and in the log.
//!
//! `tests/vectors/guard_matrix.tsv` says for each value of each axis what it does to an answer, and
//! `docs/guard-matrix.md` says the same in words. Here each value is met alone, with each value of another
//! axis, and with several by chance. Every answer carries a canary in all that must not pass.

mod body;
mod table;
mod wire;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use menshen::audit::{Effect as Decided, Ending, Entry};
use menshen::config::Config;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::harness::client::{Client, finish};
use crate::harness::{Answer, Ask, Connection, Gate, OPEN_BANK, Setup, holds};
use body::{Body, Family};
use table::{AXES, Cell, Effect, Line, Outcome, lines};

/// How many connections ask at once.
const CALLERS: usize = 12;
/// Of how many cells with two values off the base one is met.
const PAIRS_OF: usize = 4;
/// How many cells with more of them are met.
const BY_CHANCE: usize = 400;
/// What chooses them.
const SEED: u64 = 20_270_115;
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(15);

fn gate() -> Setup {
    let policy = OPEN_BANK.replace(
        "match: GET bank.example/all\n    to: core\n    action: export\n    returns: { customer: \"$[]\" }\n",
        "match: GET bank.example/all/{cell}\n    to: core\n    action: export\n    \
         returns: { customer: \"$[]\" }\n    as: [json, ndjson, json-seq, event-stream, csv, tsv]\n",
    );
    assert_ne!(policy, OPEN_BANK);
    Setup::policy(&policy).plain().tweak(|config: &mut Config| {
        config.proxy.held_bytes = body::HELD_BYTES;
        config.caps.key_bytes = body::KEY_BYTES;
        config.caps.value_bytes = body::VALUE_BYTES;
        config.caps.number_bytes = body::NUMBER_BYTES;
        config.caps.record_bytes = body::RECORD_BYTES;
        config.caps.gap_bytes = body::GAP_BYTES;
        config.caps.depth = body::DEPTH;
        config.caps.columns = body::COLUMNS;
    })
}

/// What no answer has, whatever the backend says.
const REMOVED: [&str; 10] = [
    "etag",
    "set-cookie",
    "server",
    "link",
    "accept-ranges",
    "content-range",
    "location",
    "content-digest",
    "content-encoding",
    "trailer",
];

/// Where most cells stand on the axes that differ most.
const BASE: [(&str, &str); 4] = [
    ("content", "application/json"),
    ("coding", "none"),
    ("bytes", "well formed"),
    ("size", "small"),
];

/// Whether the backend can say all this of one answer.
fn makes_sense(cell: &Cell) -> bool {
    let (status, size) = (cell.value("status"), cell.value("size"));
    let bytes = cell.value("bytes");
    let is_plain = |axis: &str, value: &str| cell.value(axis) == value;
    let has_body = wire::has_body(cell) && status != "HEAD";
    let at_a_cap = matches!(size, "as large as is held" | "one byte larger" | "huge");
    let is_whole = |axis: &str| cell.effect(axis) == Effect::Passes;
    let is_json = !matches!(
        body::family(cell.value("content")),
        Family::Table | Family::Tabs | Family::Unread
    );
    body::fits(bytes, cell.value("content"))
        && wire::fits(cell.value("framing"), size, cell.value("content"))
        && (has_body || is_plain("framing", "a length"))
        && (size != "nothing" || bytes == "well formed")
        // Refusals of one caller beyond some a minute are recorded as a number.
        && (status != "HEAD" || BASE.iter().all(|(axis, value)| is_plain(axis, value)))
        // The edges of what is held are met by answers that are good in all else.
        && (!at_a_cap || ["status", "framing", "coding", "content"].iter().all(|axis| is_whole(axis)))
        && (!at_a_cap || bytes == "well formed")
        && (size != "huge" || matches!(cell.value("framing"), "a length" | "chunks"))
        && (!cell.value("coding").contains("bomb") || is_json && !at_a_cap && size != "nothing")
}

/// All cells that are met: the base with one value changed, and of those with two or more some by chance.
fn cells() -> Vec<Cell> {
    let lines = lines();
    let by_axis: Vec<Vec<Line>> = (0..AXES.len())
        .map(|axis| lines.iter().filter(|l| l.axis == axis).copied().collect())
        .collect();
    let base: [Line; AXES.len()] = std::array::from_fn(|axis| by_axis[axis][0]);
    let mut cells = Vec::new();
    let mut state = SEED;
    let mut below = |end: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % end
    };
    for (axis, values) in by_axis.iter().enumerate() {
        for value in values {
            let mut cell = base;
            cell[axis] = *value;
            cells.push(Cell(cell));
            for (other, others) in by_axis.iter().enumerate().skip(axis + 1) {
                for second in others.iter().skip(1).filter(|_| below(PAIRS_OF) == 0) {
                    cell[other] = *second;
                    cells.push(Cell(cell));
                }
                cell[other] = base[other];
            }
        }
    }
    // Callers and contents differ by chance in all cells but those where they are the question.
    for cell in &mut cells {
        if cell.0[6].value == base[6].value {
            cell.0[6] = by_axis[6][below(3)];
        }
    }
    let mut found = 0;
    while found < BY_CHANCE {
        let cell = Cell(std::array::from_fn(|axis| {
            // Mostly good values: what is bad in three ways tells little.
            let good: Vec<&Line> =
                by_axis[axis].iter().filter(|line| line.effect == Effect::Passes).collect();
            if below(5) > 0 {
                *good[below(good.len())]
            } else {
                by_axis[axis][below(by_axis[axis].len())]
            }
        }));
        found += usize::from(makes_sense(&cell));
        cells.push(cell);
    }
    cells.retain(makes_sense);
    cells
}

/// What a cell's answer showed, for the log to agree with.
struct Met {
    what: String,
    outcome: Outcome,
    request: String,
    fault: Option<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_comes_is_filtered_refused_or_reset_and_recorded() {
    let mut gate = gate().start().await;
    let cells = Arc::new(cells());
    let permits: Vec<Arc<Semaphore>> = cells.iter().map(|_| Arc::new(Semaphore::new(0))).collect();
    let permits = Arc::new(permits);
    backend(&gate, &cells, &permits);
    let tasks = TaskTracker::new();
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (cells, permits) = (Arc::clone(&cells), Arc::clone(&permits));
            let asker = Asker { client: gate.client(), token: gate.teller(), open: HashMap::new() };
            tasks.spawn(async move { asker.ask_all(caller, &cells, &permits).await })
        })
        .collect();
    let mut met = Vec::new();
    for caller in callers {
        met.extend(caller.await.unwrap());
    }
    assert_eq!(met.len(), cells.len());
    let entries = gate.entries().await;
    let log = Recorded::of(&entries);
    let mut counts = BTreeMap::new();
    let mut faults = Vec::new();
    for met in met {
        let fault = met.fault.clone().or_else(|| log.check(&met).err());
        faults.extend(fault.map(|fault| format!("{} -> {:?}: {fault}", met.what, met.outcome)));
        *counts.entry(met.outcome).or_insert(0) += 1;
    }
    eprintln!("{} cells: {counts:?}", cells.len());
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), cells.len(), faults.join("\n"));
    assert!(cells.len() > 2000, "{}", cells.len());
}

/// Answers each request with the cell that its path names.
fn backend(gate: &Gate, cells: &Arc<Vec<Cell>>, permits: &Arc<Vec<Arc<Semaphore>>>) {
    let (cells, permits) = (Arc::clone(cells), Arc::clone(permits));
    gate.upstream.answers_by(move |asked| {
        for name in ["range", "if-none-match", "if-range", "te", "accept-encoding"] {
            let told = asked.header(name);
            assert!(told.is_none_or(|told| !told.contains("x-canary")), "{name}: {told:?}");
        }
        let index: usize = asked.target.rsplit('/').next().unwrap().parse().unwrap();
        let cell = &cells[index];
        let waits = waits(cell).then(|| Arc::clone(&permits[index]));
        wire::reply(cell, &Body::of(cell), waits)
    });
}

/// Whether the backend sends the end once the caller has the beginning.
fn waits(cell: &Cell) -> bool {
    matches!(cell.value("size"), "large" | "huge")
        && matches!(cell.outcome(), Outcome::Filtered | Outcome::Reset)
}

/// A caller with a connection of each kind.
struct Asker {
    client: Client,
    token: String,
    open: HashMap<&'static str, Connection>,
}

impl Asker {
    async fn ask_all(
        mut self,
        first: usize,
        cells: &[Cell],
        permits: &[Arc<Semaphore>],
    ) -> Vec<Met> {
        let mut met = Vec::new();
        for (index, cell) in cells.iter().enumerate().skip(first).step_by(CALLERS) {
            let answer = self.ask(index, cell, &permits[index]).await;
            let mut outcome = cell.outcome();
            let is_refused = answer.as_ref().is_ok_and(|answer| answer.status.as_u16() == 502);
            if outcome == Outcome::Reset && cell.is_of_events() && is_refused {
                // It was spoiled before the first event was whole.
                outcome = Outcome::Refused;
            }
            let values: Vec<&str> = AXES.iter().map(|axis| cell.value(axis)).collect();
            let what = values.join(" | ");
            let fault = match &answer {
                Ok(answer) => check(cell, outcome, answer).err(),
                Err(fault) => Some(fault.clone()),
            };
            let request =
                answer.ok().and_then(|a| a.header("menshen-request-id").map(str::to_owned));
            let request = request.unwrap_or_default();
            met.push(Met { what, outcome, request, fault });
        }
        met
    }

    async fn ask(
        &mut self,
        index: usize,
        cell: &Cell,
        permit: &Semaphore,
    ) -> Result<Answer, String> {
        let caller = if cell.value("caller") == "HTTP/2" { "HTTP/2" } else { "HTTP/1.1" };
        let is_open = match self.open.get_mut(caller) {
            Some(connection) => connection.is_open().await,
            None => false,
        };
        if !is_open {
            let new =
                if caller == "HTTP/2" { self.client.h2().await } else { self.client.h1().await };
            self.open.insert(caller, new);
        }
        let method = if cell.value("status") == "HEAD" { "HEAD" } else { "GET" };
        let mut ask = Ask::new(method, &format!("/all/{index}")).by(&self.token);
        ask = match cell.value("status") {
            "200 to a request with Range" => {
                ask.header("range", "bytes=0-5,x-canary").header("if-range", "\"x-canary\"")
            }
            "200 to a request with If-None-Match" => ask.header("if-none-match", "\"x-canary\""),
            _ => ask,
        };
        if cell.value("caller") == "HTTP/1.1 that reads trailers" {
            ask = ask.header("te", "trailers").header("connection", "te");
        }
        let connection = self.open.get_mut(caller).unwrap();
        let answered = async {
            let response = connection.begin(ask).await.map_err(|error| error.to_string())?;
            permit.add_permits(1);
            Ok(finish(response).await)
        };
        let answer = tokio::time::timeout(PATIENCE, answered).await;
        let answer = answer.unwrap_or_else(|_| Err("it does not end".to_owned()));
        if answer.is_err() {
            self.open.remove(caller);
        }
        answer
    }
}

/// Gives back what is wrong, so that one run tells of every cell.
macro_rules! want {
    ($holds:expr, $($told:tt)+) => {
        if !$holds {
            return Err(format!($($told)+));
        }
    };
}

/// What must be true of an answer.
fn check(cell: &Cell, outcome: Outcome, answer: &Answer) -> Result<(), String> {
    let bytes = answer.bytes();
    let shown = String::from_utf8_lossy(&bytes);
    want!(!hides_canary(&bytes), "it shows the canary: {shown}");
    for name in REMOVED {
        let told = answer.header(name).filter(|value| *value != "menshen-held-back");
        want!(told.is_none(), "it has `{name}`: {shown}");
    }
    want!(answer.trailers.is_empty(), "it has trailers: {:?}", answer.trailers);
    let status = match outcome {
        Outcome::Filtered | Outcome::Reset | Outcome::Replaced => wire::code(cell),
        Outcome::Refused => 502,
        Outcome::NotFound | Outcome::Unasked => 404,
        Outcome::Empty => 204,
    };
    want!(answer.status.as_u16() == status, "{} is not {status}: {shown}", answer.status);
    let is_problem = answer.header("content-type") == Some("application/problem+json");
    match outcome {
        Outcome::Filtered => check_filtered(cell, answer),
        Outcome::Reset => {
            want!(answer.cut.is_some(), "it ended as if it were whole: {shown}");
            let wanted = Body::of(cell).wanted;
            want!(wanted.starts_with(&answer.body), "it is not the beginning: {shown}");
            Ok(())
        }
        Outcome::Refused | Outcome::Replaced | Outcome::NotFound => {
            want!(is_problem && answer.cut.is_none(), "it is not the gate's own: {shown}");
            want!(answer.body.len() < 400, "it is long: {shown}");
            Ok(())
        }
        Outcome::Empty | Outcome::Unasked => {
            want!(answer.body.is_empty(), "it has a body: {shown}");
            Ok(())
        }
    }
}

fn check_filtered(cell: &Cell, answer: &Answer) -> Result<(), String> {
    let wanted = Body::of(cell).wanted;
    let (wanted, got) = (String::from_utf8_lossy(&wanted), String::from_utf8_lossy(&answer.body));
    want!(got == wanted, "it gives {got}, not {wanted}; cut: {:?}", answer.cut);
    want!(answer.cut.is_none(), "it was cut: {:?}", answer.cut);
    let length = answer.header("content-length").map(|text| text.parse().unwrap());
    want!(length.is_none_or(|length: usize| length == answer.body.len()), "its length is a lie");
    let is_told = answer.body.is_empty() || length.is_none() == cell.streams();
    want!(is_told, "what is held has a length, what streams has none");
    Ok(())
}

/// Whether the canary stands in these bytes, as it is or in another form.
fn hides_canary(bytes: &[u8]) -> bool {
    let lower = bytes.to_ascii_lowercase();
    let wide: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    holds(&lower, "canary")
        || holds(&wide, "CANARY")
        || holds(bytes, "Q0FOQVJZ")
        || holds(bytes, "434e41525")
}

/// What the log says, by request.
struct Recorded<'e> {
    decisions: HashMap<String, &'e Entry>,
    outcomes: HashMap<String, &'e Entry>,
}

impl<'e> Recorded<'e> {
    fn of(entries: &'e [Entry]) -> Self {
        let outcomes = entries.iter().filter_map(|e| Some((e.decided_by?.to_string(), e)));
        Self {
            decisions: entries.iter().map(|e| (e.id.to_string(), e)).collect(),
            outcomes: outcomes.collect(),
        }
    }

    /// Each answer has a decision and, if it was allowed, says how it ended.
    fn check(&self, met: &Met) -> Result<(), String> {
        let decision = self.decisions.get(&met.request).and_then(|entry| entry.decision.as_ref());
        let effect = decision.map(|decision| decision.effect);
        let is_allowed = met.outcome != Outcome::Unasked;
        want!(effect.is_some(), "it is not recorded");
        want!((effect == Some(Decided::Allow)) == is_allowed, "it is recorded as {effect:?}");
        let outcome = self.outcomes.get(&met.request).and_then(|entry| entry.result.as_ref());
        let ended = outcome.and_then(|result| result.ended);
        let wanted: &[Ending] = match met.outcome {
            Outcome::Filtered | Outcome::Empty => &[Ending::Complete],
            Outcome::Refused | Outcome::Replaced | Outcome::NotFound => &[Ending::Refused],
            Outcome::Reset => &[Ending::AbortedByFilter, Ending::AbortedByUpstream],
            Outcome::Unasked => return Ok(()),
        };
        want!(ended.is_some_and(|ended| wanted.contains(&ended)), "its outcome is {ended:?}");
        Ok(())
    }
}

#[test]
fn the_document_says_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guard-matrix.md");
    let document = std::fs::read_to_string(path).unwrap();
    let mut wanted = String::new();
    for (axis, name) in AXES.iter().enumerate() {
        write!(wanted, "\n### {name}\n\n| value | effect | |\n|---|---|---|\n").unwrap();
        for line in lines().iter().filter(|line| line.axis == axis) {
            let (value, effect) = (line.value.replace('|', "\\|"), line.effect.word());
            writeln!(wanted, "| {value} | {effect} | {} |", line.remark).unwrap();
        }
    }
    let (_, tables) = document.split_once("## The axes\n").unwrap();
    assert_eq!(tables, wanted, "docs/guard-matrix.md must end with:\n{wanted}");
}

#[test]
fn no_value_stands_in_the_table_twice() {
    let lines = lines();
    for (index, line) in lines.iter().enumerate() {
        let is_same = |other: &&Line| (other.axis, other.value) == (line.axis, line.value);
        assert_eq!(lines.iter().take(index).find(is_same).map(|line| line.value), None);
    }
}
