//! What holds, as it was read last: whose it is, until when, and what must be reviewed first. Bounded by what is kept.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::grant::{Approval, Grant as Kept, Scope, State, Unreadable};
use crate::policy::{Action, Coverage, EMERGENCY, Grant, GrantTerms, Program, Subjects, Value};

/// So many that were used up are remembered, for streams that are their last use; of older ones such streams are cut.
const MOST_USED_UP: usize = 100_000;

/// What holds.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// By account, the narrowest first.
    held: HashMap<String, Vec<Held>>,
    /// Whose they are, by name.
    holders: HashMap<String, String>,
    /// When each ends by itself.
    ends: BTreeSet<(i64, String)>,
    /// What opened at once and nobody has reviewed, by name.
    open: HashMap<String, Opened>,
    /// What was used as often as it may be, and until when it would hold.
    used_up: HashMap<String, i64>,
}

/// What opened at once, and until when somebody must have reviewed it.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) holder: String,
    pub(super) person: String,
    pub(super) review_until_s: i64,
    pub(super) grade: u8,
}

/// A grant that holds, or will.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) grant: Arc<Grant>,
    pub(super) uses: Option<u32>,
    /// How many records its search may give.
    pub(super) rows: Option<u32>,
    pub(super) lasts_s: u32,
    pub(super) until_s: i64,
    /// The roles of the holder when they asked.
    roles: Vec<String>,
    /// How many people agreed; none where it opened at once.
    agreed: Option<usize>,
    parties: Arc<Parties>,
    fits: Arc<Mutex<Option<Fit>>>,
}

/// Who holds a grant and who agreed to it, as it was said where they did.
#[derive(Debug)]
struct Parties {
    holder: String,
    person: String,
    agreed: Vec<Approval>,
}

/// Whether a policy lets a grant be given to a holder of these roles, as it was asked last.
#[derive(Debug)]
struct Fit {
    version: String,
    roles: Vec<String>,
    fits: bool,
}

impl Held {
    /// Whether this policy would let it be granted to a holder of these roles, as to one of those that they had when they
    /// asked: what it lets nobody grant opens nothing, whenever it was granted. Worked out once for each policy.
    pub(super) fn fits(&self, program: &Program, roles: &[String]) -> bool {
        let mut known = self.fits.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fit) = &*known
            && fit.version == program.version()
            && fit.roles == roles
        {
            return fit.fits;
        }
        let lets = |roles: &[String]| {
            let granting = program.granting(roles, &self.grant.coverage);
            granting.is_ok_and(|granting| self.is_within(&granting.terms))
        };
        let fits = lets(roles) && (roles == self.roles || lets(&self.roles));
        let (version, roles) = (program.version().to_owned(), roles.to_vec());
        *known = Some(Fit { version, roles, fits });
        fits
    }

    /// Whether whoever agreed are other people than the holder and than each other, by what is known here and now of whose
    /// an account is: where they agreed, at another gate or before, something else may have been.
    pub(super) fn is_agreed_by_others(&self, counted_as: impl Fn(&str) -> Arc<str>) -> bool {
        let Parties { holder, person, agreed } = &*self.parties;
        let mut seen = vec![(holder, person, counted_as(holder))];
        for Approval { account, person, .. } in agreed {
            let now = counted_as(account);
            let is_same = |(other, then, counted): &(&String, &String, Arc<str>)| {
                *other == account
                    || *then == person
                    || **then == *now
                    || **counted == **person
                    || *counted == now
            };
            if seen.iter().any(is_same) {
                return false;
            }
            seen.push((account, person, now));
        }
        true
    }

    fn is_within(&self, terms: &GrantTerms) -> bool {
        let (longest_s, subjects) = match (self.agreed, terms.break_glass) {
            (Some(agreed), _) if agreed >= usize::from(terms.number) => {
                (terms.longest_s, terms.subjects)
            }
            (None, Some(glass)) => (glass.longest_s, Some(glass.subjects)),
            (Some(_), _) | (None, None) => return false,
        };
        let named = self.grant.coverage.subjects.as_ref().map_or(0, Subjects::count);
        let named = u32::try_from(named).unwrap_or(u32::MAX);
        let is_search = !self.grant.coverage.search.is_empty();
        let fits_rows = |most: u32| self.rows.is_some_and(|rows| rows <= most);
        // None opens at once that is about a search.
        let is_counted = !is_search || (self.agreed.is_some() && terms.rows.is_some_and(fits_rows));
        let least = u32::from(!is_search);
        is_counted
            && self.lasts_s <= longest_s
            && terms.uses.is_none_or(|most| self.uses.is_some_and(|uses| uses <= most))
            && subjects.is_none_or(|most| (least..=most).contains(&named))
    }
}

impl Known {
    /// What an account holds, the narrowest first.
    pub(super) fn of(&self, account: &str, now_s: i64) -> impl Iterator<Item = &Held> {
        let held = self.held.get(account).map_or(&[][..], Vec::as_slice);
        held.iter().filter(move |held| held.until_s > now_s)
    }

    /// One of them.
    pub(super) fn named(&self, id: &str) -> Option<&Held> {
        self.held.get(self.holders.get(id)?)?.iter().find(|held| held.grant.id == id)
    }

    /// Whether what began under a grant may go on: it holds, or that was its last use.
    pub(super) fn stands(&self, id: &str, now_s: i64) -> bool {
        let until_s = self.named(id).map(|held| held.until_s);
        until_s.or_else(|| self.used_up.get(id).copied()).is_some_and(|until_s| until_s > now_s)
    }

    /// What nobody has reviewed.
    pub(super) fn open(&self) -> impl ExactSizeIterator<Item = &Opened> {
        self.open.values()
    }

    /// Whether there is any whose time is over.
    pub(super) fn has_over(&self, now_s: i64) -> bool {
        self.ends.first().is_some_and(|(until_s, _)| *until_s <= now_s)
    }

    /// Forgets those whose time is over.
    pub(super) fn forget_over(&mut self, now_s: i64) {
        while let Some((until_s, id)) = self.ends.first().filter(|(until_s, _)| *until_s <= now_s) {
            let (until_s, id) = (*until_s, id.clone());
            self.forget(&id);
            self.ends.remove(&(until_s, id));
        }
        self.used_up.retain(|_, until_s| *until_s > now_s);
    }

    /// Closes a grant that does not read any more, or was too long to be told here. A review that was owed is owed until
    /// somebody gave it; where nobody knows of which grade, of each.
    pub(super) fn close(&mut self, unreadable: &Unreadable) {
        let Unreadable { id, person, owes_review } = unreadable;
        self.forget(id);
        self.used_up.remove(id);
        if !*owes_review {
            self.open.remove(id);
        } else if !self.open.contains_key(id) {
            let (holder, review_until_s) = (String::new(), i64::MIN);
            let opened = Opened { holder, person: person.clone(), review_until_s, grade: 1 };
            self.open.insert(id.clone(), opened);
        }
    }

    fn forget(&mut self, id: &str) {
        let Some(holder) = self.holders.remove(id) else { return };
        let Some(held) = self.held.get_mut(&holder) else { return };
        let ends = &mut self.ends;
        held.retain(|held| {
            let stays = held.grant.id != id;
            if !stays {
                ends.remove(&(held.until_s, id.to_owned()));
            }
            stays
        });
        if held.is_empty() {
            self.held.remove(&holder);
        }
    }

    /// Knows a grant as it is now.
    pub(super) fn put(&mut self, kept: &Kept, is_recorded: bool, now_s: i64) {
        self.forget(&kept.id);
        self.open.remove(&kept.id);
        self.used_up.remove(&kept.id);
        let until_s = kept.until_s.unwrap_or_default();
        if kept.state == State::UsedUp {
            if self.used_up.len() >= MOST_USED_UP {
                self.used_up.clear();
            }
            self.used_up.insert(kept.id.clone(), until_s);
        }
        if let Some(emergency) = kept.emergency.filter(|_| kept.review.is_none()) {
            let opened = Opened {
                holder: kept.holder.clone(),
                person: kept.person.clone(),
                review_until_s: emergency.review_until_s,
                grade: emergency.grade,
            };
            self.open.insert(kept.id.clone(), opened);
        }
        if !is_recorded || !kept.is_live(now_s) {
            return;
        }
        let grant = Arc::new(judged(kept));
        let agreed = kept.emergency.is_none().then_some(kept.approvals.len());
        let (roles, fits) = (kept.roles.clone(), Arc::default());
        let (holder, person) = (kept.holder.clone(), kept.person.clone());
        let parties = Arc::new(Parties { holder, person, agreed: kept.approvals.clone() });
        let (uses, rows, lasts_s) = (kept.uses, kept.scope.rows, kept.lasts_s);
        let held = Held { grant, uses, rows, lasts_s, until_s, roles, agreed, parties, fits };
        let all = self.held.entry(kept.holder.clone()).or_default();
        let at = all.partition_point(|other| width(&other.grant) <= width(&held.grant));
        all.insert(at, held);
        self.holders.insert(kept.id.clone(), kept.holder.clone());
        self.ends.insert((until_s, kept.id.clone()));
    }
}

/// How far a grant reaches: about whom first, then fields, routes, actions.
fn width(grant: &Grant) -> (usize, usize, usize, usize) {
    let of = |count: usize| if count == 0 { usize::MAX } else { count };
    let Coverage { subjects, search, fields, routes, actions, .. } = &grant.coverage;
    // A search reaches further than people who are named, and not as far as everybody.
    let of_nobody = usize::MAX.saturating_sub(usize::from(!search.is_empty()));
    (
        subjects.as_ref().map_or(of_nobody, Subjects::count),
        fields.as_ref().map_or(usize::MAX, Vec::len),
        of(routes.len()),
        actions.len(),
    )
}

/// What the policy judges.
fn judged(kept: &Kept) -> Grant {
    let scope = &kept.scope;
    let texts = |texts: Vec<String>| Value::List(texts.into_iter().map(Value::Text).collect());
    let keys = scope.subjects.iter().map(|(_, key)| key.clone()).collect();
    // `guest.scan` is a scan too, as policies call it.
    let last = |name: &String| name.rsplit('.').next().unwrap_or_default().to_owned();
    let named = scope.routes.iter().chain(&scope.fields).chain(&scope.actions);
    let mut words: Vec<String> = named.flat_map(|name| [name.clone(), last(name)]).collect();
    words.sort_unstable();
    words.dedup();
    let attributes = BTreeMap::from([
        ("subjects".to_owned(), texts(keys)),
        ("scope".to_owned(), texts(words)),
        ("ticket".to_owned(), Value::Text(kept.ticket.clone())),
        ("holder".to_owned(), Value::Text(kept.holder.clone())),
        (EMERGENCY.to_owned(), Value::Bool(kept.emergency.is_some())),
    ]);
    let mut coverage = coverage(&kept.scope);
    (coverage.from_unix_s, coverage.until_unix_s) = (kept.from_s, kept.until_s);
    Grant { id: kept.id.clone(), attributes, coverage }
}

/// What a scope covers, without its time.
pub(in crate::proxy) fn coverage(scope: &Scope) -> Coverage {
    let action = |word: &String| {
        let found = Action::NAMES.iter().find(|(name, _)| *name == word.as_str());
        found.map(|(_, action)| *action)
    };
    Coverage {
        actions: scope.actions.iter().filter_map(action).collect(),
        routes: scope.routes.clone(),
        role: scope.role.clone(),
        fields: Some(scope.fields.clone()).filter(|fields| !fields.is_empty()),
        subjects: Some(Subjects::from_iter(scope.subjects.iter().cloned()))
            .filter(|subjects| subjects.count() > 0),
        parameters: scope.parameters.clone(),
        search: scope.search.clone(),
        purpose: scope.purpose.clone(),
        zones: scope.zones.clone(),
        device: scope.device,
        assurance: scope.assurance,
        from_unix_s: None,
        until_unix_s: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::grant::Approval;

    const NOW_S: i64 = 1_800_000_000;

    /// A grant of one of a thousand people, about one guest.
    fn kept(n: usize) -> Kept {
        let approval = Approval { account: "corp:mei".into(), person: "mei".into(), at_ms: 1 };
        Kept {
            id: format!("G-{n}"),
            holder: format!("corp:clerk-{}", n % 1000),
            person: format!("clerk-{}", n % 1000),
            roles: vec!["clerk".into()],
            scope: Scope {
                actions: vec!["view".into()],
                routes: vec!["guest.scan".into()],
                subjects: vec![("guest".into(), format!("G{n}"))],
                ..Scope::default()
            },
            reason: "police asks".into(),
            ticket: String::new(),
            asked_ms: NOW_S * 1000,
            waits_until_s: NOW_S + 86_400,
            from_s: Some(NOW_S),
            lasts_s: 3_600,
            until_s: Some(NOW_S + 3_600),
            uses: Some(1),
            approvals: vec![approval],
            state: State::Approved,
            emergency: None,
            review: None,
        }
    }

    #[test]
    fn what_one_person_agreed_to_for_themselves_or_twice_is_told_by_what_is_known_here() {
        let by = |account: &str, person: &str| Approval {
            account: account.into(),
            person: person.into(),
            at_ms: 1,
        };
        let agreed = |approvals: Vec<Approval>, tied: &'static [(&str, &str)]| {
            let mut known = Known::default();
            known.put(&Kept { approvals, ..kept(1) }, true, NOW_S);
            let counted = |account: &str| {
                let tie = tied.iter().find(|(one, _)| *one == account);
                Arc::from(tie.map_or(account, |(_, person)| *person))
            };
            known.named("G-1").unwrap().is_agreed_by_others(counted)
        };
        let (mei, tan) = (|| by("corp:mei", "mei"), || by("corp:tan", "corp:tan"));
        assert!(agreed(vec![mei(), tan()], &[]));
        assert!(agreed(vec![mei(), tan()], &[("corp:mei", "mei"), ("corp:clerk-1", "clerk-1")]));
        // Tied to the holder here alone, whichever of both was known as what where they agreed.
        assert!(!agreed(vec![mei(), tan()], &[("corp:tan", "clerk-1")]));
        assert!(!agreed(vec![tan()], &[("corp:tan", "wu"), ("corp:clerk-1", "wu")]));
        assert!(!agreed(vec![by("corp:tan", "wu")], &[("corp:clerk-1", "wu")]));
        assert!(!agreed(vec![by("corp:clerk-1", "corp:clerk-1")], &[]));
        assert!(!agreed(vec![by("corp:tan", "clerk-1")], &[]));
        // One person twice.
        assert!(!agreed(vec![mei(), tan()], &[("corp:tan", "mei")]));
        assert!(!agreed(vec![mei(), by("corp:mei", "wei")], &[]));
        assert!(agreed(Vec::new(), &[]), "nobody agreed to what opened at once");
    }

    #[test]
    fn what_does_not_read_owes_its_review_until_that_is_given() {
        let unreadable =
            |owes_review| Unreadable { id: "G-1".into(), person: "clerk-1".into(), owes_review };
        let mut known = Known::default();
        known.close(&unreadable(true));
        assert!(known.open().any(|opened| opened.review_until_s <= NOW_S && opened.grade == 1));
        known.close(&unreadable(false));
        assert_eq!(known.open().len(), 0);
    }

    /// What the process holds in memory, in bytes.
    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
    }

    /// States what grants cost, and holds them to that: run it alone with `--no-capture` for the figures.
    #[test]
    fn a_hundred_thousand_grants_take_little_memory_and_end_with_their_time() {
        const COUNT: usize = 100_000;
        let (mut known, before) = (Known::default(), resident());
        (0..COUNT).for_each(|n| known.put(&kept(n), true, NOW_S));
        let each = resident().saturating_sub(before) / COUNT;
        let clock = Clock::system();
        let began = clock.steady();
        let held: usize =
            (0..1000).map(|n| known.of(&format!("corp:clerk-{n}"), NOW_S).count()).sum();
        let of_all = (clock.steady() - began).as_nanos() / 1000;
        let began = clock.steady();
        assert!((0..1000).all(|n| known.stands(&format!("G-{n}"), NOW_S)));
        let stands = (clock.steady() - began).as_nanos() / 1000;
        eprintln!(
            "{each} bytes each; the 100 of a person in {of_all} ns, one by name in {stands} ns"
        );
        assert_eq!(held, COUNT);
        assert!(each < 4096, "{each}");
        known.forget_over(NOW_S + 3_600);
        assert!(known.held.is_empty() && known.holders.is_empty() && known.ends.is_empty());
    }
}
