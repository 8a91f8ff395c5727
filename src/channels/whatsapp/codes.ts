import type { AdapterError, ErrorClass } from '../channel.ts';

/** What Meta's error codes mean to us, in the answer to a call and in a status alike. */

type Scope = AdapterError['scope'];
interface Meaning {
  class: ErrorClass;
  scope: Scope;
  message: string;
  codes: readonly number[];
  retryAfterMs?: number;
}

const dayMs = 86_400_000;
/** Meta's limit for one recipient is about a message in six seconds. */
const pairMs = 6_000;
const patient: Scope = 'recipient';

const meanings: readonly Meaning[] = [
  {
    ...{ class: 'rate_limited', scope: 'channel', codes: [4, 80007, 130429, 133016] },
    message: 'Meta asks to slow down.',
  },
  {
    ...{ class: 'rate_limited', scope: patient, codes: [131056], retryAfterMs: pairMs },
    message: 'Too many messages to one recipient.',
  },
  {
    ...{ class: 'rate_limited', scope: 'channel', codes: [131048, 131064], retryAfterMs: dayMs },
    message: 'Meta limits this number for the quality of its messages.',
  },
  {
    ...{ class: 'rate_limited', scope: patient, codes: [131049], retryAfterMs: dayMs },
    message: 'Meta holds marketing back from this recipient.',
  },
  {
    ...{ class: 'recipient_permanent', scope: patient, codes: [131026] },
    message: 'The recipient cannot be reached by WhatsApp.',
  },
  {
    ...{ class: 'suppressed', scope: patient, codes: [131050] },
    message: 'The recipient stopped marketing in WhatsApp.',
  },
  {
    ...{ class: 'message_permanent', scope: 'message', codes: [131047] },
    message: 'The recipient has not written for 24 hours; only a template may go.',
  },
  {
    ...{ class: 'message_permanent', scope: 'message' },
    codes: [130472, 131008, 131009, 131051, 131062, 131063, 132000, 132001, 132005],
    message: 'Meta does not take this message.',
  },
  {
    ...{ class: 'message_permanent', scope: 'message' },
    codes: [132007, 132008, 132012, 132015, 132016],
    message: 'The approved template is paused, disabled, or other than the message.',
  },
  {
    ...{ class: 'config', scope: 'channel', codes: [131042] },
    message: 'The account at Meta cannot pay.',
  },
  {
    ...{ class: 'config', scope: 'channel' },
    codes: [0, 3, 10, 190, 368, 130497, 131005, 131031, 131045, 133010],
    message: 'Meta refuses the token, the number or the account.',
  },
  {
    ...{ class: 'temporary', scope: 'message', codes: [131000, 131016, 131057, 135000] },
    message: 'Meta could not do it this time.',
  },
];

const byCode: ReadonlyMap<number, Meaning> = new Map(
  meanings.flatMap((meaning) => meaning.codes.map((code) => [code, meaning] as const)),
);

const permissions = { from: 200, until: 300 } as const;
/** The object of the call is not there, or not ours: with `invalidParameter`, the phone number's id. */
const missingObject = 33;
const invalidParameter = 100;

export interface MetaError {
  code: number;
  subcode: number | null;
  isTransient: boolean;
}

/** @returns null for a code that is not documented, of which the HTTP status has to tell. */
export function meaningOf({ code, subcode, isTransient }: MetaError): AdapterError | null {
  const found = byCode.get(code) ?? refusal(code, subcode);
  const known = { providerCode: String(code), httpStatus: null };
  if (found) {
    const { codes: _codes, ...meaning } = found;
    return { ...known, ...meaning };
  }
  if (!isTransient) return null;
  const message = 'Meta could not do it this time.';
  return { ...known, class: 'temporary', scope: 'message', message };
}

function refusal(code: number, subcode: number | null): Meaning | undefined {
  const isPermission = code >= permissions.from && code < permissions.until;
  const isNumber = code === invalidParameter && subcode === missingObject;
  return isPermission || isNumber ? byCode.get(10) : undefined;
}

/** Of a status, after which nothing is left to ask. */
export function failureOf(code: number): AdapterError {
  const known = meaningOf({ code, subcode: null, isTransient: false });
  if (known) return known;
  const message = 'It was not delivered.';
  const providerCode = String(code);
  return { class: 'message_permanent', scope: 'message', providerCode, httpStatus: null, message };
}
