import { createHmac } from 'node:crypto';
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import { smsLength } from '../../src/channels/sms-length.ts';
import {
  addControlRoutes,
  createControl,
  type Faults,
  listen,
  type SimulatorOptions,
} from './control.ts';
import { createPoster } from './poster.ts';

/** Twilio's Messages API as channels.md section 3.4 describes it, with its signed callbacks. */

export interface TwilioMessage {
  /** Counts up; the order in which messages were taken. */
  number: number;
  sid: string;
  /** From the address of the status callback. */
  clientRef: string;
  /** As Twilio writes it: `whatsapp:` before the number where it is meant there. */
  to: string;
  from: string;
  body: string;
  contentSid: string | null;
  variables: Record<string, string>;
  validity: string | null;
  status: string;
  errorCode: number | null;
  segments: number;
  atMs: number;
}

/** What becomes of messages to a number: a code fails them after they were taken, or refuses them at once. */
export type TwilioOutcome = 'delivered' | 'read' | 'silent' | { fail: number } | { refuse: number };

export interface TwilioOptions extends SimulatorOptions {
  accountSid?: string;
  authToken?: string;
  /** Where messages that come in are told. */
  webhookUrl?: string;
  pricePerPart?: number;
}

export interface TwilioSimulator {
  url: string;
  messages(): readonly TwilioMessage[];
  faults(faults: Faults): void;
  outcome(address: string, outcome: TwilioOutcome): void;
  /** The account as a whole is refused, as one without money is. */
  suspend(isSuspended: boolean): void;
  webhookTo(url: string | null): void;
  /** A patient writes; STOP is heard by Twilio too. */
  say(address: string, text: string, more?: Record<string, string>): void;
  advance(ms: number): void;
  settled(): Promise<void>;
  clear(): void;
  close(): Promise<void>;
}

const stopWords = ['STOP', 'UNSUBSCRIBE', 'END', 'QUIT', 'STOPALL', 'REVOKE', 'OPTOUT', 'CANCEL'];
const windowMs = 86_400_000;
type Form = Record<string, string>;

export async function startTwilioSimulator(options: TwilioOptions = {}): Promise<TwilioSimulator> {
  const control = createControl(options, () => ({ ...errorOf(20429), status: 429 }));
  const poster = createPoster(control.random);
  const outcomes = new Map<string, TwilioOutcome>();
  const stopped = new Set<string>();
  const heardAtMs = new Map<string, number>();
  const authToken = options.authToken ?? '';
  let webhookUrl = options.webhookUrl ?? null;
  let isSuspended = false;
  let messages: TwilioMessage[] = [];
  let heard = 0;

  const app = Fastify({ bodyLimit: 1_048_576, forceCloseConnections: true });
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, done) => done(null, Object.fromEntries(new URLSearchParams(String(body)))),
  );
  const refuse = (reply: FastifyReply, status: number, code: number) =>
    reply.code(status).send({ ...errorOf(code), status });
  const deny = ({ headers, params }: FastifyRequest, reply: FastifyReply) => {
    const [, basic = ''] = /^Basic (.+)$/.exec(headers.authorization ?? '') ?? [];
    const [user, token] = Buffer.from(basic, 'base64').toString().split(':');
    const { account } = params as { account: string };
    const isKnown = options.accountSid === undefined ? Boolean(token) : user === options.accountSid;
    const isRight = options.authToken === undefined || token === options.authToken;
    if (!isKnown || !isRight || account !== user) return refuse(reply, 401, 20003);
    return isSuspended ? refuse(reply, 401, 20005) : null;
  };

  const at = '/2010-04-01/Accounts/:account';
  app.post<{ Body: Form }>(`${at}/Messages.json`, async (request, reply) => {
    if (await control.before(request, reply)) return reply;
    const denied = deny(request, reply);
    if (denied) return denied;
    const form = request.body;
    const to = form.To ?? '';
    const code = faultOf(form) ?? (stopped.has(to) ? 21610 : null);
    const outcome = outcomes.get(to) ?? 'delivered';
    if (code !== null) return refuse(reply, 400, code);
    if (typeof outcome === 'object' && 'refuse' in outcome) {
      return refuse(reply, 400, outcome.refuse);
    }
    const message = messageOf(form);
    messages.push(message);
    const isAnswered = control.after(request, reply);
    const answer = shown(message);
    run(message, form.StatusCallback, outcome);
    return isAnswered ? reply : reply.code(201).send(answer);
  });
  app.get<{ Querystring: { To?: string; PageSize?: string } }>(
    `${at}/Messages.json`,
    async (request, reply) => {
      const denied = deny(request, reply);
      if (denied) return denied;
      const { To, PageSize = '50' } = request.query;
      const found = messages.filter(({ to }) => to === To).toReversed();
      return { messages: found.slice(0, Number(PageSize)).map(shown), next_page_uri: null };
    },
  );
  app.get(
    `${at}/Balance.json`,
    async (request, reply) => deny(request, reply) ?? { balance: '12.34', currency: 'USD' },
  );

  const messageOf = (form: Form): TwilioMessage => {
    const number = messages.length + 1;
    const body = form.Body ?? '';
    return {
      number,
      sid: `SM${String(number).padStart(32, '0')}`,
      clientRef: URL.parse(form.StatusCallback ?? '')?.searchParams.get('ref') ?? '',
      to: form.To ?? '',
      from: form.From ?? form.MessagingServiceSid ?? '',
      body,
      contentSid: form.ContentSid ?? null,
      variables: JSON.parse(form.ContentVariables ?? '{}'),
      validity: form.ValidityPeriod ?? null,
      status: 'queued',
      errorCode: null,
      segments: smsLength(body).segments,
      atMs: control.nowMs(),
    };
  };
  /** Approved content is remembered in its own words, and the price comes with the delivery. */
  const shown = (message: TwilioMessage) => ({
    sid: message.sid,
    status: message.status,
    direction: 'outbound-api',
    to: message.to,
    from: message.from,
    body: message.contentSid === null ? message.body : `Content ${message.contentSid}`,
    num_segments: String(message.segments),
    price:
      message.status === 'queued'
        ? null
        : `-${((options.pricePerPart ?? 0.0075) * message.segments).toFixed(5)}`,
    price_unit: 'USD',
    error_code: message.errorCode,
    date_created: new Date(message.atMs).toUTCString(),
    date_sent: message.status === 'queued' ? null : new Date(message.atMs).toUTCString(),
  });

  const run = (message: TwilioMessage, callback: string | undefined, outcome: TwilioOutcome) => {
    if (outcome === 'silent') return;
    const isWhatsapp = message.to.startsWith('whatsapp:');
    const isOpen = control.nowMs() - (heardAtMs.get(message.to) ?? -Infinity) < windowMs;
    const isLate = isWhatsapp && message.contentSid === null && !isOpen && options.limits !== false;
    const fate: TwilioOutcome = isLate ? { fail: 63016 } : outcome;
    const steps =
      typeof fate === 'object'
        ? ['sent', 'undelivered']
        : fate === 'read'
          ? ['sent', 'read']
          : ['sent', 'delivered'];
    for (const status of steps) {
      message.status = status;
      if (status === 'undelivered' && typeof fate === 'object' && 'fail' in fate) {
        message.errorCode = fate.fail;
      }
      const { sid, to, from, errorCode } = message;
      call(callback ?? null, {
        ...{ MessageSid: sid, SmsSid: sid, MessageStatus: status, SmsStatus: status },
        ...{ To: to, From: from, AccountSid: options.accountSid ?? '', ApiVersion: '2010-04-01' },
        ...(errorCode === null ? {} : { ErrorCode: String(errorCode) }),
      });
    }
  };
  const call = (target: string | null, fields: Form) => {
    // A simulator calls nobody but who runs beside it.
    if (target === null || URL.parse(target)?.hostname !== '127.0.0.1') return;
    const key = control.strikes('callbackBadSignature') ? 'forged' : authToken;
    const headers = {
      'content-type': 'application/x-www-form-urlencoded',
      'x-twilio-signature': twilioSignature(key, target, fields),
    };
    const body = new URLSearchParams(fields).toString();
    poster.post({ url: target, headers, body }, control.callbackFaults());
  };
  const say = (address: string, text: string, more: Form = {}) => {
    heard += 1;
    heardAtMs.set(address, control.nowMs());
    const word = text.trim().toUpperCase();
    const isStop = stopWords.includes(word);
    if (isStop) stopped.add(address);
    if (word === 'START') stopped.delete(address);
    const sid = `SM${'f'.repeat(24)}${String(heard).padStart(8, '0')}`;
    call(webhookUrl, {
      ...{ MessageSid: sid, SmsSid: sid, SmsStatus: 'received', NumMedia: '0' },
      ...{ From: address, To: '+15005550006', Body: text },
      ...(isStop ? { OptOutType: 'STOP' } : {}),
      ...more,
    });
  };
  const clear = () => {
    messages = [];
  };

  addControlRoutes(app, 'twilio', { control, messages: () => messages, clear });
  app.post<{ Body: { address: string; outcome: TwilioOutcome } }>(
    '/__sim/twilio/outcomes',
    async ({ body }, reply) => {
      outcomes.set(body.address, body.outcome);
      return reply.code(204).send();
    },
  );
  app.post<{ Body: { url: string } }>('/__sim/twilio/webhook', async ({ body }, reply) => {
    webhookUrl = body.url;
    return reply.code(204).send();
  });
  app.post<{ Body: { address: string; text: string } }>(
    '/__sim/twilio/replies',
    async ({ body }, reply) => {
      say(body.address, body.text);
      return reply.code(204).send();
    },
  );

  const url = await listen(app, options.port);
  return {
    url,
    messages: () => messages,
    faults: control.set,
    outcome: (address, outcome) => {
      outcomes.set(address, outcome);
    },
    suspend: (is) => {
      isSuspended = is;
    },
    webhookTo: (target) => {
      webhookUrl = target;
    },
    say,
    advance: control.advance,
    settled: poster.settled,
    clear,
    close: () => app.close(),
  };
}

export function twilioSignature(authToken: string, url: string, fields: Form): string {
  const signed = Object.keys(fields)
    .sort()
    .map((key) => key + fields[key])
    .join('');
  return createHmac('sha1', authToken)
    .update(url + signed)
    .digest('base64');
}

function errorOf(code: number): { code: number; message: string } {
  return { code, message: 'Simulated' };
}

/** Why a form is refused; null: it is not. */
function faultOf({ To = '', From, MessagingServiceSid, Body, ContentSid }: Form): number | null {
  if (!/^(whatsapp:)?\+[1-9]\d{6,14}$/.test(To)) return 21211;
  if (From === undefined && MessagingServiceSid === undefined) return 21603;
  if (ContentSid === undefined && (Body ?? '') === '') return 21602;
  return (Body ?? '').length > 1600 ? 21617 : null;
}
