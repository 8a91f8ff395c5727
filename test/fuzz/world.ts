/** What the fuzzer finds to point at: its own clinics with something in each drawer, and one that is none of its business. */
import { servedOperatorKey } from '../support/service-process.ts';

/** What only the foreign clinic knows. */
export const foreignMarks = ['Mandarina9914', '+573009914991'] as const;

export interface World {
  url: string;
  keys: {
    test: string;
    live: string;
    readOnly: string;
    revoked: string;
    /** Of a clinic whose clock is moved; others need not wait for it. */
    clock: string;
    foreign: string;
    operator: string;
  };
  /** By the name of a parameter or field, or by `{resource}/{parameter}`. */
  ids: Record<string, string[]>;
  /** The same, for what may be deleted. */
  spare: Record<string, string[]>;
  cursors: string[];
}

type Body = Record<string, unknown>;

const clinic = {
  timeZone: 'America/Bogota',
  country: 'CO',
  language: 'es',
  currency: 'COP',
};

export async function buildWorld(url: string): Promise<World> {
  const ask = async (key: string, method: string, path: string, body?: unknown): Promise<Body> => {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path} answers ${answer.status}: ${text}`);
    return text === '' ? {} : (JSON.parse(text) as Body);
  };
  const operator = servedOperatorKey;
  const make = (wish: Body) => ask(operator, 'POST', '/v1/clinics', { ...clinic, ...wish });
  const now = '2026-03-02T15:00:00Z';
  const test = await make({ name: 'Fuzz test', mode: 'test', now });
  const live = await make({ name: 'Fuzz live', mode: 'live' });
  const clock = await make({ name: 'Fuzz clock', mode: 'test', now });
  const scratch = await make({ name: 'Scratch', mode: 'test', now });
  const foreign = await make({ name: foreignMarks[0], mode: 'test', now });
  const keyOf = ({ key }: Body) => String(key);
  const [own, others] = [
    await furnish(ask, keyOf(test), ['Vecina', '+573001110001']),
    await furnish(ask, keyOf(foreign), foreignMarks),
  ];
  await furnish(ask, keyOf(clock), ['Vecina', '+573001110001']);
  const lives = await furnish(ask, keyOf(live), ['Vecina', '+573001110001']);
  const reader = await ask(keyOf(test), 'POST', '/v1/keys', { name: 'Reader', scopes: ['read'] });
  const spare = await ask(keyOf(test), 'POST', '/v1/keys', { name: 'Spare', scopes: ['read'] });
  await ask(keyOf(test), 'DELETE', `/v1/keys/${spare.id}`);
  // More of the own than of the foreign, so that requests get somewhere.
  const withBoth = (name: string) => [own, own, lives, others].map((each) => each[name] ?? '');
  const patients = ['p-1', 'p-1', 'p-1', 'p-2', 'p-new', 'crm~p-1', 'p-foreign'];
  return {
    url,
    keys: {
      test: keyOf(test),
      live: keyOf(live),
      readOnly: keyOf(reader),
      revoked: keyOf(spare),
      clock: keyOf(clock),
      foreign: keyOf(foreign),
      operator,
    },
    ids: {
      patientId: patients,
      guardianId: patients,
      referredBy: patients,
      into: patients,
      'patients/id': patients,
      appointmentId: ['a-1', 'a-1', 'a-2', 'a-foreign'],
      'appointments/id': ['a-1', 'a-1', 'a-new', 'a-foreign'],
      'visits/id': ['v-1', 'v-1', 'v-new', 'v-foreign'],
      'rules/id': withBoth('rule'),
      ruleId: withBoth('rule'),
      'messages/id': withBoth('message'),
      messageId: [...withBoth('message'), ...withBoth('inbox')],
      'tasks/id': withBoth('task'),
      'opt-outs/id': withBoth('optOut'),
      'clinics/id': [String(scratch.id)],
      keyId: [String(spare.id), others.key ?? ''],
      name: ['t-1', 't-1', 't-new', 'recall', 't-foreign'],
      channel: ['sms', 'sms', 'email', 'inbox', 'task', 'whatsapp', 'fax'],
      type: ['Patient', 'Encounter', 'Appointment', 'Practitioner', 'Observation'],
      channelId: withBoth('callback'),
      token: withBoth('token'),
      limit: ['1', '2', '200'],
    },
    spare: {
      'patients/id': ['p-3', 'p-foreign', 'p-absent'],
      'appointments/id': ['a-2', 'a-foreign'],
      'visits/id': ['v-2', 'v-foreign'],
      'rules/id': [own.spareRule ?? '', others.rule ?? ''],
      'clinics/id': [String((await make({ name: 'Spare', mode: 'live' })).id)],
      name: ['t-new', 't-foreign'],
      id: ['p-3', 'p-foreign'],
    },
    cursors: withBoth('cursor'),
  };
}

type Ask = (key: string, method: string, path: string, body?: unknown) => Promise<Body>;

/** One of everything. */
async function furnish(
  ask: Ask,
  key: string,
  [name, phone]: readonly string[],
): Promise<Record<string, string>> {
  const isForeign = name === foreignMarks[0];
  const suffix = isForeign ? 'foreign' : '1';
  const to = (method: string, path: string, body?: unknown) => ask(key, method, path, body);
  await to('PUT', '/v1/channels/inbox', { provider: 'inbox' });
  const sms = await to('PUT', '/v1/channels/sms', {
    provider: 'smsc',
    credentials: { apiKey: `${name}-secret` },
    options: { baseUrl: 'http://127.0.0.1:9' },
  });
  const consent = { sms: 'granted', inbox: 'granted', call: 'granted' };
  for (const id of new Set([`p-${suffix}`, 'p-2', 'p-3'])) {
    await to('PUT', `/v1/patients/${id}`, {
      name: { given: name },
      birthDate: '1984-03-05',
      telecom: [{ system: 'phone', value: phone }],
      consent: { care: consent, marketing: consent },
    });
  }
  const patientId = `p-${suffix}`;
  await to('PUT', `/v1/appointments/a-${suffix}`, {
    patientId,
    status: 'booked',
    start: '2026-03-20T15:00:00Z',
    minutes: 30,
  });
  await to('PUT', `/v1/visits/v-${suffix}`, {
    patientId,
    status: 'finished',
    start: '2026-02-01T15:00:00Z',
  });
  const text = { text: `{{patient.name.given}} ${name} {{link.unsubscribe}}` };
  await to('PUT', `/v1/templates/t-${suffix}`, {
    purpose: 'care',
    bodies: { sms: { es: text }, inbox: { es: text }, email: { es: { ...text, subject: 'x' } } },
  });
  const makeRule = () =>
    to('POST', '/v1/rules', {
      name: `Rule of ${name}`,
      purpose: 'care',
      trigger: { type: 'visit', after: 'P30D' },
      steps: [{ channel: 'inbox', template: `t-${suffix}` }],
    });
  const [rule, spareRule] = [await makeRule(), await makeRule()];
  await to('POST', `/v1/rules/${rule.id}/activate`);
  const send = (channel: string) =>
    to('POST', '/v1/messages', { patientId, purpose: 'transactional', channel, text: name });
  const message = await send('sms');
  const inbox = await send('inbox');
  await send('task');
  const { id } = await to('POST', '/v1/messages', {
    ...{ patientId, purpose: 'care', channel: 'inbox', template: `t-${suffix}` },
  });
  const linked = await to('GET', `/v1/messages/${id}`);
  const optOut = await to('POST', '/v1/opt-outs', { address: '+573009990000' });
  const first = async (path: string) => {
    const { data, nextCursor } = await to('GET', path);
    return { id: String((data as Body[])[0]?.id ?? ''), cursor: String(nextCursor ?? '') };
  };
  return {
    rule: String(rule.id),
    spareRule: String(spareRule.id),
    token: /\/l\/(\S+)/.exec(String(linked.text))?.[1] ?? 'nonsense',
    message: String(message.id),
    inbox: String(inbox.id),
    task: (await first('/v1/tasks')).id,
    key: (await first('/v1/keys')).id,
    optOut: String(optOut.id),
    cursor: (await first('/v1/patients?limit=1')).cursor,
    callback:
      String(sms.callbackUrl ?? '')
        .split('/')
        .at(-1) ?? '',
  };
}
