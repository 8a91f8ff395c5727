import Fastify from 'fastify';
import type { RawRequest } from '../../src/channels/channel.ts';
import { systemClock } from '../../src/clock.ts';

export interface Receiver {
  url: string;
  requests: RawRequest[];
  close(): Promise<void>;
}

/** Where a provider's calls arrive, kept as raw as the callback route keeps them. */
export async function startReceiver(): Promise<Receiver> {
  const app = Fastify({ forceCloseConnections: true });
  const requests: RawRequest[] = [];
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.all('/callback', async (request) => {
    const headers = request.headers as RawRequest['headers'];
    requests.push({
      method: request.method,
      url: `https://clinic.example${request.url}`,
      headers,
      rawBody: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
      remoteIp: request.ip,
      receivedAt: systemClock.now(),
    });
    return 'OK';
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  return { url: `${url}/callback`, requests, close: () => app.close() };
}
