/**
 * `node test/chaos/dispatcher.ts <settings>`: the dispatcher and the reconciler of a process of the
 * service, made of the same parts, on a clock that runs faster. It lives until it is killed, kills itself
 * at `RETORNO_FAULT`, or its parent is gone.
 */
import { sql } from 'kysely';
import { createDeps } from '../../src/api/deps.ts';
import type { ChannelAdapter } from '../../src/channels/channel.ts';
import { readConfig } from '../../src/config.ts';
import { connect } from '../../src/database/connect.ts';
import { createLog } from '../../src/log.ts';
import { createDispatcher, dispatchClinic } from '../../src/outbox/dispatch.ts';
import { createReconciler, reconcileClinic } from '../../src/outbox/reconcile.ts';
import { createSecrets } from '../../src/secrets.ts';
import { loop, type Service } from '../../src/service.ts';
import { scaledClock, type TimeScale } from './scaled-clock.ts';

export interface DispatcherSettings {
  scale: TimeScale;
  /** Hard limit of a call by the wall clock; in business time shorter than the wait for an answer. */
  callTimeoutMs: number;
  /** Serve this clinic only, and not by turns. */
  clinicId?: string;
}

const { scale, callTimeoutMs, clinicId } = JSON.parse(process.argv[2] ?? '') as DispatcherSettings;
const config = readConfig();
const database = await connect({ url: config.databaseUrl ?? '', poolSize: config.poolSize });
const deps = createDeps({
  ...config,
  database,
  clock: scaledClock(scale),
  secrets: createSecrets(config.secretKey ?? new Uint8Array()),
  log: createLog(config.logLevel),
  operatorKey: '',
  publicUrl: config.publicUrl ?? '',
  ticks: false,
});
const { http, findAdapter } = deps;
// The outbox reckons ten seconds by its own clock, and a call by that clock would end at once.
Object.assign(deps, {
  http: {
    ...http,
    request: (request: Parameters<typeof http.request>[0]) =>
      http.request({ ...request, timeoutMs: Math.min(request.timeoutMs, callTimeoutMs) }),
  },
  findAdapter: (...named: Parameters<typeof deps.findAdapter>) => inWallTime(findAdapter(...named)),
});

function inWallTime(adapter: ChannelAdapter | null): ChannelAdapter | null {
  if (adapter === null || adapter.isLocal) return adapter;
  return {
    ...adapter,
    send: (batch, settings, context) => {
      const start = context.now();
      const startedMs = performance.now();
      const now = () => start.add({ milliseconds: Math.round(performance.now() - startedMs) });
      const deadline = start.add({ milliseconds: Math.round(callTimeoutMs) });
      return adapter.send(batch, settings, { ...context, now, deadline });
    },
  };
}

const services =
  clinicId === undefined ? [createDispatcher(deps), createReconciler(deps)] : [only(clinicId)];
for (const service of services) service.start();
process.once('disconnect', () => process.exit());
// A parent that is gone by now needs no word; the line above ends this process.
if (process.connected) process.send?.('ready', () => {});

function only(id: string): Service {
  return loop({
    idleMs: 50,
    round: async () => {
      await dispatchClinic(deps, id, deps.clock.now());
      if (await wantsReconciling(id)) await reconcileClinic(deps, id, deps.clock.now());
      return 'idle';
    },
    onError: (error) => {
      throw error;
    },
  });
}

/** As the reconciler asks for all clinics. */
async function wantsReconciling(id: string): Promise<boolean> {
  const { rows } = await sql`
    select from clinic_work
    where clinic_id = ${id} and kind = 'reconcile' and next_at <= ${deps.clock.now()}`.execute(
    deps.db,
  );
  return rows.length > 0;
}
