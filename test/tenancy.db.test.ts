/**
 * Every operation of the API with another clinic's key and ids: with both walls, with row level security
 * off, with the filters off, and, to see that this would be noticed, with both off.
 */
import { sql } from 'kysely';
import pg from 'pg';
import t, { type Test } from 'tap';
import { openApiDocument } from '../src/api/openapi-document.ts';
import { type Answer, type Client, type TestApi, testApi } from './support/api.ts';

const phone = '+573002220002';
const marked = {
  given: 'Canaria',
  phone,
  patient: 'p-canary',
  text: 'Texto-canario',
  secret: 'canary-of-the-provider',
};

interface Victim extends Client {
  id: string;
  ids: Record<string, string>;
  /** What must never be seen by anybody else: beside the marks, every id of ours. */
  canaries: string[];
}

async function makeVictim(api: TestApi): Promise<Victim> {
  const victim = await api.clinic({ name: 'Clínica canaria' });
  const must = async (asked: Promise<Answer>) => {
    const answer = await asked;
    if (answer.status >= 300) throw new Error(answer.text);
    return answer.body;
  };
  const policy = { needsConsent: { marketing: false }, reason: 'Ley canaria', by: 'Vera Canaria' };
  await must(victim.patch('/v1/clinic', { policy }));
  await must(victim.put('/v1/channels/inbox', { provider: 'inbox' }));
  await must(
    victim.put('/v1/channels/sms', { provider: 'smsc', credentials: { apiKey: marked.secret } }),
  );
  await must(
    victim.put(`/v1/patients/${marked.patient}`, {
      name: { given: marked.given },
      birthDate: '1984-03-05',
      telecom: [{ system: 'phone', value: phone }],
      consent: { care: { sms: 'granted', inbox: 'granted', call: 'granted' } },
    }),
  );
  await must(
    victim.put('/v1/appointments/a-canary', {
      patientId: marked.patient,
      status: 'booked',
      start: '2026-03-20T15:00:00Z',
      minutes: 30,
    }),
  );
  await must(
    victim.put('/v1/visits/v-canary', {
      patientId: marked.patient,
      status: 'finished',
      start: '2026-03-01T15:00:00Z',
    }),
  );
  const bodies = { sms: { es: { text: marked.text } } };
  await must(victim.put('/v1/templates/t-canary', { purpose: 'care', bodies }));
  const rule = await must(
    victim.post('/v1/rules', {
      name: 'Regla canaria',
      purpose: 'care',
      trigger: { type: 'visit', after: 'P30D' },
      steps: [{ channel: 'sms', template: 't-canary' }],
    }),
  );
  await must(victim.post(`/v1/rules/${rule.id}/activate`));
  // Nobody listens there: what happens is kept for it.
  const heard = { url: 'http://127.0.0.1:9/canaria', events: ['message.*'] };
  await must(victim.put('/v1/webhooks/t-canary', heard));
  const send = (channel: string) =>
    must(
      victim.post('/v1/messages', {
        patientId: marked.patient,
        purpose: 'transactional',
        channel,
        text: marked.text,
      }),
    );
  const [sms, inbox] = [await send('sms'), await send('inbox')];
  await send('task');
  await must(victim.post('/v1/test/replies', { messageId: sms.id, text: marked.text }));
  const optOut = await must(victim.post('/v1/opt-outs', { address: '+573002220003' }));
  const [task] = (await must(victim.get('/v1/tasks'))).data as { id: string }[];
  const [key] = (await must(victim.get('/v1/keys'))).data as { id: string }[];
  const [thread] = (await must(victim.get('/v1/threads'))).data as { id: string }[];
  if (!thread) throw new Error('Nobody wrote.');
  const vera = { email: 'canaria@example.org', notify: ['task', 'digest'] };
  await must(victim.put('/v1/staff/t-canary', vera));
  const deliveries = await must(victim.get('/v1/webhooks/t-canary/deliveries'));
  const [delivery] = deliveries.data as { id: string }[];
  const ids = {
    rule: String(rule.id),
    message: String(sms.id),
    inbox: String(inbox.id),
    task: task?.id ?? '',
    key: key?.id ?? '',
    optOut: String(optOut.id),
    event: delivery?.id ?? '',
    thread: thread.id,
  };
  const canaries = [
    marked.given,
    phone,
    marked.text,
    marked.secret,
    'canaria',
    ...Object.values(ids),
  ];
  return { ...victim, ids, canaries };
}

interface Operation {
  operationId: string;
  method: string;
  path: string;
  access: 'operator' | 'public' | 'clinic';
}

async function operations(): Promise<Operation[]> {
  const { paths } = (await openApiDocument()) as {
    paths: Record<string, Record<string, { operationId: string; security?: object[] }>>;
  };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { operationId, security = [] }]) => ({
      operationId,
      method: method.toUpperCase(),
      path,
      access: accessOf(security),
    })),
  );
}

function accessOf([first]: object[]): Operation['access'] {
  if (first === undefined) return 'public';
  return 'operatorKey' in first ? 'operator' : 'clinic';
}

/** A path that names the other clinic's things. */
function fill(path: string, { id, ids }: Victim): string {
  const own: [RegExp, string][] = [
    [/^(\/v1\/clinics)\/\{id\}/, `$1/${id}`],
    [/^(\/v1\/patients)\/\{id\}/, `$1/${marked.patient}`],
    [/^(\/v1\/appointments)\/\{id\}/, '$1/a-canary'],
    [/^(\/v1\/visits)\/\{id\}/, '$1/v-canary'],
    [/^(\/v1\/rules)\/\{id\}/, `$1/${ids.rule}`],
    [/^(\/v1\/messages)\/\{id\}/, `$1/${ids.message}`],
    [/^(\/v1\/tasks)\/\{id\}/, `$1/${ids.task}`],
    [/^(\/v1\/threads)\/\{id\}/, `$1/${ids.thread}`],
    [/^(\/v1\/opt-outs)\/\{id\}/, `$1/${ids.optOut}`],
    [/\{ruleId\}/, ids.rule ?? ''],
    [/\{messageId\}/, ids.inbox ?? ''],
    [/\{keyId\}/, ids.key ?? ''],
    [/\{eventId\}/, ids.event ?? ''],
    [/\{name\}/, 't-canary'],
    [/\{channel\}/, 'sms'],
    [/\{type\}\/\{id\}/, `Patient/${marked.patient}`],
    [/\{(token|channelId)\}/, 'nonsense'],
  ];
  const filled = own.reduce((text, [pattern, value]) => text.replace(pattern, value), path);
  if (filled.includes('{')) throw new Error(`Tell this test what to name in ${path}.`);
  return filled;
}

/** Where the other clinic's things are named elsewhere than in the path. */
function bodyOf(operationId: string, { ids }: Victim): unknown {
  const days = { from: '2026-03-01', to: '2026-04-30' };
  const bodies: Record<string, unknown> = {
    changeClinic: { name: 'Mine' },
    changeClinicById: { name: 'Mine' },
    createClinic: {},
    createClinicKey: {},
    createKey: {},
    createLink: { channel: 'telegram' },
    createMessage: { patientId: marked.patient, purpose: 'care', channel: 'sms', text: 'x' },
    createOptOut: { patientId: marked.patient },
    createThread: { patientId: marked.patient, text: 'x' },
    answerInThread: { text: 'x' },
    decideThread: { patientId: marked.patient },
    putStaffMember: { email: 'mine@example.org', notify: ['task'] },
    createRule: {
      name: 'Mine',
      purpose: 'care',
      trigger: { type: 'visit', after: 'P30D' },
      steps: [{ channel: 'sms', template: 't-canary' }],
    },
    changeRule: { name: 'Mine' },
    backtestRule: { from: '2026-01-01', to: '2026-01-31' },
    diffRule: {
      rule: {
        name: 'Mine',
        purpose: 'care',
        trigger: { type: 'visit', after: 'P30D' },
        steps: [{ channel: 'sms', template: 't-canary' }],
      },
    },
    previewRule: days,
    previewTemplate: { channel: 'sms' },
    putRecall: { after: 'P90D' },
    putSegment: { audience: { tags: ['vip'] } },
    putAppointment: {
      patientId: marked.patient,
      status: 'cancelled',
      start: '2026-03-20T15:00:00Z',
    },
    putChannel: { provider: 'smsc', credentials: { apiKey: 'mine' } },
    putPatient: { active: false },
    putTemplate: { purpose: 'care', bodies: { sms: { es: { text: 'Mine' } } } },
    putWebhook: { url: 'http://127.0.0.1:9/mine', events: ['*'] },
    replayWebhook: { since: '2026-03-01T00:00:00Z' },
    putVisit: { patientId: marked.patient, status: 'cancelled' },
    recordEvents: {
      id: 'e-1',
      type: 'patient.deleted',
      occurredAt: '2026-03-02T15:00:00Z',
      data: { id: marked.patient },
    },
    recordFhir: { resourceType: 'Patient', id: marked.patient, active: false },
    putFhir: { resourceType: 'Patient', id: marked.patient, active: false },
    putFhirResource: { resourceType: 'Patient', id: marked.patient, active: false },
    replyInTest: { messageId: ids.message, text: 'STOP' },
    reportInTest: { messageId: ids.message, status: 'failed' },
    settleTask: { outcome: 'refused' },
    moveTestClock: { now: '2026-03-03T15:00:00Z' },
  };
  return bodies[operationId];
}

function queryOf(operationId: string, { ids }: Victim): string {
  const queries: Record<string, string> = {
    explainRule: `?patientId=${marked.patient}`,
    listBirthdays: '?from=2026-03-01&to=2026-03-31',
    listDue: '?from=2026-03-01&to=2026-04-30',
    listMessages: `?ruleId=${ids.rule}`,
    listOptOuts: `?patientId=${marked.patient}`,
    listPatients: `?phone=${encodeURIComponent(phone)}`,
    reportMessages: `?ruleId=${ids.rule}`,
    reportReturns: `?ruleId=${ids.rule}`,
  };
  return queries[operationId] ?? '';
}

/** Named in the body or the query, which must be told as absent too. */
const namesInBody = new Set([
  'createMessage',
  'createOptOut',
  'createThread',
  'listOptOuts',
  'replyInTest',
  'reportInTest',
]);
/** What is not known yet may be told all the same: it becomes the caller's own. */
const makesOwn = new Set([
  'deleteFhirResource',
  'putFhir',
  'putFhirResource',
  'recordEvents',
  'recordFhir',
]);

function mustBeAbsent({ operationId, method, path }: Operation): boolean {
  if (makesOwn.has(operationId) || method === 'PUT') return false;
  return path.includes('{') || namesInBody.has(operationId);
}

/** All that a clinic has, as the database's owner sees it. */
async function snapshot({ database }: TestApi, clinicId: string): Promise<string> {
  const tables = await sql<{ name: string }>`
    select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'clinic_id'
    join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'public'
    where c.relkind = 'r' order by 1`.execute(database.db);
  const parts = [];
  for (const { name } of tables.rows) {
    const { rows } = await sql`
      select coalesce(jsonb_agg(to_jsonb(x) order by to_jsonb(x)::text), '[]') as rows
      from ${sql.table(name)} x where clinic_id = ${clinicId}`.execute(database.db);
    parts.push([name, rows]);
  }
  const { rows } = await sql`select to_jsonb(c) from clinics c where id = ${clinicId}`.execute(
    database.db,
  );
  return JSON.stringify([...parts, rows], null, 1);
}

/** Everything the other clinic's key can get at, and what is wrong about it. */
async function attack(api: TestApi): Promise<string[]> {
  const victim = await makeVictim(api);
  const intruder = await api.clinic({ name: 'Otra' });
  const before = await snapshot(api, victim.id);
  const leaks: string[] = [];
  await walls.down(api);
  try {
    for (const operation of inOrder(await operations())) {
      const path = fill(operation.path, victim);
      const query = queryOf(operation.operationId, victim);
      // A list that is asked for nothing in particular would show all.
      if (query !== '' && !operation.path.includes('{')) {
        const answer = await intruder.send({ method: operation.method as 'GET', url: path });
        leaks.push(...leaksIn(operation, answer, victim));
      }
      const body = bodyOf(operation.operationId, victim);
      const answer = await intruder.send({
        method: operation.method as 'GET',
        url: path + query,
        ...(body !== undefined && {
          headers: { 'content-type': 'application/json' },
          payload: JSON.stringify(body),
        }),
      });
      leaks.push(...faultsOf(operation, answer, victim));
    }
  } finally {
    walls.up();
  }
  const after = await snapshot(api, victim.id);
  if (after !== before) leaks.push(`The other clinic was changed:\n${difference(before, after)}`);
  const logged = victim.canaries
    .slice(0, 4)
    .filter((canary) => api.logLines.join('').includes(canary));
  return [...leaks, ...logged.map((canary) => `The log has ${canary}.`)];
}

/** First what only looks, last what makes things of the caller's own under the same names. */
function inOrder(all: readonly Operation[]): Operation[] {
  const rank = ({ method, operationId }: Operation) => {
    if (operationId === 'moveTestClock') return 3;
    if (method === 'PUT' || makesOwn.has(operationId)) return 2;
    return method === 'GET' ? 0 : 1;
  };
  return [...all].sort((one, other) => rank(one) - rank(other));
}

/** A new clinic has these, or all clinics have the same; all else that a list or report shows of it, rows or figures, is another's. */
const hasFromTheStart = new Set(['listKeys', 'listTemplates', 'listChannels', 'listPolicies']);

function leaksIn(operation: Operation, answer: Answer, victim: Victim): string[] {
  const name = `${operation.operationId} answers ${answer.status}`;
  const faults = [];
  const seen = answer.text + JSON.stringify(answer.headers);
  for (const canary of victim.canaries) {
    if (seen.toLowerCase().includes(canary.toLowerCase())) faults.push(`${name} with ${canary}`);
  }
  if (answer.status >= 500) faults.push(`${name}: ${answer.text}`);
  const { data } = answer.body;
  const isOwn = operation.access !== 'clinic' || hasFromTheStart.has(operation.operationId);
  if (Array.isArray(data) && data.length > 0 && !isOwn) faults.push(`${name}: ${answer.text}`);
  return faults;
}

function faultsOf(operation: Operation, answer: Answer, victim: Victim): string[] {
  const name = `${operation.operationId} answers ${answer.status}`;
  const faults = leaksIn(operation, answer, victim);
  if (operation.access === 'operator' && answer.status !== 401) faults.push(name);
  if (operation.access === 'clinic' && mustBeAbsent(operation) && answer.status !== 404) {
    faults.push(`${name}: ${answer.text}`);
  }
  return faults;
}

function difference(before: string, after: string): string {
  const known = new Set(before.split('\n'));
  return after
    .split('\n')
    .filter((line) => !known.has(line))
    .join('\n');
}

/** Which walls are down while the attack lasts. */
const walls = {
  withoutRls: false,
  withoutFilters: false,
  isDown: false,
  async down({ database }: TestApi) {
    this.isDown = true;
    if (!this.withoutRls) return;
    const tables = await sql<{ name: string }>`
      select relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'public' and c.relkind = 'r' and c.relrowsecurity`.execute(database.db);
    for (const { name } of tables.rows) {
      await sql`alter table ${sql.table(name)} disable row level security`.execute(database.db);
    }
  },
  up() {
    this.isDown = false;
  },
};

const filter = /(?:"?\w+"?\.)?"?clinic_id"? = (\$\d+)(?:::uuid)?/g;
const query = pg.Client.prototype.query as (...args: unknown[]) => unknown;
pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
  if (walls.isDown && walls.withoutFilters) {
    const unfiltered = (text: string) => text.replaceAll(filter, '($1::text is not null)');
    const [asked] = args as [string | { text?: string; values?: unknown[] }];
    if (typeof asked === 'string') args[0] = unfiltered(asked);
    // Without its name: under that one the filtered text is prepared already.
    else if (asked.text !== undefined && Array.isArray(asked.values))
      args[0] = { text: unfiltered(asked.text), values: asked.values };
  }
  return query.apply(this, args);
} as typeof pg.Client.prototype.query;

async function attackWith(
  t: Test,
  {
    withoutRls = false,
    withoutFilters = false,
  }: { withoutRls?: boolean; withoutFilters?: boolean },
): Promise<string[]> {
  Object.assign(walls, { withoutRls, withoutFilters });
  return attack(await testApi(t));
}

t.test('one clinic sees and changes nothing of another', async (t) => {
  t.same(await attackWith(t, {}), []);
});

t.test('nor does it with row level security off', async (t) => {
  t.same(await attackWith(t, { withoutRls: true }), []);
});

t.test('nor does it with the filters off', async (t) => {
  t.same(await attackWith(t, { withoutFilters: true }), []);
});

t.test('with both off it would be seen', async (t) => {
  const leaks = await attackWith(t, { withoutRls: true, withoutFilters: true });
  t.ok(leaks.length > 10, `${leaks.length} leaks`);
});

t.test("another clinic's Idempotency-Key is nothing to it", async (t) => {
  const api = await testApi(t);
  const [one, other] = [await api.clinic(), await api.clinic()];
  const twice = { 'idempotency-key': 'k-1' };
  const made = await one.post('/v1/opt-outs', { address: phone }, twice);
  const again = await other.post('/v1/opt-outs', { address: phone }, twice);
  t.equal(again.status, 201, again.text);
  t.not(again.body.id, made.body.id);
  t.equal((await one.post('/v1/opt-outs', { address: phone }, twice)).body.id, made.body.id);
});
