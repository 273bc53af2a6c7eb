-- A seeding is complete: say so, unless the server was emptied meanwhile, lost a key, or a later
-- history spoke.
-- KEYS seed seeding online available deactivated load versions
-- ARGV seeding id, the new sentinel, its pg_epoch
-- Returns 1 when the sentinel was written.
if server.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
server.call('DEL', KEYS[2])
if not server.call('ZSCORE', KEYS[3], 'guard') or not server.call('ZSCORE', KEYS[4], 'guard')
  or server.call('SISMEMBER', KEYS[5], 'guard') == 0
  or server.call('HEXISTS', KEYS[6], 'guard') == 0
  or server.call('HEXISTS', KEYS[7], 'guard') == 0 then
  return 0
end
local seed = server.call('GET', KEYS[1])
if seed then
  local epoch = tonumber(string.match(seed, '^%S+ (%d+) '))
  if epoch and epoch > tonumber(ARGV[3]) then return 0 end
end
server.call('SET', KEYS[1], ARGV[2])
return 1
