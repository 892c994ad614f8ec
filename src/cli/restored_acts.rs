//! What the log, or its carried copy, tells of after a backup was made, and what of it must be done anew on the state
//! that came out of the backup. Only what tightens is: whoever alters such a copy opens nothing by it.

use crate::audit::{Concern, Entry, Event};

/// What is to be done for one act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Somebody is not let in: what was changed of them is a secret, or too much to tell.
    Suspend(String),
    /// They have left.
    Leave(String),
    /// An API key, by its id.
    Key(String),
    /// A device, by its name.
    Device(String),
    /// Something is switched off: its kind and its name.
    Switch(String, String),
    /// Nobody but a person can do it.
    ByHand(&'static str),
}

/// What was done to accounts that no restored state lets anybody do because of it.
const HARMLESS: [&str; 13] = [
    "account_added",
    "account_enabled",
    "account_invited",
    "account_unlocked",
    "invitation_accepted",
    "passkey_added",
    "device_added",
    "key_issued",
    "sessions_ended",
    // No recovery code, and no token of before, is good after a restore.
    "recovery_codes_made",
    "token_revoked",
    // No link of before stands after a restore.
    "links_put",
    "links_ended",
];

/// What is to be done, and for which act; nothing if the entry tells of nothing that a restored state has forgotten to
/// somebody's good.
pub(super) fn step(entry: &Entry) -> Option<(String, Step)> {
    match entry.event {
        Event::Change | Event::Custody => of_act(entry),
        Event::Grant => of_grant(entry),
        Event::Alert => of_finding(entry),
        Event::Decision | Event::Outcome | Event::Session | Event::Shadow | Event::Admin => None,
    }
}

fn of_act(entry: &Entry) -> Option<(String, Step)> {
    let act = entry.act.as_ref()?;
    let (name, object) = (act.name.as_str(), act.object.as_str());
    let step = match name {
        "switch_on" => {
            let (kind, which) = object.split_once(' ').unwrap_or((object, ""));
            Step::Switch(kind.to_owned(), which.to_owned())
        }
        "policy_loaded" => Step::ByHand("put the newer policy files in their place"),
        "hold_added" => Step::ByHand("enter the legal hold anew"),
        "entries_destroyed" => {
            Step::ByHand("what was destroyed is back; it goes again with the same notice")
        }
        _ => of_account(name, object)?,
    };
    Some((format!("{name} {object}"), step))
}

fn of_account(name: &str, object: &str) -> Option<Step> {
    let (thing, account) = object.rsplit_once("account ")?;
    let account = account.to_owned();
    let thing = thing.strip_suffix(" of ").unwrap_or(thing).split_once(' ');
    Some(match (name, thing) {
        ("key_revoked", Some((_, id))) => Step::Key(id.to_owned()),
        ("device_revoked", Some((_, device))) => Step::Device(device.to_owned()),
        ("account_left", _) => Step::Leave(account),
        // What this program does not know yet may have tightened anything.
        (name, _) if !HARMLESS.contains(&name) && name != "tokens_revoked" => {
            Step::Suspend(account)
        }
        _ => return None,
    })
}

/// Whoever broke the glass owes a review of which the restored state does not know. All other grants are taken back.
fn of_grant(entry: &Entry) -> Option<(String, Step)> {
    let act = entry.act.as_ref().filter(|act| act.name.as_str() == "glass_broken")?;
    let account = entry.actor.as_ref()?.account.as_str().to_owned();
    Some((
        format!("glass_broken {} of account {account}", act.object.as_str()),
        Step::Suspend(account),
    ))
}

/// Whom a detection held is held again, in another way: the finding itself is gone.
fn of_finding(entry: &Entry) -> Option<(String, Step)> {
    let alert = entry.alert.as_ref().filter(|alert| alert.concern == Concern::Finding)?;
    let found = alert.found.as_ref().filter(|found| !found.drill)?;
    let account = entry.actor.as_ref()?.account.as_str();
    let is_held = found.action.as_str() != "alert" && !account.is_empty();
    let said = format!("finding {} of account {account}", found.detection.as_str());
    is_held.then(|| (said, Step::Suspend(account.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tightened_is_done_anew_and_what_is_not_known_suspends() {
        let account = |name, object| of_account(name, object);
        assert_eq!(account("key_revoked", "key k1 of account ops"), Some(Step::Key("k1".into())));
        let device = Some(Step::Device("laptop-7".into()));
        assert_eq!(account("device_revoked", "device laptop-7 of account wang"), device);
        let suspended = Some(Step::Suspend("corp:wang".into()));
        for name in ["account_suspended", "password_changed", "roles_replaced", "who_knows_what"] {
            assert_eq!(account(name, "account corp:wang"), suspended, "{name}");
        }
        assert_eq!(account("account_left", "account wang"), Some(Step::Leave("wang".into())));
        for name in HARMLESS {
            assert_eq!(account(name, "account wang"), None, "{name}");
        }
        assert_eq!(account("limits_reset", "person wang"), None);
    }
}
