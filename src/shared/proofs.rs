//! Proofs of possession that any gate took, on the server, over a connection of their own: that of the budgets must not be
//! opened anew by anything but their sign of life.

use std::sync::LazyLock;

use redis::{FromRedisValue, Script, ScriptInvocation, Value};

use super::connection::Link;
use super::settings::{RedisFault, RedisSettings};
use super::{PREFIX, RedisError};
use crate::identity::{
    ProofShown, SharedProof, SharedProofFuture, SharedProofs, SharedProofsError,
};
use crate::limits::shared::{MAX_SKEW_MS, Skewed};

static PROOFS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("proofs.lua")));

/// Proofs in Redis or Valkey.
#[derive(Debug)]
pub struct RedisProofs {
    link: Link,
}

impl RedisProofs {
    /// A store that is connected to by the first call. `fingerprint` tells gates with one master key from others.
    ///
    /// # Errors
    /// [`RedisFault`] if the settings cannot be used.
    pub fn new(settings: &RedisSettings, fingerprint: String) -> Result<Self, RedisFault> {
        Ok(Self { link: Link::new(settings, fingerprint)? })
    }

    /// Has the store's life begin, if it has not: what is shown from a while later on is known for certain.
    ///
    /// # Errors
    /// [`SharedProofsError`] if the store does not answer; the first proof does the same then.
    pub async fn begin(&self, now_ms: i64) -> Result<(), SharedProofsError> {
        let begun = self.call(now_ms, |_| {}).await;
        begun.map(drop).map_err(|error| SharedProofsError(Box::new(error)))
    }

    async fn call(
        &self,
        now_ms: i64,
        tell: impl FnOnce(&mut ScriptInvocation<'_>),
    ) -> Result<String, RedisError> {
        let live = self.link.live().await?;
        let mut call = PROOFS.key(format!("{PREFIX}proofs"));
        call.arg(&*live.server).arg(MAX_SKEW_MS).arg(now_ms);
        tell(&mut call);
        let answer: Value =
            self.link.within(&live, call.invoke_async(&mut live.connection())).await?;
        if let Value::Int(ahead_ms) = answer {
            return Err(RedisError::Skewed(Skewed(ahead_ms)));
        }
        Ok(FromRedisValue::from_redis_value(answer)?)
    }

    async fn take_at_all(&self, proof: ProofShown) -> Result<SharedProof, RedisError> {
        let ProofShown { name, made_s, until_s, ahead_s, now_ms } = proof;
        let hex: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let told = self.call(now_ms, |call| {
            call.key(format!("{PREFIX}proof:{hex}"));
            for seconds in [made_s, until_s, ahead_s] {
                call.arg(seconds.saturating_mul(1000));
            }
        });
        Ok(match told.await?.as_str() {
            "once" => SharedProof::Once,
            "replayed" => SharedProof::Replayed,
            _ => SharedProof::Unknown,
        })
    }
}

impl SharedProofs for RedisProofs {
    fn take(&self, proof: ProofShown) -> SharedProofFuture<'_> {
        Box::pin(async move {
            self.take_at_all(proof).await.map_err(|error| SharedProofsError(Box::new(error)))
        })
    }
}
