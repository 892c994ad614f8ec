//! What the decisions of a program depend on, so that equal questions can be known as equal, and that
//! what a decision was made on can be recorded.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::expression::{Condition, EvaluationError, Expression, Facts};
use super::judge::{Obstacle, Principal, Query, Standing, judge};
use super::model::Model;
use super::program::Program;
use super::value::Value;

/// The attribute that confines a caller to a tenant.
const TENANT: &str = "tenant";
/// The attribute that names the third party to whom somebody consented.
const PARTNER: &str = "partner";

/// What the conditions and requirements of a program read.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// Attributes of the caller that any condition reads.
    attributes: BTreeSet<Box<str>>,
    /// Those that a `when` reads: they can change a decision, not only which records pass.
    decisive: BTreeSet<Box<str>>,
    account: bool,
    address: bool,
    ticket: bool,
    times: Vec<Moment>,
    /// Greatest ages of factors that some requirement asks, in ascending order.
    ages_s: Vec<u32>,
}

/// Something that a condition reads from the clock.
#[derive(Debug)]
enum Moment {
    /// A part of a condition that depends on nothing but the time.
    Condition(Condition),
    /// The hour of the day.
    Hour(TimeZone),
    /// The day of the calendar.
    Day(TimeZone),
}

impl Reads {
    pub(super) fn of<'m>(model: &'m Model, routes: impl Iterator<Item = &'m super::Route>) -> Self {
        let mut reads = Self::default();
        for rule in &model.rules {
            if let Some(when) = &rule.when {
                reads.decided_by(&when.expression);
            }
            if let Some(row) = &rule.row {
                reads.note(&row.expression);
            }
        }
        for flag in model.entities.iter().flat_map(|entity| &entity.flags) {
            reads.note(&flag.condition.expression);
        }
        let factors = model.entities.iter().flat_map(|entity| &entity.factors);
        let factors = factors.chain(model.rules.iter().filter_map(|rule| rule.factor.as_ref()));
        let factors: Vec<_> = factors.collect();
        factors.iter().for_each(|factor| reads.note(&factor.condition.expression));
        if model.purposes.iter().any(|purpose| purpose.consent.is_some()) {
            reads.attributes.insert(PARTNER.into());
        }
        reads.ticket |= model.purposes.iter().any(|purpose| purpose.ticket.is_some());
        let rules = model.rules.iter().map(|rule| &rule.require);
        let asked = rules.chain(routes.map(|route| &route.require));
        let asked = asked.chain(model.grades.iter().flatten());
        let asked = asked.chain(factors.iter().map(|factor| &factor.require));
        let asked = asked.chain(model.tenants.iter().map(|stricter| &stricter.require));
        reads.ages_s = asked.filter_map(|require| require.fresh_s).collect();
        reads.ages_s.sort_unstable();
        reads.ages_s.dedup();
        reads.decisive.insert(TENANT.into());
        let has_tenants = model.entities.iter().any(|entity| entity.tenant.is_some());
        if has_tenants || !model.tenant_files.is_empty() {
            reads.attributes.insert(TENANT.into());
        }
        reads
    }

    /// Notes the attributes that a condition reads.
    fn note(&mut self, expression: &Expression) {
        if let Expression::Attribute(name) = expression {
            self.attributes.insert(name.clone());
        }
        if let Expression::Consented(_) = expression {
            self.attributes.insert(PARTNER.into());
        }
        expression.parts().into_iter().for_each(|part| self.note(part));
    }

    fn decided_by(&mut self, expression: &Expression) {
        self.note(expression);
        self.note_decisive(expression);
        self.note_times(expression);
    }

    fn note_decisive(&mut self, expression: &Expression) {
        if let Expression::Attribute(name) = expression {
            self.decisive.insert(name.clone());
        }
        self.account |= matches!(expression, Expression::Account);
        self.address |= matches!(expression, Expression::Address);
        self.ticket |= matches!(expression, Expression::Ticket);
        expression.parts().into_iter().for_each(|part| self.note_decisive(part));
    }

    /// The largest parts that read the clock and nothing else change seldom: by them, not by the
    /// second, questions are told apart.
    fn note_times(&mut self, expression: &Expression) {
        if reads_time(expression) && reads_only_time(expression) && says_yes_or_no(expression) {
            let condition = Condition {
                text: "".into(),
                expression: expression.clone(),
                fields: Vec::new(),
                constants: Vec::new(),
            };
            self.times.push(Moment::Condition(condition));
            return;
        }
        if let Expression::Hour(zone) = expression {
            self.times.push(Moment::Hour(zone.clone()));
        }
        if let Expression::Age(_, zone)
        | Expression::DaysSince(_, zone)
        | Expression::DaysUntil(_, zone) = expression
        {
            self.times.push(Moment::Day(zone.clone()));
        }
        expression.parts().into_iter().for_each(|part| self.note_times(part));
    }
}

fn reads_time(expression: &Expression) -> bool {
    let reads = matches!(
        expression,
        Expression::Hour(_)
            | Expression::Within(..)
            | Expression::Age(..)
            | Expression::DaysSince(..)
            | Expression::DaysUntil(..)
    );
    reads || expression.parts().into_iter().any(reads_time)
}

fn reads_only_time(expression: &Expression) -> bool {
    let parts = expression.parts();
    let is_plain =
        matches!(expression, Expression::Literal(_) | Expression::Hour(_) | Expression::Within(..));
    if parts.is_empty() { is_plain } else { parts.into_iter().all(reads_only_time) }
}

fn says_yes_or_no(expression: &Expression) -> bool {
    matches!(
        expression,
        Expression::Within(..)
            | Expression::Compare(..)
            | Expression::In(..)
            | Expression::InRange(..)
            | Expression::Text(..)
            | Expression::And(..)
            | Expression::Or(..)
            | Expression::Not(_)
    )
}

impl Program {
    /// The attributes of a caller that some condition reads, in order.
    pub fn caller_attributes(&self) -> impl Iterator<Item = &str> {
        self.reads.attributes.iter().map(AsRef::as_ref)
    }

    /// Everything that [`Program::decide`] looks at when it is asked this, but for the time: two
    /// questions with equal keys and equal [`Program::time_key`]s have equal answers. Which records of an
    /// answer pass may differ.
    ///
    /// Appended to `key`; cheaper than a decision.
    pub fn decision_key(&self, query: &Query<'_>, key: &mut Vec<u8>) {
        let principal = query.principal;
        let mut put = |text: &str| {
            key.extend_from_slice(&text.len().to_le_bytes());
            key.extend_from_slice(text.as_bytes());
        };
        put(query.route.name());
        put(query.zone);
        put(if self.reads.account { &principal.account } else { "" });
        put(query.purpose.unwrap_or_default());
        put(if self.reads.ticket { query.ticket.unwrap_or_default() } else { "" });
        put(query.grant.map_or("", |grant| &grant.id));
        put(principal.device.as_deref().unwrap_or_default());
        principal.roles.iter().for_each(|role| put(role));
        put("elsewhere");
        principal.roles_elsewhere.iter().for_each(|role| put(role));
        for name in &self.reads.decisive {
            put(&written(principal.attributes.get(name.as_ref())));
        }
        if let Some(address) = principal.address.filter(|_| self.reads.address) {
            put(&address.to_canonical().to_string());
        }
        let has = [
            query.purpose.is_some(),
            query.ticket.is_some(),
            query.grant.is_some(),
            principal.device.is_some(),
            principal.address.is_some(),
        ];
        key.extend(has.map(u8::from));
        key.push(principal.assurance);
        self.age_key(principal, query.now_unix_s, key);
    }

    /// Of each factor, which of the ages that are asked for it is within.
    fn age_key(&self, principal: &Principal, now_unix_s: i64, key: &mut Vec<u8>) {
        for factor in &principal.factors {
            let age = now_unix_s.saturating_sub(factor.at_unix_s);
            let class = self.reads.ages_s.iter().take_while(|most| age > i64::from(**most)).count();
            let is_from_the_future = age < -super::judge::CLOCK_SKEW_S;
            key.extend([factor.level, u8::from(is_from_the_future)]);
            key.extend_from_slice(&class.to_le_bytes());
        }
    }

    /// What the conditions that decide find when they look at the clock at this time; it is the same
    /// within a minute.
    #[must_use]
    pub fn time_key(&self, now_unix_s: i64) -> Vec<u8> {
        let mut key = Vec::new();
        for moment in &self.reads.times {
            let part = moment.at(now_unix_s);
            key.extend_from_slice(part.as_bytes());
            key.push(b';');
        }
        key
    }

    /// The rules on which the decision depends and that cannot be judged, because their condition reads
    /// what is unknown: a name such as `request.id` or `caller.branch`.
    pub fn undetermined(&self, query: &Query<'_>, is_unknown: impl Fn(&str) -> bool) -> Vec<&str> {
        let unknown = |error: &EvaluationError| match error {
            EvaluationError::Missing(name) => is_unknown(name),
            EvaluationError::Subjects
            | EvaluationError::Types
            | EvaluationError::Date
            | EvaluationError::Day
            | EvaluationError::Address
            | EvaluationError::Time => false,
        };
        let judgement = judge(self, query);
        let open = |(index, standing): &(usize, Standing)| {
            let is_open = match standing {
                Standing::Applies(Some(error)) => unknown(error),
                Standing::Not(obstacles) => {
                    matches!(obstacles.as_slice(), [Obstacle::ConditionFailed(error)] if unknown(error))
                }
                Standing::Applies(None) => false,
            };
            is_open.then(|| self.model.rules.get(*index)).flatten()
        };
        judgement.rules.iter().filter_map(open).map(|rule| rule.name.as_ref()).collect()
    }
}

impl Moment {
    fn at(&self, now_unix_s: i64) -> String {
        let local =
            |zone: &TimeZone| Timestamp::from_second(now_unix_s).map(|t| zone.to_datetime(t));
        match self {
            Self::Condition(condition) => {
                format!("{:?}", condition.holds(&nobody(now_unix_s), None))
            }
            Self::Hour(zone) => {
                local(zone).map_or_else(|_| String::new(), |t| t.hour().to_string())
            }
            Self::Day(zone) => local(zone).map_or_else(|_| String::new(), |t| t.date().to_string()),
        }
    }
}

/// The facts of a question of which only the time is known.
fn nobody(now_unix_s: i64) -> Facts<'static> {
    static NONE: std::collections::BTreeMap<String, Value> = std::collections::BTreeMap::new();
    Facts {
        zone: "",
        account: "",
        assurance: 0,
        address: None,
        roles: &[],
        attributes: &NONE,
        parameters: &[],
        method: "",
        host: "",
        purpose: None,
        ticket: None,
        device: None,
        grant: None,
        is_outsider: false,
        ties: None,
        now_unix_s,
    }
}

/// A value, so that different ones are written differently.
fn written(value: Option<&Value>) -> String {
    value.map_or_else(String::new, |value| format!("{value:?}"))
}
