import { createHmac, randomBytes } from 'node:crypto';
import { equalBytes } from './secrets.ts';

/**
 * Standard Webhooks 1.0.0: how we sign what we post, and how we check what is posted to us.
 * https://github.com/standard-webhooks/standard-webhooks
 */

const secretPrefix = 'whsec_';
const secretBytesMin = 24;
const secretBytesMax = 64;
const secretBytesOfOurs = 32;
/** How far the sender's clock may differ, which is also how long a stolen call can be repeated. */
const toleranceSeconds = 300;

/** The form of a secret; whether it has 24 to 64 bytes `isWebhookSecret` says. */
export const webhookSecretPattern = '^whsec_[A-Za-z0-9+/]{32,86}={0,2}$';

const secretForm = new RegExp(webhookSecretPattern);

export function newWebhookSecret(): string {
  return secretPrefix + randomBytes(secretBytesOfOurs).toString('base64');
}

export function isWebhookSecret(secret: string): boolean {
  if (!secretForm.test(secret)) return false;
  const key = keyOf(secret);
  return (
    key.length >= secretBytesMin &&
    key.length <= secretBytesMax &&
    key.toString('base64').replace(/=+$/, '') === textOf(secret).replace(/=+$/, '')
  );
}

export interface WebhookCall {
  /** The same for every attempt: by it a receiver knows what it has already. */
  id: string;
  /** Of this attempt. */
  at: Temporal.Instant;
  body: string;
}

/** The three headers; several secrets give several signatures, of which a receiver needs to know one. */
export function signWebhook(call: WebhookCall, secrets: readonly string[]): Record<string, string> {
  const seconds = String(Math.floor(call.at.epochMilliseconds / 1000));
  const signed = `${call.id}.${seconds}.${call.body}`;
  return {
    'webhook-id': call.id,
    'webhook-timestamp': seconds,
    'webhook-signature': secrets
      .map((secret) => `v1,${mac(secret, signed).toString('base64')}`)
      .join(' '),
  };
}

export type WebhookVerdict = 'ok' | 'missing' | 'bad' | 'stale';

export interface SignedCall {
  /** Names in lower case. */
  headers: Readonly<Record<string, string | undefined>>;
  body: Buffer;
  receivedAt: Temporal.Instant;
}

/** In constant time for each signature; never throws. */
export function checkWebhook(
  { headers, body, receivedAt }: SignedCall,
  secret: string,
): WebhookVerdict {
  const id = headers['webhook-id'];
  const timestamp = headers['webhook-timestamp'];
  const given = headers['webhook-signature'];
  if (!id || !timestamp || !given) return 'missing';
  if (!/^\d{1,12}$/.test(timestamp)) return 'bad';
  const wanted = mac(secret, Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]));
  const isSigned = given
    .split(' ')
    .filter((each) => each.startsWith('v1,'))
    .some((each) => equalBytes(Buffer.from(each.slice('v1,'.length), 'base64'), wanted));
  if (!isSigned) return 'bad';
  const awaySeconds = Math.abs(receivedAt.epochMilliseconds / 1000 - Number(timestamp));
  return awaySeconds <= toleranceSeconds ? 'ok' : 'stale';
}

function mac(secret: string, signed: string | Buffer): Buffer {
  return createHmac('sha256', keyOf(secret)).update(signed).digest();
}

function keyOf(secret: string): Buffer {
  return Buffer.from(textOf(secret), 'base64');
}

function textOf(secret: string): string {
  return secret.startsWith(secretPrefix) ? secret.slice(secretPrefix.length) : secret;
}
