-- Remove a mitra that Postgres does not know, unless a newer fact has come since she was read.
-- KEYS online available deactivated load versions
-- ARGV per mitra: id, and the versions that were read of online, active, load ('' for none)
-- Returns a digit per mitra: 1 forgotten.
local out = {}
for i = 1, #ARGV, 4 do
  local id = ARGV[i]
  local seen = server.call('HMGET', KEYS[5], id .. ':o', id .. ':a', id .. ':l')
  local same = (seen[1] or '') == ARGV[i + 1] and (seen[2] or '') == ARGV[i + 2]
    and (seen[3] or '') == ARGV[i + 3]
  if same then
    server.call('ZREM', KEYS[1], id)
    server.call('ZREM', KEYS[2], id)
    server.call('SREM', KEYS[3], id)
    server.call('HDEL', KEYS[4], id)
    server.call('HDEL', KEYS[5], id .. ':o', id .. ':a', id .. ':l')
  end
  out[#out + 1] = same and 1 or 0
end
return table.concat(out)
