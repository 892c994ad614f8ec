//! The board of notices on the server, over a connection of its own: that of the budgets must not be opened anew by
//! anything but their sign of life.

use std::sync::LazyLock;

use redis::{FromRedisValue, Script, Value};

use super::connection::Link;
use super::settings::{RedisFault, RedisSettings};
use super::{PREFIX, RedisError};
use crate::bulletin::{Board, BoardError, BoardFuture, Exchange, MOST_NOTICES, Seen};

static BOARD: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("board.lua")));

/// The life, how far it was read, whether there is more, what found no room, what was cleared away, names and notices
/// in turn.
type Told = (String, u64, u8, u64, u64, Vec<Value>);

/// A board in Redis or Valkey.
#[derive(Debug)]
pub struct RedisBoard {
    link: Link,
}

impl RedisBoard {
    /// A board that is connected to by the first call. `fingerprint` tells gates with one master key from others.
    ///
    /// # Errors
    /// [`RedisFault`] if the settings cannot be used.
    pub fn new(settings: &RedisSettings, fingerprint: String) -> Result<Self, RedisFault> {
        Ok(Self { link: Link::new(settings, fingerprint)? })
    }

    async fn call(&self, exchange: Exchange) -> Result<Seen, RedisError> {
        let live = self.link.live().await?;
        let mut call = BOARD.prepare_invoke();
        for key in ["notices", "order", "board"] {
            call.key(format!("{PREFIX}{key}"));
        }
        let Exchange { life, fresh, cursor, most, posts, drops } = exchange;
        call.arg(life).arg(fresh).arg(&*live.server).arg(cursor).arg(most);
        call.arg(MOST_NOTICES).arg(posts.len());
        for (name, notice) in posts.iter().chain(&drops) {
            call.arg(name).arg(notice);
        }
        let answer: Value =
            self.link.within(&live, call.invoke_async(&mut live.connection())).await?;
        let (life, cursor, more, refused, strange, told): Told =
            FromRedisValue::from_redis_value(answer)?;
        let mut told = told.into_iter();
        let mut notices = Vec::new();
        while let (Some(name), Some(notice)) = (told.next(), told.next()) {
            let (name, notice): (Vec<u8>, Vec<u8>) = (
                FromRedisValue::from_redis_value(name)?,
                FromRedisValue::from_redis_value(notice)?,
            );
            // A name that is no text is of no gate, and neither opens nor does harm.
            notices.push((String::from_utf8_lossy(&name).into_owned(), notice));
        }
        Ok(Seen { life, cursor, notices, more: more != 0, refused, strange })
    }
}

impl Board for RedisBoard {
    fn exchange(&self, exchange: Exchange) -> BoardFuture<'_> {
        Box::pin(async move { self.call(exchange).await.map_err(|e| BoardError(Box::new(e))) })
    }
}
