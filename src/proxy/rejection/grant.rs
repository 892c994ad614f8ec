//! What is told where a grant is needed, and where one that opened at once was not reviewed in time.

use super::{Told, forbidden};
use crate::proxy::pages::Html;

/// What to ask for so that somebody grants it.
#[derive(Clone, Debug, Default)]
pub(in crate::proxy) struct Wanted {
    /// The grant that is used up or ended, if that is why.
    pub(in crate::proxy) used_up: Option<String>,
    /// The fields of the request that asks for it; none where nobody may grant it.
    pub(in crate::proxy) ask: Option<serde_json::Value>,
    /// What a browser is shown instead.
    pub(in crate::proxy) page: Option<Html>,
}

impl Wanted {
    /// The grant of this name opens nothing more.
    pub(in crate::proxy) fn ended(id: &str) -> Box<Self> {
        Box::new(Self { used_up: Some(id.to_owned()), ..Self::default() })
    }
}

pub(super) fn needed(wanted: &Wanted) -> Told {
    let Wanted { used_up, ask, page } = wanted;
    let mut told = forbidden("grant", "A grant is needed");
    if let Some(id) = used_up {
        told = told.detail(format!("the grant {id} was used as often as it may be, or has ended"));
    }
    if let Some(ask) = ask {
        told.members.insert("grant".to_owned(), ask.clone());
    }
    match page {
        Some(page) => told.page(page),
        None => told,
    }
}

pub(super) fn unreviewed() -> Told {
    forbidden("unreviewed", "What you opened in an emergency must be reviewed first")
        .detail("nobody reviewed it in time; ask somebody who took no part in it to do so")
}
