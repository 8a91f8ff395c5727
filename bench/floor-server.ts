/** `node bench/floor-server.ts <database url> <port>`: takes an event and inserts it as it came; no more. */
import Fastify from 'fastify';
import pg from 'pg';

const [, , databaseUrl = '', port = '0'] = process.argv;
const pool = new pg.Pool({ connectionString: databaseUrl, max: 10 });
await pool.query(
  'create table if not exists raw_events (id bigint generated always as identity primary key, body jsonb not null)',
);

const app = Fastify();
app.get('/healthz', async () => ({ ok: true }));
app.post('/v1/events', async (request, reply) => {
  await pool.query({
    name: 'insert',
    text: 'insert into raw_events (body) values ($1)',
    values: [JSON.stringify(request.body)],
  });
  return reply.code(202).send({ accepted: 1 });
});
process.once('SIGTERM', () => void app.close().then(() => pool.end()));
await app.listen({ host: '127.0.0.1', port: Number(port) });
