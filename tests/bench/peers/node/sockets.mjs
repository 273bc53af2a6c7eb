// Beats over sockets on @fastify/websocket: SISMEMBER and SET for each, or only the echo.
// usage: node sockets.mjs original|echo PORT VALKEY_PORT KEY_FILE
import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import websocket from '@fastify/websocket'
import { createVerifier } from 'fast-jwt'
import Valkey from 'iovalkey'

const [, , variant, port, valkeyPort, keyFile] = process.argv
const ACK = '{"type":"beat_ack","id":null,"data":{"is_online":true}}'
const verify = createVerifier({
  key: readFileSync(keyFile, 'utf8'), algorithms: ['ES256'], allowedAud: 'app', cache: 10000
})
const valkey = new Valkey({ host: '127.0.0.1', port: Number(valkeyPort), enableAutoPipelining: true })

async function beat (mitra) {
  if (await valkey.sismember('{peer}:deactivated', mitra)) return false
  await valkey.set(`mitra:heartbeat:${mitra}`, Date.now(), 'EX', 120)
  return true
}

const app = Fastify({ logger: false })
await app.register(websocket, { options: { perMessageDeflate: false } })
app.register(async (routes) => {
  routes.get('/ws', { websocket: true }, (socket, request) => {
    const mitra = verify(request.headers.authorization.slice(7)).sub
    socket.on('message', async (text) => {
      if (variant === 'original') {
        if (JSON.parse(text).type !== 'beat' || !(await beat(mitra))) return socket.close()
      }
      socket.send(ACK)
    })
  })
})
await app.listen({ host: '127.0.0.1', port: Number(port), backlog: 1024 })
