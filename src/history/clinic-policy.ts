import type { Purpose } from '../database/tables.ts';
import { type Clinic, type ClinicPolicy, type Weekday, weekdays } from './clinic.ts';
import {
  type ConsentTerms,
  type CountryPolicy,
  consentTerms,
  countryPolicy,
  type Hours,
  type WeekHours,
} from './country-policy.ts';
import { hoursOfWeekday, intersect } from './send-window.ts';

/**
 * What holds in a clinic: its country's row with what the clinic has set in its place. The one place where
 * the two meet; whoever plans, sends, foretells or explains asks here.
 */

export interface EffectivePolicy extends CountryPolicy {
  /** By purpose, Monday first: whether the clinic set the hours of that day. They bind as a law's do. */
  readonly ownHours?: Readonly<Record<Purpose, readonly boolean[]>>;
}

export type PolicySubject = Pick<Clinic, 'country'> & {
  settings: Pick<Clinic['settings'], 'policy'>;
};

const purposes = ['transactional', 'care', 'marketing'] as const;
const consentPurposes = ['care', 'marketing'] as const;

export function clinicPolicy({ country, settings }: PolicySubject): EffectivePolicy {
  const row = countryPolicy(country);
  const { policy } = settings;
  if (policy === undefined) return row;
  return {
    ...row,
    needsConsent: {
      // The older switch only ever asks for more.
      care:
        policy.careNeedsConsent === true || (policy.needsConsent?.care ?? row.needsConsent.care),
      marketing: policy.needsConsent?.marketing ?? row.needsConsent.marketing,
    },
    mustInclude: { ...row.mustInclude, ...policy.mustInclude },
    ...(policy.allowedHours && hoursWithOwn(row, policy.allowedHours)),
  };
}

/** What SQL needs to decide consent in this clinic. */
export function clinicConsentTerms(clinic: PolicySubject): ConsentTerms {
  return consentTerms(clinicPolicy(clinic));
}

function hoursWithOwn(
  row: CountryPolicy,
  own: NonNullable<ClinicPolicy['allowedHours']>,
): Required<Pick<EffectivePolicy, 'allowedHours' | 'ownHours'>> {
  return {
    allowedHours: byPurpose((purpose) => weekOf((day) => hoursOf(row, own, purpose, day))),
    ownHours: byPurpose((purpose) => weekdays.map((day) => own[purpose]?.[day] !== undefined)),
  };
}

/** Nothing that a law forbids is let through, whatever a clinic sets. */
function hoursOf(
  row: CountryPolicy,
  own: NonNullable<ClinicPolicy['allowedHours']>,
  purpose: Purpose,
  day: Weekday,
): Hours | null {
  const ofCountry = hoursAt(row, purpose, day);
  const ofClinic = own[purpose]?.[day];
  if (ofClinic === undefined) return ofCountry;
  if (ofClinic === null || !row.isLaw) return ofClinic;
  return ofCountry && intersect(ofCountry, ofClinic);
}

function hoursAt({ allowedHours }: CountryPolicy, purpose: Purpose, day: Weekday): Hours | null {
  return allowedHours[purpose][weekdays.indexOf(day)] ?? null;
}

/** A demand of the country that the clinic does not make. */
export interface Loosening {
  /** Into the body of a change of the clinic, such as `/policy/needsConsent/care`. */
  pointer: string;
  /** Equal for two settings that are loose in the same way. */
  key: string;
}

/** All in which the clinic asks for less than its country does; hours only where they stem from a law. */
export function loosenings(clinic: PolicySubject): Loosening[] {
  const row = countryPolicy(clinic.country);
  const policy = clinicPolicy(clinic);
  const consents = consentPurposes
    .filter((purpose) => row.needsConsent[purpose] && !policy.needsConsent[purpose])
    .map((purpose) => loosening(clinic, `needsConsent/${purpose}`, false));
  const texts = purposes
    .filter((purpose) => !row.mustInclude[purpose].every(isIn(policy.mustInclude[purpose])))
    .map((purpose) => loosening(clinic, `mustInclude/${purpose}`, policy.mustInclude[purpose]));
  const hours = beyondLaw(clinic).map(({ purpose, day, hours }) =>
    loosening(clinic, `allowedHours/${purpose}/${day}`, hours),
  );
  return [...consents, ...texts, ...hours];
}

function loosening({ country }: PolicySubject, path: string, value: unknown): Loosening {
  return { pointer: `/policy/${path}`, key: JSON.stringify([country, path, value]) };
}

/** The hours that a clinic set beyond those of a law, and that its law narrows. */
function beyondLaw({ country, settings }: PolicySubject) {
  const row = countryPolicy(country);
  if (!row.isLaw) return [];
  return purposes.flatMap((purpose) =>
    weekdays.flatMap((day) => {
      const hours = settings.policy?.allowedHours?.[purpose]?.[day];
      return hours && !isWithin(hours, hoursAt(row, purpose, day)) ? [{ purpose, day, hours }] : [];
    }),
  );
}

function isWithin(hours: Hours, limit: Hours | null): boolean {
  return limit !== null && limit.start <= hours.start && hours.end <= limit.end;
}

function isIn<Item>(list: readonly Item[]): (item: Item) => boolean {
  return (item) => list.includes(item);
}

/** `country`: its row. `default`: ours, where the country has no row or the row says nothing. `clinic`: its settings. */
export type Origin = 'country' | 'default' | 'clinic';

export interface PolicyOrigins {
  allowedHours: Record<Purpose, Record<Weekday, Origin>>;
  needsConsent: Record<'care' | 'marketing', Origin>;
  mustInclude: Record<Purpose, Origin>;
  marketingNeedsApprover: Origin;
  dataRegion: Origin;
}

/** Monday first, with the send window: when messages really leave. */
export function openHours(
  clinic: Pick<Clinic, 'country' | 'settings'>,
): Record<Purpose, WeekHours> {
  const policy = clinicPolicy(clinic);
  const { sendWindow } = clinic.settings;
  return byPurpose((purpose) =>
    weekOf((day) => hoursOfWeekday(weekdays.indexOf(day), { purpose, policy, sendWindow })),
  );
}

/** Where each field of what holds comes from. */
export function policyOrigins(clinic: Pick<Clinic, 'country' | 'settings'>): PolicyOrigins {
  const { country, settings } = clinic;
  const { policy = {}, sendWindow } = settings;
  const row = countryPolicy(country);
  const { ownHours } = clinicPolicy(clinic);
  const open = openHours(clinic);
  const ofRow: Origin = row.country === null ? 'default' : 'country';
  const ofHours = (purpose: Purpose, day: Weekday): Origin => {
    const at = weekdays.indexOf(day);
    if (ownHours?.[purpose][at] || (!row.isLaw && sendWindow !== null)) return 'clinic';
    if (isSame(open[purpose][at] ?? null, hoursAt(row, purpose, day))) return ofRow;
    return sendWindow === null ? 'default' : 'clinic';
  };
  const ofSetting = (isSet: boolean): Origin => (isSet ? 'clinic' : ofRow);
  const careIsSet = policy.careNeedsConsent === true || policy.needsConsent?.care !== undefined;
  return {
    allowedHours: byPurpose(
      (purpose) =>
        Object.fromEntries(weekdays.map((day) => [day, ofHours(purpose, day)])) as Record<
          Weekday,
          Origin
        >,
    ),
    needsConsent: {
      care: ofSetting(careIsSet),
      marketing: ofSetting(policy.needsConsent?.marketing !== undefined),
    },
    mustInclude: byPurpose((purpose) => ofSetting(policy.mustInclude?.[purpose] !== undefined)),
    marketingNeedsApprover: ofRow,
    dataRegion: ofRow,
  };
}

function isSame(one: Hours | null, other: Hours | null): boolean {
  return one?.start === other?.start && one?.end === other?.end;
}

function byPurpose<Value>(ofPurpose: (purpose: Purpose) => Value): Record<Purpose, Value> {
  return {
    transactional: ofPurpose('transactional'),
    care: ofPurpose('care'),
    marketing: ofPurpose('marketing'),
  };
}

function weekOf(hoursOn: (day: Weekday) => Hours | null): WeekHours {
  return weekdays.map(hoursOn) as unknown as WeekHours;
}

/** What the clinic's settings ask for and its law does not give, for who reads the policy. */
export function narrowedByLaw(clinic: PolicySubject): string[] {
  return beyondLaw(clinic).map(({ purpose, day }) => `/policy/allowedHours/${purpose}/${day}`);
}
