import t from 'tap';
import { type Client, testApi } from '../support/api.ts';

const phone = '+573012345678';

/** Monday 10:00 in Bogotá. */
const monday = '2026-03-02T15:00:00Z';
const openingHours = Object.fromEntries(
  ['mon', 'tue', 'wed', 'thu', 'fri'].map((day) => [day, [{ start: '09:00', end: '18:00' }]]),
);

async function openClinic(api: Awaited<ReturnType<typeof testApi>>, settings: object = {}) {
  const clinic = await api.clinic({ now: monday });
  await clinic.patch('/v1/clinic', { openingHours, ...settings });
  return clinic;
}

const ana = (clinic: Client, id = 'ana', value = phone) =>
  clinic.put(`/v1/patients/${id}`, {
    name: { given: 'Ana' },
    telecom: [{ system: 'phone', value }],
  });

const writes = (clinic: Client, text: string, from = phone) =>
  clinic.post('/v1/test/replies', { from, text });

interface Thread {
  id: string;
  [field: string]: unknown;
}

async function threads(clinic: Client, query = ''): Promise<Thread[]> {
  const { body } = await clinic.get(`/v1/threads${query}`);
  return body.data as Thread[];
}

async function onlyThread(clinic: Client): Promise<Thread> {
  const [thread, ...others] = await threads(clinic);
  if (thread === undefined || others.length > 0) throw new Error('There is not one thread.');
  return thread;
}

async function openTasks(clinic: Client) {
  const { body } = await clinic.get('/v1/tasks?state=open');
  return body.data as Record<string, unknown>[];
}

const moveTo = (clinic: Client, now: string) => clinic.post('/v1/test/clock', { now });

t.test('a patient who writes freely has a thread that waits until closing', async (t) => {
  const clinic = await openClinic(await testApi(t));
  await ana(clinic);
  await writes(clinic, '¿Puedo comer antes?');
  t.match(await onlyThread(clinic), {
    patientId: 'ana',
    address: null,
    channel: 'sms',
    state: 'open',
    waitingSince: monday,
    answerBy: '2026-03-02T23:00:00Z',
  });
  t.equal((await threads(clinic, '?waiting=true')).length, 1);
  t.same(await threads(clinic, '?state=closed'), []);
});

t.test('a short word that is understood opens no thread', async (t) => {
  const clinic = await openClinic(await testApi(t));
  await ana(clinic);
  await writes(clinic, 'STOP');
  t.same(await threads(clinic), []);
});

t.test('staff answer by the channel that the patient wrote on, and nobody waits', async (t) => {
  const clinic = await openClinic(await testApi(t));
  await ana(clinic);
  await writes(clinic, '¿Puedo comer antes?');
  const { id } = await onlyThread(clinic);
  const answer = await clinic.post(`/v1/threads/${id}/messages`, { text: 'Sí, algo ligero.' });
  t.equal(answer.status, 201);
  t.match(answer.body, {
    patientId: 'ana',
    channel: 'sms',
    purpose: 'transactional',
    state: 'delivered',
    to: phone,
  });
  t.same(await threads(clinic, '?waiting=true'), []);
  t.same(await openTasks(clinic), [], 'its task is done');
  const { body } = await clinic.get(`/v1/threads/${id}`);
  t.match(body.messages, [
    { direction: 'in', channel: 'sms', text: '¿Puedo comer antes?', state: null },
    { direction: 'out', channel: 'sms', text: 'Sí, algo ligero.', state: 'delivered' },
  ]);
  await moveTo(clinic, '2026-03-03T12:00:00Z');
  t.same(await openTasks(clinic), [], 'no task follows');
});

t.test('who was not answered by closing becomes a task, once', async (t) => {
  const clinic = await openClinic(await testApi(t));
  await ana(clinic);
  const sent = await clinic.post('/v1/messages', {
    patientId: 'ana',
    channel: 'sms',
    purpose: 'transactional',
    text: '¿Cómo está?',
  });
  await clinic.post('/v1/test/replies', { messageId: sent.body.id, text: 'Me duele un poco' });
  await moveTo(clinic, '2026-03-02T22:59:00Z');
  t.same(await openTasks(clinic), []);
  await moveTo(clinic, '2026-03-04T15:00:00Z');
  const thread = await onlyThread(clinic);
  t.match(await openTasks(clinic), [
    { patientId: 'ana', asks: 'answer', threadId: thread.id, dueAt: '2026-03-03T14:00:00Z' },
  ]);
  t.match(thread, { waitingSince: monday, answerBy: null });
});

t.test('what comes after closing is answered by the closing of the next open day', async (t) => {
  const clinic = await openClinic(await testApi(t));
  await ana(clinic);
  await moveTo(clinic, '2026-03-06T23:30:00Z');
  await writes(clinic, 'Hola, una pregunta');
  t.match(await onlyThread(clinic), { answerBy: '2026-03-09T23:00:00Z' });
});

t.test('a clinic without opening hours answers until six', async (t) => {
  const clinic = await (await testApi(t)).clinic({ now: monday });
  await ana(clinic);
  await writes(clinic, 'Hola, una pregunta');
  t.match(await onlyThread(clinic), { answerBy: '2026-03-02T23:00:00Z' });
});

t.test('a closed thread opens again when the patient writes', async (t) => {
  const clinic = await openClinic(await testApi(t));
  await ana(clinic);
  await writes(clinic, 'Gracias por todo');
  const { id } = await onlyThread(clinic);
  t.match((await clinic.post(`/v1/threads/${id}/close`)).body, {
    state: 'closed',
    waitingSince: null,
  });
  await moveTo(clinic, '2026-03-03T20:00:00Z');
  t.same(await openTasks(clinic), []);
  await writes(clinic, 'Una cosa más');
  t.match(await onlyThread(clinic), { id, state: 'open', answerBy: '2026-03-03T23:00:00Z' });
});

t.test('staff ask how a patient is, by a template and their own channel', async (t) => {
  const clinic = await openClinic(await testApi(t));
  await ana(clinic);
  await clinic.put('/v1/templates/how-are-you', {
    purpose: 'transactional',
    bodies: { sms: { es: { text: 'Hola {{patient.name.given}}, ¿cómo está?' } } },
  });
  const begun = await clinic.post('/v1/threads', { patientId: 'ana', template: 'how-are-you' });
  t.equal(begun.status, 201);
  t.match(begun.body, {
    state: 'open',
    waitingSince: null,
    messages: [{ direction: 'out', channel: 'sms', text: 'Hola Ana, ¿cómo está?' }],
  });
});

t.test('an answer that never leaves leaves the patient waiting', async (t) => {
  const clinic = await openClinic(await testApi(t));
  await ana(clinic);
  await writes(clinic, '¿Puedo comer antes?');
  await clinic.post('/v1/opt-outs', { patientId: 'ana', purpose: 'transactional' });
  const { id } = await onlyThread(clinic);
  const answer = await clinic.post(`/v1/threads/${id}/messages`, { text: 'Sí.' });
  t.match(answer.body, { state: 'suppressed', reason: 'opted-out' });
  t.equal((await threads(clinic, '?waiting=true')).length, 1);
});

t.test('whoever writes from a shared phone waits without a name until staff decide', async (t) => {
  const clinic = await openClinic(await testApi(t));
  await ana(clinic);
  await ana(clinic, 'luis');
  await writes(clinic, '¿A qué hora era?');
  const { id } = await onlyThread(clinic);
  t.match(await onlyThread(clinic), { patientId: null, address: phone });
  t.match((await clinic.get(`/v1/threads/${id}`)).body.messages, [{ text: '¿A qué hora era?' }]);
  const tooEarly = await clinic.post(`/v1/threads/${id}/messages`, { text: 'A las diez.' });
  t.equal(tooEarly.status, 409);
  t.match((await clinic.patch(`/v1/threads/${id}`, { patientId: 'luis' })).body, {
    id,
    patientId: 'luis',
    address: null,
  });
  t.match(await openTasks(clinic), [{ patientId: 'luis', threadId: id }]);
  const answer = await clinic.post(`/v1/threads/${id}/messages`, { text: 'A las diez.' });
  t.match(answer.body, { patientId: 'luis', state: 'delivered' });
  t.equal((await clinic.patch(`/v1/threads/${id}`, { patientId: 'ana' })).status, 409);
});

t.test('a text that is given to a patient goes on in the thread they have', async (t) => {
  const clinic = await openClinic(await testApi(t));
  await ana(clinic);
  await writes(clinic, 'Soy Ana');
  const own = await onlyThread(clinic);
  await clinic.post(`/v1/threads/${own.id}/close`);
  await ana(clinic, 'luis');
  await writes(clinic, '¿A qué hora era?');
  const undecided = (await threads(clinic)).find(({ patientId }) => patientId === null);
  const decided = await clinic.patch(`/v1/threads/${undecided?.id}`, { patientId: 'ana' });
  t.match(decided.body, { id: own.id, state: 'open', waitingSince: monday });
  const { body } = await clinic.get(`/v1/threads/${own.id}`);
  t.match(body.messages, [{ text: 'Soy Ana' }, { text: '¿A qué hora era?' }]);
  t.equal((await threads(clinic)).length, 1);
});

t.test('a patient who was reached by phone waits no longer', async (t) => {
  const clinic = await openClinic(await testApi(t));
  await ana(clinic);
  await writes(clinic, 'Llámenme por favor');
  const [task] = await openTasks(clinic);
  await clinic.patch(`/v1/tasks/${task?.id}`, { outcome: 'no-answer' });
  t.equal((await threads(clinic, '?waiting=true')).length, 1);
  await moveTo(clinic, '2026-03-03T15:00:00Z');
  const [again] = await openTasks(clinic);
  await clinic.patch(`/v1/tasks/${again?.id}`, { outcome: 'reached' });
  t.same(await threads(clinic, '?waiting=true'), []);
});

t.test('a thread of two merged patients is one conversation', async (t) => {
  const clinic = await openClinic(await testApi(t));
  await ana(clinic);
  await writes(clinic, 'Hola, soy Ana');
  const { id } = await onlyThread(clinic);
  await ana(clinic, 'ana-new', '+573019999999');
  await clinic.post('/v1/events', {
    id: 'm1',
    type: 'patient.merged',
    occurredAt: monday,
    data: { id: 'ana', into: 'ana-new' },
  });
  t.match(await onlyThread(clinic), { patientId: 'ana-new' });
  const answer = await clinic.post(`/v1/threads/${id}/messages`, { text: 'Hola.' });
  t.match(answer.body, { patientId: 'ana-new', state: 'delivered' });
  t.same(await threads(clinic, '?waiting=true'), []);
  const shown = await threads(clinic);
  const { body } = await clinic.get(`/v1/threads/${shown[0]?.id}`);
  t.match(body.messages, [{ text: 'Hola, soy Ana' }, { text: 'Hola.' }]);
});

t.test('a thread of another clinic is not there', async (t) => {
  const api = await testApi(t);
  const clinic = await openClinic(api);
  await ana(clinic);
  await writes(clinic, 'Hola, una pregunta');
  const { id } = await onlyThread(clinic);
  const other = await api.clinic();
  t.equal((await other.get(`/v1/threads/${id}`)).status, 404);
  t.equal((await other.post(`/v1/threads/${id}/close`)).status, 404);
  t.equal((await other.post(`/v1/threads/${id}/messages`, { text: 'x' })).status, 404);
  t.equal((await clinic.get('/v1/threads/none')).status, 404);
});
