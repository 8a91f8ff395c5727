/** Mail servers with real TLS: what is encrypted, what is demanded, and who is not believed. */
import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { dispatchClinic } from '../../src/outbox/dispatch.ts';
import { type SmtpOptions, type SmtpSimulator, startSmtpSimulator } from '../simulators/smtp.ts';
import { type Client, type TestApi, testApi } from '../support/api.ts';

const login = { user: 'clinic', pass: 'pass-word' };
const pem = (file: string) =>
  readFileSync(new URL(`../fixtures/tls/${file}`, import.meta.url), 'utf8');
const ca = pem('ca.pem');

type Tls = NonNullable<SmtpOptions['tls']>;

function identity(name: string, from: Tls['from']): Tls {
  return { key: pem(`${name}.key`), cert: pem(`${name}.pem`), from };
}

async function must(
  asked: Promise<{ status: number; text: string; body: Record<string, unknown> }>,
) {
  const answer = await asked;
  if (answer.status >= 300) throw new Error(answer.text);
  return answer.body;
}

interface Stand {
  api: TestApi;
  clinic: Client & { id: string };
  server: SmtpSimulator;
  setUp(scheme: 'smtp' | 'smtps', options?: object): Promise<void>;
  /** One mail, as far as one round of dispatch brings it. */
  mail(): Promise<{ id: unknown; shown(): Promise<Record<string, unknown>> }>;
  dispatch(): Promise<void>;
}

async function stand(t: Test, tls?: Tls): Promise<Stand> {
  const api = await testApi(t);
  const clinic = await api.clinic({ mode: 'live', now: undefined });
  const server = await startSmtpSimulator({ login, ...(tls && { tls }) });
  t.teardown(() => server.close());
  await must(
    clinic.put('/v1/patients/p-1', { telecom: [{ system: 'email', value: 'ana@example.com' }] }),
  );
  const dispatch = async () => {
    const share = await dispatchClinic(api.deps, clinic.id, api.clock.now());
    api.deps.onShare?.(share);
  };
  return {
    ...{ api, clinic, server, dispatch },
    setUp: async (scheme, options = {}) => {
      const url = `${scheme}://${login.user}:${login.pass}@127.0.0.1:${server.port}`;
      const sender = 'Clinic <clinic@example.org>';
      await must(
        clinic.put('/v1/channels/email', {
          ...{ provider: 'smtp', credentials: { url }, options: { sender, ...options } },
        }),
      );
    },
    mail: async () => {
      const { id } = await must(
        clinic.post('/v1/messages', {
          ...{ patientId: 'p-1', purpose: 'transactional', channel: 'email' },
          ...{ subject: 'Su cita', text: 'Le esperamos' },
        }),
      );
      await dispatch();
      return { id, shown: () => must(clinic.get(`/v1/messages/${id}`)) };
    },
  };
}

/** Whatever way PLAIN or LOGIN would spell them. */
function tellsSecrets(lines: readonly string[]): boolean {
  const both = Buffer.from(`\0${login.user}\0${login.pass}`).toString('base64');
  const forms = [both, Buffer.from(login.pass).toString('base64'), login.pass, 'AUTH', 'MAIL'];
  return lines.some((line) => forms.some((form) => line.includes(form)));
}

t.test('STARTTLS is used where a server offers it, before the password and the mail', async (t) => {
  const given = await stand(t, identity('server', 'starttls'));
  await given.setUp('smtp', { ca });
  const { shown } = await given.mail();
  t.match(await shown(), { state: 'sent' });
  t.match(given.server.mails(), [{ to: 'ana@example.com', isEncrypted: true }]);
  t.notOk(tellsSecrets(given.server.overheard()));
  t.match(await must(given.clinic.post('/v1/channels/email/test')), { ok: true });
});

t.test('a server that speaks nothing but TLS takes mail by smtps', async (t) => {
  const given = await stand(t, identity('server', 'start'));
  await given.setUp('smtps', { ca });
  const { shown } = await given.mail();
  t.match(await shown(), { state: 'sent' });
  t.match(given.server.mails(), [{ isEncrypted: true }]);
  t.same(given.server.overheard(), []);
});

for (const [who, name, options, scheme] of [
  ['that signed its certificate itself', 'self-signed', {}, 'smtp'],
  ['that signed its certificate itself, from the start,', 'self-signed', {}, 'smtps'],
  ['whose authority nobody has named', 'server', {}, 'smtp'],
  ['that is another than the one asked for', 'elsewhere', { ca }, 'smtps'],
] as const) {
  t.test(`a server ${who} gets neither password nor mail, and nothing is lost`, async (t) => {
    const given = await stand(t, identity(name, scheme === 'smtps' ? 'start' : 'starttls'));
    await given.setUp(scheme, options);
    const { shown } = await given.mail();
    t.match(await shown(), { state: 'held', reason: 'channel-paused' });
    t.match(await must(given.clinic.get('/v1/channels/email')), { paused: { reason: 'refused' } });
    t.match(await must(given.clinic.post('/v1/channels/email/test')), {
      ok: false,
      detail: /certificate/,
    });
    t.equal(given.server.mails().length, 0);
    t.notOk(tellsSecrets(given.server.overheard()));
  });
}

t.test('a message that waited for a trusted server goes once its authority is named', async (t) => {
  const given = await stand(t, identity('self-signed', 'starttls'));
  await given.setUp('smtp');
  const { shown } = await given.mail();
  t.match(await shown(), { state: 'held' });
  await given.setUp('smtp', { ca: pem('self-signed.pem') });
  await given.dispatch();
  t.match(await shown(), { state: 'sent' });
  t.equal(given.server.mails().length, 1);
});

t.test('where TLS is demanded, a server without it gets neither password nor mail', async (t) => {
  const given = await stand(t);
  await given.setUp('smtp', { requireTls: true });
  const { shown } = await given.mail();
  t.match(await shown(), { state: 'held', reason: 'channel-paused' });
  t.match(await must(given.clinic.get('/v1/channels/email')), { paused: { reason: 'refused' } });
  t.equal(given.server.mails().length, 0);
  t.notOk(tellsSecrets(given.server.overheard()));
});

t.test('smtps to a server that speaks in the open is a fault of the settings', async (t) => {
  const given = await stand(t);
  await given.setUp('smtps', { ca });
  const { shown } = await given.mail();
  t.match(await shown(), { state: 'held', reason: 'channel-paused' });
  t.notOk(tellsSecrets(given.server.overheard()));
});

t.test('an authority that cannot be read is a fault of the settings', async (t) => {
  const given = await stand(t, identity('server', 'starttls'));
  await given.setUp('smtp', { ca: '-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n' });
  const { shown } = await given.mail();
  t.match(await shown(), { state: 'held', reason: 'channel-paused' });
  const { status } = await given.clinic.put('/v1/channels/email', {
    provider: 'smtp',
    credentials: { url: 'smtp://mail.example.org' },
    options: { sender: 'clinic@example.org', ca: 'some file' },
  });
  t.equal(status, 400);
});
