import { isDeepStrictEqual } from 'node:util';
import { sql } from 'kysely';
import type { Trx } from '../../database/connect.ts';
import { parsePeriod } from '../../local-time.ts';
import type { RuleDefinition } from '../rule.ts';
import type { Question } from './trigger.ts';

/**
 * A patient's own wish when to be reminded beats the clinic's cascade: each period that they named is
 * served by the rule of the cascade that is nearest to it, and the other rules leave them alone.
 */
export interface Wish {
  /** The preference as the index has it. */
  preference: string;
  /** The periods that this rule serves; empty where others do, or where nothing is wished. */
  periods: string[];
}

/** The preferences of the clinic's patients that are understood, with what is this rule's part of each. */
export async function wishesFor(
  trx: Trx,
  { clinicId, definition, patientIds }: Question,
): Promise<Wish[]> {
  const known = (await preferencesOf(trx, clinicId, patientIds)).flatMap((preference) => {
    const periods = readPreference(preference);
    return periods === null ? [] : [{ preference, periods }];
  });
  if (known.length === 0) return [];
  const cascade = await cascadeOf(trx, clinicId, definition);
  const own = definition.trigger.before ?? '';
  return known.map(({ preference, periods }) => ({
    preference,
    periods: periods.filter((period) => nearest(period, cascade) === own),
  }));
}

/** Longer ones say more than when, and are not understood. */
export const preferenceCharactersMax = 200;

const preferenceOf = sql`left(p.reminder_preference::text, ${sql.lit(preferenceCharactersMax)})`;

async function preferencesOf(
  trx: Trx,
  clinicId: string,
  patientIds: readonly string[] | null,
): Promise<string[]> {
  // Steps from one to the next through the index.
  const { rows } = await (patientIds === null
    ? sql<{ preference: string }>`
        with recursive preferences as (
          (select ${preferenceOf} as preference from patients p
           where p.clinic_id = ${clinicId} and p.reminder_preference is not null order by 1 limit 1)
          union all
          select (select ${preferenceOf} from patients p
                  where p.clinic_id = ${clinicId} and p.reminder_preference is not null
                    and ${preferenceOf} > preferences.preference
                  order by 1 limit 1)
          from preferences where preferences.preference is not null
        )
        select preference from preferences where preference is not null`
    : sql<{ preference: string }>`
        select distinct ${preferenceOf} as preference from patients p
        where p.clinic_id = ${clinicId} and p.id = any(${[...patientIds]}::uuid[]) and p.reminder_preference is not null`
  ).execute(trx);
  return rows.map(({ preference }) => preference);
}

const words: Readonly<Record<string, string>> = {
  'hour-before': 'PT1H',
  'two-hours-before': 'PT2H',
  'same-day': 'PT2H',
  'day-before': 'P1D',
  'two-days-before': 'P2D',
  'three-days-before': 'P3D',
  'week-before': 'P7D',
  'two-weeks-before': 'P14D',
};
const refusals: readonly string[] = ['none', 'never'];

/** The periods that a preference names, none for a refusal; null where it says nothing that we understand. */
export function readPreference(text: string): string[] | null {
  try {
    return periodsIn(JSON.parse(text));
  } catch {
    // It was cut off, since it is longer than any that is understood.
    return null;
  }
}

function periodsIn(value: unknown): string[] | null {
  if (typeof value === 'string') {
    if (refusals.includes(value)) return [];
    const period = words[value] ?? value;
    return typeof parsePeriod(period) === 'string' ? null : [period];
  }
  if (Array.isArray(value)) {
    const periods = value.flatMap((one) => (typeof one === 'string' ? (periodsIn(one) ?? []) : []));
    return periods.length === 0 ? null : [...new Set(periods)];
  }
  const before = (value as { before?: unknown } | null)?.before;
  return before === undefined ? null : periodsIn(before);
}

/** What the active rules that remind of the same appointments count before them, with this rule's own. */
async function cascadeOf(
  trx: Trx,
  clinicId: string,
  definition: RuleDefinition,
): Promise<string[]> {
  const { rows } = await sql<{ definition: RuleDefinition }>`
    select definition from rules
    where clinic_id = ${clinicId} and state = 'active' and deleted_at is null
      and definition -> 'trigger' ->> 'type' = 'appointment' and definition -> 'trigger' ? 'before'`.execute(
    trx,
  );
  const alike = rows
    .map((row) => row.definition)
    .filter((other) => isDeepStrictEqual(subjectOf(other), subjectOf(definition)));
  const periods = [definition, ...alike].flatMap(({ trigger }) => trigger.before ?? []);
  return [...new Set(periods)];
}

function subjectOf({ trigger, audience, purpose }: RuleDefinition) {
  const { services = [], practitioners = [] } = trigger;
  return { services, practitioners, audience, purpose };
}

/** By how many times one is the other: a day is nearer to two days than to two hours. */
function nearest(period: string, cascade: readonly string[]): string | undefined {
  const distance = (other: string) => Math.abs(Math.log(minutes(other) / minutes(period)));
  return cascade.toSorted(
    (one, other) => distance(one) - distance(other) || minutes(other) - minutes(one),
  )[0];
}

const anyDay = Temporal.PlainDate.from('2000-01-01');

/** At least one, so that it can be compared by ratio. */
function minutes(period: string): number {
  const total = Temporal.Duration.from(period).total({ unit: 'minutes', relativeTo: anyDay });
  return Math.max(total, 1);
}
