import type { ConsentState, Purpose } from '../database/tables.ts';

/**
 * What a country asks of a message and of a patient's data, as data. A country without a row fails closed: narrow hours, and care
 * only with consent. Nothing is ever appended to a text; what a text lacks is a warning when it is saved.
 */

/** Half-open local hours, such as 09:00 to 21:00; `00:00` to `24:00` is all day. */
export interface Hours {
  readonly start: string;
  readonly end: string;
}

/** Monday first; null is closed. */
export type WeekHours = readonly [
  Hours | null,
  Hours | null,
  Hours | null,
  Hours | null,
  Hours | null,
  Hours | null,
  Hours | null,
];

export const demands = ['clinic-name', 'clinic-contact', 'opt-out', 'contraindications'] as const;
export type Demand = (typeof demands)[number];

export interface CountryPolicy {
  /** ISO 3166-1 alpha-2; null for countries without a row. */
  readonly country: string | null;
  readonly allowedHours: Readonly<Record<Purpose, WeekHours>>;
  /** Hours of a law narrow the clinic's send window; other hours are defaults that it replaces. */
  readonly isLaw: boolean;
  readonly needsConsent: Readonly<Record<'care' | 'marketing', boolean>>;
  readonly mustInclude: Readonly<Record<Purpose, readonly Demand[]>>;
  /** A marketing rule is activated only with the name of a person who answers for it. */
  readonly marketingNeedsApprover: boolean;
  /** The country in whose databases its citizens' data must be recorded first; null where no rule is known. */
  readonly dataRegion: string | null;
  readonly source: string;
}

const allDay = everyDay('00:00', '24:00');
const usualHours = everyDay('09:00', '21:00');

const noDemands = { transactional: [], care: [], marketing: [] } as const;
const optOutOfMarketing = { transactional: [], care: [], marketing: ['opt-out'] } as const;

const rows: readonly CountryPolicy[] = [
  {
    // Advertising by telecom networks needs prior consent and may not be sent without a person's part in
    // it; medical advertising carries the warning of contraindications. No quiet hours are known: the
    // 230-FZ hours are about debts. Citizens' data is first recorded in databases in Russia.
    country: 'RU',
    allowedHours: forAll(usualHours),
    isLaw: false,
    needsConsent: { care: true, marketing: true },
    mustInclude: { transactional: [], care: [], marketing: ['opt-out', 'contraindications'] },
    marketingNeedsApprover: true,
    dataRegion: 'RU',
    source: '38-FZ art. 18(1), 18(2) and 24(7); data: 152-FZ art. 18(5); hours: our default',
  },
  {
    country: 'KZ',
    allowedHours: forAll(usualHours),
    isLaw: false,
    needsConsent: { care: false, marketing: true },
    mustInclude: noDemands,
    marketingNeedsApprover: false,
    dataRegion: null,
    source: 'No rule on hours is known to us; our default',
  },
  {
    // The carriers' rule covers marketing, and a recall counts as such here; a reminder of a booked
    // visit is care in the sense of LGPD art. 11 II f and may go on a Sunday.
    country: 'BR',
    allowedHours: {
      transactional: everyDay('09:00', '22:00'),
      care: mondayToSaturday('09:00', '22:00'),
      marketing: mondayToSaturday('09:00', '22:00'),
    },
    isLaw: false,
    needsConsent: { care: true, marketing: true },
    mustInclude: optOutOfMarketing,
    marketingNeedsApprover: false,
    dataRegion: null,
    source: 'Carrier rules in the Twilio guidelines for Brazil; LGPD (Lei 13.709/2018) art. 11',
  },
  {
    // Confirmations of operations and requested information are exempt.
    country: 'CO',
    allowedHours: {
      transactional: allDay,
      care: weekOf({ start: '07:00', end: '19:00' }, { start: '08:00', end: '15:00' }, null),
      marketing: weekOf({ start: '07:00', end: '19:00' }, { start: '08:00', end: '15:00' }, null),
    },
    isLaw: true,
    needsConsent: { care: false, marketing: true },
    mustInclude: optOutOfMarketing,
    marketingNeedsApprover: false,
    dataRegion: null,
    source: 'Ley 2300 de 2023',
  },
  {
    country: 'MX',
    allowedHours: forAll(usualHours),
    isLaw: false,
    needsConsent: { care: false, marketing: true },
    mustInclude: optOutOfMarketing,
    marketingNeedsApprover: false,
    dataRegion: null,
    source: 'REPEP (Profeco) registry against advertising; hours: our default',
  },
  {
    country: 'AR',
    allowedHours: forAll(usualHours),
    isLaw: false,
    needsConsent: { care: false, marketing: true },
    mustInclude: optOutOfMarketing,
    marketingNeedsApprover: false,
    dataRegion: null,
    source: 'Registro Nacional No Llame (Ley 26.951); hours: our default',
  },
  {
    country: 'CL',
    allowedHours: forAll(usualHours),
    isLaw: false,
    needsConsent: { care: false, marketing: true },
    mustInclude: optOutOfMarketing,
    marketingNeedsApprover: false,
    dataRegion: null,
    source: 'SERNAC "No Molestar": the right to stop promotions; hours: our default',
  },
  {
    // The hours are the recipient's. The exemption for health messages asks for the provider's name and
    // contact and a way to opt out.
    country: 'US',
    allowedHours: forAll(everyDay('08:00', '21:00')),
    isLaw: true,
    needsConsent: { care: false, marketing: true },
    mustInclude: {
      transactional: ['clinic-name', 'clinic-contact'],
      care: ['clinic-name', 'clinic-contact', 'opt-out'],
      marketing: ['clinic-name', 'clinic-contact', 'opt-out'],
    },
    marketingNeedsApprover: false,
    dataRegion: null,
    source: 'TCPA, 47 CFR 64.1200(c)(1); health exemption, FCC 20-186',
  },
];

const withoutRow: CountryPolicy = {
  country: null,
  allowedHours: forAll(mondayToSaturday('09:00', '20:00')),
  isLaw: false,
  needsConsent: { care: true, marketing: true },
  mustInclude: optOutOfMarketing,
  marketingNeedsApprover: false,
  dataRegion: null,
  source: 'No row for this country; our narrowest default',
};

/** All shipped rows by country. */
export const countryPolicies: ReadonlyMap<string, CountryPolicy> = new Map(
  rows.map((row) => [row.country ?? '', row]),
);

/** The row of a country by its two letters, else the closed default. What holds in a clinic is `clinicPolicy`. */
export function countryPolicy(country: string): CountryPolicy {
  return countryPolicies.get(country.toUpperCase()) ?? withoutRow;
}

/** What SQL needs to decide consent for many patients at once, the same as `consentAllows`. */
export interface ConsentTerms {
  readonly transactionalNeedsGrant: boolean;
  readonly careNeedsGrant: boolean;
  readonly marketingNeedsGrant: boolean;
}

/** A purpose that needs a grant goes only if granted; another goes unless denied. */
export function consentTerms({ needsConsent }: Pick<CountryPolicy, 'needsConsent'>): ConsentTerms {
  return {
    transactionalNeedsGrant: false,
    careNeedsGrant: needsConsent.care,
    marketingNeedsGrant: needsConsent.marketing,
  };
}

/** Whether the consent that a patient gave for a purpose lets a message of it go. */
export function consentAllows(
  purpose: Purpose,
  state: ConsentState,
  policy: Pick<CountryPolicy, 'needsConsent'>,
): boolean {
  const needsGrant = consentTerms(policy)[`${purpose}NeedsGrant`];
  return needsGrant ? state === 'granted' : state !== 'denied';
}

function forAll(week: WeekHours): Record<Purpose, WeekHours> {
  return { transactional: week, care: week, marketing: week };
}

function everyDay(start: string, end: string): WeekHours {
  const hours = { start, end };
  return weekOf(hours, hours, hours);
}

function mondayToSaturday(start: string, end: string): WeekHours {
  const hours = { start, end };
  return weekOf(hours, hours, null);
}

function weekOf(weekday: Hours, saturday: Hours | null, sunday: Hours | null): WeekHours {
  return [weekday, weekday, weekday, weekday, weekday, saturday, sunday];
}
