//! One connection to the server. It is opened anew only with a sign of life, which learns whether the server began
//! anew meanwhile; a connection that did not answer in time is not used again.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisResult};

use super::settings::{RedisFault, RedisSettings};
use super::{PREFIX, RedisError};

/// A connection that answered.
#[derive(Clone)]
pub(super) struct Live {
    connection: MultiplexedConnection,
    /// The server's run.
    pub(super) server: Arc<str>,
    number: u64,
}

impl Live {
    pub(super) fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }
}

/// The way to the server.
pub(super) struct Link {
    client: Client,
    deadline: Duration,
    fingerprint: String,
    live: Mutex<(u64, Option<Live>)>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn new(settings: &RedisSettings, fingerprint: String) -> Result<Self, RedisFault> {
        let (client, deadline) = (settings.client()?, settings.deadline);
        Ok(Self { client, deadline, fingerprint, live: Mutex::default() })
    }

    /// The connection, if there is one.
    pub(super) fn connected(&self) -> Result<Live, RedisError> {
        self.state().1.clone().ok_or(RedisError::Unconnected)
    }

    /// The connection, opened if there is none.
    pub(super) async fn live(&self) -> Result<Live, RedisError> {
        if let Ok(live) = self.connected() {
            return Ok(live);
        }
        let opened = tokio::time::timeout(self.deadline, self.open());
        let (connection, server) =
            opened.await.map_err(|_elapsed| RedisError::Slow(self.deadline.as_millis()))??;
        let mut state = self.state();
        state.0 += 1;
        let live = Live { connection, server, number: state.0 };
        state.1 = Some(live.clone());
        Ok(live)
    }

    /// Waits for an answer, but not for long; drops the connection if none comes.
    pub(super) async fn within<T>(
        &self,
        live: &Live,
        answer: impl Future<Output = RedisResult<T>>,
    ) -> Result<T, RedisError> {
        let outcome = match tokio::time::timeout(self.deadline, answer).await {
            Ok(answer) => answer.map_err(RedisError::from),
            Err(_elapsed) => Err(RedisError::Slow(self.deadline.as_millis())),
        };
        if outcome.is_err() {
            let mut state = self.state();
            if state.1.as_ref().is_some_and(|now| now.number == live.number) {
                state.1 = None;
            }
        }
        outcome
    }

    async fn open(&self) -> Result<(MultiplexedConnection, Arc<str>), RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.deadline))
            .set_response_timeout(Some(self.deadline));
        let mut connection =
            self.client.get_multiplexed_async_connection_with_config(&config).await?;
        let about: String = redis::cmd("INFO").query_async(&mut connection).await?;
        let told = |name: &str| {
            about.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        let policy = told("maxmemory_policy").unwrap_or("noeviction");
        if policy != "noeviction" && told("maxmemory") != Some("0") {
            return Err(RedisError::Evicts(policy.to_owned()));
        }
        let server = told("run_id").ok_or(RedisError::NoRun)?.into();
        let key = format!("{PREFIX}key");
        redis::cmd("SETNX")
            .arg(&key)
            .arg(&self.fingerprint)
            .query_async::<()>(&mut connection)
            .await?;
        let known: String = redis::cmd("GET").arg(&key).query_async(&mut connection).await?;
        if known != self.fingerprint {
            return Err(RedisError::OtherKey);
        }
        Ok((connection, server))
    }

    fn state(&self) -> MutexGuard<'_, (u64, Option<Live>)> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
