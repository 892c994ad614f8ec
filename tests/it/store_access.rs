//! The way to the store that gates share: who answers there, and what the gates may do.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use menshen::clock::Clock;
use menshen::demo::certificates::{Authority, write_public};
use menshen::limits::shared::{
    Beat, Call, Counts, Item, Pulse, Reply, SharedStore as _, SharedStoreError, Span,
};
use menshen::shared::{RedisSettings, RedisShared};

use crate::harness::SharedStore;

fn store(url: String, ca: Option<PathBuf>, password_file: Option<PathBuf>) -> RedisShared {
    let settings = RedisSettings { url, ca, password_file, deadline: Duration::from_secs(10) };
    RedisShared::new(&settings, "key".to_owned()).unwrap()
}

async fn beat(store: &RedisShared) -> Result<Pulse, SharedStoreError> {
    let beat = Beat {
        node: "one".into(),
        run: "one~0".into(),
        now_ms: Clock::system().unix_ms(),
        ready: None,
        fresh: "life".into(),
        known: Vec::new(),
        gates: Some(1),
    };
    store.beat(beat).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_only_whom_the_ca_vouches_for_is_believed_to_be_the_store() {
    let authority = || Authority::new("authority", &Clock::system()).unwrap();
    let (authority, stranger) = (authority(), authority());
    let folder = tempfile::tempdir().unwrap();
    let files = authority.issue(&["localhost"]).unwrap().write(folder.path(), "store").unwrap();
    for (name, ca) in [("ca.pem", &authority), ("stranger.pem", &stranger)] {
        write_public(&folder.path().join(name), ca.certificate_pem()).unwrap();
    }
    let (chain, key) = (folder.path().join(&files.chain), folder.path().join(&files.key));
    let server = SharedStore::with(folder, |port| {
        let (chain, key) = (chain.display(), key.display());
        format!(
            "port 0\ntls-port {port}\ntls-cert-file {chain}\ntls-key-file {key}\ntls-auth-clients no"
        )
    });
    let with = |host: &str, ca: &str| {
        let url = format!("rediss://{host}:{}", server.port());
        store(url, Some(server.folder().join(ca)), None)
    };
    assert_eq!(*beat(&with("localhost", "ca.pem")).await.unwrap().epoch, *"life");
    // Another's certificate, and another name than the certificate's.
    beat(&with("localhost", "stranger.pem")).await.unwrap_err();
    beat(&with("127.0.0.1", "ca.pem")).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rights_that_the_guide_names_are_enough_and_a_wrong_password_is_told() {
    let guide = include_str!("../../docs/guide/operator.md");
    let rights = guide.lines().find(|line| line.starts_with("user menshen on ")).unwrap();
    let rights = rights.replace("PASSWORD", "right");
    let folder = tempfile::tempdir().unwrap();
    let server =
        SharedStore::with(folder, |port| format!("port {port}\nuser default off\n{rights}"));
    let with = |password: &str| {
        let path = server.folder().join(password);
        std::fs::write(&path, format!("{password}\n")).unwrap();
        store(format!("redis://menshen@127.0.0.1:{}", server.port()), None, Some(path))
    };
    let wrong = beat(&with("wrong")).await.unwrap_err().to_string();
    assert!(wrong.contains("WRONGPASS") || wrong.contains("uthentication"), "{wrong}");
    assert!(!wrong.contains("wrong\n"), "{wrong}");
    let store = with("right");
    let life = beat(&store).await.unwrap().epoch;
    let mut item = Item::about("account".into(), Counts::Subjects, Span::of(3_600), 10);
    (item.claims, item.past, item.ask) = (vec![1], vec![(2, 5)], Some(1));
    let call = Call {
        epoch: life,
        run: "one~0".into(),
        generation: 1,
        now_ms: Clock::system().unix_ms(),
        divisor: 1,
        items: vec![item],
    };
    assert!(matches!(store.settle(call).await.unwrap(), Reply::Settled(_)));
    store.leave(Arc::from("one~0")).await.unwrap();
}
