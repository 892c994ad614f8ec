//! Entries as a gate writes them, and logs of many.

use std::error::Error;
use std::path::Path;

use menshen::audit::{
    Actor, ActorKind, Answer, Auth, Data, Decision, Effect, Ending, Entry, Event, Log, LogError,
    Origin, Request, Settings, SubjectSealer, Text, Why,
};
use menshen::clock::Clock;
use menshen::secret::MasterKey;

/// Requests that wait for the disk together.
const TOGETHER: u64 = 500;

/// The decision on request `n`, with what a gate usually knows.
pub(crate) fn decision(log: &Log, n: u64) -> Result<Entry, LogError> {
    let mut decision = log.entry(Event::Decision)?;
    let roles = ["teller", "branch-staff"].into_iter().collect();
    let account = format!("staff-{}", n * 31 % 500);
    let (account, kind) = (account.as_str().into(), Some(ActorKind::Staff));
    decision.actor = Some(Actor { account, kind, roles, ..Actor::default() });
    decision.auth = Some(Auth { assurance: 2, age_s: Some(300), ..Auth::default() });
    decision.origin = Some(Origin {
        address: "10.20.3.4".parse().ok(),
        zone: "business".into(),
        ..Origin::default()
    });
    let route = format!("route.{}", n % 40);
    decision.request = Some(Request {
        method: "GET".into(),
        host: "bank.example".into(),
        route: route.as_str().into(),
        template: "/customers/{id}".into(),
        ..Request::default()
    });
    let reason = Text::reason(&format!("the customer called about case {n}"));
    decision.why = Some(Why { purpose: "service".into(), reason, ..Why::default() });
    let mut effect = Decision::new(Effect::Allow);
    effect.rules = ["tellers-see-their-branch"].into_iter().collect();
    decision.decision = Some(effect);
    Ok(decision)
}

/// What became of it: a look at one of so many customers.
pub(crate) fn outcome(
    log: &Log,
    sealer: &SubjectSealer,
    decision: &Entry,
    customer: u64,
) -> Result<Entry, Box<dyn Error>> {
    let mut outcome = log.entry(Event::Outcome)?;
    outcome.decided_by = Some(decision.id);
    outcome.add_subject(sealer.seal("customer", &customer.to_string())?)?;
    outcome.data = Some(Data {
        entity: "customer".into(),
        clear: ["customer.name", "customer.branch"].into_iter().collect(),
        masked: ["customer.phone"].into_iter().collect(),
        records: Some(1),
        ..Data::default()
    });
    let ended = Some(Ending::Complete);
    outcome.result = Some(Answer { status: Some(200), ended, ..Answer::default() });
    Ok(outcome)
}

/// Each customer is seen some twenty times.
pub(crate) fn people(requests: u64) -> u64 {
    (requests / 20).max(1)
}

/// Whom request `n` of so many is about.
pub(crate) fn customer(n: u64, requests: u64) -> u64 {
    n.wrapping_mul(7907) % people(requests)
}

/// A log of so many looks in `dir`; two entries each.
pub(crate) fn generate(dir: &Path, keys: &MasterKey, requests: u64) -> Result<(), Box<dyn Error>> {
    let (log, _) = Log::open(dir, Settings::default(), Clock::system(), keys)?;
    let sealer = SubjectSealer::new(keys)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    for first in (0..requests).step_by(usize::try_from(TOGETHER)?) {
        let mut waiting = Vec::new();
        for n in first..(first + TOGETHER).min(requests) {
            let decision = decision(&log, n)?;
            let outcome = outcome(&log, &sealer, &decision, customer(n, requests))?;
            waiting.push(log.append(decision));
            waiting.push(log.append(outcome));
        }
        runtime.block_on(async {
            for one in waiting {
                one.await?;
            }
            Ok::<_, Box<dyn Error>>(())
        })?;
    }
    log.close();
    Ok(())
}
