import type { StoredTelecom } from '../database/tables.ts';
import { parsePhone } from '../phone.ts';

/** From what a host knows of a person's phones and mail to the one address that each channel uses. */

export const telecomSystems = ['phone', 'email', 'whatsapp', 'telegram'] as const;
export const telecomUses = ['mobile', 'home', 'work', 'old', 'temp'] as const;

export interface Telecom {
  system: (typeof telecomSystems)[number];
  value: string;
  use?: string;
  rank?: number;
}

export interface Reachability {
  telecom: StoredTelecom[];
  /** Each usable address once, with what it is. */
  points: { address: string; kind: 'phone' | 'email' | 'telegram'; country: string | null }[];
  sms_address: string | null;
  email_address: string | null;
  whatsapp_address: string | null;
  telegram_address: string | null;
}

interface Candidate extends StoredTelecom {
  canSms: boolean;
  country: string | null;
}

/** @param country the region of numbers without a country code. */
export function readTelecom(telecom: readonly Telecom[], country: string): Reachability {
  const candidates = telecom.map((entry) => normalize(entry, country));
  // A number that is no longer theirs is someone else's.
  const current = candidates.filter((entry) => entry.address !== undefined && entry.use !== 'old');
  const inOrder = current.toSorted(byPreference);
  const first = (wanted: (entry: Candidate) => boolean) => inOrder.find(wanted)?.address ?? null;
  return {
    telecom: candidates.map(({ canSms: _canSms, country: _country, ...stored }) => stored),
    points: pointsOf(current),
    // Colleagues read what is sent to a number at work.
    sms_address: first((entry) => entry.system === 'phone' && entry.canSms && entry.use !== 'work'),
    email_address: first((entry) => entry.system === 'email'),
    whatsapp_address: first((entry) => entry.system === 'whatsapp'),
    telegram_address: first((entry) => entry.system === 'telegram'),
  };
}

function pointsOf(current: readonly Candidate[]): Reachability['points'] {
  const points = new Map<string, Reachability['points'][number]>();
  for (const entry of current) {
    if (entry.address === undefined || points.has(entry.address)) continue;
    points.set(entry.address, {
      address: entry.address,
      kind: kinds[entry.system] ?? 'phone',
      country: entry.country,
    });
  }
  return [...points.values()];
}

const kinds: Readonly<Record<string, 'phone' | 'email' | 'telegram'>> = Object.freeze({
  phone: 'phone',
  whatsapp: 'phone',
  email: 'email',
  telegram: 'telegram',
});

function normalize(entry: Telecom, country: string): Candidate {
  const kept: Candidate = { ...entry, canSms: false, country: null };
  if (entry.system === 'email') return { ...kept, ...emailAddress(entry.value) };
  if (entry.system === 'telegram') return { ...kept, ...chatAddress(entry.value) };
  const phone = parsePhone(entry.value, country);
  if (!phone.ok) return { ...kept, reason: phone.reason };
  return { ...kept, address: phone.e164, canSms: phone.canSms, country: phone.country ?? null };
}

const emailForm =
  /^[^\s@<>"(),:;\\[\]]{1,64}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$/;
const emailCharsMax = 254;

function emailAddress(value: string): Pick<StoredTelecom, 'address' | 'reason'> {
  const address = value.trim().toLowerCase();
  return emailForm.test(address) && address.length <= emailCharsMax
    ? { address }
    : { reason: 'not-an-email' };
}

/** Only a chat that the person opened can be written to, and it is known by its number. */
function chatAddress(value: string): Pick<StoredTelecom, 'address' | 'reason'> {
  const chat = value.trim();
  return /^-?\d{1,20}$/.test(chat) ? { address: `telegram:${chat}` } : { reason: 'not-a-chat' };
}

const useOrder = ['mobile', undefined, 'home', 'temp', 'work'];
const unranked = 1_000_000;

function byPreference(a: Candidate, b: Candidate): number {
  return (
    (a.rank ?? unranked) - (b.rank ?? unranked) || useOrder.indexOf(a.use) - useOrder.indexOf(b.use)
  );
}
