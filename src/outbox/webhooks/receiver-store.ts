import { sql } from 'kysely';
import type { Trx } from '../../database/connect.ts';
import type { Secrets } from '../../secrets.ts';

/** Where to call, in whose words, and signed by what. */
export interface Receiver {
  name: string;
  url: string;
  source: string;
  /** The newest first; two while they are rotated. */
  secrets: string[];
}

export interface SealedReceiver {
  name: string;
  url: string;
  source: string;
  secret: Uint8Array;
  previousSecret: Uint8Array | null;
  previousUntil: Temporal.Instant | null;
}

export const receiverColumns = sql`
  w.name, w.url, w.source, w.secret, w.previous_secret as "previousSecret", w.previous_until as "previousUntil"`;

export async function findReceiver(
  trx: Trx,
  clinicId: string,
  name: string,
): Promise<SealedReceiver | null> {
  const { rows } = await sql<SealedReceiver>`
    select ${receiverColumns} from webhooks w where w.clinic_id = ${clinicId} and w.name = ${name}`.execute(
    trx,
  );
  return rows[0] ?? null;
}

export function openReceiver(
  secrets: Secrets,
  clinicId: string,
  { name, url, source, ...sealed }: SealedReceiver,
  now: Temporal.Instant,
): Receiver {
  const open = (bytes: Uint8Array) => secrets.open(bytes, sealedAs(clinicId, name));
  const { secret, previousSecret, previousUntil } = sealed;
  const isRotating = previousUntil !== null && Temporal.Instant.compare(now, previousUntil) < 0;
  const previous = isRotating && previousSecret !== null ? [open(previousSecret)] : [];
  return { name, url, source, secrets: [open(secret), ...previous] };
}

/** What a webhook's secret is sealed for: no other clinic's or webhook's can stand in its place. */
export function sealedAs(clinicId: string, name: string): string {
  return `${clinicId}/webhooks/${name}/secret`;
}
