import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { buildConnector } from 'undici';
import {
  type HttpClientOptions,
  type HttpRequest,
  httpClient,
  onlyPublic,
} from '../../src/channels/http.ts';
import { isPublicAddress } from '../../src/channels/public-address.ts';

async function listen(t: Test, server: Server): Promise<string> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `http://127.0.0.1:${address.port}`;
}

const web = (t: Test, answer: RequestListener) => listen(t, createHttpServer(answer));
const wire = (t: Test, onSocket: (socket: Socket) => void) => listen(t, createServer(onSocket));

function client(t: Test, options: Partial<HttpClientOptions> = {}) {
  const http = httpClient({ allowPrivate: true, ...options });
  t.teardown(() => http.close());
  return (url: string, overrides: Partial<HttpRequest> = {}) =>
    http.request({
      method: 'POST',
      url,
      body: 'text',
      signal: new AbortController().signal,
      timeoutMs: 5_000,
      ...overrides,
    });
}

t.test('a whole answer is an answer, whatever its status', async (t) => {
  const ask = client(t);
  const url = await web(t, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      response.writeHead(418, { 'X-Message-Id': 'm1' });
      response.end(`${request.method} ${request.url} ${Buffer.concat(chunks)}`);
    });
  });
  const result = await ask(`${url}/a/b?c=d`);
  t.match(result, { kind: 'answered', status: 418, headers: { 'x-message-id': 'm1' } });
  t.equal(result.kind === 'answered' && result.body.toString(), 'POST /a/b?c=d text');
});

t.test('a redirect is an answer and is never followed', async (t) => {
  let visits = 0;
  const url = await web(t, (_request, response) => {
    visits += 1;
    response.writeHead(302, { location: '/elsewhere' }).end();
  });
  t.match(await client(t)(url), { kind: 'answered', status: 302 });
  t.equal(visits, 1);
});

t.test('where no byte left, that is certain', async (t) => {
  const ask = client(t, { connectTimeoutMs: 500 });
  const closed = createServer();
  const refused = await listen(t, closed);
  await new Promise((resolve) => closed.close(resolve));
  const silent = await wire(t, () => {});
  const plain = (await wire(t, (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'))).replace(
    'http:',
    'https:',
  );

  t.same(await ask(refused), { kind: 'not-sent', reason: 'refused' });
  t.same(await ask('http://clinic.invalid/'), { kind: 'not-sent', reason: 'dns' });
  t.match(await ask(plain), { kind: 'not-sent', reason: 'tls' });
  t.match(await ask(silent.replace('http:', 'https:')), { kind: 'not-sent', reason: 'timeout' });
  t.same(await ask('no address'), { kind: 'not-sent', reason: 'malformed' });
  t.same(await ask('ftp://127.0.0.1/'), { kind: 'not-sent', reason: 'malformed' });
  t.same(await ask('http://user:pass@127.0.0.1/'), { kind: 'not-sent', reason: 'malformed' });
  t.same(await ask(silent, { headers: { 'x-bad': 'a\nb' } }), {
    kind: 'not-sent',
    reason: 'malformed',
  });
  t.same(await ask(silent, { signal: AbortSignal.abort() }), {
    kind: 'not-sent',
    reason: 'aborted',
  });
});

t.test('from the first byte on, all but a whole answer is uncertain', async (t) => {
  const ask = client(t, { bodyBytesMax: 1_000 });
  const onFirstByte = (act: (socket: Socket) => void) =>
    wire(t, (socket) => socket.once('data', () => act(socket)));

  const cut = await onFirstByte((socket) => socket.destroy());
  t.same(await ask(cut), { kind: 'ambiguous', reason: 'connection-lost' });
  const reset = await onFirstByte((socket) => socket.resetAndDestroy());
  t.same(await ask(reset), { kind: 'ambiguous', reason: 'connection-lost' });
  const half = await onFirstByte((socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"id":');
    socket.end();
  });
  t.same(await ask(half), { kind: 'ambiguous', reason: 'connection-lost' });
  const noise = await onFirstByte((socket) => socket.end('no http at all\r\n\r\n'));
  t.same(await ask(noise), { kind: 'ambiguous', reason: 'connection-lost' });
  const silent = await onFirstByte(() => {});
  t.same(await ask(silent, { timeoutMs: 100 }), { kind: 'ambiguous', reason: 'timeout' });
  const stop = new AbortController();
  const stopping = await onFirstByte(() => stop.abort());
  t.same(await ask(stopping, { signal: stop.signal }), { kind: 'ambiguous', reason: 'aborted' });
  const flood = await web(t, (_request, response) => response.end('x'.repeat(100_000)));
  t.same(await ask(flood), { kind: 'ambiguous', reason: 'too-large' });
});

t.test('a connection that the provider closed meanwhile repeats nothing by itself', async (t) => {
  const bodies: string[] = [];
  const url = await wire(t, (socket) => {
    socket.on('data', (chunk) => {
      bodies.push(chunk.toString('latin1').split('\r\n\r\n')[1] ?? '');
      // The first is answered and the connection kept; the second dies on it.
      if (bodies.length === 1) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      else socket.destroy();
    });
  });
  const ask = client(t, { connectionsPerOrigin: 1 });
  t.match(await ask(url, { body: 'one' }), { kind: 'answered' });
  t.same(await ask(url, { body: 'two' }), { kind: 'ambiguous', reason: 'connection-lost' });
  t.same(bodies, ['one', 'two']);
});

t.test('a call that waited for a connection and was given up never leaves', async (t) => {
  const bodies: string[] = [];
  let release = () => {};
  const url = await web(t, (request, response) => {
    request.on('data', (chunk: Buffer) => bodies.push(chunk.toString()));
    release = () => response.end('ok');
  });
  const ask = client(t, { connectionsPerOrigin: 1 });
  const first = ask(url, { body: 'one' });
  t.same(await ask(url, { body: 'two', timeoutMs: 100 }), { kind: 'not-sent', reason: 'timeout' });
  release();
  t.match(await first, { kind: 'answered' });
  const third = ask(url, { body: 'three', timeoutMs: 1_000 });
  while (bodies.length < 2) await new Promise((resolve) => setImmediate(resolve));
  release();
  t.match(await third, { kind: 'answered' });
  t.same(bodies, ['one', 'three']);
});

t.test('no spelling of a private address gets through where they are forbidden', async (t) => {
  let visits = 0;
  const url = await wire(t, () => {
    visits += 1;
  });
  const { port } = new URL(url);
  const ask = client(t, { allowPrivate: false, connectTimeoutMs: 1_000 });
  const hosts = [
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
    '0x7f.1',
    '0',
    '0.0.0.0',
    '127.0.0.1.',
    '[::1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[::127.0.0.1]',
    '[64:ff9b::7f00:1]',
    '[2002:7f00:1::]',
    '[2001:0:7f00:1::]',
    '[fe80::1]',
    '[fd00::1]',
    '[fec0::1]',
    '[ff02::1]',
    '10.0.0.1',
    '172.16.0.1',
    '192.168.0.1',
    '169.254.169.254',
    '100.64.0.1',
    '192.0.0.1',
    '198.18.0.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '①②⑦.0.0.1',
    'localhost',
    'LOCALHOST.',
    'a.localhost',
  ];
  for (const host of hosts) {
    for (const address of [
      `https://${host}/`,
      `https://${host}:8443/`,
      `http://${host}:${port}/`,
    ]) {
      const result = await ask(address, { timeoutMs: 2_000 });
      t.equal(result.kind, 'not-sent', address);
      t.ok(
        ['private-address', 'malformed', 'dns'].includes('reason' in result ? result.reason : ''),
        `${address}`,
      );
    }
  }
  t.equal(visits, 0);
  t.same(
    await ask('http://example.com/'),
    { kind: 'not-sent', reason: 'private-address' },
    'plain http',
  );
  t.same(await ask('https://example.com:6379/'), { kind: 'not-sent', reason: 'private-address' });
});

t.test('addresses of the public Internet are told from all others', async (t) => {
  for (const address of [
    '8.8.8.8',
    '1.1.1.1',
    '172.15.0.1',
    '172.32.0.1',
    '2606:4700::1111',
    '2a00:1450::1',
  ]) {
    t.ok(isPublicAddress(address), address);
  }
  for (const address of [
    '',
    'localhost',
    '172.31.255.255',
    '100.127.0.1',
    '::ffff:8.8.8.8',
    '2001:db8::1',
    'fe80::1%eth0',
  ]) {
    t.notOk(isPublicAddress(address), address);
  }
});

t.test('where the socket really ended counts, whatever the name server said', async (t) => {
  const { port } = new URL(await wire(t, () => {}));
  const connect = onlyPublic(buildConnector({}));
  const target = { hostname: '127.0.0.1', protocol: 'http:', port };
  const error = await new Promise((resolve) => connect(target, (...[failure]) => resolve(failure)));
  t.match(error, { code: 'PRIVATE_ADDRESS' });
});
