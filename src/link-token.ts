import { equalBytes, type Secrets } from './secrets.ts';

/** What a link in a message lets its reader do. */
export const linkActions = ['confirm', 'book', 'rate', 'verify', 'unsubscribe'] as const;
export type LinkAction = (typeof linkActions)[number];

export interface LinkClaim {
  /** A clinic's number rather than its id: every character is paid for in an SMS. */
  clinicNumber: number;
  messageId: string;
  action: LinkAction;
  /** Kept as the day's end in UTC, never earlier than asked. */
  expiresAt: Temporal.Instant;
}

const clinicBytes = 3;
const uuidBytes = 16;
/** Three bits of action, and 21 bits of days since 1970, which end in the year 7711. */
const termsBytes = 3;
const actionsMax = 8;
const bodyBytes = clinicBytes + uuidBytes + termsBytes;
const macBytes = 10;
const msPerDay = 86_400_000;

/** Characters of a token: what an SMS with a link has to make room for. */
export const linkTokenChars = Math.ceil(((bodyBytes + macBytes) * 4) / 3);

/** An opaque token for `/l/{token}` that names clinic, message, one action and an expiry, signed. */
export function signLink(secrets: Secrets, claim: LinkClaim): string {
  const body = Buffer.alloc(bodyBytes);
  const day = Math.ceil(claim.expiresAt.epochMilliseconds / msPerDay);
  body.writeUIntBE(claim.clinicNumber, 0, clinicBytes);
  body.write(claim.messageId.replaceAll('-', ''), clinicBytes, 'hex');
  body.writeUIntBE(
    day * actionsMax + linkActions.indexOf(claim.action),
    clinicBytes + uuidBytes,
    termsBytes,
  );
  return Buffer.concat([body, signature(secrets, body)]).toString('base64url');
}

/** @returns null for whatever this service did not sign; an expired claim is returned, for the caller to refuse. */
export function readLink(secrets: Secrets, token: string): LinkClaim | null {
  const bytes = Buffer.from(token, 'base64url');
  // Decoding is lenient; a token has one spelling only.
  if (bytes.length !== bodyBytes + macBytes || bytes.toString('base64url') !== token) return null;
  const body = bytes.subarray(0, bodyBytes);
  if (!equalBytes(signature(secrets, body), bytes.subarray(bodyBytes))) return null;
  const terms = body.readUIntBE(clinicBytes + uuidBytes, termsBytes);
  const action = linkActions[terms % actionsMax];
  if (!action) return null;
  return {
    clinicNumber: body.readUIntBE(0, clinicBytes),
    messageId: uuidAt(body, clinicBytes),
    action,
    expiresAt: Temporal.Instant.fromEpochMilliseconds(Math.floor(terms / actionsMax) * msPerDay),
  };
}

function signature(secrets: Secrets, body: Buffer): Buffer {
  return secrets.mac('link', body.toString('base64url')).subarray(0, macBytes);
}

function uuidAt(bytes: Buffer, offset: number): string {
  const hex = bytes.toString('hex', offset, offset + uuidBytes);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
