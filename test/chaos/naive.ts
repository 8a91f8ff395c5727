/**
 * `node test/chaos/naive.ts <settings>`: the ordinary dispatcher, as a control. It claims, sends and marks
 * as sent; it sends again what a lost lease or a lost answer leaves open, as a new call with a reference of
 * its own. It must be caught.
 */
import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { httpClient } from '../../src/channels/http.ts';
import { findAdapter } from '../../src/channels/registry.ts';
import { readConfig } from '../../src/config.ts';
import { connect } from '../../src/database/connect.ts';
import { withClinic } from '../../src/database/with-clinic.ts';
import { findClinic } from '../../src/history/clinic-store.ts';
import { createLog } from '../../src/log.ts';
import { type EffectiveChannel, effectiveChannels } from '../../src/outbox/channel-store.ts';
import { createSecrets } from '../../src/secrets.ts';
import { loop } from '../../src/service.ts';
import type { DispatcherSettings } from './dispatcher.ts';
import { type ProviderName, providerNames } from './judge.ts';
import { scaledClock } from './scaled-clock.ts';

const { scale, callTimeoutMs } = JSON.parse(process.argv[2] ?? '') as DispatcherSettings;
const config = readConfig();
const clock = scaledClock(scale);
const http = httpClient({ allowPrivate: true });
const log = createLog(config.logLevel);
const { db } = await connect({ url: config.databaseUrl ?? '', poolSize: config.poolSize });
const channels = await readChannels();
const claimedAtOnce = 10;

for (const provider of providerNames) {
  loop({
    idleMs: 50,
    round: async () => ((await sendSome(provider)) > 0 ? 'more' : 'idle'),
    onError: (error) => {
      throw error;
    },
  }).start();
}
process.once('disconnect', () => process.exit());
// A parent that is gone by now needs no word; the line above ends this process.
if (process.connected) process.send?.('ready', () => {});

async function sendSome(provider: ProviderName): Promise<number> {
  await sql`
    update naive_messages set state = 'scheduled', lease_until = null
    where provider = ${provider} and state = 'sending' and lease_until <= clock_timestamp()`.execute(
    db,
  );
  const { rows } = await sql<{ id: string; address: string; text: string }>`
    with due as (
      select id from naive_messages where provider = ${provider} and state = 'scheduled' and due_at <= clock_timestamp()
      order by id limit ${claimedAtOnce} for update skip locked
    )
    update naive_messages m set state = 'sending', lease_until = clock_timestamp() + interval '45 seconds',
      held_by = current_setting('application_name')
    from due where m.id = due.id returning m.id, m.address, m.text`.execute(db);
  await Promise.all(rows.map((message) => sendOne(provider, message)));
  return rows.length;
}

async function sendOne(
  provider: ProviderName,
  { id, address, text }: { id: string; address: string; text: string },
): Promise<void> {
  const { adapter, config: settings } = channels.get(provider) ?? {};
  if (!adapter || adapter.isLocal || !settings) throw new Error('There is no such channel.');
  const deadline = clock.now().add({ milliseconds: callTimeoutMs * scale.factor });
  const content = { text, ...(adapter.channel === 'email' && { subject: 'Time for a check-up' }) };
  const prepared = adapter.prepare(
    {
      id,
      clientRef: randomUUID(),
      purpose: 'care',
      to: address,
      content,
      expiresAt: deadline.add({ hours: 24 }),
    },
    settings,
  );
  const limited: typeof http.request = (request) =>
    http.request({ ...request, timeoutMs: callTimeoutMs });
  const signal = new AbortController().signal;
  const context = {
    signal,
    deadline,
    http: { ...http, request: limited },
    log,
    now: () => clock.now(),
  };
  const [outcome] = await adapter.send([prepared], settings, context);
  const state = outcome?.kind === 'accepted' ? 'sent' : 'scheduled';
  await sql`update naive_messages set state = ${state}, lease_until = null,
    due_at = clock_timestamp() + interval '1 second' where id = ${id}`.execute(db);
}

async function readChannels(): Promise<Map<ProviderName, EffectiveChannel>> {
  const secrets = createSecrets(config.secretKey ?? new Uint8Array());
  const deps = { secrets, publicUrl: 'http://127.0.0.1', findAdapter };
  const { rows } = await sql<{ id: string }>`select id from clinics`.execute(db);
  const channels = new Map<ProviderName, EffectiveChannel>();
  for (const { id } of rows) {
    const found = await withClinic(db, id, async (trx) => {
      const clinic = await findClinic(trx, id);
      return clinic === null ? [] : [...(await effectiveChannels(deps, trx, clinic)).values()];
    });
    for (const channel of found) {
      const provider = providerNames.find((name) => name === channel.provider);
      if (provider !== undefined) channels.set(provider, channel);
    }
  }
  return channels;
}
