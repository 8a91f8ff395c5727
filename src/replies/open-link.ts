import type { Clock } from '../clock.ts';
import type { Db, Trx } from '../database/connect.ts';
import { withClinic } from '../database/with-clinic.ts';
import { type Clinic, clinicNow } from '../history/clinic.ts';
import { findClinicByNumber } from '../history/clinic-store.ts';
import type { ComingAppointment } from '../history/confirmation-store.ts';
import { lockAddresses, lockPatients } from '../history/lock-store.ts';
import { type LinkAction, type LinkClaim, readLink } from '../link-token.ts';
import type { Secrets } from '../secrets.ts';
import { meantAppointment } from './meant-appointment.ts';
import { type PageTexts, pageTexts } from './page-texts.ts';
import { type AnsweredMessage, findAnsweredMessage } from './reply-store.ts';

/** Finds out what a token names, and holds it for whoever acts on it. */

export interface LinkDeps {
  db: Db;
  secrets: Secrets;
  clock: Clock;
}

/** All that the page behind a link speaks of. */
export interface OpenLink {
  trx: Trx;
  clinic: Clinic;
  action: LinkAction;
  message: AnsweredMessage;
  /** The appointment that it is about; null when there is none, or it moved, was cancelled or is over. */
  appointment: ComingAppointment | null;
  texts: PageTexts;
  now: Temporal.Instant;
}

export type LinkVisitor<Result> = {
  /** No link of ours, or what it named is gone. */
  unknown(): Result;
  expired(clinic: Clinic, texts: PageTexts): Result;
  open(link: OpenLink): Promise<Result>;
};

/** @param purpose `act` takes the locks of a write that may remove a reason to send. */
export async function openLink<Result>(
  { db, secrets, clock }: LinkDeps,
  token: string,
  purpose: 'look' | 'act',
  visitor: LinkVisitor<Result>,
): Promise<Result> {
  const claim = readLink(secrets, token);
  const clinic = claim && (await findClinicByNumber(db, claim.clinicNumber));
  if (!clinic) return visitor.unknown();
  return withClinic(db, clinic.id, async (trx) => {
    const message = await findAnsweredMessage(trx, clinic.id, claim.messageId);
    if (message === null) return visitor.unknown();
    const now = clinicNow(clinic, clock);
    const texts = pageTexts(message.language, message.patientLanguage, clinic.language);
    if (isExpired(claim, now)) return visitor.expired(clinic, texts);
    if (purpose === 'act') await hold(trx, clinic.id, message);
    const { action } = claim;
    const appointment = await appointmentOf(trx, clinic.id, action, message, now);
    return visitor.open({ trx, clinic, action, message, appointment, texts, now });
  });
}

/** Whoever wants no more messages is never told to come earlier. */
function isExpired({ action, expiresAt }: LinkClaim, now: Temporal.Instant): boolean {
  return action !== 'unsubscribe' && Temporal.Instant.compare(expiresAt, now) <= 0;
}

async function hold(trx: Trx, clinicId: string, message: AnsweredMessage): Promise<void> {
  await lockPatients(trx, clinicId, [message.patientId], 'update');
  if (message.address !== null) await lockAddresses(trx, clinicId, [message.address], 'update');
}

/** A link to confirm is about an appointment, whatever the message was for. */
function appointmentOf(
  trx: Trx,
  clinicId: string,
  action: LinkAction,
  message: AnsweredMessage,
  now: Temporal.Instant,
): Promise<ComingAppointment | null> {
  const purpose = action === 'confirm' ? 'transactional' : message.purpose;
  return meantAppointment(trx, clinicId, { ...message, purpose }, now);
}
