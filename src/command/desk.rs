//! Where commands are given: asked for, agreed to by somebody else where the policy wants that, and listed.

use super::{CommandError, REASON_LIMIT, Target};
use crate::clock::Clock;
use crate::state::{AgreedTo, AskedRow, CommandRow, Leave, StateError, Store, SwitchRow};

/// How long what was asked for waits for a second person.
pub const ASK_LIFE_S: i64 = 3600;
/// The word of the log for a budget that begins anew.
pub const RESET: &str = "limits_reset";
/// The word of the log for a policy to which two persons agreed.
pub const ACTIVATED: &str = "policy_activated";
/// The kind of its object, and the policy's word for two persons.
pub const POLICY: &str = "policy";
/// The policy's word for policies that watch less.
const DETECTIONS: &str = "detections";
/// The policy's word for agreeing to a grant that opens grade 4.
const GRADE_4: &str = "grade-4";
/// How long an agreement to an export is good for, if it is not used.
const AGREED_LIFE_MS: i64 = 86_400_000;
/// The kind of its object, and the policy's word for two persons.
const LIMITS: &str = "limits";
/// What a holder begins with that counts the uses of a grant, as `limits` has it.
const USES: &str = "%grant:";
/// Users of the machine are told apart by their number; accounts have no slash before a colon.
const USER: &str = "uid/";

/// Who commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doer {
    /// As the log names them.
    pub name: String,
    /// Who that is, whichever account they use.
    pub person: String,
}

impl Doer {
    /// A user of the machine, by their number.
    #[must_use]
    pub fn user(name: &str, uid: u32) -> Self {
        Self { name: name.to_owned(), person: format!("{USER}{uid}") }
    }

    /// Refuses whoever may be the person who took an earlier step.
    ///
    /// # Errors
    /// [`CommandError::SamePerson`] or [`CommandError::OtherWays`].
    pub fn other_than(&self, person: &str) -> Result<(), CommandError> {
        if Self::is_user(person) != Self::is_user(&self.person) {
            let by_user = Self::is_user(person);
            let who = if by_user { "an operator of the machine" } else { "an account" };
            return Err(CommandError::OtherWays(who));
        }
        if person == self.person { Err(CommandError::SamePerson) } else { Ok(()) }
    }

    fn is_user(person: &str) -> bool {
        person.starts_with(USER)
    }
}

/// Which way a switch goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Requests are refused from now on.
    On,
    /// They are judged as before.
    Off,
}

impl Way {
    /// The word of the log for it.
    #[must_use]
    pub fn verb(self) -> &'static str {
        match self {
            Self::On => "switch_on",
            Self::Off => "switch_off",
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::On => "-on",
            Self::Off => "-off",
        }
    }
}

/// What somebody does once two persons have agreed to it, where the policy wants that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// An export of the log: once, within a day, by whoever asked.
    LogExport,
    /// Entries of the log reach their end, up to a day.
    LogPurge,
}

impl Errand {
    const ALL: [Self; 2] = [Self::LogExport, Self::LogPurge];

    /// The word of the log for it.
    #[must_use]
    pub fn verb(self) -> &'static str {
        match self {
            Self::LogExport => "log_export",
            Self::LogPurge => "log_purge",
        }
    }

    /// The kind of its object, and the policy's word for two persons.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::LogExport => "log-export",
            Self::LogPurge => "log-purge",
        }
    }
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It is done.
    Changed,
    /// It was so already; nothing was done.
    Already,
    /// It waits for another person, under this number.
    Waits(i64),
}

/// A command that waits for a second person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its number.
    pub id: i64,
    /// What is to be done, in the log's word.
    pub verb: String,
    /// To what: `tenant hq`.
    pub object: String,
    /// Why.
    pub reason: String,
    /// Who asked.
    pub asked_by: String,
    /// Until when somebody may agree, Unix seconds.
    pub until_s: i64,
}

impl Asked {
    /// Whether it asks for the policy of this version.
    #[must_use]
    pub fn is_about(&self, version: &str) -> bool {
        let name = self.object.split(' ').nth(1);
        self.verb == ACTIVATED && name == Some(version)
    }
}

/// Where commands are given.
#[derive(Clone, Debug)]
pub struct Desk {
    pub(super) store: Store,
    clock: Clock,
}

impl Desk {
    /// On this state.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// The state that it is on, and its clock: for what is commanded in other ways.
    pub(crate) fn place(&self) -> (Store, Clock) {
        (self.store.clone(), self.clock.clone())
    }

    /// Switches something off, or lets it go on; where the policy wants a second person it is asked for instead.
    ///
    /// # Errors
    /// [`CommandError`]; nothing was changed.
    pub async fn turn(
        &self,
        doer: &Doer,
        way: Way,
        target: &Target,
        reason: &str,
    ) -> Result<Done, CommandError> {
        check_reason(reason)?;
        let command = CommandRow {
            verb: way.verb().to_owned(),
            kind: target.kind().as_str().to_owned(),
            name: target.name().to_owned(),
            detail: String::new(),
            reason: reason.to_owned(),
        };
        let words = self.two_person().await?;
        let finer = format!("{}{}", command.kind, way.suffix());
        if words.iter().any(|word| *word == command.kind || *word == finer) {
            return self.ask(doer, command).await;
        }
        self.perform(doer, command, Leave::Alone).await
    }

    /// Lets a budget of a holder begin anew: a person (by name or account), or what several share, as `limits show`
    /// names it.
    ///
    /// # Errors
    /// [`CommandError`]; nothing was changed.
    pub async fn reset(
        &self,
        doer: &Doer,
        holder: &str,
        budget: &str,
        reason: &str,
    ) -> Result<Done, CommandError> {
        check_reason(reason)?;
        check_begins_anew(holder)?;
        let holder = Target::new(super::Kind::Person, holder)?;
        let command = CommandRow {
            verb: RESET.to_owned(),
            kind: LIMITS.to_owned(),
            name: holder.name().to_owned(),
            detail: budget.to_owned(),
            reason: reason.to_owned(),
        };
        if self.two_person().await?.iter().any(|word| word == LIMITS) {
            return self.ask(doer, command).await;
        }
        self.perform(doer, command, Leave::Alone).await
    }

    /// Asks that a policy of this version may come into force though it makes something wider; `detail` says what. It
    /// always takes another person.
    ///
    /// # Errors
    /// [`CommandError`]; nothing was asked for.
    pub async fn activate(
        &self,
        doer: &Doer,
        version: &str,
        detail: &str,
        reason: &str,
    ) -> Result<Done, CommandError> {
        check_reason(reason)?;
        if self.store.is_policy_agreed(version).await? {
            return Ok(Done::Already);
        }
        let rows = self.store.asked(self.oldest_ms()).await?;
        let is_it = |row: &&AskedRow| row.command.verb == ACTIVATED && row.command.name == version;
        if let Some(row) = rows.iter().find(is_it) {
            return Ok(Done::Waits(row.id));
        }
        let command = CommandRow {
            verb: ACTIVATED.to_owned(),
            kind: POLICY.to_owned(),
            name: version.to_owned(),
            detail: detail.to_owned(),
            reason: reason.to_owned(),
        };
        self.ask(doer, command).await
    }

    /// Whether the policy in force wants two persons for this.
    ///
    /// # Errors
    /// [`CommandError::State`].
    pub async fn takes_two(&self, errand: Errand) -> Result<bool, CommandError> {
        Ok(self.two_person().await?.iter().any(|word| word == errand.word()))
    }

    /// Asks that something may be done; another person must agree. `name` says to what, `detail` tells it.
    ///
    /// # Errors
    /// [`CommandError`]; nothing was asked for.
    pub async fn send(
        &self,
        doer: &Doer,
        errand: Errand,
        (name, detail): (&str, &str),
        reason: &str,
    ) -> Result<Done, CommandError> {
        check_reason(reason)?;
        if !self.takes_two(errand).await? {
            return Ok(Done::Already);
        }
        let command = CommandRow {
            verb: errand.verb().to_owned(),
            kind: errand.word().to_owned(),
            name: name.to_owned(),
            detail: detail.to_owned(),
            reason: reason.to_owned(),
        };
        self.ask(doer, command).await
    }

    /// Takes the agreement to an export that this person asked for, and gives who agreed. It is good once.
    ///
    /// # Errors
    /// [`CommandError::State`].
    pub async fn take_agreed_export(
        &self,
        doer: &Doer,
        name: &str,
    ) -> Result<Option<String>, CommandError> {
        let to = AgreedTo {
            verb: Errand::LogExport.verb().to_owned(),
            name: name.to_owned(),
            person: doer.person.clone(),
            after_ms: self.clock.unix_ms().saturating_sub(AGREED_LIFE_MS),
        };
        Ok(self.store.take_agreed(to).await?)
    }

    /// Agrees to what somebody else asked for; it is done then.
    ///
    /// # Errors
    /// [`CommandError::NotAsked`], [`CommandError::SamePerson`], [`CommandError::OtherWays`], or what the command
    /// itself meets.
    pub async fn agree(&self, doer: &Doer, id: i64) -> Result<(Asked, Done), CommandError> {
        let row = self.waiting(id).await?;
        doer.other_than(&row.person)?;
        let done = self.perform(doer, row.command.clone(), Leave::Agreed(id)).await?;
        Ok((asked(row), done))
    }

    /// Takes back what waits; whoever may command may do so.
    ///
    /// # Errors
    /// [`CommandError::NotAsked`].
    pub async fn take_back(&self, doer: &Doer, id: i64) -> Result<(), CommandError> {
        self.waiting(id).await?;
        let taken = self.store.clone().acting_as(&doer.name).withdraw_asked(id).await;
        taken.map_err(|error| gone(error, id))
    }

    /// What waits for a second person.
    ///
    /// # Errors
    /// [`CommandError::State`].
    pub async fn asked(&self) -> Result<Vec<Asked>, CommandError> {
        Ok(self.store.asked(self.oldest_ms()).await?.into_iter().map(asked).collect())
    }

    /// What is switched off, the oldest first.
    ///
    /// # Errors
    /// [`CommandError::State`].
    pub async fn switches(&self) -> Result<Vec<SwitchRow>, CommandError> {
        Ok(self.store.switches().await?)
    }

    /// For which commands a second person is wanted.
    ///
    /// # Errors
    /// [`CommandError::State`].
    pub async fn two_person(&self) -> Result<Vec<String>, CommandError> {
        let words = self.store.two_person().await?;
        // What does not read asks of everybody.
        Ok(serde_json::from_str(&words).unwrap_or_else(|_damaged| all_words()))
    }

    /// Says for which: what a policy that comes into force has of it.
    ///
    /// # Errors
    /// [`CommandError::State`].
    pub async fn set_two_person(&self, words: &[String]) -> Result<(), CommandError> {
        Ok(self.store.set_two_person(serde_json::json!(words).to_string()).await?)
    }

    async fn ask(&self, doer: &Doer, command: CommandRow) -> Result<Done, CommandError> {
        self.store.forget_asked(self.oldest_ms()).await?;
        let store = self.store.clone().acting_as(&doer.name);
        Ok(Done::Waits(store.ask(command, &doer.person).await?))
    }

    async fn waiting(&self, id: i64) -> Result<AskedRow, CommandError> {
        let rows = self.store.asked(self.oldest_ms()).await?;
        rows.into_iter().find(|row| row.id == id).ok_or(CommandError::NotAsked(id))
    }

    async fn perform(
        &self,
        doer: &Doer,
        command: CommandRow,
        leave: Leave,
    ) -> Result<Done, CommandError> {
        let id = match &leave {
            Leave::Alone => 0,
            Leave::Agreed(id) => *id,
        };
        let is_on = command.verb == Way::On.verb();
        let store = self.store.clone().acting_as(&doer.name);
        if Errand::ALL.iter().any(|errand| errand.verb() == command.verb) {
            let agreed = store.agree(command, id).await;
            return agreed.map(|()| Done::Changed).map_err(|error| gone(error, id));
        }
        if command.verb == ACTIVATED {
            let agreed = store.agree_policy(command, leave).await;
            return agreed.map(|()| Done::Changed).map_err(|error| gone(error, id));
        }
        if command.verb == RESET {
            check_begins_anew(&command.name)?;
            let reset = store.reset_usage(command, leave).await;
            return reset.map(|()| Done::Changed).map_err(|error| gone(error, id));
        }
        let changed = store.set_switch(command, is_on, leave).await;
        let changed = changed.map_err(|error| gone(error, id))?;
        Ok(if changed { Done::Changed } else { Done::Already })
    }

    fn oldest_ms(&self) -> i64 {
        self.clock.unix_ms().saturating_sub(ASK_LIFE_S.saturating_mul(1000))
    }
}

/// Refuses what says nothing, or is no line of the log.
pub(crate) fn check_reason(reason: &str) -> Result<(), CommandError> {
    let is_one = !reason.trim().is_empty()
        && reason.len() <= REASON_LIMIT
        && !reason.chars().any(char::is_control);
    if is_one { Ok(()) } else { Err(CommandError::Reason) }
}

/// Whoever lets the uses of a grant begin anew would grant, without anybody who may.
fn check_begins_anew(holder: &str) -> Result<(), CommandError> {
    match holder.trim_start().starts_with(USES) {
        true => Err(CommandError::Uses(holder.chars().take(64).collect())),
        false => Ok(()),
    }
}

fn all_words() -> Vec<String> {
    super::Kind::ALL
        .iter()
        .map(|kind| kind.as_str())
        .chain([LIMITS, POLICY, DETECTIONS, GRADE_4])
        .chain(Errand::ALL.map(Errand::word))
        .map(str::to_owned)
        .collect()
}

fn gone(error: StateError, id: i64) -> CommandError {
    let is_gone = matches!(error, StateError::Unknown(_));
    if is_gone { CommandError::NotAsked(id) } else { error.into() }
}

fn asked(row: AskedRow) -> Asked {
    let CommandRow { verb, kind, name, detail, reason } = row.command;
    let object = [kind, name, detail].join(" ");
    Asked {
        id: row.id,
        verb,
        object: object.trim_end().to_owned(),
        reason,
        asked_by: row.asked_by,
        until_s: row.asked_ms.div_euclid(1000).saturating_add(ASK_LIFE_S),
    }
}
