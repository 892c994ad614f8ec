//! How results are printed: for people or for programs, and in colour only where somebody looks.

use std::io::{IsTerminal as _, Write};

use clap::ValueEnum;
use serde::Serialize;

use super::{Failure, Outcome};

/// The form of a result on standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Text for people.
    #[default]
    Human,
    /// One JSON document.
    Json,
}

/// Prints one JSON document and a line end.
pub(super) fn json(out: &mut dyn Write, document: &impl Serialize) -> Outcome {
    let text = serde_json::to_string_pretty(document).map_err(Failure::internal)?;
    writeln!(out, "{text}").map_err(Failure::internal)
}

/// Whether what is printed may be coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// Somebody looks at it on a terminal.
    Coloured,
    /// It goes to a file or a program, or colours are not wanted.
    Plain,
}

impl Ink {
    /// How to print on standard output; `NO_COLOR` (no-color.org) turns colours off.
    pub(super) fn of_stdout() -> Self {
        if takes_colour() { Self::Coloured } else { Self::Plain }
    }

    pub(super) fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    pub(super) fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Coloured => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Self::Plain => text.to_owned(),
        }
    }
}

/// Whether standard output is a terminal on which colours are wanted.
pub(super) fn takes_colour() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !unwanted
}
