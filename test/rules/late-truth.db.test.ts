import t, { type Test } from 'tap';
import { testApi } from '../support/api.ts';

async function clinic(t: Test, rules: readonly object[]) {
  const api = await testApi(t);
  const owner = await api.clinic({ now: '2026-01-05T12:00:00Z', country: 'MX', timeZone: 'UTC' });
  const ids: string[] = [];
  for (const [name, purpose] of [
    ['note', 'transactional'],
    ['other', 'care'],
  ] as const) {
    const bodies = { sms: { es: { text: `${name} {{patient.name.given}}` } } };
    await owner.put(`/v1/templates/${name}`, { purpose, bodies });
  }
  for (const rule of rules) {
    const made = await owner.post('/v1/rules', rule);
    t.equal(made.status, 201, made.text);
    ids.push(String(made.body.id));
    await owner.post(`/v1/rules/${made.body.id}/activate`);
  }
  await owner.put('/v1/patients/ana', {
    name: { given: 'Ana' },
    telecom: [{ system: 'phone', value: '+525512345671' }],
    consent: { care: { sms: 'granted' } },
  });
  const at = (now: string) => owner.post('/v1/test/clock', { now: `2026-${now}Z` });
  const messages = async () => {
    const { body } = await owner.get('/v1/messages?limit=200');
    const rows = body.data as { state: string; reason: string | null; scheduledAt: string }[];
    return rows
      .toSorted((one, other) => (one.scheduledAt < other.scheduledAt ? -1 : 1))
      .map(({ state, reason }) => [state, reason].filter((each) => each !== null).join(' '));
  };
  let told = 0;
  /** As the host noted it at that instant. */
  const tell = (type: string, occurredAt: string, data: object) => {
    told += 1;
    return owner.post('/v1/events', {
      id: `e${told}`,
      type,
      occurredAt: `2026-${occurredAt}Z`,
      data,
    });
  };
  const book = (id: string, occurredAt: string, more: object = {}) =>
    tell('appointment.upserted', occurredAt, {
      id,
      patientId: 'ana',
      status: 'booked',
      start: '2026-01-20T10:00:00Z',
      createdAt: `2026-${occurredAt}Z`,
      ...more,
    });
  return { owner, ids, at, messages, tell, book };
}

const onCancelled = {
  name: 'Sorry to lose you',
  purpose: 'transactional',
  trigger: { type: 'appointment', on: 'cancelled', after: 'PT1M' },
  steps: [{ channel: 'sms', template: 'note' }],
};

t.test(
  'a cancellation is answered when ten minutes have passed without a new booking',
  async (t) => {
    const { at, messages, book } = await clinic(t, [onCancelled]);
    await book('a1', '01-05T12:00:00');
    await at('01-06T12:00:00');
    await book('a1', '01-06T12:00:00', { status: 'cancelled' });
    await at('01-06T12:09:59');
    t.same(await messages(), ['scheduled']);
    await at('01-06T12:11:00');
    t.same(await messages(), ['delivered']);
  },
);

t.test(
  'a cancellation with a new booking within ten minutes is a move, in either order',
  async (t) => {
    for (const [first, second] of [
      ['12:00:00', '12:09:00'],
      ['12:09:00', '12:00:00'],
    ] as const) {
      const { at, messages, book } = await clinic(t, [onCancelled]);
      await book('a1', '01-05T12:00:00');
      await at('01-06T12:00:00');
      const cancel = () =>
        book('a1', `01-06T${first}`, { status: 'cancelled', createdAt: '2026-01-05T12:00:00Z' });
      const again = () => book('a2', `01-06T${second}`, { start: '2026-01-22T10:00:00Z' });
      const [early, late] = first < second ? [cancel, again] : [again, cancel];
      await early();
      await at('01-06T12:09:00');
      await late();
      await at('01-08T12:00:00');
      t.same(
        (await messages()).filter((state) => state !== 'cancelled appointment-changed'),
        [],
      );
    }
  },
);

t.test(
  'a booking an hour later is no move, unless the host says that it took the other’s place',
  async (t) => {
    for (const [rescheduledFrom, expected] of [
      [undefined, ['delivered']],
      ['a1', []],
    ] as const) {
      const { at, messages, book } = await clinic(t, [
        { ...onCancelled, trigger: { ...onCancelled.trigger, after: 'PT3H' } },
      ]);
      await book('a1', '01-05T12:00:00');
      await at('01-06T12:00:00');
      await book('a1', '01-06T12:00:00', {
        status: 'cancelled',
        createdAt: '2026-01-05T12:00:00Z',
      });
      await at('01-06T13:00:00');
      await book('a2', '01-06T13:00:00', { ...(rescheduledFrom && { rescheduledFrom }) });
      await at('01-08T12:00:00');
      t.same(
        (await messages()).filter((state) => state !== 'cancelled appointment-changed'),
        expected,
      );
    }
  },
);

const reminder = {
  name: 'Reminder',
  purpose: 'transactional',
  trigger: { type: 'appointment', before: 'PT24H' },
  steps: [{ channel: 'sms', template: 'note' }],
};

t.test('a visit moved from A to B and back to A tells the patient again', async (t) => {
  const { at, messages, book } = await clinic(t, [reminder]);
  const [a, b] = [{ start: '2026-01-08T15:00:00Z' }, { start: '2026-01-12T15:00:00Z' }];
  await book('a1', '01-05T12:00:00', a);
  await at('01-07T15:10:00');
  t.same(await messages(), ['delivered']);
  await book('a1', '01-07T15:20:00', b);
  await at('01-07T16:00:00');
  await book('a1', '01-07T16:00:00', a);
  await at('01-12T16:00:00');
  const told = await messages();
  t.equal(told.filter((state) => state === 'delivered').length, 2, told.join());
});

const recall = {
  name: 'Recall',
  purpose: 'care',
  trigger: { type: 'visit', after: 'P10D' },
  sendAt: '10:00',
  steps: [{ channel: 'sms', template: 'recall' }],
};
const visit = (id: string, day: string, status = 'finished') => ({
  id,
  patientId: 'ana',
  status,
  start: `2026-${day}T10:00:00Z`,
});

t.test(
  'what turns out later withdraws the recall, and what turns out to be wrong brings it back',
  async (t) => {
    const { owner, at, messages, tell } = await clinic(t, [recall]);
    await tell('visit.upserted', '01-05T12:00:00', visit('v1', '01-05'));
    await at('01-14T12:00:00');
    t.same(await messages(), ['scheduled']);
    await tell('visit.upserted', '01-14T12:00:00', visit('v2', '01-13'));
    t.same(
      (await messages()).filter((state) => state === 'scheduled'),
      [],
    );
    await tell('visit.upserted', '01-14T12:01:00', visit('v2', '01-13', 'entered-in-error'));
    t.same(
      (await messages()).filter((state) => state === 'scheduled'),
      ['scheduled'],
    );
    await owner.put('/v1/patients/ana', {
      name: { given: 'Ana' },
      telecom: [{ system: 'phone', value: '+525512345671' }],
      deceased: true,
    });
    t.same(
      (await messages()).filter((state) => state === 'scheduled'),
      [],
    );
    await owner.put('/v1/patients/ana', {
      name: { given: 'Ana' },
      telecom: [{ system: 'phone', value: '+525512345671' }],
    });
    await at('01-15T12:00:00');
    t.same(
      (await messages()).filter((state) => state === 'delivered'),
      ['delivered'],
    );
  },
);

t.test(
  'who was wrongly dead while an appointment was moved has the time to catch up from its new day',
  async (t) => {
    const { owner, at, messages, tell, book } = await clinic(t, [{ ...recall, catchUp: 'P5D' }]);
    await tell('visit.upserted', '01-05T12:00:00', visit('v1', '01-05'));
    const appointment = { start: '2026-01-18T10:00:00Z', createdAt: '2026-01-14T12:00:00Z' };
    await book('a1', '01-14T12:00:00', appointment);
    await at('01-15T12:00:00');
    t.same(await messages(), ['held future-appointment']);
    const person = {
      name: { given: 'Ana' },
      telecom: [{ system: 'phone', value: '+525512345671' }],
    };
    await owner.put('/v1/patients/ana', { ...person, deceased: true });
    await at('01-17T12:00:00');
    t.same(await messages(), ['suppressed deceased']);
    await book('a1', '01-17T12:00:00', { ...appointment, start: '2026-01-24T10:00:00Z' });
    await at('01-26T12:00:00');
    await owner.put('/v1/patients/ana', person);
    await at('01-27T12:00:00');
    t.same(
      (await messages()).filter((state) => state === 'delivered'),
      ['delivered'],
      'five days from the 18th would be over',
    );
  },
);

t.test(
  'an appointment made when it was too late does not bring back what a visit in error had ended',
  async (t) => {
    const made = await clinic(t, [{ ...recall, catchUp: 'P5D' }]);
    const { at, messages, tell, book, owner } = made;
    await tell('visit.upserted', '01-05T12:00:00', visit('v1', '01-05'));
    await at('01-14T12:00:00');
    await tell('visit.upserted', '01-14T12:00:00', visit('v2', '01-13'));
    t.same(await messages(), ['suppressed visited']);
    await at('01-21T12:00:00');
    await tell('visit.deleted', '01-21T12:00:00', { id: 'v2' });
    await book('a1', '01-21T13:00:00', { start: '2026-01-24T10:00:00Z' });
    const explain = `/v1/rules/${made.ids[0]}/explain?patientId=ana&on=2026-01-15`;
    const { checks } = (await owner.get(explain)).body;
    const failed = (checks as { name: string; passed: boolean }[])
      .filter(({ passed }) => !passed)
      .map(({ name }) => name);
    t.notOk(failed.includes('future-appointment'), `${failed}`);
    await at('01-26T12:00:00');
    t.same(await messages(), ['suppressed visited', 'cancelled visit-changed']);
  },
);

t.test('a visit that is told late is credited to the recall that brought it', async (t) => {
  const { owner, ids, at, tell } = await clinic(t, [recall]);
  await tell('visit.upserted', '01-05T12:00:00', visit('v1', '01-05'));
  await at('01-16T12:00:00');
  const returned = async () => {
    const { body } = await owner.get('/v1/reports/returns');
    const [row] = (body.data as { ruleId: string; returned: number }[]).filter(
      ({ ruleId }) => ruleId === ids[0],
    );
    return row?.returned;
  };
  t.equal(await returned(), 0);
  await at('02-20T12:00:00');
  await tell('visit.upserted', '02-20T12:00:00', visit('v2', '01-18'));
  t.equal(await returned(), 1);
  await tell('visit.upserted', '02-20T12:01:00', visit('v2', '01-18', 'cancelled'));
  t.equal(await returned(), 0);
});

t.test('a waiting message follows what its rule says now', async (t) => {
  const { owner, ids, at, tell } = await clinic(t, [recall]);
  const id = ids[0];
  await tell('visit.upserted', '01-05T12:00:00', visit('v1', '01-05'));
  await at('01-14T12:00:00');
  const changed = await owner.patch(`/v1/rules/${id}`, {
    priority: 70,
    steps: [{ channel: 'sms', template: 'other' }],
    stopOn: ['visited', 'opted-out'],
  });
  t.equal(changed.status, 200, changed.text);
  await at('01-14T13:00:00');
  await at('01-15T12:00:00');
  const { body } = await owner.get('/v1/messages?state=delivered');
  const [message] = body.data as { id: string; text: string }[];
  t.equal(message?.text, 'other Ana');
  t.equal((body.data as unknown[]).length, 1);
  const { body: whole } = await owner.get(`/v1/messages/${message?.id}`);
  t.match(whole, { ruleVersion: 2 });
});

const followUp = {
  name: 'How are you?',
  purpose: 'care',
  trigger: { type: 'visit', after: 'P2D' },
  steps: [
    { channel: 'sms', template: 'visit' },
    { channel: 'sms', template: 'visit', after: 'P1D' },
  ],
};

for (const step of ['first', 'second'] as const) {
  t.test(
    `before the ${step} message a visit turns out to be an error, but its appointment was kept`,
    async (t) => {
      const { owner, at, messages, tell, book } = await clinic(t, []);
      const text = '{{patient.name.given}}, {{visit.date}}';
      await owner.put('/v1/templates/visit', {
        purpose: 'care',
        bodies: { sms: { es: { text } } },
      });
      const made = await owner.post('/v1/rules', followUp);
      await owner.post(`/v1/rules/${made.body.id}/activate`);
      const attended = { start: '2026-01-06T10:00:00Z', createdAt: '2026-01-05T12:00:00Z' };
      await book('a1', '01-05T12:00:00', attended);
      await at('01-06T12:00:00');
      const visit = { id: 'v1', patientId: 'ana', appointmentId: 'a1', start: attended.start };
      const end = '2026-01-06T11:00:00Z';
      await tell('visit.upserted', '01-06T11:00:00', { ...visit, end, status: 'finished' });
      await book('a1', '01-06T11:30:00', { ...attended, status: 'fulfilled' });
      await at(step === 'first' ? '01-07T12:00:00' : '01-08T20:00:00');
      await tell('visit.deleted', step === 'first' ? '01-07T11:00:00' : '01-08T19:00:00', {
        id: 'v1',
      });
      await at('01-09T20:00:00');
      t.same(await messages(), ['delivered', 'delivered']);
    },
  );
}
