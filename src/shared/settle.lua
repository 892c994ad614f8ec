-- What a gate says and asks about accounts; the same as `Desk::settle` in src/limits/shared/desk.rs.
-- KEYS: epoch, expected, ready, prefix of recalls, then two keys of each account: its hash and its subjects
-- ARGV: epoch, run, generation, divisor, the gate's time, how far the clocks may differ, then of each account what is read below
local time = redis.call('TIME')
local clock = time[1] * 1000 + math.floor(time[2] / 1000)
local settle_ms, slack_ms = 3000, 10000
local max_recalled = 500

if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then
  return {'stranger'}
end
local theirs = tonumber(ARGV[5])
if math.abs(clock - theirs) > tonumber(ARGV[6]) then
  return clock - theirs
end
-- Whichever clock is late: nothing is forgotten before both say so, and what happens now is as young as either says.
local early, now = math.min(clock, theirs), math.max(clock, theirs)
local began = tonumber(redis.call('HGET', KEYS[1], 'began'))
local opened = tonumber(redis.call('HGET', KEYS[1], 'opened'))
local run, generation, divisor = ARGV[2], tonumber(ARGV[3]), math.max(tonumber(ARGV[4]), 1)

local at = 6
local function read()
  at = at + 1
  return ARGV[at]
end
local function number()
  return tonumber(read())
end
local function whole(value)
  return string.format('%.0f', value)
end

local function lends(lent_ms)
  if lent_ms <= opened or early - began > lent_ms then
    return true
  end
  local count = redis.call('SCARD', KEYS[3])
  local gates = redis.call('HGET', KEYS[1], 'gates')
  if count == 0 or (gates and count < tonumber(gates)) or (not gates and early - began < settle_ms) then
    return false
  end
  for _, node in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], began - lent_ms - slack_ms, '+inf')) do
    if redis.call('SISMEMBER', KEYS[3], node) == 0 then
      return false
    end
  end
  opened = lent_ms
  redis.call('HSET', KEYS[1], 'opened', opened)
  return true
end

local replies = {}
for index = 5, #KEYS, 2 do
  local key, seen = KEYS[index], KEYS[index + 1]
  local distinct, window, part = read() == 's', number(), number()
  local lent_ms, subject_ms = number(), number()
  local limit, held, spent, given = number(), number(), number(), number()
  local resets = read() == '1'
  local asks, least = read() == '1', number()
  local paid, claims, past = number(), number(), number()

  -- What no longer counts.
  local oldest = math.floor((early - window) / part)
  local fields = redis.call('HGETALL', key)
  local amounts, total, first, loans = {}, 0, nil, {}
  for f = 1, #fields, 2 do
    local name, value = fields[f], fields[f + 1]
    if string.sub(name, 1, 1) == 'b' then
      local bucket = tonumber(string.sub(name, 2))
      if bucket < oldest then
        redis.call('HDEL', key, name)
      else
        amounts[bucket] = tonumber(value)
        total = total + amounts[bucket]
        if not first or bucket < first then first = bucket end
      end
    else
      local amount, till, newest = string.match(value, '^(%d+) (%d+) (%d+)$')
      if tonumber(till) <= early then
        redis.call('HDEL', key, name)
      else
        loans[string.sub(name, 2)] = {tonumber(amount), tonumber(till), tonumber(newest)}
      end
    end
  end
  redis.call('ZREMRANGEBYSCORE', seen, '-inf', early - subject_ms)

  local loan = loans[run] or {0, 0, 0}
  if generation < loan[3] then
    at = at + paid + claims + 2 * past
    local none = {}
    for c = 1, claims do none[c] = 0 end
    replies[#replies + 1] = {1, '0', '0', '0', none, '0'}
  else
    loans[run] = loan
    if generation > loan[3] then
      loan[3], loan[1] = generation, held
    end
    if resets then
      for bucket in pairs(amounts) do
        redis.call('HDEL', key, 'b' .. whole(bucket))
      end
      amounts, total, first = {}, 0, nil
      redis.call('DEL', seen)
    end
    loan[1] = math.max(loan[1] - spent - paid - given, 0)
    loan[2] = now + lent_ms

    local touched = {}
    local function date(amount, age)
      if amount > 0 then
        local bucket = math.floor((now - age) / part)
        amounts[bucket] = (amounts[bucket] or 0) + amount
        touched[bucket] = true
        total = total + amount
        if not first or bucket < first then first = bucket end
      end
    end
    date(spent, 0)
    for _ = 1, paid do
      redis.call('ZADD', seen, now, read())
    end
    local claimed = {}
    for c = 1, claims do claimed[c] = read() end
    for _ = 1, past do
      local what, age = read(), number()
      if distinct then
        redis.call('ZADD', seen, 'GT', now - age, what)
      else
        date(tonumber(what), age)
      end
    end

    local lent = 0
    for _, one in pairs(loans) do lent = lent + one[1] end
    local counted = distinct and redis.call('ZCARD', seen) or total
    local open = lends(lent_ms)
    local outcome, is_known = {}, claims > 0
    for c = 1, claims do
      if open and redis.call('ZSCORE', seen, claimed[c]) then
        redis.call('ZADD', seen, now, claimed[c])
        outcome[c] = 1
      else
        outcome[c], is_known = 0, false
      end
    end
    if is_known then least = 0 end
    local granted = 0
    if open and asks then
      local left = math.max(limit - counted - lent, 0)
      granted = math.min(left, math.max(least, math.floor(left / divisor)))
      loan[1] = loan[1] + granted
      lent = lent + granted
    end

    local elsewhere = 0
    local short = open and asks and not is_known and granted < math.max(least, 1)
    for name, one in pairs(loans) do
      if name ~= run and one[1] > 0 then
        elsewhere = elsewhere + one[1]
        if short and redis.call('SCARD', KEYS[4] .. name) < max_recalled then
          redis.call('SADD', KEYS[4] .. name, key)
          redis.call('PEXPIRE', KEYS[4] .. name, 10000)
        end
      end
    end

    redis.call('HSET', key, 'l' .. run, whole(loan[1]) .. ' ' .. whole(loan[2]) .. ' ' .. whole(loan[3]))
    for bucket in pairs(touched) do
      redis.call('HSET', key, 'b' .. whole(bucket), whole(amounts[bucket]))
    end
    redis.call('PEXPIRE', key, lent_ms + window + 2 * tonumber(ARGV[6]))
    redis.call('PEXPIRE', seen, subject_ms + part + 2 * tonumber(ARGV[6]))

    local relaxes = window
    if distinct then
      local eldest = redis.call('ZRANGE', seen, 0, 0, 'WITHSCORES')
      if eldest[2] then relaxes = math.max(eldest[2] + subject_ms - early, 1) end
    elseif first then
      relaxes = math.max((first + 1) * part + window - early, 1)
    end
    replies[#replies + 1] = {open and 0 or 1, whole(granted), whole(counted + lent), whole(elsewhere), outcome, whole(relaxes)}
  end
end
return {'settled', replies}
