//! One caller, one request: every stage, every rule with hit or miss and why, every field's verdict,
//! and what would change it. It asks the program that decides, so that it cannot disagree with it.

use std::fmt;

use super::cases::on_tied;
use super::decide::Permit;
use super::denial::{Denial, Reason};
use super::detect::Way;
use super::explain_factors::kept_back;
use super::judge::{Judgement, Query, Standing, judge};
use super::kind::{Kind, Mask};
use super::limits::{Export, Limits, Per, Scoped, Window};
use super::model::{Effect, Grade, Rule, Watermark};
use super::outcome::{EntityOutcome, GradeStanding, Treatment};
use super::program::Program;
use super::search::PathParameter;
use super::socket::{Socket, SocketCaps};
use super::value::Value;

/// Everything that can be said about one decision.
#[derive(Debug)]
pub struct Explanation {
    /// The request in words.
    pub request: String,
    /// The stages, in order.
    pub stages: Vec<Stage>,
    /// Every rule that is about the route.
    pub rules: Vec<RuleReport>,
    /// Every field of every entity of the route; none where the request is denied.
    pub fields: Vec<FieldReport>,
    /// What would change it: a step-up, a purpose.
    pub changes: Vec<String>,
    /// The decision.
    pub decision: Result<Permit, Denial>,
}

/// One stage of a decision.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Stage {
    /// Its name.
    pub name: &'static str,
    /// What it found.
    pub finding: String,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RuleReport {
    /// Its name.
    pub name: String,
    /// Whether it gives; else it takes.
    pub allows: bool,
    /// Whether it applies.
    pub applies: bool,
    /// Why, or on what further condition.
    pub why: Vec<String>,
}

/// One field.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FieldReport {
    /// Its full name, such as `customer.phone`.
    pub name: String,
    /// Its grade: `1` to `4` or `sealed`.
    pub grade: String,
    /// `clear`, `masked`, `pseudonym` or `absent`, on a record for which the row conditions hold.
    pub verdict: &'static str,
    /// The style of its mask, where it is masked in another than its kind's first.
    pub style: Option<&'static str>,
    /// Whether the request's body may carry it.
    pub writable: bool,
    /// Why not more.
    pub note: Option<String>,
}

impl Program {
    /// Explains what [`Program::decide`] says to the same query.
    #[must_use]
    pub fn explain(&self, query: &Query<'_>) -> Explanation {
        let judgement = judge(self, query);
        let decision = self.decide(query);
        // As at the gate: who may not search by a parameter of the path gets nothing.
        let answered = decision.as_ref().ok().filter(|permit| refused_search(permit).is_none());
        Explanation {
            request: format!(
                "{} `{}` ({} {}{})",
                query.route.action,
                query.route.name(),
                query.method,
                query.host,
                query.route.template().as_str()
            ),
            stages: stages(self, query, &judgement, &decision),
            rules: self.rule_reports(query, &judgement),
            fields: answered.map_or(Vec::new(), |permit| self.field_reports(permit)),
            changes: self.changes(query, &decision),
            decision,
        }
    }

    fn rule_reports(&self, query: &Query<'_>, judgement: &Judgement) -> Vec<RuleReport> {
        let report = |index: &usize| {
            let rule = self.model.rules.get(*index)?;
            let judged = judgement.rules.iter().find(|(judged, _)| judged == index);
            let Some((_, standing)) = judged else {
                let (name, allows) = (rule.name.to_string(), rule.effect == Effect::Allow);
                let why = vec![match &rule.tenant {
                    Some(tenant) => format!("it is of tenant `{tenant}`, and about other callers"),
                    None => "the caller has none of its roles".to_owned(),
                }];
                return Some(RuleReport { name, allows, applies: false, why });
            };
            let mut why = match standing {
                Standing::Not(obstacles) => obstacles
                    .iter()
                    .map(|obstacle| Reason::of(rule, obstacle).to_string())
                    .collect(),
                Standing::Applies(Some(error)) => {
                    vec![format!("its condition cannot be evaluated, which denies: {error}")]
                }
                Standing::Applies(None) => Vec::new(),
            };
            let applies = matches!(standing, Standing::Applies(_));
            if let Some(row) = rule.row.as_ref().filter(|_| applies) {
                why.push(format!("on records where {}", row.text));
            }
            if applies && rule.effect == Effect::Allow {
                why.extend(on_tied(&rule.require));
                why.extend(self.passed_over(rule, query));
            }
            if applies && rule.of.is_some_and(|of| !query.route.main.contains(&of)) {
                why.push("for records inside others".to_owned());
            }
            let allows = rule.effect == Effect::Allow;
            Some(RuleReport { name: rule.name.to_string(), allows, applies, why })
        };
        query.route.rules.iter().filter_map(report).collect()
    }

    /// The records that an allow rule says nothing of: flagged ones, and those of other tenants.
    fn passed_over(&self, rule: &Rule, query: &Query<'_>) -> Vec<String> {
        let Some(entity) = rule.of.and_then(|of| self.model.entities.get(of)) else {
            return Vec::new();
        };
        let flags = entity.flags.iter().enumerate();
        let blind = flags.filter(|(index, _)| !rule.flags.contains(index));
        let names: Vec<String> = blind.map(|(_, flag)| format!("`{}`", flag.name)).collect();
        let mut why = Vec::new();
        if !names.is_empty() {
            why.push(format!("not on records flagged {}", names.join(" or ")));
        }
        if let (Some(_), Some(tenant)) = (entity.tenant, query.principal.tenant()) {
            why.push(confinement(tenant));
        }
        why
    }

    pub(super) fn field_reports(&self, permit: &Permit) -> Vec<FieldReport> {
        let mut reports = Vec::new();
        for (of, outcome) in permit.entities() {
            let Some(entity) = self.model.entities.get(*of) else { continue };
            for (at, field) in entity.fields.iter().enumerate() {
                let index = u16::try_from(at).unwrap_or(u16::MAX);
                let treatment = treatment(outcome, at);
                let grade = match field.grade {
                    Grade::Open(grade) => grade.to_string(),
                    Grade::Sealed => "sealed".to_owned(),
                    Grade::Ungraded => "ungraded".to_owned(),
                };
                let note = match field.grade {
                    Grade::Sealed => Some("it never leaves".to_owned()),
                    Grade::Ungraded => Some("it has no grade yet".to_owned()),
                    Grade::Open(grade) if outcome.held_back.contains(&index) => {
                        let asked = asked(permit.standing(field.grade));
                        Some(format!("a rule shows it in clear, but grade {grade} asks {asked}"))
                    }
                    Grade::Open(grade) if treatment == Treatment::Clear => {
                        let notes = self.link_of_grade(grade).into_iter();
                        let notes = notes.chain(kept_back(outcome, at));
                        let notes = notes.chain(self.looked_for(permit, (*of, index), field.kind));
                        Some(notes.collect::<Vec<_>>().join("; ")).filter(|note| !note.is_empty())
                    }
                    Grade::Open(_) => {
                        Some(kept_back(outcome, at).join("; ")).filter(|note| !note.is_empty())
                    }
                };
                let written = outcome.write.get(outcome.best_case()).cloned().flatten();
                let writable = permit.route().takes_a_body()
                    && written.and_then(|w| w.get(at).copied()).unwrap_or(false);
                let name = format!("{}.{}", entity.name, field.path);
                let style = (treatment == Treatment::Masked).then(|| self.chosen_style(field.kind));
                let style = style.flatten();
                let verdict = treatment.word();
                reports.push(FieldReport { name, grade, verdict, style, writable, note });
            }
        }
        reports
    }

    /// What is looked for in a field that is shown in clear.
    fn looked_for(&self, permit: &Permit, at: (usize, u16), kind: Option<Kind>) -> Option<String> {
        let way = (Way::Answer, permit.route().index);
        let sought = self.model.detect.sought(way, Some(at), kind, &self.model.masks);
        let each = sought.iter().map(|s| format!("{} ({})", s.mask.kind().name(), s.on_hit.name()));
        let each: Vec<String> = each.collect();
        (!each.is_empty()).then(|| format!("looked through for {}", each.join(", ")))
    }

    fn chosen_style(&self, kind: Option<Kind>) -> Option<&'static str> {
        let mask = self.model.masks.of(kind?);
        (mask != Mask::of(mask.kind())).then(|| mask.style().name())
    }
}

/// What a grade asks that the caller does not have.
fn asked(standing: &GradeStanding) -> &'static str {
    match standing {
        GradeStanding::NeedsDevice => "for a device bound to the person",
        GradeStanding::NeedsGrant => "for a grant",
        GradeStanding::Met | GradeStanding::AfterStepUp { .. } | GradeStanding::NotHere => "more",
    }
}

/// The tenants that a caller is confined to.
fn confinement(tenant: &Value) -> String {
    let name = |value: &Value| match value {
        Value::Text(name) => Some(format!("`{name}`")),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Decimal(_) | Value::List(_) => {
            None
        }
    };
    let names: Option<Vec<String>> = match tenant {
        Value::List(names) => names.iter().map(name).collect(),
        one @ (Value::Null
        | Value::Bool(_)
        | Value::Integer(_)
        | Value::Decimal(_)
        | Value::Text(_)) => name(one).map(|name| vec![name]),
    };
    match names {
        Some(names) if !names.is_empty() => format!("only records of tenant {}", names.join(", ")),
        Some(_) | None => "on no record, since the caller's tenant names none".to_owned(),
    }
}

fn treatment(outcome: &EntityOutcome, field: usize) -> Treatment {
    let best = outcome.read.get(outcome.best_case()).and_then(Option::as_ref);
    best.and_then(|treatments| treatments.get(field).copied()).unwrap_or(Treatment::Absent)
}

fn stages(
    program: &Program,
    query: &Query<'_>,
    judgement: &Judgement,
    decision: &Result<Permit, Denial>,
) -> Vec<Stage> {
    let roles = if judgement.holding.names.is_empty() {
        "no role that the policy knows".to_owned()
    } else {
        judgement.holding.names.join(", ")
    };
    let refused = decision.as_ref().ok().and_then(refused_search);
    let decided = match decision {
        Ok(_) if refused.is_some() => refused.unwrap_or_default(),
        Ok(permit) if permit.is_settled() => "allowed".to_owned(),
        Ok(_) => "allowed, if the record meets the row conditions".to_owned(),
        Err(denial) => {
            let reasons: Vec<String> = denial.reasons.iter().map(ToString::to_string).collect();
            format!("denied: {}", reasons.join("; "))
        }
    };
    let mut stages = vec![
        Stage {
            name: "route",
            finding: format!("{} in the zone `{}`", query.route.name(), query.zone),
        },
        Stage {
            name: "caller",
            finding: format!(
                "{} ({roles}), assurance {}{}",
                query.principal.account,
                query.principal.assurance,
                said(", device", query.principal.device.as_deref())
            ),
        },
        Stage {
            name: "purpose",
            finding: format!(
                "{}{}{}",
                query.purpose.unwrap_or("none declared"),
                said(", ticket", query.ticket),
                said(", grant", query.grant.map(|grant| grant.id.as_str()))
            ),
        },
        Stage { name: "decision", finding: decided },
    ];
    let kept = program.kept_in_words(query.principal);
    stages.extend(kept.map(|finding| Stage { name: "log", finding }));
    if query.route.constant {
        let finding = "constant: an empty 202 at once, whatever the backend says".to_owned();
        stages.push(Stage { name: "answer", finding });
    }
    if let Some(opaque) = &query.route.opaque {
        let at_most =
            opaque.size_bytes.map_or_else(String::new, |n| format!(", at most {n} bytes"));
        let what = opaque.socket().map_or_else(|| opaque.accept(), said_of_socket);
        let finding = format!("passes unread: {what}{at_most}, grade {}", opaque.grade);
        stages.push(Stage { name: "answer", finding });
    }
    stages.extend(program.link_stages(query, judgement));
    stages.extend(program.consent_stage(query));
    stages.extend(program.factor_stages(query, judgement));
    stages.extend(watermark(query.route.watermark()));
    if let Ok(permit) = decision {
        stages.extend(pseudonyms(permit));
        stages.push(Stage { name: "limits", finding: limits(permit) });
    }
    stages.push(Stage { name: "policy", finding: program.version().chars().take(12).collect() });
    stages
}

/// What may pass of a WebSocket.
fn said_of_socket(socket: &Socket) -> String {
    let SocketCaps { sent_bytes, received_bytes, idle_s, lifetime_s, each, all, .. } =
        *socket.caps();
    format!(
        "a WebSocket, at most {sent_bytes} bytes sent and {received_bytes} received, silent for {idle_s} s, open for {lifetime_s} s, {each} at once for each person and {all} for all"
    )
}

/// When the pseudonyms of the answer change, if it has any.
fn pseudonyms(permit: &Permit) -> Option<Stage> {
    let words = permit.rotation_words()?;
    let period = permit.pseudonym_period();
    let now = if period.is_empty() { period } else { format!(", now those of {period}") };
    Some(Stage { name: "pseudonym", finding: format!("{words}{now}") })
}

/// Where the records of an export lead back to their reader.
fn watermark(Watermark { field, order }: &Watermark) -> Option<Stage> {
    let in_field = field.iter().map(|field| format!("in `{field}`"));
    let ways: Vec<String> = in_field.chain(order.then(|| "by their order".to_owned())).collect();
    let finding = format!("records carry their reader's mark {}", ways.join(" and "));
    (!ways.is_empty()).then_some(Stage { name: "watermark", finding })
}

/// What the gate says of a parameter of the path that this caller may not search by.
fn refused_search(permit: &Permit) -> Option<String> {
    let parameter = permit.search().path.iter().find(|parameter| !parameter.clear)?;
    let PathParameter { name, field, .. } = parameter;
    Some(format!("denied: `{{{name}}}` searches `{field}`, which the caller does not see in clear"))
}

/// A fact behind its name, where it is known.
fn said(name: &str, fact: Option<&str>) -> String {
    fact.map_or_else(String::new, |fact| format!("{name} `{fact}`"))
}

fn limits(permit: &Permit) -> String {
    let parts: Vec<String> = permit
        .limits()
        .flat_map(|scoped| {
            let Scoped { scope, limits } = scoped;
            limits_in_words(limits).into_iter().map(move |limit| format!("{limit}{scope}"))
        })
        .collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

fn limits_in_words(limits: &Limits) -> Vec<String> {
    let mut parts = Vec::new();
    parts.extend(
        limits.rate.map(|r| format!("{} requests in {} s, burst {}", r.count, r.per_s, r.burst)),
    );
    let counted = |windows: &[Window], what: &str| {
        let said = |window: &Window| match &window.per {
            Per::Seconds(seconds) => format!("{} {what} in {seconds} s", window.count),
            Per::Day(_) => format!("{} {what} {}", window.count, window.per),
        };
        windows.iter().map(said).collect::<Vec<String>>()
    };
    parts.extend(counted(&limits.requests, "requests"));
    parts.extend(limits.concurrent.map(|n| format!("{n} at once")));
    parts.extend(limits.page.map(|n| format!("pages of {n}")));
    parts.extend(counted(&limits.records, "records"));
    parts.extend(counted(&limits.subjects, "people"));
    parts.extend(counted(&limits.kibibytes, "KiB"));
    parts.extend(counted(&limits.unmask, "people unmasked"));
    parts.extend(counted(&limits.files, "files"));
    parts.extend(counted(&limits.zero_hits, "searches that found nobody"));
    parts.extend(exports(limits.export));
    parts.extend(limits.refuse_whole.then(|| "refused whole where one is reached".to_owned()));
    let lost = "nothing while the shared store is lost";
    parts.extend(limits.denies_when_lost.then(|| lost.to_owned()));
    parts
}

fn exports(export: Export) -> Vec<String> {
    match export {
        Export::None => vec!["no export".to_owned()],
        Export::Bounded { rows, needs_grant } => {
            let rows = rows.map(|rows| format!("{rows} rows in a file"));
            rows.into_iter().chain(needs_grant.then(|| "exports with a grant".to_owned())).collect()
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.request)?;
        for stage in &self.stages {
            writeln!(f, "  {:<10}{}", stage.name, stage.finding)?;
        }
        writeln!(f, "rules")?;
        for rule in &self.rules {
            let mark = if rule.applies { "hit " } else { "miss" };
            let effect = if rule.allows { "allow" } else { "deny " };
            writeln!(f, "  {mark} {effect} {}", rule.name)?;
            for why in &rule.why {
                writeln!(f, "             {why}")?;
            }
        }
        if !self.fields.is_empty() {
            writeln!(f, "fields")?;
        }
        let width = self.fields.iter().map(|field| field.name.len()).max().unwrap_or(0);
        for field in &self.fields {
            write!(f, "  {:<width$}  grade {:<6}  {:<9}", field.name, field.grade, field.verdict)?;
            write!(f, "{}", field.style.map_or(String::new(), |style| format!("  {style}")))?;
            write!(f, "{}", if field.writable { "  writable" } else { "" })?;
            writeln!(
                f,
                "{}",
                field.note.as_ref().map_or(String::new(), |note| format!("  ({note})"))
            )?;
        }
        if !self.changes.is_empty() {
            writeln!(f, "what would change it")?;
        }
        for change in &self.changes {
            writeln!(f, "  {change}")?;
        }
        Ok(())
    }
}
