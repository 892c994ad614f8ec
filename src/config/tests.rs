//! Every key of the file, changed one after the other: each is taken up while the gate runs, or named as one that waits for a
//! restart, and never both or neither. Which keys there are, the reader itself says, asked for one that it does not know.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{CONFINED, DEPTH, LISTS, NAMES, PORTS, RESTART};
use super::read::TOP;
use super::*;
use crate::document::{Content, Node, parse};

const FILE: &str = include_str!("../../tests/fixtures/every_key.yaml");
/// Between the two values of a key.
const OR: &str = " | ";
/// Keys that cannot be changed alone.
const ALONE: &[&str] = &[
    // the name of an item
    "listeners.*.address",
    "issuers.*.name",
    "machines.*.name",
    // another kind has other keys
    "ship.*.to",
    "notify.*.to",
    // there is but one value
    "acme.terms-agreed",
    "backup.to.*.plain",
    "notify.*.plain",
    "ship.*.plain",
    "witnesses.*.plain",
    // lets another address stand there, and is nothing by itself
    "metrics.plain",
    // contradict others of the one block that there is
    "admin.acme",
    "traces.plain",
];

/// From the root to a value: keys, and the places of items.
type Path = Vec<String>;

/// A block of the file, by the keys that lead to it with `*` for names.
#[derive(Debug, Default)]
struct Block {
    depth: usize,
    /// The keys that the reader accepts; none where the operator gives names.
    accepted: BTreeSet<String>,
    /// Those of the file that can be changed, or have others below them.
    changed: BTreeSet<String>,
}

/// What stands in the file.
#[derive(Debug, Default)]
struct Found {
    blocks: BTreeMap<String, Block>,
    lists: BTreeSet<String>,
    values: Vec<Path>,
}

fn root() -> Node {
    let source = Source { name: String::new(), text: FILE.to_owned() };
    parse(&[source], 0).unwrap().unwrap()
}

/// The file with the first value of each key, but for what stands below `other`; and with a key that nobody knows in the block
/// `asked`.
fn written(node: &Node, at: &Path, (other, asked): (Option<&Path>, Option<&Path>)) -> String {
    let below = |step: String| [at.as_slice(), &[step]].concat();
    match &node.content {
        Content::Null => String::new(),
        Content::Text(text) => {
            let (one, two) = text.split_once(OR).unwrap_or((text, text));
            let is_other = other.is_some_and(|other| at.starts_with(other));
            format!("{:?}", if is_other { two } else { one })
        }
        Content::List(items) => {
            let item = |(place, item): (usize, &Node)| {
                written(item, &below(place.to_string()), (other, asked))
            };
            format!("[{}]", items.iter().enumerate().map(item).collect::<Vec<_>>().join(", "))
        }
        Content::Map(pairs) => {
            let pair = |pair: &crate::document::Pair| {
                let value = written(&pair.value, &below(pair.key.clone()), (other, asked));
                format!("{:?}: {value}", pair.key)
            };
            let mut pairs: Vec<_> = pairs.iter().map(pair).collect();
            if asked == Some(at) {
                pairs.push("zzzzzz: x".to_owned());
            }
            format!("{{{}}}", pairs.join(", "))
        }
    }
}

fn read(text: &str) -> Result<Config, Faults> {
    let source = Source { name: String::new(), text: text.to_owned() };
    Config::parse(source, std::path::Path::new("/base"))
}

/// The keys that the reader accepts in the block at `at`.
fn accepted(root: &Node, at: &Path) -> BTreeSet<String> {
    if at.is_empty() {
        return TOP.iter().map(|key| (*key).to_owned()).collect();
    }
    // Whoever takes any name has no fault to find, or another one.
    let faults = read(&written(root, &Path::new(), (None, Some(at)))).err();
    let mut faults = faults.iter().flat_map(Faults::as_slice);
    let Some(unknown) = faults.find(|one| one.message.starts_with("unknown key `zzzzzz`")) else {
        return BTreeSet::new();
    };
    let (_, keys) = unknown.help.as_deref().unwrap().split_once("accepted: ").unwrap();
    assert!(!keys.contains(" more"), "{at:?}: {keys}");
    keys.split(", ").map(|key| key.trim_matches('`').to_owned()).collect()
}

fn look(root: &Node, node: &Node, (at, known): (&Path, &str), found: &mut Found) {
    let joined =
        |key: &str| if known.is_empty() { key.to_owned() } else { format!("{known}.{key}") };
    let below = |step: &str| [at.as_slice(), &[step.to_owned()]].concat();
    match &node.content {
        Content::Map(pairs) => {
            let accepted = accepted(root, at);
            let has_names = accepted.is_empty();
            let block = found.blocks.entry(known.to_owned()).or_default();
            block.depth = at.len();
            block.accepted.extend(accepted);
            for pair in pairs {
                let key = if has_names { "*" } else { &pair.key };
                let is_below =
                    matches!(&pair.value.content, Content::Map(_)) || is_of_maps(&pair.value);
                let is_changed = is_below
                    || written(&pair.value, &Path::new(), (None, None))
                        != written(&pair.value, &Path::new(), (Some(&Path::new()), None));
                if is_changed {
                    let block = found.blocks.entry(known.to_owned()).or_default();
                    block.changed.insert(key.to_owned());
                }
                match is_below {
                    true => look(root, &pair.value, (&below(&pair.key), &joined(key)), found),
                    false if is_changed => found.values.push(below(&pair.key)),
                    false => {}
                }
            }
        }
        Content::List(items) => {
            found.lists.insert(known.to_owned());
            for (place, item) in items.iter().enumerate() {
                look(root, item, (&below(&place.to_string()), &joined("*")), found);
            }
        }
        Content::Null | Content::Text(_) => {}
    }
}

fn is_of_maps(node: &Node) -> bool {
    let Content::List(items) = &node.content else { return false };
    items.iter().any(|item| matches!(item.content, Content::Map(_)))
}

fn found() -> Found {
    let (root, mut found) = (root(), Found::default());
    look(&root, &root, (&Path::new(), ""), &mut found);
    found
}

fn keys(found: &Found, of: impl Fn(&Block) -> &BTreeSet<String>) -> BTreeSet<String> {
    let keys = found.blocks.iter().flat_map(|(known, block)| {
        of(block).iter().map(move |key| match known.as_str() {
            "" => key.clone(),
            known => format!("{known}.{key}"),
        })
    });
    keys.collect()
}

#[test]
fn every_key_that_the_reader_knows_has_two_values_to_be_changed_between() {
    let found = found();
    let (known, changed) = (keys(&found, |one| &one.accepted), keys(&found, |one| &one.changed));
    let missing: Vec<_> = known.difference(&changed).map(String::as_str).collect();
    let alone: BTreeSet<&str> = ALONE.iter().copied().collect();
    assert_eq!(missing, alone.into_iter().collect::<Vec<_>>());
}

#[test]
fn every_key_is_taken_up_while_the_gate_runs_or_named_as_one_that_takes_a_restart() {
    let (root, found) = (root(), found());
    let text = |other| written(&root, &Path::new(), (other, None));
    let now = text(None);
    let one = read(&now).unwrap();
    let mut wrong = Vec::new();
    for path in &found.values {
        let (key, text) = (path.join("."), text(Some(path)));
        let next = match read(&text) {
            Ok(next) => next,
            Err(faults) => {
                wrong.push(format!("{key}: {faults}"));
                continue;
            }
        };
        let told = changes(&now, &text);
        let [Change { effect, .. }] = told.as_slice() else {
            wrong.push(format!("{key}: told as {told:?}"));
            continue;
        };
        let running = format!("{:?}", Config::running(next.clone(), &one, &one));
        let (next, one) = (format!("{next:?}"), format!("{one:?}"));
        if next == one {
            wrong.push(format!("{key}: is read by nobody"));
        }
        let is_so = match effect {
            Effect::Reload => running == next,
            Effect::Restart => running == one,
        };
        if !is_so {
            wrong.push(format!("{key}: told as {}, and it is not so", effect.word()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(found.values.len() > 250, "{}", found.values.len());
}

#[test]
fn what_the_table_of_changes_names_is_of_the_file() {
    let found = found();
    let mut known = keys(&found, |one| &one.accepted);
    known.extend(found.lists.iter().map(|list| format!("{list}.*")));
    for key in RESTART.iter().chain(PORTS) {
        assert!(known.contains(*key), "{key}");
    }
    for (block, key) in CONFINED {
        assert!(known.contains(&format!("{block}.*.{key}")), "{block} {key}");
    }
    let lists: BTreeSet<_> = LISTS.iter().map(|(list, _)| (*list).to_owned()).collect();
    assert_eq!(found.lists, lists);
    for (list, key) in LISTS {
        assert!(known.contains(&format!("{list}.*.{key}")), "{list} {key}");
    }
    let is_named = |block: &Block| block.accepted.is_empty() && block.depth < DEPTH;
    let named = found.blocks.iter().filter(|(_, block)| is_named(block));
    let named: BTreeSet<_> = named.map(|(known, _)| known.as_str()).collect();
    assert_eq!(named, NAMES.iter().copied().collect());
}
