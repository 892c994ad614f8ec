//! `menshen import`: policy files from an OpenAPI description. Writes new files only.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Failure, Outcome};
use crate::document::Source;
use crate::policy::{ImportOptions, Imported, import};

/// One byte more than is read, so that a longer file is told as too long.
const FILE_LIMIT_BYTES: u64 = (16 << 20) + 1;
/// The most lines that are printed of what was left out; the files hold all.
const SHOWN_LIMIT: usize = 40;

/// Arguments of `menshen import`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// An OpenAPI 3.0 or 3.1 description, YAML or JSON.
    ///
    /// Example: menshen import openapi.yaml --out policies/shop --upstream shop
    description: PathBuf,
    /// The folder for `routes.yaml` and `catalogue.yaml`; files that exist are never overwritten.
    #[arg(long, default_value = "policies")]
    out: PathBuf,
    /// The host to publish on; without it that of the description's first server.
    #[arg(long)]
    host: Option<String>,
    /// The upstream of the operator's file that answers.
    #[arg(long, default_value = "backend", value_parser = upstream)]
    upstream: String,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    let source = read(&arguments.description)?;
    let options =
        ImportOptions { host: arguments.host.clone(), upstream: arguments.upstream.clone() };
    let imported = import(&source, &options).map_err(Failure::fault)?;
    let files = [("routes.yaml", &imported.routes), ("catalogue.yaml", &imported.catalogue)];
    let files = files.map(|(name, text)| (arguments.out.join(name), text));
    if let Some((path, _)) = files.iter().find(|(path, _)| path.exists()) {
        let path = path.display();
        return Err(Failure::Fault(format!("`{path}` exists already: choose another `--out`")));
    }
    std::fs::create_dir_all(&arguments.out).map_err(failed(&arguments.out))?;
    for (path, text) in &files {
        write_new(path, text)?;
    }
    tell(&imported, &arguments.out, out).map_err(Failure::internal)
}

fn read(path: &Path) -> Result<Source, Failure> {
    let mut text = String::new();
    let file = File::open(path).map_err(failed(path))?;
    file.take(FILE_LIMIT_BYTES).read_to_string(&mut text).map_err(failed(path))?;
    Ok(Source { name: path.display().to_string(), text })
}

fn write_new(path: &Path, text: &str) -> Outcome {
    let mut file =
        OpenOptions::new().write(true).create_new(true).open(path).map_err(failed(path))?;
    file.write_all(text.as_bytes()).map_err(failed(path))
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> Failure {
    let path = path.display().to_string();
    move |error| Failure::Fault(format!("`{path}`: {error}"))
}

fn tell(imported: &Imported, folder: &Path, out: &mut dyn Write) -> std::io::Result<()> {
    let Imported { route_count, entity_count, field_count, left_out, .. } = imported;
    let folder = folder.display();
    writeln!(
        out,
        "{folder}: {route_count} routes, {entity_count} entities, {field_count} fields, none of them open"
    )?;
    if !left_out.is_empty() {
        writeln!(out, "left out or to look at:")?;
    }
    for line in left_out.iter().take(SHOWN_LIMIT) {
        writeln!(out, "  {line}")?;
    }
    if let Some(more) = left_out.len().checked_sub(SHOWN_LIMIT).filter(|more| *more > 0) {
        writeln!(out, "  and {more} more: see the comments in the files")?;
    }
    writeln!(out, "next: grade the fields in `{folder}/catalogue.yaml`, write rules, and run")?;
    writeln!(out, "  menshen check {folder}")
}

/// A name as the operator's file and the policy take it.
fn upstream(name: &str) -> Result<String, String> {
    let fits = !name.is_empty()
        && name.len() <= 128
        && name.chars().all(|c| c.is_alphanumeric() || "._-".contains(c));
    if fits {
        Ok(name.to_owned())
    } else {
        Err("use letters, digits, `.`, `_` and `-`, at most 128 bytes".to_owned())
    }
}
