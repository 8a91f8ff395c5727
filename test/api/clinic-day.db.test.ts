import t from 'tap';
import { type Answer, testApi } from '../support/api.ts';

/** Names, phones and texts that may be nowhere but in the database and in answers to their own clinic. */
const canaries = [
  'Zanahoria',
  '+573004445566',
  '3004445566',
  'canary@example.org',
  'Texto-secreto',
];

for (const engine of ['postgres', 'pglite'] as const) {
  t.test(
    `on ${engine} a clinic recalls a patient, and every answer is as documented`,
    async (t) => {
      const api = await testApi(t, { engine, now: '2026-03-02T15:00:00Z' });
      const owner = await api.clinic({ now: '2026-01-05T15:00:00Z' });
      const ok = async (asked: Promise<Answer>, status = 200) => {
        const answer = await asked;
        t.equal(answer.status, status, answer.text.slice(0, 300));
        return answer.body;
      };
      await ok(owner.patch('/v1/clinic', { phone: '+57 601 555 0101', householdMerging: false }));
      await ok(owner.put('/v1/channels/inbox', { provider: 'inbox' }));
      const sms = { provider: 'smsc', credentials: { apiKey: 'k' }, tariff: { default: '0.05' } };
      await ok(owner.put('/v1/channels/sms', sms));
      await ok(owner.get('/v1/channels'));
      await ok(owner.post('/v1/channels/sms/test'));
      const patient = {
        name: { given: 'Zanahoria', family: 'Pérez' },
        birthDate: '1984-03-05',
        language: 'es',
        telecom: [
          { system: 'phone', value: '300 444 55 66' },
          { system: 'email', value: 'canary@example.org' },
        ],
        consent: { care: { sms: 'granted', email: 'granted' }, marketing: { sms: 'granted' } },
      };
      await ok(owner.put('/v1/patients/1', patient), 201);
      await ok(owner.put('/v1/patients/1', { ...patient, tags: ['vip'] }));
      const recall = await ok(
        owner.post('/v1/rules', {
          name: 'Recall',
          purpose: 'care',
          trigger: { type: 'visit', after: 'P30D' },
          sendAt: '10:00',
          steps: [
            { channel: 'sms', template: 'recall' },
            { channel: 'task', template: 'recall', after: 'P7D' },
          ],
        }),
        201,
      );
      await ok(owner.post(`/v1/rules/${recall.id}/activate`));
      const visit = {
        patientId: '1',
        status: 'finished',
        start: '2026-01-05T15:30:00Z',
        amount: '120000.00',
      };
      await ok(owner.put('/v1/visits/v1', visit), 201);
      await ok(owner.get('/v1/visits/v1'));

      await ok(
        owner.post(`/v1/rules/${recall.id}/preview`, { from: '2026-01-05', to: '2026-03-01' }),
      );
      const due = await ok(owner.get(`/v1/rules/${recall.id}/due?from=2026-01-05&to=2026-03-01`));
      t.match(due.data, [{ patientId: '1', occurrence: 'visit:v1' }]);
      const advanced = await ok(owner.post('/v1/test/clock', { now: '2026-02-08T15:00:00Z' }));
      t.match(advanced, { now: '2026-02-08T15:00:00Z', sent: 1 });
      const { data } = (await ok(owner.get('/v1/messages?patientId=1'))) as {
        data: { id: string }[];
      };
      t.match(data, [{ state: 'delivered', channel: 'sms', occurrence: 'visit:v1', step: 0 }]);
      await ok(owner.get(`/v1/messages/${data[0]?.id}`));
      const explained = await ok(
        owner.get(`/v1/rules/${recall.id}/explain?patientId=1&on=2026-02-04`),
      );
      t.match(explained, { outcome: 'sent', basis: 'recorded' });
      await ok(owner.post('/v1/test/clock', { now: '2026-02-20T15:00:00Z' }));
      const { data: tasks } = (await ok(owner.get('/v1/tasks?state=open'))) as {
        data: { id: string }[];
      };
      t.equal(tasks.length, 1);
      await ok(
        owner.patch(`/v1/tasks/${tasks[0]?.id}`, { outcome: 'reached', note: 'Texto-secreto' }),
      );

      const own = { patientId: '1', purpose: 'transactional', text: 'Texto-secreto' };
      const inbox = await ok(owner.post('/v1/messages', { ...own, channel: 'inbox' }), 201);
      await ok(owner.get('/v1/patients/1/inbox'));
      await ok(owner.post(`/v1/patients/1/inbox/${inbox.id}/read`), 204);
      const later = await ok(owner.post('/v1/messages', { ...own, channel: 'email' }), 201);
      await ok(owner.post(`/v1/messages/${later.id}/cancel`), later.state === 'held' ? 200 : 409);
      await ok(owner.post('/v1/test/receipts', { messageId: data[0]?.id, status: 'read' }), 204);
      await ok(owner.post('/v1/test/replies', { messageId: data[0]?.id, text: 'BAJA' }), 201);
      await ok(owner.get('/v1/opt-outs?patientId=1'));
      await ok(owner.get('/v1/patients/1/timeline?limit=2'));
      await ok(
        owner.get('/v1/patients?phone=3004445566&tag=vip&updatedSince=2026-01-01T00:00:00Z'),
      );
      t.match((await ok(owner.get('/v1/birthdays?from=2026-03-01&to=2026-03-31'))).data, [
        { patientId: '1', on: '2026-03-05' },
      ]);
      await ok(owner.post('/v1/templates/recall/preview', { channel: 'sms', patientId: '1' }));
      await ok(owner.get('/v1/templates'));
      const days = { from: '2026-02-01', to: '2026-02-20' };
      t.match(await ok(owner.post(`/v1/rules/${recall.id}/backtest`, days)), {
        recipients: 0,
        suppressed: { 'opted-out': 1 },
        warnings: ['as-it-is-now'],
      });
      const limits = { perDay: 200, budget: { amount: '5000.00', per: 'P30D' } };
      const { name, purpose, trigger, steps } = recall;
      const changed = { name, purpose, trigger, steps, limits, holdout: 0.1 };
      t.match(await ok(owner.post(`/v1/rules/${recall.id}/diff`, { rule: changed })), { lost: 0 });
      await ok(owner.patch(`/v1/rules/${recall.id}`, { limits }));
      t.match((await ok(owner.get(`/v1/rules/${recall.id}/versions`))).data, [
        { version: 2, definition: { limits }, changedBy: /^key:/ },
        { version: 1, definition: { limits: null } },
      ]);
      await ok(owner.post(`/v1/rules/${recall.id}/pause`));
      await ok(owner.get('/v1/reports/messages'));
      t.match(await ok(owner.get('/v1/reports/returns')), { totals: { journeys: 1 } });
      const csv = await owner.get('/v1/reports/returns', { accept: 'text/csv' });
      t.match(csv.text, /^"ruleId","name"/);
      t.match(csv.headers, {
        'content-type': 'text/csv; charset=utf-8',
        'x-content-type-options': 'nosniff',
      });
      await ok(owner.delete('/v1/patients/1'), 204);
      await ok(owner.get('/v1/patients/1'), 404);

      const seen = api.logLines.join('') + (await owner.get('/metrics')).text;
      for (const canary of canaries) t.notOk(seen.includes(canary), `${canary} is nowhere else`);
    },
  );
}

t.test('no error says anything of a patient', async (t) => {
  const api = await testApi(t);
  const owner = await api.clinic();
  const name = 'Zanahoria';
  const answers = [
    await owner.put('/v1/patients/1', { name: { given: name, nick: name } }),
    await owner.put('/v1/patients/1', { name: { given: [name] } }),
    await owner.post('/v1/events', `{"${name}"`),
    await owner.get(`/v1/patients/${name}`),
    await owner.get(`/v1/patients?tag=${name}&${name}=1`),
    await owner.post('/v1/opt-outs', { address: name }),
    await owner.post('/v1/templates/recall/preview', { channel: 'sms', patientId: name }),
  ];
  for (const { status, text } of answers) {
    t.ok(status >= 400 && status < 500, text);
    // A field's name is the caller's own word; its value is not repeated.
    t.notMatch(text.replace(/"pointer":"[^"]*"/g, ''), name);
  }
  t.notMatch(api.logLines.join(''), name);
});
