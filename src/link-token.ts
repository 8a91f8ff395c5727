import { equalBytes, type Secrets } from './secrets.ts';

/** What a link in a message lets its reader do. */
export const linkActions = ['confirm', 'book', 'rate', 'verify', 'unsubscribe'] as const;
export type LinkAction = (typeof linkActions)[number];

export interface LinkClaim {
  clinicId: string;
  messageId: string;
  action: LinkAction;
  expiresAt: Temporal.Instant;
}

const uuidBytes = 16;
const bodyBytes = uuidBytes * 2 + 1 + 4;
const macBytes = 16;

/** An opaque token for `/l/{token}`: 71 characters that name clinic, message, one action and an expiry, signed. */
export function signLink(secrets: Secrets, claim: LinkClaim): string {
  const body = Buffer.alloc(bodyBytes);
  body.write(claim.clinicId.replaceAll('-', ''), 0, 'hex');
  body.write(claim.messageId.replaceAll('-', ''), uuidBytes, 'hex');
  body.writeUInt8(linkActions.indexOf(claim.action), uuidBytes * 2);
  body.writeUInt32BE(Math.floor(claim.expiresAt.epochMilliseconds / 1000), uuidBytes * 2 + 1);
  return Buffer.concat([body, signature(secrets, body)]).toString('base64url');
}

/** @returns null for whatever this service did not sign; an expired claim is returned, for the caller to refuse. */
export function readLink(secrets: Secrets, token: string): LinkClaim | null {
  const bytes = Buffer.from(token, 'base64url');
  if (bytes.length !== bodyBytes + macBytes) return null;
  const body = bytes.subarray(0, bodyBytes);
  if (!equalBytes(signature(secrets, body), bytes.subarray(bodyBytes))) return null;
  const action = linkActions[body.readUInt8(uuidBytes * 2)];
  if (!action) return null;
  return {
    clinicId: uuidAt(body, 0),
    messageId: uuidAt(body, uuidBytes),
    action,
    expiresAt: Temporal.Instant.fromEpochMilliseconds(body.readUInt32BE(uuidBytes * 2 + 1) * 1000),
  };
}

function signature(secrets: Secrets, body: Buffer): Buffer {
  return secrets.mac('link', body.toString('base64url')).subarray(0, macBytes);
}

function uuidAt(bytes: Buffer, offset: number): string {
  const hex = bytes.toString('hex', offset, offset + uuidBytes);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
