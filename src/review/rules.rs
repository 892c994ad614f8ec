//! What the fold is told by the policy and the keys: thresholds, canaries by their references, limits by role.

use std::collections::{BTreeMap, HashSet};

use crate::audit::SubjectSealer;
use crate::policy::{Consequence, Detection, Hours, Program, Terms};
use crate::secret::{MasterKey, SecretError};

/// The rules of one program.
#[derive(Clone, Debug)]
pub struct Rules {
    terms: BTreeMap<Detection, (Terms, Consequence)>,
    hours: Option<Hours>,
    /// Tokens of canaries, as answers name them.
    canaries: HashSet<String>,
    /// Tokens of those who are opened with a reason only.
    watched: HashSet<String>,
    /// Hashes of canaries' keys, as requests name them.
    canaries_asked: HashSet<String>,
    /// How many people a day each role lets through.
    daily: BTreeMap<Box<str>, u32>,
}

/// The keys by which the log names data subjects and what was searched.
#[derive(Debug)]
pub struct Names {
    subjects: SubjectSealer,
    asked: crate::secret::Tagger,
}

impl Names {
    /// The keys that follow from the master key.
    ///
    /// # Errors
    /// [`SecretError`] if they cannot be derived.
    pub fn derive(master: &MasterKey) -> Result<Self, SecretError> {
        Ok(Self { subjects: SubjectSealer::new(master)?, asked: master.tagger("audit-query")? })
    }
}

impl Rules {
    /// What a program looks for. Without `names` no canary is known.
    #[must_use]
    pub fn of(program: &Program, names: Option<&Names>) -> Self {
        let detections = program.detections();
        let on = |one: Detection| {
            let (terms, consequence) = detections.of(one)?;
            Some((one, (terms.clone(), consequence)))
        };
        let (mut canaries, mut canaries_asked) = (HashSet::new(), HashSet::new());
        let mut watched = HashSet::new();
        if let Some(names) = names {
            let tokens = detections.watched().map(|(of, key)| names.subjects.token(of, key));
            watched.extend(tokens);
            let parameters = parameters(program);
            for (entity, key) in detections.canaries() {
                canaries.insert(names.subjects.token(entity, key));
                for parameter in &parameters {
                    let parts = [parameter.as_bytes(), key.as_bytes()];
                    canaries_asked.insert(names.asked.reference(&parts));
                }
            }
        }
        Self {
            terms: Detection::ALL.into_iter().filter_map(on).collect(),
            hours: detections.hours().cloned(),
            canaries,
            watched,
            canaries_asked,
            daily: program.daily_subjects().map(|(role, most)| (role.into(), most)).collect(),
        }
    }

    /// What a program looks for, for drills: its canaries stand under a key that nobody uses.
    ///
    /// # Errors
    /// [`SecretError`] if no key can be derived.
    pub fn for_drills(program: &Program) -> Result<Self, SecretError> {
        let names = Names::derive(&MasterKey::from_bytes([0xd1; 32]))?;
        Ok(Self::of(program, Some(&names)))
    }

    /// Whether a detection is on.
    #[must_use]
    pub fn is_on(&self, detection: Detection) -> bool {
        self.terms.contains_key(&detection)
    }

    /// What a detection asks, if it is on.
    pub(super) fn terms(&self, detection: Detection) -> Option<(&Terms, Consequence)> {
        self.terms.get(&detection).map(|(terms, consequence)| (terms, *consequence))
    }

    pub(super) fn on(&self, detection: Detection) -> Option<&Terms> {
        self.terms(detection).map(|(terms, _)| terms)
    }

    pub(super) fn hours(&self) -> Option<&Hours> {
        self.hours.as_ref()
    }

    pub(super) fn is_canary(&self, token: &str) -> bool {
        self.canaries.contains(token)
    }

    pub(super) fn asks_for_a_canary(&self, hash: &str) -> bool {
        self.canaries_asked.contains(hash)
    }

    pub(super) fn is_watched(&self, token: &str) -> bool {
        self.watched.contains(token)
    }

    /// The token of somebody who is watched, for a drill.
    pub(super) fn one_watched(&self) -> Option<&str> {
        self.watched.iter().next().map(String::as_str)
    }

    /// A hash by which a canary is asked for, for a drill.
    pub(super) fn one_canary(&self) -> Option<&str> {
        self.canaries_asked.iter().next().map(String::as_str)
    }

    /// A role that is limited by the day, for a drill.
    pub(super) fn one_limited(&self) -> Option<(&str, u32)> {
        self.daily.iter().next().map(|(role, most)| (role.as_ref(), *most))
    }

    /// How many people a day somebody with these roles is let through: the strictest holds.
    pub(super) fn daily<'r>(&self, roles: impl Iterator<Item = &'r str>) -> Option<u32> {
        roles.filter_map(|role| self.daily.get(role).copied()).min()
    }
}

/// Parameters of paths and of searches, by the names under which the log hashes them.
fn parameters(program: &Program) -> HashSet<String> {
    let mut names = HashSet::new();
    for route in program.routes() {
        names.extend(route.template().parameters().map(str::to_owned));
        names.extend(route.searched_parameters().map(str::to_owned));
    }
    names
}
