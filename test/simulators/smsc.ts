import { createHash } from 'node:crypto';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { type Charset, encodeCp1251 } from '../../src/channels/smsc/cp1251.ts';
import {
  addControlRoutes,
  type Control,
  createControl,
  type Faults,
  listen,
  type SimulatorOptions,
} from './control.ts';
import { createPoster, type Poster } from './poster.ts';
import {
  type AccountOptions,
  createSmscAccount,
  decimal,
  error,
  type SmscAccount,
  type SmscMessage,
} from './smsc-account.ts';
import { digits, paramsOf } from './smsc-params.ts';

export type { SmscMessage } from './smsc-account.ts';

/** SMSC.ru as channels.md section 1 describes it: what it takes, refuses, answers and calls back. */

export interface SmscCallback {
  url: string;
  secret: string;
  signature?: 'md5' | 'sha1';
  charset?: 'utf-8' | 'windows-1251';
  fmt?: 'form' | 'json';
}

export interface SmscOptions extends SimulatorOptions, AccountOptions {
  callback?: SmscCallback;
}

export interface SmscSimulator {
  url: string;
  messages(): readonly SmscMessage[];
  faults(faults: Faults): void;
  /** What becomes of messages to that number from now on; 1 (delivered) unless told. */
  outcome(phone: string, status: number, err?: number): void;
  callbackTo(callback: SmscCallback | null): void;
  /** A patient writes back. */
  reply(phone: string, text: string, to?: string): void;
  advance(ms: number): void;
  balanceMicros(): number;
  topUp(amount: number): void;
  settled(): Promise<void>;
  clear(): void;
  close(): Promise<void>;
}

const parallelMax = 15;

export async function startSmscSimulator(options: SmscOptions = {}): Promise<SmscSimulator> {
  const control = createControl(options);
  const account = createSmscAccount(options, control);
  const poster = createPoster(control.random);
  const caller = createCaller(control, poster, options.callback ?? null);
  const app = Fastify({ bodyLimit: 16_777_216, forceCloseConnections: true });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  addProviderRoutes(app, { control, account, caller, isLimited: options.limits !== false });
  await app.register(async (levers) => addLevers(levers, control, account, caller));
  const url = await listen(app, options.port);
  return {
    url,
    messages: account.messages,
    faults: control.set,
    outcome: account.outcome,
    callbackTo: caller.callTo,
    reply: caller.tellReply,
    advance: control.advance,
    balanceMicros: account.balanceMicros,
    topUp: account.topUp,
    settled: poster.settled,
    clear: account.clear,
    close: () => app.close(),
  };
}

interface Parts {
  control: Control;
  account: SmscAccount;
  caller: Caller;
  isLimited: boolean;
}

function addProviderRoutes(app: FastifyInstance, parts: Parts): void {
  const { control, account, caller, isLimited } = parts;
  let parallel = 0;

  const onSend = async (request: FastifyRequest, reply: FastifyReply) => {
    parallel += 1;
    try {
      if (await control.before(request, reply)) return reply;
      const params = paramsOf(request);
      const wrong = account.authError(params);
      if (wrong) return wrong;
      if (isLimited && parallel > parallelMax) return error(9, 'too many concurrent requests');
      const { answer, taken } = account.send(params);
      const isAnswered = taken.length > 0 && control.after(request, reply);
      for (const message of taken) caller.tellStatus(message);
      return isAnswered ? reply : answer;
    } finally {
      parallel -= 1;
    }
  };
  const onQuery = (page: 'status' | 'balance') => async (request: FastifyRequest) => {
    const params = paramsOf(request);
    return account.authError(params) ?? account[page](params);
  };

  const method = ['GET', 'POST'];
  app.route({ method, url: '/sys/send.php', handler: onSend });
  app.route({ method, url: '/sys/status.php', handler: onQuery('status') });
  app.route({ method, url: '/sys/balance.php', handler: onQuery('balance') });
  app.post('/rest/send/', onSend);
}

function addLevers(
  app: FastifyInstance,
  control: Control,
  account: SmscAccount,
  caller: Caller,
): void {
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) =>
    done(null, JSON.parse(String(body))),
  );
  addControlRoutes(app, 'smsc', { control, messages: account.messages, clear: account.clear });
  app.post<{ Body: { phone: string; status: number; err?: number } }>(
    '/__sim/smsc/outcomes',
    async ({ body }, reply) => {
      account.outcome(body.phone, body.status, body.err);
      return reply.code(204).send();
    },
  );
  app.post<{ Body: SmscCallback }>('/__sim/smsc/callback', async ({ body }, reply) => {
    caller.callTo(body);
    return reply.code(204).send();
  });
  app.post<{ Body: { phone: string; text: string; to?: string } }>(
    '/__sim/smsc/replies',
    async ({ body }, reply) => {
      caller.tellReply(body.phone, body.text, body.to);
      return reply.code(204).send();
    },
  );
}

interface Caller {
  callTo(callback: SmscCallback | null): void;
  tellStatus(message: SmscMessage): void;
  tellReply(phone: string, text: string, to?: string): void;
}

/** Calls the account's handler address, signed. */
function createCaller(control: Control, poster: Poster, first: SmscCallback | null): Caller {
  let callback = first;

  const call = (fields: Record<string, string | number>, signed: string) => {
    if (!callback) return;
    const { url, secret, signature = 'md5', charset = 'utf-8', fmt = 'form' } = callback;
    const text = `${signed}:${control.strikes('callbackBadSignature') ? 'forged' : secret}`;
    const digest = createHash(signature).update(bytesOf(text, charset)).digest('hex');
    const all = { ...fields, [signature]: digest };
    const target = new URL(url);
    if (charset === 'utf-8') target.searchParams.set('charset', 'utf-8');
    const isJson = fmt === 'json';
    const type = isJson ? 'application/json' : 'application/x-www-form-urlencoded';
    const body = isJson ? JSON.stringify(all) : formOf(all, charset);
    poster.post(
      { url: target.href, headers: { 'content-type': type }, body },
      control.callbackFaults(),
    );
  };

  return {
    callTo: (target) => {
      callback = target;
    },
    tellStatus: ({ clientRef: id, phone, status, err, parts, costMicros }) => {
      const ageSeconds = control.strikes('callbackOldTimestamp') ? 86_400 : 0;
      const ts = Math.floor(control.nowMs() / 1000) - ageSeconds;
      const cost = decimal(costMicros);
      call({ id, phone, status, err, ts, cnt: parts, cost, type: 0 }, `${id}:${phone}:${status}`);
    },
    tellReply: (phone, mes, to = '79037676757') => {
      const from = digits(phone);
      const ts = Math.floor(control.nowMs() / 1000);
      call({ phone: from, mes, to, ts }, `${from}:${mes}:${to}`);
    },
  };
}

function bytesOf(text: string, charset: Charset): Buffer {
  return charset === 'utf-8' ? Buffer.from(text) : encodeCp1251(text);
}

function formOf(fields: Record<string, string | number>, charset: Charset): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${percentEncoded(bytesOf(String(value), charset))}`)
    .join('&');
}

function percentEncoded(bytes: Buffer): string {
  return Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
}
