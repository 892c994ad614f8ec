//! What several gates share, kept in Redis or Valkey: budgets, the board of what is done at one and all must know, and
//! which proofs of possession any of them took.
//!
//! What is said and lent is `limits::shared`'s business; here are the scripts that say the same to the server,
//! and a connection that never hides a server that began anew.

mod board;
mod connection;
mod proofs;
mod settings;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::{Arc, LazyLock};

use redis::{FromRedisValue, Script, Value};

pub use self::board::RedisBoard;
use self::connection::{Link, Live};
pub use self::proofs::RedisProofs;
pub use self::settings::{RedisFault, RedisSettings};
use crate::limits::shared::{
    Beat, Call, Counts, Item, MAX_SKEW_MS, Pulse, Reply, SharedFuture, SharedStore,
    SharedStoreError, Skewed, Standing,
};

static BEAT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("beat.lua")));
static SETTLE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("settle.lua")));

/// What a script's numbers hold exactly.
const MOST: u64 = 1 << 53;

/// All keys have one tag, so that one call may touch all of them on a cluster, too.
const PREFIX: &str = "{menshen}:";

/// Why the server was not asked, or was not understood.
#[derive(Debug, thiserror::Error)]
enum RedisError {
    #[error("no connection")]
    Unconnected,
    #[error("{0}")]
    Redis(#[from] redis::RedisError),
    #[error("no answer within {0} ms")]
    Slow(u128),
    #[error("an answer that nobody understands: {0}")]
    Answer(#[from] redis::ParsingError),
    #[error(
        "it may forget keys before their time: its `maxmemory-policy` is `{0}`, and must be `noeviction`"
    )]
    Evicts(String),
    #[error("it is shared by gates with another master key, whose counts mean nothing here")]
    OtherKey,
    #[error(transparent)]
    Skewed(#[from] Skewed),
    #[error("it does not tell its `run_id`")]
    NoRun,
}

impl From<RedisError> for SharedStoreError {
    fn from(error: RedisError) -> Self {
        Self(Box::new(error))
    }
}

/// A shared store in Redis or Valkey.
#[derive(Debug)]
pub struct RedisShared {
    link: Link,
}

impl RedisShared {
    /// A store that is connected to at the first sign of life. `fingerprint` tells gates with one master key from
    /// others.
    ///
    /// # Errors
    /// [`RedisFault`] if the settings cannot be used.
    pub fn new(settings: &RedisSettings, fingerprint: String) -> Result<Self, RedisFault> {
        Ok(Self { link: Link::new(settings, fingerprint)? })
    }

    async fn tell_alive(&self, beat: Beat) -> Result<Pulse, RedisError> {
        let live = self.link.live().await?;
        let recall = format!("{PREFIX}recall:{}", beat.run);
        let mut call = BEAT.prepare_invoke();
        for key in ["epoch", "nodes", "expected", "ready", "runs"] {
            call.key(format!("{PREFIX}{key}"));
        }
        call.key(recall).arg(&*beat.node).arg(beat.ready.as_deref().unwrap_or_default());
        call.arg(&*beat.fresh).arg(&*live.server);
        call.arg(beat.gates.map_or_else(String::new, |gates| gates.to_string()));
        call.arg(&*beat.run).arg(beat.now_ms).arg(MAX_SKEW_MS);
        for (node, quiet_ms) in &beat.known {
            call.arg(&**node).arg(*quiet_ms);
        }
        let answer: Value =
            self.link.within(&live, call.invoke_async(&mut live.connection())).await?;
        if let Value::Int(ahead_ms) = answer {
            return Err(RedisError::Skewed(Skewed(ahead_ms)));
        }
        let (epoch, now_ms, nodes, recalled, previous, told, waits_for): Alive =
            FromRedisValue::from_redis_value(answer)?;
        let account = |key: String| key.rsplit(':').next().map(Into::into);
        Ok(Pulse {
            epoch: epoch.into(),
            now_ms,
            nodes: nodes.into_iter().map(|(node, at)| (node.into(), at)).collect(),
            recalled: recalled.into_iter().filter_map(account).collect(),
            previous: previous.map(Into::into),
            told,
            waits_for: waits_for.into_iter().map(Into::into).collect(),
        })
    }

    async fn call(&self, live: &Live, call: &Call) -> Result<Reply, RedisError> {
        let mut script = SETTLE.prepare_invoke();
        for key in ["epoch", "expected", "ready", "recall:"] {
            script.key(format!("{PREFIX}{key}"));
        }
        script.arg(&*call.epoch).arg(&*call.run).arg(call.generation).arg(call.divisor);
        script.arg(call.now_ms).arg(MAX_SKEW_MS);
        for item in &call.items {
            let key = format!("{PREFIX}{}:{}", call.epoch, item.account);
            let subjects = format!("{key}:s");
            script.key(key).key(subjects);
            say(&mut script, item);
        }
        let answer: Value =
            self.link.within(live, script.invoke_async(&mut live.connection())).await?;
        understood(answer)
    }
}

impl SharedStore for RedisShared {
    fn beat(&self, beat: Beat) -> SharedFuture<'_, Pulse> {
        Box::pin(async move { Ok(self.tell_alive(beat).await?) })
    }

    fn settle(&self, call: Call) -> SharedFuture<'_, Reply> {
        Box::pin(async move {
            let live = self.link.connected()?;
            Ok(self.call(&live, &call).await?)
        })
    }

    fn leave(&self, run: Arc<str>) -> SharedFuture<'_, ()> {
        Box::pin(async move {
            let live = self.link.connected()?;
            let mut forget = redis::cmd("DEL");
            forget.arg(format!("{PREFIX}recall:{run}"));
            Ok(self.link.within(&live, forget.query_async(&mut live.connection())).await?)
        })
    }
}

/// One account's arguments, as the script reads them.
fn say(script: &mut redis::ScriptInvocation<'_>, item: &Item) {
    let distinct = if item.counts == Counts::Subjects { "s" } else { "a" };
    script.arg(distinct).arg(item.span.window_ms).arg(item.span.part_ms());
    script.arg(item.span.lent_ms()).arg(item.span.subject_ms());
    for number in [item.limit, item.held, item.spent, item.given] {
        script.arg(number.min(MOST));
    }
    script.arg(u8::from(item.reset));
    script.arg(u8::from(item.ask.is_some())).arg(item.ask.unwrap_or(0).min(MOST));
    script.arg(item.paid.len()).arg(item.claims.len()).arg(item.past.len());
    for subject in item.paid.iter().chain(&item.claims) {
        script.arg(*subject);
    }
    for (what, age_ms) in &item.past {
        script.arg(*what).arg(*age_ms);
    }
}

/// The life, the store's time, who was heard of when, recalls, the run before, how many told and who did not.
type Alive = (String, i64, Vec<(String, i64)>, Vec<String>, Option<String>, u64, Vec<String>);
type Told = (u8, u64, u64, u64, Vec<u8>, i64);

fn understood(answer: Value) -> Result<Reply, RedisError> {
    if let Value::Int(ahead_ms) = answer {
        return Ok(Reply::Skewed(Skewed(ahead_ms)));
    }
    let parts: Vec<Value> = FromRedisValue::from_redis_value(answer)?;
    let mut parts = parts.into_iter();
    let word: String = FromRedisValue::from_redis_value(parts.next().unwrap_or(Value::Nil))?;
    let told: Option<Vec<Told>> = parts.next().map(FromRedisValue::from_redis_value).transpose()?;
    let Some(told) = told.filter(|_| word == "settled") else { return Ok(Reply::Stranger) };
    let standings =
        told.into_iter().map(|(closed, granted, used, elsewhere, claims, relaxes_ms)| Standing {
            closed: closed != 0,
            granted,
            used,
            elsewhere,
            claims: claims.into_iter().map(|counted| counted != 0).collect(),
            relaxes_ms,
        });
    Ok(Reply::Settled(standings.collect()))
}
