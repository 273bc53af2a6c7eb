-- KEYS seed online
-- ARGV ids
-- Returns the seed and the last beat of each, nil for those who are not online; the seed alone
-- where a guard is missing.
local seed = server.call('GET', KEYS[1])
if not seed then return false end
if not server.call('ZSCORE', KEYS[2], 'guard') then return {seed} end
return {seed, server.call('ZMSCORE', KEYS[2], unpack(ARGV))}
