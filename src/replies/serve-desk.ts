import type { Db, Trx } from '../database/connect.ts';
import { withClinic } from '../database/with-clinic.ts';
import { findCallbacks } from '../history/callback-store.ts';
import type { Clinic } from '../history/clinic.ts';
import { findClinic } from '../history/clinic-store.ts';
import { claimClinics, rescheduleClinic } from '../history/clinic-work-store.ts';
import { lockPatients } from '../history/lock-store.ts';
import { nextDayAtDesk } from '../history/opening-hours.ts';
import type { DispatchDeps } from '../outbox/dispatch.ts';
import { loop, type Service } from '../service.ts';
import { answerCallback } from './answer-callback.ts';
import { nextDeskAt } from './desk-store.ts';
import { sendNotices } from './send-notices.ts';
import { findDigestReaders, putDigest } from './staff-store.ts';
import { staffTexts } from './staff-texts.ts';
import { openThreadTask } from './task-store.ts';
import { findOverdueThreads, findThreadPatient, takeOverdueThread } from './thread-store.ts';

/**
 * What is due at a clinic's desk: calls that were asked for, patients who were not answered, and what staff
 * are told. Any number of processes may serve it; each piece is one transaction that takes its row.
 */

export type DeskDeps = DispatchDeps & { db: Db };

const piecesMax = 100;

/** One bounded share. @returns how much came of it. */
export async function serveDesk(
  deps: DeskDeps,
  clinicId: string,
  now: Temporal.Instant,
): Promise<number> {
  const clinic = await withClinic(deps.db, clinicId, (trx) => findClinic(trx, clinicId));
  if (clinic === null) return 0;
  const desk: Desk = { deps, clinic, now };
  let done = 0;
  done += await serveEach(desk, findCallbacks, (trx, id) =>
    answerCallback(deps, trx, clinic, id, now),
  );
  done += await serveEach(
    desk,
    (trx, id, limit) => findOverdueThreads(trx, id, now, limit),
    (trx, id) => remindOfThread(desk, trx, id),
  );
  done += await serveEach(
    desk,
    (trx, id, limit) => findDigestReaders(trx, id, now, limit),
    (trx, name) => putDigest(trx, clinicId, name, nextDigestAt(clinic, now), now),
  );
  done += await sendNotices(deps, clinic, now);
  await withClinic(deps.db, clinicId, (trx) =>
    rescheduleClinic(trx, clinicId, 'desk', () => nextDeskAt(trx, clinicId)),
  );
  return done;
}

interface Desk {
  deps: DeskDeps;
  clinic: Clinic;
  now: Temporal.Instant;
}

/** Each piece by itself: one that cannot be served keeps no other from it, and is tried again. */
async function serveEach(
  { deps, clinic }: Desk,
  find: (trx: Trx, clinicId: string, limit: number) => Promise<string[]>,
  serve: (trx: Trx, id: string) => Promise<boolean>,
): Promise<number> {
  const ids = await withClinic(deps.db, clinic.id, (trx) => find(trx, clinic.id, piecesMax));
  let done = 0;
  for (const id of ids) {
    try {
      if (await withClinic(deps.db, clinic.id, (trx) => serve(trx, id))) done += 1;
    } catch (error) {
      report(deps, error, clinic.id);
    }
  }
  return done;
}

async function remindOfThread({ clinic, now }: Desk, trx: Trx, id: string): Promise<boolean> {
  const patientId = await findThreadPatient(trx, clinic.id, id);
  await lockPatients(trx, clinic.id, patientId === null ? [] : [patientId], 'update');
  if (!(await takeOverdueThread(trx, clinic.id, id, now))) return false;
  const text = staffTexts(clinic.language).unanswered;
  await openThreadTask(trx, clinic, { threadId: id, patientId, text }, now);
  return true;
}

/** When the next day of the clinic begins; a clinic that is never open asks again in a week. */
export function nextDigestAt(clinic: Clinic, now: Temporal.Instant): Temporal.Instant {
  return nextDayAtDesk(clinic, now) ?? now.add({ hours: 24 * 7 });
}

const idleMs = 1_000;

/** Serves the desks of all live clinics, longest unserved first. */
export function createDeskService(deps: DeskDeps): Service {
  return loop({
    round: async () => {
      const now = deps.clock.now();
      const [clinicId] = await claimClinics(deps.db, 'desk', now, 1);
      if (clinicId === undefined) return 'idle';
      return (await serveDesk(deps, clinicId, now)) > 0 ? 'more' : 'idle';
    },
    idleMs,
    onError: (error) => report(deps, error),
  });
}

function report(deps: DeskDeps, error: unknown, clinicId?: string): void {
  const name = error instanceof Error ? error.name : typeof error;
  deps.log.error({ error: name, clinicId }, "A piece of a clinic's desk failed.");
}
