import t from 'tap';
import { AppError } from '../../src/errors.ts';
import { checkTemplates, parseRule, patchRule, toInput } from '../../src/rules/check-rule.ts';
import type { RuleIn } from '../../src/rules/rule.ts';
import { recall } from '../support/factory.ts';

/** `pointer code` of each fault. */
function faultsOf(wish: Record<string, unknown>): string[] {
  try {
    parseRule({ ...recall, ...wish });
    return [];
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return error.faults.map(({ pointer, code }) => `${pointer} ${code}`);
  }
}

t.test("the contract's own example is a rule", async (t) => {
  const example = {
    name: 'Hygiene recall',
    purpose: 'care',
    priority: 50,
    trigger: {
      type: 'visit',
      after: 'P180D',
      services: ['hygiene'],
      practitioners: [],
      facts: [],
      scope: 'any',
    },
    audience: {
      all: [
        { age: { gte: 35 } },
        { gender: ['female', 'male'] },
        { any: [{ tags: ['vip'] }, { payer: ['dms'] }] },
        { not: { tags: ['debtor'] } },
      ],
    },
    sendAt: '10:00',
    steps: [
      { channel: 'preferred', template: 'recall' },
      { channel: 'sms', template: 'recall-2', after: 'P7D' },
      { channel: 'task', template: 'recall-call', after: 'P7D' },
    ],
    stopOn: ['booked', 'visited', 'replied', 'opted-out'],
    unlessBooked: true,
    holdout: 0.1,
    attributionWindow: 'P90D',
    catchUp: 'P14D',
    sensitive: false,
    limits: { perDay: 200, budget: { amount: '5000.00', per: 'P30D' } },
    onAmbiguous: 'at-most-once',
  };
  t.same(faultsOf(example), []);
});

t.test('a stop that can never happen is refused', async (t) => {
  t.same(faultsOf({ stopOn: ['visited', 'confirmed'] }), ['/stopOn/1 contradiction']);
  t.same(faultsOf({ stopOn: ['task-outcome'] }), ['/stopOn/0 contradiction']);
  const call = { channel: 'task', template: 'care', after: 'P3D' };
  const steps = [{ channel: 'sms', template: 'care' }, call];
  t.same(faultsOf({ stopOn: ['task-outcome'], steps }), []);
  const trigger = { type: 'appointment', before: 'P1D' };
  t.same(faultsOf({ purpose: 'transactional', trigger, stopOn: ['confirmed'] }), []);
});

t.test('a budget that allows nothing, or is for no days, is refused', async (t) => {
  const budget = (amount: string, per: string) => faultsOf({ limits: { budget: { amount, per } } });
  t.same(budget('0.00', 'P30D'), ['/limits/budget/amount contradiction']);
  t.same(budget('1.00', 'P0D'), ['/limits/budget/per contradiction']);
  t.same(budget('1.00', 'PT6H'), ['/limits/budget/per calendar-period']);
  t.same(budget('1.00', 'P1M'), []);
});

t.test('what is left out takes the default of its purpose', async (t) => {
  const care = parseRule(recall);
  t.match(care, {
    priority: 50,
    sendAt: '10:00',
    unlessBooked: true,
    holdout: 0,
    attributionWindow: 'P90D',
  });
  t.same(care.stopOn, ['booked', 'visited', 'replied', 'opted-out']);
  const reminder = parseRule({
    ...recall,
    purpose: 'transactional',
    trigger: { type: 'appointment', before: 'P2D' },
  });
  t.match(reminder, { sendAt: null, unlessBooked: false, stopOn: ['opted-out'] });
  t.equal(parseRule({ ...recall, trigger: { type: 'visit', after: 'PT3H' } }).sendAt, null);
  t.equal(
    parseRule({ ...recall, purpose: 'transactional', trigger: { type: 'birthday' } }).sendAt,
    '10:00',
  );
});

t.test('a rule that contradicts itself is refused at the field', async (t) => {
  const refused: [Record<string, unknown>, string][] = [
    [{ trigger: { type: 'visit', after: 'P10000D' } }, '/trigger/after period-too-long'],
    [{ trigger: { type: 'visit', after: 'P3651D' } }, '/trigger/after period-too-long'],
    [{ trigger: { type: 'visit', after: '-P1D' } }, '/trigger/after negative-period'],
    [{ trigger: { type: 'visit', after: 'P1DT2H' } }, '/trigger/after mixed-period'],
    [{ trigger: { type: 'visit', after: 'six months' } }, '/trigger/after not-a-period'],
    [{ trigger: { type: 'visit' } }, '/trigger/after missing'],
    [{ trigger: { type: 'visit', after: 'P1D', offset: '-P3D' } }, '/trigger/offset foreign-field'],
    [{ trigger: { type: 'birthday', offset: 'PT3H' } }, '/trigger/offset calendar-period'],
    [{ trigger: { type: 'appointment' } }, '/trigger contradiction'],
    [{ trigger: { type: 'appointment', before: 'P1D', on: 'noshow' } }, '/trigger contradiction'],
    [
      { trigger: { type: 'appointment', before: 'P1D' }, unlessBooked: true },
      '/unlessBooked contradiction',
    ],
    [
      { trigger: { type: 'appointment', before: 'P1D' }, stopOn: ['booked'] },
      '/stopOn/0 contradiction',
    ],
    [{ trigger: { type: 'inactive' } }, '/trigger/after missing'],
    [{ trigger: { type: 'inactive', after: 'PT9H' } }, '/trigger/after calendar-period'],
    [
      { trigger: { type: 'inactive', after: 'P12M' }, unlessBooked: false },
      '/unlessBooked contradiction',
    ],
    [{ trigger: { type: 'calendar' } }, '/trigger/date missing'],
    [{ trigger: { type: 'calendar', date: '02-30' } }, '/trigger/date not-a-day'],
    [{ trigger: { type: 'calendar', date: '2027-02-29' } }, '/trigger/date not-a-day'],
    [{ trigger: { type: 'calendar', date: '8 March' } }, '/trigger/date wrong-form'],
    [{ trigger: { type: 'event' } }, '/trigger/event missing'],
    [{ trigger: { type: 'event', event: 'sunrise' } }, '/trigger/event unknown-event'],
    [{ trigger: { type: 'event', event: 'visit.upserted' } }, '/trigger/event object-event'],
    [
      { trigger: { type: 'event', event: 'x-a', where: { minutes: { gt: 'many' } } } },
      '/trigger/where/minutes type',
    ],
    [{ trigger: { type: 'treatment', after: 'PT1H' } }, '/trigger/after calendar-period'],
    [{ trigger: { type: 'data-check' } }, '/trigger/field missing'],
    [{ trigger: { type: 'data-check', field: 'shoeSize' } }, '/trigger/field unknown-field'],
    [{ trigger: { type: 'sunrise' } }, '/trigger/type not-allowed'],
    [{ audience: { hasFutureAppointment: true } }, '/unlessBooked contradiction'],
    [{ audience: { age: { gte: 40, lte: 30 } } }, '/audience/age contradiction'],
    [{ audience: { all: [{ shoeSize: 42 }] } }, '/audience/all/0/shoeSize unknown-predicate'],
    [
      { audience: { not: { balance: { gte: '2', lte: '1' } } } },
      '/audience/not/balance contradiction',
    ],
    [
      {
        audience: { all: [{ age: { gte: 50 } }, { any: [{ tags: ['a'] }] }, { age: { lte: 40 } }] },
      },
      '/audience/all/2/age contradiction',
    ],
    [
      { audience: { gender: ['male'], not: { gender: ['male'] } } },
      '/audience/not/gender contradiction',
    ],
    [
      { audience: { any: [{ all: [{ gender: ['male'] }, { gender: ['female'] }] }] } },
      '/audience/any/0/all/1/gender contradiction',
    ],
    [{ trigger: { type: 'event', event: 'message.sent' } }, '/trigger/event unknown-event'],
    [{ trigger: { type: 'event', event: 'contact.recorded' } }, '/trigger/event loop'],
    [{ audience: { segment: 'No such name' } }, '/audience/segment wrong-form'],
    [{ audience: { any: [] } }, '/audience/any empty'],
    [{ audience: {} }, '/audience empty'],
    [{ audience: { gender: ['lady'] } }, '/audience/gender/0 not-allowed'],
    [{ steps: [] }, '/steps too-few'],
    [{ steps: [{ template: 'care' }] }, '/steps/0/channel contradiction'],
    [
      { steps: [{ channel: 'sms', template: 'care', after: 'P1D' }] },
      '/steps/0/after contradiction',
    ],
    [{ steps: [recall.steps[0], recall.steps[0]] }, '/steps/1 duplicate'],
    [{ steps: [{ channel: 'pigeon', template: 'care' }] }, '/steps/0/channel not-allowed'],
    [{ sendAt: '25:00' }, '/sendAt wrong-form'],
    [{ catchUp: 'soon' }, '/catchUp not-a-period'],
    [{ colour: 'red' }, '/colour unknown-field'],
    [{ name: 'a\0b' }, '/name unstorable-text'],
  ];
  for (const [wish, expected] of refused) {
    const faults = faultsOf(wish);
    t.ok(faults.includes(expected), `${expected} in ${JSON.stringify(faults)}`);
  }
});

t.test('an audience is at most eight deep', async (t) => {
  const deep = (depth: number): Record<string, unknown> =>
    depth === 1 ? { tags: ['vip'] } : { not: deep(depth - 1) };
  t.same(faultsOf({ audience: deep(8) }), []);
  t.match(faultsOf({ audience: deep(9) }), [/too-deep/]);
});

t.test('a template that is unknown, of another purpose or without a body is refused', async (t) => {
  const now = Temporal.Instant.from('2026-03-02T06:00:00Z');
  const template = {
    name: 'care',
    purpose: 'care' as const,
    bodies: { email: { en: { text: 'Hi' } } },
    updatedAt: now,
  };
  const check = (steps: RuleIn['steps'], found = template) =>
    checkTemplates(parseRule({ ...recall, steps }), new Map([[found.name, found]])).map(
      ({ code }) => code,
    );
  t.same(check([{ channel: 'email', template: 'care' }]), []);
  t.same(check([{ channel: 'task', template: 'care' }]), [], 'a call takes any text');
  t.same(check([{ channel: 'preferred', template: 'care' }]), []);
  t.same(check([{ channel: 'sms', template: 'care' }]), ['no-body']);
  t.same(check([{ channel: 'sms', template: 'gone' }]), ['unknown-template']);
  t.same(
    checkTemplates(
      parseRule({ ...recall, purpose: 'marketing' }),
      new Map([['care', template]]),
    ).map(({ code }) => code),
    ['purpose'],
  );
});

t.test('a patch keeps what it does not name, and null takes the default again', async (t) => {
  const rule = parseRule({ ...recall, priority: 80, audience: { tags: ['vip'] } });
  t.match(patchRule(rule, { name: 'Other' }), {
    name: 'Other',
    priority: 80,
    audience: { tags: ['vip'] },
  });
  t.match(patchRule(rule, { priority: null, audience: null }), { priority: 50, audience: null });
  t.same(parseRule(toInput(rule)), rule);
});
