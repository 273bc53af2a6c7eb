-- A random arc of the fresh part of the kept answer, wrapping round: O(log N + limit).
-- KEYS seed available load
-- ARGV fresh limit in ms, how many, where to start in 0..1, then ids to leave out
local seed = server.call('GET', KEYS[1])
if not seed then return false end
local time = server.call('TIME')
local floor = time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(ARGV[1])
local total = server.call('ZCARD', KEYS[2])
local fresh = server.call('ZCOUNT', KEYS[2], string.format('(%.0f', floor), '+inf')
local limit = tonumber(ARGV[2])
local want = math.min(limit + #ARGV - 3, fresh)
if want <= 0 then return {seed, {}, {}} end
-- The stale ones have the lowest scores, so the fresh ones are the last `fresh` ranks.
local first = total - fresh
local start = first + math.floor(tonumber(ARGV[3]) * fresh) % fresh
local found = server.call('ZRANGE', KEYS[2], start, math.min(start + want, total) - 1)
if #found < want then
  for _, id in ipairs(server.call('ZRANGE', KEYS[2], first, first + want - #found - 1)) do
    found[#found + 1] = id
  end
end
local out = {}
for i = 4, #ARGV do out[ARGV[i]] = true end
local ids = {}
for _, id in ipairs(found) do
  if #ids == limit then break end
  if not out[id] then ids[#ids + 1] = id end
end
if #ids == 0 then return {seed, {}, {}} end
return {seed, ids, server.call('HMGET', KEYS[3], unpack(ids))}
