use super::{LONGEST_S, Link, LinkError, Links, Taken, Ticket};
use crate::clock::Clock;
use crate::secret::MasterKey;
use crate::state::Store;

const NOW_S: i64 = 1_800_000_000;

fn key() -> MasterKey {
    MasterKey::from_bytes([5; 32])
}

fn open(dir: &std::path::Path, clock: &Clock) -> Links {
    let store = Store::open(dir, &key(), clock.clone()).unwrap();
    Links::new(store, &key(), clock.clone()).unwrap()
}

fn link(account: &str, subject: &str, until_s: i64) -> Link {
    Link {
        account: account.into(),
        kind: "call".into(),
        entity: "customer".into(),
        subject: subject.into(),
        reference: "C-1".into(),
        until_s,
    }
}

fn is_tied(links: &Links, account: &str, subject: &str) -> bool {
    links.ties(account, "call", "customer", subject)
}

#[tokio::test]
async fn a_link_ties_one_account_and_one_subject_by_one_kind_until_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOW_S * 1000);
    let links = open(dir.path(), &clock);
    links.put("desk", &[link("wang", "42", NOW_S + 60)]).await.unwrap();
    assert!(!is_tied(&links, "wang", "42"), "before anybody looked");
    links.load().await.unwrap();
    assert!(is_tied(&links, "wang", "42"));
    assert!(!is_tied(&links, "li", "42") && !is_tied(&links, "wang", "43"));
    assert!(!links.ties("wang", "order", "customer", "42"));
    assert!(!links.ties("wang", "call", "guest", "42"));
    clock.advance_ms(61_000);
    assert!(!is_tied(&links, "wang", "42"));
    links.tidy().await.unwrap();
    assert_eq!(links.size().0, 0);
}

#[tokio::test]
async fn an_ended_link_stays_ended_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOW_S * 1000);
    let links = open(dir.path(), &clock);
    let both = [link("wang", "42", NOW_S + 3600), link("wang", "43", NOW_S + 3600)];
    links.put("desk", &both).await.unwrap();
    links.end("desk", &both[..1]).await.unwrap();
    links.load().await.unwrap();
    assert!(!is_tied(&links, "wang", "42") && is_tied(&links, "wang", "43"));
    let again = open(dir.path(), &clock);
    again.load().await.unwrap();
    assert!(!is_tied(&again, "wang", "42") && is_tied(&again, "wang", "43"));
    assert_eq!(again.end_all("desk", "wang").await.unwrap(), 1);
    assert_eq!(again.end_all("desk", "wang").await.unwrap(), 0, "none stands");
    again.load().await.unwrap();
    assert!(!is_tied(&again, "wang", "43"));
    let history = again.history("wang").await.unwrap();
    let told: Vec<_> = history.iter().map(|row| (row.is_put, row.done_by.as_str())).collect();
    let ends = [(false, "desk"); 4];
    assert_eq!(told, [&ends[..], &[(true, "desk"), (true, "desk")]].concat());
    let kinds: Vec<_> = history.iter().map(|row| row.kind.as_str()).collect();
    assert_eq!(kinds, ["*", "*", "call", "call", "call", "call"], "all of the account, twice");
    let subjects = history.iter().filter(|row| row.kind != "*").map(|row| row.subject.len());
    assert_eq!(subjects.collect::<Vec<_>>(), [22; 4], "never the key itself");
}

#[tokio::test]
async fn what_ends_is_told_as_many_as_stood_and_what_could_be_no_link_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOW_S * 1000);
    let links = open(dir.path(), &clock);
    let one = link("wang", "42", NOW_S + 60);
    links.put("desk", std::slice::from_ref(&one)).await.unwrap();
    let typo = Link { kind: "cal".into(), ..one.clone() };
    let end = async |link: &Link| links.end("desk", std::slice::from_ref(link)).await;
    assert_eq!(end(&typo).await.unwrap(), 0);
    assert_eq!(end(&one).await.unwrap(), 1);
    assert_eq!(end(&one).await.unwrap(), 0, "it was ended");
    links.put("desk", std::slice::from_ref(&one)).await.unwrap();
    clock.advance_ms(61_000);
    assert_eq!(end(&one).await.unwrap(), 0, "it is over");
    for bad in [
        Link { account: "w".repeat(256), ..one.clone() },
        Link { kind: "Call".into(), ..one.clone() },
        Link { subject: String::new(), ..one.clone() },
        Link { reference: "guest Zhang".into(), ..one.clone() },
    ] {
        assert!(matches!(end(&bad).await, Err(LinkError::Form(..))), "{bad:?}");
    }
    let nobody = links.end_all("desk", "").await;
    assert!(matches!(nobody, Err(LinkError::Form("account", _))), "{nobody:?}");
}

#[tokio::test]
async fn where_links_are_put_all_the_time_those_that_are_known_go_on_to_hold() {
    let dir = tempfile::tempdir().unwrap();
    let links = open(dir.path(), &Clock::fixed(NOW_S * 1000));
    links.put("desk", &[link("wang", "42", NOW_S + 3600)]).await.unwrap();
    links.load().await.unwrap();
    for n in 0..4 {
        links.put("desk", &[link("li", &n.to_string(), NOW_S + 3600)]).await.unwrap();
        tokio::time::pause();
        tokio::time::advance(std::time::Duration::from_secs(3)).await;
        tokio::time::resume();
        let news = links.look().await.unwrap().expect("one was put");
        assert!(news.is_all());
        links.install(news);
        assert!(is_tied(&links, "wang", "42"), "{n}");
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_brings_no_link_to_life_again() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOW_S * 1000);
    let links = open(dir.path(), &clock);
    links.put("desk", &[link("wang", "42", NOW_S + 60)]).await.unwrap();
    links.load().await.unwrap();
    clock.advance_ms(61_000);
    assert!(!is_tied(&links, "wang", "42"));
    // The steady clock of a test goes along with the other; a link of the future stands for one that was put ahead.
    let ahead = Clock::fixed((NOW_S + 9_000) * 1000);
    open(dir.path(), &ahead).put("desk", &[link("wang", "43", NOW_S + 9_600)]).await.unwrap();
    links.load().await.unwrap();
    assert!(!is_tied(&links, "wang", "43"), "it was put by a clock that runs ahead");
}

#[tokio::test]
async fn what_can_be_no_link_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let links = open(dir.path(), &Clock::fixed(NOW_S * 1000));
    let refused = async |link: Link| links.put("desk", &[link]).await.unwrap_err();
    let good = link("wang", "42", NOW_S + 60);
    for until_s in [NOW_S, NOW_S - 1, NOW_S + LONGEST_S + 1, i64::MAX, i64::MIN] {
        let error = refused(Link { until_s, ..good.clone() }).await;
        assert!(matches!(error, LinkError::Until), "{until_s}: {error}");
    }
    for bad in [
        Link { account: String::new(), ..good.clone() },
        Link { subject: "4\n2".into(), ..good.clone() },
        Link { subject: "4".repeat(256), ..good.clone() },
        Link { kind: "Call".into(), ..good.clone() },
        Link { entity: String::new(), ..good.clone() },
        Link { reference: "guest Zhang".into(), ..good.clone() },
    ] {
        let error = refused(bad).await;
        assert!(matches!(error, LinkError::Form(..)), "{error}");
    }
    assert!(matches!(links.put("desk", &[]).await, Err(LinkError::Number)));
    let many = vec![good; 1001];
    assert!(matches!(links.put("desk", &many).await, Err(LinkError::Number)));
}

#[tokio::test]
async fn a_ticket_is_taken_once_also_after_a_restart_and_opens_no_ended_case_again() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOW_S * 1000);
    let links = open(dir.path(), &clock);
    let one = link("wang", "42", NOW_S + 3600);
    let ticket = |id, issued_s| Ticket { issuer: "queue", id, issued_s };
    assert_eq!(links.take_ticket(&one, &ticket("T1", NOW_S)).await.unwrap(), Taken::Now);
    links.load().await.unwrap();
    assert!(is_tied(&links, "wang", "42"));
    clock.advance_ms(500);
    links.end("desk", std::slice::from_ref(&one)).await.unwrap();
    let again = open(dir.path(), &clock);
    let take = async |id, issued_s| again.take_ticket(&one, &ticket(id, issued_s)).await.unwrap();
    assert_eq!(take("T1", NOW_S).await, Taken::Before);
    assert_eq!(take("T2", NOW_S).await, Taken::Ended, "it was made before and kept back");
    again.load().await.unwrap();
    assert!(!is_tied(&again, "wang", "42"));
    clock.advance_ms(500);
    assert_eq!(take("T3", NOW_S + 1).await, Taken::Now, "another case");
    clock.advance_ms(500);
    again.end_all("desk", "wang").await.unwrap();
    let other = link("wang", "43", NOW_S + 3600);
    let taken = again.take_ticket(&other, &ticket("T4", NOW_S + 1)).await.unwrap();
    assert_eq!(taken, Taken::Ended, "all that the account had");
}

#[tokio::test]
async fn of_many_who_show_a_ticket_at_once_one_takes_it() {
    let dir = tempfile::tempdir().unwrap();
    let links = std::sync::Arc::new(open(dir.path(), &Clock::fixed(NOW_S * 1000)));
    let tasks: tokio::task::JoinSet<Taken> = (0..32)
        .map(|_| {
            let links = std::sync::Arc::clone(&links);
            async move {
                let one = link("wang", "42", NOW_S + 60);
                let ticket = Ticket { issuer: "queue", id: "T1", issued_s: NOW_S };
                links.take_ticket(&one, &ticket).await.unwrap()
            }
        })
        .collect();
    let taken = tasks.join_all().await;
    assert_eq!(taken.iter().filter(|taken| **taken == Taken::Now).count(), 1);
}

#[tokio::test]
async fn what_nobody_looked_for_lately_ties_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let links = open(dir.path(), &Clock::fixed(NOW_S * 1000));
    links.put("desk", &[link("wang", "42", NOW_S + 3600)]).await.unwrap();
    assert!(links.is_old(), "nobody looked yet");
    links.load().await.unwrap();
    assert!(is_tied(&links, "wang", "42") && !links.is_old());
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_millis(5_100)).await;
    assert!(!is_tied(&links, "wang", "42") && links.is_old());
    tokio::time::resume();
    links.load().await.unwrap();
    assert!(is_tied(&links, "wang", "42"));
}

/// States what links cost, and holds it to that: run it alone with `--no-capture` for the figures.
#[tokio::test]
async fn a_million_links_take_little_memory_and_a_look_takes_no_time() {
    let each = measure(1_000_000).await;
    assert!(each <= 40.0, "{each} bytes for each link");
}

#[tokio::test]
#[ignore = "half a minute: cargo test -- --ignored --nocapture ten_million_links"]
async fn ten_million_links_take_little_memory_and_a_look_takes_no_longer() {
    assert!(measure(10_000_000).await <= 40.0);
}

/// The bytes for each of so many links; tells what a look takes among them.
async fn measure(count: u64) -> f64 {
    const LOOKS: u64 = 100_000;
    let dir = tempfile::tempdir().unwrap();
    let links = open(dir.path(), &Clock::fixed(NOW_S * 1000));
    links.load().await.unwrap();
    let until = u32::try_from(NOW_S + 60).unwrap();
    let tag = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for n in 0..count {
        assert!(links.table().put(tag(n), until, usize::MAX));
    }
    let (known, bytes) = links.size();
    assert_eq!(u64::try_from(known).unwrap(), count);
    let clock = Clock::system();
    let keys: Vec<String> = (0..LOOKS).map(|n| format!("customer-{n}")).collect();
    let began = clock.steady();
    let found = (0..LOOKS).filter(|n| links.stands(tag(n * (count / LOOKS)))).count();
    let table = (clock.steady() - began).as_secs_f64() * 1e9 / LOOKS as f64;
    // Filling the table took a while.
    links.load().await.unwrap();
    let began = clock.steady();
    let tied = keys.iter().filter(|key| is_tied(&links, "corp:wang", key)).count();
    let whole = (clock.steady() - began).as_secs_f64() * 1e9 / LOOKS as f64;
    let each = bytes as f64 / count as f64;
    eprintln!(
        "{count} links: {each:.1} bytes each, {} MiB; a look {whole:.0} ns with its hash, {table:.0} ns of that in the table",
        bytes >> 20
    );
    assert_eq!((found, tied), (100_000, 0));
    each
}
