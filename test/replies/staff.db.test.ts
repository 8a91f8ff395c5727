import t from 'tap';
import { withClinic } from '../../src/database/with-clinic.ts';
import { serveDesk } from '../../src/replies/serve-desk.ts';
import { type Client, testApi } from '../support/api.ts';

const phone = '+573012345678';
/** Monday 10:00 in Bogotá. */
const monday = '2026-03-02T15:00:00Z';
const openingHours = Object.fromEntries(
  ['mon', 'tue', 'wed', 'thu', 'fri'].map((day) => [day, [{ start: '09:00', end: '18:00' }]]),
);

type Api = Awaited<ReturnType<typeof testApi>>;

async function openClinic(api: Api, now = monday) {
  const clinic = await api.clinic({ now });
  await clinic.patch('/v1/clinic', { openingHours });
  await clinic.put('/v1/patients/ana', {
    name: { given: 'Ana', family: 'Torres' },
    birthDate: '1990-03-04',
    telecom: [{ system: 'phone', value: phone }],
  });
  return clinic;
}

const vera = (clinic: Client, more: object) =>
  clinic.put('/v1/staff/vera', { phone: '+573001112233', notify: [], ...more });

const asksForCall = (clinic: Client, id: string, occurredAt = monday) =>
  clinic.post('/v1/events', {
    ...{ id, type: 'callback.requested', occurredAt },
    data: { patientId: 'ana', note: 'my crown hurts' },
  });

const writes = (clinic: Client, text: string) =>
  clinic.post('/v1/test/replies', { from: phone, text });

const moveTo = (clinic: Client, now: string) => clinic.post('/v1/test/clock', { now });

async function notices(clinic: Client, name = 'vera') {
  const { body } = await clinic.get(`/v1/staff/${name}/notices`);
  return body.data as Record<string, unknown>[];
}

t.test('one of the staff is kept, changed and forgotten', async (t) => {
  const clinic = await openClinic(await testApi(t));
  const made = await vera(clinic, { email: 'Vera@Example.org', notify: ['task'] });
  t.equal(made.status, 201);
  t.match(made.body, {
    ...{ name: 'vera', phone: '+573001112233', email: 'vera@example.org' },
    ...{ notify: ['task'], language: 'es', url: null, digestAt: null },
  });
  t.equal((await vera(clinic, { language: 'ru', notify: ['digest'] })).status, 200);
  t.match((await clinic.get('/v1/staff/vera')).body, {
    ...{ email: null, language: 'ru', digestAt: '2026-03-03T14:00:00Z' },
  });
  t.match((await clinic.get('/v1/staff')).body.data, [{ name: 'vera' }]);
  t.equal((await clinic.delete('/v1/staff/vera')).status, 204);
  t.equal((await clinic.delete('/v1/staff/vera')).status, 404);
  t.equal((await clinic.get('/v1/staff/vera')).status, 404);
  t.equal((await clinic.get('/v1/staff/vera/notices')).status, 404);
  t.match((await vera(clinic, { phone: '12' })).body.errors, [{ pointer: '/phone' }]);
  t.equal((await clinic.put('/v1/staff/vera', { notify: [] })).status, 400);
});

t.test('staff hear of a call that was asked for, without a word of the patient’s', async (t) => {
  const clinic = await openClinic(await testApi(t));
  await vera(clinic, { notify: ['callback'], url: 'https://mis.example.org/desk' });
  await asksForCall(clinic, 'cb-1');
  const told = await notices(clinic);
  t.match(told, [
    {
      ...{ channel: 'sms', topic: 'callback', state: 'sent', sentAt: monday },
      text: 'Clínica Sonrisa: un paciente pide que le llamen. Pendientes: 1. https://mis.example.org/desk',
    },
  ]);
  t.notMatch(JSON.stringify(told), /Ana|Torres|crown|3012345678/);
});

t.test('who asked to hear of tasks hears of calls as tasks, by SMS and e-mail', async (t) => {
  const clinic = await openClinic(await testApi(t));
  await vera(clinic, { email: 'vera@example.org', language: 'en', notify: ['task'] });
  await asksForCall(clinic, 'cb-1');
  t.match(
    new Set(
      (await notices(clinic)).map(({ channel, topic, state }) => `${channel} ${topic} ${state}`),
    ),
    new Set(['sms task sent', 'email task sent']),
  );
  const mail = (await notices(clinic)).find(({ channel }) => channel === 'email');
  t.match(mail, { subject: 'Clínica Sonrisa: new task', text: 'new task.\n\nOpen: 1' });
});

t.test('more tasks within ten minutes are one notice more', async (t) => {
  const clinic = await openClinic(await testApi(t));
  await vera(clinic, { notify: ['task'] });
  for (const id of ['cb-1', 'cb-2', 'cb-3', 'cb-4']) await asksForCall(clinic, id);
  t.match(await notices(clinic), [{ state: 'waiting' }, { state: 'sent' }]);
  await moveTo(clinic, '2026-03-02T15:09:59Z');
  t.match(await notices(clinic), [{ state: 'waiting' }, { state: 'sent' }]);
  await moveTo(clinic, '2026-03-02T15:10:00Z');
  const [second] = await notices(clinic);
  t.match(second, { state: 'sent', sentAt: '2026-03-02T15:10:00Z' });
  t.match(second?.text, /Pendientes: 4/);
});

t.test(
  'nobody is woken: what came at night is told at the opening, if it is still to be done',
  async (t) => {
    const night = '2026-03-03T03:00:00Z';
    const clinic = await openClinic(await testApi(t), night);
    await vera(clinic, { notify: ['callback', 'thread'] });
    await asksForCall(clinic, 'cb-1', night);
    await writes(clinic, 'Hola, una pregunta');
    t.match(await notices(clinic), [{ state: 'waiting' }, { state: 'waiting' }]);
    const { body } = await clinic.get('/v1/tasks?state=open');
    for (const { id, asks } of body.data as { id: string; asks: string }[]) {
      if (asks === 'callback') await clinic.patch(`/v1/tasks/${id}`, { outcome: 'reached' });
    }
    await moveTo(clinic, '2026-03-03T14:00:00Z');
    const told = await notices(clinic);
    t.match(
      told.find(({ topic }) => topic === 'callback'),
      {
        state: 'expired',
        reason: 'nothing-left',
      },
    );
    t.match(
      told.find(({ topic }) => topic === 'thread'),
      {
        state: 'sent',
        sentAt: '2026-03-03T14:00:00Z',
      },
    );
  },
);

t.test('a notice whose sender died is not sent twice', async (t) => {
  const api = await testApi(t);
  const clinic = await openClinic(api);
  await vera(clinic, { notify: ['callback'] });
  const killed = {
    ...api.deps,
    faults: (point: string) => {
      if (point === 'after_send') throw new Error('killed');
    },
  };
  const now = Temporal.Instant.from(monday);
  const asked = { id: 'cb-1', source: 'mis', type: 'callback.requested' };
  await withClinic(api.deps.db, clinic.id, (trx) =>
    trx
      .insertInto('callbacks')
      .values({
        clinic_id: clinic.id,
        id: '01931f5e-7c00-7000-8000-000000000001',
        phone: asked.id,
        note: '',
        requested_at: now,
      })
      .execute(),
  );
  await t.rejects(serveDesk(killed, clinic.id, now), { message: 'killed' });
  await serveDesk(api.deps, clinic.id, now);
  t.match(await notices(clinic), [{ state: 'sending' }], 'its lease holds');
  await withClinic(api.deps.db, clinic.id, (trx) =>
    trx
      .updateTable('staff_notices')
      .set({ lease_until: now.subtract({ hours: 24 }) })
      .where('clinic_id', '=', clinic.id)
      .execute(),
  );
  await serveDesk(api.deps, clinic.id, now);
  t.match(await notices(clinic), [{ state: 'unknown', reason: 'interrupted' }]);
});

t.test('staff of a live clinic without a provider are not told hours later', async (t) => {
  const api = await testApi(t);
  const clinic = await api.clinic({ mode: 'live', now: undefined });
  await vera(clinic, { notify: ['callback'] });
  await clinic.post('/v1/events', {
    ...{ id: 'cb-1', type: 'callback.requested', occurredAt: monday },
    data: { phone: '+573017777777' },
  });
  const at = Temporal.Instant.from(monday);
  await serveDesk(api.deps, clinic.id, at);
  await serveDesk(api.deps, clinic.id, at);
  t.match(await notices(clinic), [{ state: 'waiting' }]);
  await serveDesk(api.deps, clinic.id, at.add({ hours: 12 }));
  t.match(await notices(clinic), [{ state: 'expired', reason: 'no-channel' }]);
});

t.test('the digest of a Friday looks to Monday', async (t) => {
  const clinic = await openClinic(await testApi(t));
  const visit = (id: string, start: string, more: object = {}) =>
    clinic.put(`/v1/appointments/${id}`, { patientId: 'ana', status: 'booked', start, ...more });
  await visit('sat', '2026-03-07T15:00:00Z');
  await visit('mon', '2026-03-09T15:00:00Z', { confirmation: 'accepted' });
  await visit('tue', '2026-03-10T15:00:00Z');
  await visit('off', '2026-03-09T16:00:00Z', { status: 'cancelled' });
  const { body } = await clinic.get('/v1/digest?on=2026-03-06');
  t.match(body.visits, {
    ...{ from: '2026-03-07', to: '2026-03-09', count: 2, unconfirmed: 1 },
    appointments: [
      { id: 'sat', patientId: 'ana', start: '2026-03-07T15:00:00Z', confirmed: false },
      { id: 'mon', confirmed: true },
    ],
  });
  t.match((await clinic.get('/v1/digest?on=2026-03-09')).body.visits, {
    ...{ from: '2026-03-10', to: '2026-03-10', count: 1 },
  });
  t.equal((await clinic.get('/v1/digest?on=2026-02-30')).status, 400);
});

t.test('the digest counts birthdays, tasks, who waits and what patients thought', async (t) => {
  const clinic = await openClinic(await testApi(t));
  await asksForCall(clinic, 'cb-1');
  await writes(clinic, 'Hola, una pregunta');
  for (const [id, score] of [
    ['r1', 5],
    ['r2', 2],
  ] as const) {
    await clinic.post('/v1/events', {
      ...{ id, type: 'review.received', occurredAt: monday },
      data: { patientId: 'ana', score },
    });
  }
  t.match((await clinic.get('/v1/digest')).body, {
    on: '2026-03-02',
    birthdays: { from: '2026-03-02', to: '2026-03-08', count: 1, patientIds: ['ana'] },
    tasks: { open: 2, overdue: 0 },
    threads: { waiting: 1 },
    feedback: { since: '2026-02-27T14:00:00Z', count: 2, lowest: 2 },
  });
  await moveTo(clinic, '2026-03-03T15:00:00Z');
  t.match((await clinic.get('/v1/digest')).body, {
    tasks: { overdue: 2 },
    feedback: { since: '2026-03-02T14:00:00Z', count: 2 },
  });
  t.match((await clinic.get('/v1/digest?on=2026-03-04')).body.feedback, { count: 0, lowest: null });
});

t.test('the digest comes at each opening, by e-mail where there is one', async (t) => {
  const clinic = await openClinic(await testApi(t), '2026-03-06T15:00:00Z');
  await vera(clinic, { email: 'vera@example.org', language: 'ru', notify: ['digest'] });
  await clinic.put('/v1/staff/oleg', {
    phone: '+573004445566',
    language: 'en',
    notify: ['digest'],
  });
  await clinic.put('/v1/appointments/a1', {
    ...{ patientId: 'ana', status: 'booked', start: '2026-03-10T15:00:00Z' },
  });
  await moveTo(clinic, '2026-03-09T13:59:00Z');
  t.same(await notices(clinic), [], 'the weekend has none');
  await moveTo(clinic, '2026-03-09T23:00:00Z');
  const told = await notices(clinic);
  t.match(told, [
    {
      ...{ channel: 'email', topic: 'digest', state: 'sent', sentAt: '2026-03-09T14:00:00Z' },
      subject: 'Clínica Sonrisa: сводка на день',
      text: /Визиты завтра: 1, не подтверждено: 1/,
    },
  ]);
  t.notMatch(JSON.stringify(told), /Ana|Torres/);
  t.match(await notices(clinic, 'oleg'), [
    {
      channel: 'sms',
      text: /^Clínica Sonrisa: the day ahead\. Visits tomorrow: 1, not confirmed: 1;/,
    },
  ]);
  await moveTo(clinic, '2026-03-11T15:00:00Z');
  t.equal((await notices(clinic)).length, 3, 'Monday, Tuesday and Wednesday');
});

t.test('a clinic without opening hours gets its digest at eight', async (t) => {
  const clinic = await (await testApi(t)).clinic({ now: monday });
  await vera(clinic, { notify: ['digest'] });
  await moveTo(clinic, '2026-03-03T14:00:00Z');
  t.match(await notices(clinic), [{ sentAt: '2026-03-03T13:00:00Z' }]);
});
