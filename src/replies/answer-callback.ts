import type { Trx } from '../database/connect.ts';
import { takeCallback } from '../history/callback-store.ts';
import type { Clinic } from '../history/clinic.ts';
import { lockPatients } from '../history/lock-store.ts';
import { readTelecom } from '../history/telecom.ts';
import type { ChannelDeps } from '../outbox/channel-store.ts';
import { sendHostMessage } from '../outbox/send-host-message.ts';
import { findTemplate } from '../outbox/template-store.ts';
import { withoutControls } from '../outbox/template-values.ts';
import { chooseChannel } from './converse.ts';
import { findPatientsAt } from './reply-store.ts';
import { staffTexts } from './staff-texts.ts';
import { openTask } from './task-store.ts';
import { findSurvivor } from './thread-store.ts';

/** Its own words to whoever asks to be called, where the clinic has written some. */
const acknowledgement = 'callback-received';

/** Makes a task of a call that was asked for, and tells the patient that it was heard. @returns false where it was served before. */
export async function answerCallback(
  deps: ChannelDeps,
  trx: Trx,
  clinic: Clinic,
  id: string,
  now: Temporal.Instant,
): Promise<boolean> {
  const callback = await takeCallback(trx, clinic.id, id);
  if (callback === null) return false;
  const phone = callback.phone === null ? null : dialled(callback.phone, clinic.country);
  const patientId =
    callback.patientId === null
      ? await onlyPatientAt(trx, clinic.id, phone)
      : await findSurvivor(trx, clinic.id, callback.patientId);
  await lockPatients(trx, clinic.id, patientId === null ? [] : [patientId], 'update');
  const texts = staffTexts(clinic.language);
  const asked = phone === null ? texts.callBack : `${texts.callBackTo} ${phone}.`;
  const note = withoutControls(callback.note.toWellFormed());
  const task = {
    ...{ patientId, messageId: null, ruleId: null, asks: 'callback' as const },
    text: note === '' ? asked : `${asked} «${note}»`,
    ...(phone !== null && { phone }),
  };
  await openTask(trx, clinic, task, now);
  if (patientId !== null) await acknowledge(deps, trx, clinic, patientId, now);
  return true;
}

/** As it can be dialled, else as it was written: a person will make sense of it. */
function dialled(phone: string, country: string): string {
  const [point] = readTelecom([{ system: 'phone', value: phone }], country).points;
  return point?.address ?? withoutControls(phone.toWellFormed());
}

async function onlyPatientAt(
  trx: Trx,
  clinicId: string,
  phone: string | null,
): Promise<string | null> {
  if (phone === null) return null;
  const sharers = await findPatientsAt(trx, clinicId, phone, 2);
  return sharers.length === 1 ? (sharers[0] ?? null) : null;
}

async function acknowledge(
  deps: ChannelDeps,
  trx: Trx,
  clinic: Clinic,
  patientId: string,
  now: Temporal.Instant,
): Promise<void> {
  const template = await findTemplate(trx, clinic.id, acknowledgement);
  if (template?.purpose !== 'transactional') return;
  const channel = await chooseChannel(deps, trx, clinic, patientId, acknowledgement);
  if (channel === null) return;
  const purpose = 'transactional' as const;
  const message = { patientId, purpose, channel, template: acknowledgement, atOnce: true };
  await sendHostMessage(deps, trx, clinic, message, now);
}
