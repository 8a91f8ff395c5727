import { createHash } from 'node:crypto';
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import { smsLength } from '../../src/channels/sms-length.ts';
import { decodeBytes, encodeCp1251, parseForm } from '../../src/channels/smsc/cp1251.ts';
import {
  addControlRoutes,
  createControl,
  createPoster,
  type Faults,
  listen,
  type SimulatorOptions,
} from './control.ts';

/** SMSC.ru as channels.md section 1 describes it: what it takes, refuses, answers and calls back. */

export interface SmscCallback {
  url: string;
  secret: string;
  signature?: 'md5' | 'sha1';
  charset?: 'utf-8' | 'windows-1251';
  fmt?: 'form' | 'json';
}

export interface SmscMessage {
  /** Counts up; the order in which messages were taken. */
  number: number;
  clientRef: string;
  /** Digits without the plus, as SMSC.ru keeps it. */
  phone: string;
  text: string;
  sender: string;
  parts: number;
  costMicros: number;
  atMs: number;
  valid: string;
  status: number;
  err: number;
}

export interface SmscOptions extends SimulatorOptions {
  /** Any is taken unless one is named. */
  apiKey?: string;
  login?: string;
  password?: string;
  balance?: number;
  pricePerPart?: number;
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
  settled(): Promise<void>;
  clear(): void;
  close(): Promise<void>;
}

type Params = Record<string, string>;

const duplicateWindowMs = 60_000;
const parallelMax = 15;
const charactersMax = 1000;
const micros = 1_000_000;

export async function startSmscSimulator(options: SmscOptions = {}): Promise<SmscSimulator> {
  const control = createControl(options);
  const poster = createPoster(control.random);
  const isLimited = options.limits !== false;
  const outcomes = new Map<string, { status: number; err: number }>();
  const recent = new Map<string, number>();
  const asked = new Map<string, number[]>();
  let callback = options.callback ?? null;
  let messages: SmscMessage[] = [];
  let latest = new Map<string, SmscMessage>();
  let balance = (options.balance ?? 1_000_000) * micros;
  let parallel = 0;
  const price = Math.round((options.pricePerPart ?? 1.44) * micros);

  const app = Fastify({ bodyLimit: 16_777_216, forceCloseConnections: true });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  /** More than `max` within a minute under that key. */
  const isTooOften = (key: string, max: number): boolean => {
    if (!isLimited) return false;
    const since = control.nowMs() - duplicateWindowMs;
    const times = (asked.get(key) ?? []).filter((time) => time > since);
    times.push(control.nowMs());
    asked.set(key, times);
    return times.length > max;
  };

  const isTwin = (params: Params): boolean => {
    if (!isLimited) return false;
    const { phones = '', mes = '', list = '', sender = '' } = params;
    const key = createHash('sha1')
      .update(JSON.stringify([phones, mes, list, sender]))
      .digest('base64');
    const now = control.nowMs();
    const before = recent.get(key);
    recent.delete(key);
    recent.set(key, now);
    for (const [old, time] of recent) {
      if (time > now - duplicateWindowMs) break;
      recent.delete(old);
    }
    return before !== undefined && before > now - duplicateWindowMs;
  };

  const tell = (message: SmscMessage) => {
    if (!callback) return;
    const { clientRef: id, phone, status, err } = message;
    const isOld = control.strikes('callbackOldTimestamp');
    const ts = Math.floor(control.nowMs() / 1000) - (isOld ? 86_400 : 0);
    const cost = decimal(message.costMicros);
    const fields = { id, phone, status, err, ts, cnt: message.parts, cost, type: '0' };
    call(fields, `${id}:${phone}:${status}`);
  };

  const call = (fields: Record<string, string | number>, signed: string) => {
    if (!callback) return;
    const { url, secret, signature = 'md5', charset = 'utf-8', fmt = 'form' } = callback;
    const text = `${signed}:${control.strikes('callbackBadSignature') ? 'forged' : secret}`;
    const bytes = charset === 'utf-8' ? Buffer.from(text) : encodeCp1251(text);
    const all = { ...fields, [signature]: createHash(signature).update(bytes).digest('hex') };
    const target = new URL(url);
    if (charset === 'utf-8') target.searchParams.set('charset', 'utf-8');
    const isJson = fmt === 'json';
    poster.post(
      {
        url: target.href,
        headers: {
          'content-type': isJson ? 'application/json' : 'application/x-www-form-urlencoded',
        },
        body: isJson ? JSON.stringify(all) : formOf(all, charset),
      },
      control.callbackFaults(),
    );
  };

  const take = (params: Params, phone: string, text: string): SmscMessage => {
    const parts = smsLength(text).segments;
    const { status, err } = outcomes.get(phone) ?? { status: 1, err: 0 };
    const message: SmscMessage = {
      number: messages.length + 1,
      clientRef: params.id ?? String(messages.length + 1),
      phone,
      text,
      sender: params.sender ?? '',
      parts,
      costMicros: parts * price,
      atMs: control.nowMs(),
      valid: params.valid ?? '24:00',
      status,
      err,
    };
    messages.push(message);
    latest.set(`${message.clientRef}/${phone}`, message);
    balance -= message.costMicros;
    return message;
  };

  const authError = ({ apikey, login, psw }: Params): object | null => {
    const isNamed = options.apiKey !== undefined || options.login !== undefined;
    const md5 = createHash('md5')
      .update(options.password ?? '')
      .digest('hex');
    const isRight = isNamed
      ? (options.apiKey !== undefined && apikey === options.apiKey) ||
        (options.login !== undefined &&
          login === options.login &&
          (psw === options.password || psw === md5))
      : Boolean(apikey || (login && psw));
    return isRight ? null : error(2, 'authorise error');
  };

  const onSend = async (request: FastifyRequest, reply: FastifyReply) => {
    parallel += 1;
    try {
      if (await control.before(request, reply)) return reply;
      const params = paramsOf(request);
      const wrong = authError(params);
      if (wrong) return wrong;
      if (isLimited && parallel > parallelMax) return error(9, 'too many concurrent requests');
      return send(params, request, reply);
    } finally {
      parallel -= 1;
    }
  };

  const send = (params: Params, request: FastifyRequest, reply: FastifyReply) => {
    const pairs = pairsOf(params);
    const id = params.id;
    if (!pairs || (id !== undefined && !isClientId(id))) return error(1, 'parameters error');
    const good = pairs.filter(({ phone }) => isPhone(phone));
    const cost = good.reduce((sum, { text }) => sum + smsLength(text).segments * price, 0);
    const parts = good.reduce((sum, { text }) => sum + smsLength(text).segments, 0);
    if (params.cost === '1') {
      if (isTooOften(`cost:${JSON.stringify(pairs)}`, 5)) return error(9, 'duplicate request');
      return { cost: decimal(cost), cnt: parts };
    }
    const known = id === undefined ? {} : { id };
    if (good.length === 0) return { ...error(7, 'invalid number'), ...known };
    if (cost > balance) return { ...error(3, 'not enough money'), ...known };
    if (isTwin(params)) return error(9, 'duplicate request');
    const taken = good.map(({ phone, text }) => take(params, phone, text));
    const isAnswered = control.after(request, reply);
    for (const message of taken) tell(message);
    return isAnswered ? reply : sendAnswer(params, pairs, parts, cost);
  };

  const sendAnswer = (params: Params, pairs: Pair[], cnt: number, cost: number) => ({
    id: params.id ?? messages.length,
    cnt,
    ...(Number(params.cost ?? 0) >= 2 ? { cost: decimal(cost) } : {}),
    ...(params.cost === '3' ? { balance: decimal(balance) } : {}),
    ...(params.op === '1'
      ? {
          phones: pairs.map(({ phone, text }) => ({
            phone,
            mccmnc: '25001',
            cost: isPhone(phone) ? decimal(smsLength(text).segments * price) : '0',
            status: '',
            error: isPhone(phone) ? '' : '7',
          })),
        }
      : {}),
  });

  const onStatus = async (request: FastifyRequest) => {
    const params = paramsOf(request);
    const wrong = authError(params);
    if (wrong) return wrong;
    const phones = listOf(params.phone ?? '');
    const ids = listOf(params.id ?? '');
    if (phones.length === 0 || phones.length !== ids.length) return error(1, 'parameters error');
    const isMass = (params.id ?? '').includes(',');
    const key = phones.length > 1 ? 'mass' : `status:${ids[0]}/${phones[0]}`;
    if (isTooOften(key, phones.length > 1 ? 1 : 5)) return error(9, 'too frequent');
    const answers = phones.map((phone, index) => statusOf(ids[index] ?? '', digits(phone), isMass));
    return isMass ? answers : answers[0];
  };

  const statusOf = (id: string, phone: string, isMass: boolean) => {
    const message = latest.get(`${id}/${phone}`);
    const name = isMass ? { id, phone } : {};
    if (!message) return { status: -3, last_date: '', last_timestamp: 0, err: 0, ...name };
    const last = Math.floor(message.atMs / 1000);
    const { status, err } = message;
    return { status, last_date: moscowTime(message.atMs), last_timestamp: last, err, ...name };
  };

  const onBalance = async (request: FastifyRequest) => {
    const params = paramsOf(request);
    const wrong = authError(params);
    if (wrong) return wrong;
    if (isTooOften('balance', 10)) return error(9, 'too frequent');
    const currency = params.cur === '1' ? { currency: 'RUB' } : {};
    return { balance: decimal(balance), ...currency };
  };

  const clear = () => {
    messages = [];
    latest = new Map();
    recent.clear();
    asked.clear();
  };
  const setOutcome = (phone: string, status: number, err = 0) => {
    outcomes.set(digits(phone), { status, err });
  };
  const answerBack = (phone: string, text: string, to = '79037676757') => {
    const sender = digits(phone);
    call(
      { phone: sender, mes: text, to, ts: Math.floor(control.nowMs() / 1000) },
      `${sender}:${text}:${to}`,
    );
  };

  app.route({ method: ['GET', 'POST'], url: '/sys/send.php', handler: onSend });
  app.route({ method: ['GET', 'POST'], url: '/sys/status.php', handler: onStatus });
  app.route({ method: ['GET', 'POST'], url: '/sys/balance.php', handler: onBalance });
  app.post('/rest/send/', onSend);
  await app.register(async (levers) => {
    levers.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) =>
      done(null, JSON.parse(String(body))),
    );
    addControlRoutes(levers, 'smsc', { control, messages: () => messages, clear });
    levers.post<{ Body: { phone: string; status: number; err?: number } }>(
      '/__sim/smsc/outcomes',
      async ({ body }, reply) => {
        setOutcome(body.phone, body.status, body.err);
        return reply.code(204).send();
      },
    );
    levers.post<{ Body: SmscCallback }>('/__sim/smsc/callback', async ({ body }, reply) => {
      callback = body;
      return reply.code(204).send();
    });
    levers.post<{ Body: { phone: string; text: string; to?: string } }>(
      '/__sim/smsc/replies',
      async ({ body }, reply) => {
        answerBack(body.phone, body.text, body.to);
        return reply.code(204).send();
      },
    );
  });

  const url = await listen(app, options.port);
  return {
    url,
    messages: () => messages,
    faults: control.set,
    outcome: setOutcome,
    callbackTo: (target) => {
      callback = target;
    },
    reply: answerBack,
    advance: control.advance,
    balanceMicros: () => balance,
    settled: poster.settled,
    clear,
    close: () => app.close(),
  };
}

interface Pair {
  phone: string;
  text: string;
}

/** One message for each number; null: nothing that could be sent. */
function pairsOf({ phones, mes, list }: Params): Pair[] | null {
  const pairs =
    list === undefined
      ? listOf(phones ?? '').map((phone) => ({ phone: digits(phone), text: mes ?? '' }))
      : list.split('\n').filter(Boolean).map(pairOfLine);
  const isFit = pairs.every(({ text }) => text !== '' && text.length <= charactersMax);
  return pairs.length > 0 && isFit ? pairs : null;
}

function pairOfLine(line: string): Pair {
  const colon = line.indexOf(':');
  const text = line.slice(colon + 1).replaceAll('\\n', '\n');
  return colon === -1 ? { phone: '', text } : { phone: digits(line.slice(0, colon)), text };
}

function listOf(text: string): string[] {
  return text
    .split(/[,;]/)
    .map((item) => item.trim())
    .filter(Boolean);
}

function digits(phone: string): string {
  return phone.replace(/\D/g, '');
}

function isPhone(phone: string): boolean {
  return /^[1-9]\d{9,14}$/.test(phone);
}

function isClientId(id: string): boolean {
  return /^[A-Za-z0-9._-]{1,40}$/.test(id);
}

function error(code: number, text: string): { error: string; error_code: number } {
  return { error: text, error_code: code };
}

/** Query and body together, both in the charset that they name, Windows-1251 if they name none. */
function paramsOf(request: FastifyRequest): Params {
  const query = request.raw.url?.split('?')[1] ?? '';
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  const isJson = request.headers['content-type']?.includes('json') === true;
  if (isJson) {
    const fields = JSON.parse(body.toString('utf8')) as Record<string, unknown>;
    return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, String(value)]));
  }
  const form = [query, body.toString('latin1')].filter(Boolean).join('&');
  const charset = /(?:^|&)charset=utf-?8(?:&|$)/i.test(form) ? 'utf-8' : 'windows-1251';
  return parseForm(form, charset);
}

function formOf(
  fields: Record<string, string | number>,
  charset: 'utf-8' | 'windows-1251',
): string {
  return Object.entries(fields)
    .map(([name, value]) => {
      const text = String(value);
      const bytes = charset === 'utf-8' ? Buffer.from(text) : encodeCp1251(text);
      const hex = Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
      return `${name}=${/^[\w.-]*$/.test(decodeBytes(bytes, charset)) ? text : hex}`;
    })
    .join('&');
}

function decimal(amountMicros: number): string {
  return (amountMicros / micros).toFixed(2);
}

function moscowTime(atMs: number): string {
  const time = Temporal.Instant.fromEpochMilliseconds(Math.floor(atMs)).toZonedDateTimeISO(
    'Europe/Moscow',
  );
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${two(time.day)}.${two(time.month)}.${time.year}`;
  return `${day} ${two(time.hour)}:${two(time.minute)}:${two(time.second)}`;
}
