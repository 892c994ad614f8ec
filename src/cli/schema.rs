//! `menshen schema`: the JSON Schema of policy files, and how an editor comes to use it.

use std::io::Write;

use clap::{Args, ValueEnum};

use super::{Failure, Outcome, output};
use crate::policy;

/// Arguments of `menshen schema`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print what to put into an editor's settings instead of the schema.
    ///
    /// Example: menshen schema > policy.schema.json
    #[arg(long, value_enum)]
    editor: Option<Editor>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Editor {
    /// Visual Studio Code with the YAML extension.
    Vscode,
    /// Neovim with yaml-language-server.
    Neovim,
}

const VSCODE: &str = r#"// .vscode/settings.json, with the extension redhat.vscode-yaml
{
  "yaml.schemas": { "./policy.schema.json": ["policies/**/*.yaml"] }
}
"#;

const NEOVIM: &str = r#"-- init.lua, with yaml-language-server installed
vim.lsp.config("yamlls", {
  settings = { yaml = { schemas = { ["./policy.schema.json"] = "policies/**/*.yaml" } } },
})
vim.lsp.enable("yamlls")
"#;

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    let hint = match arguments.editor {
        None => return output::json(out, &policy::schema()),
        Some(Editor::Vscode) => VSCODE,
        Some(Editor::Neovim) => NEOVIM,
    };
    write!(out, "{hint}").map_err(Failure::internal)
}
