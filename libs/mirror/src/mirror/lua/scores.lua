-- KEYS seed online
-- ARGV ids
-- Returns the seed and the last beat of each, nil for those who are not online.
local seed = server.call('GET', KEYS[1])
if not seed then return false end
return {seed, server.call('ZMSCORE', KEYS[2], unpack(ARGV))}
