import t from 'tap';
import { type Client, testApi } from '../support/api.ts';

const phone = '+573012345678';
/** Monday 22:00 in Bogotá. */
const mondayNight = '2026-03-03T03:00:00Z';
const mondayMorning = '2026-03-02T15:00:00Z';
const openingHours = Object.fromEntries(
  ['mon', 'tue', 'wed', 'thu', 'fri'].map((day) => [
    day,
    [
      { start: '09:00', end: '13:00' },
      { start: '14:00', end: '18:00' },
    ],
  ]),
);

type Api = Awaited<ReturnType<typeof testApi>>;

async function openClinic(api: Api, now = mondayMorning, wish: object = {}) {
  const clinic = await api.clinic({ now, ...wish });
  await clinic.patch('/v1/clinic', { openingHours });
  return clinic;
}

const ana = (clinic: Client, id = 'ana', more: object = {}) =>
  clinic.put(`/v1/patients/${id}`, {
    name: { given: 'Ana', family: 'Torres' },
    telecom: [{ system: 'phone', value: phone }],
    ...more,
  });

const asksForCall = (clinic: Client, data: object, id = 'cb-1', occurredAt = mondayMorning) =>
  clinic.post('/v1/events', { id, type: 'callback.requested', occurredAt, data });

async function openTasks(clinic: Client, query = '') {
  const { body } = await clinic.get(`/v1/tasks?state=open${query}`);
  return body.data as Record<string, unknown>[];
}

const acknowledges = (clinic: Client) =>
  clinic.put('/v1/templates/callback-received', {
    purpose: 'transactional',
    bodies: { sms: { es: { text: 'Le llamaremos pronto.' } } },
  });

async function messages(clinic: Client) {
  const { body } = await clinic.get('/v1/messages');
  return body.data as Record<string, unknown>[];
}

t.test('who asks to be called becomes a task at once, and is told so', async (t) => {
  const clinic = await openClinic(await testApi(t));
  await ana(clinic);
  await acknowledges(clinic);
  await asksForCall(clinic, { patientId: 'ana', note: 'about the crown' });
  t.match(await openTasks(clinic), [
    {
      patientId: 'ana',
      asks: 'callback',
      phone: null,
      dueAt: mondayMorning,
      text: 'El paciente pide que le llamen. «about the crown»',
    },
  ]);
  t.match(await messages(clinic), [
    { patientId: 'ana', channel: 'sms', state: 'delivered', text: 'Le llamaremos pronto.' },
  ]);
  await asksForCall(clinic, { patientId: 'ana', note: 'about the crown' });
  t.equal((await openTasks(clinic)).length, 1, 'the same event is one call');
});

t.test(
  'a call asked for at night is due at the next opening, and acknowledged at night',
  async (t) => {
    const clinic = await openClinic(await testApi(t), mondayNight);
    await ana(clinic);
    await acknowledges(clinic);
    await asksForCall(clinic, { patientId: 'ana' }, 'cb-1', mondayNight);
    t.match(await openTasks(clinic), [{ dueAt: '2026-03-03T14:00:00Z' }]);
    t.match(await messages(clinic), [{ sentAt: mondayNight }], 'its send window ends at nine');
  },
);

t.test('where a law has hours, the acknowledgement waits for them', async (t) => {
  const api = await testApi(t);
  const wish = { country: 'US', timeZone: 'America/New_York', language: 'en', currency: 'USD' };
  const clinic = await openClinic(api, mondayNight, wish);
  await ana(clinic, 'ana', { telecom: [{ system: 'phone', value: '+12125550123' }] });
  await clinic.put('/v1/templates/callback-received', {
    purpose: 'transactional',
    bodies: { sms: { en: { text: 'We will call you.' } } },
  });
  await asksForCall(clinic, { patientId: 'ana' }, 'cb-1', mondayNight);
  t.match(await messages(clinic), [{ state: 'held', reason: 'send-window' }]);
});

t.test(
  'a number that one patient has is theirs; one that nobody or several have is a number',
  async (t) => {
    const clinic = await openClinic(await testApi(t));
    await ana(clinic);
    await asksForCall(clinic, { phone: '301 234 5678' });
    t.match(await openTasks(clinic), [{ patientId: 'ana', phone }]);
    await asksForCall(clinic, { phone: '+573017777777' }, 'cb-2');
    await ana(clinic, 'luis');
    await asksForCall(clinic, { phone }, 'cb-3');
    await asksForCall(clinic, { phone: 'the usual one' }, 'cb-4');
    const [, ...others] = await openTasks(clinic);
    t.match(others, [
      { patientId: null, phone: '+573017777777' },
      { patientId: null, phone },
      { patientId: null, phone: 'the usual one' },
    ]);
    t.same(await messages(clinic), [], 'there is no template for it');
  },
);

t.test('who was erased in the meantime is not called', async (t) => {
  const clinic = await openClinic(await testApi(t));
  await ana(clinic);
  await clinic.post('/v1/events', {
    id: 'e1',
    type: 'patient.erased',
    occurredAt: mondayMorning,
    data: { id: 'ana' },
  });
  await asksForCall(clinic, { patientId: 'ana' });
  t.same(await openTasks(clinic), []);
});

t.test('a task of a rule that leaves at night is due at the next opening', async (t) => {
  const clinic = await openClinic(await testApi(t), mondayNight);
  await ana(clinic);
  await clinic.post('/v1/messages', {
    patientId: 'ana',
    channel: 'task',
    purpose: 'transactional',
    text: 'Ask about the pain',
  });
  t.match(await openTasks(clinic), [{ text: 'Ask about the pain', dueAt: '2026-03-03T14:00:00Z' }]);
});

t.test(
  'a task that is made over lunch is due after it, and on Friday evening on Monday',
  async (t) => {
    const clinic = await openClinic(await testApi(t), '2026-03-06T18:30:00Z');
    await asksForCall(clinic, { phone: '+573017777777' }, 'cb-1', '2026-03-06T18:30:00Z');
    await clinic.post('/v1/test/clock', { now: '2026-03-06T23:00:00Z' });
    await asksForCall(clinic, { phone: '+573018888888' }, 'cb-2', '2026-03-06T23:00:00Z');
    t.match(await openTasks(clinic), [
      { dueAt: '2026-03-06T19:00:00Z' },
      { dueAt: '2026-03-09T14:00:00Z' },
    ]);
  },
);

t.test('a task is given to somebody, who finds it by their name', async (t) => {
  const clinic = await openClinic(await testApi(t));
  await asksForCall(clinic, { phone: '+573017777777' });
  await asksForCall(clinic, { phone: '+573018888888' }, 'cb-2');
  const [task] = await openTasks(clinic);
  const given = await clinic.patch(`/v1/tasks/${task?.id}`, { assignee: 'vera' });
  t.match(given.body, { assignee: 'vera', state: 'open', outcome: null });
  t.match(await openTasks(clinic, '&assignee=vera'), [{ id: task?.id }]);
  t.equal((await openTasks(clinic, '&assignee=vera')).length, 1);
  const taken = await clinic.patch(`/v1/tasks/${task?.id}`, { assignee: null });
  t.match(taken.body, { assignee: null });
  const done = await clinic.patch(`/v1/tasks/${task?.id}`, {
    assignee: 'oleg',
    outcome: 'refused',
    lossReason: 'moved',
  });
  t.match(done.body, { assignee: 'oleg', state: 'done', lossReason: 'moved' });
  t.equal((await clinic.patch(`/v1/tasks/${task?.id}`, {})).status, 400);
  t.equal((await clinic.patch(`/v1/tasks/${task?.id}`, { note: 'x' })).status, 400);
});
