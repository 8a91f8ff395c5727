import t from 'tap';
import { testApi } from '../support/api.ts';

t.test('a patient answers by link and by text, and the host sees it', async (t) => {
  const api = await testApi(t);
  const clinic = await api.clinic();
  await clinic.put('/v1/patients/7', {
    name: { given: 'María' },
    telecom: [{ system: 'phone', value: '+57 301 234 5678', use: 'mobile' }],
  });
  await clinic.put('/v1/appointments/a-1', {
    patientId: '7',
    status: 'booked',
    start: '2026-03-04T15:00:00Z',
    minutes: 30,
  });
  const send = async (message: object) => {
    const sent = await clinic.post('/v1/messages', { patientId: '7', channel: 'sms', ...message });
    return clinic.get(`/v1/messages/${sent.body.id}`);
  };
  await clinic.put('/v1/templates/confirm', {
    purpose: 'transactional',
    bodies: {
      sms: {
        es: { text: 'Le esperamos {{appointment.date}}. {{link.confirm}} {{link.unsubscribe}}' },
      },
    },
  });
  const told = await send({
    purpose: 'transactional',
    template: 'confirm',
  });
  t.match(told, { body: { state: 'delivered' } });
  const [confirm = '', unsubscribe = ''] =
    String(told.body.text).match(/\/l\/[\w-]{43}(?= |$)/g) ?? [];

  const page = await api.app.inject({ url: `${confirm}?utm_source=mail` });
  t.equal(page.statusCode, 200);
  t.match(page.headers, { 'content-type': /text\/html/, 'cache-control': 'no-store' });
  t.match(page.body, /4 de marzo, 10:00/);
  const posted = await api.app.inject({
    method: 'POST',
    url: confirm,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: 'answer=confirm',
  });
  t.match(posted.body, /Le esperamos/);
  t.match(await clinic.get('/v1/appointments/a-1'), { body: { confirmation: 'accepted' } });

  const cancel = await clinic.post('/v1/test/replies', { from: '301 234 5678', text: 'cancelar' });
  t.match(cancel, { status: 201, body: { meaning: 'cancel', patientId: '7' } });
  const tasks = await clinic.get('/v1/tasks?state=open');
  const [task] = tasks.body.data as { id: string }[];
  t.match(task, { patientId: '7', state: 'open', outcome: null });
  const settled = await clinic.patch(`/v1/tasks/${task?.id}`, { outcome: 'reached', note: 'ok' });
  t.match(settled, { status: 200, body: { state: 'done', outcome: 'reached' } });

  const invite = () => send({ purpose: 'care', text: 'Venga' });
  t.match(await invite(), { body: { state: 'delivered' } });
  const oneClick = await api.app.inject({
    method: 'POST',
    url: unsubscribe,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: 'List-Unsubscribe=One-Click',
  });
  t.equal(oneClick.statusCode, 200);
  t.match(await invite(), { body: { state: 'suppressed', reason: 'opted-out' } });
  await clinic.post('/v1/test/replies', { from: '+573012345678', text: 'START' });
  await clinic.post('/v1/test/clock', { now: '2026-03-03T16:00:00Z' });
  t.match(await invite(), { body: { state: 'delivered' } });

  const receipt = { messageId: told.body.id, status: 'read' };
  t.equal((await clinic.post('/v1/test/receipts', receipt)).status, 204);
  t.match(await clinic.get(`/v1/messages/${told.body.id}`), { body: { state: 'read' } });
  const logged = api.logLines.join('');
  t.notMatch(logged, /María|3012345678|cancelar|Venga/, 'nothing of a person is logged');
});
