//! What the log, or its carried copy, tells of after a backup was made, and what of it must be done anew on the state
//! that came out of the backup. Only what tightens is: whoever alters such a copy opens nothing by it.

use crate::audit::{Concern, Entry, Event};

/// What is to be done for one act.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// Somebody is not let in: what was changed of them is a secret, or too much to tell.
    Suspend(String),
    /// Nor by any account of a person.
    Person(String),
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

impl Step {
    /// Whom or what it is about, as acts name it.
    pub(super) fn about(&self) -> String {
        match self {
            Self::Suspend(account) | Self::Leave(account) => format!("account {account}"),
            Self::Person(person) => format!("person/{person}"),
            Self::Key(_) | Self::Device(_) | Self::Switch(..) | Self::ByHand(_) => String::new(),
        }
    }
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
pub(super) fn steps(entry: &Entry) -> Vec<(String, Step)> {
    match entry.event {
        Event::Change | Event::Custody => of_act(entry).into_iter().collect(),
        Event::Grant => of_grant(entry).into_iter().collect(),
        Event::Alert => of_finding(entry),
        Event::Decision | Event::Outcome | Event::Session | Event::Shadow | Event::Admin => {
            Vec::new()
        }
    }
}

fn of_act(entry: &Entry) -> Option<(String, Step)> {
    let act = entry.act.as_ref()?;
    let (name, object) = (act.name.as_str(), act.object.as_str());
    let step = match name {
        // What another gate switched off is so here as well, and that gate may be gone, too.
        "switch_on" | "switch_on_shared" => {
            let (kind, which) = object.split_once(' ').unwrap_or((object, ""));
            Step::Switch(kind.to_owned(), which.to_owned())
        }
        // Whoever was admitted when the backup was made is not, as little as what is switched off.
        "partner_suspended"
        | "partner_ended"
        | "partner_suspended_shared"
        | "partner_ended_shared"
        | "tenant_suspended"
        | "tenant_ended"
        | "tenant_suspended_shared"
        | "tenant_ended_shared" => {
            let (kind, which) = object.split_once(' ')?;
            Step::Switch(kind.to_owned(), which.to_owned())
        }
        // It was found elsewhere, and held somebody here.
        "finding_shared" => held(object.rsplit_once("` on ")?.1),
        "policy_loaded" => Step::ByHand("put the newer policy files in their place"),
        "configuration_loaded" => Step::ByHand("put the newer `menshen.yaml` in its place"),
        "subjects_registered" | "subjects_registered_shared" => {
            Step::ByHand("register anew what data subjects said since the backup")
        }
        "hold_added" => Step::ByHand("enter the legal hold anew"),
        "entries_destroyed" => {
            Step::ByHand("what was destroyed is back; it goes again with the same notice")
        }
        _ => of_account(name, object)?,
    };
    Some((format!("{name} {object}"), step))
}

/// Whoever is counted under this name.
fn held(holder: &str) -> Step {
    let person = holder.strip_prefix("person/");
    person.map_or_else(|| Step::Suspend(holder.to_owned()), |one| Step::Person(one.to_owned()))
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
    let is_glass = |name: &str| ["glass_broken", "glass_broken_shared"].contains(&name);
    let act = entry.act.as_ref().filter(|act| is_glass(act.name.as_str()))?;
    let account = entry.actor.as_ref()?.account.as_str().to_owned();
    Some((
        format!("glass_broken {} of account {account}", act.object.as_str()),
        Step::Suspend(account),
    ))
}

/// Whom a detection held is held again, in another way: the finding itself is gone. It held a person by all accounts.
fn of_finding(entry: &Entry) -> Vec<(String, Step)> {
    let alert = entry.alert.as_ref().filter(|alert| alert.concern == Concern::Finding);
    let found = alert.and_then(|alert| alert.found.as_ref());
    let held = found.filter(|found| !found.drill && found.action.as_str() != "alert");
    let (Some(found), Some(actor)) = (held, &entry.actor) else { return Vec::new() };
    let (account, person) = (actor.account.as_str(), actor.person.as_str());
    let mut steps = Vec::new();
    if !account.is_empty() {
        let said = format!("finding {} of account {account}", found.detection);
        steps.push((said, Step::Suspend(account.to_owned())));
    }
    if !person.is_empty() {
        let said = format!("finding {} of person/{person}", found.detection);
        steps.push((said, Step::Person(person.to_owned())));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Act, Actor, Alert, EntryId, Found, Moment, Stamp};

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

    #[test]
    fn a_finding_holds_all_accounts_of_a_person_and_what_came_from_other_gates_holds_here() {
        let stamp = Stamp { id: EntryId::new(0, [7; 10]), time: Moment(0), node: "gate-1".into() };
        let mut entry = Entry::new(Event::Alert, stamp.clone());
        entry.actor =
            Some(Actor { account: "corp:wang".into(), person: "e1042".into(), ..Actor::default() });
        let mut alert = Alert::new(Concern::Finding, 1);
        let found = |action: &str| Found {
            finding: 1,
            detection: "own-median".into(),
            said: "much".into(),
            action: action.into(),
            drill: false,
        };
        alert.found = Some(found("block"));
        entry.alert = Some(alert.clone());
        let only =
            |entry: &Entry| -> Vec<_> { steps(entry).into_iter().map(|one| one.1).collect() };
        let wang = Step::Suspend("corp:wang".into());
        assert_eq!(only(&entry), [wang.clone(), Step::Person("e1042".into())]);
        alert.found = Some(found("alert"));
        entry.alert = Some(alert);
        assert_eq!(only(&entry), []);
        let act = |name: &str, object: &str| {
            let mut entry = Entry::new(Event::Change, stamp.clone());
            entry.act = Some(Act { name: name.into(), object: object.into(), ..Act::default() });
            only(&entry)
        };
        let off = [Step::Switch("tenant".into(), "hq".into())];
        assert_eq!(act("switch_on_shared", "tenant hq"), off);
        assert_eq!(act("switch_off_shared", "tenant hq"), []);
        let said = act("subjects_registered", "subjects of customer");
        assert!(matches!(said[..], [Step::ByHand(_)]), "{said:?}");
        let off = [Step::Switch("partner".into(), "fast parcel".into())];
        assert_eq!(act("partner_suspended", "partner fast parcel"), off);
        assert_eq!(act("partner_ended_shared", "partner fast parcel"), off);
        assert_eq!(act("partner_resumed", "partner fast parcel"), []);
        assert_eq!(act("finding_shared", "finding of `own-median` on corp:wang"), [wang]);
        let person = [Step::Person("e1042".into())];
        assert_eq!(act("finding_shared", "finding of `zero-hits` on person/e1042"), person);
        assert_eq!(act("findings_released_shared", "finding of `own-median` on corp:wang"), []);
    }
}
