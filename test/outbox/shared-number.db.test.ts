import { sql } from 'kysely';
import t, { type Test } from 'tap';
import { withClinic } from '../../src/database/with-clinic.ts';
import { type Client, testApi } from '../support/api.ts';

const phone = '+525512345671';

/** Two patients with one phone, and a recall that is due for both on different days. */
async function sharers(t: Test) {
  const api = await testApi(t);
  const clinic = await api.clinic({ now: '2026-01-05T08:00:00Z', country: 'MX', timeZone: 'UTC' });
  await clinic.put('/v1/templates/recall-text', {
    purpose: 'care',
    bodies: { sms: { es: { text: '{{patient.name.given}}, ya es hora' } } },
  });
  const rule = await clinic.post('/v1/rules', {
    name: 'Recall',
    purpose: 'care',
    trigger: { type: 'visit', after: 'P10D' },
    steps: [{ channel: 'sms', template: 'recall-text' }],
  });
  t.equal(rule.status, 201, rule.text);
  await clinic.post(`/v1/rules/${rule.body.id}/activate`);
  for (const [id, day] of [
    ['ana', '05'],
    ['eva', '06'],
  ]) {
    await clinic.put(`/v1/patients/${id}`, {
      name: { given: id },
      telecom: [{ system: 'phone', value: phone }],
    });
    await clinic.put(`/v1/visits/v-${id}`, {
      patientId: id,
      status: 'finished',
      start: `2026-01-${day}T09:00:00Z`,
    });
  }
  const consentOf = async (id: string) => {
    const { body } = await clinic.get(`/v1/rules/${rule.body.id}/explain?patientId=${id}`);
    const checks = body.checks as { name: string; passed: boolean; seen: unknown }[];
    return checks.find(({ name }) => name === 'consent');
  };
  const at = (now: string) => clinic.post('/v1/test/clock', { now: `2026-01-${now}Z` });
  return { api, clinic, consentOf, at };
}

async function messagesOf(clinic: Client): Promise<Record<string, string>> {
  const { body } = await clinic.get('/v1/messages');
  const rows = body.data as { patientId: string; state: string; reason: string | null }[];
  return Object.fromEntries(
    rows.map(({ patientId, state, reason }) => [patientId, `${state} ${reason ?? ''}`.trim()]),
  );
}

t.test('a stop from a shared number holds for all who share it, and is shown so', async (t) => {
  const { clinic, consentOf, at } = await sharers(t);
  await at('15T12:00:00');
  t.match(await messagesOf(clinic), { ana: 'delivered', eva: 'scheduled' });
  t.match(await consentOf('eva'), { passed: true, seen: { sms: 'allowed' } });

  await clinic.post('/v1/test/replies', { from: phone, text: 'ALTO' });
  for (const id of ['ana', 'eva']) {
    const expected = { passed: false, seen: { sms: 'opted-out', sharedWith: 1 } };
    t.match(await consentOf(id), expected, id);
    const { body } = await clinic.get(`/v1/opt-outs?patientId=${id}`);
    t.match(body.data, [{ address: phone, patientId: null, origin: 'reply' }], id);
  }
  await at('16T20:00:00');
  t.match(await messagesOf(clinic), { ana: 'delivered', eva: 'suppressed opted-out' });
});

t.test('what one person stops for themselves is not shared', async (t) => {
  const { clinic, consentOf, at } = await sharers(t);
  await at('05T12:00:00');
  await clinic.post('/v1/opt-outs', { patientId: 'eva' });
  t.strictSame((await consentOf('eva'))?.seen, { sms: 'opted-out' });
  t.strictSame((await consentOf('ana'))?.seen, { sms: 'allowed' });
});

t.test('who stops a shared number is told of what is on its way to all who share it', async (t) => {
  const { api, clinic, at } = await sharers(t);
  await at('17T20:00:00');
  const sent = await clinic.get('/v1/messages');
  const ids = (sent.body.data as { id: string }[]).map(({ id }) => id).sort();
  t.equal(ids.length, 2);
  await withClinic(api.database.db, clinic.id, (trx) =>
    sql`update messages set state = 'sending', settled_at = null,
      lease_until = clock_timestamp() + interval '1 hour' where clinic_id = ${clinic.id}`.execute(
      trx,
    ),
  );
  const stopped = await clinic.post('/v1/opt-outs', { address: phone });
  t.equal(stopped.status, 201, stopped.text);
  t.same((stopped.body.inFlight as string[]).toSorted(), ids);
});
