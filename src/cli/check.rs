//! `menshen check`: every fault of the policy, and of the configuration if one is named, at once.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::check_people;
use super::output::{self, Format, Ink};
use super::{Failure, Outcome};
use crate::config::Config;
use crate::document::{Fault, Faults};
use crate::policy::Program;
use crate::server::{self, PolicyError, StartError};

/// Arguments of `menshen check`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The policy folder, or one file.
    ///
    /// Example: menshen check policies/demo
    policies: Option<PathBuf>,
    /// Check the operator's file too, with the certificates and keys it names; its policy folder is
    /// checked where no other is named.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Look too whether anybody holds roles that the policy keeps apart, by the accounts in the gate's state. A gate
    /// of another version should not run meanwhile.
    #[arg(long, requires = "config", conflicts_with = "format")]
    people: bool,
    /// Text for people, or one JSON document.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The result for programs.
#[derive(Serialize)]
struct Report<'a> {
    faults: &'a [Fault],
    warnings: &'a [Fault],
    routes: usize,
    version: Option<&'a str>,
    /// Keys that differ from what the gate of this state started with, and take a restart.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    restart: Vec<String>,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    let config = arguments.config.as_deref().map(Config::load).transpose();
    let config = config.map_err(Failure::fault)?;
    let named = arguments.policies.clone();
    let people = config.as_ref().filter(|_| arguments.people).cloned();
    let restart = config.as_ref().map(restart_keys).unwrap_or_default();
    let (folder, checked) = match config {
        Some(mut config) => {
            config.policies = named.unwrap_or(config.policies);
            let checked = server::check(&config);
            (config.policies, checked)
        }
        None => {
            let folder = named.unwrap_or_else(|| PathBuf::from("policies"));
            let checked = server::load_policies(&folder).map_err(StartError::Policy);
            (folder, checked)
        }
    };
    if let (Some(config), Ok(program)) = (people, &checked) {
        check_people::check(config, program, out)?;
    }
    match (checked, arguments.format) {
        (Ok(program), Format::Human) => {
            tell(&folder.display().to_string(), &program, out)?;
            tell_restart(&restart, out)
        }
        (Ok(program), Format::Json) => output::json(
            out,
            &Report {
                faults: &[],
                warnings: program.warnings(),
                routes: program.routes().len(),
                version: Some(program.version()),
                restart,
            },
        ),
        (Err(StartError::Policy(PolicyError::Faults(faults))), Format::Json) => {
            let faults = faults.as_slice();
            output::json(
                out,
                &Report { faults, warnings: &[], routes: 0, version: None, restart },
            )?;
            Err(Failure::ToldFault)
        }
        (Err(StartError::Policy(PolicyError::Faults(faults))), Format::Human) => {
            Err(Failure::Fault(told(&faults, Ink::of_stderr())))
        }
        (Err(error), Format::Human | Format::Json) => Err(Failure::fault(error)),
    }
}

fn tell(folder: &str, program: &Program, out: &mut dyn Write) -> Outcome {
    let ink = Ink::of_stdout();
    let mut text = String::new();
    for (first, others) in alike(program.warnings()) {
        text += &first.painted(|part, text| ink.part(part, text));
        text += &format!("{}\n", briefly(&others));
    }
    let (routes, warnings) = (program.routes().len(), program.warnings().len());
    let noun = if warnings == 1 { "warning" } else { "warnings" };
    let version = program.version();
    text +=
        &format!("{folder}: no faults, {warnings} {noun}; {routes} routes, version {version}\n");
    if let Some(pages) = pages(program.warnings()) {
        text += &format!("{pages}\n");
    }
    out.write_all(text.as_bytes()).map_err(Failure::internal)
}

/// What of the file waits for a restart of the gate that has this state, if one has it.
fn restart_keys(config: &Config) -> Vec<String> {
    let started = server::started_with(config);
    started.map(|started| server::waiting(&started, &config.text)).unwrap_or_default()
}

fn tell_restart(keys: &[String], out: &mut dyn Write) -> Outcome {
    let lines = keys.iter().map(|key| format!("`{key}` changed: takes effect after a restart\n"));
    out.write_all(lines.collect::<String>().as_bytes()).map_err(Failure::internal)
}

/// Warnings in groups of one code and one help, so that a new policy's many are not a page each.
fn alike(warnings: &[Fault]) -> Vec<(&Fault, Vec<&Fault>)> {
    let mut groups: Vec<(&Fault, Vec<&Fault>)> = Vec::new();
    for warning in warnings {
        let is_like = |first: &Fault| first.code == warning.code && first.help == warning.help;
        match groups.iter_mut().find(|(first, _)| is_like(first)) {
            Some((_, others)) => others.push(warning),
            None => groups.push((warning, Vec::new())),
        }
    }
    groups
}

/// Others of a group: place and message, a line each.
fn briefly(others: &[&Fault]) -> String {
    let mut text = String::new();
    if !others.is_empty() {
        text = format!("  and {} more like it:\n", others.len());
    }
    for Fault { file, line, column, message, .. } in others {
        text += &format!("    {file}:{line}:{column}: {message}\n");
    }
    text
}

fn told(faults: &Faults, ink: Ink) -> String {
    let mut text = String::new();
    for fault in faults.as_slice() {
        text += &format!("{}\n", fault.painted(|part, text| ink.part(part, text)));
    }
    text += &faults.count();
    if let Some(pages) = pages(faults.as_slice()) {
        text += &format!("\n{pages}");
    }
    text
}

/// Where each code that was told is explained.
fn pages(faults: &[Fault]) -> Option<String> {
    let codes: BTreeSet<&str> = faults.iter().map(|fault| fault.code.as_str()).collect();
    let names: Vec<String> = codes.into_iter().map(|code| format!("{code}.md")).collect();
    (!names.is_empty()).then(|| format!("explained in docs/policy/faults: {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Source;
    use crate::policy::compile;

    fn faults() -> Faults {
        let text = "roles: { clerk: {}, clrek: { includes: clekr } }\nruels: []\n".to_owned();
        compile(&[Source { name: "policy.yaml".to_owned(), text }]).unwrap_err()
    }

    #[test]
    fn faults_are_coloured_for_eyes_and_plain_for_files() {
        let coloured = told(&faults(), Ink::Coloured);
        for painted in [
            "\u{1b}[31mfault[P009]\u{1b}[0m",
            "\u{1b}[31m^^^^^\u{1b}[0m",
            "\u{1b}[36mhelp:\u{1b}[0m",
        ] {
            assert!(coloured.contains(painted), "{coloured}");
        }
        let plain = told(&faults(), Ink::Plain);
        assert!(!plain.contains('\u{1b}'));
        assert!(plain.starts_with(&faults().to_string()), "the same words: {plain}");
    }

    #[test]
    fn the_last_line_says_where_each_code_is_explained() {
        let told = told(&faults(), Ink::Plain);
        let last = told.lines().last();
        assert_eq!(last, Some("explained in docs/policy/faults: P005.md, P009.md"));
        assert_eq!(pages(&[]), None);
    }

    #[test]
    fn warnings_are_yellow() {
        let text = "roles: { clerk: {} }\n".to_owned();
        let program = compile(&[Source { name: "policy.yaml".to_owned(), text }]).unwrap();
        let [warning] = program.warnings() else { panic!("{:?}", program.warnings()) };
        let painted = warning.painted(|part, text| Ink::Coloured.part(part, text));
        assert!(painted.starts_with("\u{1b}[33mwarning[W006]\u{1b}[0m"), "{painted}");
    }
}
