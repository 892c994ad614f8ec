-- A gate's sign of life; the same as `Desk::beat` in src/limits/shared/desk.rs.
-- KEYS: epoch, nodes, expected, ready, runs, recall of this run
-- ARGV: node, ready epoch or '', fresh epoch, the server's own run, gates or '', run, the gate's time, how far the clocks
-- may differ, then node and quiet time of each known
local time = redis.call('TIME')
local clock = time[1] * 1000 + math.floor(time[2] / 1000)
local epoch, nodes, expected, ready, runs, recall = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local theirs, max_skew, most_named = tonumber(ARGV[7]), tonumber(ARGV[8]), 10
if math.abs(clock - theirs) > max_skew then
  -- If it is this clock that jumped, keys may have ended before their time: all begins anew when the clocks agree.
  if math.abs(clock - tonumber(redis.call('HGET', epoch, 'last') or clock)) > max_skew then
    redis.call('DEL', epoch)
  end
  return clock - theirs
end
-- Whichever clock is late: what happens now is as young as either says.
local now = math.max(clock, theirs)
local node = ARGV[1]
local forgotten = 400 * 86400000

redis.call('ZREMRANGEBYSCORE', nodes, '-inf', now - forgotten)
local id = redis.call('HGET', epoch, 'id')
-- A server that started again may have lost the last of what it was told.
if not id or redis.call('HGET', epoch, 'server') ~= ARGV[4] then
  id = ARGV[3]
  redis.call('DEL', epoch, ready, expected)
  redis.call('HSET', epoch, 'id', id, 'server', ARGV[4], 'began', now, 'opened', 0)
  if redis.call('EXISTS', nodes) == 1 then
    redis.call('ZUNIONSTORE', expected, 1, nodes)
  end
end
redis.call('HSET', epoch, 'last', clock)
redis.call('ZADD', nodes, now, node)
for i = 9, #ARGV, 2 do
  redis.call('ZADD', expected, 'GT', now - ARGV[i + 1], ARGV[i])
end
redis.call('ZADD', expected, 'NX', now, node)
if ARGV[2] == id then
  redis.call('SADD', ready, node)
end
if ARGV[5] == '' then
  redis.call('HDEL', epoch, 'gates')
else
  redis.call('HSET', epoch, 'gates', ARGV[5])
end
local previous = redis.call('HGET', runs, node)
redis.call('HSET', runs, node, ARGV[6])
local waits_for = {}
for _, one in ipairs(redis.call('ZRANGE', expected, 0, -1)) do
  if #waits_for < most_named and redis.call('SISMEMBER', ready, one) == 0 then
    waits_for[#waits_for + 1] = one
  end
end
return {id, clock, redis.call('ZRANGE', nodes, 0, -1, 'WITHSCORES'), redis.call('SPOP', recall, 500), previous, redis.call('SCARD', ready), waits_for}
