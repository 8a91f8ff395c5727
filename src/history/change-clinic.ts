import type { Trx } from '../database/connect.ts';
import { invalid } from '../errors.ts';
import { isTimeZone } from '../local-time.ts';
import { recordAudit } from './audit-store.ts';
import type { Clinic, ClinicSettings } from './clinic.ts';
import { lockClinic, updateClinic } from './clinic-store.ts';
import { wakeClinic } from './clinic-work-store.ts';
import { isSendWindow } from './send-window.ts';

/** What may be changed of a clinic; null clears a setting, what is absent stays. */
export type ClinicChange = Partial<
  Pick<Clinic, 'name' | 'timeZone' | 'country' | 'language' | 'currency'>
> &
  SettingsChange;

export type SettingsChange = {
  [Name in keyof ClinicSettings]?: ClinicSettings[Name] | null | undefined;
};

/** @throws AppError a 400 that names the field. @returns null when there is no such clinic. */
export async function changeClinic(
  trx: Trx,
  clinicId: string,
  change: ClinicChange,
  actor: string,
  now: Temporal.Instant,
): Promise<Clinic | null> {
  checkChange(change);
  const clinic = await lockClinic(trx, clinicId);
  if (clinic === null) return null;
  const { name, timeZone, country, language, currency, ...settings } = change;
  const changed = await updateClinic(trx, clinicId, {
    ...defined({ name, timeZone, country, language, currency }),
    settings: changeSettings(clinic.settings, settings),
  });
  const detail = { fields: Object.keys(change) };
  await recordAudit(
    trx,
    clinicId,
    { actor, action: 'clinic.changed', subject: clinicId, detail },
    now,
  );
  // What waits for hours or caps may go now, or must wait longer.
  await wakeClinic(trx, clinicId, 'plan', now);
  await wakeClinic(trx, clinicId, 'dispatch', now);
  return changed;
}

/** @throws AppError */
export function checkChange(change: ClinicChange): void {
  if (change.timeZone !== undefined && !isTimeZone(change.timeZone)) {
    throw invalid(
      '/timeZone',
      'unknown-time-zone',
      'This is no name of a time zone, such as America/Bogota.',
    );
  }
  if (change.sendWindow && !isSendWindow(change.sendWindow)) {
    throw invalid('/sendWindow', 'not-a-window', 'A send window opens before it closes.');
  }
}

function changeSettings(settings: ClinicSettings, change: SettingsChange): ClinicSettings {
  const kept = Object.entries({ ...settings, ...defined(change) }).filter(
    ([, value]) => value !== null,
  );
  // Defaults fill in again what was cleared, when it is read.
  return Object.fromEntries(kept) as unknown as ClinicSettings;
}

function defined<Fields extends object>(fields: Fields): Partial<Fields> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Partial<Fields>;
}
