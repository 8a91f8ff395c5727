/** A teller of webhooks in a process of its own, so that a test can have it killed. */
import { httpClient } from '../../../src/channels/http.ts';
import { fixedClock } from '../../../src/clock.ts';
import { connect } from '../../../src/database/connect.ts';
import { createFaults } from '../../../src/outbox/fault.ts';
import { deliverEvents } from '../../../src/outbox/webhooks/deliver.ts';
import { createSecrets } from '../../../src/secrets.ts';

export interface Errand {
  url: string;
  clinicId: string;
  now: string;
  fault: { name: string; hit: number } | null;
}

const [errandText = '{}'] = process.argv.slice(2);
const errand = JSON.parse(errandText) as Errand;
const { db, close } = await connect({ url: errand.url, poolSize: 4 });
const http = httpClient({ allowPrivate: true });
await deliverEvents(
  {
    db,
    http,
    clock: fixedClock(errand.now),
    secrets: createSecrets(new Uint8Array(32)),
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    faults: createFaults(errand.fault),
    random: () => 0.5,
    monotonicMs: () => performance.now(),
  },
  errand.clinicId,
);
await http.close();
await close();
