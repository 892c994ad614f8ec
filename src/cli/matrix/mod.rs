//! `menshen matrix`: who sees what, as text, JSON, CSV or one page of HTML.

mod html;
mod text;

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Failure, Outcome, output};
use crate::policy::{Action, Matrix, Selection};
use crate::server::load_policies;

/// Arguments of `menshen matrix`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The policy folder, or one file.
    ///
    /// Example: menshen matrix policies/demo --format html > matrix.html
    #[arg(default_value = "policies")]
    policies: PathBuf,
    /// One role only; `any` is a caller without a role.
    #[arg(long)]
    role: Option<String>,
    /// One entity only.
    #[arg(long)]
    entity: Option<String>,
    /// As it is for callers of a tenant that has a file of its own; without it, for those of none that has.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// One action only.
    #[arg(long, value_parser = action)]
    action: Option<Action>,
    /// Text for people, one JSON document, comma-separated values, or one page for a browser.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The form of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Text for people.
    #[default]
    Human,
    /// One JSON document.
    Json,
    /// Comma-separated values, a line for each form of a field.
    Csv,
    /// One page that needs nothing else.
    Html,
}

fn action(name: &str) -> Result<Action, String> {
    let found = Action::NAMES.iter().find(|(known, _)| *known == name);
    found.map(|(_, action)| *action).ok_or_else(|| {
        let known: Vec<&str> = Action::NAMES.iter().map(|(name, _)| *name).collect();
        format!("must be one of {}", known.join(", "))
    })
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    let program = load_policies(&arguments.policies).map_err(Failure::fault)?;
    let selection = Selection {
        role: arguments.role.clone(),
        entity: arguments.entity.clone(),
        tenant: arguments.tenant.clone(),
        action: arguments.action,
    };
    let matrix = program.matrix(&selection).map_err(Failure::fault)?;
    let written = match arguments.format {
        Format::Human => text::human(&matrix),
        Format::Csv => text::csv(&matrix),
        Format::Html => html::page(&matrix, program.version()),
        Format::Json => return output::json(out, &matrix),
    };
    out.write_all(written.as_bytes()).map_err(Failure::internal)
}

/// Rows that stand together: those of one role and entity.
fn sections(matrix: &Matrix) -> impl Iterator<Item = &[crate::policy::MatrixRow]> {
    matrix.rows.chunk_by(|one, next| one.role == next.role && one.entity == next.entity)
}
