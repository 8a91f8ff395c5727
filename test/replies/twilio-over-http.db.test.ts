/** A reminder through Twilio, its receipts and what patients answer: over the real API and signed forms. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { dispatchClinic } from '../../src/outbox/dispatch.ts';
import { planClinic } from '../../src/rules/plan.ts';
import { startTwilioSimulator } from '../simulators/twilio.ts';
import { testApi } from '../support/api.ts';

/** Twilio calls, and signs, the address that it was told: the service must know its own port. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const account = { accountSid: `AC${'12ab'.repeat(8)}`, authToken: 'right-token' };
const phone = (id: number) => `+55119${String(80_000_000 + id)}`;

t.test(
  'a patient in São Paulo confirms by text, and another says stop, through Twilio',
  async (t) => {
    const port = await freePort();
    const publicUrl = `http://127.0.0.1:${port}`;
    const api = await testApi(t, {
      now: '2026-03-02T15:00:00Z',
      deps: (deps) => ({ ...deps, publicUrl }),
    });
    await api.app.listen({ host: '127.0.0.1', port });
    const clinic = await api.clinic({
      ...{ mode: 'live', now: undefined, country: 'BR', language: 'pt' },
      ...{ timeZone: 'America/Sao_Paulo', currency: 'BRL' },
    });
    const twilio = await startTwilioSimulator({ ...account, clock: api.clock });
    t.teardown(() => twilio.close());
    const channel = await clinic.put('/v1/channels/sms', {
      provider: 'twilio',
      credentials: account,
      options: { baseUrl: twilio.url, sender: '+15005550006' },
    });
    t.equal(channel.status, 200, channel.text);
    twilio.webhookTo(String(channel.body.callbackUrl));
    const text = '{{patient.name.given}}, sua consulta é {{appointment.date}}. Responda 1 ou SIM.';
    await clinic.put('/v1/templates/remind', {
      ...{ purpose: 'transactional', bodies: { sms: { pt: { text } } } },
    });
    const rule = await clinic.post('/v1/rules', {
      ...{ name: 'Reminder', purpose: 'transactional' },
      trigger: { type: 'appointment', before: 'P1D' },
      steps: [{ channel: 'sms', template: 'remind' }],
    });
    await clinic.post(`/v1/rules/${rule.body.id}/activate`);
    for (const id of [1, 2, 3]) {
      const telecom = [{ system: 'phone', value: phone(id) }];
      await clinic.put(`/v1/patients/p-${id}`, { name: { given: 'Ana' }, telecom });
      await clinic.put(`/v1/appointments/a-${id}`, {
        ...{ patientId: `p-${id}`, status: 'booked', minutes: 30 },
        start: '2026-03-05T15:00:00Z',
      });
    }
    const run = async (now: string) => {
      api.clock.set(now);
      await planClinic(api.deps, clinic.id, api.clock.now());
      await dispatchClinic(api.deps, clinic.id, api.clock.now());
      await twilio.settled();
    };
    const confirmation = async (id: number) =>
      (await clinic.get(`/v1/appointments/a-${id}`)).body.confirmation;
    const messageTo = async (id: number) => {
      const { body } = await clinic.get(`/v1/messages?patientId=p-${id}`);
      return (body.data as Record<string, unknown>[])[0];
    };
    twilio.outcome(phone(3), { fail: 30005 });
    await run('2026-03-02T15:00:00Z');
    await run('2026-03-04T15:00:00Z');
    t.equal(twilio.messages().length, 3);
    t.match(twilio.messages()[0]?.body, /^Ana, sua consulta é 5 de março/);
    t.match(await messageTo(1), { state: 'delivered' }, 'Twilio’s signed receipt was taken');
    t.match(await messageTo(3), { state: 'failed' }, 'a number that nobody has');

    twilio.faults({ callbackBadSignature: true });
    twilio.say(phone(1), 'SIM');
    await twilio.settled();
    t.not(await confirmation(1), 'accepted', 'a forged reply does nothing');
    twilio.faults({});
    twilio.say(phone(1), 'SIM');
    await twilio.settled();
    t.equal(await confirmation(1), 'accepted');

    twilio.say(phone(2), 'STOP');
    await twilio.settled();
    const sent = await clinic.post('/v1/messages', {
      ...{ patientId: 'p-2', purpose: 'care', channel: 'sms', text: 'Venha' },
    });
    await run('2026-03-04T15:05:00Z');
    t.match(await clinic.get(`/v1/messages/${sent.body.id}`), {
      body: { state: 'suppressed', reason: 'opted-out' },
    });
    t.equal(twilio.messages().length, 3, 'nothing more left');
  },
);
