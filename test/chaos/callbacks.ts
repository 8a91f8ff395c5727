/** The address that providers call: it checks, reads and records as the service's own does. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { findAdapter } from '../../src/channels/registry.ts';
import type { Clock } from '../../src/clock.ts';
import type { Db, Trx } from '../../src/database/connect.ts';
import { repeatSacrificed } from '../../src/database/outage.ts';
import { withClinic } from '../../src/database/with-clinic.ts';
import { findConfiguredChannel, parseCallbackId } from '../../src/outbox/channel-store.ts';
import { recordReceipts } from '../../src/outbox/receipts.ts';
import { createSecrets } from '../../src/secrets.ts';
import { chaosSecretKey } from './child.ts';

export interface Callbacks {
  url: string;
  close(): Promise<void>;
}

export async function receiveCallbacks(db: Db, clock: Clock): Promise<Callbacks> {
  const deps = {
    db,
    findAdapter,
    publicUrl: 'http://127.0.0.1',
    secrets: createSecrets(Buffer.from(chaosSecretKey, 'base64')),
  };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = 'POST', url = '/', headers } = request;
      const plain = Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [name, String(value)]),
      );
      const raw = {
        ...{ method, headers: plain, rawBody: Buffer.concat(chunks), remoteIp: '127.0.0.1' },
        ...{ url: `http://127.0.0.1${url}`, receivedAt: clock.now() },
      };
      record(raw).then(
        (status) => response.writeHead(status).end(),
        () => response.writeHead(500).end(),
      );
    });
  });

  const record = async (raw: Parameters<typeof readCallback>[1]): Promise<number> => {
    const id = URL.parse(raw.url)?.pathname.slice('/v1/callbacks/'.length) ?? '';
    const named = parseCallbackId(id);
    if (named === null) return 404;
    const { clinicId, channel } = named;
    const take = async (trx: Trx) => {
      const configured = await findConfiguredChannel(deps, trx, clinicId, channel);
      const events = configured && readCallback(configured, raw);
      if (!events) return 401;
      await recordReceipts(trx, clinicId, channel, events, clock.now());
      return 200;
    };
    return repeatSacrificed(() => withClinic(db, clinicId, take));
  };

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1/callbacks`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

type Configured = NonNullable<Awaited<ReturnType<typeof findConfiguredChannel>>>;
type Provider = Extract<Configured['adapter'], { isLocal: false }>;

function readCallback(
  { adapter, config }: Configured,
  raw: Parameters<Provider['verifyCallback']>[0],
) {
  if (adapter.isLocal || !adapter.verifyCallback(raw, config).ok) return null;
  return adapter.parseCallback(raw, config).events;
}
