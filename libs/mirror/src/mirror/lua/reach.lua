-- KEYS seed online available deactivated
-- ARGV fresh limit in ms, then ids
-- Returns the seed and a digit per id: 0 not reachable, 1 reachable, 2 available.
local seed = server.call('GET', KEYS[1])
if not seed then return false end
local time = server.call('TIME')
local floor = time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(ARGV[1])
local ids = {unpack(ARGV, 2)}
local barred = server.call('SMISMEMBER', KEYS[4], unpack(ids))
local online = server.call('ZMSCORE', KEYS[2], unpack(ids))
local available = server.call('ZMSCORE', KEYS[3], unpack(ids))
local out = {}
for i = 1, #ids do
  if barred[i] == 1 or not online[i] or tonumber(online[i]) <= floor then
    out[i] = 0
  else
    out[i] = available[i] and 2 or 1
  end
end
return {seed, table.concat(out)}
