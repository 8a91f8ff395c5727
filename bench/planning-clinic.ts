/** A clinic with a long history, written straight into the database, and ten rules that watch over it. */
import pg from 'pg';
import { findAdapter } from '../src/channels/registry.ts';
import type { Database, Trx } from '../src/database/connect.ts';
import { withClinic } from '../src/database/with-clinic.ts';
import { createClinic } from '../src/history/clinic-store.ts';
import { putChannel } from '../src/outbox/channel-store.ts';
import { seedTemplates } from '../src/outbox/template-store.ts';
import type { PlanDeps } from '../src/rules/plan.ts';
import type { RuleIn } from '../src/rules/rule.ts';
import { activateRule, createRule } from '../src/rules/rule-store.ts';
import { createSecrets } from '../src/secrets.ts';
import { uuidv7 } from '../src/uuid.ts';

export const zone = 'Europe/Moscow';
/** The day on which the rules are switched on; history ends with it. */
export const activeDay = '2026-03-02';

export interface History {
  patients: number;
  /** Each has as many; the last ones are the same however many came before. */
  visitsEach: number;
}

export function planDeps({ db }: Database): PlanDeps {
  const secrets = createSecrets(Buffer.alloc(32, 1));
  return { db, secrets, publicUrl: 'http://127.0.0.1', findAdapter };
}

const visitRule = (name: string, trigger: object, more: object = {}) => ({
  name,
  purpose: 'care' as const,
  trigger: { type: 'visit' as const, ...trigger },
  sendAt: '10:00',
  steps: [{ channel: 'sms' as const, template: 'recall' }],
  ...more,
});

export const rules: readonly RuleIn[] = [
  visitRule('half a year', { after: 'P180D' }),
  visitRule('hygiene', { after: 'P120D', services: ['s0'] }),
  visitRule('check-up', { after: 'P365D' }, { audience: { age: { gte: 35 } } }),
  visitRule('treatment', { after: 'P90D', services: ['s2', 's3'] }),
  visitRule('women', { after: 'P30D' }, { audience: { gender: ['female'] } }),
  visitRule(
    'insured or important',
    { after: 'P270D' },
    { audience: { any: [{ tags: ['vip'] }, { payer: ['dms'] }] } },
  ),
  visitRule('two weeks', { after: 'P14D', services: ['s4'] }),
  visitRule('no debtors', { after: 'P240D' }, { audience: { not: { tags: ['debtor'] } } }),
  {
    name: 'birthday',
    purpose: 'marketing',
    trigger: { type: 'birthday' },
    sendAt: '10:00',
    steps: [{ channel: 'sms', template: 'birthday' }],
  },
  {
    name: 'reminder',
    purpose: 'transactional',
    trigger: { type: 'appointment', before: 'P1D' },
    steps: [{ channel: 'sms', template: 'reminder' }],
  },
];

/** @returns the clinic's id, and its rules' ids by name. */
export async function makePlanningClinic(
  database: Database,
  url: string,
  history: History,
): Promise<{ clinicId: string; ruleIds: Map<string, string> }> {
  const now = startOf(activeDay);
  const clinicId = uuidv7(now);
  const deps = planDeps(database);
  const clinic = await withClinic(database.db, clinicId, async (trx) => {
    const made = await createClinic(trx, newClinic(clinicId), now);
    await putChannel(deps, trx, made, 'sms', smsChannel, now);
    await seedTemplates(trx, clinicId, now);
    return made;
  });
  await writeHistory(url, clinicId, history);
  const activate = async (trx: Trx, input: RuleIn) => {
    const { id } = await createRule(trx, clinicId, input, { actor: 'bench', now });
    await activateRule(trx, clinic, id, { by: 'Bench', actor: 'bench', now });
    return [input.name, id] as const;
  };
  const ruleIds = new Map<string, string>();
  await withClinic(database.db, clinicId, async (trx) => {
    for (const rule of rules) ruleIds.set(...(await activate(trx, rule)));
  });
  return { clinicId, ruleIds };
}

const smsChannel = { provider: 'smsc', credentials: { login: 'bench', password: 'bench' } };

function newClinic(id: string) {
  return {
    ...{ id, name: 'Bench', timeZone: zone, country: 'RU', language: 'ru', currency: 'RUB' },
    ...{ mode: 'live' as const, testNow: null },
  };
}

export function startOf(day: string): Temporal.Instant {
  return Temporal.PlainDate.from(day).toZonedDateTime(zone).toInstant();
}

/** Half of the patients are women, a twentieth is important, a fifth insured; a tenth has a booking ahead. */
async function writeHistory(url: string, clinicId: string, history: History): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { patients, visitsEach } = history;
  const start = startOf(activeDay).toString();
  const patient = (number: string) =>
    `('01950000-0000-7000-8000-' || lpad(to_hex(${number}), 12, '0'))::uuid`;
  try {
    // A superuser's right: what is written here is known to be sound.
    await client.query(`set session_replication_role = replica`);
    await client.query(`insert into contact_points (clinic_id, address, kind, country)
      select '${clinicId}', '+7945' || lpad(i::text, 7, '0'), 'phone', 'RU' from generate_series(1, ${patients}) i`);
    await client.query(`insert into patients (clinic_id, id, source, external_id, is_known, given, birth_date, gender,
        language, tags, payer_id, sms_address, created_at, updated_at)
      select '${clinicId}', ${patient('i')}, 'mis', 'p' || i, true, 'Bench', date '1940-01-01' + (i % 25000 * 7919 % 25000),
        case when i % 2 = 0 then 'female' else 'male' end, 'ru',
        case when i % 20 = 0 then '{vip}' when i % 20 = 1 then '{debtor}' else '{}' end::text[],
        case when i % 5 = 0 then 'dms' end, '+7945' || lpad(i::text, 7, '0'), '${start}', '${start}'
      from generate_series(1, ${patients}) i`);
    await client.query(`insert into patient_contact_points (clinic_id, patient_id, address)
      select '${clinicId}', ${patient('i')}, '+7945' || lpad(i::text, 7, '0') from generate_series(1, ${patients}) i`);
    await client.query(`insert into consents (clinic_id, patient_id, purpose, channel, state, occurred_at)
      select '${clinicId}', ${patient('i')}, purpose, 'sms', 'granted', '${start}'
      from generate_series(1, ${patients}) i cross join (values ('care', 10), ('marketing', 2)) as granted (purpose, one_in)
      where i % one_in <> 1`);
    await client.query(`insert into visits (clinic_id, source, external_id, patient_id, status, started_at, ended_at,
        practitioner_id, services, service_ids, amount_minor, currency, created_at, updated_at)
      select '${clinicId}', 'mis', 'v' || i || '-' || k, ${patient('i')}, 'finished', ended_at - interval '30 minutes', ended_at,
        'dr' || i % 7, jsonb_build_array(jsonb_build_object('id', 's' || (i + k) % 5)), array['s' || (i + k) % 5],
        250000, 'RUB', ended_at, ended_at
      from generate_series(0, ${visitsEach - 1}) k cross join generate_series(1, ${patients}) i
      cross join lateral (select timestamptz '${start}' - make_interval(days => 1 + i % 730 * 349 % 730 + k * 75)
        + make_interval(hours => 10 + i % 8) as ended_at) w`);
    await client.query(`insert into appointments (clinic_id, source, external_id, patient_id, status, start_at, end_at,
        booked_at, created_at, updated_at)
      select '${clinicId}', 'mis', 'a' || i, ${patient('i')}, 'booked', start_at, start_at + interval '30 minutes',
        '${start}', '${start}', '${start}'
      from generate_series(1, ${patients}, 10) i
      cross join lateral (select timestamptz '${start}' + make_interval(days => 1 + i % 40 * 31 % 40, hours => 10 + i % 8) as start_at) w`);
    await client.query('reset session_replication_role');
    await client.query('vacuum analyze');
  } finally {
    await client.end();
  }
}
