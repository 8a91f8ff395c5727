import { sql } from 'kysely';
import t from 'tap';
import { random } from '../../bench/random.ts';
import { withClinic } from '../../src/database/with-clinic.ts';
import { addToDay, startOfDay } from '../../src/local-time.ts';
import { previewRule } from '../../src/rules/preview.ts';
import { uuidv7 } from '../../src/uuid.ts';
import { makeRule } from '../support/factory.ts';
import { type RulesClinic, rulesClinic } from './rules-clinic.ts';

/**
 * On every day of a month of a generated clinic, of which nothing else becomes known meanwhile. A preview
 * tells of those who are due on its days; who waited from before, and is let go on one of them, is not asked for.
 */
const patients = 300;
const days = 30;
const zone = 'America/Bogota';
const firstDay = '2026-03-02';

const rules = [
  { name: 'half a year', trigger: { type: 'visit', after: 'P180D' }, holdout: 0.2 },
  {
    name: 'a month',
    trigger: { type: 'visit', after: 'P30D', services: ['s1'] },
    audience: { all: [{ age: { gte: 35 } }] },
    steps: [{ channels: ['sms', 'email'], template: 'care' }],
  },
  {
    name: 'birthday',
    trigger: { type: 'birthday', offset: '-P3D' },
    purpose: 'marketing',
    steps: [{ channel: 'preferred', template: 'marketing' }],
  },
  {
    name: 'reminder',
    trigger: { type: 'appointment', before: 'P1D' },
    purpose: 'transactional',
    steps: [{ channel: 'sms', template: 'transactional' }],
  },
] as const;

t.test('what a preview of tomorrow says is what tomorrow does', async (t) => {
  const clinic = await rulesClinic(t, { timeZone: zone, country: 'KZ' });
  await generate(clinic);
  const start = startOfDay(firstDay, zone).toString();
  const made = [];
  for (const rule of rules)
    made.push(
      await makeRule(clinic.db, clinic.id, structuredClone(rule) as object, { now: start }),
    );
  // The horizon that is planned at activation lies behind the first preview.
  await clinic.plan(start);
  let total = 0;
  for (let day = firstDay, count = 0; count < days; day = addToDay(day, 'P1D'), count += 1) {
    const tomorrow = addToDay(day, 'P1D');
    const previews = [];
    for (const { id } of made) previews.push(await preview(clinic, id, day, tomorrow));
    await clinic.plan(startOfDay(tomorrow, zone).toString());
    await clinic.send(startOfDay(addToDay(tomorrow, 'P1D'), zone).toString());
    for (const [index, { id, definition }] of made.entries()) {
      const happened = await happenedOn(clinic, id, tomorrow);
      const { recipients, messages, suppressed } = previews[index] ?? {};
      t.same({ recipients, messages, suppressed }, happened, `${definition.name} on ${tomorrow}`);
      total += happened.recipients;
    }
  }
  t.ok(total > 60, `${total} patients heard of it in the month`);
});

function preview(clinic: RulesClinic, ruleId: string, today: string, day: string) {
  return withClinic(clinic.db, clinic.id, (trx) =>
    previewRule(
      clinic.deps,
      trx,
      clinic.id,
      { ruleId, from: day, to: day, source: 'mis' },
      startOfDay(today, zone).add({ hours: 12 }),
    ),
  );
}

/** What became of those who were due that day, and what left, in the words of a preview. */
function happenedOn(clinic: RulesClinic, ruleId: string, day: string) {
  const from = startOfDay(day, zone);
  const until = startOfDay(addToDay(day, 'P1D'), zone);
  return withClinic(clinic.db, clinic.id, async (trx) => {
    const { rows: journeys } = await sql<{ reason: string | null; count: number }>`
      select reason, count(*)::int as count from journeys
      where clinic_id = ${clinic.id} and rule_id = ${ruleId} and due_at >= ${from} and due_at < ${until}
      group by reason`.execute(trx);
    const { rows: messages } = await sql<{ channel: string; count: number }>`
      select m.channel, count(*)::int as count
      from messages m join journeys j on j.clinic_id = ${clinic.id} and j.id = m.journey_id
      where m.clinic_id = ${clinic.id} and m.rule_id = ${ruleId} and m.sent_at >= ${from} and m.sent_at < ${until}
        and j.due_at >= ${from} and j.due_at < ${until}
      group by m.channel`.execute(trx);
    return {
      recipients: journeys.find(({ reason }) => reason === null)?.count ?? 0,
      messages: Object.fromEntries(messages.map(({ channel, count }) => [channel, count])),
      suppressed: Object.fromEntries(
        journeys.flatMap(({ reason, count }) => (reason === null ? [] : [[reason, count]])),
      ),
    };
  });
}

/** People of all ages, with and without consent, a phone, a household or an appointment ahead. */
async function generate(clinic: RulesClinic): Promise<void> {
  const dice = random(11, 'preview');
  const at = (daysAhead: number, hour: number) =>
    startOfDay(
      addToDay(firstDay, `P${Math.abs(daysAhead)}D`.replace(/^P/, daysAhead < 0 ? '-P' : 'P')),
      zone,
    )
      .add({ hours: hour, minutes: dice.whole(0, 59) })
      .toString();
  const rows = Array.from({ length: patients }, (_, index) => ({
    id: uuidv7(startOfDay('2020-01-01', zone)),
    phone: dice.chance(0.9) ? `+7705${String(index).padStart(7, '0')}` : null,
    email: dice.chance(0.4) ? `p${index}@example.org` : null,
    born: `${dice.whole(1940, 2015)}-${String(dice.whole(1, 12)).padStart(2, '0')}-${String(dice.whole(1, 28)).padStart(2, '0')}`,
    household: dice.chance(0.3) ? `h${dice.whole(1, 60)}` : null,
    deceased: dice.chance(0.02),
    active: !dice.chance(0.03),
    zone: dice.chance(0.1) ? 'Europe/Madrid' : null,
    denied: dice.chance(0.1),
    granted: dice.chance(0.6),
    service: `s${dice.whole(0, 3)}`,
    half: at(-180 + dice.whole(-2, 34), dice.whole(8, 18)),
    month: dice.chance(0.4) ? at(-30 + dice.whole(-2, 29), dice.whole(8, 18)) : null,
    booked: dice.chance(0.25) ? at(dice.whole(1, 40), dice.whole(8, 18)) : null,
  }));
  await withClinic(clinic.db, clinic.id, async (trx) => {
    const people = sql`jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as r (id uuid, phone text, email text, born date,
      household text, deceased boolean, active boolean, zone text, denied boolean, granted boolean, service text,
      half timestamptz, month timestamptz, booked timestamptz)`;
    const id = sql`${clinic.id}::uuid`;
    await sql`insert into contact_points (clinic_id, address, kind, country)
      select ${id}, phone, 'phone', 'KZ' from ${people} where phone is not null
      union all select ${id}, email, 'email', null from ${people} where email is not null`.execute(
      trx,
    );
    await sql`insert into patients (clinic_id, id, source, external_id, is_known, given, birth_date, household, deceased,
        active, time_zone, sms_address, email_address, created_at, updated_at)
      select ${id}, id, 'mis', id::text, true, 'Ann', born, household, deceased, active, zone, phone, email,
        '2020-01-01', '2020-01-01' from ${people}`.execute(trx);
    await sql`insert into consents (clinic_id, patient_id, purpose, channel, state, occurred_at)
      select ${id}, id, 'care', 'sms', 'denied', '2020-01-01'::timestamptz from ${people} where denied
      union all select ${id}, id, 'marketing', c, 'granted', '2020-01-01'
      from ${people} cross join unnest(array['sms', 'email']) c where granted`.execute(trx);
    await sql`insert into visits (clinic_id, source, external_id, patient_id, status, started_at, service_ids, created_at, updated_at)
      select ${id}, 'mis', 'a' || id, id, 'finished', half, array[service], half, half from ${people}
      union all select ${id}, 'mis', 'b' || id, id, 'finished', month, array[service], month, month
      from ${people} where month is not null`.execute(trx);
    await sql`insert into appointments (clinic_id, source, external_id, patient_id, status, start_at, booked_at,
        occurred_at, created_at, updated_at)
      select ${id}, 'mis', 'c' || id, id, 'booked', booked, '2026-03-01', '2026-03-01', '2026-03-01', '2026-03-01'
      from ${people} where booked is not null`.execute(trx);
  });
}
