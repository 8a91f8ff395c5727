import { type RawBuilder, sql } from 'kysely';
import type { Trx } from '../../database/connect.ts';
import type { Fault } from '../../errors.ts';
import { addPeriod } from '../../local-time.ts';
import type { RuleDefinition } from '../rule.ts';
import { slotsAfter } from './due-slots.ts';
import { checkPeriod, required } from './field-checks.ts';
import {
  type Anchor,
  anchorSpan,
  dueAtOf,
  dueDaysOf,
  isOneOf,
  patientZones,
  type Question,
  type Selection,
  slotsTable,
  type TriggerRow,
} from './trigger.ts';

/** Is what we have on file still right? So long after the patient last said so, else became known. */
export const dataCheckTrigger: TriggerRow = {
  fields: ['field', 'after'],
  check: checkField,
  isAhead: () => false,
  hasDay: () => true,
  select: selectUnchecked,
  expiresAt: ({ dueAt }, { catchUp }, clinicZone) =>
    addPeriod(dueAt, catchUp ?? 'P14D', clinicZone),
  guard: () => ({}),
  changed: 'data-checked',
};

/** What can be asked about, as `{{onFile.…}}` shows it. */
const columns: Readonly<Record<string, RawBuilder<unknown>>> = {
  phone: sql`p.sms_address`,
  email: sql`p.email_address`,
  city: sql`p.city`,
};

const usualPeriod = 'P12M';

function checkField({ trigger }: RuleDefinition): Fault[] {
  const { field, after } = trigger;
  const faults = [
    ...required(trigger, 'field'),
    ...checkPeriod(after, '/trigger/after', { days: true }),
  ];
  if (field === undefined || Object.hasOwn(columns, field)) return faults;
  const detail = `One of ${Object.keys(columns).join(', ')} can be asked about.`;
  return [...faults, { pointer: '/trigger/field', code: 'unknown-field', detail }];
}

async function selectUnchecked(trx: Trx, question: Question): Promise<Selection | null> {
  const { clinicId, clinicZone, definition, patientIds, window } = question;
  const { sendAt, trigger } = definition;
  const { field = '', after = usualPeriod } = trigger;
  const zones = sendAt === null ? [] : await patientZones(trx, question);
  const slots = slotsAfter({ after, sendAt, clinicZone, zones, window });
  if (slots.length === 0) return null;
  const { from, until } = anchorSpan(slots);
  const verified = (alias: string) => sql`
    ${sql.ref(`${alias}.clinic_id`)} = ${clinicId} and ${sql.ref(`${alias}.dedupe_key`)} like 'link:%:verify'
    and ${sql.ref(`${alias}.patient_id`)} is not null`;
  return {
    from: sql`
      (select n.id, n.created_at as at from patients n
       where n.clinic_id = ${clinicId} and n.created_at >= ${from} and n.created_at < ${until}
         and ${isOneOf(sql`n.id`, patientIds)}
       union all
       select r.patient_id, r.received_at from replies r
       where ${verified('r')} and r.received_at >= ${from} and r.received_at < ${until}
         and ${isOneOf(sql`r.patient_id`, patientIds)}) k
      join patients p on p.clinic_id = ${clinicId} and p.id = k.id
      join ${slotsTable(slots)}
        on k.at >= s.anchor_from and k.at < s.anchor_until
        and (s.zone is null or s.zone = coalesce(p.time_zone, ${clinicZone}))`,
    where: sql`
      ${columns[field] ?? sql`null`} is not null
      and not exists (
        select from replies l where ${verified('l')} and l.patient_id = p.id and l.received_at > k.at)`,
    occurrence: sql`'data-check:' || ${field}::text || ':' || (extract(epoch from k.at) * 1000)::bigint`,
    anchor: sql<Anchor>`jsonb_build_object('kind', 'data-check', 'field', ${field}::text, 'at', k.at)`,
    dueAt: dueAtOf(sql`k.at`),
    dueDay: sql`s.due_day`,
    dueDays: dueDaysOf(slots),
  };
}
