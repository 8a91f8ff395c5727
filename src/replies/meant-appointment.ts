import type { Trx } from '../database/connect.ts';
import {
  type ComingAppointment,
  findComing,
  findOnlyComing,
} from '../history/confirmation-store.ts';
import type { AnsweredMessage } from './reply-store.ts';

/**
 * The appointment that an answer to this message is about. One that moved since is not: nobody agreed to
 * its new time.
 */
export async function meantAppointment(
  trx: Trx,
  clinicId: string,
  message: AnsweredMessage,
  now: Temporal.Instant,
): Promise<ComingAppointment | null> {
  const { appointment, patientId, purpose } = message;
  if (appointment === null) {
    // A yes to an invitation is no yes to something else that happens to be booked.
    return purpose === 'transactional' ? findOnlyComing(trx, clinicId, patientId, now) : null;
  }
  const coming = await findComing(trx, clinicId, appointment, now);
  const isSame = coming?.patientId === patientId && coming.startRevision === appointment.revision;
  return isSame ? coming : null;
}
