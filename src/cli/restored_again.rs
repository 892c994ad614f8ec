//! Does anew, on a restored state, what was done after the backup: to the strict side only. What cannot be done is told
//! to be done by hand, and stops nothing.

use std::collections::{HashMap, HashSet};
use std::io::Write;

use super::Failure;
use super::device::time;
use super::restored_acts::{Step, steps};
use super::restored_source::Source;
use crate::identity::{AccountError, ApiKeyError, DeviceError, Identity, Standing};
use crate::state::{CommandRow, Leave, RosterRow, StateError, Store};

/// So many different steps are remembered, so that the same is not done over and over.
const REMEMBERED: usize = 100_000;

/// How a step ended.
#[derive(Debug, PartialEq, Eq)]
enum Done {
    /// It was done.
    Now(&'static str),
    /// There was nothing to do.
    Already,
    /// Nobody but a person can do it.
    ByHand(String),
}

/// What does it.
pub(super) struct Again<'a> {
    store: &'a Store,
    identity: &'a Identity,
    backup: &'a str,
    /// The accounts of each person, in the restored state.
    people: HashMap<String, Vec<String>>,
    done: HashSet<Step>,
    acts: u64,
    by_hand: u64,
    unread: u64,
}

impl<'a> Again<'a> {
    pub(super) fn new(
        store: &'a Store,
        identity: &'a Identity,
        backup: &'a str,
        roster: Vec<RosterRow>,
    ) -> Self {
        let mut people: HashMap<String, Vec<String>> = HashMap::new();
        for row in roster {
            let Some(person) = row.person else { continue };
            people.entry(person).or_default().push(row.account);
        }
        let (done, acts, by_hand, unread) = Default::default();
        Self { store, identity, backup, people, done, acts, by_hand, unread }
    }

    /// Goes through one source.
    pub(super) async fn go_through(
        &mut self,
        source: &Source<'_>,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        for piece in source.pieces()? {
            let Ok(entry) = piece else {
                self.unread += 1;
                continue;
            };
            let at = time(entry.time.0.div_euclid(1000));
            for (name, step) in steps(&entry) {
                for step in self.each(step) {
                    let about = step.about();
                    let said = match self.redo(step).await? {
                        Done::Now(said) => said.to_owned(),
                        Done::Already => "not in the restored state, or so already".to_owned(),
                        Done::ByHand(what) => {
                            self.by_hand += 1;
                            format!("BY HAND: {what}")
                        }
                    };
                    self.acts += 1;
                    let about =
                        if name.ends_with(&about) { String::new() } else { format!(" ({about})") };
                    writeln!(out, "{at}  {name}{about}: {said}").map_err(Failure::internal)?;
                }
            }
        }
        Ok(())
    }

    /// What was done, for the log.
    pub(super) fn told(&self) -> String {
        let Self { acts, by_hand, unread, .. } = self;
        format!(
            "{acts} acts since the backup, {by_hand} of them to be done by hand, {unread} entries that could not be read"
        )
    }

    /// A step, or one for each account of a person.
    fn each(&self, step: Step) -> Vec<Step> {
        let Step::Person(person) = &step else { return vec![step] };
        match self.people.get(person) {
            Some(accounts) => accounts.iter().cloned().map(Step::Suspend).collect(),
            None => vec![step],
        }
    }

    async fn redo(&mut self, step: Step) -> Result<Done, Failure> {
        if self.done.contains(&step) {
            return Ok(Done::Already);
        }
        if self.done.len() < REMEMBERED {
            self.done.insert(step.clone());
        }
        match step {
            Step::Suspend(account) => {
                let said = "suspended, until `menshen account enable`";
                self.stand(&account, Standing::Suspended, said).await
            }
            Step::Leave(account) => self.stand(&account, Standing::Left, "left again").await,
            Step::Person(person) => Ok(Done::ByHand(format!(
                "suspend the accounts of `{person}`: the restored state knows none of theirs"
            ))),
            Step::Key(id) => match self.identity.revoke_api_key(&id).await {
                Ok(_) => Ok(Done::Now("revoked again")),
                Err(ApiKeyError::Unknown(_)) => Ok(Done::Already),
                Err(ApiKeyError::State(error)) => room(error, &format!("revoke key {id}")),
                Err(error) => Ok(Done::ByHand(format!("revoke key {id}: {error}"))),
            },
            Step::Device(name) => match self.identity.revoke_device(&name).await {
                Ok(_) => Ok(Done::Now("revoked again")),
                Err(DeviceError::Unknown(_)) => Ok(Done::Already),
                Err(DeviceError::State(error)) => room(error, &format!("revoke device {name}")),
                Err(error) => Ok(Done::ByHand(format!("revoke device {name}: {error}"))),
            },
            Step::Switch(kind, name) => self.switch_off(kind, name).await,
            Step::ByHand(what) => Ok(Done::ByHand(what.to_owned())),
        }
    }

    async fn stand(
        &self,
        account: &str,
        standing: Standing,
        said: &'static str,
    ) -> Result<Done, Failure> {
        match self.identity.set_standing(account, standing).await {
            Ok(()) => Ok(Done::Now(said)),
            Err(AccountError::State(StateError::Unknown(_) | StateError::Left(_))) => {
                Ok(Done::Already)
            }
            Err(AccountError::State(error)) => room(error, &format!("suspend account {account}")),
            Err(error) => Ok(Done::ByHand(format!("look whom it is about: {error}"))),
        }
    }

    async fn switch_off(&self, kind: String, name: String) -> Result<Done, Failure> {
        let what = format!("switch off {kind} {name}");
        let (verb, detail) = ("switch_on".to_owned(), String::new());
        let reason = format!("restored from {}", self.backup);
        let command = CommandRow { verb, kind, name, detail, reason };
        match self.store.set_switch(command, true, Leave::Alone).await {
            Ok(true) => Ok(Done::Now("switched off again")),
            Ok(false) => Ok(Done::Already),
            Err(error) => room(error, what.trim_end()),
        }
    }
}

/// Where the state has no room for more, a person makes some.
fn room(error: StateError, what: &str) -> Result<Done, Failure> {
    if error == StateError::Full {
        return Ok(Done::ByHand(format!("{what}: the state has no room for more of these")));
    }
    Err(Failure::internal(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::identity::Settings;
    use crate::secret::MasterKey;

    #[tokio::test]
    async fn what_is_no_account_or_has_no_room_is_told_by_hand_and_all_accounts_of_a_person_are_suspended()
     {
        let dir = tempfile::tempdir().unwrap();
        let (master, clock) = (MasterKey::from_bytes([5; 32]), Clock::system());
        let store = Store::open(dir.path(), &master, clock.clone()).unwrap();
        let identity = Identity::new(Settings::default(), store.clone(), &master, clock).unwrap();
        for account in ["corp:wang", "other:wang"] {
            identity.set_person(account, Some("e1042")).await.unwrap();
        }
        let roster = identity.roster().await.unwrap();
        let mut again = Again::new(&store, &identity, "gate-1-x", roster);
        let no_account = again.redo(Step::Suspend("NOT AN ACCOUNT".to_owned())).await.unwrap();
        assert!(matches!(no_account, Done::ByHand(said) if said.contains("is no account")));
        let steps = again.each(Step::Person("e1042".to_owned()));
        assert_eq!(steps.len(), 2, "{steps:?}");
        for step in steps {
            assert!(matches!(again.redo(step.clone()).await.unwrap(), Done::Now(_)));
            assert_eq!(again.redo(step).await.unwrap(), Done::Already);
        }
        let standing: Vec<_> =
            identity.roster().await.unwrap().into_iter().map(|row| row.standing).collect();
        assert_eq!(standing, ["suspended", "suspended"]);
        let unknown = again.each(Step::Person("e7".to_owned())).pop().unwrap();
        assert!(matches!(again.redo(unknown).await.unwrap(), Done::ByHand(_)));
        // The state of a test has room for five switches.
        for number in 0..6 {
            let step = Step::Switch("route".to_owned(), format!("r{number}"));
            let done = again.redo(step).await.unwrap();
            let is_full = matches!(&done, Done::ByHand(said) if said.contains("no room"));
            assert_eq!(is_full, number == 5, "{done:?}");
        }
    }
}
