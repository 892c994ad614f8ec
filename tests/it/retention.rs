//! A customer's own use of the service, from the gate to the end of its time: first the person goes, then the rest.

use std::time::Duration;

use menshen::audit::{
    AtRest, Class, Day, Log, Opener, Period, Periods, Reader, Record, RestKey, Settings,
};
use menshen::clock::Clock;
use menshen::identity::CallerKind;
use menshen::secret::MasterKey;
use serde_json::Value;

use crate::harness::process::menshen;
use crate::harness::{Ask, Gate, NOW_S, OPEN_BANK, Reply, Setup, soon};

const WEEK_MS: i64 = 7 * 24 * 3600 * 1000;

fn periods() -> Periods {
    let period = |least, months| Period { least, months };
    Periods {
        staff_access: period(24, 36),
        customer_usage: period(6, 24),
        customer_identity: period(6, 18),
        security: period(12, 36),
        ledger: period(36, 60),
        tenants: Default::default(),
    }
}

/// Lets weeks pass over the log of a gate that is stopped.
pub(crate) async fn weeks(gate: &Gate, number: i64, clock: &Clock, periods: &Periods) {
    let (config, master) = (gate.config(), MasterKey::read(&gate.path("master.key")).unwrap());
    let settings = Settings {
        origin: format!("menshen.log/{}", config.node),
        node: config.node.clone(),
        at_rest: AtRest::UnderMaster,
        publish_interval: Duration::from_millis(1),
        ..Settings::default()
    };
    let (log, _) = Log::open(&config.log, settings, clock.clone(), &master).unwrap();
    for _ in 0..number {
        clock.advance_ms(WEEK_MS);
        let tomorrow = Day::of_ms(clock.unix_ms()).plus(1);
        let ending = format!("customer_identity-{tomorrow}");
        let made = async {
            let is_there = || {
                let mut keys = std::fs::read_dir(config.log.join("keys")).unwrap();
                keys.any(|key| key.unwrap().file_name().to_string_lossy().ends_with(&ending))
            };
            while !is_there() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        soon("a key for tomorrow", made).await;
        tokio::task::block_in_place(|| log.tend_retention(periods, &[])).unwrap();
    }
    log.close();
}

/// The entries of customers' own use, and how many of them cannot be read.
fn of_customers(gate: &Gate) -> (Vec<Value>, usize) {
    let (log, master) = (gate.path("log"), MasterKey::read(&gate.path("master.key")).unwrap());
    let opener = Opener::new(&log, vec![RestKey::new(&master).unwrap()]);
    let (mut found, mut closed) = (Vec::new(), 0);
    for read in Reader::new(&log, 0, opener) {
        match read.unwrap().1 {
            Record::Entry(entry) if entry.class == Class::CustomerUsage => {
                found.push(serde_json::to_value(&entry).unwrap());
            }
            Record::Closed(one) if one.class == Some(Class::CustomerUsage) => closed += 1,
            Record::Entry(_) | Record::Closed(_) => {}
        }
    }
    (found, closed)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_customer_did_is_a_class_of_its_own_whose_person_goes_before_the_rest() {
    let setup = Setup::policy(OPEN_BANK);
    let mut gate =
        setup.tweak(|config| config.identity.issuers[0].kind = CallerKind::Customer).start().await;
    gate.upstream.answers(Reply::json(r#"{"id":10017,"name":"somchai"}"#));
    gate.ask(Ask::get("/one/10017").by(&gate.teller())).await.expect(200);
    gate.stop().await;
    let (fresh, closed) = of_customers(&gate);
    assert_eq!((fresh.len(), closed), (2, 0), "a decision and its outcome");
    assert_eq!(fresh[0]["actor"]["kind"], "customer");
    let account = fresh[0]["actor"]["account"].as_str().unwrap().to_owned();
    assert!(fresh[0]["actor"].get("attributes").is_none(), "a customer's are a customer's data");
    let refs = |entry: &Value| entry["subjects"]["refs"].as_array().map_or(0, Vec::len);
    assert_eq!(refs(&fresh[1]), 1);

    let clock = Clock::fixed(NOW_S * 1000);
    let config = gate.path("menshen.yaml").display().to_string();
    let search = || {
        let args = ["log", "search", "--config", &config, "--subject", "customer:10017"];
        let ran = menshen(&[&args[..], &["--format", "json"]].concat());
        assert!(ran.status.success());
        String::from_utf8(ran.stdout).unwrap().lines().count()
    };
    assert_eq!(search(), 1);
    weeks(&gate, 78, &clock, &periods()).await;
    assert_eq!(of_customers(&gate).0[0]["actor"]["account"], account, "not a week too early");
    weeks(&gate, 3, &clock, &periods()).await;
    let (left, closed) = of_customers(&gate);
    assert_eq!((left.len(), closed), (2, 0));
    let text = serde_json::to_string(&left).unwrap();
    assert!(!text.contains(&account) && refs(&left[1]) == 0, "{text}");
    assert_eq!(left[0]["request"]["route"], "one.view", "the statistic stays");
    let by_scan =
        menshen(&["log", "search", "--config", &config, "--subject", "customer:10017", "--scan"]);
    let by_scan = String::from_utf8(by_scan.stdout).unwrap();
    assert!(by_scan.contains("0 shown"), "{by_scan}");

    weeks(&gate, 26, &clock, &periods()).await;
    assert_eq!(of_customers(&gate), (Vec::new(), 2), "after 24 months nothing of it is left");
    let log = gate.path("log").display().to_string();
    let verified = menshen(&["log", "verify", &log]);
    let said = String::from_utf8(verified.stdout).unwrap();
    assert!(verified.status.success() && said.contains("destroyed what"), "{said}");
}
