import fc from 'fast-check';
import t from 'tap';
import { httpClient } from '../../src/channels/http.ts';
import { smtpAdapter } from '../../src/channels/smtp/smtp.ts';
import { type SmtpOptions, type SmtpSimulator, startSmtpSimulator } from '../simulators/smtp.ts';
import { type AdapterUnderTest, contextOf, setup, testAdapter } from './conformance.ts';

const login = { user: 'clinic@example.org', pass: 'p@ss/word' };

function urlOf(port: number, pass = login.pass): string {
  return `smtp://${encodeURIComponent(login.user)}:${encodeURIComponent(pass)}@127.0.0.1:${port}`;
}

function smtpUnderTest(
  options: SmtpOptions = {},
  onStart: (simulator: SmtpSimulator) => void = () => {},
): AdapterUnderTest {
  const notTaken = { kind: 'rejected', error: { class: 'temporary' } };
  return {
    adapter: smtpAdapter,
    address: (number) => `patient${number}@example.com`,
    fates: {
      // Without the last dot no server may keep it.
      dropBeforeAccept: notTaken,
      // A reply is certain, whatever it says.
      http5xx: { kind: 'rejected', error: { class: 'message_permanent', scope: 'message' } },
      acceptThen5xx: null,
      http429: { ...notTaken, error: { class: 'temporary', providerCode: '451 4.7.1' } },
    },
    start: async () => {
      const simulator = await startSmtpSimulator({ login, ...options });
      onStart(simulator);
      const settings = {
        options: { sender: 'Клиника <clinic@example.org>' },
        callbackUrl: 'https://clinic.example/v1/callbacks/c1',
      };
      return {
        config: { ...settings, credentials: { url: urlOf(simulator.port) } },
        accepted: () =>
          simulator.mails().map(({ clientRef, to, text }) => ({
            ...{ clientRef, address: to, text: text.trimEnd() },
          })),
        faults: simulator.faults,
        wrongConfig: { ...settings, credentials: { url: urlOf(simulator.port, 'wrong') } },
        elsewhere: (origin) => ({
          ...{ ...settings, credentials: { url: urlOf(Number(new URL(origin).port)) } },
        }),
        close: simulator.close,
      };
    },
  };
}

t.test('the conformance suite', (t) => {
  testAdapter(t, smtpUnderTest());
  t.end();
});

async function stand(t: Parameters<typeof setup>[0], options: SmtpOptions = {}) {
  const held: { simulator?: SmtpSimulator } = {};
  const given = await setup(
    t,
    smtpUnderTest(options, (started) => {
      held.simulator = started;
    }),
  );
  if (!held.simulator) throw new Error('No simulator was started.');
  return { ...given, simulator: held.simulator };
}

type Given = Awaited<ReturnType<typeof stand>>;

async function send(
  { adapter, config, context, prepare }: Given,
  message: Parameters<Given['prepare']>[0],
) {
  const [outcome] = await adapter.send(prepare(message), config, context);
  if (!outcome) throw new Error('No outcome.');
  return outcome;
}

t.test('a mail carries text, html, our reference and the one-click unsubscribe', async (t) => {
  const given = await stand(t);
  const message = given.message({
    content: {
      subject: 'Ждём вас',
      text: '.Анна, ждём вас\n..\n.\nconclusión',
      html: '<p>Анна</p>',
    },
    unsubscribeUrl: 'https://clinic.example/l/token',
  });
  const outcome = await send(given, message);
  const id = `${message.clientRef}@example.org`;
  t.match(outcome, { kind: 'accepted', providerMessageId: id });
  const [mail] = given.simulator.mails();
  t.match(mail, {
    from: 'clinic@example.org',
    to: message.to,
    text: message.content.text,
    html: '<p>Анна</p>',
    headers: {
      from: 'Клиника <clinic@example.org>',
      to: message.to,
      subject: 'Ждём вас',
      'message-id': `<${id}>`,
      'list-unsubscribe': '<https://clinic.example/l/token>',
      'list-unsubscribe-post': 'List-Unsubscribe=One-Click',
    },
  });
});

t.test('any text arrives as it was written, and changes no header', async (t) => {
  const given = await stand(t);
  const line = fc.string({ unit: 'grapheme', maxLength: 200 });
  await fc.assert(
    fc.asyncProperty(
      line,
      fc.array(line, { minLength: 1, maxLength: 5 }),
      async (subject, lines) => {
        const text = [...lines, 'x']
          .join('\n')
          .replaceAll(/[\p{Cc}]/gu, (each) => (each === '\n' ? each : ' '));
        const content = { subject: `S ${subject}\r\nBcc: somebody@else.example`, text };
        const before = given.simulator.mails().length;
        await send(given, given.message({ content }));
        const mail = given.simulator.mails()[before];
        t.equal(mail?.headers.bcc, undefined);
        t.equal(mail?.text.trimEnd(), text.trimEnd());
      },
    ),
    { numRuns: 40 },
  );
});

t.test('the server’s replies mean what RFC 5321 says', async (t) => {
  const replies: [Parameters<SmtpSimulator['replyTo']>[0], string, object][] = [
    ['CONNECT', '421 4.3.2 later', { class: 'temporary', scope: 'channel' }],
    ['CONNECT', '554 5.7.1 not you', { class: 'config', scope: 'channel' }],
    ['AUTH', '454 4.7.0 later', { class: 'temporary', scope: 'channel' }],
    ['AUTH', '535 5.7.8 no', { class: 'config', scope: 'channel', providerCode: '535 5.7.8' }],
    ['MAIL', '550 5.1.8 bad sender', { class: 'config', scope: 'channel' }],
    ['MAIL', '451 4.3.0 later', { class: 'temporary', scope: 'channel' }],
    ['RCPT', '550 5.1.1 no such user', { class: 'recipient_permanent', scope: 'recipient' }],
    ['RCPT', '554 5.7.1 policy', { class: 'message_permanent', scope: 'message' }],
    ['RCPT', '450 4.2.1 greylisted', { class: 'temporary', scope: 'message' }],
    ['RCPT', '421 4.7.0 too many', { class: 'temporary', scope: 'channel' }],
    ['DATA', '554 5.5.1 no', { class: 'message_permanent', scope: 'message' }],
    ['END', '552 5.3.4 too large', { class: 'message_permanent', scope: 'message' }],
    ['END', '451 4.3.0 later', { class: 'temporary', scope: 'message' }],
  ];
  for (const [command, reply, error] of replies) {
    const given = await stand(t);
    given.simulator.replyTo(command, reply);
    const outcome = await send(given, given.message());
    t.match(outcome, { kind: 'rejected', error }, `${command}: ${reply}`);
    t.equal(given.simulator.mails().length, 0);
  }
});

t.test(
  'one connection serves mail after mail, and one that was closed meanwhile is noticed',
  async (t) => {
    const given = await stand(t);
    await send(given, given.message());
    await send(given, given.message());
    t.equal(given.simulator.connections(), 1);
    given.simulator.hangUp();
    t.match(await send(given, given.message()), { kind: 'accepted' });
    t.equal(given.simulator.connections(), 2);
    t.equal(given.simulator.mails().length, 3, 'none twice');
  },
);

t.test('another password is another connection', async (t) => {
  const given = await stand(t);
  await send(given, given.message());
  if (!given.wrongConfig) return;
  const [outcome] = await given.adapter.send(
    given.prepare(given.message()),
    given.wrongConfig,
    given.context,
  );
  t.match(outcome, { kind: 'rejected', error: { class: 'config' } });
});

t.test('an address that is refused leaves the connection fit for the next', async (t) => {
  const given = await stand(t, { refuses: { 'gone@example.com': '550 5.1.1 gone' } });
  t.match(await send(given, given.message({ to: 'gone@example.com' })), {
    kind: 'rejected',
    error: { class: 'recipient_permanent', providerCode: '550 5.1.1' },
  });
  t.match(await send(given, given.message()), { kind: 'accepted' });
});

t.test('where private addresses are denied, no mail server there is called', async (t) => {
  const given = await stand(t);
  const http = httpClient({ allowPrivate: false });
  t.teardown(() => http.close());
  const hosts = ['127.0.0.1', 'localhost', '[::1]', '169.254.169.254', '[::ffff:127.0.0.1]'];
  for (const host of hosts) {
    for (const port of [given.simulator.port, 587]) {
      const config = { ...given.config, credentials: { url: `smtp://${host}:${port}` } };
      const [outcome] = await given.adapter.send(
        given.prepare(given.message()),
        config,
        contextOf(http),
      );
      t.match(
        outcome,
        { kind: 'rejected', error: { class: 'config', providerCode: 'private-address' } },
        host,
      );
    }
  }
  t.equal(given.simulator.connections(), 0);
});

t.test('a URL that names no account is a fault of the settings', async (t) => {
  const given = await stand(t);
  for (const url of ['smtp://user%ZZ:x@127.0.0.1', 'smtp://:1']) {
    const [outcome] = await given.adapter.send(
      given.prepare(given.message()),
      { ...given.config, credentials: { url } },
      given.context,
    );
    t.match(outcome, { kind: 'rejected', error: { class: 'config' } }, url);
  }
});
