import { setTimeout as pause } from 'node:timers/promises';
import { sql } from 'kysely';
import t from 'tap';
import type { Trx } from '../../src/database/connect.ts';
import { lockCapacity } from '../../src/history/capacity-lock-store.ts';
import { dispatchClinic } from '../../src/outbox/dispatch.ts';
import { uuidv7 } from '../../src/uuid.ts';
import { noon, type OutboxClinic, outboxClinic } from './outbox-clinic.ts';

const run = (clinic: OutboxClinic) =>
  dispatchClinic(clinic.deps, clinic.clinicId, clinic.clock.now());
const made = { created_at: noon, updated_at: noon };
const day = Temporal.Duration.from({ hours: 24 });

async function addRule(
  { in: within, clinicId }: OutboxClinic,
  { trigger = {}, limits }: { trigger?: object; limits?: object } = {},
): Promise<string> {
  const id = uuidv7(noon);
  const definition = JSON.stringify({ name: 'Recall', purpose: 'care', trigger, limits });
  const row = { clinic_id: clinicId, id, name: 'Recall', version: 1, definition, ...made };
  await within((trx) =>
    trx
      .insertInto('rules')
      .values({ ...row, state: 'active', active_from: noon })
      .execute(),
  );
  return id;
}

async function tellSlots(
  { in: within, clinicId }: OutboxClinic,
  free: number,
  { service = '', practitioner = '', on = '2026-12-20' } = {},
): Promise<void> {
  const row = { clinic_id: clinicId, local_day: on, service, practitioner, free };
  await within((trx) =>
    trx
      .insertInto('capacities')
      .values({ ...row, occurred_at: noon, updated_at: noon })
      .onConflict((conflict) =>
        conflict
          .columns(['clinic_id', 'local_day', 'service', 'practitioner'])
          .doUpdateSet({ free }),
      )
      .execute(),
  );
}

interface Due {
  patientId: string;
  journeyId: string;
  messageId: string;
}

/** Somebody to be invited, who fell due so many hours before noon. */
async function addDue(
  clinic: OutboxClinic,
  ruleId: string,
  hoursOverdue: number,
  wish: { practitionerId?: string; unlessBooked?: boolean } = {},
): Promise<Due> {
  const { clinicId } = clinic;
  const patientId = await clinic.addPatient();
  const dueAt = noon.subtract({ hours: hoursOverdue });
  const expiresAt = noon.add({ hours: 24 * 30 });
  const journeyId = uuidv7(noon);
  const visit = `v-${patientId}`;
  const visitedAt = dueAt.subtract({ hours: 24 * 180 });
  await clinic.in(async (trx) => {
    const row = { clinic_id: clinicId, id: journeyId, rule_id: ruleId, patient_id: patientId };
    const times = { due_at: dueAt, expires_at: expiresAt, ...made };
    await trx
      .insertInto('journeys')
      .values({
        ...{ ...row, ...times, rule_version: 1, state: 'planned' },
        ...{ occurrence: `visit:${visit}`, anchor: '{}' },
      })
      .execute();
    await sql`
      insert into visits (clinic_id, source, external_id, patient_id, status, started_at, practitioner_id, created_at, updated_at)
      values (${clinicId}, 'mis', ${visit}, ${patientId}, 'finished', ${visitedAt}, ${wish.practitionerId ?? null}, ${noon}, ${noon})`.execute(
      trx,
    );
  });
  const messageId = await addStep(clinic, ruleId, { patientId, journeyId, step: 0 }, dueAt, wish);
  return { patientId, journeyId, messageId };
}

function addStep(
  clinic: OutboxClinic,
  ruleId: string,
  place: { patientId: string; journeyId: string; step: number },
  dueAt: Temporal.Instant,
  { practitionerId, unlessBooked = true }: { practitionerId?: string; unlessBooked?: boolean } = {},
): Promise<string> {
  const anchor = {
    ...({ kind: 'visit', source: 'mis', id: `v-${place.patientId}` } as const),
    at: dueAt.subtract({ hours: 24 * 180 }).toString(),
    ...(practitionerId === undefined
      ? { scope: 'any' as const }
      : { scope: 'same-practitioner' as const, practitionerId }),
  };
  return clinic.enqueue({
    ...{ ...place, ruleId, purpose: 'care' },
    guard: { since: dueAt.toString(), unlessBooked, stopOn: ['booked', 'visited'], anchor },
    // All are due at once for the dispatcher: only the journeys tell who is overdue.
    scheduledAt: noon.subtract({ hours: 1 }),
    expiresAt: noon.add({ hours: 24 * 30 }),
  });
}

async function statesOf(clinic: OutboxClinic, due: readonly Due[]) {
  const rows = await Promise.all(due.map(({ messageId }) => clinic.message(messageId)));
  return rows.map(({ state, reason }) => (reason === null ? state : `${state} ${reason}`));
}

const full = 'held capacity';
const looksMax = 5_000;

t.test('dispatchers that race for the last slots give none of them twice', async (t) => {
  const clinic = await outboxClinic(t, {
    // Small batches, so that many transactions count the same slots.
    capabilities: { reconcile: 'none', concurrency: 1 },
  });
  await tellSlots(clinic, 7);
  const rules = [await addRule(clinic), await addRule(clinic)];
  const due: Due[] = [];
  for (let hours = 1; hours <= 24; hours += 1)
    due.push(await addDue(clinic, rules[hours % 2] ?? '', hours));
  await Promise.all([run(clinic), run(clinic), run(clinic), run(clinic)]);
  for (let quarter = 0; quarter < 3; quarter += 1) {
    clinic.clock.advance({ minutes: 15 });
    await Promise.all([run(clinic), run(clinic)]);
  }
  const sent = (await statesOf(clinic, due)).map((state) => state === 'sent');
  t.equal(sent.filter(Boolean).length, 7);
  t.ok(sent.slice(-7).every(Boolean), `the most overdue went: ${sent.map(Number).join('')}`);
});

/** Whether anybody waits for a turn in this database. */
async function isAwaited(trx: Trx): Promise<boolean> {
  const { rows } = await sql`
    select from pg_locks where locktype = 'advisory' and not granted
      and database = (select oid from pg_database where datname = current_database())`.execute(trx);
  return rows.length > 0;
}

t.test('a sender waits for whoever gives slots away just now', async (t) => {
  const clinic = await outboxClinic(t);
  await tellSlots(clinic, 1);
  const due = [await addDue(clinic, await addRule(clinic), 9)];
  let isOver = false;
  const sending = await clinic.in(async (trx) => {
    await lockCapacity(trx, clinic.clinicId);
    await sql`update capacities set free = 0 where clinic_id = ${clinic.clinicId}`.execute(trx);
    const share = run(clinic).finally(() => {
      isOver = true;
    });
    for (let looks = 0; looks < looksMax && !isOver; looks += 1) {
      if (await isAwaited(trx)) break;
      await pause(1);
    }
    return { share };
  });
  await sending.share;
  t.same(await statesOf(clinic, due), [full], 'the slot has gone meanwhile');
});

t.test('only those are kept to the slots who are invited', async (t) => {
  const clinic = await outboxClinic(t);
  await tellSlots(clinic, 0);
  const ruleId = await addRule(clinic);
  const due = [
    await addDue(clinic, ruleId, 9),
    await addDue(clinic, ruleId, 8, { unlessBooked: false }),
  ];
  await run(clinic);
  t.same(await statesOf(clinic, due), [full, 'sent']);
});

t.test('a slot is kept for seven days from the first contact, whatever follows it', async (t) => {
  const clinic = await outboxClinic(t);
  await tellSlots(clinic, 1);
  const ruleId = await addRule(clinic);
  const due = [await addDue(clinic, ruleId, 9), await addDue(clinic, ruleId, 8)];
  const [first] = due;
  await run(clinic);
  t.same(await statesOf(clinic, due), ['sent', full]);
  clinic.clock.advance({ hours: 24 * 6 });
  // The rule rests, but whom it has invited may still come.
  await clinic.in((trx) =>
    sql`update rules set state = 'paused' where clinic_id = ${clinic.clinicId}`.execute(trx),
  );
  await run(clinic);
  t.same(await statesOf(clinic, due), ['sent', full]);
  clinic.clock.advance({ hours: 24 });
  const dueAt = noon.subtract({ hours: 9 });
  if (first) {
    const step = await addStep(clinic, ruleId, { ...first, step: 1 }, dueAt);
    await run(clinic);
    t.equal((await clinic.message(step)).state, 'sent', 'a further step is no invitation');
  }
  clinic.clock.advance(day);
  await run(clinic);
  t.same(await statesOf(clinic, due), ['sent', 'sent']);
});

const noSuchNumber = {
  ...({ class: 'recipient_permanent', scope: 'recipient', message: 'No such number.' } as const),
  ...{ providerCode: null, httpStatus: null },
};

t.test('whom the provider refused for good was not invited', async (t) => {
  let answers = 0;
  const clinic = await outboxClinic(t, {
    answer: ({ id, clientRef }) => {
      answers += 1;
      if (answers > 1) {
        return { id, kind: 'accepted', providerMessageId: `p-${clientRef}`, raw: null };
      }
      return { id, kind: 'rejected', error: noSuchNumber, raw: null };
    },
  });
  await tellSlots(clinic, 1);
  const ruleId = await addRule(clinic);
  const due = [await addDue(clinic, ruleId, 9), await addDue(clinic, ruleId, 8)];
  await run(clinic);
  clinic.clock.advance(day);
  await run(clinic);
  t.same((await statesOf(clinic, due))[1], 'sent');
});

t.test('a patient who may come to one practitioner only waits for that one', async (t) => {
  const clinic = await outboxClinic(t);
  await tellSlots(clinic, 0, { practitioner: 'dr-1' });
  await tellSlots(clinic, 2, { practitioner: 'dr-2' });
  // One a day: whoever waits for a full practitioner holds up nobody.
  const ruleId = await addRule(clinic, { limits: { perDay: 1 } });
  const due = [
    await addDue(clinic, ruleId, 30, { practitionerId: 'dr-1' }),
    await addDue(clinic, ruleId, 20, { practitionerId: 'dr-2' }),
    await addDue(clinic, ruleId, 10, { practitionerId: 'dr-3' }),
  ];
  await run(clinic);
  const late = 'held daily-limit';
  const [one, two, three] = await statesOf(clinic, due);
  t.same([one, two], [full, 'sent']);
  t.ok(three === late || three === full, String(three));
  clinic.clock.advance(day);
  await run(clinic);
  t.same(
    await statesOf(clinic, due),
    [full, 'sent', 'sent'],
    'of the third practitioner nothing is told',
  );
});

t.test('a rule that may write to one a day takes no slots from another rule', async (t) => {
  const clinic = await outboxClinic(t);
  await tellSlots(clinic, 3);
  const slow = await addRule(clinic, { limits: { perDay: 1 } });
  const poor = await addRule(clinic, { limits: { budget: { amount: '0.06', per: 'P30D' } } });
  const free = await addRule(clinic);
  const due = [
    ...[await addDue(clinic, slow, 90), await addDue(clinic, slow, 80)],
    ...[await addDue(clinic, poor, 70), await addDue(clinic, poor, 60)],
    ...[await addDue(clinic, free, 20), await addDue(clinic, free, 10)],
  ];
  await run(clinic);
  t.same(await statesOf(clinic, due), [
    ...['sent', 'held daily-limit', 'sent', 'held budget'],
    ...['sent', full],
  ]);
});

t.test('who waits for a slot until it is too late ends with that reason', async (t) => {
  const clinic = await outboxClinic(t);
  await tellSlots(clinic, 0, { on: '2027-12-20' });
  const due = [await addDue(clinic, await addRule(clinic), 1)];
  await run(clinic);
  clinic.clock.advance({ hours: 24 * 30 });
  await run(clinic);
  t.same(await statesOf(clinic, due), ['suppressed capacity']);
});
