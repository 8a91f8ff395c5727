import type { Trx } from '../database/connect.ts';
import { withClinic } from '../database/with-clinic.ts';
import { invalid } from '../errors.ts';
import { findAppointment } from '../history/appointment-store.ts';
import { type HostId, parseHostId } from '../history/host-id.ts';
import type { Caller } from '../history/key.ts';
import { findPatientByHostId } from '../history/patient-store.ts';
import { findVisit } from '../history/visit-store.ts';
import { uuidv7 } from '../uuid.ts';
import type { Outcome } from './batch.ts';
import { readEvent } from './event.ts';
import { commitEvents, type IntakeDeps, readContext } from './record-events.ts';
import { rejectionError, validationProblem } from './rejection.ts';

/** One object by the path of the events: the time of receipt is when it occurred. */

export type ObjectNoun = 'patient' | 'appointment' | 'visit';

/**
 * @returns whether there was none before: a 201 rather than a 200.
 * @throws AppError a 400 that points into the body.
 */
export async function putObject(
  deps: IntakeDeps,
  caller: Caller,
  noun: ObjectNoun,
  id: string,
  body: object,
): Promise<{ isNew: boolean }> {
  if ('id' in body && body.id !== id) {
    throw invalid('/id', 'id-mismatch', 'The path names another id.');
  }
  const outcome = await submit(deps, caller, `${noun}.upserted`, { ...body, id });
  return { isNew: outcome.kind === 'applied' && outcome.isNew };
}

type Find = (
  trx: Trx,
  clinicId: string,
  hostId: HostId,
) => Promise<{ source: string; external_id: string } | null>;

const finders: Readonly<Record<ObjectNoun, Find>> = {
  patient: findPatientByHostId,
  appointment: findAppointment,
  visit: findVisit,
};

/** @returns false where there is nothing to delete. */
export async function deleteObject(
  deps: IntakeDeps,
  caller: Caller,
  noun: ObjectNoun,
  id: string,
): Promise<boolean> {
  const hostId = parseHostId(id, caller.source);
  const found = await withClinic(deps.db, caller.clinicId, (trx) =>
    finders[noun](trx, caller.clinicId, hostId),
  );
  if (found === null || isOtherId(found, hostId)) return false;
  await submit(deps, caller, `${noun}.deleted`, { id });
  return true;
}

/** An id that was merged away shows its survivor, but deleting it must not delete them. */
function isOtherId(
  found: { source: string; external_id: string },
  { source, externalId }: HostId,
): boolean {
  return found.source !== source || found.external_id !== externalId;
}

async function submit(
  deps: IntakeDeps,
  caller: Caller,
  type: string,
  data: object,
): Promise<Outcome> {
  const context = readContext(deps, caller);
  const now = Temporal.Instant.fromEpochMilliseconds(context.nowMs);
  const event = { id: `put:${uuidv7(now)}`, type, occurredAt: now.toString(), data };
  const reading = readEvent(event, context);
  if ('faults' in reading) {
    const faults = reading.faults.map((fault) => ({
      ...fault,
      pointer: fault.pointer.replace(/^\/data/, ''),
    }));
    throw rejectionError(validationProblem(faults));
  }
  const [outcome] = await commitEvents(deps, caller, [reading.event]);
  if (outcome === undefined) throw new Error('A committed event has no outcome.');
  if (outcome.kind === 'rejected') throw rejectionError(outcome.problem);
  return outcome;
}
