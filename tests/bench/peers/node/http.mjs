// The heartbeat on Fastify 5, iovalkey (auto-pipelining) and fast-jwt with its cache.
//   original: SISMEMBER, then SET with an expiry, for each beat
//   batch:    our own design in Node: one SMISMEMBER and one ZADD XX for all beats of a turn
// usage: node http.mjs original|batch PORT VALKEY_PORT KEY_FILE
import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import { createVerifier } from 'fast-jwt'
import Valkey from 'iovalkey'

const [, , variant, port, valkeyPort, keyFile] = process.argv
const ANSWER = { is_online: true, next_beat_seconds: 20, server_time: '2026-01-01T00:00:00.000000Z' }
const verify = createVerifier({
  key: readFileSync(keyFile, 'utf8'), algorithms: ['ES256'], allowedAud: 'app', cache: 10000
})
const valkey = new Valkey({ host: '127.0.0.1', port: Number(valkeyPort), enableAutoPipelining: true })

const mitraOf = (request) => verify(request.headers.authorization.slice(7)).sub

async function original (request, reply) {
  const mitra = mitraOf(request)
  if (await valkey.sismember('{peer}:deactivated', mitra)) return reply.code(403).send()
  await valkey.set(`mitra:heartbeat:${mitra}`, Date.now(), 'EX', 120)
  return ANSWER
}

let waiting = []

async function flush () {
  const batch = waiting
  waiting = []
  const now = Date.now()
  try {
    const [barred] = await Promise.all([
      valkey.smismember('{peer}:deactivated', ...batch.map((one) => one.mitra)),
      valkey.zadd('{peer}:online', 'XX', ...batch.flatMap((one) => [now, one.mitra]))
    ])
    batch.forEach((one, index) => one.resolve(barred[index]))
  } catch (error) {
    batch.forEach((one) => one.reject(error))
  }
}

async function batched (request, reply) {
  const mitra = mitraOf(request)
  const barred = await new Promise((resolve, reject) => {
    if (waiting.push({ mitra, resolve, reject }) === 1) setImmediate(flush)
  })
  return barred ? reply.code(403).send() : ANSWER
}

const app = Fastify({ logger: false })
app.post('/api/mitra/status/heartbeat', variant === 'batch' ? batched : original)
await app.listen({ host: '127.0.0.1', port: Number(port) })
