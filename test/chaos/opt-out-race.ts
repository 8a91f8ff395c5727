/**
 * An opt-out against the sending of the same person's message: whatever the opt-out's answer did not name
 * as in flight must never be sent after it.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Db } from '../../src/database/connect.ts';
import { withClinic } from '../../src/database/with-clinic.ts';
import { blockedByConsent, recordOptOut } from '../../src/history/consent-store.ts';
import { consentTerms, countryPolicy } from '../../src/history/country-policy.ts';
import { dispatchClinic } from '../../src/outbox/dispatch.ts';
import { clinicIn, type OutboxClinic } from '../outbox/outbox-clinic.ts';
import { seededRandom } from '../simulators/control.ts';

/** Sends what is due and answers when it is done. */
export type Sender = (clinic: OutboxClinic) => Promise<void>;

export interface RaceResult {
  races: number;
  /** The message had left before the opt-out was answered. */
  sentBefore: number;
  /** The opt-out came first, and nothing was sent. */
  stopped: number;
  /** Sent though the opt-out had been answered. */
  violations: string[];
}

const racesPerRound = 10;
const firstGuessMs = 50;

export async function raceOptOuts(
  db: Db,
  { races, seed, sender }: { races: number; seed: number; sender: Sender },
): Promise<RaceResult> {
  const random = seededRandom(seed);
  const result: RaceResult = { races: 0, sentBefore: 0, stopped: 0, violations: [] };
  const clinic = await clinicIn(db, {
    settings: { caps: { perDay: 100, perWeek: 700 }, sendWindow: { start: '00:00', end: '24:00' } },
  });
  for (let tookMs = firstGuessMs; result.races < races; ) {
    tookMs = await raceOnce(clinic, sender, () => random() * tookMs, result);
  }
  return result;
}

/** @returns how long the senders took: over that time the next round's opt-outs are spread. */
async function raceOnce(
  clinic: OutboxClinic,
  sender: Sender,
  delayMs: () => number,
  result: RaceResult,
): Promise<number> {
  const runners = [];
  for (let runner = 0; runner < racesPerRound; runner += 1) {
    const patientId = await clinic.addPatient();
    runners.push({ patientId, messageId: await clinic.enqueue({ patientId, purpose: 'care' }) });
  }
  const delays = runners.map(delayMs);
  const started = performance.now();
  const send = () => sender(clinic).then(() => performance.now() - started);
  const [before, tookMs] = await Promise.all([
    Promise.all(
      runners.map(async ({ patientId, messageId }, index) => {
        await pause(delays[index]);
        return optOut(clinic, patientId, messageId, index % 2 === 0);
      }),
    ),
    send(),
    send(),
  ]);
  // Whatever a sender did not get hold of meanwhile it gets now.
  await sender(clinic);
  for (const [index, { messageId }] of runners.entries()) {
    const isSent = clinic.provider.taken.has(messageId);
    result.races += 1;
    if (before[index]) result.sentBefore += 1;
    else if (isSent) result.violations.push(messageId);
    else result.stopped += 1;
  }
  return tookMs;
}

/** @returns whether the answer names the message as one that cannot be stopped any more. */
async function optOut(
  { in: within, clinicId, clock }: OutboxClinic,
  patientId: string,
  messageId: string,
  byAddress: boolean,
): Promise<boolean> {
  return within(async (trx) => {
    const { rows: people } = await sql<{ address: string }>`
      select sms_address as address from patients where clinic_id = ${clinicId} and id = ${patientId}`.execute(
      trx,
    );
    const whom = byAddress ? { address: people[0]?.address ?? '' } : { patientId };
    await recordOptOut(trx, clinicId, { ...whom, origin: 'api' }, clock.now());
    const { rows } = await sql<{ state: string }>`
      select state from messages where clinic_id = ${clinicId} and id = ${messageId}`.execute(trx);
    return !['scheduled', 'claimed', 'held', 'suppressed'].includes(rows[0]?.state ?? '');
  });
}

export const dispatcher: Sender = async ({ deps, clinicId, clock }) => {
  await dispatchClinic(deps, clinicId, clock.now());
};

/** The control: it asks for consent first and commits the intent to send afterwards. */
export const checkThenSend: Sender = async ({ db, clinicId, provider, clock }) => {
  const { rows: due } = await withClinic(db, clinicId, (trx) =>
    sql<{ id: string; patientId: string; address: string }>`
      with due as (
        select id from messages where clinic_id = ${clinicId} and state = 'scheduled'
        order by id for update skip locked
      )
      update messages m set state = 'claimed', lease_until = clock_timestamp() + interval '45 seconds'
      from due, patients p
      where m.clinic_id = ${clinicId} and m.id = due.id and p.clinic_id = ${clinicId} and p.id = m.patient_id
      returning m.id, m.patient_id as "patientId", p.sms_address as address`.execute(trx),
  );
  const asks = due.map((message) => ({
    ...{ key: message.id, channel: 'sms' as const, purpose: 'care' as const },
    ...{ patientId: message.patientId, address: message.address },
  }));
  const blocked = await withClinic(db, clinicId, (trx) =>
    blockedByConsent(trx, clinicId, asks, consentTerms(countryPolicy('CO'))),
  );
  for (const { id } of due) {
    const state = blocked.has(id) ? 'suppressed' : 'sent';
    await withClinic(db, clinicId, (trx) =>
      sql`
        update messages set state = ${state}, reason = 'opted-out', attempt_no = 1, client_ref = id::text,
          next_at = null, lease_until = null, updated_at = ${clock.now()}
        where clinic_id = ${clinicId} and id = ${id} and state = 'claimed'`.execute(trx),
    );
    if (state === 'sent') provider.taken.set(id, 1);
  }
};
