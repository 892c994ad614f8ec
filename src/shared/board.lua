-- A call to the board; the same as `MemoryBoard` in src/bulletin/board.rs.
-- KEYS: notices (a hash), their order (a sorted set), head (a hash)
-- ARGV: the life that the gate knows, a fresh one, the server's own run, how far it has read, how many to read at most,
-- how many topics at most, how many posts, then name and notice of each post, then of each to be taken away
local notices, order, head = KEYS[1], KEYS[2], KEYS[3]
local life = redis.call('HGET', head, 'life')
-- A server that started again may have lost the last of what it was told.
if not life or redis.call('HGET', head, 'server') ~= ARGV[3] then
  life = ARGV[2]
  redis.call('HSET', head, 'life', life, 'server', ARGV[3])
end
-- A place in the order, if it is one: no gate writes any other.
local function place(text)
  local number = tonumber(text or 0)
  return number and number >= 0 and number < 2 ^ 52 and number or nil
end
-- What is put there next comes after all that is there. Where somebody wrote what can have no next, all begins anew.
local last = redis.call('ZREVRANGE', order, 0, 0, 'WITHSCORES')
local count, top, strange = place(redis.call('HGET', head, 'count')), place(last[2]), 0
if not count or not top then
  redis.call('DEL', notices, order, head)
  life, count, top, strange = ARGV[2], 0, 0, 1
  redis.call('HSET', head, 'life', life, 'server', ARGV[3])
end
if top > count then
  -- Also where nothing is put there now: whoever has read that far must see what comes next.
  count = top
  redis.call('HSET', head, 'count', string.format('%.0f', count))
end
local from = 0
if life == ARGV[1] then
  from = tonumber(ARGV[4])
end

local refused, posts = 0, tonumber(ARGV[7])
for i = 8, 7 + 2 * posts, 2 do
  local name, notice = ARGV[i], ARGV[i + 1]
  local known = redis.call('HGET', notices, name)
  local at = redis.call('ZSCORE', order, name)
  if known ~= notice or not at then
    if not at and redis.call('ZCARD', order) >= tonumber(ARGV[6]) then
      refused = refused + 1
    else
      redis.call('HSET', notices, name, notice)
      count = count + 1
      redis.call('ZADD', order, string.format('%.0f', count), name)
    end
  end
end
if posts > 0 then
  redis.call('HSET', head, 'count', string.format('%.0f', count))
end
for i = 8 + 2 * posts, #ARGV, 2 do
  if redis.call('HGET', notices, ARGV[i]) == ARGV[i + 1] then
    redis.call('HDEL', notices, ARGV[i])
    redis.call('ZREM', order, ARGV[i])
  end
end

local most = tonumber(ARGV[5])
local after = redis.call('ZRANGEBYSCORE', order, '(' .. string.format('%.0f', from), '+inf', 'WITHSCORES', 'LIMIT', 0, most + 1)
local told, cursor = {}, from
for i = 1, math.min(#after, 2 * most), 2 do
  cursor = math.max(from, tonumber(after[i + 1]))
  -- Longer than any gate's: it is not carried to whoever reads.
  local length = redis.call('HSTRLEN', notices, after[i])
  if length == 0 or length > 16384 or #after[i] > 128 then
    redis.call('HDEL', notices, after[i])
    redis.call('ZREM', order, after[i])
    strange = strange + 1
  else
    table.insert(told, after[i])
    table.insert(told, redis.call('HGET', notices, after[i]))
  end
end
return { life, cursor, #after > 2 * most and 1 or 0, refused, strange, told }
