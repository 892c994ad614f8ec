//! Policy files in canonical form: the keys in the order in which the guide has them.

use super::schema::{Form, Table, field_keys, file};
use crate::document::{Faults, Layout, Source, Spacing, canonical};

/// The canonical form of one file, with the same meaning and the same comments.
///
/// # Errors
/// Faults of a file that is no YAML, or that cannot be kept in this form. Whether it is a good policy is
/// not looked at.
pub fn format(source: &Source) -> Result<String, Faults> {
    let sources = std::slice::from_ref(source);
    let root = At { form: Some(file()), depth: 0, member: false };
    canonical(sources, 0, root).map_err(|faults| Faults::new(faults, "policy"))
}

/// A place in a policy file, as the schema knows it.
#[derive(Clone, Copy)]
struct At {
    form: Option<&'static Form>,
    depth: usize,
    /// Whether it is a member of a record, which may be a field of its own.
    member: bool,
}

impl At {
    fn table(self) -> Option<&'static Table> {
        if let Form::Table(table) = self.form? { Some(table) } else { None }
    }
}

impl Layout for At {
    fn key(self, name: &str) -> Self {
        let known = |table: &'static Table| table.keys.iter().find(|key| key.name == name);
        let (form, member) = match self.form {
            Some(Form::Members) => (self.form, true),
            Some(Form::Named(inner)) => (Some(*inner), false),
            form => {
                let inner = form.and_then(|_| self.table()).and_then(known).map(|key| &key.form);
                (inner, false)
            }
        };
        Self { form, depth: self.depth + 1, member }
    }

    fn item(self) -> Self {
        let form = if let Some(Form::List(inner) | Form::OneOrMany(inner)) = self.form {
            Some(*inner)
        } else {
            None
        };
        Self { form, depth: self.depth + 1, member: false }
    }

    fn order(self, present: &[&str]) -> Vec<&'static str> {
        if self.member && present.contains(&"grade") {
            return field_keys();
        }
        // The sections of a file stay as they are: people put first what they want to be read first.
        let table = self.table().filter(|_| self.depth > 0);
        table.map_or_else(Vec::new, |table| table.keys.iter().map(|key| key.name).collect())
    }

    fn spacing(self) -> Spacing {
        match (self.depth, self.form) {
            (0, _) => Spacing::Sections,
            (1, Some(Form::Named(_) | Form::List(_))) => Spacing::Definitions,
            _ => Spacing::AsWritten,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn formatted(text: &str) -> String {
        format(&Source { name: "policy.yaml".to_owned(), text: text.to_owned() })
            .unwrap_or_else(|faults| panic!("{faults}\n{text}"))
    }

    fn files(folder: &str) -> Vec<PathBuf> {
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "yaml") {
                    files.push(path);
                }
            }
        }
        files
    }

    /// What the reader says of a file, without places: the same before and after.
    fn said(text: &str) -> Vec<String> {
        let sources = [Source { name: "policy.yaml".to_owned(), text: text.to_owned() }];
        let mut said: Vec<String> = match super::super::compile(&sources) {
            Ok(program) => program.warnings().iter().map(|w| w.message.clone()).collect(),
            Err(faults) => faults.as_slice().iter().map(|fault| fault.message.clone()).collect(),
        };
        said.sort();
        said
    }

    #[test]
    fn the_policies_that_are_shipped_are_in_canonical_form() {
        for file in files("policies") {
            let text = std::fs::read_to_string(&file).unwrap();
            assert_eq!(formatted(&text), text, "{}", file.display());
        }
    }

    #[test]
    fn every_golden_case_says_the_same_in_canonical_form() {
        let mut seen = 0;
        for file in files("tests/policy_cases") {
            let text = std::fs::read_to_string(&file).unwrap();
            let source = Source { name: "policy.yaml".to_owned(), text: text.clone() };
            let Ok(once) = format(&source) else { continue };
            seen += 1;
            assert_eq!(formatted(&once), once, "{}", file.display());
            assert_eq!(said(&once), said(&text), "{}\n{once}", file.display());
        }
        assert!(seen > 15, "{seen}");
    }

    #[test]
    fn keys_stand_in_the_order_of_the_guide() {
        let text = "rules:
  # who
  - to: teller # the desk
    of: customer
    allow: [view]
    # the name comes first
    name: tellers see

  - { to: any, deny: view, name: nobody }
entities:
  customer:
    fields: { id: { kind: phone, grade: 1 }, kind: 1, grade: 1 }
    subject: id
  order: { fields: { id: 1 } }
roles: { b: {}, a: { rank: 1, includes: b } }
";
        let wanted = "rules:
  # who
  # the name comes first
  - name: tellers see
    allow: [view]
    to: teller # the desk
    of: customer

  - { name: nobody, deny: view, to: any }

entities:
  customer:
    subject: id
    fields: { id: { grade: 1, kind: phone }, kind: 1, grade: 1 }

  order: { fields: { id: 1 } }

roles: { b: {}, a: { includes: b, rank: 1 } }
";
        assert_eq!(formatted(text), wanted);
    }

    #[test]
    fn what_is_imported_is_in_canonical_form() {
        let text = include_str!("../../tests/fixtures/petstore.yaml");
        let source = Source { name: "petstore.yaml".to_owned(), text: text.to_owned() };
        let options = super::super::ImportOptions { host: None, upstream: "shop".to_owned() };
        let imported = super::super::import(&source, &options).unwrap();
        assert_eq!(formatted(&imported.routes), imported.routes);
        assert_eq!(formatted(&imported.catalogue), imported.catalogue);
    }

    #[test]
    fn a_file_with_a_fault_is_told_and_not_printed() {
        let source = |text: &str| Source { name: "policy.yaml".to_owned(), text: text.to_owned() };
        for text in ["a: [", "a: &x 1", "a: !t 1", "{ a: 1 }: 2"] {
            assert!(format(&source(text)).is_err(), "{text}");
        }
    }
}
