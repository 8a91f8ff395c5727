/**
 * `node replica.ts <settings>`: the scheduler of a process of the service, and what its dispatcher does,
 * at the instants that its parent names and by a clock of its own. It lives until it is killed, or its parent is gone.
 */
import { createDeps } from '../../src/api/deps.ts';
import { readConfig } from '../../src/config.ts';
import { connect } from '../../src/database/connect.ts';
import { claimClinics } from '../../src/history/clinic-work-store.ts';
import { createLog } from '../../src/log.ts';
import { dispatchClinic } from '../../src/outbox/dispatch.ts';
import { createScheduler } from '../../src/rules/scheduler.ts';
import { createSecrets } from '../../src/secrets.ts';

export interface ReplicaSettings {
  /** How far its clock is ahead. */
  skewMs: number;
}

/** Asked for with the instant in epoch milliseconds. */
export interface Looked {
  done: true;
  /** Something went wrong: its connection was cut. */
  isBroken: boolean;
}

const { skewMs } = JSON.parse(process.argv[2] ?? '') as ReplicaSettings;
const config = readConfig();
const database = await connect({ url: config.databaseUrl ?? '', poolSize: 2 });
let present = Temporal.Instant.fromEpochMilliseconds(0);
const clock = { now: () => present, sync: async () => 0 };
const deps = createDeps({
  ...config,
  database,
  clock,
  secrets: createSecrets(config.secretKey ?? new Uint8Array()),
  log: createLog(config.logLevel),
  operatorKey: '',
  publicUrl: config.publicUrl ?? '',
  ticks: false,
});
let isBroken = false;
const scheduler = createScheduler({
  ...deps,
  clock,
  onError: () => {
    isBroken = true;
  },
});

process.on('message', async (atMs: number) => {
  present = Temporal.Instant.fromEpochMilliseconds(atMs + skewMs);
  isBroken = false;
  await scheduler.tick();
  await dispatchDueClinics().catch(() => {
    isBroken = true;
  });
  if (process.connected) process.send?.({ done: true, isBroken } satisfies Looked, () => {});
});
process.once('disconnect', () => process.exit());
// A parent that is gone by now needs no word; the line above ends this process.
if (process.connected) process.send?.('ready', () => {});

/** Each clinic once: what is left then is for the next look. */
async function dispatchDueClinics(): Promise<void> {
  for (const served = new Set<string>(); ; ) {
    const [clinicId] = await claimClinics(database.db, 'dispatch', present, 1);
    if (clinicId === undefined || served.has(clinicId)) return;
    served.add(clinicId);
    await dispatchClinic(deps, clinicId, present);
  }
}
