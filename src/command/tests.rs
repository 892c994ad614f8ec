//! What is commanded, on a state of its own.

use super::*;
use crate::clock::Clock;
use crate::secret::MasterKey;
use crate::state::Store;

struct Place {
    _folder: tempfile::TempDir,
    clock: Clock,
    desk: Desk,
    switches: Switches,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::fixed(1_800_000_000_000);
        let key = MasterKey::from_bytes([3; 32]);
        let store = Store::open(&folder.path().join("state"), &key, clock.clone()).unwrap();
        let desk = Desk::new(store.clone(), clock.clone());
        Self { _folder: folder, clock, desk, switches: Switches::new(store) }
    }

    async fn turn(&self, way: Way, what: &str) -> Result<Done, CommandError> {
        let (kind, name) = what.split_once(' ').unwrap_or((what, ""));
        let target = Target::new(kind.parse()?, name)?;
        self.desk.turn(&doer("lin"), way, &target, "incident 4711").await
    }

    async fn look(&self, is_recorded: bool) {
        if let Some(news) = self.switches.look().await.unwrap() {
            self.switches.install(news, is_recorded);
        }
    }

    fn stops(&self, account: &str) -> Option<String> {
        let asker = Asker {
            account,
            person: None,
            roles: &["teller".to_owned()],
            tenants: &["hq".to_owned(), "7".to_owned()],
            partners: &["acme".to_owned()],
            route: "customer.view",
            is_file: true,
        };
        self.switches.stops(&asker, |_| false).map(|target| target.to_string())
    }
}

fn doer(name: &str) -> Doer {
    Doer { name: name.to_owned(), person: name.to_owned() }
}

#[tokio::test]
async fn a_request_is_stopped_by_whatever_names_it_and_by_nothing_else() {
    let place = Place::new();
    for (what, stops) in [
        ("person wang", true),
        ("role teller", true),
        ("tenant hq", true),
        ("tenant 7", true),
        ("partner acme", true),
        ("route customer.view", true),
        ("exports", true),
        ("person teller", false),
        ("role wang", false),
        ("tenant acme", false),
        ("route customer", false),
    ] {
        place.turn(Way::On, what).await.unwrap();
        place.look(true).await;
        assert_eq!(place.stops("wang"), stops.then(|| what.to_owned()), "{what}");
        place.turn(Way::Off, what).await.unwrap();
        place.look(true).await;
        assert_eq!((place.stops("wang"), place.switches.are_any()), (None, false));
    }
}

#[tokio::test]
async fn what_could_not_be_recorded_holds_where_it_is_stricter_and_is_tried_again() {
    let place = Place::new();
    place.turn(Way::On, "person wang").await.unwrap();
    place.look(true).await;
    place.turn(Way::Off, "person wang").await.unwrap();
    place.turn(Way::On, "person li").await.unwrap();
    place.look(false).await;
    assert!(place.stops("wang").is_some() && place.stops("li").is_some());
    place.look(true).await;
    assert!(place.stops("wang").is_none() && place.stops("li").is_some());
    assert!(place.switches.look().await.unwrap().is_none(), "nothing is new");
}

#[tokio::test]
async fn nobody_passes_before_the_first_look() {
    let place = Place::new();
    assert!(place.switches.is_old());
    place.look(true).await;
    assert!(!place.switches.is_old());
}

#[tokio::test]
async fn a_running_gate_hears_of_a_reset_once_and_one_that_starts_of_none() {
    let place = Place::new();
    let reset = async |holder: &str| {
        let reset = place.desk.reset(&doer("lin"), holder, "subjects-1h", "why").await;
        assert_eq!(reset.unwrap(), Done::Changed);
    };
    let heard = async || {
        let Some(news) = place.switches.look().await.unwrap() else { return Vec::new() };
        let heard: Vec<String> = news.resets().iter().map(|reset| reset.holder.clone()).collect();
        place.switches.install(news, true);
        heard
    };
    reset("wang").await;
    assert!(heard().await.is_empty(), "the counters were read after it");
    reset("li").await;
    assert_eq!(heard().await, ["li", "person/li"]);
    assert!(heard().await.is_empty());
}

#[tokio::test]
async fn there_is_room_for_so_much_and_what_is_refused_changes_nothing() {
    let place = Place::new();
    for n in 0..5 {
        place.turn(Way::On, &format!("person p{n}")).await.unwrap();
    }
    let full = place.turn(Way::On, "person p5").await;
    assert!(matches!(full, Err(CommandError::Full)), "{full:?}");
    assert_eq!(place.desk.switches().await.unwrap().len(), 5);
    place.turn(Way::Off, "person p0").await.unwrap();
    place.turn(Way::On, "person p5").await.unwrap();
}

#[tokio::test]
async fn what_waits_is_forgotten_after_an_hour_and_makes_room() {
    let place = Place::new();
    place.desk.set_two_person(&["role".to_owned()]).await.unwrap();
    for n in 0..5 {
        let waits = place.turn(Way::On, &format!("role r{n}")).await.unwrap();
        assert!(matches!(waits, Done::Waits(_)));
    }
    assert!(matches!(place.turn(Way::On, "role r5").await, Err(CommandError::Full)));
    place.clock.advance_ms((ASK_LIFE_S + 1) * 1000);
    assert!(place.desk.asked().await.unwrap().is_empty());
    assert!(matches!(place.turn(Way::On, "role r5").await, Ok(Done::Waits(_))));
    assert!(place.desk.switches().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_asked_for_is_done_once_though_two_agree_at_once() {
    let place = Place::new();
    place.desk.set_two_person(&["exports".to_owned()]).await.unwrap();
    let Done::Waits(id) = place.turn(Way::On, "exports").await.unwrap() else { panic!() };
    let (chen, zhu) = (doer("chen"), doer("zhu"));
    let agreed = tokio::join!(place.desk.agree(&chen, id), place.desk.agree(&zhu, id));
    let done = [agreed.0, agreed.1].into_iter().filter(Result::is_ok).count();
    assert_eq!(done, 1);
    assert_eq!(place.desk.switches().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_export_takes_another_person_for_this_very_one_and_an_agreement_is_good_once() {
    let place = Place::new();
    let (lin, mei) = (doer("lin"), doer("mei"));
    let send = |name| place.desk.send(&lin, Errand::LogExport, (name, "everything"), "case 7");
    assert_eq!(send("a").await.unwrap(), Done::Already, "the policy asks nobody");
    place.desk.set_two_person(&["log-export".to_owned()]).await.unwrap();
    let take = |doer, name| place.desk.take_agreed_export(doer, name);
    let Done::Waits(id) = send("a").await.unwrap() else { panic!() };
    assert!(matches!(place.desk.agree(&lin, id).await, Err(CommandError::SamePerson)));
    assert_eq!(take(&lin, "a").await.unwrap(), None, "nobody has agreed yet");
    place.desk.agree(&mei, id).await.unwrap();
    assert_eq!(take(&mei, "a").await.unwrap(), None, "another one asked");
    assert_eq!(take(&lin, "b").await.unwrap(), None, "it was another export");
    assert_eq!(take(&lin, "a").await.unwrap(), Some("mei".to_owned()));
    assert_eq!(take(&lin, "a").await.unwrap(), None);
    let Done::Waits(id) = send("a").await.unwrap() else { panic!() };
    place.desk.agree(&mei, id).await.unwrap();
    place.clock.advance_ms(86_400_000);
    assert_eq!(take(&lin, "a").await.unwrap(), None, "a day is over");
}
