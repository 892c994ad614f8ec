//! Ways to break a promise that were found by reading the source, each held shut by a test.

use crate::harness::{Ask, Gate, OPEN_BANK, Setup};

/// How many entries of its log are not those of its start.
async fn recorded(gate: &mut Gate) -> usize {
    gate.entries().await.len().saturating_sub(1)
}

#[tokio::test]
async fn invented_cookies_cannot_fill_the_log() {
    for path in ["/.menshen/code", "/.menshen/logout"] {
        let mut gate = Setup::policy(OPEN_BANK).start().await;
        let mut connection = gate.h1().await;
        for n in 0..200 {
            let cookie = format!("{n:0>43}");
            let ask = Ask::post(path, r#"{"code":"123456"}"#).cookie(&cookie);
            assert!(connection.send(ask).await.status.as_u16() < 500);
        }
        let entries = recorded(&mut gate).await;
        assert!(entries < 50, "{path}: {entries} entries");
    }
}
