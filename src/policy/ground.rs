//! What becomes of a record of one entity in each of its cases: which fields are shown and which may be written, what
//! its grades keep back, and which factor would show more or let it be acted on.

use super::judge::StepUp;
use super::lent::{Effective, Grip, Reach};
use super::linked::Bits;
use super::model::{Effect, Entity, Field, Grade, Rule};
use super::outcome::{GradeStanding, Key, Treatment};
use super::record_factor::{CaseFactor, Lacking};
use super::rows::InForce;

/// The grade that silence never opens.
pub(super) const SECRET: u8 = 4;

/// All that the cases of one entity's records depend on.
pub(super) struct Ground<'a> {
    pub(super) entity: &'a Entity,
    pub(super) key: &'a Key,
    pub(super) reach: &'a Reach<'a>,
    /// The rules of the entity, and the cases in which each is in force.
    pub(super) rules: &'a [(usize, &'a Rule)],
    pub(super) forces: &'a [InForce],
    /// On which records the grant holds.
    pub(super) grant: Grip,
    /// The field that names the tenant of a caller who is confined to one.
    pub(super) confined: Option<u16>,
    /// The bits without which nothing of a record is there.
    pub(super) asks: usize,
    pub(super) links: Bits,
    /// The bit of those who did not speak, of whom nothing secret is opened.
    pub(super) silent: usize,
    pub(super) lacking: Lacking<'a>,
}

/// Which factors the caller is taken to have shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// Those that were.
    AsIs,
    /// Those that grades ask for as well.
    ForGrades,
}

type Treatments = Option<Vec<Treatment>>;

impl<'a> Ground<'a> {
    /// The treatment of each field, or `None` where the record is withheld.
    pub(super) fn read(&self, case: usize) -> Treatments {
        self.read_having(case, Shown::AsIs)
    }

    fn read_having(&self, case: usize, shown: Shown) -> Treatments {
        let rules = self.effective(case);
        let standing = |field: u16, grade: Grade| {
            let is_kept = self.links.lacks(grade, case) || self.is_secret(grade, case);
            if is_kept || self.lacking.covers(field, case) {
                return &GradeStanding::NotHere;
            }
            let standing = self.standing(case, field, grade);
            let is_asked_for = matches!(standing, GradeStanding::AfterStepUp { .. });
            match is_asked_for && shown == Shown::ForGrades {
                true => &GradeStanding::Met,
                false => standing,
            }
        };
        is_open(&rules).then(|| {
            let fields = (0_u16..).zip(&self.entity.fields);
            fields.map(|(at, field)| treat(&rules, at, field, &standing)).collect()
        })
    }

    /// Whether each field may be written, or `None` where the record may not be acted on. Who is confined to a tenant
    /// moves no record to another one.
    pub(super) fn write(&self, case: usize) -> Option<Vec<bool>> {
        let rules = self.effective(case);
        let writable = |at: u16| {
            let grade = self.entity.fields.get(usize::from(at)).map(|field| field.grade);
            let is_secret = grade.is_some_and(|grade| self.is_secret(grade, case));
            if self.confined == Some(at) || is_secret || self.lacking.covers(at, case) {
                return false;
            }
            let counts = |one: &&Effective<'_>| !self.keeps(at, one);
            let said = |effect| {
                let mut rules = rules.iter().filter(|one| effect == Effect::Deny || counts(one));
                rules.any(|one| one.says(effect, &one.rule.write, at))
            };
            said(Effect::Allow) && !said(Effect::Deny)
        };
        let fields = (0_u16..).zip(&self.entity.fields);
        is_open(&rules).then(|| fields.map(|(at, _)| writable(at)).collect())
    }

    /// Whether a field of this grade is kept back from a purpose to which its subject agreed by silence alone.
    fn is_secret(&self, grade: Grade, case: usize) -> bool {
        case & self.silent != 0 && grade == Grade::Open(SECRET)
    }

    /// Whether the rule leaves the field as it is: whom a record is about nobody says by a grant about certain people, nor
    /// by a case of whom it was about.
    fn keeps(&self, at: u16, one: &Effective<'_>) -> bool {
        let by_grant = matches!(self.grant, Grip::Bit(_)) && !one.is_own();
        let by_case = self.links.here != 0 || one.rule.require.link.is_must();
        self.entity.subject == Some(at) && (by_grant || by_case)
    }

    /// Which factor would show more in this case, and which would let more be done.
    pub(super) fn factor(&self, case: usize) -> CaseFactor {
        let none = case & !self.lacking.bits();
        if none == case {
            return CaseFactor::default();
        }
        let to_act = || {
            let all = self.write(none)?;
            let lets = |case: usize| self.write(case);
            let is_less = |less: Option<Vec<bool>>| less.as_ref() != Some(&all);
            let matters = |bit: usize| is_less(lets(none | bit));
            is_less(lets(case)).then(|| self.lacking.joined(case, matters))?
        };
        CaseFactor { to_show: self.factor_to_show(case, none), to_act: to_act() }
    }

    /// The factor by which a record in this case would be shown as one that asks for `none`.
    fn factor_to_show(&self, case: usize, none: usize) -> Option<StepUp> {
        let all = self.read_having(none, Shown::ForGrades)?;
        let less = |case: usize| missing(self.read_having(case, Shown::ForGrades), &all);
        let kept_back = less(case)?;
        let mut step_up = self.lacking.joined(case, |bit| less(none | bit).is_some())?;
        for at in kept_back {
            let Some(field) = self.entity.fields.get(usize::from(at)) else { continue };
            step_up.fields.push(format!("{}.{}", self.entity.name, field.path));
            // What is asked for by its grade is asked for with it.
            let is_clear = all.get(usize::from(at)) == Some(&Treatment::Clear);
            let standing = self.standing(case, at, field.grade);
            if let (true, Some(of_grade)) = (is_clear, standing.step_up()) {
                step_up.join(of_grade);
            }
        }
        Some(step_up)
    }

    /// Notes the fields that only their grade keeps from being in clear in this case.
    pub(super) fn held_back(&self, case: usize, found: &mut Vec<u16>) {
        let rules = self.effective(case);
        if !is_open(&rules) {
            return;
        }
        let taken = |field: u16| {
            rules.iter().any(|one| {
                let lists = [&one.rule.clear, &one.rule.masked, &one.rule.pseudonym];
                lists.iter().any(|list| one.says(Effect::Deny, list, field))
            })
        };
        for one in rules.iter().filter(|one| one.rule.effect == Effect::Allow) {
            for field in one.rule.clear.iter().copied() {
                let grade = self.entity.fields.get(usize::from(field)).map(|field| field.grade);
                let is_met = |grade| self.standing(case, field, grade) == &GradeStanding::Met;
                let unmet = grade.is_some_and(|grade| !is_met(grade));
                let opens = one.says(Effect::Allow, &one.rule.clear, field);
                if unmet && opens && !taken(field) && !found.contains(&field) {
                    found.push(field);
                }
            }
        }
    }

    /// The rules in force, with the fields that each can open. Of another tenant nothing is left, whatever the rules
    /// say, nor of another subject where all is granted, nor of whom no case ties to the caller where the route wants one.
    fn effective(&self, case: usize) -> Vec<Effective<'a>> {
        let is_lent = self.grant.holds(case);
        let is_here = case & self.asks == self.asks && self.reach.is_here(is_lent);
        let here = self.rules.iter().zip(self.forces).filter(|_| is_here);
        let in_force = here.filter(|((index, _), force)| {
            force.holds(case) && (is_lent || !self.reach.is_granted(*index))
        });
        in_force.map(|((index, rule), _)| self.reach.effective(*index, rule)).collect()
    }

    fn standing(&self, case: usize, field: u16, grade: Grade) -> &GradeStanding {
        self.reach.standing(&self.key.grades, self.grant.holds(case), field, grade)
    }
}

/// The fields of which less is shown than of all, in order; `None` where nothing is missing.
fn missing(less: Treatments, all: &[Treatment]) -> Option<Vec<u16>> {
    let Some(less) = less else {
        let shown = (0_u16..).zip(all).filter(|(_, is)| **is != Treatment::Absent);
        return Some(shown.map(|(at, _)| at).collect());
    };
    let kept = (0_u16..).zip(less.iter().zip(all)).filter(|(_, (less, all))| less < all);
    let kept: Vec<u16> = kept.map(|(at, _)| at).collect();
    (!kept.is_empty()).then_some(kept)
}

/// `None` where the record may not be touched at all.
fn is_open(rules: &[Effective<'_>]) -> bool {
    let withheld =
        |one: &&Effective<'_>| one.rule.effect == Effect::Deny && !one.rule.names_fields();
    rules.iter().any(|one| one.rule.effect == Effect::Allow)
        && !rules.iter().any(|one| withheld(&one))
}

/// How the caller stands to the grade of a field.
type OfGrade<'a> = dyn Fn(u16, Grade) -> &'a GradeStanding + 'a;

fn treat(rules: &[Effective<'_>], at: u16, field: &Field, of_grade: &OfGrade<'_>) -> Treatment {
    let said = |effect, list: fn(&Rule) -> &Vec<u16>| {
        rules.iter().any(|one| one.says(effect, list(one.rule), at))
    };
    let lists: [fn(&Rule) -> &Vec<u16>; 3] =
        [|rule| &rule.clear, |rule| &rule.masked, |rule| &rule.pseudonym];
    let [clear, masked, pseudonym] = lists;
    let taken = lists.iter().any(|list| said(Effect::Deny, *list));
    if taken || !field.grade.is_open() {
        Treatment::Absent
    } else if said(Effect::Allow, clear) && of_grade(at, field.grade) == &GradeStanding::Met {
        Treatment::Clear
    } else if said(Effect::Allow, masked) {
        Treatment::Masked
    } else if said(Effect::Allow, pseudonym) {
        Treatment::Pseudonym
    } else {
        Treatment::Absent
    }
}
