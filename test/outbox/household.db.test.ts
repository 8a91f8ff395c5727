import t, { type Test } from 'tap';
import { testApi } from '../support/api.ts';

const recall = {
  name: 'Recall',
  purpose: 'care',
  trigger: { type: 'visit', after: 'P10D' },
  sendAt: '10:00',
  steps: [
    { channel: 'sms', template: 'family' },
    { channel: 'sms', template: 'family', after: 'P3D' },
  ],
};

async function family(t: Test, settings: object = { householdMerging: true }, language = 'ru') {
  const api = await testApi(t);
  const owner = await api.clinic({
    now: '2026-01-05T08:00:00Z',
    country: 'RU',
    language,
    timeZone: 'Europe/Moscow',
    currency: 'RUB',
  });
  await owner.patch('/v1/clinic', settings);
  const text = (words: string) => ({ text: words });
  await owner.put('/v1/templates/family', {
    purpose: 'care',
    bodies: {
      sms: {
        ru: text('{{patient.name.given}}, приглашаем на осмотр'),
        es: text('{{patient.name.given}}: les esperamos'),
      },
    },
  });
  const made = await owner.post('/v1/rules', recall);
  t.equal(made.status, 201, made.text);
  await owner.post(`/v1/rules/${made.body.id}/activate`);
  const at = (now: string) => owner.post('/v1/test/clock', { now: `2026-01-${now}Z` });
  const member = async (id: string, given: string, birthDate: string, more: object = {}) => {
    const consent = { care: { sms: 'granted' } };
    const patient = { name: { given }, birthDate, household: 'h1', consent, language, ...more };
    const put = await owner.put(`/v1/patients/${id}`, patient);
    t.equal(put.status, 201, put.text);
    await owner.put(`/v1/visits/v-${id}`, {
      patientId: id,
      status: 'finished',
      start: '2026-01-05T09:00:00Z',
    });
  };
  const phone = (value: string) => ({ telecom: [{ system: 'phone', value }] });
  const messages = async () => {
    const { body } = await owner.get('/v1/messages?limit=200');
    const rows = body.data as {
      patientId: string;
      state: string;
      reason: string | null;
      text: string | null;
      to: string | null;
      step: number;
    }[];
    return rows.toSorted((one, other) =>
      `${one.step}${one.patientId}` < `${other.step}${other.patientId}` ? -1 : 1,
    );
  };
  await at('05T08:30:00');
  return { owner, at, member, phone, messages };
}

interface Shown {
  patientId: string;
  state: string;
  to: string | null;
  step: number;
}

const isFirst = ({ step }: Shown) => step === 0;
const whereTo = ({ patientId, state, to }: Shown) => [patientId, state, to];

t.test('a family that is due together gets one message that names them all', async (t) => {
  const { at, member, phone, messages } = await family(t);
  await member('anna', 'Анна', '1985-03-01', phone('+79161234501'));
  await member('petr', 'Пётр', '2015-05-05', { guardianId: 'anna' });
  await member('vera', 'Вера', '2018-06-06', { guardianId: 'anna' });
  await at('15T12:00:00');
  const first = (await messages()).filter(({ step }) => step === 0);
  t.match(
    first.map(({ patientId, state, reason }) => [patientId, state, reason]),
    [
      ['anna', 'delivered', null],
      ['petr', 'suppressed', 'household'],
      ['vera', 'suppressed', 'household'],
    ],
  );
  t.equal(first[0]?.text, 'Анна, Пётр и Вера, приглашаем на осмотр');
  t.equal(first[0]?.to, '+79161234501');
});

t.test('who booked, died or said stop is not named', async (t) => {
  const { owner, at, member, phone, messages } = await family(t);
  await member('anna', 'Анна', '1985-03-01', phone('+79161234501'));
  await member('boris', 'Борис', '1984-03-01', phone('+79161234502'));
  await member('grig', 'Григорий', '1950-03-01', phone('+79161234503'));
  await member('dina', 'Дина', '1955-03-01', phone('+79161234504'));
  await owner.put('/v1/appointments/a1', {
    patientId: 'boris',
    status: 'booked',
    start: '2026-02-01T10:00:00Z',
    createdAt: '2026-01-05T08:00:00Z',
  });
  await owner.put('/v1/patients/grig', {
    name: { given: 'Григорий' },
    household: 'h1',
    deceased: true,
  });
  await owner.post('/v1/opt-outs', { patientId: 'dina' });
  await at('15T12:00:00');
  const [message] = (await messages()).filter(({ state }) => state === 'delivered');
  t.match(message, { patientId: 'anna', text: 'Анна, приглашаем на осмотр' });
});

t.test('who has no phone is named with who has one, whoever comes first in a batch', async (t) => {
  const { at, member, phone, messages } = await family(t);
  const refused = { consent: { care: { sms: 'denied' } } };
  await member('aglaya', 'Аглая', '1950-03-01');
  await member('anna', 'Анна', '1985-03-01', phone('+79161234501'));
  await member('boris', 'Борис', '1984-03-01', refused);
  await member('vasily', 'Василий', '1949-03-01');
  await at('15T12:00:00');
  t.match(
    (await messages())
      .filter(({ step }) => step === 0)
      .map(({ patientId, state, reason, text }) => [patientId, state, reason, text]),
    [
      ['aglaya', 'suppressed', 'household', null],
      ['anna', 'delivered', null, 'Анна, Василий и Аглая, приглашаем на осмотр'],
      ['boris', 'held', 'no-contact-point', null],
      ['vasily', 'suppressed', 'household', null],
    ],
  );
});

t.test('children alone are due, and their guardian is written to', async (t) => {
  const { owner, at, member, messages } = await family(t);
  await owner.put('/v1/patients/anna', {
    name: { given: 'Анна' },
    birthDate: '1985-03-01',
    household: 'h1',
    telecom: [{ system: 'phone', value: '+79161234501' }],
    consent: { care: { sms: 'granted' } },
  });
  await member('petr', 'Пётр', '2015-05-05', { guardianId: 'anna' });
  await member('vera', 'Вера', '2018-06-06', { guardianId: 'anna' });
  await at('15T12:00:00');
  const delivered = (await messages()).filter(({ state }) => state === 'delivered');
  t.match(delivered, [{ to: '+79161234501', text: 'Пётр и Вера, приглашаем на осмотр' }]);
});

t.test('a child who lives elsewhere takes no place of the guardian’s household', async (t) => {
  const { owner, at, member, phone, messages } = await family(t);
  await owner.put('/v1/patients/anna', {
    ...{ name: { given: 'Анна' }, birthDate: '1985-03-01', household: 'h1' },
    ...phone('+79161234501'),
  });
  await member('boris', 'Борис', '1984-03-01', phone('+79161234502'));
  const elsewhere = { household: undefined, timeZone: 'Asia/Yekaterinburg' };
  await member('petr', 'Пётр', '2015-05-05', { guardianId: 'anna', ...elsewhere });
  await at('15T12:00:00');
  t.match((await messages()).filter(isFirst).map(whereTo), [
    ['boris', 'delivered', '+79161234502'],
    ['petr', 'delivered', '+79161234501'],
  ]);
});

t.test(
  'when the guardian’s phone has its message of the day, another of the household carries theirs',
  async (t) => {
    const { owner, at, member, phone, messages } = await family(t);
    const birthday = {
      name: 'Birthday check-up',
      purpose: 'care',
      priority: 90,
      trigger: { type: 'birthday' },
      sendAt: '10:00',
      steps: [{ channel: 'sms', template: 'family' }],
    };
    const { body } = await owner.post('/v1/rules', birthday);
    await owner.post(`/v1/rules/${body.id}/activate`);
    await member('anna', 'Анна', '1985-03-01', phone('+79161234501'));
    await member('boris', 'Борис', '1990-03-01', phone('+79161234502'));
    await member('petr', 'Пётр', '2015-01-15', { guardianId: 'anna', household: 'h2' });
    await at('15T12:00:00');
    const left = (await messages()).filter(({ state }) => state === 'delivered');
    t.match(
      left.map(({ patientId, to, text }) => [patientId, to, text]),
      [
        ['boris', '+79161234502', 'Борис и Анна, приглашаем на осмотр'],
        ['petr', '+79161234501', 'Пётр, приглашаем на осмотр'],
      ],
    );
  },
);

t.test(
  'who was named in a message to the household is still written to for a child elsewhere',
  async (t) => {
    const { at, member, phone, messages } = await family(t);
    await member('boris', 'Борис', '1984-03-01', phone('+79161234502'));
    await member('anna', 'Анна', '1985-03-01', phone('+79161234501'));
    const elsewhere = { household: undefined, timeZone: 'Europe/Kaliningrad' };
    await member('petr', 'Пётр', '2015-05-05', { guardianId: 'anna', ...elsewhere });
    await at('15T12:00:00');
    t.match((await messages()).filter(isFirst).map(whereTo), [
      ['anna', 'suppressed', '+79161234501'],
      ['boris', 'delivered', '+79161234502'],
      ['petr', 'delivered', '+79161234501'],
    ]);
  },
);

t.test(
  'a guardian hears of the clinic once a day, by phone or by letter, for a child as for themselves',
  async (t) => {
    const { owner, at, member, phone, messages } = await family(t, {});
    await owner.put('/v1/channels/email', { provider: 'sendgrid', credentials: { apiKey: 'k' } });
    const body = { subject: 'Осмотр', text: 'Приглашаем на осмотр' };
    await owner.put('/v1/templates/letter', { purpose: 'care', bodies: { email: { ru: body } } });
    const letter = {
      name: 'Letter',
      purpose: 'care',
      trigger: { type: 'visit', after: 'P10D' },
      audience: { all: [{ age: { lte: 17 } }] },
      sendAt: '10:00',
      steps: [{ channel: 'email', template: 'letter' }],
    };
    const made = await owner.post('/v1/rules', letter);
    t.equal(made.status, 201, made.text);
    await owner.post(`/v1/rules/${made.body.id}/activate`);
    const telecom = [...phone('+79161234501').telecom, { system: 'email', value: 'a@example.org' }];
    const alone = { household: undefined, consent: { care: { sms: 'granted', email: 'granted' } } };
    await member('anna', 'Анна', '1985-03-01', { ...alone, telecom });
    await member('petr', 'Пётр', '2015-05-05', { ...alone, guardianId: 'anna' });
    await at('15T12:00:00');
    const left = () => messages().then((all) => all.filter(({ state }) => state === 'delivered'));
    t.equal((await left()).length, 1);
    await at('16T12:00:00');
    t.equal((await left()).length, 2, 'the next one goes the day after');
  },
);

t.test(
  'who is named by another takes no place of the rule’s day, though theirs is another channel',
  async (t) => {
    const { owner, at, member, phone, messages } = await family(t);
    await owner.put('/v1/channels/email', { provider: 'sendgrid', credentials: { apiKey: 'k' } });
    const ru = { subject: 'Осмотр', text: '{{patient.name.given}}, приглашаем на осмотр' };
    await owner.put('/v1/templates/either', {
      ...{ purpose: 'care', bodies: { sms: { ru: { text: ru.text } }, email: { ru } } },
    });
    const { body } = await owner.get('/v1/rules');
    const [rule] = body.data as { id: string }[];
    await owner.patch(`/v1/rules/${rule?.id}`, {
      steps: [{ channels: ['sms', 'email'], template: 'either' }],
      limits: { perDay: 1 },
    });
    const consent = { care: { sms: 'granted', email: 'granted' } };
    const letters = { telecom: [{ system: 'email', value: 'b@example.org' }] };
    // Of equals who is known longer has the place; the elder carries.
    await member('boris', 'Борис', '1990-03-01', { ...letters, consent });
    await member('anna', 'Анна', '1985-03-01', { ...phone('+79161234501'), consent });
    await at('15T12:00:00');
    t.match((await messages()).map(({ state, reason, text }) => [state, reason, text]).sort(), [
      ['delivered', null, 'Анна и Борис, приглашаем на осмотр'],
      ['suppressed', 'household', null],
    ]);
  },
);

for (const isMerged of [false, true])
  t.test(
    `who was named this morning is not written to at noon${isMerged ? ', under the id that took theirs either' : ''}`,
    async (t) => {
      const caps = { perDay: 1, perWeek: 7, household: { perDay: 5, perWeek: 20 } };
      const { owner, at, member, phone, messages } = await family(t, {
        ...{ householdMerging: true, caps },
      });
      const noon = { ...recall, name: 'Noon', sendAt: '12:00', priority: 40 };
      const { body } = await owner.post('/v1/rules', { ...noon, steps: recall.steps.slice(0, 1) });
      await owner.post(`/v1/rules/${body.id}/activate`);
      await member('boris', 'Борис', '1984-03-01', phone('+79161234502'));
      await member('anna', 'Анна', '1985-03-01', phone('+79161234501'));
      await at('15T07:30:00');
      if (isMerged) {
        const person = { name: { given: 'Анна' }, birthDate: '1985-03-01', household: 'h1' };
        const consent = { care: { sms: 'granted' } };
        await owner.put('/v1/patients/anna-2', { ...person, consent, ...phone('+79161234501') });
        const event = { id: 'm1', type: 'patient.merged', occurredAt: '2026-01-15T07:30:00Z' };
        await owner.post('/v1/events', { ...event, data: { id: 'anna', into: 'anna-2' } });
      }
      await at('15T18:00:00');
      t.same(
        (await messages())
          .filter(({ state }) => state === 'delivered')
          .map(({ to, text }) => [to, text]),
        [['+79161234502', 'Борис и Анна, приглашаем на осмотр']],
      );
    },
  );

t.test('a guardian who said stop is not written to for the children', async (t) => {
  const { owner, at, member, messages } = await family(t, {});
  await owner.put('/v1/patients/anna', {
    name: { given: 'Анна' },
    telecom: [{ system: 'phone', value: '+79161234501' }],
    consent: { care: { sms: 'granted' } },
  });
  await member('petr', 'Пётр', '2015-05-05', { guardianId: 'anna', household: undefined });
  await owner.post('/v1/opt-outs', { patientId: 'anna' });
  await at('15T12:00:00');
  t.same(
    (await messages()).filter(({ state }) => state === 'delivered'),
    [],
  );
});

t.test(
  'without merging each gets their own, and a cap for the household holds them together',
  async (t) => {
    for (const [settings, expected] of [
      [{ caps: { perDay: 1 } }, 2],
      [{ caps: { perDay: 1, household: { perDay: 1, perWeek: 3 } } }, 1],
    ] as const) {
      const { at, member, phone, messages } = await family(t, settings);
      await member('anna', 'Анна', '1985-03-01', phone('+79161234501'));
      await member('boris', 'Борис', '1984-03-01', phone('+79161234502'));
      await at('15T12:00:00');
      const all = (await messages()).filter(({ step }) => step === 0);
      t.equal(all.filter(({ state }) => state === 'delivered').length, expected);
      t.same(
        all
          .filter(({ state }) => state !== 'delivered')
          .map(({ state, reason }) => `${state} ${reason}`),
        Array(2 - expected).fill('held frequency-cap'),
      );
    }
  },
);

t.test('names are joined as the language does', async (t) => {
  const { at, member, phone, messages } = await family(t, { householdMerging: true }, 'es');
  await member('ana', 'Ana', '1985-03-01', phone('+79161234501'));
  await member('ines', 'Inés', '2015-05-05', { guardianId: 'ana' });
  await at('15T12:00:00');
  const [message] = (await messages()).filter(({ state }) => state === 'delivered');
  t.equal(message?.text, 'Ana e Inés: les esperamos');
});

t.test('planning, preview and explain reach a child through the guardian too', async (t) => {
  const { owner, at, messages } = await family(t, {});
  const byMail = {
    name: 'By mail',
    purpose: 'care',
    trigger: { type: 'visit', after: 'P5D' },
    steps: [
      { channel: 'sms', template: 'mailed' },
      { channel: 'email', template: 'mailed', after: 'P1D' },
    ],
  };
  const body = (text: string) => ({ subject: 'Осмотр', text });
  const languages = { ru: body('{{patient.name.given}}, пора'), es: body('Es hora') };
  await owner.put('/v1/templates/mailed', {
    purpose: 'care',
    bodies: { sms: languages, email: languages },
  });
  await owner.put('/v1/channels/email', { provider: 'sendgrid', credentials: { apiKey: 'k' } });
  const rule = await owner.post('/v1/rules', byMail);
  t.equal(rule.status, 201, rule.text);
  const { id } = rule.body;
  await owner.post(`/v1/rules/${id}/activate`);
  await owner.put('/v1/patients/ana', {
    name: { given: 'Ana' },
    language: 'es',
    telecom: [{ system: 'email', value: 'ana@example.com' }],
  });
  await owner.put('/v1/patients/petr', {
    name: { given: 'Пётр' },
    birthDate: '2015-05-05',
    guardianId: 'ana',
    consent: { care: { email: 'granted' } },
  });
  await owner.put('/v1/visits/v1', {
    patientId: 'petr',
    status: 'finished',
    start: '2026-01-05T09:00:00Z',
  });
  const days = { from: '2026-01-10', to: '2026-01-10' };
  const preview = await owner.post(`/v1/rules/${id}/preview`, days);
  t.match(preview.body, { recipients: 1, messages: { email: 1 } });
  const checks = async () => {
    const { body } = await owner.get(`/v1/rules/${id}/explain?patientId=petr`);
    const list = body.checks as { name: string; passed: boolean; seen: unknown }[];
    return Object.fromEntries(list.map(({ name, seen }) => [name, seen]));
  };
  t.match(await checks(), { 'contact-point': ['email'], consent: { email: 'allowed' } });
  const { body: stop } = await owner.post('/v1/opt-outs', { patientId: 'ana' });
  t.match(await checks(), { consent: { email: 'opted-out' } });
  await owner.delete(`/v1/opt-outs/${stop.id}`);
  await at('10T20:00:00');
  const sent = (await messages()).filter(({ state }) => state === 'delivered');
  t.match(sent, [{ patientId: 'petr', to: 'ana@example.com', text: 'Es hora' }]);
});

t.test('the caps of a household are set, shown and cleared', async (t) => {
  const { owner } = await family(t, {});
  const household = { perDay: 2, perWeek: 4 };
  const set = await owner.patch('/v1/clinic', { caps: { household } });
  t.match(set.body, { caps: { perDay: 1, perWeek: 3, household } });
  await owner.patch('/v1/clinic', { caps: { perDay: 5 } });
  const { body } = await owner.get('/v1/clinic');
  t.strictSame(body.caps, { perDay: 5, perWeek: 3, household });
  const cleared = await owner.patch('/v1/clinic', { caps: { household: null } });
  t.strictSame(cleared.body.caps, { perDay: 5, perWeek: 3 });
  const wrong = await owner.patch('/v1/clinic', { caps: { household: { perDay: 0, perWeek: 1 } } });
  t.equal(wrong.status, 400);
  t.match(wrong.body.errors?.[0]?.pointer, '/caps');
});
