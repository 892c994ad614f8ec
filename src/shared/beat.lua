-- A gate's sign of life; the same as `Desk::beat` in src/limits/shared/desk.rs.
-- KEYS: epoch, nodes, expected, ready, recall of this run
-- ARGV: node, ready epoch or '', fresh epoch, the server's own run, gates or '', then node and quiet time of each known
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local epoch, nodes, expected, ready, recall = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
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
redis.call('ZADD', nodes, now, node)
for i = 6, #ARGV, 2 do
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
return {id, now, redis.call('ZRANGE', nodes, 0, -1, 'WITHSCORES'), redis.call('SPOP', recall, 500)}
