import { createHmac, timingSafeEqual } from 'node:crypto';
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import {
  addControlRoutes,
  createControl,
  type Faults,
  listen,
  type SimulatorOptions,
} from './control.ts';
import { createPoster } from './poster.ts';

/**
 * A receiver of Standard Webhooks as a host would write it: it checks the signature, keeps the ids it has seen, and
 * can answer whatever a receiver may answer. It is the host's webhook, and the provider of the channel `webhook`.
 */

export interface WebhookOptions extends SimulatorOptions {
  /** Any of them is believed; none: nothing is checked. */
  secrets?: readonly string[];
  /** Where receipts and replies go. */
  callbackUrl?: string;
}

/** One call, however it was answered. */
export interface WebhookCall {
  id: string;
  /** Seconds. */
  timestamp: number;
  signature: string;
  isSigned: boolean;
  headers: Record<string, string>;
  body: string;
  json: WebhookBody;
}

export interface WebhookBody {
  id?: string;
  type?: string;
  timestamp?: string;
  data?: Record<string, unknown>;
}

export interface WebhookSimulator {
  /** Where to post. */
  url: string;
  /** All calls that came whole, in order. */
  calls(): readonly WebhookCall[];
  /** What was taken, each id once, in the order of its first arrival. */
  taken(): readonly WebhookCall[];
  faults(faults: Faults): void;
  /** Answers with that until told otherwise; null: as usual. */
  answerWith(
    answer: { status: number; headers?: Record<string, string>; body?: string } | null,
  ): void;
  /** Done with each call before it is answered, as a receiver would that asks something first. */
  onCall(work: ((call: WebhookCall) => Promise<void>) | null): void;
  trust(secrets: readonly string[]): void;
  callbackTo(url: string | null): void;
  /** Tells us something, signed. */
  tell(body: object, id?: string): void;
  settled(): Promise<void>;
  clear(): void;
  close(): Promise<void>;
}

export async function startWebhookSimulator(
  options: WebhookOptions = {},
): Promise<WebhookSimulator> {
  const control = createControl(options);
  const poster = createPoster(control.random);
  let secrets = options.secrets ?? [];
  let callbackUrl = options.callbackUrl ?? null;
  let calls: WebhookCall[] = [];
  let taken = new Map<string, WebhookCall>();
  let fixed: Parameters<WebhookSimulator['answerWith']>[0] = null;
  let work: Parameters<WebhookSimulator['onCall']>[0] = null;
  let told = 0;

  const app = Fastify({ forceCloseConnections: true });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) =>
    done(null, body),
  );

  const onCall = async (request: FastifyRequest, reply: FastifyReply) => {
    if (await control.before(request, reply)) return reply;
    const call = readCall(request, secrets);
    calls.push(call);
    await work?.(call);
    if (!call.isSigned) return reply.code(401).send({ error: 'signature' });
    if (fixed !== null) {
      return reply
        .code(fixed.status)
        .headers(fixed.headers ?? {})
        .send(fixed.body ?? '');
    }
    if (!taken.has(call.id)) taken.set(call.id, call);
    return control.after(request, reply) ? reply : reply.code(204).send();
  };
  app.post('/hook', onCall);
  app.get('/hook', async (request, reply) => {
    if (await control.before(request, reply)) return reply;
    return { ok: true };
  });

  const clear = () => {
    calls = [];
    taken = new Map();
  };
  await app.register(async (levers) => {
    // Calls are kept as the bytes that were signed; levers are plain JSON.
    levers.removeAllContentTypeParsers();
    levers.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) =>
      done(null, JSON.parse(String(body))),
    );
    addControlRoutes(levers, 'webhook', {
      control,
      messages: () => [...taken.values()].map(({ json }) => json),
      clear,
    });
    levers.post<{ Body: { secrets: string[] } }>(
      '/__sim/webhook/secrets',
      async ({ body }, reply) => {
        secrets = body.secrets;
        return reply.code(204).send();
      },
    );
  });

  const tell = (body: object, id?: string) => {
    told += 1;
    const callId = id ?? `tell-${told}`;
    const [secret] = secrets;
    if (callbackUrl === null || secret === undefined) return;
    const text = JSON.stringify(body);
    const age = control.strikes('callbackOldTimestamp') ? 3600 : 0;
    const timestamp = String(Math.floor(control.nowMs() / 1000) - age);
    const signed = control.strikes('callbackBadSignature') ? `${text} ` : text;
    const signature = `v1,${macOf(secret, `${callId}.${timestamp}.${signed}`).toString('base64')}`;
    const headers = {
      'content-type': 'application/json',
      'webhook-id': callId,
      'webhook-timestamp': timestamp,
      'webhook-signature': signature,
    };
    poster.post({ url: callbackUrl, headers, body: text }, control.callbackFaults());
  };

  const url = await listen(app, options.port);
  return {
    url: `${url}/hook`,
    calls: () => calls,
    taken: () => [...taken.values()],
    faults: control.set,
    answerWith: (answer) => {
      fixed = answer;
    },
    onCall: (todo) => {
      work = todo;
    },
    trust: (trusted) => {
      secrets = trusted;
    },
    callbackTo: (target) => {
      callbackUrl = target;
    },
    tell,
    settled: poster.settled,
    clear,
    close: () => app.close(),
  };
}

function readCall(request: FastifyRequest, secrets: readonly string[]): WebhookCall {
  const headers = request.headers as Record<string, string>;
  const body = String(request.body ?? '');
  const id = headers['webhook-id'] ?? '';
  const timestamp = headers['webhook-timestamp'] ?? '';
  const signature = headers['webhook-signature'] ?? '';
  const signed = `${id}.${timestamp}.${body}`;
  const given = signature.split(' ').map((each) => Buffer.from(each.replace(/^v1,/, ''), 'base64'));
  const isSigned =
    secrets.length === 0 ||
    secrets.some((secret) => given.some((each) => isEqual(each, macOf(secret, signed))));
  return {
    id,
    timestamp: Number(timestamp),
    signature,
    isSigned,
    headers,
    body,
    json: parse(body),
  };
}

function parse(body: string): WebhookBody {
  try {
    return JSON.parse(body) as WebhookBody;
  } catch {
    return {};
  }
}

/** Written by the specification, apart from ours, so that each proves the other. */
function macOf(secret: string, signed: string): Buffer {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  return createHmac('sha256', key).update(signed).digest();
}

function isEqual(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}
