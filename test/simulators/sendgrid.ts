import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import {
  addControlRoutes,
  createControl,
  type Faults,
  listen,
  type SimulatorOptions,
} from './control.ts';
import { createPoster } from './poster.ts';
import { eventsOf, type SendgridMessage, type SendgridOutcome } from './sendgrid-events.ts';
import {
  type Fault,
  faultsOf,
  type Mail,
  type Personalization,
  substitute,
} from './sendgrid-mail.ts';

export type { SendgridMessage, SendgridOutcome } from './sendgrid-events.ts';

/** SendGrid as channels.md section 2 describes it: v3 mail/send and the signed Event Webhook. */

export interface SendgridOptions extends SimulatorOptions {
  apiKey?: string;
  webhookUrl?: string;
}

export interface SendgridSimulator {
  url: string;
  /** Base64 of the SPKI, as the settings page shows it. */
  publicKey: string;
  messages(): readonly SendgridMessage[];
  /** Calls that were taken, however many mails were in each. */
  calls(): number;
  faults(faults: Faults): void;
  outcome(address: string, outcome: SendgridOutcome): void;
  webhookTo(url: string | null): void;
  advance(ms: number): void;
  settled(): Promise<void>;
  clear(): void;
  close(): Promise<void>;
}

const eventsPerCall = 200;

export async function startSendgridSimulator(
  options: SendgridOptions = {},
): Promise<SendgridSimulator> {
  const control = createControl(options);
  const poster = createPoster(control.random);
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ format: 'der', type: 'spki' }).toString('base64');
  const outcomes = new Map<string, SendgridOutcome>();
  let webhookUrl = options.webhookUrl ?? null;
  let messages: SendgridMessage[] = [];
  let calls = 0;
  let events = 0;

  const app = Fastify({ bodyLimit: 31_457_280, forceCloseConnections: true });

  const isKnown = (request: FastifyRequest) => {
    const [, key] = /^Bearer (.+)$/.exec(request.headers.authorization ?? '') ?? [];
    return options.apiKey === undefined ? Boolean(key) : key === options.apiKey;
  };
  const refuse = (reply: FastifyReply, code: number, errors: Fault[]) =>
    reply.code(code).send({ errors });

  const onSend = async (request: FastifyRequest<{ Body: Mail }>, reply: FastifyReply) => {
    if (await control.before(request, reply)) return reply;
    if (!isKnown(request)) {
      return refuse(reply, 401, [{ message: 'authorization required', field: null }]);
    }
    const mail = request.body;
    const faults = faultsOf(mail);
    if (faults.length > 0) return refuse(reply, 400, faults);
    if (mail.mail_settings?.sandbox_mode?.enable) return reply.code(200).send();
    calls += 1;
    const messageId = createHash('sha1').update(`${calls}`).digest('base64url').slice(0, 22);
    const taken = (mail.personalizations ?? []).map((one) => messageOf(mail, one, messageId));
    messages.push(...taken);
    const isAnswered = control.after(request, reply);
    if (webhookUrl) tell(taken);
    return isAnswered ? reply : reply.code(202).header('x-message-id', messageId).send();
  };

  const messageOf = (mail: Mail, one: Personalization, messageId: string): SendgridMessage => {
    const content = (type: string) => mail.content?.find((part) => part.type === type)?.value;
    const html = content('text/html');
    return {
      number: messages.length + 1,
      clientRef: one.custom_args?.mid ?? '',
      to: one.to?.[0]?.email ?? '',
      from: mail.from?.email ?? '',
      subject: substitute(one.subject ?? mail.subject ?? '', one.substitutions),
      text: substitute(content('text/plain') ?? '', one.substitutions),
      html: html === undefined ? null : substitute(html, one.substitutions),
      headers: { ...mail.headers, ...one.headers },
      messageId,
      atMs: control.nowMs(),
    };
  };

  const tell = (taken: readonly SendgridMessage[]) => {
    for (let at = 0; at < taken.length; at += eventsPerCall) {
      const told = taken.slice(at, at + eventsPerCall).flatMap((message) => {
        const outcome = outcomes.get(message.to.toLowerCase()) ?? 'delivered';
        return eventsOf(message, outcome, nextEventId, Math.floor(control.nowMs() / 1000));
      });
      post(told);
    }
  };
  const nextEventId = () => {
    events += 1;
    return `ev-${events}`;
  };

  const post = (told: readonly object[]) => {
    if (!webhookUrl) return;
    // SendGrid ends its body so, and signs these bytes too.
    const body = `${JSON.stringify(told)}\r\n`;
    const age = control.strikes('callbackOldTimestamp') ? 3600 : 0;
    const signed = control.strikes('callbackBadSignature') ? `${body} ` : body;
    // What had to wait for its turn, or is tried again, is no replay.
    const headers = () => {
      const timestamp = String(Math.floor(control.nowMs() / 1000) - age);
      const signature = sign('sha256', Buffer.from(timestamp + signed), privateKey);
      return {
        'content-type': 'application/json',
        'x-twilio-email-event-webhook-signature': signature.toString('base64'),
        'x-twilio-email-event-webhook-timestamp': timestamp,
      };
    };
    poster.post({ url: webhookUrl, headers, body }, control.callbackFaults());
  };

  const clear = () => {
    messages = [];
    calls = 0;
  };
  const setOutcome = (address: string, outcome: SendgridOutcome) => {
    outcomes.set(address.toLowerCase(), outcome);
  };

  app.post<{ Body: Mail }>('/v3/mail/send', onSend);
  app.get('/v3/scopes', async (request, reply) =>
    isKnown(request)
      ? { scopes: ['mail.send'] }
      : refuse(reply, 401, [{ message: 'authorization required', field: null }]),
  );
  addControlRoutes(app, 'sendgrid', { control, messages: () => messages, clear });
  app.get('/__sim/sendgrid/key', async () => ({ publicKey: spki }));
  app.post<{ Body: { address: string; outcome: SendgridOutcome } }>(
    '/__sim/sendgrid/outcomes',
    async ({ body }, reply) => {
      setOutcome(body.address, body.outcome);
      return reply.code(204).send();
    },
  );
  app.post<{ Body: { url: string } }>('/__sim/sendgrid/webhook', async ({ body }, reply) => {
    webhookUrl = body.url;
    return reply.code(204).send();
  });

  const url = await listen(app, options.port);
  return {
    url,
    publicKey: spki,
    messages: () => messages,
    calls: () => calls,
    faults: control.set,
    outcome: setOutcome,
    webhookTo: (target) => {
      webhookUrl = target;
    },
    advance: control.advance,
    settled: poster.settled,
    clear,
    close: () => app.close(),
  };
}
