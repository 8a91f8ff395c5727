import { createHash } from 'node:crypto';
import { smsLength } from '../../src/channels/sms-length.ts';
import type { Control } from './control.ts';
import {
  digits,
  isClientId,
  isPhone,
  listOf,
  type Pair,
  type Params,
  pairsOf,
} from './smsc-params.ts';

/** One account at SMSC.ru: its money, its messages, and what it is refused. */

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

export interface AccountOptions {
  /** Any is taken unless one is named. */
  apiKey?: string;
  login?: string;
  password?: string;
  balance?: number;
  pricePerPart?: number;
  limits?: boolean;
}

export interface SmscAccount {
  messages(): readonly SmscMessage[];
  balanceMicros(): number;
  topUp(amount: number): void;
  outcome(phone: string, status: number, err?: number): void;
  /** Why this login gets nothing; null: it is right. */
  authError(params: Params): object | null;
  /** The answer, and what was taken with it. */
  send(params: Params): { answer: object; taken: SmscMessage[] };
  status(params: Params): unknown;
  balance(params: Params): object;
  clear(): void;
}

const minuteMs = 60_000;
const micros = 1_000_000;

export function createSmscAccount(options: AccountOptions, control: Control): SmscAccount {
  const price = Math.round((options.pricePerPart ?? 1.44) * micros);
  const outcomes = new Map<string, { status: number; err: number }>();
  const limits = createLimits(control, options.limits !== false);
  let messages: SmscMessage[] = [];
  let latest = new Map<string, SmscMessage>();
  let balance = (options.balance ?? 1_000_000) * micros;

  const costOf = ({ phone, text }: Pair) => (isPhone(phone) ? smsLength(text).segments * price : 0);

  const take = (params: Params, { phone, text }: Pair): SmscMessage => {
    const number = messages.length + 1;
    const message: SmscMessage = {
      number,
      clientRef: params.id ?? String(number),
      phone,
      text,
      sender: params.sender ?? '',
      parts: smsLength(text).segments,
      costMicros: costOf({ phone, text }),
      atMs: control.nowMs(),
      valid: params.valid ?? '24:00',
      ...(outcomes.get(phone) ?? { status: 1, err: 0 }),
    };
    messages.push(message);
    // Of two equal ids a status query answers for the latest.
    latest.set(`${message.clientRef}/${phone}`, message);
    balance -= message.costMicros;
    return message;
  };

  const statusOf = (id: string, phone: string, isNamed: boolean) => {
    const message = latest.get(`${id}/${phone}`);
    const name = isNamed ? { id, phone } : {};
    if (!message) return { status: -3, last_date: '', last_timestamp: 0, err: 0, ...name };
    const { status, err, atMs } = message;
    const last = Math.floor(atMs / 1000);
    return { status, last_date: moscowTime(atMs), last_timestamp: last, err, ...name };
  };

  return {
    messages: () => messages,
    balanceMicros: () => balance,
    topUp: (amount) => {
      balance += amount * micros;
    },
    outcome: (phone, status, err = 0) => {
      outcomes.set(digits(phone), { status, err });
    },
    authError: (params) => (isAllowed(params, options) ? null : error(2, 'authorise error')),
    send: (params) => {
      const refuse = (answer: object) => ({ answer, taken: [] });
      const pairs = pairsOf(params);
      const { id } = params;
      if (!pairs || (id !== undefined && !isClientId(id)))
        return refuse(error(1, 'parameters error'));
      const good = pairs.filter(({ phone }) => isPhone(phone));
      const cost = good.reduce((sum, pair) => sum + costOf(pair), 0);
      const cnt = good.reduce((sum, { text }) => sum + smsLength(text).segments, 0);
      if (params.cost === '1') {
        const isFlood = limits.isTooOften(`cost:${JSON.stringify(pairs)}`, 5);
        return refuse(isFlood ? error(9, 'duplicate request') : { cost: decimal(cost), cnt });
      }
      const known = id === undefined ? {} : { id };
      if (good.length === 0) return refuse({ ...error(7, 'invalid number'), ...known });
      if (cost > balance) return refuse({ ...error(3, 'not enough money'), ...known });
      if (limits.isTooOften(twinKey(params), 1)) return refuse(error(9, 'duplicate request'));
      const taken = good.map((pair) => take(params, pair));
      const phones = pairs.map((pair) => ({
        phone: pair.phone,
        mccmnc: '25001',
        cost: decimal(costOf(pair)),
        status: '',
        error: isPhone(pair.phone) ? '' : '7',
      }));
      const answer = {
        id: id ?? messages.length,
        cnt,
        ...(Number(params.cost ?? 0) >= 2 ? { cost: decimal(cost) } : {}),
        ...(params.cost === '3' ? { balance: decimal(balance) } : {}),
        ...(params.op === '1' ? { phones } : {}),
      };
      return { answer, taken };
    },
    status: (params) => {
      const phones = listOf(params.phone ?? '');
      const ids = listOf(params.id ?? '');
      if (phones.length === 0 || phones.length !== ids.length) return error(1, 'parameters error');
      const isList = (params.id ?? '').includes(',');
      const isMass = phones.length > 1;
      const key = isMass ? 'mass' : `status:${ids[0]}/${phones[0]}`;
      if (limits.isTooOften(key, isMass ? 1 : 5)) return error(9, 'too frequent');
      const answers = phones.map((phone, at) => statusOf(ids[at] ?? '', digits(phone), isList));
      return isList ? answers : answers[0];
    },
    balance: (params) => {
      if (limits.isTooOften('balance', 10)) return error(9, 'too frequent');
      return { balance: decimal(balance), ...(params.cur === '1' ? { currency: 'RUB' } : {}) };
    },
    clear: () => {
      messages = [];
      latest = new Map();
      limits.clear();
    },
  };
}

/** Calls under one key within a minute of the simulator's own clock. */
function createLimits(control: Control, isOn: boolean) {
  const times = new Map<string, number[]>();
  return {
    isTooOften: (key: string, max: number): boolean => {
      if (!isOn) return false;
      const since = control.nowMs() - minuteMs;
      const recent = (times.get(key) ?? []).filter((time) => time > since);
      recent.push(control.nowMs());
      // Taken out and put back, so that the oldest come first and are forgotten first.
      times.delete(key);
      times.set(key, recent);
      for (const [old, oldTimes] of times) {
        if ((oldTimes.at(-1) ?? 0) > since) break;
        times.delete(old);
      }
      return recent.length > max;
    },
    clear: () => times.clear(),
  };
}

function twinKey({ phones = '', mes = '', list = '', sender = '' }: Params): string {
  const content = JSON.stringify([phones, mes, list, sender]);
  return `twin:${createHash('sha1').update(content).digest('base64')}`;
}

function isAllowed({ apikey, login, psw }: Params, options: AccountOptions): boolean {
  if (options.apiKey === undefined && options.login === undefined) {
    return Boolean(apikey || (login && psw));
  }
  if (options.apiKey !== undefined && apikey === options.apiKey) return true;
  const md5 = createHash('md5')
    .update(options.password ?? '')
    .digest('hex');
  const isPassword = psw === options.password || psw === md5;
  return options.login !== undefined && login === options.login && isPassword;
}

export function error(code: number, text: string): { error: string; error_code: number } {
  return { error: text, error_code: code };
}

export function decimal(amountMicros: number): string {
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
