import { isDeepStrictEqual } from 'node:util';
import type { Trx } from '../database/connect.ts';
import { AppError, invalid } from '../errors.ts';
import { isTimeZone } from '../local-time.ts';
import { recordAudit } from './audit-store.ts';
import {
  type Caps,
  type Clinic,
  type ClinicPolicy,
  type ClinicSettings,
  holidayPlaceOf,
} from './clinic.ts';
import { clinicPolicy, loosenings, type PolicySubject } from './clinic-policy.ts';
import { lockClinic, updateClinic } from './clinic-store.ts';
import { wakeClinic } from './clinic-work-store.ts';
import { checkDataRegion } from './data-region.ts';
import { hasHolidayRegion, hasHolidays } from './holidays.ts';
import { markReplanOfHeld, markReplanOfWaiting } from './replan-store.ts';
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
type PolicyWish = {
  [Name in Exclude<keyof ClinicPolicy, NestedName>]?: ClinicPolicy[Name] | null | undefined;
} & { [Name in NestedName]?: PurposeWish<NonNullable<ClinicPolicy[Name]>> | null | undefined };
/** A purpose that is named is set whole; the others stay. */
type PurposeWish<ByPurpose> = {
  [Purpose in keyof ByPurpose]?: ByPurpose[Purpose] | null | undefined;
};
const nestedNames = ['allowedHours', 'needsConsent', 'mustInclude'] as const;
type NestedName = (typeof nestedNames)[number];
type Wish<Fields> = { [Name in keyof Fields]?: Fields[Name] | undefined };

/** @throws AppError a 400 that names the field. @returns null when there is no such clinic. */
export async function changeClinic(
  trx: Trx,
  clinicId: string,
  wish: ClinicWish,
  actor: string,
  now: Temporal.Instant,
  /** Where the installation keeps its data; null where nobody said. */
  dataRegion: string | null,
): Promise<Clinic | null> {
  const clinic = await lockClinic(trx, clinicId);
  if (clinic === null) return null;
  const change = completed(wish, clinic.settings);
  checkChange(change);
  const next = {
    mode: clinic.mode,
    country: change.country ?? clinic.country,
    settings: changeSettings(clinic.settings, { policy: change.policy }),
  };
  checkHolidays(next.settings.policy, next.country);
  checkHours(next.settings.policy);
  checkGrounds(clinic, next, wish.policy ?? {});
  if (next.country !== clinic.country) checkDataRegion(next, dataRegion);
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
  await recordPolicyChange(trx, clinic, next, actor, now);
  const isOtherPolicy = !isDeepStrictEqual(policyIn(clinic), policyIn(next));
  if (isOtherPolicy || (changed !== null && changed.timeZone !== clinic.timeZone))
    await markReplanOfWaiting(trx, clinicId, now);
  if (isOtherPolicy) await markReplanOfHeld(trx, clinicId, ['no-consent', 'send-window']);
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
    policy: policy && mergePolicy(settings.policy ?? {}, policy),
  };
}

function mergePolicy(old: ClinicPolicy, wish: PolicyWish): ClinicPolicy {
  const nested = nestedNames.flatMap((name) => {
    const own = wish[name];
    if (own == null) return [];
    const merged = withoutNulls({ ...old[name], ...defined(own) });
    return [[name, Object.keys(merged).length > 0 ? merged : null]];
  });
  return withoutNulls({ ...old, ...defined(wish), ...Object.fromEntries(nested) });
}

function checkHours({ allowedHours = {} }: ClinicPolicy = {}): void {
  for (const [purpose, days] of Object.entries(allowedHours)) {
    for (const [day, hours] of Object.entries(days)) {
      if (hours === null || isSendWindow(hours)) continue;
      const pointer = `/policy/allowedHours/${purpose}/${day}`;
      throw invalid(pointer, 'not-a-window', 'Hours open before they close.');
    }
  }
}

/**
 * Less than the country asks for needs a ground, and a person who answers for it: given along with what is
 * newly loose, and kept for as long as anything is.
 */
function checkGrounds(before: PolicySubject, after: PolicySubject, wish: PolicyWish): void {
  const old = new Set(loosenings(before).map(({ key }) => key));
  const loose = loosenings(after);
  const [fresh] = loose.filter(({ key }) => !old.has(key));
  const [first] = fresh ? [fresh] : loose;
  if (first === undefined) return;
  const { reason, by } = fresh ? wish : (after.settings.policy ?? {});
  const faults = Object.entries({ reason, by })
    .filter(([, value]) => !value?.trim())
    .map(([name]) => ({
      pointer: `/policy/${name}`,
      code: 'required',
      detail: `${first.pointer} is less than the country asks for: say on what ground, and who answers for it.`,
    }));
  if (faults.length === 0) return;
  throw new AppError('validation', faults[0]?.detail ?? '', { faults });
}

/** All by which the policy of a clinic decides. */
function policyIn(clinic: PolicySubject) {
  return { ...clinicPolicy(clinic), holidays: holidayPlaceOf(clinic) };
}

/** What the clinic had set before and after, of what differs. */
async function recordPolicyChange(
  trx: Trx,
  { id, ...before }: PolicySubject & { id: string },
  after: PolicySubject,
  actor: string,
  now: Temporal.Instant,
): Promise<void> {
  const [was, is] = [before, after].map(
    ({ country, settings }): Record<string, unknown> => ({ country, ...settings.policy }),
  ) as [Record<string, unknown>, Record<string, unknown>];
  const names = Object.keys({ ...was, ...is }).filter(
    (name) => !isDeepStrictEqual(was[name], is[name]),
  );
  if (names.length === 0) return;
  const pick = (from: Record<string, unknown>) =>
    Object.fromEntries(names.map((name) => [name, from[name] ?? null]));
  const { reason = null, by = null } = after.settings.policy ?? {};
  const detail = { reason, by, before: pick(was), after: pick(is) };
  await recordAudit(trx, id, { actor, action: 'policy.changed', subject: id, detail }, now);
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
