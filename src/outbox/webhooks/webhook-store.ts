import { sql } from 'kysely';
import type { HttpClient } from '../../channels/http.ts';
import type { Trx } from '../../database/connect.ts';
import { AppError, type Fault } from '../../errors.ts';
import type { Secrets } from '../../secrets.ts';
import { isWebhookSecret, newWebhookSecret } from '../../signature.ts';
import { retryAll } from './delivery-store.ts';
import { sealedAs } from './receiver-store.ts';
import { unknownPatterns, type Webhook, type WebhookIn, webhooksPerClinicMax } from './webhook.ts';

/** The receivers of a clinic's host. Their secrets are kept encrypted and shown once, when they are made. */

export interface WebhookDeps {
  secrets: Secrets;
  http: Pick<HttpClient, 'mayCall'>;
}

export interface StoredWebhook {
  webhook: Webhook;
  /** Only where it was made now. */
  secret: string | null;
  isNew: boolean;
}

/** How long the secret before a rotation signs too. */
const rotationTime = Temporal.Duration.from({ hours: 24 });

/**
 * Stores a webhook whole, in the words of that source; one that was paused or disabled is told again, with all
 * that was kept for it.
 * @throws AppError that names every fault, or that it is one too many.
 */
export async function putWebhook(
  deps: WebhookDeps,
  trx: Trx,
  clinicId: string,
  wish: WebhookIn & { name: string; source: string },
  now: Temporal.Instant,
): Promise<StoredWebhook> {
  check(deps, wish);
  const before = await lockSecrets(trx, clinicId, wish.name);
  if (before === null) return insertWebhook(deps, trx, clinicId, wish, now);
  await sql`
    update webhooks set url = ${wish.url}, events = ${[...wish.events]}::text[], source = ${wish.source}, updated_at = ${now}
    where clinic_id = ${clinicId} and name = ${wish.name}`.execute(trx);
  if (
    wish.secret !== undefined &&
    wish.secret !== deps.secrets.open(before, sealedAs(clinicId, wish.name))
  ) {
    await replaceSecret(deps, trx, clinicId, wish.name, wish.secret, now);
  }
  const webhook = await resumeWebhook(trx, clinicId, wish.name, now);
  if (webhook === null) throw new Error('A webhook was not stored.');
  return { webhook, secret: null, isNew: false };
}

function check({ http }: WebhookDeps, { url, events, secret }: WebhookIn): void {
  const faults: Fault[] = unknownPatterns(events).map((event) => ({
    pointer: `/events/${events.indexOf(event)}`,
    code: 'unknown-event',
    detail: 'No event is called so.',
  }));
  if (!http.mayCall(url)) {
    const detail = 'It must be https on port 443 or 8443, without a password, at a public address.';
    faults.push({ pointer: '/url', code: 'url', detail });
  }
  if (secret !== undefined && !isWebhookSecret(secret)) {
    const detail = 'A secret is whsec_ and 24 to 64 bytes in base64.';
    faults.push({ pointer: '/secret', code: 'secret', detail });
  }
  if (faults.length > 0) {
    throw new AppError('validation', 'The webhook cannot be set up like this.', { faults });
  }
}

async function insertWebhook(
  { secrets }: WebhookDeps,
  trx: Trx,
  clinicId: string,
  {
    name,
    url,
    events,
    source,
    secret = newWebhookSecret(),
  }: WebhookIn & { name: string; source: string },
  now: Temporal.Instant,
): Promise<StoredWebhook> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`webhooks/${clinicId}`}, 0))`.execute(
    trx,
  );
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from webhooks where clinic_id = ${clinicId} and name <> ${name}`.execute(
    trx,
  );
  if ((rows[0]?.count ?? 0) >= webhooksPerClinicMax) {
    throw new AppError('unprocessable', `A clinic has at most ${webhooksPerClinicMax} webhooks.`);
  }
  const inserted = await trx
    .insertInto('webhooks')
    .values({
      clinic_id: clinicId,
      ...{ name, url, events: [...events], source },
      secret: secrets.seal(secret, sealedAs(clinicId, name)),
      created_at: now,
      updated_at: now,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('name')
    .executeTakeFirst();
  // Somebody else made it at the same instant, with another secret.
  if (inserted === undefined) throw new AppError('conflict', 'The webhook was made meanwhile.');
  return { webhook: await getWebhook(trx, clinicId, name), secret, isNew: true };
}

/**
 * Gives a webhook another secret; the one before signs too for a day, so that no call is refused meanwhile.
 * @returns null where there is no such webhook.
 */
export async function rotateSecret(
  deps: WebhookDeps,
  trx: Trx,
  clinicId: string,
  name: string,
  now: Temporal.Instant,
): Promise<StoredWebhook | null> {
  if ((await lockSecrets(trx, clinicId, name)) === null) return null;
  const secret = newWebhookSecret();
  await replaceSecret(deps, trx, clinicId, name, secret, now);
  return { webhook: await getWebhook(trx, clinicId, name), secret, isNew: false };
}

async function replaceSecret(
  { secrets }: WebhookDeps,
  trx: Trx,
  clinicId: string,
  name: string,
  secret: string,
  now: Temporal.Instant,
): Promise<void> {
  const sealed = secrets.seal(secret, sealedAs(clinicId, name));
  await sql`
    update webhooks set previous_secret = secret, previous_until = ${now.add(rotationTime)}, secret = ${sealed}, updated_at = ${now}
    where clinic_id = ${clinicId} and name = ${name}`.execute(trx);
}

async function lockSecrets(trx: Trx, clinicId: string, name: string): Promise<Uint8Array | null> {
  const row = await trx
    .selectFrom('webhooks')
    .select('secret')
    .where('clinic_id', '=', clinicId)
    .where('name', '=', name)
    .forNoKeyUpdate()
    .executeTakeFirst();
  return row?.secret ?? null;
}

/** Has a webhook told again, at once and from the oldest. @returns null where there is none. */
export async function resumeWebhook(
  trx: Trx,
  clinicId: string,
  name: string,
  now: Temporal.Instant,
): Promise<Webhook | null> {
  // Whoever is sending stops at their next step: the address may be another now.
  const { numAffectedRows } = await sql`
    update webhooks set state = 'active', stopped_at = null, failures = 0, failing_since = null, rests_until = null,
      lease_epoch = lease_epoch + 1, lease_until = null, updated_at = ${now}
    where clinic_id = ${clinicId} and name = ${name}`.execute(trx);
  if (numAffectedRows === 0n) return null;
  await retryAll(trx, clinicId, name);
  return findWebhook(trx, clinicId, name);
}

const columns = sql`
  w.name, w.url, w.events, w.state, w.stopped_at as "stoppedAt", w.failing_since as "failingSince",
  w.previous_until as "rotatesUntil", w.created_at as "createdAt", w.updated_at as "updatedAt",
  (select count(*)::int from webhook_deliveries d
    where d.clinic_id = w.clinic_id and d.webhook = w.name and d.state = 'waiting') as waiting`;

export async function findWebhook(
  trx: Trx,
  clinicId: string,
  name: string,
): Promise<Webhook | null> {
  const { rows } = await sql<Webhook>`
    select ${columns} from webhooks w where w.clinic_id = ${clinicId} and w.name = ${name}`.execute(
    trx,
  );
  return rows[0] ?? null;
}

async function getWebhook(trx: Trx, clinicId: string, name: string): Promise<Webhook> {
  const webhook = await findWebhook(trx, clinicId, name);
  if (webhook === null) throw new Error('A webhook was not stored.');
  return webhook;
}

export async function listWebhooks(trx: Trx, clinicId: string): Promise<Webhook[]> {
  const { rows } = await sql<Webhook>`
    select ${columns} from webhooks w where w.clinic_id = ${clinicId} order by w.name`.execute(trx);
  return rows;
}

/** With all that waits for it. @returns whether there was one. */
export async function deleteWebhook(trx: Trx, clinicId: string, name: string): Promise<boolean> {
  const { numAffectedRows } = await sql`
    delete from webhooks where clinic_id = ${clinicId} and name = ${name}`.execute(trx);
  return numAffectedRows === 1n;
}
