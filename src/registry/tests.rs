use serde_json::{Map, Value, json};

use super::published::changes_of;
use super::{
    Asked, Asks, Contract, Demands, Kind, Noted, Office, Particulars, Partner, Registry,
    RegistryError, Signature, Stage, Standing, Step, Tenant, Turn, Unfit,
};
use crate::clock::Clock;
use crate::command::{CommandError, Doer};
use crate::secret::MasterKey;
use crate::state::{NewRegistryRow, RegistryStep, Store};

/// 2027-01-15.
const NOW_MS: i64 = 1_800_000_000_000;
const DAY_MS: i64 = 86_400_000;
const WHY: &str = "tender 7";

fn doer(name: &str) -> Doer {
    Doer { name: name.to_owned(), person: name.to_owned() }
}

fn members(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn contract() -> Contract {
    Contract::read(&members(json!({
        "task": "delivery", "country": "TH", "contract": "C-118", "nda": "N-118",
        "until": "2027-06-30", "purposes": ["delivery"], "level": 2,
    })))
    .unwrap()
}

fn demands() -> Demands {
    Demands { level: 2, purposes: vec!["delivery".to_owned(), "payment".to_owned()] }
}

fn drafted(contract: Contract) -> Partner {
    let mut partner = Partner::new("fast-parcel");
    partner.draft(contract, Signature::of(&doer("ann"), NOW_MS));
    partner
}

/// Takes a step now.
fn take(partner: &mut Partner, step: Step, who: &str) -> Result<(), RegistryError> {
    partner.take(step, &doer(who), NOW_MS, &demands())
}

fn active(contract: Contract) -> Partner {
    let mut partner = drafted(contract);
    for (step, who) in [
        (Step::Review, "bob"),
        (Step::Approve, "bob"),
        (Step::Approve, "cho"),
        (Step::Activate, "ann"),
    ] {
        take(&mut partner, step, who).unwrap();
    }
    partner
}

fn is_same_person(taken: &Result<(), RegistryError>) -> bool {
    matches!(taken, Err(RegistryError::Command(CommandError::SamePerson)))
}

#[test]
fn nobody_admits_a_partner_alone_nor_with_one_other() {
    let mut partner = drafted(contract());
    assert!(is_same_person(&take(&mut partner, Step::Review, "ann")));
    take(&mut partner, Step::Review, "bob").unwrap();
    assert!(is_same_person(&take(&mut partner, Step::Approve, "ann")));
    take(&mut partner, Step::Approve, "bob").unwrap();
    assert!(is_same_person(&take(&mut partner, Step::Approve, "bob")));
    assert!(is_same_person(&take(&mut partner, Step::Approve, "ann")));
    let one_is_not_enough = take(&mut partner, Step::Activate, "cho");
    assert!(matches!(one_is_not_enough, Err(RegistryError::State { .. })));
    take(&mut partner, Step::Approve, "cho").unwrap();
    assert_eq!(partner.state(NOW_MS / 1000), "approved");
    take(&mut partner, Step::Activate, "ann").unwrap();
    assert_eq!(partner.state(NOW_MS / 1000), "active");
}

#[test]
fn two_accounts_of_one_person_and_an_operator_beside_an_account_are_not_two_persons() {
    let mut partner = drafted(contract());
    take(&mut partner, Step::Review, "bob").unwrap();
    take(&mut partner, Step::Approve, "bob").unwrap();
    let other = Doer { name: "corp:bob".to_owned(), person: "bob".to_owned() };
    assert!(is_same_person(&partner.take(Step::Approve, &other, NOW_MS, &demands())));
    let operator = Doer::user("operator uid 7", 7);
    let taken = partner.take(Step::Approve, &operator, NOW_MS, &demands());
    assert!(matches!(taken, Err(RegistryError::Command(CommandError::OtherWays(_)))), "{taken:?}");
}

#[test]
fn each_step_follows_its_own_and_no_other() {
    let at = |state: &str| {
        let mut partner = drafted(contract());
        for step in match state {
            "draft" => vec![],
            "reviewed" => vec![(Step::Review, "bob")],
            "approved" => {
                vec![(Step::Review, "bob"), (Step::Approve, "bob"), (Step::Approve, "cho")]
            }
            _ => {
                partner = active(contract());
                match state {
                    "suspended" => vec![(Step::Suspend, "ann")],
                    "ended" => vec![(Step::End, "ann")],
                    _ => vec![],
                }
            }
        } {
            take(&mut partner, step.0, step.1).unwrap();
        }
        assert_eq!(partner.state(NOW_MS / 1000), state);
        partner
    };
    let allowed = [
        ("draft", vec![Step::Review, Step::End]),
        ("reviewed", vec![Step::Approve, Step::End]),
        ("approved", vec![Step::Activate, Step::End]),
        ("active", vec![Step::Suspend, Step::End]),
        ("suspended", vec![Step::Resume, Step::End]),
        ("ended", vec![]),
    ];
    for (state, steps) in allowed {
        for step in Step::ALL {
            let taken = take(&mut at(state), step, "dan");
            assert_eq!(taken.is_ok(), steps.contains(&step), "{state}, {step:?}: {taken:?}");
        }
    }
}

#[test]
fn nobody_agrees_without_an_nda_a_contract_and_its_last_day_nor_once_that_is_over() {
    for (missing, said) in
        [("nda", "NDA"), ("contract", "contract's number"), ("until", "last day"), ("task", "task")]
    {
        let mut without = contract();
        let text = match missing {
            "nda" => &mut without.nda,
            "contract" => &mut without.contract,
            "until" => &mut without.until,
            _ => &mut without.task,
        };
        text.clear();
        let mut partner = drafted(without);
        take(&mut partner, Step::Review, "bob").unwrap();
        let told = take(&mut partner, Step::Approve, "bob").unwrap_err().to_string();
        assert!(told.contains(said), "{told}");
    }
    let mut partner = drafted(Contract { until: "2027-01-14".to_owned(), ..contract() });
    take(&mut partner, Step::Review, "bob").unwrap();
    let over = take(&mut partner, Step::Approve, "bob");
    assert!(matches!(over, Err(RegistryError::Over(_))), "{over:?}");
}

#[test]
fn a_level_below_the_policys_and_a_purpose_that_it_lacks_refuse_activation() {
    let activated = |contract: Contract| {
        let mut partner = drafted(contract);
        take(&mut partner, Step::Review, "bob").unwrap();
        take(&mut partner, Step::Approve, "bob").unwrap();
        take(&mut partner, Step::Approve, "cho").unwrap();
        take(&mut partner, Step::Activate, "ann")
    };
    let level = activated(Contract { level: 1, ..contract() });
    assert!(matches!(level, Err(RegistryError::Level { has: 1, asks: 2 })), "{level:?}");
    let purposes = vec!["profiling".to_owned()];
    let purpose = activated(Contract { purposes, ..contract() });
    assert!(matches!(purpose, Err(RegistryError::Purpose(_))), "{purpose:?}");
    activated(contract()).unwrap();
}

#[test]
fn a_renewal_goes_its_own_way_while_the_old_contract_holds_and_ends_no_suspension() {
    let mut partner = active(contract());
    partner.draft(
        Contract { contract: "C-119".to_owned(), ..contract() },
        Signature::of(&doer("ann"), NOW_MS),
    );
    assert_eq!(partner.state(NOW_MS / 1000), "active");
    take(&mut partner, Step::Review, "bob").unwrap();
    take(&mut partner, Step::Approve, "bob").unwrap();
    take(&mut partner, Step::Approve, "cho").unwrap();
    take(&mut partner, Step::Suspend, "dan").unwrap();
    assert!(matches!(
        take(&mut partner, Step::Activate, "ann"),
        Err(RegistryError::State { state: "suspended", .. })
    ));
    take(&mut partner, Step::Resume, "dan").unwrap();
    take(&mut partner, Step::Activate, "ann").unwrap();
    assert_eq!(partner.contract.unwrap().contract, "C-119");
    assert_eq!((partner.standing, partner.since_ms), (Standing::Active, Some(NOW_MS)));
}

#[test]
fn a_draft_that_is_written_anew_loses_whoever_agreed() {
    let mut partner = drafted(contract());
    take(&mut partner, Step::Review, "bob").unwrap();
    take(&mut partner, Step::Approve, "bob").unwrap();
    let purposes = vec!["delivery".to_owned(), "payment".to_owned()];
    partner.draft(Contract { purposes, ..contract() }, Signature::of(&doer("cho"), NOW_MS));
    let proposal = partner.proposal.unwrap();
    assert_eq!((proposal.stage, proposal.approved.len()), (Stage::Draft, 0));
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let wrong = json!({
        "task": 7, "country": "Siam", "until": "soon", "purposes": [1], "level": 4, "colour": "red",
    });
    let told = Contract::read(&members(wrong)).unwrap_err().to_string();
    for name in ["`task`", "`country`", "`until`", "`purposes`", "`level`", "`colour`"] {
        assert!(told.contains(name), "{name}: {told}");
    }
    let told = Particulars::read(&members(json!({ "owner": "" }))).unwrap_err().to_string();
    for name in ["`registration`", "`owner`", "`contact`"] {
        assert!(told.contains(name), "{name}: {told}");
    }
}

/// A state in a folder of its own.
struct House {
    _dir: tempfile::TempDir,
    store: Store,
    clock: Clock,
}

impl House {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::fixed(NOW_MS);
        let store = Store::open(dir.path(), &key(), clock.clone()).unwrap();
        Self { _dir: dir, store, clock }
    }

    fn office(&self) -> Office {
        Office::new(self.store.clone(), &key(), self.clock.clone()).unwrap()
    }

    async fn known(&self) -> Registry {
        let registry = Registry::new(self.office());
        learn(&registry).await;
        registry
    }
}

fn key() -> MasterKey {
    MasterKey::from_bytes([5; 32])
}

async fn learn(registry: &Registry) {
    while let Some(news) = registry.look().await.unwrap() {
        registry.install(news, true);
    }
}

async fn admit(office: &Office) {
    office.set_demands(&demands()).await.unwrap();
    office.draft(&doer("ann"), "fast-parcel", contract(), WHY).await.unwrap();
    for (step, who) in [
        (Step::Review, "bob"),
        (Step::Approve, "bob"),
        (Step::Approve, "cho"),
        (Step::Activate, "ann"),
    ] {
        office.take(&doer(who), "fast-parcel", step, WHY).await.unwrap();
    }
}

const STRICT: Asks = Asks { partners: true, tenants: true, level: 2 };

fn ask(registry: &Registry, purpose: &str, now_ms: i64, asks: Asks) -> Option<&'static str> {
    let partners = ["fast-parcel".to_owned()];
    let purpose = Some(purpose);
    let asked = Asked { partners: &partners, tenants: &[], purpose, now_s: now_ms / 1000 };
    registry.unfit(&asked, asks).map(|unfit| unfit.cause())
}

#[tokio::test]
async fn a_partner_asks_in_its_contract_until_its_last_day_is_over() {
    let house = House::new();
    let office = house.office();
    let registry = house.known().await;
    assert_eq!(ask(&registry, "delivery", NOW_MS, STRICT), Some("partner_not_admitted"));
    assert_eq!(ask(&registry, "delivery", NOW_MS, Asks::default()), None, "not asked for");
    admit(&office).await;
    learn(&registry).await;
    let last_day_ends = NOW_MS / DAY_MS * DAY_MS + 167 * DAY_MS;
    for (purpose, at, told) in [
        ("delivery", NOW_MS, None),
        ("payment", NOW_MS, Some("purpose_not_in_contract")),
        ("delivery", last_day_ends - 1000, None),
        ("delivery", last_day_ends, Some("contract_over")),
    ] {
        assert_eq!(ask(&registry, purpose, at, STRICT), told, "{purpose} at {at}");
        assert_eq!(ask(&registry, purpose, at, Asks { level: 2, ..Asks::default() }), told);
    }
    let higher = Asks { level: 3, ..STRICT };
    assert_eq!(ask(&registry, "delivery", NOW_MS, higher), Some("partner_not_admitted"));
    office.take(&doer("dan"), "fast-parcel", Step::Suspend, WHY).await.unwrap();
    learn(&registry).await;
    let suspended = ask(&registry, "delivery", NOW_MS, Asks::default());
    assert_eq!(suspended, Some("partner_not_admitted"));
}

#[tokio::test]
async fn what_lets_somebody_ask_holds_once_it_is_recorded_and_what_forbids_at_once() {
    let house = House::new();
    let (office, registry) = (house.office(), house.known().await);
    admit(&office).await;
    registry.install(registry.look().await.unwrap().unwrap(), false);
    assert_eq!(ask(&registry, "delivery", NOW_MS, STRICT), Some("partner_not_admitted"));
    learn(&registry).await;
    assert_eq!(ask(&registry, "delivery", NOW_MS, STRICT), None);
    office.take(&doer("dan"), "fast-parcel", Step::End, WHY).await.unwrap();
    registry.install(registry.look().await.unwrap().unwrap(), false);
    assert_eq!(ask(&registry, "delivery", NOW_MS, STRICT), Some("partner_not_admitted"));
}

#[tokio::test]
async fn a_row_that_was_written_without_the_key_admits_nobody() {
    let house = House::new();
    let (office, registry) = (house.office(), house.known().await);
    admit(&office).await;
    let newest = house.store.registered("partner", "fast-parcel").await.unwrap().unwrap();
    // What is sealed for one name is nothing under another.
    let row = NewRegistryRow {
        kind: "partner".to_owned(),
        name: "other".to_owned(),
        sealed: newest.sealed,
        after: 0,
    };
    house.store.put_registered(row, RegistryStep::default()).await.unwrap();
    learn(&registry).await;
    let partners = ["other".to_owned()];
    let asked = Asked {
        partners: &partners,
        tenants: &[],
        purpose: Some("delivery"),
        now_s: NOW_MS / 1000,
    };
    assert!(matches!(registry.unfit(&asked, Asks::default()), Some(Unfit::Partner(..))));
    let read = office.history(Kind::Partner, "other").await;
    assert!(matches!(read, Err(RegistryError::Damaged(..))));
    // It hides no other, and another draft mends it, which admits nobody yet.
    let all = office.all(Kind::Partner).await.unwrap();
    assert_eq!((all.noted.len(), all.unreadable), (1, vec!["other".to_owned()]));
    assert_eq!(office.published().await.unwrap().partners.len(), 1);
    let mended = office.draft(&doer("ann"), "other", contract(), WHY).await.unwrap();
    assert_eq!(mended.standing, Standing::Ended);
    learn(&registry).await;
    assert!(matches!(registry.unfit(&asked, Asks::default()), Some(Unfit::Partner(..))));
    assert_eq!(office.history(Kind::Partner, "other").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_partner_was_added_though_the_clock_went_on_between_the_step_and_its_row() {
    let house = House::new();
    let office = house.office();
    admit(&office).await;
    let mut steps = office.history(Kind::Partner, "fast-parcel").await.unwrap();
    steps.last_mut().unwrap().at_ms += 1;
    let told = |steps: &[Noted]| -> Vec<&str> {
        changes_of(steps, NOW_MS / 1000).iter().map(|one| one.change).collect()
    };
    assert_eq!(told(&steps), ["added"]);
    // Of the same step nobody knows it whose beginning is forgotten.
    for noted in &mut steps {
        noted.at_ms += 1_000;
    }
    assert_eq!(told(&steps), ["changed"]);
}

#[tokio::test]
async fn every_step_is_an_act_with_who_and_why_and_the_history_has_it() {
    let house = House::new();
    let office = house.office();
    admit(&office).await;
    let acts = house.store.pending_acts().await.unwrap();
    let names: Vec<_> = acts.iter().map(|act| (act.name.as_str(), act.done_by.as_str())).collect();
    let all = [
        ("partner_drafted", "ann"),
        ("partner_reviewed", "bob"),
        ("partner_approved", "bob"),
        ("partner_approved", "cho"),
        ("partner_activated", "ann"),
    ];
    assert_eq!(names, all);
    let last = acts.last().unwrap();
    assert_eq!((last.object.as_str(), last.reason.as_str()), ("partner fast-parcel", WHY));
    assert_eq!(last.approved_by, "bob, cho");
    assert!(last.detail.contains("C-118") && last.detail.contains("level 2"), "{}", last.detail);
    let history = office.history(Kind::Partner, "fast-parcel").await.unwrap();
    let steps: Vec<_> = history.iter().map(|noted| (&*noted.act, &*noted.by)).collect();
    assert_eq!(steps, all);
}

#[tokio::test]
async fn a_step_without_a_reason_or_beside_another_is_not_taken() {
    let house = House::new();
    let office = house.office();
    let told = office.draft(&doer("ann"), "fast-parcel", contract(), " ").await;
    assert!(matches!(told, Err(RegistryError::Command(CommandError::Reason))));
    office.draft(&doer("ann"), "fast-parcel", contract(), WHY).await.unwrap();
    let row = NewRegistryRow {
        kind: "partner".to_owned(),
        name: "fast-parcel".to_owned(),
        sealed: vec![],
        after: 0,
    };
    let raced = house.store.put_registered(row, RegistryStep::default()).await;
    assert!(raced.is_err(), "it follows a row that is no longer the newest");
    for name in ["", " x", "a\nb", &"x".repeat(101)] {
        let told = office.draft(&doer("ann"), name, contract(), WHY).await;
        assert!(matches!(told, Err(RegistryError::Name(_))), "{name}");
    }
}

#[tokio::test]
async fn a_tenant_is_served_while_it_is_active_and_nobody_resumes_it_by_a_correction() {
    let house = House::new();
    let (office, registry) = (house.office(), house.known().await);
    let particulars = Particulars {
        registration: "R-1".to_owned(),
        owner: "Lin".to_owned(),
        contact: "lin@shop.example".to_owned(),
    };
    let cause = |asks: Asks| {
        let tenants = ["shop".to_owned()];
        let asked = Asked { partners: &[], tenants: &tenants, purpose: None, now_s: 0 };
        registry.unfit(&asked, asks).map(|unfit| unfit.cause())
    };
    assert_eq!(cause(STRICT), Some("tenant_not_active"));
    assert_eq!(cause(Asks::default()), None);
    office.put_tenant(&doer("ann"), "shop", particulars.clone(), WHY).await.unwrap();
    learn(&registry).await;
    assert_eq!(cause(STRICT), None);
    office.turn_tenant(&doer("ann"), "shop", Turn::Suspended, WHY).await.unwrap();
    let again = office.put_tenant(&doer("ann"), "shop", particulars.clone(), WHY).await.unwrap();
    assert_eq!(again.turn, Turn::Suspended);
    learn(&registry).await;
    assert_eq!(
        (cause(STRICT), cause(Asks::default())),
        (Some("tenant_not_active"), Some("tenant_not_active"))
    );
    office.turn_tenant(&doer("ann"), "shop", Turn::Active, WHY).await.unwrap();
    learn(&registry).await;
    assert_eq!(cause(STRICT), None);
    office.turn_tenant(&doer("ann"), "shop", Turn::Ended, WHY).await.unwrap();
    let mut ended =
        Tenant { name: "shop".to_owned(), particulars, turn: Turn::Ended, since_ms: NOW_MS };
    assert!(ended.turn_to(Turn::Active).is_err() && ended.turn_to(Turn::Ended).is_err());
    assert_eq!(office.history(Kind::Tenant, "shop").await.unwrap().len(), 5);
}

#[tokio::test]
async fn the_history_is_kept_three_years_and_what_holds_for_ever() {
    let house = House::new();
    let office = house.office();
    admit(&office).await;
    house.clock.advance_ms(3 * 365 * DAY_MS);
    office.tidy().await.unwrap();
    assert_eq!(office.history(Kind::Partner, "fast-parcel").await.unwrap().len(), 5);
    house.clock.advance_ms(4 * DAY_MS);
    office.tidy().await.unwrap();
    let left = office.history(Kind::Partner, "fast-parcel").await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left.last().unwrap().act, "partner_activated");
}

#[tokio::test]
async fn there_is_an_end_to_how_many_are_registered() {
    let house = House::new();
    let office = house.office();
    for name in ["a", "b", "c", "d", "e"] {
        office.draft(&doer("ann"), name, contract(), WHY).await.unwrap();
    }
    let told = office.draft(&doer("ann"), "f", contract(), WHY).await;
    assert!(matches!(told, Err(RegistryError::Full)), "{told:?}");
    office.draft(&doer("ann"), "a", contract(), WHY).await.unwrap();
    let purposes = (0..32).map(|n| format!("{n:064}")).collect();
    let long = Contract { purposes, task: "t".repeat(300), ..contract() };
    office.draft(&doer("ann"), "a", long.clone(), WHY).await.unwrap();
    let told = office.draft(&doer("ann"), "a", long, &"w".repeat(2000)).await;
    assert!(told.is_ok() || matches!(told, Err(RegistryError::TooLong)), "{told:?}");
}

#[test]
fn a_contract_covers_a_field_by_its_name_or_by_what_it_stands_in() {
    let of = |fields: &[&str]| Contract {
        fields: fields.iter().map(ToString::to_string).collect(),
        ..contract()
    };
    for (fields, field, covered) in [
        (&[][..], "customer.phone", true),
        (&["customer.phone"], "customer.phone", true),
        (&["customer"], "customer.address.city", true),
        (&["customer.address"], "customer.address.city", true),
        (&["customer.address.city"], "customer.address", false),
        (&["customer"], "customers.phone", false),
        (&["customer.phone"], "customer.phones", false),
        (&["order"], "customer.phone", false),
        (&["customer"], "", false),
    ] {
        assert_eq!(of(fields).covers(field), covered, "{fields:?} {field}");
    }
}

#[tokio::test]
async fn a_row_of_a_kind_that_nobody_knows_is_passed_over_once() {
    let house = House::new();
    let registry = house.known().await;
    let (kind, name) = ("guild".to_owned(), "x".to_owned());
    let row = NewRegistryRow { kind, name, sealed: vec![1], after: 0 };
    house.store.put_registered(row, RegistryStep::default()).await.unwrap();
    let news = registry.look().await.unwrap().unwrap();
    registry.install(news, true);
    assert!(registry.look().await.unwrap().is_none(), "whoever asks waits for this");
}
