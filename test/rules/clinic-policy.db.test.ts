/** What a clinic sets in the place of its country's row, and what comes of it. */
import { sql } from 'kysely';
import t, { type Test } from 'tap';
import { type RecallClinic, recallClinics } from './recall-clinic.ts';

t.setTimeout(120_000);
const clinicOf = recallClinics(t);

const moscow = { country: 'RU', timeZone: 'Europe/Moscow', currency: 'RUB', language: 'en' };
const ground = { reason: 'The treatment contract, section 7', by: 'Head of the clinic' };
const silent = { consent: {} };
const due = '2025-11-10T09:00:00Z';
const dueDay = '2026-05-09';

async function refused(
  t: Test,
  clinic: RecallClinic,
  body: object,
  pointers: string[],
): Promise<void> {
  const { status, body: problem, text } = await clinic.patch('/v1/clinic', body);
  t.equal(status, 400, text);
  t.same(
    problem.errors?.map(({ pointer }) => pointer),
    pointers,
  );
}

async function policyOf(clinic: RecallClinic) {
  return (await clinic.must(clinic.get('/v1/clinic/policy'))) as {
    country: { country: string };
    result: {
      needsConsent: object;
      mustInclude: object;
      allowedHours: Record<string, Record<string, unknown>>;
    };
    origin: { needsConsent: object; allowedHours: Record<string, Record<string, string>> };
    warnings: { pointer: string; code: string }[];
  };
}

async function auditOf(clinic: RecallClinic) {
  const { rows } = await sql<{ actor: string; detail: Record<string, unknown> }>`
    select actor, detail from audit_entries
    where clinic_id = ${clinic.id} and action = 'policy.changed' order by id`.execute(
    clinic.api.database.db,
  );
  return rows;
}

t.test(
  'a Russian clinic whose contract covers recalls sends them to who never said anything',
  async (t) => {
    const clinic = await clinicOf(moscow);
    const ruleId = await clinic.rule();
    await clinic.patient('silent', silent);
    await clinic.patient('against', { consent: { care: { sms: 'denied' } } });
    await clinic.visit('v1', 'silent', due);
    await clinic.visit('v2', 'against', due);
    const preview = (from = '2026-05-10') =>
      clinic.must(clinic.post(`/v1/rules/${ruleId}/preview`, { from, to: '2026-05-20' }));
    const consent = async () => {
      const url = `/v1/rules/${ruleId}/explain?patientId=silent&on=${dueDay}`;
      const { checks } = await clinic.must(clinic.get(url));
      return (checks as { name: string }[]).find(({ name }) => name === 'consent');
    };
    await clinic.at('2026-05-09T12:00:00Z');
    t.match(await clinic.messages('&patientId=silent'), [{ state: 'held', reason: 'no-consent' }]);
    t.match(await preview(dueDay), { recipients: 0 });
    t.match(await consent(), { passed: false, wanted: { purpose: 'care', needsGrant: true } });

    const needsConsent = { care: false };
    await clinic.must(clinic.patch('/v1/clinic', { policy: { needsConsent, ...ground } }));
    t.same(await clinic.sent(), ['silent 2026-05-09T12:00'], 'at once, and not who refused');
    t.match(await consent(), { passed: true, wanted: { purpose: 'care', needsGrant: false } });
    t.match(await policyOf(clinic), {
      country: { country: 'RU', needsConsent: { care: true } },
      clinic: { needsConsent, ...ground },
      result: { needsConsent: { care: false, marketing: true } },
      origin: { needsConsent: { care: 'clinic', marketing: 'country' } },
    });

    await clinic.patient('later', silent);
    await clinic.visit('v3', 'later', '2025-11-20T09:00:00Z');
    t.match(await preview(), { recipients: 1 });
    await clinic.must(clinic.patch('/v1/clinic', { policy: { needsConsent: null } }));
    t.match(await policyOf(clinic), { origin: { needsConsent: { care: 'country' } } });
    t.match(await preview(), { recipients: 0 }, 'what is taken away holds no more');
    await clinic.at('2026-05-25T12:00:00Z');
    t.same(await clinic.sent(), ['silent 2026-05-09T12:00']);
  },
);

t.test('less than the country asks needs a ground, and who answers for it', async (t) => {
  const clinic = await clinicOf(moscow);
  const loose = { needsConsent: { care: false } };
  await refused(t, clinic, { policy: loose }, ['/policy/reason', '/policy/by']);
  await refused(t, clinic, { policy: { ...loose, reason: ground.reason } }, ['/policy/by']);
  await refused(t, clinic, { policy: { ...loose, ...ground, reason: ' ' } }, ['/policy/reason']);
  const dropped = { mustInclude: { marketing: ['opt-out'] } };
  await refused(t, clinic, { policy: dropped }, ['/policy/reason', '/policy/by']);
  t.same(await auditOf(clinic), []);

  await clinic.must(clinic.patch('/v1/clinic', { policy: { ...loose, ...ground } }));
  await clinic.must(clinic.patch('/v1/clinic', { policy: loose }));
  await refused(t, clinic, { policy: dropped }, ['/policy/reason', '/policy/by']);
  await refused(t, clinic, { policy: { reason: null } }, ['/policy/reason']);
  await refused(t, clinic, { country: 'BR' }, ['/policy/reason', '/policy/by']);
  await clinic.must(clinic.patch('/v1/clinic', { country: 'KZ' }));
});

t.test('more than the country asks needs no ground', async (t) => {
  const clinic = await clinicOf({ policy: { careNeedsConsent: true } });
  const stricter = {
    needsConsent: { care: true },
    mustInclude: { care: ['clinic-name', 'opt-out'] },
    allowedHours: { care: { sat: { start: '10:00', end: '13:00' }, sun: null } },
  };
  await clinic.must(clinic.patch('/v1/clinic', { policy: stricter }));
  const policy = await policyOf(clinic);
  t.match(policy.result, {
    needsConsent: { care: true },
    mustInclude: { care: ['clinic-name', 'opt-out'], marketing: ['opt-out'] },
  });
  t.match(policy.result.allowedHours.care, {
    fri: { start: '09:00', end: '21:00' },
    sat: { start: '10:00', end: '13:00' },
    sun: null,
  });
  t.match(policy.origin.allowedHours.care, { fri: 'country', sat: 'clinic', sun: 'clinic' });
  const bodies = { sms: { en: { text: 'Hello {{patient.name.given}}' } } };
  const saved = await clinic.must(clinic.put('/v1/templates/care', { purpose: 'care', bodies }));
  t.match(saved.warnings, [{ code: 'lacks-clinic-name' }, { code: 'lacks-opt-out' }]);
});

t.test('a clinic keeps to its own hours, whatever its send window', async (t) => {
  const clinic = await clinicOf({
    policy: { allowedHours: { care: { sat: { start: '11:00', end: '13:00' }, sun: null } } },
  });
  await clinic.must(clinic.patch('/v1/clinic', { sendWindow: { start: '08:00', end: '12:00' } }));
  const ruleId = await clinic.rule();
  for (const [id, day] of Object.entries({ sat: '10', sun: '11', mon: '12' })) {
    await clinic.patient(id);
    // 180 days before Saturday to Monday, 9 to 11 May.
    await clinic.visit(id, id, `2025-11-${day}T09:00:00Z`);
  }
  await clinic.at('2026-05-10T12:00:00Z');
  const url = `/v1/rules/${ruleId}/explain?patientId=sun&on=2026-05-10`;
  const { checks } = await clinic.must(clinic.get(url));
  t.match(
    (checks as { name: string }[]).find(({ name }) => name === 'send-window'),
    { passed: false, wanted: { hours: null }, seen: { opensAt: '2026-05-11T08:00:00Z' } },
  );
  await clinic.at('2026-05-12T12:00:00Z');
  t.same(await clinic.sent(), [
    'sat 2026-05-09T11:00',
    'sun 2026-05-11T08:00',
    'mon 2026-05-11T10:00',
  ]);
});

t.test('what waits for hours goes when they are opened', async (t) => {
  const closed = { care: { sat: null, sun: null } };
  const clinic = await clinicOf({ policy: { allowedHours: closed } });
  await clinic.rule();
  await clinic.patient('due');
  await clinic.visit('v1', 'due', due);
  await clinic.at('2026-05-09T12:00:00Z');
  await clinic.patient('told');
  const note = { patientId: 'told', channel: 'sms', text: 'Come again.', purpose: 'care' };
  await clinic.must(clinic.post('/v1/messages', note));
  t.match(await clinic.messages(), [{ reason: 'send-window' }, { reason: 'send-window' }]);
  await clinic.must(clinic.patch('/v1/clinic', { policy: { allowedHours: { care: null } } }));
  t.same(await clinic.sent(), ['due 2026-05-09T12:00', 'told 2026-05-09T12:00']);
});

t.test('no clinic opens the hours that a law closes, and it is told so', async (t) => {
  const clinic = await clinicOf({ country: 'CO', timeZone: 'America/Bogota', currency: 'COP' });
  const allowedHours = {
    care: { sat: { start: '09:00', end: '20:00' }, sun: { start: '09:00', end: '20:00' } },
  };
  await refused(t, clinic, { policy: { allowedHours } }, ['/policy/reason', '/policy/by']);
  await clinic.must(clinic.patch('/v1/clinic', { policy: { allowedHours, ...ground } }));
  const policy = await policyOf(clinic);
  t.match(policy.result.allowedHours.care, { sat: { start: '09:00', end: '15:00' }, sun: null });
  t.match(policy.warnings, [
    { pointer: '/policy/allowedHours/care/sat', code: 'hours-narrowed-by-law' },
    { pointer: '/policy/allowedHours/care/sun', code: 'hours-narrowed-by-law' },
  ]);
  await refused(
    t,
    clinic,
    { policy: { allowedHours: { care: { mon: { start: '12:00', end: '09:00' } } } } },
    ['/policy/allowedHours/care/mon'],
  );
});

t.test('marketing without a grant reaches who said nothing, never who refused', async (t) => {
  const clinic = await clinicOf({
    policy: { needsConsent: { marketing: false }, ...ground },
  });
  await clinic.patient('silent', silent);
  await clinic.patient('against', { consent: { marketing: { sms: 'denied' } } });
  const offer = { channel: 'sms', text: 'STOP', purpose: 'marketing' };
  await clinic.must(clinic.post('/v1/messages', { ...offer, patientId: 'against' }));
  await clinic.must(clinic.post('/v1/messages', { ...offer, patientId: 'silent' }));
  await clinic.at('2026-01-05T12:00:00Z');
  t.same(await clinic.sent(), ['silent 2026-01-05T09:00']);
});

t.test('the audit keeps who changed the policy, why, and both sides', async (t) => {
  const clinic = await clinicOf(moscow);
  await clinic.must(
    clinic.patch('/v1/clinic', { policy: { needsConsent: { care: false }, ...ground } }),
  );
  await clinic.must(clinic.patch('/v1/clinic', { name: 'Renamed' }));
  await clinic.must(clinic.patch('/v1/clinic', { policy: null }));
  const entries = await auditOf(clinic);
  t.match(entries[0]?.actor, /^key:/);
  t.same(
    entries.map(({ detail }) => detail),
    [
      {
        ...ground,
        before: { needsConsent: null, reason: null, by: null },
        after: { needsConsent: { care: false }, ...ground },
      },
      {
        reason: null,
        by: null,
        before: { needsConsent: { care: false }, ...ground },
        after: { needsConsent: null, reason: null, by: null },
      },
    ],
  );
});

t.test('a purpose that is named is set whole, and the others stay', async (t) => {
  const clinic = await clinicOf();
  const patch = async (policy: object) =>
    (await clinic.must(clinic.patch('/v1/clinic', { policy }))).policy;
  await patch({ allowedHours: { care: { sun: null }, marketing: { sat: null } } });
  t.same(await patch({ allowedHours: { care: { mon: null }, marketing: null } }), {
    allowedHours: { care: { mon: null } },
  });
  t.same(await patch({ allowedHours: { care: null } }), {});
});
