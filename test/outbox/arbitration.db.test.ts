import t, { type Test } from 'tap';
import { testApi } from '../support/api.ts';

/** Two rules that fall due for one patient on one day. */
const rule = (name: string, event: string, priority: number, more: object = {}) => ({
  name,
  purpose: 'care',
  priority,
  unlessBooked: false,
  catchUp: 'P5D',
  trigger: { type: 'event', event, after: 'PT24H' },
  steps: [{ channel: 'sms', template: 'recall' }],
  ...more,
});

async function clinicWith(t: Test, rules: readonly object[]) {
  const api = await testApi(t);
  const owner = await api.clinic({ now: '2026-01-05T08:00:00Z', country: 'MX', timeZone: 'UTC' });
  const ids: string[] = [];
  for (const each of rules) {
    const made = await owner.post('/v1/rules', each);
    t.equal(made.status, 201, made.text);
    await owner.post(`/v1/rules/${made.body.id}/activate`);
    ids.push(String(made.body.id));
  }
  await owner.put('/v1/channels/email', { provider: 'sendgrid', credentials: { apiKey: 'k' } });
  const person = (phone: string, email: string) =>
    ({
      name: { given: 'Ana' },
      telecom: [
        { system: 'phone', value: phone },
        { system: 'email', value: email },
      ],
      consent: {
        care: { sms: 'granted', email: 'granted' },
        marketing: { sms: 'granted', email: 'granted' },
      },
    }) as const;
  await owner.put('/v1/patients/ana', person('+525512345671', 'ana@example.com'));
  const at = (now: string) => owner.post('/v1/test/clock', { now: `2026-01-${now}Z` });
  const happen = (type: string, time: string, patientId = 'ana') =>
    owner.post('/v1/events', {
      id: `${type}-${patientId}-${time}`,
      type,
      occurredAt: `2026-01-${time}Z`,
      data: { patientId },
    });
  const standing = async (id: string | undefined) => {
    const { body } = await owner.get(`/v1/messages?ruleId=${id}`);
    const rows = body.data as { state: string; reason: string | null; sentAt: string | null }[];
    return rows.map(({ state, reason, sentAt }) => `${state} ${reason ?? sentAt?.slice(8, 16)}`);
  };
  await at('05T09:00:00');
  return { owner, ids, person, at, happen, standing };
}

t.test('the more important message of a day goes, although the other is due first', async (t) => {
  const { ids, at, happen, standing } = await clinicWith(t, [
    rule('Low', 'x-low', 50),
    rule('High', 'x-high', 90),
  ]);
  await at('05T10:00:00');
  await happen('x-low', '05T10:00:00');
  await at('05T15:00:00');
  await happen('x-high', '05T15:00:00');
  await at('06T12:00:00');
  t.same(await standing(ids[0]), ['held lower-priority']);
  await at('06T20:00:00');
  t.same(await standing(ids[1]), ['delivered 06T15:00']);
  t.same(await standing(ids[0]), ['held lower-priority'], 'its turn is tomorrow');
  await at('07T20:00:00');
  t.same(await standing(ids[0]), ['delivered 07T09:00']);
});

t.test('messages compete across channels, and tasks and transactional ones do not', async (t) => {
  const { ids, at, happen, standing } = await clinicWith(
    t,
    [
      rule('Low', 'x-one', 50, { steps: [{ channel: 'email', template: 'recall' }] }),
      rule('High', 'x-one', 90),
      rule('Task', 'x-one', 10, { steps: [{ channel: 'task', template: 'recall' }] }),
      rule('Note', 'x-one', 10, {
        purpose: 'transactional',
        steps: [{ channel: 'sms', template: 'reminder-less' }],
      }),
    ].slice(0, 3),
  );
  await at('05T10:00:00');
  await happen('x-one', '05T10:00:00');
  await at('06T20:00:00');
  t.same(await standing(ids[0]), ['held lower-priority']);
  t.match(await standing(ids[1]), ['delivered 06T10:00']);
  t.match(await standing(ids[2]), ['delivered 06T10:00']);
});

t.test(
  'when the more important one does not go after all, the other goes the same day',
  async (t) => {
    const { owner, ids, at, happen, standing } = await clinicWith(t, [
      rule('Low', 'x-low', 50, { stopOn: ['opted-out'] }),
      rule('High', 'x-high', 90, { unlessBooked: true }),
    ]);
    await at('05T10:00:00');
    await happen('x-low', '05T10:00:00');
    await at('05T15:00:00');
    await happen('x-high', '05T15:00:00');
    await at('06T12:00:00');
    t.same(await standing(ids[0]), ['held lower-priority']);
    await owner.put('/v1/appointments/a1', {
      patientId: 'ana',
      status: 'booked',
      start: '2026-01-20T10:00:00Z',
      createdAt: '2026-01-06T12:00:00Z',
    });
    await at('06T20:00:00');
    t.same(
      (await standing(ids[0])).map((each) => each.slice(0, 12)),
      ['delivered 06'],
    );
  },
);

t.test('two patients who share a phone share its day', async (t) => {
  const { owner, ids, person, at, happen, standing } = await clinicWith(t, [
    rule('Low', 'x-low', 50),
    rule('High', 'x-high', 90),
  ]);
  await owner.put('/v1/patients/eva', person('+525512345671', 'eva@example.com'));
  await at('05T10:00:00');
  await happen('x-low', '05T10:00:00', 'ana');
  await at('05T15:00:00');
  await happen('x-high', '05T15:00:00', 'eva');
  await at('06T20:00:00');
  t.same(await standing(ids[0]), ['held lower-priority']);
  t.same(await standing(ids[1]), ['delivered 06T15:00']);
});

t.test('what loses until it is too late ends with that reason', async (t) => {
  const { ids, at, happen, standing } = await clinicWith(t, [
    rule('Low', 'x-low', 50, { catchUp: 'PT8H' }),
    rule('High', 'x-high', 90),
  ]);
  await at('05T10:00:00');
  await happen('x-low', '05T10:00:00');
  await at('05T15:00:00');
  await happen('x-high', '05T15:00:00');
  await at('07T20:00:00');
  t.same(await standing(ids[0]), ['suppressed lower-priority']);
});

t.test('a step over two channels is one contact, and both go the same day', async (t) => {
  const { ids, at, happen, standing } = await clinicWith(t, [
    rule('Both', 'x-both', 50, { steps: [{ channels: ['sms', 'email'], template: 'recall' }] }),
    rule('Low', 'x-both', 10),
  ]);
  await at('05T10:00:00');
  await happen('x-both', '05T10:00:00');
  await at('06T20:00:00');
  t.same(await standing(ids[0]), ['delivered 06T10:00', 'delivered 06T10:00']);
  t.same(await standing(ids[1]), ['held lower-priority']);
});
