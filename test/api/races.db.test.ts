/** Two processes on one PostgreSQL, and requests that get in each other's way. */
import { setTimeout as pause } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { createDatabase, sharedPostgres } from '../support/postgres.ts';
import {
  type ServiceProcess,
  servedOperatorKey,
  startService,
} from '../support/service-process.ts';

interface Answer {
  status: number;
  body: Record<string, unknown>;
  retryAfter: string | null;
}

type Ask = (method: string, path: string, body?: unknown, more?: object) => Promise<Answer>;

const asker =
  ({ url }: Pick<ServiceProcess, 'url'>, key: string): Ask =>
  async (method, path, body, more = {}) => {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...more,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    const retryAfter = answer.headers.get('retry-after');
    return { status: answer.status, body: text === '' ? {} : JSON.parse(text), retryAfter };
  };

async function twoProcesses(t: Test): Promise<ServiceProcess[]> {
  const postgres = await sharedPostgres();
  const url = postgres.url(await createDatabase(postgres));
  const one = await startService(url);
  const other = await startService(url);
  t.teardown(() => Promise.all([one.end('SIGKILL'), other.end('SIGKILL')]));
  return [one, other];
}

interface Shared {
  id: string;
  key: string;
  /** The same key at either process, in turn. */
  ask: Ask;
  at: Ask[];
  operator: Ask;
}

const now = '2026-03-02T15:00:00Z';

async function makeClinic(processes: ServiceProcess[], mode: 'test' | 'live'): Promise<Shared> {
  const [first] = processes;
  if (!first) throw new Error('No process.');
  const operator = asker(first, servedOperatorKey);
  const { body } = await operator('POST', '/v1/clinics', {
    name: 'Clínica',
    timeZone: 'America/Bogota',
    country: 'CO',
    language: 'es',
    currency: 'COP',
    mode,
    ...(mode === 'test' && { now }),
  });
  const key = String(body.key);
  const at = processes.map((each) => asker(each, key));
  let turn = 0;
  const ask: Ask = (...args) => {
    const next = at[turn++ % at.length];
    if (!next) throw new Error('No process.');
    return next(...args);
  };
  return { id: String(body.id), key, ask, at, operator };
}

const times = <T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => work(index)));

function failures(answers: readonly Answer[]): unknown[] {
  return answers.filter(({ status }) => status >= 500).map(({ status, body }) => [status, body]);
}

const visit = (id: string, patientId: string, occurredAt = '2026-03-02T10:00:00Z') => ({
  id: `e-${id}`,
  type: 'visit.upserted',
  occurredAt,
  data: { id, patientId, status: 'finished', start: '2026-02-10T09:00:00Z' },
});

t.setTimeout(240_000);

t.test('requests that race', async (t) => {
  const processes = await twoProcesses(t);

  t.test('one event told three hundred times at once counts once', async (t) => {
    for (const [mode, count] of [
      ['live', 300],
      ['test', 40],
    ] as const) {
      const { ask } = await makeClinic(processes, mode);
      const answers = await times(count, () => ask('POST', '/v1/events', visit('v', 'p')));
      const sum = (name: string) =>
        answers.reduce((total, { body }) => total + Number(body[name] ?? 0), 0);
      t.same(failures(answers), []);
      t.same([sum('accepted'), sum('duplicates')], [1, count - 1], mode);
    }
  });

  t.test('forty with one Idempotency-Key make one thing', async (t) => {
    const { ask } = await makeClinic(processes, 'live');
    const key = { 'idempotency-key': 'only-once' };
    const wish = { address: '+573001234567' };
    const answers = await times(40, () => ask('POST', '/v1/opt-outs', wish, key));
    t.same(failures(answers), []);
    const made = answers.filter(({ status }) => status === 201);
    t.ok(made.length > 0);
    t.ok(answers.every(({ status }) => status === 201 || status === 409));
    const again = await times(40, () => ask('POST', '/v1/opt-outs', wish, key));
    t.equal(new Set([...made, ...again].map(({ body }) => body.id)).size, 1);
    const other = await ask('POST', '/v1/opt-outs', { address: '+573001234568' }, key);
    t.equal(other.status, 422);
  });

  t.test(
    'a patient who is written, visited, merged and opted out at once locks nobody out',
    async (t) => {
      for (const mode of ['live', 'test'] as const) {
        const { ask } = await makeClinic(processes, mode);
        const ids = ['p-0', 'p-1', 'p-2', 'p-3'];
        const phone = [{ system: 'phone', value: '+573001234567' }];
        const of = (index: number) => ids[index % ids.length] ?? '';
        const answers = await times(160, (index) => {
          switch (index % 8) {
            case 0:
              return ask('PUT', `/v1/visits/v-${index}`, {
                ...{ patientId: of(index >> 3), status: 'finished', start: '2026-02-10T09:00:00Z' },
              });
            case 1:
              return ask('POST', '/v1/events', {
                id: `m-${index}`,
                type: 'patient.merged',
                occurredAt: '2026-03-02T10:00:00Z',
                data: { id: of(index >> 3), into: of((index >> 3) + 1 + (index % 3)) },
              });
            case 2:
              return ask('POST', '/v1/opt-outs', { address: '+573001234567' });
            case 3:
              return ask('POST', '/v1/events', [
                visit(`b-${index}`, of(index >> 3)),
                visit(`c-${index}`, of((index >> 3) + 1)),
                visit(`d-${index}`, of((index >> 3) + 2)),
              ]);
            case 4:
              return ask('DELETE', `/v1/patients/${of(index >> 3)}`);
            case 5:
              return ask('PUT', `/v1/appointments/a-${index % 24}`, {
                ...{ patientId: of(index >> 3), status: 'booked', start: '2026-03-20T09:00:00Z' },
              });
            default:
              return ask('PUT', `/v1/patients/${of(index >> 3)}`, {
                name: { given: 'Ana' },
                telecom: phone,
              });
          }
        });
        t.same(failures(answers), [], mode);
      }
    },
  );

  t.test("a test clinic's clock moved from two sides does what one move does", async (t) => {
    const told = async (move: (clinic: Shared) => Promise<Answer[]>) => {
      const clinic = await makeClinic(processes, 'test');
      const { ask } = clinic;
      await ask('PUT', '/v1/channels/inbox', { provider: 'inbox' });
      await ask('PUT', '/v1/templates/t', {
        purpose: 'care',
        bodies: { inbox: { es: { text: '{{patient.name.given}}' } } },
      });
      const { body: rule } = await ask('POST', '/v1/rules', {
        name: 'Recall',
        purpose: 'care',
        trigger: { type: 'visit', after: 'P30D' },
        steps: [
          { channel: 'inbox', template: 't' },
          { channel: 'inbox', template: 't', after: 'P7D' },
        ],
      });
      await ask('POST', `/v1/rules/${rule.id}/activate`);
      const events = Array.from({ length: 60 }, (_, index) => ({
        ...visit(`v-${index}`, `p-${index}`),
        data: {
          ...visit(`v-${index}`, `p-${index}`).data,
          start: `2026-02-${10 + (index % 18)}T09:00:00Z`,
        },
      }));
      const people = events.map(({ data }, index) => ({
        id: `people-${index}`,
        type: 'patient.upserted',
        occurredAt: '2026-03-02T09:00:00Z',
        data: {
          id: data.patientId,
          name: { given: 'Ana' },
          consent: { care: { inbox: 'granted' } },
        },
      }));
      await ask('POST', '/v1/events', [...people, ...events]);
      const answers = await move(clinic);
      t.same(failures(answers), []);
      const { body } = await ask('GET', '/v1/messages?limit=200');
      const shown = (body.data as Record<string, unknown>[]).map(
        ({ patientId, occurrence, step, state, sentAt }) =>
          `${patientId} ${occurrence} ${step} ${state} ${sentAt}`,
      );
      return shown.sort();
    };
    const target = { now: '2026-05-01T12:00:00Z' };
    const alone = await told(async ({ ask }) => [await ask('POST', '/v1/test/clock', target)]);
    t.ok(alone.length > 100, `${alone.length} messages`);
    const together = await told(({ ask }) =>
      times(12, (index) =>
        index % 3 === 2
          ? ask('PUT', `/v1/patients/other-${index}`, { name: { given: 'Luz' } })
          : ask('POST', '/v1/test/clock', target),
      ),
    );
    t.same(together, alone);
  });

  t.test('a clinic is deleted while it is busy', async (t) => {
    for (const mode of ['live', 'test'] as const) {
      const { ask, operator, id } = await makeClinic(processes, mode);
      const busy = times(120, async (index) => {
        await pause(index);
        return index % 3
          ? ask('POST', '/v1/events', visit(`v-${index}`, `p-${index % 5}`))
          : ask('PUT', `/v1/patients/p-${index % 5}`, { name: { given: 'Ana' } });
      });
      await pause(40);
      t.equal((await operator('DELETE', `/v1/clinics/${id}`)).status, 204, mode);
      t.same(failures(await busy), [], mode);
      if (mode === 'test') t.equal((await ask('GET', '/v1/clinic')).status, 401);
    }
  });

  t.test('a revoked key is dead everywhere within five seconds', async (t) => {
    const clinic = await makeClinic(processes, 'live');
    const { body } = await clinic.ask('POST', '/v1/keys', { name: 'Second' });
    const [here, there] = processes.map((each) => asker(each, String(body.key)));
    t.equal((await here?.('GET', '/v1/clinic'))?.status, 200);
    t.equal((await there?.('GET', '/v1/clinic'))?.status, 200);
    t.equal((await clinic.at[0]?.('DELETE', `/v1/keys/${body.id}`))?.status, 204);
    t.equal((await here?.('GET', '/v1/clinic'))?.status, 401);
    const since = performance.now();
    let last = 200;
    while (last === 200 && performance.now() - since < 5_000) {
      await pause(200);
      last = (await there?.('GET', '/v1/clinic'))?.status ?? 0;
    }
    t.equal(last, 401);
  });

  for (const each of processes) {
    t.equal(each.child.exitCode, null);
    const errors = each
      .output()
      .split('\n')
      .filter((line) => /"level":"(error|fatal)"/.test(line));
    t.same(errors, []);
  }
});
