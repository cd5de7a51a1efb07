//! The hub on Redis, for several processes. Each operation is one script, hence atomic; holders are a sorted set of
//! heartbeats, leases one hash per key, and both carry the hash tag `{prefix}` so that a cluster keeps them together.

use super::{HOLDER_TTL, Hub, HubError, MAX_LIMIT};
use crate::ledger::Clock;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{RedisError, Script};
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for an answer; a hub that is slower than this is treated as down.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);

/// KEYS: holders, leases. ARGV: holder, now in ms (or -1 for the server's clock), holder lifetime in ms, then the
/// operation and its arguments. Answers a decimal string. Leases that nobody touches for a day are forgotten.
const SCRIPT: &str = r"
local now = tonumber(ARGV[2])
if now < 0 then
  local t = redis.call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
end
local dead = now - tonumber(ARGV[3])
local op = ARGV[4]
if op ~= 'outstanding' then
  local seen = redis.call('ZSCORE', KEYS[1], ARGV[1])
  if seen and tonumber(seen) < dead and KEYS[2] then
    redis.call('HDEL', KEYS[2], ARGV[1])
  end
end
local sum, own = 0, 0
if KEYS[2] then
  local leases = redis.call('HGETALL', KEYS[2])
  for i = 1, #leases, 2 do
    local seen = redis.call('ZSCORE', KEYS[1], leases[i])
    if seen and tonumber(seen) >= dead then
      local held = tonumber(leases[i + 1])
      sum = sum + held
      if leases[i] == ARGV[1] then own = held end
    else
      redis.call('HDEL', KEYS[2], leases[i])
    end
  end
end
if op ~= 'outstanding' then
  redis.call('ZADD', KEYS[1], now, ARGV[1])
end
local answer = sum
if op == 'lease' then
  answer = math.max(0, math.min(tonumber(ARGV[5]), tonumber(ARGV[6]) - sum))
  if answer > 0 then
    redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f', own + answer))
    redis.call('EXPIRE', KEYS[2], 86400)
  end
elseif op == 'give_back' then
  local left = own - tonumber(ARGV[5])
  if left > 0 then
    redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f', left))
  else
    redis.call('HDEL', KEYS[2], ARGV[1])
  end
elseif op == 'heartbeat' then
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', dead))
end
return string.format('%.0f', answer)
";

/// One holder's connection to the shared counters; reconnects by itself.
#[derive(Clone)]
pub struct RedisHub {
    connection: ConnectionManager,
    script: Arc<Script>,
    prefix: String,
    holder: String,
    clock: Option<Clock>,
}

impl RedisHub {
    /// Connects to `redis://host:port/db` or `redis+unix:///path`. Hubs with the same prefix share their counters.
    pub async fn connect(url: &str, prefix: &str, holder: impl Into<String>) -> Result<Self, HubError> {
        let client = redis::Client::open(url).map_err(unavailable)?;
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_connection_timeout(Some(RESPONSE_TIMEOUT))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_with_config(client, config).await.map_err(unavailable)?;
        let script = Arc::new(Script::new(SCRIPT));
        Ok(Self { connection, script, prefix: prefix.to_owned(), holder: holder.into(), clock: None })
    }

    /// Another holder on the same counters and connection.
    pub fn join(&self, holder: impl Into<String>) -> Self {
        Self { holder: holder.into(), ..self.clone() }
    }

    /// Counts time by this clock instead of the server's.
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock: Some(clock), ..self }
    }

    async fn call(&self, key: Option<&str>, op: &str, amounts: &[u64]) -> Result<u64, HubError> {
        let mut call = self.script.prepare_invoke();
        call.key(format!("{{{}}}:holders", self.prefix));
        if let Some(key) = key {
            call.key(format!("{{{}}}:lease:{key}", self.prefix));
        }
        let now = self.clock.as_ref().map_or(-1, |clock| i64::try_from(clock()).unwrap_or(i64::MAX));
        call.arg(&self.holder).arg(now).arg(HOLDER_TTL.as_millis().to_string()).arg(op);
        for amount in amounts {
            call.arg((*amount).min(MAX_LIMIT));
        }
        let answer: String = call.invoke_async(&mut self.connection.clone()).await.map_err(unavailable)?;
        answer.parse().map_err(|_| HubError::Unavailable(format!("answer {answer:?} is no amount")))
    }
}

#[async_trait::async_trait]
impl Hub for RedisHub {
    async fn lease(&self, key: &str, want: u64, limit: u64) -> Result<u64, HubError> {
        self.call(Some(key), "lease", &[want, limit]).await
    }

    async fn give_back(&self, key: &str, amount: u64) -> Result<(), HubError> {
        self.call(Some(key), "give_back", &[amount]).await.map(|_| ())
    }

    async fn outstanding(&self, key: &str) -> Result<u64, HubError> {
        self.call(Some(key), "outstanding", &[]).await
    }

    async fn heartbeat(&self) -> Result<(), HubError> {
        self.call(None, "heartbeat", &[]).await.map(|_| ())
    }

    async fn healthy(&self) -> bool {
        redis::cmd("PING").query_async::<String>(&mut self.connection.clone()).await.is_ok()
    }
}

fn unavailable(error: RedisError) -> HubError {
    HubError::Unavailable(error.to_string())
}
