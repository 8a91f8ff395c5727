import type { Clock } from '../clock.ts';
import type { Purpose } from '../database/tables.ts';
import type { Demand, Hours } from './country-policy.ts';
import type { HolidayPlace } from './holidays.ts';

/** A clinic: whose data it is, where its days begin, and how often it may write to one person. */
export interface Clinic {
  id: string;
  /** Names the clinic in links, in few characters. */
  number: number;
  name: string;
  timeZone: string;
  country: string;
  language: string;
  currency: string;
  mode: 'live' | 'test';
  /** The present instant of a test clinic; null for a live one. */
  testNow: Temporal.Instant | null;
  settings: ClinicSettings;
  createdAt: Temporal.Instant;
}

export const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Weekday = (typeof weekdays)[number];

export interface Caps {
  perDay: number;
  perWeek: number;
}

export interface ClinicSettings {
  /** Null while the clinic has set none: then its country's hours hold. */
  sendWindow: Hours | null;
  /** Contacts a person gets at most; tasks, the inbox and transactional messages do not count. */
  caps: Caps & {
    /** Of all who live together; where their messages are merged, a person's own if absent. */
    household?: Caps;
  };
  householdMerging: boolean;
  /** The most messages a local day of the clinic may see. */
  messagesPerDay: number;
  phone?: string;
  address?: string;
  /** Of the buttons on the pages behind links, as `#rrggbb`. */
  brandColor?: string;
  /** Hosts of the clinic's own pages: texts may link to them. */
  websites?: string[];
  openingHours?: Partial<Record<Weekday, Hours[]>>;
  /** Where the clinic departs from its country's row; `clinicPolicy` says what comes of it. */
  policy?: ClinicPolicy;
}

/** Null is closed; a weekday that is absent stays as it is in the country's row. */
export type OwnHours = Partial<Record<Weekday, Hours | null>>;

export interface ClinicPolicy {
  careNeedsConsent?: boolean;
  /** Care and marketing stay away from the country's public holidays. */
  respectHolidays?: boolean;
  /** A state or region with holidays of its own, such as SP of BR. */
  holidayRegion?: string;
  allowedHours?: Partial<Record<Purpose, OwnHours>>;
  needsConsent?: Partial<Record<'care' | 'marketing', boolean>>;
  /** Each list takes the place of the country's. */
  mustInclude?: Partial<Record<Purpose, Demand[]>>;
  /** On what ground the clinic asks for less than its country does. */
  reason?: string;
  /** The person who answers for that. */
  by?: string;
}

export const defaultSettings: ClinicSettings = Object.freeze({
  sendWindow: null,
  caps: Object.freeze({ perDay: 1, perWeek: 3 }),
  householdMerging: false,
  messagesPerDay: 10_000,
});

/** The present instant for all that happens in a clinic: a test clinic has its own. */
export function clinicNow(clinic: Clinic, clock: Clock): Temporal.Instant {
  return clinic.testNow ?? clock.now();
}

/** The place whose holidays the clinic keeps; null where it keeps none. */
export function holidayPlaceOf({
  country,
  settings,
}: Pick<Clinic, 'country'> & { settings: Pick<ClinicSettings, 'policy'> }): HolidayPlace | null {
  const { respectHolidays, holidayRegion } = settings.policy ?? {};
  return respectHolidays ? { country, region: holidayRegion ?? null } : null;
}
