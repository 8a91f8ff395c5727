import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import Fastify from 'fastify';
import t, { type Test } from 'tap';
import type { App } from '../../src/api/app-types.ts';
import { addBodies } from '../../src/api/bodies.ts';
import { addProblems } from '../../src/api/problem.ts';
import { createLog } from '../../src/log.ts';
import { testApi } from '../support/api.ts';

/** What comes back when these bytes are sent, until the connection ends. */
function exchange(url: string, text: string): Promise<string> {
  const socket = net.connect(Number(new URL(url).port), '127.0.0.1');
  socket.write(text);
  return new Promise((resolve, reject) => {
    let heard = '';
    socket.on('data', (chunk) => {
      heard += String(chunk);
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(heard));
  });
}

async function hasty(t: Test): Promise<string> {
  const app = Fastify().withTypeProvider() as unknown as App;
  addBodies(app, 50);
  app.route({
    method: ['GET', 'POST'],
    url: '/slow',
    handler: async () => {
      await pause(150);
      return 'done';
    },
  });
  t.teardown(() => app.close());
  return app.listen({ port: 0, host: '127.0.0.1' });
}

t.test('a body has its time, and what is asked for has more', async (t) => {
  const url = await hasty(t);
  t.equal(await (await fetch(`${url}/slow`)).text(), 'done');
  t.equal(await (await fetch(`${url}/slow`, { method: 'POST' })).text(), 'done');
  const whole = { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } };
  t.equal(await (await fetch(`${url}/slow`, whole)).text(), 'done');
  const head = 'POST /slow HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
  t.equal(await exchange(url, `${head}Content-Length: 10\r\n\r\n{`), '');
  t.equal(await exchange(url, `${head}Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n`), '');
});

t.test('what is no HTTP is answered with a problem too', async (t) => {
  const { app, logLines } = await testApi(t);
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  const isProblem = (answer: string, status: number, code: string) => {
    t.match(answer, new RegExp(`^HTTP/1.1 ${status} `));
    t.match(answer, /content-type: application\/problem\+json/i);
    t.match(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))), { status, code, detail: String });
  };
  isProblem(await exchange(url, 'HELLO\r\n\r\n'), 400, 'validation');
  isProblem(
    await exchange(url, `GET /v1/clinic HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`),
    413,
    'too-large',
  );
  t.notMatch(logLines.join(''), /"level":"error"/);
});

t.test('a client that hangs up in the middle of a body is no error of ours', async (t) => {
  const lines: string[] = [];
  const loggerInstance = createLog('trace', { write: (line) => void lines.push(line) });
  const app = Fastify({ loggerInstance }).withTypeProvider() as unknown as App;
  addBodies(app);
  addProblems(app);
  app.post('/taken', async () => 'done');
  const failed = new Promise((resolve) => {
    app.addHook('onError', async () => resolve(undefined));
  });
  app.addHook('preParsing', async () => void setImmediate(() => socket.destroy()));
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  const socket = net.connect(Number(new URL(url).port), '127.0.0.1');
  socket.write(
    'POST /taken HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{',
  );
  await failed;
  await app.close();
  t.notMatch(lines.join(''), /"level":"error"/);
});
