import { equalBytes, type Secrets } from './secrets.ts';

/** What a link to a clinic's Telegram bot carries: which patient opens the chat, for how long, signed. */
export interface ChatClaim {
  clinicId: string;
  patientId: string;
  /** Kept as the day's end in UTC. */
  expiresAt: Temporal.Instant;
}

const uuidBytes = 16;
const dayBytes = 3;
const bodyBytes = uuidBytes + dayBytes;
const macBytes = 12;
const msPerDay = 86_400_000;

/**
 * Fits the 64 characters that Telegram takes.
 * @param linkedChat the chat that the patient has so far: once they have another, the token is worth nothing.
 */
export function signChat(secrets: Secrets, claim: ChatClaim, linkedChat: string | null): string {
  const body = Buffer.alloc(bodyBytes);
  body.write(claim.patientId.replaceAll('-', ''), 0, 'hex');
  body.writeUIntBE(Math.ceil(claim.expiresAt.epochMilliseconds / msPerDay), uuidBytes, dayBytes);
  const mac = signature(secrets, claim.clinicId, body, linkedChat);
  return Buffer.concat([body, mac]).toString('base64url');
}

/** What a token says of itself, to be believed only after `isSigned`; null for what is none. */
export function readChat(token: string): Omit<ChatClaim, 'clinicId'> | null {
  const bytes = Buffer.from(token, 'base64url');
  // Decoding is lenient; a token has one spelling only.
  if (bytes.length !== bodyBytes + macBytes || bytes.toString('base64url') !== token) return null;
  const hex = bytes.toString('hex', 0, uuidBytes);
  return {
    patientId: hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
    expiresAt: Temporal.Instant.fromEpochMilliseconds(
      bytes.readUIntBE(uuidBytes, dayBytes) * msPerDay,
    ),
  };
}

export function isSigned(
  secrets: Secrets,
  token: string,
  { clinicId, linkedChat }: { clinicId: string; linkedChat: string | null },
): boolean {
  const bytes = Buffer.from(token, 'base64url');
  const mac = signature(secrets, clinicId, bytes.subarray(0, bodyBytes), linkedChat);
  return equalBytes(mac, bytes.subarray(bodyBytes));
}

function signature(
  secrets: Secrets,
  clinicId: string,
  body: Buffer,
  linkedChat: string | null,
): Buffer {
  const signed = `${clinicId} ${body.toString('base64url')} ${linkedChat ?? ''}`;
  return secrets.mac('chat', signed).subarray(0, macBytes);
}
