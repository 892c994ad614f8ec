//! Reviews of accesses, on a state and a clock of their own.

use std::collections::BTreeSet;

use super::*;
use crate::command::{Desk, Kind, Switches, Way};
use crate::secret::MasterKey;

const NOW_MS: i64 = 1_800_000_000_000;

struct Place {
    _folder: tempfile::TempDir,
    clock: Clock,
    store: Store,
    campaigns: Campaigns,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::fixed(NOW_MS);
        let key = MasterKey::from_bytes([3; 32]);
        let store = Store::open(&folder.path().join("state"), &key, clock.clone()).unwrap();
        let campaigns = Campaigns::new(store.clone(), clock.clone());
        Self { _folder: folder, clock, store, campaigns }
    }

    async fn open(&self, rights: &[(&str, &str)]) -> Result<i64, CampaignError> {
        let right = |(whose, role): &(&str, &str)| Right {
            whose: (*whose).to_owned(),
            role: (*role).to_owned(),
            proposal: "keep".to_owned(),
            ..Right::default()
        };
        self.campaigns
            .open(&doer("lin"), "half a year", 14, rights.iter().map(right).collect())
            .await
    }

    async fn decide(&self, id: i64, by: &str, judged: Judged) -> Result<(), CampaignError> {
        let counted_as = |account: &str| account.trim_start_matches("corp:").to_owned();
        self.campaigns.decide(&doer(by), id, vec![judged], counted_as).await
    }

    /// The rights that are switched off.
    async fn off(&self) -> Vec<String> {
        let rows = self.store.switches().await.unwrap();
        rows.into_iter().filter(|row| row.kind == "right").map(|row| row.name).collect()
    }

    async fn acts(&self) -> Vec<(String, String, String)> {
        let acts = self.store.pending_acts().await.unwrap();
        acts.into_iter().map(|act| (act.name, act.object, act.detail)).collect()
    }
}

fn doer(name: &str) -> Doer {
    Doer { name: name.to_owned(), person: name.to_owned() }
}

fn judged(whose: &str, role: &str, verdict: Verdict) -> Judged {
    Judged { whose: whose.to_owned(), role: role.to_owned(), verdict, remark: "seen".to_owned() }
}

fn act(name: &str, object: &str, detail: &str) -> (String, String, String) {
    (name.to_owned(), object.to_owned(), detail.to_owned())
}

#[tokio::test]
async fn what_nobody_attested_in_time_is_switched_off_and_what_was_attested_stays() {
    let place = Place::new();
    let id = place
        .open(&[("corp:wang", "teller"), ("corp:wang", "vip"), ("li", "teller")])
        .await
        .unwrap();
    place.decide(id, "lin", judged("corp:wang", "teller", Verdict::Attested)).await.unwrap();
    place.decide(id, "lin", judged("li", "teller", Verdict::Removed)).await.unwrap();
    assert_eq!(place.off().await, ["teller@li"], "what is removed goes at once");
    place.clock.advance_ms(14 * DAY_MS - 1);
    assert_eq!(place.campaigns.close_due().await.unwrap(), []);
    place.clock.advance_ms(1);
    assert_eq!(place.campaigns.close_due().await.unwrap(), [(id, 1)]);
    assert_eq!(place.campaigns.close_due().await.unwrap(), [], "once");
    assert_eq!(place.off().await, ["teller@li", "vip@corp:wang"]);
    let rights = place.campaigns.rights(id).await.unwrap();
    let verdicts: Vec<_> =
        rights.iter().map(|r| (r.verdict.as_str(), r.decided_by.as_str())).collect();
    assert_eq!(verdicts, [("attested", "lin"), ("lapsed", ""), ("removed", "lin")]);
    let campaign = format!("campaign {id}");
    assert_eq!(
        place.acts().await,
        [
            act("campaign_opened", &campaign, "3 rights"),
            act("right_attested", &campaign, "teller@corp:wang"),
            act("right_removed", &campaign, "teller@li"),
            act("switch_on", "right teller@li", ""),
            act("switch_on", "right vip@corp:wang", ""),
            act("campaign_closed", &campaign, "1 rights lapsed"),
        ]
    );
}

#[tokio::test]
async fn nobody_decides_on_their_own_rights_under_whichever_account() {
    let place = Place::new();
    let id = place.open(&[("corp:wang", "teller"), ("li", "teller")]).await.unwrap();
    for (by, whose) in [("li", "li"), ("wang", "corp:wang")] {
        let decided = place.decide(id, by, judged(whose, "teller", Verdict::Attested)).await;
        assert!(matches!(decided, Err(CampaignError::Oneself(_))), "{whose}");
    }
    assert!(place.campaigns.rights(id).await.unwrap().iter().all(|right| right.verdict.is_empty()));
}

#[tokio::test]
async fn nobody_decides_on_their_own_rights_as_a_person_with_several_accounts() {
    let place = Place::new();
    let id = place.open(&[("e1042", "teller")]).await.unwrap();
    let reviewer = Doer { name: "corp:wang".to_owned(), person: "person/e1042".to_owned() };
    let own = vec![judged("e1042", "teller", Verdict::Attested)];
    let decided = place.campaigns.decide(&reviewer, id, own, str::to_owned).await;
    assert!(matches!(decided, Err(CampaignError::Oneself(_))));
}

#[tokio::test]
async fn of_many_verdicts_all_count_or_none() {
    let place = Place::new();
    let id = place.open(&[("li", "teller")]).await.unwrap();
    let both =
        vec![judged("li", "teller", Verdict::Removed), judged("li", "vip", Verdict::Removed)];
    let decided = place.campaigns.decide(&doer("lin"), id, both, str::to_owned).await;
    assert!(matches!(decided, Err(CampaignError::NotThere(right)) if right == "vip@li"));
    assert_eq!(place.off().await, [] as [&str; 0]);
    let twice =
        vec![judged("li", "teller", Verdict::Removed), judged("li", "teller", Verdict::Attested)];
    let decided = place.campaigns.decide(&doer("lin"), id, twice, str::to_owned).await;
    assert!(matches!(decided, Err(CampaignError::Number)));
}

#[tokio::test]
async fn a_review_that_is_over_or_never_was_decides_nothing() {
    let place = Place::new();
    let id = place.open(&[("li", "teller")]).await.unwrap();
    let late = || judged("li", "teller", Verdict::Attested);
    assert!(matches!(place.decide(id + 1, "lin", late()).await, Err(CampaignError::NotRunning(_))));
    // Also in the moment between its end and the gate's look at it.
    place.clock.advance_ms(14 * DAY_MS);
    assert!(matches!(place.decide(id, "lin", late()).await, Err(CampaignError::NotRunning(_))));
    place.campaigns.close_due().await.unwrap();
    assert!(matches!(place.decide(id, "lin", late()).await, Err(CampaignError::NotRunning(_))));
    assert_eq!(place.off().await, ["teller@li"]);
}

#[tokio::test]
async fn a_review_whose_rights_could_not_all_lapse_does_not_open() {
    let place = Place::new();
    // The state of a test has room for seven rights that are off.
    let many: Vec<String> = (0..8).map(|n| format!("p{n}")).collect();
    let rights: Vec<(&str, &str)> = many.iter().map(|whose| (whose.as_str(), "teller")).collect();
    assert!(matches!(place.open(&rights).await, Err(CampaignError::Full)));
    place.open(&rights[..4]).await.unwrap();
    assert!(
        matches!(place.open(&rights[4..]).await, Err(CampaignError::Full)),
        "beside the one that runs"
    );
    place.open(&rights[4..7]).await.unwrap();
    place.clock.advance_ms(14 * DAY_MS);
    // Two at a time in a test, of each review.
    assert_eq!(place.campaigns.close_due().await.unwrap(), []);
    assert_eq!(place.off().await.len(), 4);
    assert_eq!(place.campaigns.close_due().await.unwrap(), [(1, 4), (2, 3)]);
    assert_eq!(place.off().await.len(), 7);
}

#[tokio::test]
async fn what_cannot_be_a_review_is_refused() {
    let place = Place::new();
    let open = |days: u32, about: &'static str, rights: Vec<Right>| {
        let campaigns = place.campaigns.clone();
        async move { campaigns.open(&doer("lin"), about, days, rights).await }
    };
    let right = |role: &str, whose: &str| {
        vec![Right { whose: whose.to_owned(), role: role.to_owned(), ..Right::default() }]
    };
    assert!(matches!(open(14, "", Vec::new()).await, Err(CampaignError::Empty)));
    assert!(matches!(open(0, "", right("teller", "li")).await, Err(CampaignError::Time)));
    assert!(matches!(open(93, "", right("teller", "li")).await, Err(CampaignError::Time)));
    assert!(matches!(open(14, "a\nb", right("teller", "li")).await, Err(CampaignError::Remark)));
    assert!(matches!(open(14, "", right("", "li")).await, Err(CampaignError::NoRight(_))));
    assert!(matches!(
        open(14, "", right("teller", "a\u{7}")).await,
        Err(CampaignError::NoRight(_))
    ));
    assert!(place.campaigns.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_right_that_lapsed_comes_back_by_a_switch_and_not_by_attesting_it_late() {
    let place = Place::new();
    let id = place.open(&[("corp:wang@x.example", "teller")]).await.unwrap();
    place.clock.advance_ms(14 * DAY_MS);
    place.campaigns.close_due().await.unwrap();
    let switches = Switches::new(place.store.clone());
    let look = async || {
        if let Some(news) = switches.look().await.unwrap() {
            switches.install(news, true);
        }
    };
    let roles = ["teller".to_owned(), "vip".to_owned()];
    let lacks = || switches.without_right(&roles, &["e1042", "corp:wang@x.example"]);
    look().await;
    let right = Target::right("teller", "corp:wang@x.example").unwrap();
    assert_eq!((lacks(), switches.count(Kind::Right)), (vec![right.clone()], 1));
    assert_eq!(switches.without_right(&roles, &["corp:wang"]), [], "nobody else's");
    let desk = Desk::new(place.store.clone(), place.clock.clone());
    desk.turn(&doer("lin"), Way::Off, &right, "attested late").await.unwrap();
    look().await;
    assert_eq!(lacks(), []);
    assert_eq!(place.campaigns.reviewed().await.unwrap(), [("teller".to_owned(), NOW_MS)]);
    assert_eq!(place.campaigns.list().await.unwrap()[0].id, id);
}

#[test]
fn what_was_not_used_lately_is_proposed_to_go_and_who_asked_nothing_is_dormant() {
    let day = |n: i64| NOW_MS - n * DAY_MS;
    let mut used = Used::default();
    let held = |whose, at_ms| Held { whose, roles: &["teller", "vip"], at_ms };
    used.asked(held("wang", day(100)), |_| true);
    used.asked(held("wang", day(10)), |role| role == "teller");
    used.asked(held("wang", day(20)), |role| role == "teller");
    used.asked(held("li", day(120)), |_| true);
    used.has("chen", &["teller".to_owned()]);
    used.has("wang", &["teller".to_owned()]);
    let told = |roles: &[&str]| -> Vec<(String, String, Option<i64>, String)> {
        let roles: BTreeSet<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        let rights = proposed(used.clone(), &roles, NOW_MS, 90);
        rights.into_iter().map(|r| (r.whose, r.role, r.used_ms, r.proposal)).collect()
    };
    let row = |whose: &str, role: &str, used_ms, proposal: &str| {
        (whose.to_owned(), role.to_owned(), used_ms, proposal.to_owned())
    };
    assert_eq!(
        told(&[]),
        [
            row("chen", "teller", None, "dormant"),
            row("li", "teller", Some(day(120)), "dormant"),
            row("li", "vip", Some(day(120)), "dormant"),
            row("wang", "teller", Some(day(10)), "keep"),
            row("wang", "vip", Some(day(100)), "unused"),
        ]
    );
    assert_eq!(told(&["vip"]).len(), 2);
}
