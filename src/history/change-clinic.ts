import type { Trx } from '../database/connect.ts';
import { invalid } from '../errors.ts';
import { isTimeZone } from '../local-time.ts';
import { recordAudit } from './audit-store.ts';
import type { Caps, Clinic, ClinicPolicy, ClinicSettings } from './clinic.ts';
import { lockClinic, updateClinic } from './clinic-store.ts';
import { wakeClinic } from './clinic-work-store.ts';
import { hasHolidayRegion, hasHolidays } from './holidays.ts';
import { markReplanOfWaiting } from './replan-store.ts';
import { defaultSendWindow, isSendWindow } from './send-window.ts';

/** What may be changed of a clinic; null clears a setting, what is absent stays. */
export type ClinicChange = Partial<
  Pick<Clinic, 'name' | 'timeZone' | 'country' | 'language' | 'currency'>
> &
  SettingsChange;

export type SettingsChange = {
  [Name in keyof ClinicSettings]?: ClinicSettings[Name] | null | undefined;
};

/** As it is asked for: a window, caps or a policy may name one of their fields, and keep the others. */
export type ClinicWish = Omit<ClinicChange, 'sendWindow' | 'caps' | 'policy'> & {
  sendWindow?: Wish<NonNullable<ClinicSettings['sendWindow']>> | null | undefined;
  caps?: CapsWish | null | undefined;
  policy?: PolicyWish | null | undefined;
};
/** Null for the household leaves it to what follows from merging. */
type CapsWish = Wish<Caps> & { household?: Caps | null | undefined };
/** Null takes one of its fields away. */
type PolicyWish = { [Name in keyof ClinicPolicy]?: ClinicPolicy[Name] | null | undefined };
type Wish<Fields> = { [Name in keyof Fields]?: Fields[Name] | undefined };

/** @throws AppError a 400 that names the field. @returns null when there is no such clinic. */
export async function changeClinic(
  trx: Trx,
  clinicId: string,
  wish: ClinicWish,
  actor: string,
  now: Temporal.Instant,
): Promise<Clinic | null> {
  const clinic = await lockClinic(trx, clinicId);
  if (clinic === null) return null;
  const change = completed(wish, clinic.settings);
  checkChange(change);
  checkHolidays(
    { ...clinic.settings, ...defined(change) }.policy,
    change.country ?? clinic.country,
  );
  const { name, timeZone, country, language, currency, ...settings } = change;
  const changed = await updateClinic(trx, clinicId, {
    ...defined({ name, timeZone, country, language, currency }),
    settings: changeSettings(clinic.settings, settings),
  });
  const detail = { fields: Object.keys(wish) };
  await recordAudit(
    trx,
    clinicId,
    { actor, action: 'clinic.changed', subject: clinicId, detail },
    now,
  );
  if (changed !== null && changed.timeZone !== clinic.timeZone)
    await markReplanOfWaiting(trx, clinicId, now);
  // What waits for hours or caps may go now, or must wait longer.
  await wakeClinic(trx, clinicId, 'dispatch', now);
  await wakeClinic(trx, clinicId, 'plan', now);
  return changed;
}

function completed(wish: ClinicWish, settings: ClinicSettings): ClinicChange {
  const { sendWindow, caps, policy, ...rest } = wish;
  const oldWindow = settings.sendWindow ?? defaultSendWindow;
  return {
    ...rest,
    sendWindow: sendWindow && { ...oldWindow, ...defined(sendWindow) },
    caps: caps && withoutNulls({ ...settings.caps, ...defined(caps) }),
    policy: policy && withoutNulls({ ...settings.policy, ...defined(policy) }),
  };
}

/** The library of holidays is asked only where the clinic keeps them. */
function checkHolidays(policy: ClinicPolicy | null | undefined, country: string): void {
  const { respectHolidays = false, holidayRegion } = policy ?? {};
  if (respectHolidays && !hasHolidays(country)) {
    const detail = 'No holidays are known of the country of the clinic.';
    throw invalid('/policy/respectHolidays', 'unknown-country', detail);
  }
  if (holidayRegion !== undefined && !hasHolidayRegion(country, holidayRegion)) {
    const detail = 'No holidays are known of such a region of the country of the clinic.';
    throw invalid('/policy/holidayRegion', 'unknown-region', detail);
  }
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
  // Defaults fill in again what was cleared, when it is read.
  return withoutNulls({ ...settings, ...defined(change) }) as unknown as ClinicSettings;
}

type Present<Fields> = { [Name in keyof Fields]: Exclude<Fields[Name], null> };

function withoutNulls<Fields extends object>(fields: Fields): Present<Fields> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== null),
  ) as Present<Fields>;
}

type Defined<Fields> = { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> };

function defined<Fields extends object>(fields: Fields): Defined<Fields> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Defined<Fields>;
}
