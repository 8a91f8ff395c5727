import { sql } from 'kysely';
import t from 'tap';
import { random } from '../../bench/random.ts';
import type { Trx } from '../../src/database/connect.ts';
import { withClinic } from '../../src/database/with-clinic.ts';
import { addToDay, startOfDay } from '../../src/local-time.ts';
import { formatMicros } from '../../src/money.ts';
import { type Preview, previewRule } from '../../src/rules/preview.ts';
import { type TestApi, testApi } from '../support/api.ts';

/**
 * On every day of a fortnight of a generated clinic, of which nothing else becomes known meanwhile: at noon it is
 * asked what tomorrow brings, and the real planner and dispatcher then do it. The rules compete for patients, climb
 * ladders, merge households and have limits. `RETORNO_PREVIEW_PATIENTS=10000 RETORNO_PREVIEW_DAYS=30` is the full size.
 */
t.setTimeout(3_600_000);
const patients = Number(process.env.RETORNO_PREVIEW_PATIENTS ?? 300);
const days = Number(process.env.RETORNO_PREVIEW_DAYS ?? 14);
const households = Math.ceil(patients / 5);
const zone = 'America/Bogota';
const firstDay = '2026-03-02';

const texts = (purpose: string) => ({
  purpose,
  bodies: {
    sms: { ru: { text: `${purpose} {{patient.name.given}}` } },
    email: { ru: { subject: purpose, text: purpose } },
    task: { ru: { text: purpose } },
  },
});

const rules = [
  {
    name: 'half a year',
    purpose: 'care',
    trigger: { type: 'visit', after: 'P180D' },
    holdout: 0.2,
    steps: [
      { channel: 'sms', template: 'care' },
      { channel: 'email', template: 'care', after: 'P3D' },
      { channel: 'task', template: 'care', after: 'P2D' },
    ],
  },
  {
    name: 'a month',
    purpose: 'care',
    priority: 70,
    trigger: { type: 'visit', after: 'P30D', services: ['s1'] },
    audience: { all: [{ age: { gte: 35 } }] },
    limits: { perDay: 2, messages: { count: Math.ceil(patients / 300), per: 'P1D' } },
    steps: [{ channels: ['sms', 'email'], template: 'care' }],
  },
  {
    name: 'birthday',
    purpose: 'marketing',
    trigger: { type: 'birthday', offset: '-P3D' },
    limits: { messages: { count: Math.ceil(patients / 300), per: 'P2D' } },
    steps: [{ channel: 'preferred', template: 'marketing' }],
  },
  {
    name: 'reminder',
    purpose: 'transactional',
    trigger: { type: 'appointment', before: 'P1D' },
    steps: [{ channel: 'sms', template: 'transactional' }],
  },
  {
    name: 'everybody',
    purpose: 'marketing',
    priority: 90,
    trigger: { type: 'calendar', date: '2026-03-12' },
    steps: [{ channel: 'sms', template: 'marketing' }],
  },
] as const;

for (const householdMerging of [false, true]) {
  const clinicKind = householdMerging
    ? 'where households get one message'
    : 'where each gets their own';
  t.test(`what a preview of tomorrow says is what tomorrow does, ${clinicKind}`, async (t) => {
    const api = await testApi(t);
    const owner = await api.clinic({
      timeZone: zone,
      country: 'KZ',
      language: 'ru',
      currency: 'KZT',
      now: startOfDay(firstDay, zone).toString(),
    });
    await owner.patch('/v1/clinic', { householdMerging });
    for (const purpose of ['care', 'marketing', 'transactional'])
      await owner.put(`/v1/templates/${purpose}`, texts(purpose));
    const credentials = { apiKey: 'k' };
    const options = { sender: 'Clinic <clinic@example.org>' };
    const ways = {
      sms: { provider: 'smsc', credentials, tariff: { default: '15', KZ: '12.50' } },
      email: { provider: 'sendgrid', credentials, options, tariff: { default: '0.75' } },
    };
    for (const [channel, way] of Object.entries(ways)) {
      const set = await owner.put(`/v1/channels/${channel}`, way);
      t.equal(set.status, 200, set.text);
    }
    await withClinic(api.database.db, owner.id, (trx) => generate(trx, owner.id));
    await sql`analyze`.execute(api.database.db);
    const ids: string[] = [];
    for (const rule of rules) {
      // Whom a household's message names is met on the way: how far money goes is foreseen without them.
      const isLimited = rule.name === 'half a year' && !householdMerging;
      const limits = { budget: { amount: String(Math.ceil(patients / 6)), per: 'P2D' } };
      const made = await owner.post('/v1/rules', { ...rule, ...(isLimited && { limits }) });
      t.equal(made.status, 201, made.text);
      await owner.post(`/v1/rules/${made.body.id}/activate`);
      ids.push(String(made.body.id));
    }
    const moveTo = async (now: Temporal.Instant) => {
      const moved = await owner.post('/v1/test/clock', { now: now.toString() });
      t.equal(moved.status, 200, moved.text);
    };
    let total = 0;
    let foreseen: Preview[] = [];
    for (let day = firstDay, count = 0; count <= days; day = addToDay(day, 'P1D'), count += 1) {
      await moveTo(noonOf(day));
      const coming: Preview[] = [];
      for (const id of ids)
        coming.push(await preview(api, owner.id, id, day, addToDay(day, 'P1D')));
      await moveTo(lastMomentOf(day));
      for (const [index, { recipients, messages, cost, suppressed }] of foreseen.entries()) {
        const happened = await happenedOn(api, owner.id, ids[index] ?? '', day);
        t.same(
          { recipients, messages, cost: cost.amount, suppressed: alike(suppressed) },
          { ...happened, suppressed: alike(happened.suppressed) },
          `${rules[index]?.name} on ${day}`,
        );
        total += happened.recipients;
      }
      foreseen = coming;
    }
    t.ok(total > 60, `${total} patients heard of it`);
  });
}

/** Of two of these that hold at once, the one that was asked first is told: caps and a rule's day are one here. */
const daily: readonly string[] = ['frequency-cap', 'lower-priority', 'daily-limit'];

function alike(counts: Readonly<Record<string, number>>): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [reason, count] of Object.entries(counts)) {
    const name = daily.includes(reason) ? 'another-day' : reason;
    sums[name] = (sums[name] ?? 0) + count;
  }
  return sums;
}

function lastMomentOf(day: string): Temporal.Instant {
  return startOfDay(addToDay(day, 'P1D'), zone).subtract({ seconds: 1 });
}

function noonOf(day: string): Temporal.Instant {
  return startOfDay(day, zone).add({ hours: 12 });
}

function preview(
  { deps, database }: TestApi,
  clinicId: string,
  ruleId: string,
  today: string,
  day: string,
) {
  const question = { ruleId, from: day, to: day, source: 'mis' };
  return withClinic(database.db, clinicId, (trx) =>
    previewRule(deps, trx, clinicId, question, noonOf(today)),
  );
}

/** Whom it reached first that day, what left, and what speaks against those who were due that day. */
function happenedOn({ database }: TestApi, clinicId: string, ruleId: string, day: string) {
  const from = startOfDay(day, zone);
  const until = startOfDay(addToDay(day, 'P1D'), zone);
  return withClinic(database.db, clinicId, async (trx) => {
    const { rows: refused } = await sql<{ reason: string; count: number }>`
      select coalesce(w.reason, j.reason) as reason, count(*)::int as count
      from journeys j
      left join lateral (
        select m.reason from messages m
        where m.clinic_id = ${clinicId} and m.journey_id = j.id and m.state in ('held', 'suppressed', 'expired')
        order by m.id limit 1) w on true
      where j.clinic_id = ${clinicId} and j.rule_id = ${ruleId} and j.due_at >= ${from} and j.due_at < ${until}
        and not exists (
          select from messages s where s.clinic_id = ${clinicId} and s.journey_id = j.id and s.sent_at is not null)
        and coalesce(w.reason, j.reason) is not null
      group by 1`.execute(trx);
    const { rows: messages } = await sql<{ channel: string; count: number; micros: number }>`
      select m.channel, count(*)::int as count, coalesce(sum(m.cost_micros), 0)::float8 as micros from messages m
      where m.clinic_id = ${clinicId} and m.rule_id = ${ruleId} and m.sent_at >= ${from} and m.sent_at < ${until}
      group by m.channel`.execute(trx);
    const { rows: reached } = await sql<{ count: number }>`
      select count(*)::int as count from (
        select min(m.sent_at) as first_at from messages m
        where m.clinic_id = ${clinicId} and m.rule_id = ${ruleId} and m.sent_at is not null
        group by m.journey_id) f
      where f.first_at >= ${from} and f.first_at < ${until}`.execute(trx);
    return {
      recipients: reached[0]?.count ?? 0,
      messages: Object.fromEntries(messages.map(({ channel, count }) => [channel, count])),
      cost: formatMicros(
        messages.reduce((sum, { micros }) => sum + micros, 0),
        'KZT',
      ),
      suppressed: Object.fromEntries(refused.map(({ reason, count }) => [reason, count])),
    };
  });
}

/** The same in every run: of equals the smaller id goes first. */
function idOf(drawn: number, index: number): string {
  return `${drawn.toString(16).padStart(8, '0')}-0000-7000-8000-${index.toString(16).padStart(12, '0')}`;
}

/** People of all ages, some of whom others answer for, with and without consent, a phone, a household or an appointment ahead. */
async function generate(trx: Trx, clinicId: string): Promise<void> {
  const dice = random(11, 'preview');
  const at = (daysAhead: number, hour: number) =>
    startOfDay(
      addToDay(firstDay, `P${Math.abs(daysAhead)}D`.replace(/^P/, daysAhead < 0 ? '-P' : 'P')),
      zone,
    )
      .add({ hours: hour, minutes: dice.whole(0, 59) })
      .toString();
  const rows = Array.from({ length: patients }, (_, index) => ({
    id: idOf(dice.whole(0, 0xffff_ffff), index),
    phone: dice.chance(0.9) ? `+7705${String(index).padStart(7, '0')}` : null,
    email: dice.chance(0.4) ? `p${index}@example.org` : null,
    key: `p${index}`,
    // Some are so long that their message takes two parts.
    given: index % 3 === 0 ? 'Айгерим '.repeat(10) : 'Ann',
    guardian: dice.chance(0.3) ? `p${dice.whole(0, patients - 1)}` : null,
    born: `${dice.whole(1940, 2015)}-${String(dice.whole(1, 12)).padStart(2, '0')}-${String(dice.whole(1, 28)).padStart(2, '0')}`,
    household: dice.chance(0.3) ? `h${dice.whole(1, households)}` : null,
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
  const people = sql`jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as r (id uuid, key text, given text, guardian text, phone text,
      email text, born date,
      household text, deceased boolean, active boolean, zone text, denied boolean, granted boolean, service text,
      half timestamptz, month timestamptz, booked timestamptz)`;
  const id = sql`${clinicId}::uuid`;
  await sql`insert into contact_points (clinic_id, address, kind, country)
      select ${id}, phone, 'phone', 'KZ' from ${people} where phone is not null
      union all select ${id}, email, 'email', null from ${people} where email is not null`.execute(
    trx,
  );
  await sql`insert into patients (clinic_id, id, source, external_id, is_known, given, birth_date, household, guardian_id,
        deceased, active, time_zone, sms_address, email_address, created_at, updated_at)
      select ${id}, id, 'mis', key, true, given, born, household, guardian, deceased, active, zone, phone, email,
        '2020-01-01', '2020-01-01' from ${people}`.execute(trx);
  await sql`insert into patient_contact_points (clinic_id, patient_id, address)
      select ${id}, id, a from ${people} cross join unnest(array[phone, email]) a where a is not null`.execute(
    trx,
  );
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
}
