import t, { type Test } from 'tap';
import { type Client, testApi } from '../support/api.ts';

/** What a patient, or staff, answers to a ladder's first step, and what becomes of the rest. */

t.setTimeout(180_000);

const ladder = {
  name: 'Recall',
  purpose: 'care',
  trigger: { type: 'visit', after: 'P30D' },
  sendAt: '10:00',
  stopOn: ['booked', 'visited', 'replied', 'clicked', 'paid', 'opted-out'],
  steps: [
    { channel: 'sms', template: 'recall' },
    { channel: 'email', template: 'recall', after: 'P1D' },
    { channel: 'sms', template: 'recall', after: 'P5D' },
  ],
};

interface Seen {
  id: string;
  step: number;
  channel: string;
  state: string;
  reason: string | null;
  sentAt: string | null;
}

async function clinicWith(t: Test, rule: object) {
  const api = await testApi(t);
  const owner = await api.clinic({ now: '2026-01-01T12:00:00Z', country: 'MX', timeZone: 'UTC' });
  const made = await owner.post('/v1/rules', rule);
  t.equal(made.status, 201, made.text);
  const ruleId = String(made.body.id);
  await owner.post(`/v1/rules/${ruleId}/activate`);
  await owner.put('/v1/patients/ana', {
    name: { given: 'Ana' },
    telecom: [
      { system: 'phone', value: '+525512345671' },
      { system: 'email', value: 'ana@example.com' },
    ],
    consent: { care: { sms: 'granted', email: 'granted', call: 'granted' } },
  });
  const visit = { patientId: 'ana', status: 'finished', start: '2026-01-01T10:00:00Z' };
  await owner.put('/v1/visits/v1', visit);
  const at = (now: string) => owner.post('/v1/test/clock', { now: `2026-${now}Z` });
  const messages = async () => {
    const { body } = await owner.get('/v1/messages?limit=200');
    return (body.data as Seen[]).toSorted((one, other) => one.step - other.step);
  };
  const standing = async () =>
    (await messages())
      .filter(({ reason }) => reason !== 'channel-changed')
      .map(({ channel, state, reason, sentAt }) =>
        [channel, state, reason ?? sentAt?.slice(5, 13)].join(' '),
      );
  return { owner, ruleId, at, messages, standing };
}

type Answer = (context: { owner: Client; message: Seen }) => Promise<unknown>;

const answers: Record<string, Answer> = {
  booked: ({ owner }) =>
    owner.put('/v1/appointments/a1', {
      patientId: 'ana',
      status: 'booked',
      start: '2026-02-20T10:00:00Z',
      createdAt: '2026-01-31T11:00:00Z',
    }),
  visited: ({ owner }) =>
    owner.put('/v1/visits/v2', {
      patientId: 'ana',
      status: 'finished',
      start: '2026-01-31T11:00:00Z',
    }),
  replied: ({ owner, message }) =>
    owner.post('/v1/test/replies', { messageId: message.id, text: '¿Qué tal el lunes?' }),
  clicked: ({ owner, message }) =>
    owner.post('/v1/test/receipts', { messageId: message.id, status: 'clicked' }),
  paid: ({ owner }) =>
    owner.post('/v1/events', {
      id: 'p1',
      type: 'payment.recorded',
      occurredAt: '2026-01-31T11:00:00Z',
      data: { id: 'p1', patientId: 'ana', amount: '10.00', kind: 'deposit' },
    }),
  'opted-out': ({ owner }) => owner.post('/v1/opt-outs', { patientId: 'ana' }),
};

for (const [reason, answer] of Object.entries(answers)) {
  t.test(`who has ${reason} hears no more of it, though the next step waits already`, async (t) => {
    const { owner, at, messages, standing } = await clinicWith(t, ladder);
    await at('01-31T11:00:00');
    t.same(await standing(), ['sms delivered 01-31T10', 'email scheduled ']);
    const [message] = await messages();
    if (message === undefined) throw new Error('Nothing was sent.');
    await answer({ owner, message });
    await at('02-15T12:00:00');
    const [left, waited, ...more] = await standing();
    t.match(left, /^sms (delivered|read) 01-31T10$/);
    t.match(waited, new RegExp(`^email (cancelled|suppressed) ${reason}$`));
    t.same(more, []);
  });
}

t.test('who confirms is reminded no more', async (t) => {
  const { owner, at, messages } = await clinicWith(t, {
    name: 'Reminder',
    purpose: 'transactional',
    trigger: { type: 'appointment', before: 'P3D' },
    stopOn: ['confirmed', 'opted-out'],
    steps: [
      { channel: 'sms', template: 'reminder' },
      { channel: 'sms', template: 'reminder', after: 'P1D' },
    ],
  });
  const booked = { patientId: 'ana', status: 'booked', start: '2026-01-10T15:00:00Z' };
  await owner.put('/v1/appointments/a1', booked);
  await at('01-07T16:00:00');
  t.match(await messages(), [{ state: 'delivered' }, { state: 'scheduled' }]);
  await owner.put('/v1/appointments/a1', { ...booked, confirmation: 'accepted' });
  await at('01-11T12:00:00');
  t.match(await messages(), [{ state: 'delivered' }, { state: 'cancelled', reason: 'confirmed' }]);
});

const withCall = {
  ...ladder,
  stopOn: [...ladder.stopOn, 'task-outcome'],
  steps: [
    { channel: 'task', template: 'recall' },
    { channel: 'sms', template: 'recall', after: 'P5D' },
    { channel: 'task', template: 'recall', after: 'P2D' },
    { channel: 'task', template: 'recall', after: 'P3D' },
  ],
};

async function settle(owner: Client, outcome: string): Promise<void> {
  const { body } = await owner.get('/v1/tasks?state=open');
  const [task] = body.data as { id: string }[];
  await owner.patch(`/v1/tasks/${task?.id}`, { outcome });
}

t.test(
  'a call that reached nobody lets the message go at once, and a call its distance',
  async (t) => {
    const { owner, at, standing } = await clinicWith(t, withCall);
    await at('01-31T12:00:00');
    t.same(await standing(), ['task delivered 01-31T10']);
    await settle(owner, 'no-answer');
    await at('01-31T13:00:00');
    t.same((await standing()).slice(0, 2), ['task delivered 01-31T10', 'sms delivered 01-31T12']);
    await at('02-02T12:00:00');
    t.same((await standing()).at(2), 'task delivered 02-02T10');
    await settle(owner, 'no-answer');
    await at('02-04T12:00:00');
    t.notMatch(
      (await standing()).at(3) ?? '',
      /delivered/,
      'staff do not call again in the same minute',
    );
    await at('02-06T12:00:00');
    t.same((await standing()).at(3), 'task delivered 02-05T10');
  },
);

t.test('a call that reached nobody also brings forward what waits already', async (t) => {
  const [call, text] = withCall.steps;
  const { owner, at, standing } = await clinicWith(t, {
    ...withCall,
    steps: [call, { ...text, after: 'P2D' }],
  });
  await at('01-31T20:00:00');
  t.same(await standing(), ['task delivered 01-31T10', 'sms scheduled ']);
  await settle(owner, 'wrong-number');
  await at('02-01T12:00:00');
  t.same(await standing(), ['task delivered 01-31T10', 'sms delivered 01-31T20']);
});

t.test('a call that reached somebody ends the ladder', async (t) => {
  for (const outcome of ['reached', 'refused', 'booked']) {
    const { owner, at, standing } = await clinicWith(t, withCall);
    await at('01-31T12:00:00');
    await settle(owner, outcome);
    await at('02-15T12:00:00');
    t.same(await standing(), ['task delivered 01-31T10'], outcome);
  }
});

t.test(
  'a step that waits goes by the channel and at the time that its rule names by now',
  async (t) => {
    const { owner, ruleId, at, standing } = await clinicWith(t, ladder);
    await at('01-31T11:00:00');
    t.same(await standing(), ['sms delivered 01-31T10', 'email scheduled ']);
    const [first, second, third] = ladder.steps;
    const change = (steps: unknown[]) => owner.patch(`/v1/rules/${ruleId}`, { steps });
    for (const channel of ['sms', 'email', 'sms']) {
      t.equal((await change([first, { ...second, channel, after: 'P3D' }, third])).status, 200);
      t.same(await standing(), ['sms delivered 01-31T10', `${channel} scheduled `]);
    }
    await at('02-02T12:00:00');
    t.same((await standing()).at(1), 'sms scheduled ');
    await at('02-03T12:00:00');
    t.same((await standing()).slice(0, 2), ['sms delivered 01-31T10', 'sms delivered 02-03T10']);
  },
);

t.test('a step that its rule has no more does not leave', async (t) => {
  const { owner, ruleId, at, standing } = await clinicWith(t, ladder);
  await at('01-31T11:00:00');
  await owner.patch(`/v1/rules/${ruleId}`, { steps: ladder.steps.slice(0, 1) });
  await at('02-15T12:00:00');
  t.same(await standing(), ['sms delivered 01-31T10', 'email cancelled rule-changed']);
});

t.test('a first message follows its rule to another channel and back', async (t) => {
  const { owner, ruleId, at, standing } = await clinicWith(t, ladder);
  await at('01-30T12:00:00');
  const [, ...rest] = ladder.steps;
  for (const channels of [['email'], ['sms'], ['sms', 'email'], ['email']]) {
    const steps = [{ channels, template: 'recall' }, ...rest];
    t.equal((await owner.patch(`/v1/rules/${ruleId}`, { steps })).status, 200);
    t.same(
      (await standing()).toSorted(),
      channels.toSorted().map((channel) => `${channel} scheduled `),
    );
  }
  await at('01-31T12:00:00');
  t.same((await standing()).at(0), 'email delivered 01-31T10');
});
