//! Whatever is printed says the same, keeps every comment, and is printed the same again.

use proptest::prelude::*;

use super::super::{Content, Node, Source, parse};
use super::{Layout, Spacing, canonical};

/// Names first, `z` before `a`; entries of the root apart.
#[derive(Clone, Copy)]
struct Sorting(Spacing);

impl Layout for Sorting {
    fn key(self, _name: &str) -> Self {
        Self(Spacing::AsWritten)
    }

    fn item(self) -> Self {
        Self(Spacing::AsWritten)
    }

    fn order(self, _present: &[&str]) -> Vec<&'static str> {
        vec!["name", "z", "a"]
    }

    fn spacing(self) -> Spacing {
        self.0
    }
}

fn source(text: &str) -> Source {
    Source { name: "t.yaml".to_owned(), text: text.to_owned() }
}

fn printed(text: &str) -> String {
    let print = |text: &str| canonical(&[source(text)], 0, Sorting(Spacing::AsWritten));
    let once = print(text).unwrap_or_else(|faults| panic!("{}\n{text}", faults[0]));
    let twice = print(&once).unwrap_or_else(|faults| panic!("{}\n{once}", faults[0]));
    assert_eq!(once, twice, "printed twice:\n{text}");
    let dump = |text: &str| parse(&[source(text)], 0).unwrap().map(|tree| dump(&tree));
    assert_eq!(dump(text), dump(&once), "{text}\n---\n{once}");
    once
}

/// The tree without places, maps by their keys.
fn dump(node: &Node) -> String {
    match &node.content {
        Content::Null => "null".to_owned(),
        Content::Text(text) => format!("{text:?}"),
        Content::List(items) => {
            format!("[{}]", items.iter().map(dump).collect::<Vec<_>>().join(", "))
        }
        Content::Map(pairs) => {
            let mut pairs: Vec<(&str, String)> =
                pairs.iter().map(|pair| (pair.key.as_str(), dump(&pair.value))).collect();
            pairs.sort_by_key(|(key, _)| *key);
            let pairs = pairs.iter().map(|(key, value)| format!("{key:?}: {value}"));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}

#[test]
fn comments_stay_with_what_they_are_about() {
    let text = "\
# head

# of b
b:   # beside b
    # above a
    - a: 1 # beside a
      # above name
      name:    'x'   # beside name
      # foot of the item
    # above the second
    -   {z: 1, a: [p, q]}   # beside flow
    # foot of b
c: |  # a text
  # no comment
  two
# end
";
    let wanted = "\
# head

# of b
b: # beside b
  # above a
  # above name
  - name: x # beside name
    a: 1 # beside a
    # foot of the item
  # above the second
  - { z: 1, a: [p, q] } # beside flow
  # foot of b
c: | # a text
  # no comment
  two
# end
";
    assert_eq!(printed(text), wanted);
}

#[test]
fn short_lists_stand_on_one_line_and_quotes_only_where_needed() {
    assert_eq!(printed("a:\n  - x\n  - \"w\"\n"), "a: [x, w]\n");
    assert_eq!(printed("a:\n  - x # why\n  - y\n"), "a:\n  - x # why\n  - y\n");
    assert_eq!(
        printed("a: [ \"$[]\", '1', 1, 'no', ~ ]"),
        "a: [\"$[]\", \"1\", 1, \"no\", null]\n"
    );
    assert_eq!(
        printed("'a' : \"b\"\nc: \"true\"\nd: true\ne:\nf: ~"),
        "a: b\nc: \"true\"\nd: true\ne:\nf:\n"
    );
    assert_eq!(printed("- - a\n  - b\n-\n"), "- [a, b]\n- null\n");
    assert_eq!(printed("a: {\n  b: 1, # one\n  c: 2\n}\n"), "a:\n  b: 1 # one\n  c: 2\n");
    let long = format!("a: [{}]\n", vec!["abcdefgh"; 14].join(", "));
    assert!(printed(&long).starts_with("a:\n  - abcdefgh\n"));
}

#[test]
fn texts_of_several_lines_are_kept() {
    for text in ["a: |\n  x\n   y\n\n  z\n", "a: |-\n  x\n  y\n", "- |\n  x: 1\n  y\n"] {
        assert_eq!(printed(text), text);
    }
    assert_eq!(printed("a: >\n  x\n  y\n\n  z\n"), "a: |\n  x y\n  z\n");
    assert_eq!(printed("a: >-\n  12\n"), "a: \"12\"\n");
    assert_eq!(printed("a: |+\n  x\n\n\nb: 1\n"), "a: \"x\\n\\n\\n\"\n\nb: 1\n");
    assert_eq!(printed("a: |2\n   x\n  y\n"), "a: \" x\\ny\\n\"\n");
    assert_eq!(printed("a: x\n  y\n"), "a: x y\n");
}

#[test]
fn odd_files_are_printed_or_refused() {
    assert_eq!(printed(""), "");
    assert_eq!(printed("\n\n# only this\n\n\n# and this\n"), "# only this\n\n# and this\n");
    assert_eq!(printed("---\na: 1\n...\n"), "a: 1\n");
    assert_eq!(printed("a: 1\r\nb: 2 # c\r\n"), "a: 1\nb: 2 # c\n");
    assert_eq!(printed("{}"), "{}\n");
    assert_eq!(printed("a: {} # c\nb: [ # d\n]\n"), "a: {} # c\n# d\nb: []\n");
    assert!(canonical(&[source("a: [")], 0, Sorting(Spacing::AsWritten)).is_err());
    let long_key = format!("? {}\n: 1\n", "k".repeat(2000));
    let refused = canonical(&[source(&long_key)], 0, Sorting(Spacing::AsWritten));
    assert!(refused.is_err() || refused.unwrap().len() > 2000);
}

#[test]
fn the_largest_file_takes_bounded_time() {
    let line = format!("a: [{}]\n", "{ b: [c, d] }, ".repeat(18_000));
    let lines = "- a: [b, c] # d\n".repeat(15_000);
    let deep = format!("{}x{}\n", "{ a: ".repeat(60), " }".repeat(60));
    #[expect(clippy::disallowed_methods, reason = "a test of time needs the time")]
    let (start, now) = (std::time::Instant::now(), std::time::Instant::now);
    for text in [line, lines, deep] {
        printed(&text);
    }
    assert!(now() - start < std::time::Duration::from_secs(30));
}

/// YAML as people write it, in every style, with comments in most places.
fn yaml() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("1".to_owned()),
        Just("~".to_owned()),
        Just("\"1\"".to_owned()),
        Just("'a: b'".to_owned()),
        Just("x y".to_owned()),
        Just("\"q # s\"".to_owned()),
        Just("$.items".to_owned()),
        Just("-3".to_owned()),
        Just("[a, \"$[]\", {b: c}]".to_owned()),
        Just("{ z: 1, a: [], name: {} }".to_owned()),
        Just("true".to_owned()),
        Just("[a, # in\n        b]".to_owned()),
        Just("'no'".to_owned()),
        Just("2026-01-01".to_owned()),
    ];
    let comment = prop_oneof![4 => Just(""), 1 => Just(" # c"), 1 => Just("  #d")];
    let above = prop_oneof![
        6 => Just(""), 1 => Just("# above\n"), 1 => Just("\n\n"), 1 => Just("\n# one\n\n# two\n"), 1 => Just("      # deep\n"),
    ];
    let line = (0usize..4, any::<bool>(), "[a-e]|name|z", scalar, comment, above, 0usize..8);
    proptest::collection::vec(line, 1..14).prop_map(|lines| {
        let mut text = String::new();
        for (indent, item, key, scalar, comment, above, form) in lines {
            let pad = "  ".repeat(indent);
            text.push_str(&above.replace("# ", &format!("{pad}# ")));
            let dash = if item { "- " } else { "" };
            match form {
                0 => text.push_str(&format!("{pad}{dash}{key}:{comment}\n")),
                1 => text.push_str(&format!("{pad}-{comment}\n")),
                2 => text.push_str(&format!(
                    "{pad}{dash}{key}: |{comment}\n{pad}    t # no\n\n{pad}    u\n"
                )),
                3 => text.push_str(&format!("{pad}- {scalar}{comment}\n")),
                _ => text.push_str(&format!("{pad}{dash}{key}: {scalar}{comment}\n")),
            }
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, max_global_rejects: 1_000_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_is_printed_and_stays_as_it_is(text in yaml()) {
        if parse(&[source(&text)], 0).is_ok() {
            printed(&text);
        }
    }

    #[test]
    fn random_text_never_panics(text in "[-:#,{}\\[\\]'\"!&*?|>%@ a1\n]{0,40}") {
        if let Ok(once) = canonical(&[source(&text)], 0, Sorting(Spacing::Sections)) {
            let twice = canonical(&[source(&once)], 0, Sorting(Spacing::Sections));
            prop_assert_eq!(Ok(once), twice);
        }
    }
}
