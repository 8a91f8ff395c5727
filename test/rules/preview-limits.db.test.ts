import t, { type Test } from 'tap';
import { withClinic } from '../../src/database/with-clinic.ts';
import { addToRuleDays } from '../../src/outbox/rule-days-store.ts';
import { testApi } from '../support/api.ts';
import { recallClinics } from './recall-clinic.ts';

/** So many patients who are due tomorrow, in a clinic where an sms costs ten. */
async function clinicWithDue(t: Test, count: number, limits?: object) {
  const api = await testApi(t);
  const owner = await api.clinic({
    ...{ now: '2026-03-02T06:00:00Z', timeZone: 'Asia/Almaty', country: 'KZ' },
    ...{ language: 'ru', currency: 'KZT' },
  });
  const sms = { provider: 'smsc', credentials: { apiKey: 'k' }, tariff: { default: '10' } };
  await owner.put('/v1/channels/sms', sms);
  const text = 'Пора на осмотр';
  await owner.put('/v1/templates/care', { purpose: 'care', bodies: { sms: { ru: { text } } } });
  const occurredAt = '2026-03-02T05:00:00Z';
  const patients = Array.from({ length: count }, (_, at) => {
    const value = `+770500000${String(at).padStart(2, '0')}`;
    const data = { id: `p${at}`, name: { given: 'Анна' }, telecom: [{ system: 'phone', value }] };
    return { id: `p${at}`, type: 'patient.upserted', occurredAt, data };
  });
  const visits = patients.map(({ data: { id: patientId } }) => {
    const times = { start: '2025-09-04T06:00:00Z', end: '2025-09-04T07:00:00Z' };
    const data = { id: `v-${patientId}`, patientId, status: 'finished', ...times };
    return { id: `v-${patientId}`, type: 'visit.upserted', occurredAt, data };
  });
  const told = await owner.post('/v1/events', [...patients, ...visits]);
  t.match(told.body, { accepted: 2 * count });
  const made = await owner.post('/v1/rules', {
    name: 'Recall',
    purpose: 'care',
    trigger: { type: 'visit', after: 'P180D' },
    steps: [{ channel: 'sms', template: 'care' }],
    ...(limits && { limits }),
  });
  t.equal(made.status, 201, made.text);
  const id = String(made.body.id);
  await owner.post(`/v1/rules/${id}/activate`);
  const days = { from: '2026-03-03', to: '2026-03-03' };
  const preview = () => owner.post(`/v1/rules/${id}/preview`, days);
  return { api, owner, id, preview };
}

const budgets = {
  money: { limits: { budget: { amount: '35.00', per: 'P7D' } }, goes: 3 },
  messages: { limits: { messages: { count: 2, per: 'P7D' } }, goes: 2 },
};

for (const [name, { limits, goes }] of Object.entries(budgets)) {
  t.test(`a preview tells how far a budget in ${name} goes, and so it goes`, async (t) => {
    const { owner, preview } = await clinicWithDue(t, 5, limits);
    const { body } = await preview();
    t.match(body, { recipients: goes, suppressed: { budget: 5 - goes } });
    await owner.post('/v1/test/clock', { now: '2026-03-03T18:00:00Z' });
    const { body: sent } = await owner.get('/v1/messages?limit=50');
    const states = (sent.data as { state: string }[]).map(({ state }) => state).toSorted();
    t.same(states, [
      ...Array.from({ length: goes }, () => 'delivered'),
      ...Array.from({ length: 5 - goes }, () => 'held'),
    ]);
  });
}

t.test('a preview tells that a day would be no usual one, and so it is held', async (t) => {
  const { api, owner, id, preview } = await clinicWithDue(t, 60);
  await withClinic(api.database.db, owner.id, async (trx) => {
    for (let day = 10; day < 24; day += 1)
      await addToRuleDays(trx, owner.id, `2026-02-${day}`, [
        { ruleId: id, contacts: 4, costMicros: 0, messages: 4 },
      ]);
  });
  const { body } = await preview();
  t.match(body, { recipients: 0, suppressed: { anomaly: 60 } });
  await owner.post('/v1/test/clock', { now: '2026-03-03T12:00:00Z' });
  const { body: held } = await owner.get('/v1/messages?state=held&limit=200');
  const reasons = (held.data as { reason: string }[]).map(({ reason }) => reason);
  t.same(reasons, Array(60).fill('anomaly'));
});

t.test('a preview of today tells of who was due this morning and has no phone', async (t) => {
  const { owner, id } = await clinicWithDue(t, 1);
  await owner.put('/v1/patients/p0', { name: { given: 'Анна' }, telecom: [] });
  await owner.post('/v1/test/clock', { now: '2026-03-03T12:00:00Z' });
  const today = { from: '2026-03-03', to: '2026-03-03' };
  const { body } = await owner.post(`/v1/rules/${id}/preview`, today);
  t.match(body, { recipients: 0, suppressed: { 'no-contact-point': 1 } });
});

t.test('who waited for a budget may be named at home once their own day has begun', async (t) => {
  const clinic = await recallClinics(t)({ now: '2026-03-02T12:00:00Z', timeZone: 'Etc/GMT+6' });
  await clinic.must(clinic.patch('/v1/clinic', { householdMerging: true }));
  const sms = { provider: 'smsc', credentials: { apiKey: 'k' }, tariff: { default: '10' } };
  await clinic.must(clinic.put('/v1/channels/sms', sms));
  await clinic.patient('Eva', { tags: ['limited'] });
  await clinic.patient('Luis', { tags: ['limited'], household: 'h' });
  await clinic.patient('Ana', { household: 'h', timeZone: 'Etc/GMT-1' });
  await clinic.visit('e', 'Eva', '2026-03-01T16:00:00Z');
  await clinic.visit('l', 'Luis', '2026-03-01T17:00:00Z');
  await clinic.visit('a', 'Ana', '2026-03-02T08:30:00Z');
  const recall = { trigger: { type: 'visit', after: 'PT24H' } };
  const isLimited = { tags: ['limited'] };
  const limits = { budget: { amount: '10.00', per: 'P7D' } };
  const limited = await clinic.rule({ ...recall, audience: isLimited, limits });
  const open = await clinic.rule({ ...recall, audience: { not: isLimited } });
  await clinic.at('2026-03-02T20:00:00Z');
  t.same(await clinic.sent(), ['Eva 2026-03-02T16:00']);
  const days = { from: '2026-03-02', to: '2026-03-03' };
  const preview = (id: string) => clinic.must(clinic.post(`/v1/rules/${id}/preview`, days));
  t.match(await preview(limited), { recipients: 1, suppressed: { household: 1 } });
  const text = 'Hello Ana and Luis';
  t.match(await preview(open), { recipients: 1, samples: [{ patientId: 'Ana', text }] });
  await clinic.at('2026-03-04T05:00:00Z');
  t.same(await clinic.sent(), ['Eva 2026-03-02T16:00', 'Ana 2026-03-03T08:30']);
  t.match(await clinic.messages(`&patientId=Ana`), [{ text }]);
});

t.test('a number that a patient has besides is foreseen to count for them too', async (t) => {
  const clinic = await recallClinics(t)({ now: '2026-03-02T12:00:00Z' });
  await clinic.must(clinic.patch('/v1/clinic', { caps: { perDay: 1, perWeek: 3 } }));
  const [own, shared] = ['+525512370001', '+525512370002'].map((value) => ({
    ...{ system: 'phone', use: 'mobile', value },
  }));
  await clinic.patient('Ana', { telecom: [shared] });
  await clinic.patient('Luis', { telecom: [own, { ...shared, use: 'home' }] });
  await clinic.visit('a', 'Ana', '2026-03-02T16:00:00Z');
  await clinic.visit('l', 'Luis', '2026-03-02T17:00:00Z');
  const id = await clinic.rule({ trigger: { type: 'visit', after: 'PT24H' } });
  const day = { from: '2026-03-03', to: '2026-03-03' };
  const foreseen = await clinic.must(clinic.post(`/v1/rules/${id}/preview`, day));
  t.match(foreseen, { recipients: 1, suppressed: { 'frequency-cap': 1 } });
  await clinic.at('2026-03-03T22:00:00Z');
  t.same(await clinic.sent(), ['Ana 2026-03-03T16:00']);
});

/** A step by text and letter, of a rule that may send so few that the letter waits. */
async function clinicWithRest(t: Test, more: object) {
  const clinic = await recallClinics(t)({ now: '2026-03-02T12:00:00Z' });
  await clinic.must(clinic.patch('/v1/clinic', { caps: { perDay: 1, perWeek: 1 } }));
  const options = { sender: 'Clinic <clinic@example.org>' };
  const email = { provider: 'sendgrid', credentials: { apiKey: 'k' }, options };
  await clinic.must(clinic.put('/v1/channels/email', email));
  const [text, subject] = ['Hello', 'Your visit'];
  const bodies = { sms: { en: { text } }, email: { en: { subject, text } } };
  await clinic.must(clinic.put('/v1/templates/care', { purpose: 'care', bodies }));
  const telecom = [
    { system: 'phone', value: '+525512370001' },
    { system: 'email', value: 'ana@example.org' },
  ];
  const granted = { sms: 'granted', email: 'granted' };
  await clinic.patient('Ana', { telecom, consent: { care: granted } });
  await clinic.visit('a', 'Ana', '2026-03-02T16:00:00Z');
  const trigger = { type: 'visit', after: 'PT24H' };
  const id = await clinic.rule({ trigger, ...more });
  const days = { from: '2026-03-03', to: '2026-03-11' };
  const foreseen = () => clinic.must(clinic.post(`/v1/rules/${id}/preview`, days));
  const left = async () =>
    (await clinic.messages())
      .filter(({ sentAt }) => sentAt !== null)
      .map((row) => `${row.channel} ${row.sentAt?.slice(0, 10)}`)
      .toSorted();
  return { clinic, foreseen, left };
}

const both = { channels: ['sms', 'email'], template: 'care' };

t.test('what is left of a step is the same contact, and follows the next day', async (t) => {
  const limits = { messages: { count: 1, per: 'P1D' } };
  const { clinic, foreseen, left } = await clinicWithRest(t, { steps: [both], limits });
  t.match(await foreseen(), { recipients: 1, messages: { sms: 1, email: 1 } });
  await clinic.at('2026-03-10T00:00:00Z');
  t.same(await left(), ['email 2026-03-04', 'sms 2026-03-03']);
});

t.test('a ladder goes on from what left of a step, where the rest never leaves', async (t) => {
  const steps = [both, { channel: 'sms', template: 'care', after: 'P8D' }];
  const limits = { messages: { count: 1, per: 'P8D' } };
  const { clinic, foreseen, left } = await clinicWithRest(t, { steps, limits, catchUp: 'P2D' });
  t.match(await foreseen(), { recipients: 1, messages: { sms: 2 } });
  await clinic.at('2026-03-12T00:00:00Z');
  t.same(await left(), ['sms 2026-03-03', 'sms 2026-03-11']);
});
