import { Compile } from 'typebox/compile';
import { AppError, type Fault, inputErrorCode } from '../errors.ts';
import type { StopReason } from '../outbox/guard.ts';
import type { Template } from '../outbox/template-store.ts';
import { schemaFaults as schemaFaultsOf, textFaults } from '../schema-faults.ts';
import { checkAudience } from './audience/audience.ts';
import {
  anyTextChannels,
  type RuleDefinition,
  type RuleIn,
  type RulePatch,
  type RuleStep,
  ruleInSchema,
  type Step,
  type StepChannel,
  type Trigger,
  type TriggerType,
} from './rule.ts';
import { checkPeriod } from './triggers/field-checks.ts';
import { triggers } from './triggers/triggers.ts';

const validator = Compile(ruleInSchema);

/**
 * Reads a rule, fills in the defaults and refuses what contradicts itself, can never fire, or is not built.
 * @throws AppError `validation` with a pointer for each fault.
 */
export function parseRule(input: unknown): RuleDefinition {
  refuse(schemaFaults(input));
  const rule = input as RuleIn;
  const faults = checkInput(rule);
  const definition = completeRule(rule);
  refuse([...faults, ...checkDefinition(definition)]);
  return definition;
}

/** A patch laid over the rule as it was written: absent keeps, null takes the default again. */
export function patchRule(definition: RuleDefinition, patch: RulePatch): RuleDefinition {
  const written: Record<string, unknown> = { ...toInput(definition), ...patch };
  for (const [name, value] of Object.entries(written)) if (value === null) delete written[name];
  return parseRule(written);
}

/** The rule as a host would have written it. */
export function toInput(definition: RuleDefinition): RuleIn {
  const { audience, sendAt, catchUp, limits, backlog, steps, ...rest } = definition;
  return {
    ...rest,
    steps: steps.map(toStep),
    ...(audience && { audience }),
    ...(sendAt !== null && { sendAt }),
    ...(catchUp !== null && { catchUp }),
    ...(limits !== null && { limits }),
    ...(backlog !== null && { backlog }),
  };
}

export function toStep({ channels, template, after }: RuleStep): Step {
  return {
    ...(channels.length === 1 && channels[0] ? { channel: channels[0] } : { channels }),
    template,
    ...(after !== null && { after }),
  };
}

/** Faults against the clinic's templates: an unknown one, one of another purpose, one without a body. */
export function checkTemplates(
  definition: RuleDefinition,
  templates: ReadonlyMap<string, Template>,
): Fault[] {
  return definition.steps.flatMap((step, index) => {
    const pointer = `/steps/${index}/template`;
    const template = templates.get(step.template);
    if (template === undefined) {
      return [fault(pointer, 'unknown-template', 'There is no such template.')];
    }
    if (template.purpose !== definition.purpose) {
      const detail = `The template's purpose is ${template.purpose}, the rule's ${definition.purpose}.`;
      return [fault(pointer, 'purpose', detail)];
    }
    return step.channels
      .filter((channel) => !hasBody(template, channel))
      .map((channel) => fault(pointer, 'no-body', `The template has no body for ${channel}.`));
  });
}

function hasBody(template: Template, channel: StepChannel): boolean {
  const channels = Object.keys(template.bodies);
  if (anyTextChannels.has(channel) || channel === 'preferred') return channels.length > 0;
  return channels.includes(channel);
}

export function refuse(faults: readonly Fault[]): void {
  if (faults.length === 0) return;
  throw new AppError(inputErrorCode(faults), 'The rule cannot be taken.', { faults });
}

function schemaFaults(input: unknown): Fault[] {
  if (validator.Check(input)) return textFaults(input);
  return schemaFaultsOf(validator.Errors(input));
}

/** What only the rule as it was written can tell. */
function checkInput(rule: RuleIn): Fault[] {
  const row = triggers[rule.trigger.type];
  return [
    ...foreignFields(rule.trigger, row.fields),
    ...(rule.audience === undefined ? [] : checkAudience(rule.audience)),
    ...rule.steps.flatMap(checkStepChannels),
  ];
}

function foreignFields(trigger: Trigger, fields: readonly string[]): Fault[] {
  return Object.keys(trigger)
    .filter((name) => name !== 'type' && !fields.includes(name))
    .map((name) =>
      fault(
        `/trigger/${name}`,
        'foreign-field',
        `A trigger of the type ${trigger.type} has no \`${name}\`.`,
      ),
    );
}

function checkStepChannels(step: Step, index: number): Fault[] {
  if ((step.channel === undefined) !== (step.channels === undefined)) return [];
  return [
    fault(`/steps/${index}/channel`, 'contradiction', 'A step has either `channel` or `channels`.'),
  ];
}

const dayStops = ['booked', 'visited', 'replied', 'opted-out'] as const;

function completeRule(rule: RuleIn): RuleDefinition {
  const { trigger } = rule;
  const row = triggers[trigger.type];
  const isAhead = row.isAhead(trigger);
  const isAnswerable = rule.purpose !== 'transactional' && !isAhead;
  const hasMorning = row.needsTime || (rule.purpose !== 'transactional' && row.hasDay(trigger));
  return {
    name: rule.name,
    purpose: rule.purpose,
    priority: rule.priority ?? 50,
    trigger,
    audience: rule.audience ?? null,
    sendAt: rule.sendAt ?? (hasMorning ? '10:00' : null),
    steps: rule.steps.map(({ channel, channels, template, after }) => ({
      channels: channels ?? (channel === undefined ? [] : [channel]),
      template,
      after: after ?? null,
    })),
    // An appointment that is still ahead is itself a booking: it can neither forbid nor stop its reminder.
    stopOn: rule.stopOn ?? (isAnswerable ? [...dayStops] : ['opted-out']),
    unlessBooked: rule.unlessBooked ?? (isAnswerable || row.excludesBooked === true),
    holdout: rule.holdout ?? 0,
    attributionWindow: rule.attributionWindow ?? 'P90D',
    catchUp: rule.catchUp ?? null,
    sensitive: rule.sensitive ?? false,
    limits: rule.limits ?? null,
    backlog: rule.backlog ?? null,
    onAmbiguous: rule.onAmbiguous ?? 'at-most-once',
  };
}

function checkDefinition(definition: RuleDefinition): Fault[] {
  const { trigger, steps, attributionWindow, catchUp } = definition;
  const row = triggers[trigger.type];
  return [
    ...row.check(definition),
    ...checkPeriod(attributionWindow, '/attributionWindow'),
    ...checkPeriod(catchUp, '/catchUp'),
    ...steps.flatMap((step, index) => checkPeriod(step.after, `/steps/${index}/after`)),
    ...checkSteps(steps),
    ...checkBookings(definition),
    ...checkStops(definition),
    ...checkBudget(definition),
    ...checkMessageBudget(definition),
    ...checkBacklog(definition),
  ];
}

function checkBudget({ limits }: RuleDefinition): Fault[] {
  const budget = limits?.budget;
  if (budget === undefined) return [];
  const pointer = '/limits/budget';
  const faults = checkBudgetPeriod(budget.per, `${pointer}/per`);
  if (Number(budget.amount) === 0)
    faults.push(fault(`${pointer}/amount`, 'contradiction', 'With no money nothing ever leaves.'));
  return faults;
}

function checkMessageBudget({ limits }: RuleDefinition): Fault[] {
  const per = limits?.messages?.per;
  return per === undefined ? [] : checkBudgetPeriod(per, '/limits/messages/per');
}

function checkBudgetPeriod(per: string, pointer: string): Fault[] {
  const faults = checkPeriod(per, pointer, { days: true });
  if (faults.length === 0 && Temporal.Duration.from(per).sign === 0)
    faults.push(fault(pointer, 'contradiction', 'A budget needs at least a day.'));
  return faults;
}

/** What is over with its day, or with its appointment, is not made up for. */
const lasting: readonly TriggerType[] = ['visit', 'inactive', 'treatment', 'patient', 'data-check'];

function checkBacklog({ trigger: { type }, backlog }: RuleDefinition): Fault[] {
  if (backlog === null) return [];
  const faults = checkPeriod(backlog.within, '/backlog/within', { days: true });
  if (lasting.includes(type)) return faults;
  const detail = `What a trigger of the type ${type} missed is over: only ${lasting.join(', ')} have a backlog.`;
  return [...faults, fault('/backlog', 'contradiction', detail)];
}

function checkSteps(steps: readonly RuleStep[]): Fault[] {
  const faults: Fault[] = [];
  if (steps[0]?.after != null) {
    const detail = 'The first step goes when the patient is due; the wait belongs to the trigger.';
    faults.push(fault('/steps/0/after', 'contradiction', detail));
  }
  steps.forEach((step, index) => {
    const twin = steps.slice(0, index).findIndex((other) => isTwin(step, other));
    if (twin === -1 || (step.after !== null && Temporal.Duration.from(step.after).sign !== 0))
      return;
    const detail = `It repeats step ${twin} without a wait.`;
    faults.push(fault(`/steps/${index}`, 'duplicate', detail));
  });
  return faults;
}

function isTwin(one: RuleStep, other: RuleStep): boolean {
  return one.template === other.template && String(one.channels) === String(other.channels);
}

function checkBookings({ trigger, unlessBooked, stopOn, audience }: RuleDefinition): Fault[] {
  const row = triggers[trigger.type];
  if (row.excludesBooked && !unlessBooked) {
    const detail = `A trigger of the type ${trigger.type} is about patients who are not booked.`;
    return [fault('/unlessBooked', 'contradiction', detail)];
  }
  if (!row.isAhead(trigger)) {
    const excludes =
      (audience as { hasFutureAppointment?: unknown } | null)?.hasFutureAppointment === true;
    const detail =
      'It asks for a patient with an appointment ahead and forbids one: it cannot fire.';
    return excludes && unlessBooked ? [fault('/unlessBooked', 'contradiction', detail)] : [];
  }
  const detail = 'The rule is about an appointment that is ahead: it could never fire.';
  return [
    ...(unlessBooked ? [fault('/unlessBooked', 'contradiction', detail)] : []),
    ...(stopOn.includes('booked')
      ? [fault(`/stopOn/${stopOn.indexOf('booked')}`, 'contradiction', detail)]
      : []),
  ];
}

/** What can never happen stops nothing. */
function checkStops({ trigger, steps, stopOn }: RuleDefinition): Fault[] {
  const hasTask = steps.some(({ channels }) =>
    channels.some((channel) => channel === 'task' || channel === 'preferred'),
  );
  const impossible: Partial<Record<StopReason, string | false>> = {
    confirmed: trigger.type !== 'appointment' && 'Only an appointment is confirmed.',
    'task-outcome': !hasTask && 'No step is a task whose outcome could be told.',
  };
  return stopOn.flatMap((reason, index) => {
    const detail = impossible[reason];
    return detail ? [fault(`/stopOn/${index}`, 'contradiction', detail)] : [];
  });
}

function fault(pointer: string, code: string, detail: string): Fault {
  return { pointer, code, detail };
}
