//! `menshen registry partner list --public`: what may be published, as a page to paste.

use serde_json::json;

use super::output::Format;
use crate::registry::{Change, Published, Receiver};

pub(super) fn published(list: &Published, format: Format) -> String {
    match format {
        Format::Human => markdown(list),
        Format::Json => format!("{}\n", json!(list)),
    }
}

fn markdown(list: &Published) -> String {
    let mut page = "| partner | task | country | since |\n|---|---|---|---|\n".to_owned();
    for Receiver { name, task, country, since } in &list.partners {
        let cells = [name, task, country, since].map(|cell| cell_of(cell));
        page.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    page.push_str("\n| day | partner | change | task |\n|---|---|---|---|\n");
    for Change { day, name, change, task } in &list.changes {
        let cells = [day, name, *change, task].map(cell_of);
        page.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    page
}

/// A name is no markup.
fn cell_of(text: &str) -> String {
    let plain = |c: char| match c {
        '<' => "&lt;".to_owned(),
        '&' => "&amp;".to_owned(),
        '|' | '\\' | '`' | '*' | '_' | '[' | ']' => format!("\\{c}"),
        other => other.to_string(),
    };
    text.chars().map(plain).collect()
}
