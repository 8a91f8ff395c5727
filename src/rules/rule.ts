import { type Static, Type } from 'typebox';
import type { Purpose } from '../database/tables.ts';
import { type StopReason, stopReasons, type VisitScope } from '../outbox/guard.ts';
import { invitingTriggers } from '../outbox/invitation-store.ts';
import { audienceSchema } from './audience/audience.ts';

/** What a clinic tells us to do: whom to write to, when, through what, and what ends it. */

export const triggerTypes = [
  'visit',
  'appointment',
  'birthday',
  'calendar',
  'event',
  'patient',
  'inactive',
  'treatment',
  'data-check',
] as const;
export type TriggerType = (typeof triggerTypes)[number];

export const scopes = [
  'any',
  'same-practitioner',
  'same-service',
] as const satisfies readonly VisitScope[];

export const stepChannels = [
  'preferred',
  'sms',
  'email',
  'whatsapp',
  'telegram',
  'webhook',
  'inbox',
  'task',
] as const;
export type StepChannel = (typeof stepChannels)[number];

export const stepsMax = 20;
export const rulesPerClinicMax = 500;
const idsMax = 200;
const closed = { additionalProperties: false } as const;

const hostIds = (description: string, example: string[]) =>
  Type.Array(Type.String({ minLength: 1, maxLength: 255 }), {
    maxItems: idsMax,
    uniqueItems: true,
    description,
    examples: [example],
  });
const period = (description: string, example: string) =>
  Type.String({ minLength: 2, maxLength: 40, description, examples: [example] });

export const triggerSchema = Type.Object(
  {
    type: Type.Enum(triggerTypes, {
      description: 'What makes a patient due.',
      examples: ['visit'],
    }),
    after: Type.Optional(
      period('How long after it the patient is due: calendar (P180D) or elapsed (PT3H).', 'P180D'),
    ),
    before: Type.Optional(
      period('`appointment`: how long before its start, `P14D` at the same local time.', 'PT2H'),
    ),
    on: Type.Optional(
      Type.Enum(['noshow', 'cancelled', 'booked'], {
        description: '`appointment`: what became of it.',
        examples: ['noshow'],
      }),
    ),
    offset: Type.Optional(
      period('`birthday`: days before (`-P3D`) or after the birthday.', '-P3D'),
    ),
    services: Type.Optional(
      hostIds('Only a visit, an appointment or a step of a treatment with one of these services.', [
        'hygiene',
      ]),
    ),
    practitioners: Type.Optional(
      hostIds('Only a visit or appointment with one of these practitioners.', ['dr-7']),
    ),
    facts: Type.Optional(
      hostIds('`visit`: only a visit with one of these facts.', ['prescription']),
    ),
    scope: Type.Optional(
      Type.Enum(scopes, {
        description:
          '`visit`: which later visits replace it: any, those with the same practitioner, or with the same service.',
        examples: ['any'],
      }),
    ),
    date: Type.Optional(
      Type.String({
        pattern: '^(\\d{4}-)?\\d{2}-\\d{2}$',
        description: '`calendar`: `03-08` every year or `2026-12-28` once.',
        examples: ['03-08'],
      }),
    ),
    event: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 100,
        description:
          "`event`: the type of event: one of the host's own (`x-…`), or any but the upserts, such as `referral.recorded` (its patient is who referred), `appointment.delayed`, `callback.requested`, `review.received`.",
        examples: ['x-result-ready'],
      }),
    ),
    where: Type.Optional(
      Type.Record(Type.String({ maxLength: 100 }), Type.Unknown(), {
        description:
          '`event`: fields of its data and the values they must have; `{"gt": 15}` (`gte`, `lt`, `lte`) compares numbers.',
        examples: [{ kind: 'x-ray' }],
      }),
    ),
    field: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 40,
        description:
          '`data-check`: the field to be confirmed: `phone`, `email` or `city`; `{{onFile.phone}}` shows it masked. Due `after` (P12M) the patient last confirmed, else became known.',
        examples: ['phone'],
      }),
    ),
  },
  { ...closed, description: 'What makes a patient due, and when.' },
);
export type Trigger = Static<typeof triggerSchema>;

const stepChannelSchema = Type.Enum(stepChannels, {
  description: 'Through what; `preferred` is what suits the patient.',
  examples: ['preferred'],
});

export const stepSchema = Type.Object(
  {
    channel: Type.Optional(stepChannelSchema),
    channels: Type.Optional(
      Type.Array(stepChannelSchema, {
        minItems: 1,
        maxItems: stepChannels.length,
        uniqueItems: true,
        description: 'One contact over several channels, in place of `channel`.',
        examples: [['sms', 'email']],
      }),
    ),
    template: Type.String({
      minLength: 1,
      maxLength: 100,
      description: 'The template whose body is sent.',
      examples: ['recall'],
    }),
    after: Type.Optional(
      period('How long to wait after the step before left. Not for the first step.', 'P7D'),
    ),
  },
  { ...closed, description: 'One contact.' },
);
export type Step = Static<typeof stepSchema>;

const limitsSchema = Type.Object(
  {
    perDay: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000_000,
        description:
          'At most so many patients hear of it for the first time on a local day of the clinic, the most overdue first; the others wait.',
        examples: [200],
      }),
    ),
    budget: Type.Optional(
      Type.Object(
        {
          amount: Type.String({
            pattern: '^\\d{1,9}(\\.\\d{1,4})?$',
            description: "In the clinic's currency.",
            examples: ['5000.00'],
          }),
          per: period(
            'The days that end with today and share it: days, weeks, months or years.',
            'P30D',
          ),
        },
        {
          ...closed,
          description:
            'What its messages may cost by the tariff. Nothing leaves that would go beyond it; what is held goes when there is money again.',
        },
      ),
    ),
    messages: Type.Optional(
      Type.Object(
        {
          count: Type.Integer({
            minimum: 1,
            maximum: 1_000_000_000,
            description: 'Messages of all its steps.',
            examples: [1000],
          }),
          per: period(
            'The days that end with today and share them: days, weeks, months or years.',
            'P30D',
          ),
        },
        { ...closed, description: 'How many messages may leave; the others are held as `budget`.' },
      ),
    ),
  },
  { ...closed, description: 'Hard stops of this rule.' },
);

export const backlogPerDayMax = 10_000;

const backlogSchema = Type.Object(
  {
    perDay: Type.Integer({
      minimum: 1,
      maximum: backlogPerDayMax,
      description: 'So many of them enter on a local day of the clinic.',
      examples: [50],
    }),
    order: Type.Enum(['most-overdue', 'most-recent'], {
      description: 'Who enters first.',
      examples: ['most-overdue'],
    }),
    within: Type.Optional(
      period(
        'Only who fell due so long before the activation; without it, within ten years.',
        'P24M',
      ),
    ),
  },
  {
    ...closed,
    description:
      'Lets in, day by day, who was due before the rule was switched on or its trigger changed: each is due on the day of entering. Without it they are left alone.',
  },
);

const fields = {
  name: Type.String({
    minLength: 1,
    maxLength: 200,
    description: 'What the clinic calls it.',
    examples: ['Hygiene recall'],
  }),
  purpose: Type.Enum(['transactional', 'care', 'marketing'], {
    description: 'Governs consent and hours.',
    examples: ['care'],
  }),
  priority: Type.Integer({
    minimum: 0,
    maximum: 100,
    description: 'Which rule goes first when several want the same patient on one day; 100 wins.',
    examples: [50],
  }),
  trigger: triggerSchema,
  audience: audienceSchema,
  sendAt: Type.String({
    pattern: '^([01]\\d|2[0-3]):[0-5]\\d$',
    description: 'Local time of the patient, else of the clinic. Without it, when the period ends.',
    examples: ['10:00'],
  }),
  steps: Type.Array(stepSchema, {
    minItems: 1,
    maxItems: stepsMax,
    description: 'Contacts, one after another until a stop.',
    examples: [[{ channel: 'preferred', template: 'recall' }]],
  }),
  stopOn: Type.Array(Type.Enum(stopReasons), {
    uniqueItems: true,
    description: 'What cancels the remaining steps.',
    examples: [['booked']],
  }),
  unlessBooked: Type.Boolean({
    description: 'Nothing goes to a patient with an appointment ahead.',
    examples: [true],
  }),
  holdout: Type.Number({
    minimum: 0,
    maximum: 0.5,
    description: 'The share that gets nothing, to measure what the rule is worth.',
    examples: [0.1],
  }),
  attributionWindow: period('How long a return counts as brought by the rule.', 'P90D'),
  catchUp: period('How late the first step may still go.', 'P14D'),
  sensitive: Type.Boolean({
    description: 'Nothing of it is shown on a locked screen or in a webhook.',
    examples: [false],
  }),
  limits: limitsSchema,
  backlog: backlogSchema,
  onAmbiguous: Type.Enum(['at-most-once', 'at-least-once'], {
    description: 'What becomes of a message whose fate at the provider stays unknown.',
    examples: ['at-most-once'],
  }),
};

/** A rule as the host writes it; what is absent takes the default. */
export const ruleInSchema = Type.Object(
  {
    name: fields.name,
    purpose: fields.purpose,
    priority: Type.Optional(fields.priority),
    trigger: fields.trigger,
    audience: Type.Optional(fields.audience),
    sendAt: Type.Optional(fields.sendAt),
    steps: fields.steps,
    stopOn: Type.Optional(fields.stopOn),
    unlessBooked: Type.Optional(fields.unlessBooked),
    holdout: Type.Optional(fields.holdout),
    attributionWindow: Type.Optional(fields.attributionWindow),
    catchUp: Type.Optional(fields.catchUp),
    sensitive: Type.Optional(fields.sensitive),
    limits: Type.Optional(fields.limits),
    backlog: Type.Optional(fields.backlog),
    onAmbiguous: Type.Optional(fields.onAmbiguous),
  },
  { ...closed, description: 'A rule.' },
);
export type RuleIn = Static<typeof ruleInSchema>;

/** Absent keeps, null takes the default again. */
export const rulePatchSchema = Type.Object(
  {
    name: Type.Optional(fields.name),
    purpose: Type.Optional(fields.purpose),
    priority: Type.Optional(Type.Union([fields.priority, Type.Null()])),
    trigger: Type.Optional(fields.trigger),
    audience: Type.Optional(Type.Union([fields.audience, Type.Null()])),
    sendAt: Type.Optional(Type.Union([fields.sendAt, Type.Null()])),
    steps: Type.Optional(fields.steps),
    stopOn: Type.Optional(Type.Union([fields.stopOn, Type.Null()])),
    unlessBooked: Type.Optional(Type.Union([fields.unlessBooked, Type.Null()])),
    holdout: Type.Optional(Type.Union([fields.holdout, Type.Null()])),
    attributionWindow: Type.Optional(Type.Union([fields.attributionWindow, Type.Null()])),
    catchUp: Type.Optional(Type.Union([fields.catchUp, Type.Null()])),
    sensitive: Type.Optional(Type.Union([fields.sensitive, Type.Null()])),
    limits: Type.Optional(Type.Union([fields.limits, Type.Null()])),
    backlog: Type.Optional(Type.Union([fields.backlog, Type.Null()])),
    onAmbiguous: Type.Optional(Type.Union([fields.onAmbiguous, Type.Null()])),
  },
  { ...closed, minProperties: 1, description: 'A change of a rule.' },
);
export type RulePatch = Static<typeof rulePatchSchema>;

/** A rule with every default filled in: what is stored and what the engine reads. */
/** Whether it asks patients back: of such journeys a patient has one at a time. */
export function isInviting({
  purpose,
  unlessBooked,
  trigger,
}: Pick<RuleDefinition, 'purpose' | 'unlessBooked' | 'trigger'>): boolean {
  const triggers: readonly string[] = invitingTriggers;
  return purpose !== 'transactional' && unlessBooked && triggers.includes(trigger.type);
}

export interface RuleDefinition {
  name: string;
  purpose: Purpose;
  priority: number;
  trigger: Trigger;
  audience: RuleIn['audience'] | null;
  sendAt: string | null;
  steps: RuleStep[];
  stopOn: StopReason[];
  unlessBooked: boolean;
  holdout: number;
  attributionWindow: string;
  /** Null where the trigger's own limit holds. */
  catchUp: string | null;
  sensitive: boolean;
  limits: Static<typeof limitsSchema> | null;
  backlog: Static<typeof backlogSchema> | null;
  onAmbiguous: 'at-most-once' | 'at-least-once';
}

export interface RuleStep {
  channels: StepChannel[];
  template: string;
  after: string | null;
}

export interface Rule {
  id: string;
  state: 'draft' | 'active' | 'paused';
  version: number;
  definition: RuleDefinition;
  activeFrom: Temporal.Instant | null;
  plannedThrough: Temporal.Instant | null;
  /** The last local day on which the backlog let somebody in. */
  backlogDay: string | null;
  /** The version whose trigger was replaced, until what that moved into the past is recorded. */
  movedFrom: number | null;
  createdAt: Temporal.Instant;
  updatedAt: Temporal.Instant;
}

/** Sent texts of these channels are never chosen by `preferred`; they take any text of the template. */
export const anyTextChannels: ReadonlySet<StepChannel> = new Set(['webhook', 'inbox', 'task']);

/** What the API answers. */
export const ruleOutSchema = Type.Object({
  id: Type.String({ format: 'uuid', description: 'Ours.' }),
  state: Type.Enum(['draft', 'active', 'paused']),
  version: Type.Integer({ description: 'Grows with every change.', examples: [1] }),
  ...fields,
  audience: Type.Union([fields.audience, Type.Null()]),
  sendAt: Type.Union([fields.sendAt, Type.Null()]),
  catchUp: Type.Union([fields.catchUp, Type.Null()]),
  limits: Type.Union([limitsSchema, Type.Null()]),
  backlog: Type.Union([backlogSchema, Type.Null()]),
  anomaly: Type.Union(
    [
      Type.Object({
        day: Type.String({ description: "The clinic's local day.", examples: ['2026-02-02'] }),
        usual: Type.Integer({ description: 'First contacts of its usual day.', examples: [40] }),
        waiting: Type.Integer({
          description: 'Patients who wait; not counted far beyond what is usual.',
          examples: [201],
        }),
      }),
      Type.Null(),
    ],
    {
      description:
        'It would send many times what it does on a usual day, and is held today until somebody releases it.',
    },
  ),
  activeFrom: Type.Union([Type.String({ format: 'date-time' }), Type.Null()], {
    description: 'What was due before it is left alone, or enters by `backlog`.',
  }),
  createdAt: Type.String({ format: 'date-time' }),
  updatedAt: Type.String({ format: 'date-time' }),
});
export type RuleOut = Static<typeof ruleOutSchema>;
