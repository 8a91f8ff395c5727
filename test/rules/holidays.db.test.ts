import t from 'tap';
import { recallClinics } from './recall-clinic.ts';

t.setTimeout(120_000);
const clinicOf = recallClinics(t);

const moscow = { country: 'RU', timeZone: 'Europe/Moscow', currency: 'RUB' };
const policy = { respectHolidays: true };

t.test('a recall that falls due on a holiday goes on the next day that is none', async (t) => {
  const clinic = await clinicOf({ ...moscow, policy });
  const ruleId = await clinic.rule();
  await clinic.patient('due');
  // 180 days before Saturday, 9 May; and before Thursday, 12 November, a day as others.
  await clinic.visit('v1', 'due', '2025-11-10T09:00:00Z');
  await clinic.patient('other');
  await clinic.visit('v2', 'other', '2026-05-16T09:00:00Z');
  await clinic.at('2026-05-08T20:00:00Z');
  const preview = await clinic.must(
    clinic.post(`/v1/rules/${ruleId}/preview`, { from: '2026-05-09', to: '2026-05-09' }),
  );
  t.match(preview, { recipients: 0 }, 'nobody hears of it on the holiday');
  await clinic.at('2026-05-09T12:00:00Z');
  t.match(await clinic.messages('&patientId=due'), [{ state: 'held', reason: 'send-window' }]);
  const explained = await clinic.must(
    clinic.get(`/v1/rules/${ruleId}/explain?patientId=due&on=2026-05-09`),
  );
  t.match(explained, { outcome: 'held', reason: 'send-window' });
  t.match(
    (explained.checks as { name: string }[]).find(({ name }) => name === 'send-window'),
    {
      passed: false,
      reason: 'send-window',
      seen: { holiday: 'День Победы', opensAt: '2026-05-10T06:00:00Z' },
    },
  );
  await clinic.at('2026-11-20T12:00:00Z');
  t.same(await clinic.sent(), ['due 2026-05-10T06:00', 'other 2026-11-12T07:00']);
});

t.test('without the setting a holiday is a day as others', async (t) => {
  const clinic = await clinicOf(moscow);
  await clinic.rule();
  await clinic.patient('due');
  await clinic.visit('v1', 'due', '2025-11-10T09:00:00Z');
  await clinic.at('2026-05-10T12:00:00Z');
  t.same(await clinic.sent(), ['due 2026-05-09T07:00']);
});

t.test('a recall whose time ends with the holidays is not sent', async (t) => {
  const clinic = await clinicOf({ ...moscow, policy, now: '2025-12-20T09:00:00Z' });
  const ruleId = await clinic.rule({ catchUp: 'P3D' });
  await clinic.patient('due');
  await clinic.visit('v1', 'due', '2025-07-06T09:00:00Z');
  const days = { from: '2026-01-02', to: '2026-01-12' };
  const preview = await clinic.must(clinic.post(`/v1/rules/${ruleId}/preview`, days));
  t.match(preview, { recipients: 0, suppressed: { 'send-window': 1 } });
  await clinic.at('2026-01-12T12:00:00Z');
  t.match(await clinic.messages(), [{ state: 'expired', reason: 'send-window' }]);
});

t.test('holidays of several days are waited out', async (t) => {
  const clinic = await clinicOf({ ...moscow, policy, now: '2025-12-20T09:00:00Z' });
  await clinic.rule();
  await clinic.patient('due');
  await clinic.visit('v1', 'due', '2025-07-06T09:00:00Z');
  await clinic.at('2026-01-12T12:00:00Z');
  t.same(await clinic.sent(), ['due 2026-01-09T06:00']);
});

t.test('a reminder and a transactional message go on a holiday all the same', async (t) => {
  const clinic = await clinicOf({ ...moscow, policy, now: '2026-05-01T09:00:00Z' });
  await clinic.patient('booked');
  await clinic.rule({
    trigger: { type: 'appointment', before: 'P1D' },
    steps: [{ channel: 'sms', template: 'care' }],
  });
  await clinic.must(
    clinic.put('/v1/appointments/a1', {
      patientId: 'booked',
      status: 'booked',
      start: '2026-05-10T12:00:00Z',
      minutes: 30,
    }),
  );
  await clinic.at('2026-05-09T09:00:00Z');
  const note = { patientId: 'booked', channel: 'sms', text: 'Your result is ready.' };
  await clinic.must(clinic.post('/v1/messages', { ...note, purpose: 'transactional' }));
  const offer = await clinic.must(clinic.post('/v1/messages', { ...note, purpose: 'marketing' }));
  t.match(offer, { state: 'held', reason: 'send-window' });
  await clinic.at('2026-05-09T15:00:00Z');
  t.same(await clinic.sent(), ['booked 2026-05-09T07:00', 'booked 2026-05-09T09:00']);
});

t.test('a greeting for the holiday itself goes on its day', async (t) => {
  const clinic = await clinicOf({ ...moscow, policy, now: '2026-03-01T09:00:00Z' });
  await clinic.patient('anna');
  const march = { purpose: 'marketing', steps: [{ channel: 'sms', template: 'marketing' }] };
  await clinic.rule({ ...march, trigger: { type: 'calendar', date: '03-08' } });
  // Monday, 9 March, is free too: a greeting is of its own day alone.
  await clinic.rule({
    ...march,
    trigger: { type: 'calendar', date: '03-07' },
    catchUp: 'P5D',
    sendAt: '22:00',
  });
  await clinic.at('2026-03-12T12:00:00Z');
  t.same(await clinic.sent(), ['anna 2026-03-08T07:00', 'anna 2026-03-10T06:00']);
});

t.test(
  'a holiday is one where the recipient lives, and of the region that was named',
  async (t) => {
    const clinic = await clinicOf({
      country: 'BR',
      timeZone: 'America/Sao_Paulo',
      policy: { respectHolidays: true, holidayRegion: 'SP' },
      currency: 'BRL',
    });
    await clinic.rule({ sendAt: '21:30' });
    await clinic.must(clinic.patch('/v1/clinic', { sendWindow: { start: '06:00', end: '23:00' } }));
    // Due at 21:30 on 8 July at home; in Lisbon at 21:30 there, four hours before.
    await clinic.patient('home');
    await clinic.visit('v1', 'home', '2026-01-09T15:00:00Z');
    await clinic.patient('later');
    await clinic.visit('v2', 'later', '2026-01-10T15:00:00Z');
    await clinic.at('2026-07-12T12:00:00Z');
    t.same(await clinic.sent(), ['home 2026-07-09T00:30', 'later 2026-07-10T09:00']);
  },
);

t.test('what no country or region is, is refused where it is written', async (t) => {
  const clinic = await clinicOf(moscow);
  const refused = async (body: object, pointer: string) => {
    const { status, body: problem } = await clinic.patch('/v1/clinic', body);
    t.equal(status, 400);
    t.match(problem, { errors: [{ pointer }] });
  };
  await refused({ policy: { holidayRegion: 'SP' } }, '/policy/holidayRegion');
  await refused({ policy: { respectHolidays: 1 } }, '/policy/respectHolidays');
  await refused({ country: 'XX', policy: { respectHolidays: true } }, '/policy/respectHolidays');
  await clinic.must(clinic.patch('/v1/clinic', { policy: { careNeedsConsent: true } }));
  await clinic.must(
    clinic.patch('/v1/clinic', { policy: { respectHolidays: true, holidayRegion: 'TA' } }),
  );
  await refused({ country: 'BR' }, '/policy/holidayRegion');
  t.match(await clinic.must(clinic.get('/v1/clinic')), {
    policy: { careNeedsConsent: true, respectHolidays: true, holidayRegion: 'TA' },
  });
  const cleared = await clinic.must(
    clinic.patch('/v1/clinic', { country: 'BR', policy: { holidayRegion: null } }),
  );
  t.same(cleared.policy, { careNeedsConsent: true, respectHolidays: true });
});
