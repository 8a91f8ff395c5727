/**
 * `node src/main.ts demo`: the service on an embedded database of its own, a test clinic, and ninety days of
 * its clock. Everything goes through the HTTP API, as from a clinic's system; the people are invented.
 */
import * as fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { GeneratorOptions } from '../bench/generator.ts';
import { createLife, type Life, type LifeEvent } from '../bench/life.ts';
import { locales } from '../bench/locales.ts';
import { random } from '../bench/random.ts';
import { roles, serve } from './api/serve.ts';
import { readConfig } from './config.ts';
import { createLog } from './log.ts';
import { createProgress, type ProgressOutput } from './progress.ts';
import { formatTable, type TextColumn } from './text-table.ts';

const days = 90;
const firstDay = Temporal.PlainDate.from('2026-03-02');
const locale = locales.ru;
/** After the morning's messages, and when the last patient has left. */
const pauses = ['12:00', '18:50'] as const;
const options: GeneratorOptions = {
  seed: 2026,
  language: 'ru',
  from: Temporal.Instant.from('2023-03-02T00:00:00Z'),
  until: at(firstDay.add({ days }), '00:00'),
  patients: 500,
};

const recall = {
  name: 'Recall after half a year',
  purpose: 'care',
  trigger: { type: 'visit', after: 'P180D' },
  audience: { not: { tags: ['debtor'] } },
  sendAt: '10:00',
  steps: [
    { channel: 'sms', template: 'recall' },
    { channel: 'task', template: 'recall', after: 'P7D' },
  ],
};
const reminder = {
  name: 'Reminder the day before',
  purpose: 'transactional',
  trigger: { type: 'appointment', before: 'P1D' },
  sendAt: '17:00',
  steps: [{ channel: 'sms', template: 'reminder' }],
};
const birthday = {
  name: 'Birthday greeting',
  purpose: 'marketing',
  trigger: { type: 'birthday' },
  sendAt: '11:00',
  steps: [{ channel: 'sms', template: 'birthday' }],
};
const followUp = {
  name: 'Follow-up in the evening',
  purpose: 'transactional',
  trigger: { type: 'visit', after: 'PT1H' },
  sendAt: '19:30',
  steps: [{ channel: 'email', template: 'follow-up' }],
};
const rules = [recall, reminder, birthday, followUp];

/** How likely a message makes its reader book. */
const willingness: Readonly<Record<string, number>> = {
  [`${recall.name} sms`]: 0.24,
  [`${recall.name} task`]: 0.35,
  [`${birthday.name} sms`]: 0.05,
};
const stopShare = 0.015;

interface Message {
  id: string;
  ruleId: string | null;
  patientId: string;
  occurrence: string | null;
  step: number | null;
  channel: string;
  state: string;
  reason: string | null;
  scheduledAt: string;
  sentAt: string | null;
  text: string | null;
}

type Call = <T>(method: 'GET' | 'POST' | 'PUT', url: string, body?: unknown) => Promise<T>;

interface Demo {
  call: Call;
  life: Life;
  /** The rules' names by id. */
  names: Map<string, string>;
  output: ProgressOutput;
  /** The first text of each rule and channel. */
  samples: Map<string, string>;
}

/** What the demo itself saw, to tell of a few people by name. */
interface Return {
  patientId: string;
  rule: string;
  sentAt: string;
  bookedAt: number;
  startsAt: number;
  amount: string;
}

export async function demo(output: ProgressOutput = process.stdout): Promise<void> {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'retorno-demo-'));
  const config = readConfig({
    RETORNO_DATA_DIR: directory,
    RETORNO_PORT: '0',
    RETORNO_LOG_LEVEL: 'error',
  });
  const service = await serve(config, { roles, migrate: true }, createLog('error'));
  try {
    await tell(service.url ?? '', service.operatorKey, output);
  } finally {
    await service.stop();
    await fs.rm(directory, { recursive: true, force: true });
  }
}

async function tell(url: string, operatorKey: string, output: ProgressOutput): Promise<void> {
  const began = performance.now();
  const print = (text: string) => void output.write(`${text}\n`);
  print(`\nRetorno: ninety days of a clinic\n`);
  const clinic = await caller(url, operatorKey)<{ key: string }>('POST', '/v1/clinics', {
    ...{ name: locale.clinic, timeZone: locale.timeZone, country: locale.country },
    ...{ language: locale.language, currency: locale.currency },
    ...{ mode: 'test', now: at(firstDay, '00:00').toString() },
  });
  const call = caller(url, clinic.key);
  const life = createLife(options, at(firstDay, '00:00'));
  const demo: Demo = { call, life, names: new Map(), output, samples: new Map() };
  print(`  ${locale.clinic}, ${locale.timeZone}: a test clinic, so nothing leaves the machine.`);
  await load(demo, url, clinic.key);
  await setUp(demo);
  const returns = await live(demo);
  await printMessages(demo, print);
  await printReturns(demo, returns, print);
  await printReasons(demo, print);
  print(tryIt);
  print(`  The demo took ${((performance.now() - began) / 1000).toFixed(0)} s.\n`);
}

const triesMax = 5;

function caller(url: string, key: string): Call {
  const ask = async (method: string, target: string, body: unknown) => {
    const answer = await fetch(`${url}${target}`, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { answer, text: await answer.text() };
  };
  return async (method, target, body) => {
    let { answer, text } = await ask(method, target, body);
    // A slow machine may ask for a little patience.
    for (let tries = 1; answer.status === 503 && tries < triesMax; tries += 1) {
      await pause(Number(answer.headers.get('retry-after') ?? 1));
      ({ answer, text } = await ask(method, target, body));
    }
    if (!answer.ok) throw new Error(`${method} ${target} answered ${answer.status}: ${text}`);
    return JSON.parse(text);
  };
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

const linesOfChunk = 250;

async function load({ life, output }: Demo, url: string, key: string): Promise<void> {
  const events = life.past();
  const began = performance.now();
  const progress = createProgress('Three years of history', output);
  async function* chunks() {
    for (let from = 0; from < events.length; from += linesOfChunk) {
      const chunk = events.slice(from, from + linesOfChunk);
      yield Buffer.from(`${chunk.map((event) => JSON.stringify(event)).join('\n')}\n`);
      progress.report(from + chunk.length, events.length, `${number(from)} events`);
    }
  }
  const answer = await fetch(`${url}/v1/events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/x-ndjson' },
    body: ReadableStream.from(chunks()),
    duplex: 'half',
  });
  const { accepted, rejected } = (await answer.json()) as Taken;
  if (!answer.ok || rejected.length > 0) throw new Error('The history was not taken.');
  const count = (type: LifeEvent['type']) =>
    number(events.filter((event) => event.type === type).length);
  progress.finish(
    `${count('patient.upserted')} patients, ${count('appointment.upserted')} bookings, ${count('visit.upserted')} visits; ${perSecond(accepted, began)} events a second`,
  );
}

interface Taken {
  accepted: number;
  rejected: unknown[];
}

async function setUp({ call, names }: Demo): Promise<void> {
  await call('PUT', '/v1/channels/sms', smsChannel);
  await call('PUT', '/v1/channels/email', emailChannel);
  for (const rule of rules) {
    const { id } = await call<{ id: string }>('POST', '/v1/rules', rule);
    await call('POST', `/v1/rules/${id}/activate`, { by: 'Анна Белова' });
    names.set(id, rule.name);
  }
}

/** As a live clinic would; a test clinic's messages go to the sandbox instead. */
const smsChannel = {
  provider: 'smsc',
  credentials: { login: 'demo', password: 'demo' },
  tariff: { RU: '4.50' },
};
const emailChannel = {
  provider: 'sendgrid',
  credentials: { apiKey: 'demo' },
  options: { sender: 'clinic@example.org' },
  tariff: { default: '0.04' },
};

/** The clock moves from pause to pause; at each the clinic's system tells what happened, and patients answer. */
async function live(demo: Demo): Promise<Return[]> {
  const { call, life, output } = demo;
  const progress = createProgress('Ninety days', output);
  const began = performance.now();
  const returns: Return[] = [];
  const counts = { messages: 0, events: 0 };
  let since = at(firstDay, '00:00');
  for (let day = 0; day < days; day += 1) {
    const today = firstDay.add({ days: day });
    for (const pause of pauses) {
      const now = at(today, pause);
      await call('POST', '/v1/test/clock', { now: now.toString() });
      const messages = await messagesSince(demo, since);
      for (const message of messages) await answer(demo, message, returns);
      const events = life.until(now);
      if (events.length > 0) await call('POST', '/v1/events', events);
      counts.messages += messages.length;
      counts.events += events.length;
      since = now;
    }
    progress.report(day + 1, days, `${dayName(today)}, ${number(counts.messages)} messages`);
  }
  progress.finish(
    `${number(counts.messages)} messages left and ${number(counts.events)} events came in, in ${((performance.now() - began) / 1000).toFixed(0)} s`,
  );
  const end = at(firstDay.add({ days }), '00:00').epochMilliseconds;
  return returns.filter(({ startsAt }) => startsAt < end);
}

async function messagesSince(demo: Demo, since: Temporal.Instant): Promise<Message[]> {
  const from = since.add({ milliseconds: 1 }).toString();
  const messages = await allMessages(demo, `from=${from}`);
  return messages.filter(({ sentAt }) => sentAt !== null && sentAt > since.toString());
}

async function allMessages({ call }: Demo, query: string): Promise<Message[]> {
  const messages: Message[] = [];
  let cursor: string | null = null;
  do {
    const page: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const answered: { data: Message[]; nextCursor: string | null } = await call(
      'GET',
      `/v1/messages?limit=200&${query}${page}`,
    );
    messages.push(...answered.data);
    cursor = answered.nextCursor;
  } while (cursor !== null);
  return messages;
}

/** Some book, a few have had enough, most do nothing. */
async function answer(demo: Demo, message: Message, returns: Return[]): Promise<void> {
  const { call, life, names, samples } = demo;
  const rule = names.get(message.ruleId ?? '') ?? '';
  const kind = `${rule}, ${message.channel}`;
  if (message.text !== null && !samples.has(kind)) samples.set(kind, message.text);
  const key = `${message.occurrence}-${message.step}`.replaceAll(/[^a-zA-Z0-9]+/g, '-');
  const sentAt = message.sentAt ?? message.scheduledAt;
  const stay = life.hear({
    patientId: message.patientId,
    key,
    at: Temporal.Instant.from(sentAt),
    willingness: willingness[`${rule} ${message.channel}`] ?? 0,
  });
  if (stay?.visit !== undefined)
    returns.push({
      ...{ patientId: message.patientId, rule, sentAt },
      ...{ bookedAt: stay.bookedAt, startsAt: stay.startsAt, amount: stay.visit.amount },
    });
  const isFedUp =
    message.channel === 'sms' &&
    random(options.seed, 'stop', message.patientId, key).chance(stopShare);
  if (stay === null && isFedUp)
    await call('POST', '/v1/test/replies', { messageId: message.id, text: 'СТОП' });
}

interface MessagesRow {
  ruleId: string | null;
  name: string | null;
  channel: string | null;
  state: string;
  reason: string | null;
  messages: number;
  segments: number;
  cost: string;
}

type Print = (text: string) => void;
const right = (name: string): TextColumn => ({ name, align: 'right' });
const period = `from=${firstDay}&to=${firstDay.add({ days: days - 1 })}`;

async function printMessages({ call, samples }: Demo, print: Print): Promise<void> {
  const report = await call<{
    data: MessagesRow[];
    totals: { sent: number; delivered: number; cost: string };
  }>('GET', `/v1/reports/messages?${period}&by=rule,channel,state`);
  const groups = Map.groupBy(
    report.data.filter(({ channel }) => channel !== null),
    ({ name, channel }) => `${name}\t${channel}`,
  );
  const sum = (rows: MessagesRow[], states: string[]) =>
    rows.reduce((total, row) => total + (states.includes(row.state) ? row.messages : 0), 0);
  const cells = [...groups].map(([key, rows]) => [
    ...key.split('\t'),
    number(sum(rows, ['sent', 'delivered', 'read'])),
    number(sum(rows, ['delivered', 'read'])),
    key.endsWith('sms') ? number(rows.reduce((total, { segments }) => total + segments, 0)) : '',
    money(rows.reduce((total, { cost }) => total + Number(cost), 0)),
  ]);
  const { sent, delivered, cost } = report.totals;
  const total = ['Together', '', number(sent), number(delivered), '', money(cost)];
  print(`\nWhat was sent\n`);
  print(
    formatTable(
      [{ name: 'Rule' }, { name: 'Channel' }, ...['Sent', 'Delivered', 'Parts', 'Cost'].map(right)],
      [...cells.sort((one, other) => (one.join() < other.join() ? -1 : 1)), total],
    ),
  );
  print(`\n  Some of the texts:`);
  for (const [kind, text] of samples) print(`\n  ${kind}\n${indented(text)}`);
}

interface ReturnsRow {
  name: string;
  journeys: number;
  messages: number;
  cost: string;
  booked: number;
  returned: number;
  open: number;
  revenue: string;
  roi: number | null;
}

const returnsShown = 5;

async function printReturns({ call, life }: Demo, returns: Return[], print: Print): Promise<void> {
  const report = await call<{ data: ReturnsRow[]; totals: ReturnsRow }>(
    'GET',
    `/v1/reports/returns?${period}`,
  );
  const cells = (name: string, row: ReturnsRow) => [
    name,
    ...[row.journeys, row.booked, row.returned, row.open].map(number),
    ...[money(row.cost), money(row.revenue)],
    row.roi === null ? '' : `${number(Math.round(row.roi))} x`,
  ];
  const columns = ['Written to', 'Booked', 'Returned', 'Still can', 'Cost', 'Revenue', 'Return'];
  print(
    `\nWho returned (within 90 days, each visit counted once; visits booked before are not counted)\n`,
  );
  print(
    formatTable(
      [{ name: 'Rule' }, ...columns.map(right)],
      [...report.data.map((row) => cells(row.name, row)), cells('Together', report.totals)],
    ),
  );
  print(`\n  Some of them:`);
  for (const one of returns.filter(({ rule }) => rule === recall.name).slice(0, returnsShown))
    print(
      `  ${nameOf(life, one.patientId)}: written to on ${instantDay(one.sentAt)}, booked on ${epochDay(one.bookedAt)}, came on ${epochDay(one.startsAt)}, paid ${money(one.amount)}`,
    );
}

const reasonsExplained: Readonly<Record<string, string>> = {
  deceased: 'died: nothing is ever sent',
  inactive: 'no patient of the clinic any more',
  visited: 'came by themselves before it left',
  booked: 'booked, so the rest was called off',
  replied: 'answered, so the rest was called off',
  'future-appointment': 'has an appointment already',
  'no-contact-point': 'no number or address to use',
  'no-consent': 'has not agreed to this',
  'opted-out': 'asked to be left alone',
  'frequency-cap': 'had enough messages that day or week',
  'lower-priority': 'another message went first',
  'send-window': 'outside the hours for messages',
  'too-late': 'learnt of too late',
  'before-activation': 'was due before the rule was switched on',
  'appointment-changed': 'the appointment moved or was called off',
};

async function printReasons(demo: Demo, print: Print): Promise<void> {
  const report = await demo.call<{ data: MessagesRow[] }>(
    'GET',
    `/v1/reports/messages?${period}&by=rule,state,reason`,
  );
  const unsent = report.data
    .filter(({ reason }) => reason !== null)
    .sort(
      (one, other) =>
        (one.name ?? '').localeCompare(other.name ?? '') || other.messages - one.messages,
    );
  print(`\nWhy others got nothing\n`);
  print(
    formatTable(
      [
        { name: 'Rule' },
        { name: 'State' },
        { name: 'Reason' },
        right('Times'),
        { name: 'That is' },
      ],
      unsent.map(({ name, state, reason, messages }) => [
        ...[name ?? '', state, reason ?? '', number(messages)],
        reasonsExplained[reason ?? ''] ?? '',
      ]),
    ),
  );
  await printExplanations(demo, print);
}

interface Explanation {
  outcome: string;
  reason: string | null;
  occurrence: string | null;
  dueAt: string | null;
  checks: {
    name: string;
    passed: boolean;
    reason: string | null;
    seen: unknown;
    wanted: unknown;
  }[];
}

const explainedMax = 3;

/** Of each reason for which the recall was not sent, one patient. */
async function printExplanations(demo: Demo, print: Print): Promise<void> {
  const [ruleId = ''] = [...demo.names].find(([, name]) => name === recall.name) ?? [];
  const unsent = await allMessages(demo, `ruleId=${ruleId}&state=suppressed`);
  const examples = [...Map.groupBy(unsent, ({ reason }) => reason).values()]
    .flatMap((alike) => alike.slice(0, 1))
    .slice(0, explainedMax);
  print(`\n  GET /v1/rules/{id}/explain tells it of anyone:`);
  for (const { patientId, scheduledAt } of examples) {
    const on = instantDay(scheduledAt);
    const explanation = await demo.call<Explanation>(
      'GET',
      `/v1/rules/${ruleId}/explain?patientId=${patientId}&on=${on}`,
    );
    const { outcome, reason, checks } = explanation;
    const meaning = reasonsExplained[reason ?? ''] ?? '';
    print(`\n  ${nameOf(demo.life, patientId)}, due on ${on}: ${outcome}, ${reason} (${meaning})`);
    for (const { name, seen, wanted } of checks.filter((check) => check.reason === reason))
      print(`    ${name}: seen ${brief(seen)}, wanted ${brief(wanted)}`);
    const passed = checks.filter((check) => check.passed).map(({ name }) => name);
    print(`    passed: ${passed.join(', ')}`);
  }
}

const tryIt = `
Try it yourself

  npm start        # keeps its data in ./.retorno; the first start prints the operator's key

  curl localhost:8080/v1/clinics -H "Authorization: Bearer $OPERATOR_KEY" -H 'content-type: application/json' \\
    -d '{"name": "My clinic", "timeZone": "Europe/Moscow", "country": "RU", "language": "ru", "currency": "RUB", "mode": "test"}'

  curl localhost:8080/v1/events -H "Authorization: Bearer $KEY" -H 'content-type: application/json' \\
    -d '{"id": "e1", "type": "visit.upserted", "occurredAt": "2026-03-02T09:30:00Z", "data": {"id": "v1",
         "patientId": "p1", "status": "finished", "start": "2026-03-02T09:00:00Z", "end": "2026-03-02T09:30:00Z"}}'

  open http://localhost:8080/docs      # everything else
`;

function at(day: Temporal.PlainDate, time: string): Temporal.Instant {
  return day
    .toZonedDateTime({ timeZone: locale.timeZone, plainTime: Temporal.PlainTime.from(time) })
    .toInstant();
}

function dayOf(instant: Temporal.Instant): Temporal.PlainDate {
  return instant.toZonedDateTimeISO(locale.timeZone).toPlainDate();
}

function instantDay(text: string): string {
  return dayOf(Temporal.Instant.from(text)).toString();
}

function epochDay(epochMilliseconds: number): string {
  return dayOf(Temporal.Instant.fromEpochMilliseconds(epochMilliseconds)).toString();
}

function dayName(day: Temporal.PlainDate): string {
  return day.toLocaleString('en', { day: 'numeric', month: 'long' });
}

function nameOf(life: Life, patientId: string): string {
  const name = life.patients.get(patientId)?.name;
  return name === undefined
    ? patientId
    : `${name.given} ${name.family.slice(0, 1)}. (${patientId})`;
}

function number(value: number): string {
  return value.toLocaleString('en');
}

function money(value: string | number): string {
  const options = { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  return `${Number(value).toLocaleString('en', options)} ${locale.currency}`;
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, '    ');
}

function brief(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function perSecond(count: number, began: number): string {
  return number(Math.round((count / (performance.now() - began)) * 1000));
}
