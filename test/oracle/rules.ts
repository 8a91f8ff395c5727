import type { RuleIn } from '../../src/rules/rule.ts';

/**
 * The clinics' rules. One step each, into the inbox of the host's portal: no caps, no hours and no second
 * invitation stand between what is due and what goes.
 */

type Wish = Omit<Partial<RuleIn>, 'name'>;

const alsoBooked = { unlessBooked: false, stopOn: ['opted-out'] } satisfies Wish;

function care(wish: Wish): Wish {
  return { purpose: 'care', steps: [{ channel: 'inbox', template: 'care' }], ...wish };
}

function reminder(trigger: RuleIn['trigger']): Wish {
  const steps: Wish['steps'] = [{ channel: 'inbox', template: 'transactional' }];
  return { purpose: 'transactional', steps, trigger };
}

export const ruleNames = [
  ...(['visit', 'month', 'half', 'inactive'] as const),
  ...(['before', 'hours', 'booked', 'noshow', 'cancelled'] as const),
  ...(['birthday', 'eve', 'calendar', 'welcome', 'event'] as const),
] as const;
export type RuleName = (typeof ruleNames)[number];

export const rules: Readonly<Record<RuleName, Wish>> = {
  visit: care({ trigger: { type: 'visit', after: 'P30D' } }),
  month: care({
    trigger: { type: 'visit', after: 'P1M' },
    // Hours that a clock skips in some zones.
    sendAt: '02:10',
    catchUp: 'P3D',
    ...alsoBooked,
  }),
  half: care({ trigger: { type: 'visit', after: 'P6M' }, sendAt: '00:20', ...alsoBooked }),
  inactive: care({ trigger: { type: 'inactive', after: 'P3M' } }),
  before: reminder({ type: 'appointment', before: 'P2D' }),
  hours: reminder({ type: 'appointment', before: 'PT2H' }),
  booked: reminder({ type: 'appointment', on: 'booked', after: 'PT1H' }),
  noshow: reminder({ type: 'appointment', on: 'noshow', after: 'PT1H' }),
  cancelled: reminder({ type: 'appointment', on: 'cancelled', after: 'PT1H' }),
  birthday: care({ trigger: { type: 'birthday' }, ...alsoBooked }),
  eve: care({
    trigger: { type: 'birthday', offset: '-P3D' },
    sendAt: '11:00',
    catchUp: 'P2D',
    ...alsoBooked,
  }),
  calendar: {
    purpose: 'marketing',
    trigger: { type: 'calendar', date: '04-04' },
    sendAt: '09:00',
    steps: [{ channel: 'inbox', template: 'marketing' }],
    ...alsoBooked,
  },
  welcome: reminder({ type: 'patient' }),
  event: reminder({ type: 'event', event: 'x-ping', after: 'P1D', where: { kind: 'scan' } }),
};
