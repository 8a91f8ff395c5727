/**
 * A live clinic whose patients are due for a recall: events go in, history is kept, rules plan, and the
 * messages wait for a dispatcher. Its people are Synthea's, with numbers and addresses that exist nowhere.
 */
import { existsSync } from 'node:fs';
import * as fs from 'node:fs/promises';
import path from 'node:path';
import { sql } from 'kysely';
import { findAdapter } from '../../src/channels/registry.ts';
import type { Clock } from '../../src/clock.ts';
import type { Db } from '../../src/database/connect.ts';
import { withClinic } from '../../src/database/with-clinic.ts';
import { defaultSettings } from '../../src/history/clinic.ts';
import { createClinic, findClinic } from '../../src/history/clinic-store.ts';
import { recordEvents } from '../../src/intake/record-events.ts';
import { putChannel } from '../../src/outbox/channel-store.ts';
import { putTemplate } from '../../src/outbox/template-store.ts';
import { type PlanDeps, planClinic } from '../../src/rules/plan.ts';
import type { RuleIn } from '../../src/rules/rule.ts';
import { activateRule, createRule } from '../../src/rules/rule-store.ts';
import { createSecrets } from '../../src/secrets.ts';
import { uuidv7 } from '../../src/uuid.ts';
import { chaosSecretKey } from './child.ts';
import type { ProviderName } from './judge.ts';
import { channelOf, type Providers } from './providers.ts';

export interface ChaosClinic {
  id: string;
  /** Messages that wait, by the rules. */
  messages: number;
}

export interface ClinicWish {
  providers: Providers;
  /** Through which all its messages go. */
  provider: ProviderName;
  clock: Clock;
  /** So that there is time to be killed. */
  perSecond?: number;
  patients: number;
  /** What the numbers and addresses of its patients begin at: those of two clinics must differ. */
  firstPatient?: number;
}

const eventsPerBatch = 500;

export async function makeChaosClinic(db: Db, wish: ClinicWish): Promise<ChaosClinic> {
  const deps: PlanDeps = {
    db,
    secrets: createSecrets(Buffer.from(chaosSecretKey, 'base64')),
    publicUrl: 'http://127.0.0.1',
    findAdapter,
  };
  const now = wish.clock.now();
  const id = await setUp(deps, wish, now);
  await tellHistory(deps, id, wish, now);
  // As autovacuum does within a minute.
  await sql`analyze`.execute(db);
  let messages = 0;
  for (let planned = -1; planned !== 0; messages += planned)
    ({ planned } = await planClinic(deps, id, now));
  return { id, messages };
}

async function setUp(
  deps: PlanDeps,
  { providers, provider, perSecond }: ClinicWish,
  now: Temporal.Instant,
): Promise<string> {
  const id = uuidv7(now);
  const limits = { concurrency: 5, ...(perSecond !== undefined && { perSecond }) };
  await withClinic(deps.db, id, async (trx) => {
    const clinic = await createClinic(
      trx,
      {
        ...{ id, name: 'Chaos', timeZone: 'UTC', country: 'KZ', language: 'en' },
        ...{ currency: 'KZT', mode: 'live', testNow: null },
        settings: {
          ...defaultSettings,
          sendWindow: { start: '00:00', end: '24:00' },
          caps: { perDay: 100, perWeek: 700 },
          messagesPerDay: 10_000_000,
        },
      },
      now,
    );
    const channel = { provider, ...providers.account(provider), limits };
    await putChannel(deps, trx, clinic, channelOf[provider], channel, now);
    await putTemplate(trx, id, 'recall', { purpose: 'care', bodies }, now);
    for (const rule of rules[provider]) {
      const by = { actor: 'key:chaos', now: now.subtract({ hours: 24 }) };
      const { id: ruleId } = await createRule(trx, id, rule, by);
      await activateRule(trx, clinic, ruleId, by);
    }
  });
  return id;
}

const text = 'Dear {{patient.name.given|patient}}, half a year has passed: come and see us.';

const bodies = {
  sms: { en: { text }, ru: { text } },
  email: {
    // A letter that holds SendGrid's tag travels alone; the others share calls.
    en: { subject: 'Time for a check-up', text: `${text} %retorno:` },
    ru: { subject: 'Time for a check-up', text },
  },
  webhook: { en: { text }, ru: { text } },
};

const recall = {
  purpose: 'care',
  trigger: { type: 'visit', after: 'P180D' },
} as const satisfies Partial<RuleIn>;

const women: NonNullable<RuleIn['audience']> = { any: [{ gender: ['female'] }] };

/** Through SendGrid women's letters go again when nobody can tell; men's never do. */
const rules: Readonly<Record<ProviderName, readonly RuleIn[]>> = {
  smsc: [{ ...recall, name: 'By SMS', steps: [{ channel: 'sms', template: 'recall' }] }],
  sendgrid: [
    {
      ...recall,
      name: 'By letter, at least once',
      audience: women,
      steps: [{ channel: 'email', template: 'recall' }],
      onAmbiguous: 'at-least-once',
    },
    {
      ...recall,
      name: 'By letter, at most once',
      audience: { not: women },
      steps: [{ channel: 'email', template: 'recall' }],
    },
  ],
  webhook: [{ ...recall, name: 'By push', steps: [{ channel: 'webhook', template: 'recall' }] }],
  smtp: [{ ...recall, name: 'By letter', steps: [{ channel: 'email', template: 'recall' }] }],
};

async function tellHistory(
  deps: PlanDeps,
  clinicId: string,
  { clock, patients, firstPatient = 0 }: ClinicWish,
  now: Temporal.Instant,
): Promise<void> {
  const clinic = await withClinic(deps.db, clinicId, (trx) => findClinic(trx, clinicId));
  if (clinic === null) throw new Error('The clinic is gone.');
  const caller = { clinicId, keyId: clinicId, source: 'mis', scopes: [], clinic };
  const people = await readPeople();
  const events = Array.from({ length: patients }, (_, index) =>
    historyOf(people[index % people.length] ?? nobody, firstPatient + index, now),
  ).flat();
  for (let at = 0; at < events.length; at += eventsPerBatch) {
    const batch = events.slice(at, at + eventsPerBatch);
    const { rejected } = await recordEvents({ ...deps, clock }, caller, batch);
    if (rejected.length > 0) throw new Error(`Not taken: ${JSON.stringify(rejected[0]?.problem)}`);
  }
}

function historyOf(person: Person, index: number, now: Temporal.Instant): object[] {
  const visitedAt = now.subtract({ hours: 24 * 180, minutes: 5 + (index % 50) });
  const occurredAt = visitedAt.toString();
  const id = String(index);
  const patient = {
    id,
    ...person,
    language: index % 4 === 0 ? 'ru' : 'en',
    telecom: [
      { system: 'phone', value: `+7701${String(index).padStart(7, '0')}`, use: 'mobile' },
      { system: 'email', value: `patient-${index}@example.org` },
    ],
  };
  const visit = { id, patientId: id, status: 'finished', start: occurredAt, end: occurredAt };
  return [
    { id: `p${id}`, type: 'patient.upserted', occurredAt, data: patient },
    { id: `v${id}`, type: 'visit.upserted', occurredAt, data: visit },
  ];
}

interface Person {
  name: { family: string; given: string };
  birthDate: string;
  gender: string;
  deceased: boolean;
}

const nobody: Person = {
  name: { family: 'Doe', given: 'Ann' },
  birthDate: '1980-02-01',
  gender: 'female',
  deceased: false,
};

interface SyntheaPatient {
  resourceType: string;
  name: { family: string; given: string[] }[];
  birthDate: string;
  gender: string;
  deceasedDateTime?: string;
}

const root = path.join(import.meta.dirname, '../..');
const samples = [
  path.join(root, '../shared/samples/synthea/patients.ndjson'),
  path.join(root, 'test/fixtures/synthea/patients.ndjson'),
];

/** All of them where the sample lies beside the project, else the few that lie in it. */
async function readPeople(): Promise<Person[]> {
  const file = samples.find((each) => existsSync(each)) ?? '';
  const lines = (await fs.readFile(file, 'utf8')).split('\n').filter((line) => line.trim() !== '');
  return lines.flatMap((line) => {
    const { entry } = JSON.parse(line) as { entry: { resource: SyntheaPatient }[] };
    const patient = entry.find(({ resource }) => resource.resourceType === 'Patient')?.resource;
    const name = patient?.name[0];
    if (!patient || !name) return [];
    return [
      {
        name: { family: name.family, given: name.given[0] ?? '' },
        birthDate: patient.birthDate,
        gender: patient.gender,
        deceased: patient.deceasedDateTime !== undefined,
      },
    ];
  });
}
