-- Everything the mirror holds of these mitras, to compare with Postgres.
-- KEYS online available deactivated load versions
-- ARGV ids
local fields = {}
for i = 1, #ARGV do
  fields[#fields + 1] = ARGV[i] .. ':o'
  fields[#fields + 1] = ARGV[i] .. ':a'
  fields[#fields + 1] = ARGV[i] .. ':l'
end
return {
  server.call('ZMSCORE', KEYS[1], unpack(ARGV)),
  server.call('ZMSCORE', KEYS[2], unpack(ARGV)),
  server.call('SMISMEMBER', KEYS[3], unpack(ARGV)),
  server.call('HMGET', KEYS[4], unpack(ARGV)),
  server.call('HMGET', KEYS[5], unpack(fields)),
}
