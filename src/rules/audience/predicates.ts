import { sql } from 'kysely';
import { Type } from 'typebox';
import { isDay, parsePeriod, startOfDay } from '../../local-time.ts';
import { currencyPlaces } from '../../money.ts';
import {
  type AsOf,
  bookedStatuses,
  ofLastAttendance,
  type Predicate,
  predicate,
  startBefore,
} from './predicate.ts';

/** Every audience predicate there is: adding one is adding a row. */

const closed = { additionalProperties: false } as const;
const listMax = 200;

const anyOf = (description: string, example: string[]) =>
  Type.Array(Type.String({ minLength: 1, maxLength: 255 }), {
    minItems: 1,
    maxItems: listMax,
    uniqueItems: true,
    description,
    examples: [example],
  });

const withinSchema = Type.Optional(
  Type.String({ maxLength: 40, description: 'Back from the due day.', examples: ['P12M'] }),
);

interface Range {
  gte?: number;
  lte?: number;
}
interface RangeWithin<N> {
  gte?: N;
  lte?: N;
  within?: string;
}

export const predicates: Readonly<Record<string, Predicate>> = {
  age: predicate<Range>({
    schema: Type.Object(
      {
        gte: Type.Optional(Type.Integer({ minimum: 0, maximum: 150 })),
        lte: Type.Optional(Type.Integer({ minimum: 0, maximum: 150 })),
      },
      {
        ...closed,
        minProperties: 1,
        description: 'Whole years on the due day. Unknown birth dates do not match.',
        examples: [{ gte: 35 }],
      },
    ),
    check: emptyRange,
    where: ({ gte, lte }) => sql`(
      ${gte === undefined ? sql`p.birth_date is not null` : sql`${birthday(gte)} <= c.due_day`}
      and ${lte === undefined ? sql`true` : sql`${birthday(lte + 1)} > c.due_day`})`,
    // 29 February has its birthday on the 28th in other years, as the greeting does.
    seen: () => sql`(
      select y - case when (p.birth_date + make_interval(years => y))::date > c.due_day then 1 else 0 end
      from (select (extract(year from c.due_day) - extract(year from p.birth_date))::int as y) years)`,
  }),
  gender: predicate<string[]>({
    schema: Type.Array(Type.Enum(['female', 'male', 'other', 'unknown']), {
      minItems: 1,
      uniqueItems: true,
      description: 'Any of these.',
      examples: [['female']],
    }),
    where: (genders) => sql`coalesce(p.gender, 'unknown') = any(${genders}::text[])`,
    seen: () => sql`coalesce(p.gender, 'unknown')`,
  }),
  tags: predicate<string[]>({
    schema: anyOf('At least one of these tags.', ['vip']),
    where: (tags) => sql`p.tags && ${tags}::text[]`,
    seen: () => sql`p.tags`,
  }),
  payer: predicate<string[]>({
    schema: anyOf('The payer today, by id.', ['dms']),
    where: (payers) => sql`p.payer_id = any(${payers}::text[])`,
    seen: () => sql`p.payer_id`,
  }),
  payerAtVisit: predicate<string[]>({
    schema: anyOf('The payer of the last visit, by id.', ['dms']),
    where: (payers, asOf) => sql`${ofLastAttendance(asOf, 'payer_id')} = any(${payers}::text[])`,
    seen: (asOf) => ofLastAttendance(asOf, 'payer_id'),
  }),
  lastPractitioner: predicate<string[]>({
    schema: anyOf('The practitioner of the last visit, by id.', ['dr-7']),
    where: (ids, asOf) => sql`${ofLastAttendance(asOf, 'practitioner_id')} = any(${ids}::text[])`,
    seen: (asOf) => ofLastAttendance(asOf, 'practitioner_id'),
  }),
  practitioner: predicate<string[]>({
    schema: anyOf('Has ever been with one of these practitioners.', ['dr-7']),
    where: (ids, asOf) => sql`exists (
      select from attendances a where ${attended(asOf)} and a.practitioner_id = any(${ids}::text[]))`,
    seen: (asOf) => sql`(
      select coalesce(jsonb_agg(distinct a.practitioner_id), '[]') from attendances a
      where ${attended(asOf)} and a.practitioner_id is not null)`,
  }),
  service: predicate<string[]>({
    schema: anyOf('Has ever had one of these services.', ['hygiene']),
    where: (ids, asOf) => sql`exists (
      select from attendances a where ${attended(asOf)} and a.service_ids && ${ids}::text[])`,
    seen: (asOf) => sql`(
      select coalesce(jsonb_agg(distinct s.id), '[]') from attendances a, unnest(a.service_ids) as s (id)
      where ${attended(asOf)})`,
  }),
  location: predicate<string[]>({
    schema: anyOf('Where the last visit was, by id.', ['north']),
    where: (ids, asOf) => sql`${ofLastAttendance(asOf, 'location_id')} = any(${ids}::text[])`,
    seen: (asOf) => ofLastAttendance(asOf, 'location_id'),
  }),
  city: predicate<string[]>({
    schema: anyOf('Lives in one of these, whatever the case of the letters.', ['Казань']),
    where: (cities) =>
      sql`lower(p.city) = any(${cities.map((city) => city.toLowerCase())}::text[])`,
    seen: () => sql`p.city`,
  }),
  language: predicate<string[]>({
    schema: anyOf('Speaks one of these; `pt` includes `pt-BR`.', ['ru']),
    where: (tags) => sql`(
      lower(p.language) = any(${lower(tags)}::text[])
      or split_part(lower(p.language), '-', 1) = any(${lower(tags)}::text[]))`,
    seen: () => sql`p.language`,
  }),
  visits: predicate<RangeWithin<number>>({
    schema: Type.Object(
      {
        gte: Type.Optional(Type.Integer({ minimum: 0 })),
        lte: Type.Optional(Type.Integer({ minimum: 0 })),
        within: withinSchema,
      },
      {
        ...closed,
        description: 'How many visits, ever or lately.',
        examples: [{ gte: 3, within: 'P12M' }],
      },
    ),
    check: (value) => emptyRange(value) ?? wrongPeriod(value.within),
    where: (value, asOf) => inRange(visitCount(asOf, value.within), value),
    seen: (asOf, value) => visitCount(asOf, value.within),
  }),
  spent: predicate<RangeWithin<string>>({
    schema: Type.Object(
      { gte: Type.Optional(amount()), lte: Type.Optional(amount()), within: withinSchema },
      {
        ...closed,
        description: "What the visits cost, in the clinic's currency.",
        examples: [{ gte: '15000.00' }],
      },
    ),
    check: (value) => emptyRange(asNumbers(value)) ?? wrongPeriod(value.within),
    where: (value, asOf) => inRange(moneySpent(asOf, value.within), value),
    seen: (asOf, value) => sql`${moneySpent(asOf, value.within)}::text`,
  }),
  balance: predicate<{ gte?: string; lte?: string }>({
    schema: Type.Object(
      { gte: Type.Optional(signedAmount()), lte: Type.Optional(signedAmount()) },
      {
        ...closed,
        description:
          "What was paid less what the visits cost, in the clinic's currency; below zero the patient owes. Of whom no payment was ever told it is not known, and nobody is matched by it.",
        examples: [{ lte: '-0.01' }],
      },
    ),
    check: (value) => emptyRange(asNumbers(value)),
    where: (value, asOf) => sql`coalesce(${inRange(balance(asOf), value)}, false)`,
    seen: (asOf) => sql`${balance(asOf)}::text`,
  }),
  lastVisit: predicate<{ before?: string; after?: string }>({
    schema: Type.Object(
      { before: Type.Optional(Type.String()), after: Type.Optional(Type.String()) },
      {
        ...closed,
        minProperties: 1,
        description:
          'The last visit was before, or on or after: a day, or a period back from the due day.',
        examples: [{ before: 'P12M' }],
      },
    ),
    check: ({ before, after }) =>
      [before, after].some((bound) => bound !== undefined && !isDay(bound) && wrongPeriod(bound))
        ? 'It is neither a day nor a calendar period.'
        : null,
    where: ({ before, after }, asOf) => {
      const last = ofLastAttendance(asOf, 'anchor_at');
      return sql`(
        ${before === undefined ? sql`${last} is not null` : sql`${last} < ${boundary(asOf, before)}`}
        and ${after === undefined ? sql`true` : sql`${last} >= ${boundary(asOf, after)}`})`;
    },
    seen: (asOf) => ofLastAttendance(asOf, 'anchor_at'),
  }),
  hasFutureAppointment: predicate<boolean>({
    schema: Type.Boolean({
      description: 'Is booked for a time after the due instant.',
      examples: [false],
    }),
    where: (wanted, asOf) => sql`(${futureAppointment(asOf)}) = ${wanted}`,
    seen: (asOf) => futureAppointment(asOf),
  }),
  referredWithin: predicate<string>({
    schema: Type.String({
      maxLength: 40,
      description: 'Has sent somebody (`referral.recorded`) since so long before the due day.',
      examples: ['P6M'],
    }),
    check: wrongPeriod,
    where: (period, asOf) =>
      sql`exists (select from ${referrals(asOf)} and e.occurred_at >= ${startBefore(asOf, period)})`,
    seen: (asOf) => sql`(select max(e.occurred_at) from ${referrals(asOf)})`,
  }),
  lastScore: predicate<Range>({
    schema: Type.Object(
      {
        gte: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
        lte: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
      },
      {
        ...closed,
        minProperties: 1,
        description:
          "The last mark: of a link's page, from one to five, or of `review.received`. Who gave none does not match.",
        examples: [{ lte: 3 }],
      },
    ),
    check: emptyRange,
    where: (value, asOf) => inRange(lastScore(asOf), value),
    seen: lastScore,
  }),
  segment: predicate<string>({
    schema: Type.String({
      pattern: '^[a-z0-9][a-z0-9._-]{0,62}$',
      description: 'Belongs to a saved segment on the due day.',
      examples: ['loyal-women'],
    }),
    where: (name, asOf) => asOf.ofSegment?.(name) ?? sql`false`,
    seen: (asOf, name) => asOf.ofSegment?.(name) ?? sql`false`,
  }),
  attributes: predicate<Record<string, unknown>>({
    schema: Type.Record(Type.String({ minLength: 1, maxLength: 100 }), Type.Unknown(), {
      minProperties: 1,
      maxProperties: 20,
      description: "The host's own fields: one value, or a list of which one must match.",
      examples: [{ smoker: true }],
    }),
    where: (wanted) =>
      sql`(${sql.join(
        Object.entries(wanted).map(
          ([name, value]) =>
            sql`p.attributes -> ${name} in (select jsonb_array_elements(${JSON.stringify(Array.isArray(value) ? value : [value])}::jsonb))`,
        ),
        sql` and `,
      )})`,
    seen: (_asOf, wanted) => sql`(
      select coalesce(jsonb_object_agg(e.key, e.value), '{}') from jsonb_each(p.attributes) e
      where e.key = any(${Object.keys(wanted)}::text[]))`,
  }),
};

function birthday(age: number) {
  return sql`(p.birth_date + make_interval(years => ${age}::int))::date`;
}

function attended(asOf: AsOf) {
  return sql`a.clinic_id = ${asOf.clinicId} and a.patient_id = p.id and a.anchor_at <= c.due_at`;
}

function attendedWithin(asOf: AsOf, within: string | undefined) {
  if (within === undefined) return attended(asOf);
  return sql`${attended(asOf)} and a.anchor_at >= ${startBefore(asOf, within)}`;
}

function visitCount(asOf: AsOf, within: string | undefined) {
  return sql`(select count(*)::int from attendances a where ${attendedWithin(asOf, within)})`;
}

function moneySpent(asOf: AsOf, within: string | undefined) {
  const ofOne = 10 ** currencyPlaces(asOf.currency);
  return sql`(
    select coalesce(sum(a.amount_minor), 0)::numeric / ${ofOne}::numeric from attendances a
    where ${attendedWithin(asOf, within)} and a.currency = ${asOf.currency})`;
}

/** Null where no payment was told of: what the host does not tell is no debt. */
function balance(asOf: AsOf) {
  const ofOne = 10 ** currencyPlaces(asOf.currency);
  return sql`(
    select (sum(case y.kind when 'refund' then -y.amount_minor else y.amount_minor end) - (
        select coalesce(sum(a.amount_minor), 0) from attendances a
        where ${attended(asOf)} and a.currency = ${asOf.currency}))::numeric / ${ofOne}::numeric
    from payments y
    where y.clinic_id = ${asOf.clinicId} and y.patient_id = p.id and y.currency = ${asOf.currency}
      and y.paid_at <= c.due_at)`;
}

/** Events keep the id of their time: also of who was merged into the patient. */
function ofPatient(asOf: AsOf, type: string) {
  // The index leaves the upserts out; the condition is repeated so that it is used.
  return sql`
    e.clinic_id = ${asOf.clinicId} and e.type = ${type} and e.type not like '%.upserted' and e.occurred_at <= c.due_at
    and e.patient_id in (
      select p.id union all select o.id from patients o where o.clinic_id = ${asOf.clinicId} and o.replaced_by = p.id)`;
}

function referrals(asOf: AsOf) {
  return sql`intake_events e where ${ofPatient(asOf, 'referral.recorded')}`;
}

function lastScore(asOf: AsOf) {
  return sql`(
    select marks.score from (
      select (e.body::jsonb ->> 'score')::numeric as score, e.occurred_at as at from intake_events e
      where ${ofPatient(asOf, 'review.received')} and jsonb_typeof(e.body::jsonb -> 'score') = 'number'
      union all
      select r.score, r.received_at from replies r
      where r.clinic_id = ${asOf.clinicId} and r.patient_id = p.id and r.score is not null and r.received_at <= c.due_at
    ) marks order by marks.at desc limit 1)`;
}

function inRange(
  value: ReturnType<typeof visitCount>,
  { gte, lte }: { gte?: unknown; lte?: unknown },
) {
  return sql<boolean>`(
    ${gte === undefined ? sql`true` : sql`${value} >= ${gte}::numeric`}
    and ${lte === undefined ? sql`true` : sql`${value} <= ${lte}::numeric`})`;
}

function futureAppointment(asOf: AsOf) {
  return sql`exists (
    select from appointments f
    where f.clinic_id = ${asOf.clinicId} and f.patient_id = p.id and f.deleted_at is null
      and f.start_at > c.due_at and f.status = any(${[...bookedStatuses]}::text[]))`;
}

function boundary(asOf: AsOf, bound: string) {
  return isDay(bound)
    ? sql`${startOfDay(bound, asOf.zone)}::timestamptz`
    : startBefore(asOf, bound);
}

function amount() {
  return Type.String({ pattern: '^\\d{1,12}(\\.\\d{1,4})?$', examples: ['15000.00'] });
}

function signedAmount() {
  return Type.String({ pattern: '^-?\\d{1,12}(\\.\\d{1,4})?$', examples: ['-0.01'] });
}

function asNumbers({ gte, lte }: { gte?: string; lte?: string }) {
  return {
    ...(gte !== undefined && { gte: Number(gte) }),
    ...(lte !== undefined && { lte: Number(lte) }),
  };
}

function lower(tags: readonly string[]): string[] {
  return tags.map((tag) => tag.toLowerCase());
}

function emptyRange({ gte, lte }: { gte?: unknown; lte?: unknown }): string | null {
  if (gte === undefined && lte === undefined) return 'It has no bound.';
  if (typeof gte === 'number' && typeof lte === 'number' && gte > lte) {
    return 'Nobody fits: gte is above lte.';
  }
  return null;
}

function wrongPeriod(text: string | undefined): string | null {
  if (text === undefined) return null;
  const period = parsePeriod(text);
  if (typeof period === 'string') return `It is no period: ${period}.`;
  return period.hours || period.minutes || period.seconds ? 'It is no calendar period.' : null;
}
