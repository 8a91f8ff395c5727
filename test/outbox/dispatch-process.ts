/**
 * A dispatcher in a process of its own, so that a test can have it killed: works a clinic until nothing
 * moves any more, at one instant of business time.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { httpClient } from '../../src/channels/http.ts';
import { findAdapter } from '../../src/channels/registry.ts';
import { fixedClock } from '../../src/clock.ts';
import { connect } from '../../src/database/connect.ts';
import { type DispatchDeps, dispatchClinic } from '../../src/outbox/dispatch.ts';
import { createFaults } from '../../src/outbox/fault.ts';
import { reconcileClinic } from '../../src/outbox/reconcile.ts';
import { createSecrets } from '../../src/secrets.ts';

export interface Errand {
  url: string;
  clinicId: string;
  now: string;
  fault: { name: string; hit: number } | null;
}

const [errandText = '{}'] = process.argv.slice(2);
const errand = JSON.parse(errandText) as Errand;
const now = Temporal.Instant.from(errand.now);
const { db, close } = await connect({ url: errand.url, poolSize: 4 });
const http = httpClient({ allowPrivate: true });
const deps: DispatchDeps = {
  db,
  clock: fixedClock(now),
  secrets: createSecrets(new Uint8Array(32)),
  publicUrl: 'https://retorno.test',
  findAdapter,
  http,
  log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  faults: createFaults(errand.fault),
  random: () => 0,
  monotonicMs: () => performance.now(),
  pause: (ms) => pause(ms),
};

await reconcileClinic(deps, errand.clinicId, now);
await dispatchClinic(deps, errand.clinicId, now);
await http.close();
await close();
