-- Takes a proof of possession for all gates.
-- KEYS: head (a hash), the proof; without the proof the store's life begins, if it has not
-- ARGV: the server's own run, how far the clocks may differ, the gate's time, when the proof was made, until when it is
-- believed, how far ahead it may have been made; times in milliseconds
local time = redis.call('TIME')
local clock = time[1] * 1000 + math.floor(time[2] / 1000)
local head, max_skew, theirs = KEYS[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if math.abs(clock - theirs) > max_skew then
  -- If it is this clock that jumped, proofs may have been forgotten before their time.
  if math.abs(clock - tonumber(redis.call('HGET', head, 'last') or clock)) > max_skew then
    redis.call('DEL', head)
  end
  return clock - theirs
end
-- A server that started again may have lost the last of what it was told.
if redis.call('HGET', head, 'server') ~= ARGV[1] or not redis.call('HGET', head, 'began') then
  redis.call('HSET', head, 'server', ARGV[1], 'began', clock)
end
redis.call('HSET', head, 'last', clock)
if not KEYS[2] then
  return 'begun'
end
-- Whatever was taken before the store began was made no later than this, by the clock of any gate.
local latest = tonumber(redis.call('HGET', head, 'began')) + tonumber(ARGV[6]) + max_skew
if tonumber(ARGV[4]) <= latest then
  return 'unknown'
end
-- Until no gate believes it any more.
local lasts = math.max(tonumber(ARGV[5]) + max_skew - clock, 1)
if redis.call('SET', KEYS[2], '1', 'NX', 'PX', string.format('%d', lasts)) then
  return 'once'
end
return 'replayed'
