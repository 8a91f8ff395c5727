import { randomBytes } from 'node:crypto';

/**
 * UUIDv7 (RFC 9562): sortable by the given instant, which for a test clinic is its own clock.
 * Ids made within one millisecond by one process keep their order.
 */
export function uuidv7(now: Temporal.Instant): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(now.epochMilliseconds, 0, 6);
  sequence = (sequence + 1) & 0xfff;
  bytes.writeUInt16BE(0x7000 | sequence, 6);
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

let sequence = 0;

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Whether PostgreSQL would take it as a uuid: what is none names nothing of ours. */
export function isUuid(text: string): boolean {
  return uuidForm.test(text);
}
