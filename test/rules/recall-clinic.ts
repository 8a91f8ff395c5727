/** A test clinic over HTTP with what recalls need, and short words for its days. */
import type { Test } from 'tap';
import { type Answer, type Client, type TestApi, testApi } from '../support/api.ts';

export interface Row {
  patientId: string;
  channel: string;
  state: string;
  reason: string | null;
  scheduledAt: string;
  sentAt: string | null;
  ruleId: string;
}

export interface RecallClinic extends Client {
  api: TestApi;
  id: string;
  key: string;
  /** Fails the test unless it is taken. */
  must(asked: Promise<Answer>): Promise<Record<string, unknown>>;
  patient(id: string, more?: object): Promise<void>;
  visit(id: string, patientId: string, start: string): Promise<void>;
  /** Makes and activates it. */
  rule(more?: object): Promise<string>;
  at(now: string): Promise<void>;
  messages(query?: string): Promise<Row[]>;
  /** `patient when`, of what was sent, in that order. */
  sent(): Promise<string[]>;
}

export const yearly = {
  name: 'Recall',
  purpose: 'care',
  trigger: { type: 'visit', after: 'P180D' },
  steps: [{ channel: 'sms', template: 'care' }],
};

export type ClinicWish = { policy?: object } & Record<string, unknown>;

/** Clinics on one database, which the first makes. */
export function recallClinics(t: Test): (wish?: ClinicWish) => Promise<RecallClinic> {
  let api: Promise<TestApi> | null = null;
  return async (wish = {}) => {
    api ??= testApi(t);
    return clinicOf(await api, wish);
  };
}

async function clinicOf(api: TestApi, { policy, ...wish }: ClinicWish): Promise<RecallClinic> {
  const owner = await api.clinic({
    now: '2026-01-05T09:00:00Z',
    country: 'MX',
    timeZone: 'UTC',
    language: 'en',
    currency: 'MXN',
    ...wish,
  });
  const must = async (asked: Promise<Answer>) => {
    const answer = await asked;
    if (answer.status >= 300) throw new Error(answer.text);
    return answer.body;
  };
  for (const purpose of ['care', 'marketing', 'transactional']) {
    const bodies = { sms: { en: { text: 'Hello {{patient.name.given}}' } } };
    await must(owner.put(`/v1/templates/${purpose}`, { purpose, bodies }));
  }
  const caps = { perDay: 50, perWeek: 100 };
  await must(owner.patch('/v1/clinic', { caps, ...(policy && { policy }) }));
  let patients = 0;
  const messages = async (query = '') => {
    const rows: Row[] = [];
    for (let cursor = ''; ; ) {
      const { data, nextCursor } = await must(owner.get(`/v1/messages?limit=200${query}${cursor}`));
      rows.push(...(data as Row[]));
      if (nextCursor === null) return rows;
      cursor = `&cursor=${nextCursor}`;
    }
  };
  return {
    ...owner,
    api,
    must,
    patient: async (id, more = {}) => {
      patients += 1;
      const granted = { sms: 'granted' };
      await must(
        owner.put(`/v1/patients/${id}`, {
          name: { given: id },
          telecom: [{ system: 'phone', value: `+5255123${45000 + patients}` }],
          consent: { care: granted, marketing: granted },
          ...more,
        }),
      );
    },
    visit: async (id, patientId, start) => {
      await must(owner.put(`/v1/visits/${id}`, { patientId, status: 'finished', start }));
    },
    rule: async (more = {}) => {
      const { id } = await must(owner.post('/v1/rules', { ...yearly, ...more }));
      await must(owner.post(`/v1/rules/${id}/activate`, { by: 'Anna' }));
      return String(id);
    },
    at: async (now) => {
      await must(owner.post('/v1/test/clock', { now }));
    },
    messages,
    sent: async () =>
      (await messages())
        .filter(({ sentAt }) => sentAt !== null)
        .map(({ patientId, sentAt }) => `${patientId} ${sentAt?.slice(0, 16)}`)
        .sort((one, other) => (one.slice(-16) + one < other.slice(-16) + other ? -1 : 1)),
  };
}
