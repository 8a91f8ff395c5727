import t from 'tap';
import { withClinic } from '../../src/database/with-clinic.ts';
import { testApi } from '../support/api.ts';

const person = (value: string) => ({
  name: { given: 'Ana' },
  telecom: [{ system: 'phone', value }],
  consent: { care: { sms: 'granted' } },
});

const contact = (patientId: string, more: object = {}) => ({
  id: `c-${patientId}`,
  type: 'contact.recorded',
  occurredAt: '2026-01-09T09:00:00Z',
  data: { patientId, channel: 'call', purpose: 'care', at: '2026-01-10T07:00:00Z', ...more },
});

t.test('whom the clinic called this morning gets the recall another day', async (t) => {
  const api = await testApi(t);
  const owner = await api.clinic({ now: '2026-01-05T12:00:00Z', country: 'MX', timeZone: 'UTC' });
  const rule = await owner.post('/v1/rules', {
    name: 'Recall',
    purpose: 'care',
    trigger: { type: 'visit', after: 'P5D' },
    sendAt: '10:00',
    steps: [{ channel: 'sms', template: 'recall' }],
  });
  await owner.post(`/v1/rules/${rule.body.id}/activate`);
  const phones = {
    called: '+525512345671',
    merged: '+525512345672',
    booking: '+525512345673',
    free: '+525512345674',
  };
  for (const [id, phone] of Object.entries(phones)) {
    await owner.put(`/v1/patients/${id}`, person(phone));
    await owner.put(`/v1/visits/v-${id}`, {
      patientId: id,
      status: 'finished',
      start: '2026-01-05T11:00:00Z',
    });
  }
  await owner.post('/v1/test/clock', { now: '2026-01-10T08:00:00Z' });
  const told = await owner.post('/v1/events', [
    contact('called'),
    contact('called'),
    contact('booking', { purpose: 'transactional' }),
    {
      id: 'm',
      type: 'patient.merged',
      occurredAt: '2026-01-09T09:00:00Z',
      data: { id: 'old', into: 'merged' },
    },
    contact('old', { channel: 'sms' }),
  ]);
  t.match(told.body, { accepted: 4, duplicates: 1 });
  await owner.post('/v1/test/clock', { now: '2026-01-10T20:00:00Z' });
  const stateOf = async (id: string) => {
    const { body } = await owner.get(`/v1/messages?patientId=${id}`);
    const [message] = body.data as {
      state: string;
      reason: string | null;
      sentAt: string | null;
    }[];
    return [message?.state, message?.reason, message?.sentAt?.slice(0, 10)];
  };
  t.same(await stateOf('free'), ['delivered', null, '2026-01-10']);
  t.same(
    await stateOf('booking'),
    ['delivered', null, '2026-01-10'],
    'a talk about a booking is no recall',
  );
  t.same((await stateOf('called')).slice(0, 2), ['held', 'frequency-cap']);
  t.same((await stateOf('merged')).slice(0, 2), ['held', 'frequency-cap']);
  await owner.post('/v1/test/clock', { now: '2026-01-11T20:00:00Z' });
  t.same(await stateOf('called'), ['delivered', null, '2026-01-11']);
});

t.test('three contacts of the clinic’s own fill a patient’s week', async (t) => {
  const api = await testApi(t);
  const owner = await api.clinic({ now: '2026-01-10T12:00:00Z', country: 'MX', timeZone: 'UTC' });
  await owner.put('/v1/patients/ana', {
    ...person('+525512345671'),
    telecom: [{ system: 'email', value: 'ana@example.com' }],
    consent: { care: { email: 'granted' } },
  });
  await owner.put('/v1/channels/email', { provider: 'sendgrid', credentials: { apiKey: 'k' } });
  for (const day of ['05', '07', '08'])
    await owner.post('/v1/events', {
      ...contact('ana', { at: `2026-01-${day}T10:00:00Z` }),
      id: day,
    });
  const message = {
    patientId: 'ana',
    purpose: 'care',
    channel: 'email',
    subject: 'Hola',
    text: 'Hola',
  };
  t.match((await owner.post('/v1/messages', message)).body, {
    state: 'held',
    reason: 'frequency-cap',
  });
});

t.test('a contact made outside stands in the timeline, whatever it was about', async (t) => {
  const api = await testApi(t);
  const owner = await api.clinic({ now: '2026-01-10T12:00:00Z', country: 'MX', timeZone: 'UTC' });
  await owner.put('/v1/patients/old', person('+525512345671'));
  await owner.put('/v1/patients/ana', person('+525512345672'));
  const told = await owner.post('/v1/events', [
    contact('old'),
    { ...contact('old', { purpose: 'transactional', channel: 'sms' }), id: 'booking' },
  ]);
  t.match(told.body, { accepted: 2 });
  const contactsOf = async (id: string) => {
    const { body } = await owner.get(`/v1/patients/${id}/timeline?limit=200`);
    return (body.data as { kind: string; channel: string; state: string; reason: string }[])
      .filter(({ kind }) => kind === 'contact')
      .map(({ channel, state, reason }) => `${channel} ${state} ${reason}`)
      .sort();
  };
  const both = ['call outside care', 'sms outside transactional'];
  t.same(await contactsOf('old'), both);
  await owner.post('/v1/events', {
    ...{ id: 'm', type: 'patient.merged', occurredAt: '2026-01-10T12:00:00Z' },
    data: { id: 'old', into: 'ana' },
  });
  t.same(await contactsOf('ana'), both, 'it goes along with whom the record was merged into');
  const care = { patientId: 'ana', purpose: 'care', channel: 'sms', text: 'Hola' };
  t.match((await owner.post('/v1/messages', care)).body, {
    state: 'held',
    reason: 'frequency-cap',
  });
  await owner.post('/v1/events', {
    ...{ id: 'e', type: 'patient.erased', occurredAt: '2026-01-10T12:00:00Z' },
    data: { id: 'ana' },
  });
  const rows = await withClinic(api.database.db, owner.id, (trx) =>
    trx.selectFrom('outside_contacts').select('id').where('clinic_id', '=', owner.id).execute(),
  );
  t.same(rows, [], 'of somebody erased nothing of it is left');
});

t.test('a contact by no channel of ours counts once, at whatever addresses', async (t) => {
  const api = await testApi(t);
  const owner = await api.clinic({ now: '2026-01-10T12:00:00Z', country: 'MX', timeZone: 'UTC' });
  await owner.patch('/v1/clinic', { caps: { perDay: 5, perWeek: 2 } });
  const telecom = [
    { system: 'phone', value: '+525512345671' },
    { system: 'email', value: 'ana@example.com' },
  ];
  await owner.put('/v1/patients/ana', { ...person(''), telecom });
  await owner.post('/v1/events', contact('ana', { channel: 'inbox', at: '2026-01-09T10:00:00Z' }));
  const care = { patientId: 'ana', purpose: 'care', channel: 'sms', text: 'Hola' };
  t.match((await owner.post('/v1/messages', care)).body, { state: 'delivered' });
  t.match((await owner.post('/v1/messages', { ...care, purpose: 'care' })).body, {
    state: 'held',
    reason: 'frequency-cap',
  });
});

t.test('a contact of the clinic’s own stands though our message that day has failed', async (t) => {
  const api = await testApi(t);
  const owner = await api.clinic({ now: '2026-01-10T12:00:00Z', country: 'MX', timeZone: 'UTC' });
  await owner.put('/v1/patients/ana', person('+525512345671'));
  const care = { patientId: 'ana', purpose: 'care', channel: 'sms', text: 'Hola' };
  const sent = await owner.post('/v1/messages', care);
  await owner.post('/v1/events', contact('ana', { at: '2026-01-10T11:00:00Z' }));
  const receipt = { messageId: sent.body.id, status: 'failed' };
  t.equal((await owner.post('/v1/test/receipts', receipt)).status, 204);
  t.match((await owner.post('/v1/messages', care)).body, {
    state: 'held',
    reason: 'frequency-cap',
  });
});
