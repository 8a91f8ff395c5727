import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { sql } from 'kysely';
import t, { type Test } from 'tap';
import { withClinic } from '../../../src/database/with-clinic.ts';
import { claimClinics, wakeClinic } from '../../../src/history/clinic-work-store.ts';
import { tellHost } from '../../../src/history/host-event-store.ts';
import { webhookFaultPoints } from '../../../src/outbox/fault.ts';
import {
  createWebhookDispatcher,
  type DeliverDeps,
  deliverEvents,
} from '../../../src/outbox/webhooks/deliver.ts';
import { deleteWebhook, putWebhook } from '../../../src/outbox/webhooks/webhook-store.ts';
import { seededRandom } from '../../simulators/control.ts';
import { testDatabase } from '../../support/postgres.ts';
import { noon } from '../outbox-clinic.ts';
import type { Errand } from './deliver-process.ts';
import { type ListeningClinic, listeningClinic } from './listening-clinic.ts';

const idsOf = (calls: readonly { id: string }[]) => calls.map(({ id }) => id);

t.test('what happened is told in order, once, by however many processes', async (t) => {
  const { db } = await testDatabase(t);
  const clinic = await listeningClinic(t, db);
  await clinic.happen(40);
  await Promise.all([1, 2, 3].map(() => deliverEvents(clinic.deliverDeps, clinic.clinicId)));
  t.same(idsOf(clinic.host.calls()), await clinic.events());
  t.ok(clinic.host.calls().every(({ isSigned }) => isSigned));
  t.same(new Set(await clinic.statesOf('mis')), new Set(['done']));
});

t.test('what is rolled back is not told', async (t) => {
  const { db } = await testDatabase(t);
  const clinic = await listeningClinic(t, db);
  const event = { type: 'feedback.received' } as const;
  await t.rejects(
    clinic.in(async (trx) => {
      await tellHost(trx, clinic.clinicId, [event], noon);
      throw new Error('undone');
    }),
    'undone',
  );
  await deliverEvents(clinic.deliverDeps, clinic.clinicId);
  t.same(clinic.host.calls(), []);
  t.same(await claimClinics(db, 'webhook', noon, 10), [], 'and nobody is woken');
});

const script = path.join(import.meta.dirname, 'deliver-process.ts');

/** @returns how the process ended. */
async function tellInProcess(
  { clinicId }: ListeningClinic,
  url: string,
  fault: Errand['fault'],
): Promise<string> {
  const errand: Errand = { url, clinicId, now: noon.toString(), fault };
  const child = spawn(process.execPath, [script, JSON.stringify(errand)], { stdio: 'inherit' });
  const [code, signal] = await once(child, 'exit');
  return signal ?? String(code);
}

t.test(
  'a crash at any point loses nothing, and resends under the same id',
  { timeout: 120_000 },
  async (t) => {
    const { db, url } = await testDatabase(t);
    for (const name of webhookFaultPoints) {
      const clinic = await listeningClinic(t, db);
      await clinic.happen(5);
      t.equal(await tellInProcess(clinic, url, { name, hit: 1 }), 'SIGKILL', `killed at ${name}`);
      await clinic.endLeases();
      await deliverEvents(clinic.deliverDeps, clinic.clinicId);
      const events = await clinic.events();
      t.same(idsOf(clinic.host.taken()), events, `${name}: all, in order`);
      const isResent = name === 'after_webhook_answer' || name === 'before_webhook_commit';
      t.equal(clinic.host.calls().length, events.length + (isResent ? 1 : 0), `${name}: calls`);
      t.same(new Set(await clinic.statesOf('mis')), new Set(['done']), name);
    }
  },
);

t.test('a living process is not taken for dead', async (t) => {
  const { db } = await testDatabase(t);
  const clinic = await listeningClinic(t, db);
  await clinic.happen(2);
  clinic.host.onCall(async () => {
    const other = await deliverEvents(clinic.deliverDeps, clinic.clinicId);
    t.match(other, { done: 0, failed: 0 }, 'the webhook is held');
  });
  await deliverEvents(clinic.deliverDeps, clinic.clinicId);
  t.same(idsOf(clinic.host.calls()), await clinic.events());
});

t.test(
  'whatever a receiver does, each event arrives, and never under two ids',
  { timeout: 120_000 },
  async (t) => {
    const { db } = await testDatabase(t);
    for (const seed of [1, 2, 3]) {
      const clinic = await listeningClinic(t, db);
      const random = seededRandom(seed);
      const share = () => random() * 0.2;
      clinic.host.faults({
        ...{ acceptThenDropReply: share(), dropBeforeAccept: share(), http5xx: share() },
        ...{ acceptThen5xx: share(), http429: share() },
      });
      const deps = { ...clinic.deliverDeps, random };
      for (let round = 0; round < 60; round += 1) {
        if (round < 10) await clinic.happen(3);
        await deliverEvents(deps, clinic.clinicId);
        clinic.clock.advance({ minutes: 31 });
      }
      clinic.host.faults({});
      clinic.clock.advance({ hours: 30 });
      await deliverEvents(deps, clinic.clinicId);
      const events = await clinic.events();
      t.same(idsOf(clinic.host.taken()).sort(), events.toSorted(), `seed ${seed}: all arrived`);
      const numbers = clinic.host.calls().map(({ id, json }) => `${id} ${json.data?.number}`);
      t.equal(new Set(numbers).size, events.length, `seed ${seed}: an event has one id`);
      t.ok(clinic.host.calls().length > events.length, `seed ${seed}: some came again`);
    }
  },
);

t.test('a slow receiver holds up neither another webhook nor another clinic', async (t) => {
  const { db } = await testDatabase(t);
  const slow = await listeningClinic(t, db);
  const quick = await listeningClinic(t, db);
  quick.host.trust([]);
  const wish = { name: 'also', source: 'mis', url: quick.host.url, events: ['*'] };
  await slow.in((trx) => putWebhook(slow.deliverDeps, trx, slow.clinicId, wish, noon));
  await slow.happen(1);
  await quick.happen(1);
  const both = Promise.withResolvers<void>();
  // It answers only once the two others were told.
  const begun = Promise.withResolvers<void>();
  slow.host.onCall(() => {
    begun.resolve();
    return both.promise;
  });
  quick.host.onCall(async () => {
    if (quick.host.calls().length === 2) both.resolve();
  });
  const dispatcher = serve(t, slow.deliverDeps);
  await Promise.all([begun.promise, both.promise]);
  await dispatcher.stop();
  t.equal(quick.host.calls().length, 2);
  t.same(idsOf(slow.host.taken()), await slow.events());
});

function serve(t: Test, deps: DeliverDeps) {
  const dispatcher = createWebhookDispatcher(deps);
  t.teardown(() => dispatcher.stop());
  dispatcher.start();
  return dispatcher;
}

t.test('what waits is told by the dispatcher when its time has come', async (t) => {
  const { db } = await testDatabase(t);
  const clinic = await listeningClinic(t, db);
  clinic.host.answerWith({ status: 500 });
  await clinic.happen(1);
  await deliverEvents(clinic.deliverDeps, clinic.clinicId);
  t.same(await claimClinics(db, 'webhook', noon, 10), [], 'nothing is due');
  t.same(await claimClinics(db, 'webhook', noon.add({ seconds: 10 }), 10), [clinic.clinicId]);
});

t.test(
  'a webhook that is deleted while something happens takes nothing down with it',
  async (t) => {
    const { db } = await testDatabase(t);
    const clinic = await listeningClinic(t, db);
    const deleted = Promise.withResolvers<void>();
    const removal = clinic.in(async (trx) => {
      await deleteWebhook(trx, clinic.clinicId, 'mis');
      deleted.resolve();
      // Held until somebody waits for it.
      await waitUntilBlocked(clinic);
    });
    await deleted.promise;
    await clinic.happen(1);
    await removal;
    t.same(await clinic.statesOf('mis'), []);
  },
);

async function waitUntilBlocked({ db }: ListeningClinic): Promise<void> {
  for (let tries = 0; tries < 1_000; tries += 1) {
    const { rows } = await sql`
      select from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())
      union all select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`.execute(
      db,
    );
    if (rows.length > 0) return;
  }
  throw new Error('Nobody waited.');
}

t.test('what is old is forgotten, heard or not', async (t) => {
  const { db } = await testDatabase(t);
  const clinic = await listeningClinic(t, db);
  await clinic.happen(3);
  await clinic.in((trx) =>
    sql`update host_events set created_at = created_at - interval '31 days'
      where clinic_id = ${clinic.clinicId} and (data ->> 'number')::int <= 2`.execute(trx),
  );
  await deliverEvents(clinic.deliverDeps, clinic.clinicId);
  t.equal((await clinic.events()).length, 1);
});

t.test(
  'two transactions that wake several roles do not wait for each other in a circle',
  async (t) => {
    const { db } = await testDatabase(t);
    const clinic = await listeningClinic(t, db);
    const event = { type: 'feedback.received' } as const;
    const work = async (tellsFirst: boolean) => {
      await withClinic(db, clinic.clinicId, async (trx) => {
        if (tellsFirst) await tellHost(trx, clinic.clinicId, [event], noon);
        await wakeClinic(trx, clinic.clinicId, 'dispatch', noon);
        await wakeClinic(trx, clinic.clinicId, 'plan', noon);
        if (!tellsFirst) await tellHost(trx, clinic.clinicId, [event], noon);
      });
    };
    await Promise.all(Array.from({ length: 30 }, (_, index) => work(index % 2 === 0)));
    t.equal((await clinic.events()).length, 30);
  },
);
