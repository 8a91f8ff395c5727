import t from 'tap';
import { testApi } from '../support/api.ts';

t.test(
  'a merge moves what is planned for the retired id, and the survivor gets it once',
  async (t) => {
    const api = await testApi(t);
    const owner = await api.clinic({ now: '2026-01-05T15:00:00Z', country: 'MX' });
    const person = (phone: string) => ({
      name: { given: 'Ana', family: 'López' },
      telecom: [{ system: 'phone', value: phone }],
      consent: { care: { sms: 'granted' } },
    });
    await owner.put('/v1/patients/old', person('+525512345678'));
    await owner.put('/v1/patients/new', person('+525587654321'));
    const rule = await owner.post('/v1/rules', {
      name: 'Recall',
      purpose: 'care',
      trigger: { type: 'visit', after: 'P30D' },
      steps: [{ channel: 'sms', template: 'recall' }],
    });
    await owner.post(`/v1/rules/${rule.body.id}/activate`);
    await owner.put('/v1/visits/v-1', {
      patientId: 'old',
      status: 'finished',
      start: '2026-01-05T15:00:00Z',
    });
    await owner.post('/v1/test/clock', { now: '2026-02-03T15:00:00Z' });
    const planned = await owner.get('/v1/messages?patientId=old');
    t.match(planned.body.data, [{ state: 'scheduled', occurrence: 'visit:v-1' }]);

    await owner.post('/v1/events', {
      id: 'merge-1',
      type: 'patient.merged',
      occurredAt: '2026-02-03T15:00:00Z',
      data: { id: 'old', into: 'new' },
    });
    await owner.post('/v1/test/clock', { now: '2026-02-10T15:00:00Z' });
    const sent = await owner.get('/v1/messages?patientId=new');
    t.match(sent.body.data, [
      { state: 'delivered', occurrence: 'visit:v-1', patientId: 'new', to: '+525587654321' },
    ]);
    t.match(sent.body.data, { length: 1 });
  },
);
