-- A seeding starts: if everything is erased while it runs, this mark is, too.
-- What is there is erased first when it cannot be healed: a guard is missing, a key is of another
-- kind, or beats lie in the future (the clock went back, and no beat ever moves back by itself).
-- KEYS seeding online available deactivated load versions seed intake doubt
-- ARGV seeding id, life in ms, how far in the future a beat may lie in ms
-- Returns now in ms, and 1 when all was erased.
local function there(...)
  local reply = server.pcall(...)
  return reply and reply ~= 0 and not (type(reply) == 'table' and reply.err)
end

local time = server.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local sound = there('ZSCORE', KEYS[2], 'guard') and there('ZSCORE', KEYS[3], 'guard')
  and there('SISMEMBER', KEYS[4], 'guard') and there('HEXISTS', KEYS[5], 'guard')
  and there('HEXISTS', KEYS[6], 'guard')
if sound then
  sound = tonumber(newest_beat(KEYS[2]) or '0') <= now + tonumber(ARGV[3])
end
if not sound then
  server.call('UNLINK', unpack(KEYS, 2))
  server.call('ZADD', KEYS[2], '+inf', 'guard')
  server.call('ZADD', KEYS[3], '+inf', 'guard')
  server.call('SADD', KEYS[4], 'guard')
  server.call('HSET', KEYS[5], 'guard', 'guarded')
  server.call('HSET', KEYS[6], 'guard', 'guarded')
end
server.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {now, sound and 0 or 1}
