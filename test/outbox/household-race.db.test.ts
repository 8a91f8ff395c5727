import { sql } from 'kysely';
import t, { type Test } from 'tap';
import { withClinic } from '../../src/database/with-clinic.ts';
import { dispatchClinic } from '../../src/outbox/dispatch.ts';
import { putTemplate } from '../../src/outbox/template-store.ts';
import { uuidv7 } from '../../src/uuid.ts';
import { testDatabase } from '../support/postgres.ts';
import {
  accepted,
  clinicIn,
  countingProvider,
  dispatchDeps,
  noon,
  type OutboxClinic,
} from './outbox-clinic.ts';

/** Families that are due on two channels at once, and several senders that want to write to them. */

const made = { created_at: noon, updated_at: noon };
const text = '{{patient.name.given}}, it is time';

/** A clinic with SMS and e-mail, and a dispatcher that holds few messages at a time. */
async function familyClinic(t: Test) {
  const { db } = await testDatabase(t);
  const clinic = await clinicIn(db, {
    settings: { householdMerging: true },
    capabilities: { reconcile: 'none', concurrency: 2 },
  });
  const mail = countingProvider({ capabilities: { reconcile: 'none', concurrency: 2 } });
  const email = { ...mail.adapter, channel: 'email' as const, provider: 'counting-mail' };
  const deps = dispatchDeps(db, clinic.clock, [clinic.provider.adapter, email]);
  await clinic.in(async (trx) => {
    await sql`insert into channels (clinic_id, channel, provider, enabled, tariff, limits, updated_at)
      values (${clinic.clinicId}, 'email', 'counting-mail', true, '{}', '{}', ${noon})`.execute(
      trx,
    );
    for (const purpose of ['care', 'marketing'] as const) {
      const body = { en: { subject: 'Time', text } };
      const bodies = { sms: body, email: body };
      await putTemplate(trx, clinic.clinicId, purpose, { purpose, bodies }, noon);
    }
  });
  const texts = () => [...clinic.provider.texts.values(), ...mail.texts.values()];
  const rules: Record<string, string> = {};
  for (const purpose of ['care', 'marketing']) rules[purpose] = await addRule(clinic, purpose);
  const run = () => dispatchClinic(deps, clinic.clinicId, clinic.clock.now());
  return { clinic, mail, texts, rules, run };
}

async function addRule({ in: within, clinicId }: OutboxClinic, name: string): Promise<string> {
  const id = uuidv7(noon);
  const definition = JSON.stringify({ name, purpose: name });
  const row = { clinic_id: clinicId, id, name, version: 1, definition, ...made };
  await within((trx) =>
    trx
      .insertInto('rules')
      .values({ ...row, state: 'active', active_from: noon })
      .execute(),
  );
  return id;
}

interface Family {
  mother: string;
  son: string;
  grandfather: string;
}

async function addFamily(clinic: OutboxClinic, number: number): Promise<Family> {
  const phone = `+7999${String(number).padStart(7, '0')}`;
  const mail = `family${number}@example.com`;
  const consent = { marketing: 'granted' } as const;
  const mother = await clinic.addPatient({ phone, consent });
  const son = await clinic.addPatient({ phone: null });
  const grandfather = await clinic.addPatient({ phone });
  await withClinic(clinic.db, clinic.clinicId, async (trx) => {
    await sql`insert into contact_points (clinic_id, address, kind) values (${clinic.clinicId}, ${mail}, 'email')`.execute(
      trx,
    );
    await sql`insert into patient_contact_points (clinic_id, patient_id, address)
      values (${clinic.clinicId}, ${mother}, ${mail})`.execute(trx);
    await sql`update patients set household = ${`h${number}`}, given = f.given, birth_date = f.birth_date::date,
        guardian_id = f.guardian_id, email_address = f.email
      from (values (${mother}::uuid, 'Mary', '1985-01-01', null, ${mail}),
        (${son}::uuid, 'Tom', '2016-01-01', ${mother}, null), (${grandfather}::uuid, 'Joe', '1950-01-01', null, null))
        as f (id, given, birth_date, guardian_id, email)
      where clinic_id = ${clinic.clinicId} and patients.id = f.id`.execute(trx);
  });
  return { mother, son, grandfather };
}

async function addDue(
  clinic: OutboxClinic,
  patientId: string,
  wish: { ruleId: string; channel: 'sms' | 'email'; purpose: 'care' | 'marketing' },
  more: { priority?: number; hoursAhead?: number; step?: number; journeyId?: string } = {},
): Promise<{ id: string; journeyId: string }> {
  const journeyId = more.journeyId ?? uuidv7(noon);
  const dueAt = noon.add({ hours: more.hoursAhead ?? 0 });
  const expiresAt = noon.add({ hours: 96 });
  if (more.journeyId === undefined)
    await clinic.in((trx) =>
      trx
        .insertInto('journeys')
        .values({
          ...{ clinic_id: clinic.clinicId, id: journeyId, rule_id: wish.ruleId, rule_version: 1 },
          ...{ patient_id: patientId, occurrence: `visit:${journeyId}`, anchor: '{}', ...made },
          ...{ due_at: dueAt, expires_at: expiresAt, state: 'planned' },
        })
        .execute(),
    );
  const id = await clinic.enqueue({
    ...wish,
    ...{ patientId, journeyId, step: more.step ?? 0, template: wish.purpose, expiresAt },
    body: undefined as never,
    priority: more.priority ?? 50,
    guard: { since: dueAt.toString(), stopOn: ['booked', 'visited', 'opted-out'] },
    scheduledAt: dueAt,
  });
  return { id, journeyId };
}

const roundsMax = 200;

/** Minute by minute, until all that waits is for another day: how much a round gets done depends on the machine. */
async function untilSettled(clinic: OutboxClinic, round: () => Promise<void>): Promise<void> {
  for (let rounds = 0; rounds < roundsMax; rounds += 1) {
    await round();
    clinic.clock.advance({ minutes: 1 });
    const soon = clinic.clock.now().add({ hours: 1 });
    const { rows } = await clinic.in((trx) =>
      sql`select from messages where clinic_id = ${clinic.clinicId} and next_at < ${soon} limit 1`.execute(
        trx,
      ),
    );
    if (rows.length === 0) return;
  }
  throw new Error('The senders come to no end.');
}

t.test('senders that race on two channels give each family one message', async (t) => {
  const { clinic, texts, rules, run } = await familyClinic(t);
  const care = { ruleId: rules.care ?? '', purpose: 'care' } as const;
  const families: { messages: string[]; isOffered: boolean }[] = [];
  for (let number = 0; number < 24; number += 1) {
    const { mother, son, grandfather } = await addFamily(clinic, number);
    const isOffered = number % 3 === 0;
    const messages = [
      await addDue(clinic, mother, { ...care, channel: 'email' }),
      await addDue(clinic, son, { ...care, channel: 'sms' }),
      await addDue(clinic, grandfather, { ...care, channel: 'sms' }),
    ];
    if (isOffered) {
      const wish = { ruleId: rules.marketing ?? '', purpose: 'marketing', channel: 'sms' } as const;
      messages.push(await addDue(clinic, mother, wish, { priority: 80 }));
    }
    families.push({ messages: messages.map(({ id }) => id), isOffered });
  }
  await untilSettled(clinic, async () => {
    await Promise.all([run(), run(), run()]);
  });
  for (const { messages, isOffered } of families) {
    const rows = await Promise.all(messages.map((id) => clinic.message(id)));
    const states = rows.map(({ state, reason }) => `${state} ${reason ?? ''}`.trim()).sort();
    const lower = Array(3).fill('held lower-priority');
    const merged = ['sent', 'suppressed household', 'suppressed household'];
    t.same(states, isOffered ? [...lower, 'sent'] : merged);
  }
  t.equal(texts().length, 24, 'each message was sent once');
  t.equal(texts().filter((each) => each.startsWith('Joe, Mary, and Tom')).length, 16);
});

t.test(
  'of senders that race for one person or one phone, one sends, and it is the better one',
  async (t) => {
    const { clinic, texts, rules, run } = await familyClinic(t);
    const care = { ruleId: rules.care ?? '', purpose: 'care' } as const;
    const pairs: { low: string; high: string }[] = [];
    for (let number = 0; number < 20; number += 1) {
      const { mother, grandfather } = await addFamily(clinic, number);
      await clinic.in((trx) =>
        sql`update patients set household = null where clinic_id = ${clinic.clinicId}`.execute(trx),
      );
      // One person on two channels, or two persons with one phone.
      const isShared = number % 2 === 0;
      const channel = isShared ? ('sms' as const) : ('email' as const);
      const whom = isShared ? grandfather : mother;
      const high = await addDue(clinic, mother, { ...care, channel }, { priority: 90 });
      const early = { priority: 10, hoursAhead: -1 };
      const low = await addDue(clinic, whom, { ...care, channel: 'sms' }, early);
      pairs.push({ low: low.id, high: high.id });
    }
    for (let round = 0; round < 6; round += 1) {
      await Promise.all([run(), run(), run()]);
      clinic.clock.advance({ minutes: 1 });
    }
    for (const { low, high } of pairs) {
      t.match(await clinic.message(high), { state: 'sent' });
      t.match(await clinic.message(low), { state: 'held', reason: 'lower-priority' });
    }
    t.equal(texts().length, pairs.length);
  },
);

t.test('an adult who is due later that day speaks for the child who is due now', async (t) => {
  const { clinic, mail, rules, run } = await familyClinic(t);
  const care = { ruleId: rules.care ?? '', purpose: 'care' } as const;
  const { mother, son } = await addFamily(clinic, 1);
  const later = await addDue(clinic, mother, { ...care, channel: 'email' }, { hoursAhead: 3 });
  const now = await addDue(clinic, son, { ...care, channel: 'sms' });
  await run();
  await run();
  t.match(await clinic.message(later.id), { state: 'sent' });
  t.match(await clinic.message(now.id), { state: 'suppressed', reason: 'household' });
  t.same([...mail.texts.values()], ['Mary and Tom, it is time']);
});

t.test('a death that is being written while the family is due is waited for', async (t) => {
  const { clinic, texts, rules, run } = await familyClinic(t);
  const care = { ruleId: rules.care ?? '', purpose: 'care', channel: 'sms' } as const;
  const { mother, son, grandfather } = await addFamily(clinic, 1);
  for (const patientId of [mother, son, grandfather]) await addDue(clinic, patientId, care);
  await clinic.in(async (trx) => {
    await sql`update patients set deceased = true where clinic_id = ${clinic.clinicId} and id = ${grandfather}`.execute(
      trx,
    );
    await run();
    t.same(texts(), [], 'nobody is written to without knowing who is meant');
  });
  await run();
  t.same(texts(), ['Mary and Tom, it is time']);
});

t.test('a second try, and the next step, name who has not answered since', async (t) => {
  const { clinic, rules, run } = await familyClinic(t);
  const care = { ruleId: rules.care ?? '', purpose: 'care', channel: 'sms' } as const;
  const { mother, son, grandfather } = await addFamily(clinic, 1);
  const first = await addDue(clinic, mother, care, { priority: 60 });
  await addDue(clinic, son, care);
  const old = await addDue(clinic, grandfather, care, { priority: 10 });
  clinic.provider.answer = ({ id }) => ({
    id,
    kind: 'rejected',
    error: {
      class: 'temporary',
      scope: 'message',
      providerCode: null,
      httpStatus: null,
      message: '',
    },
    raw: null,
  });
  await run();
  t.match(await clinic.message(first.id), {
    state: 'retry',
    text: 'Mary, Joe, and Tom, it is time',
  });
  t.match(await clinic.message(old.id), { state: 'suppressed', reason: 'household' });

  await clinic.in((trx) =>
    sql`update patients set deceased = true where clinic_id = ${clinic.clinicId} and id = ${grandfather}`.execute(
      trx,
    ),
  );
  clinic.provider.answer = accepted;
  clinic.clock.advance({ minutes: 10 });
  await run();
  t.match(await clinic.message(first.id), { state: 'sent', text: 'Mary and Tom, it is time' });

  const { journeyId } = first;
  const second = await addDue(clinic, mother, care, { step: 1, journeyId, hoursAhead: 24 });
  clinic.clock.advance({ hours: 24 });
  await run();
  t.match(await clinic.message(second.id), { state: 'sent', text: 'Mary and Tom, it is time' });
  await clinic.in((trx) =>
    sql`insert into appointments (clinic_id, source, external_id, patient_id, status, start_at, booked_at, created_at, updated_at)
      values (${clinic.clinicId}, 'mis', 'a1', ${son}, 'booked', ${noon.add({ hours: 200 })}, ${clinic.clock.now()},
        ${noon}, ${noon})`.execute(trx),
  );
  const third = await addDue(clinic, mother, care, { step: 2, journeyId, hoursAhead: 48 });
  clinic.clock.advance({ hours: 24 });
  await run();
  t.match(await clinic.message(third.id), { state: 'sent', text: 'Mary, it is time' });
});
