import { createHash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Clinic } from './clinic.ts';

/** The keys of a clinic. A key is shown once and kept as a hash; its checksum turns a typing error away unasked. */
export const scopes = ['intake', 'read', 'manage', 'feedback', 'erase'] as const;
export type Scope = (typeof scopes)[number];

export const defaultSource = 'mis';

/** Who asks: the key, the clinic it belongs to, and in whose words the host's ids are meant. */
export interface Caller {
  clinicId: string;
  keyId: string;
  source: string;
  scopes: readonly Scope[];
  clinic: Clinic;
}

export interface MintedKey {
  /** The whole key, which is not stored. */
  key: string;
  hash: Buffer;
  prefix: string;
}

const keyForm = /^rtn_(?:live|test)_[0-9a-z]{8}_[0-9A-Za-z_-]{43}_[0-9a-f]{8}$/;
const checksumLength = 8;
const secretBytes = 32;
const labelBytes = 4;

export function mintKey(mode: Clinic['mode']): MintedKey {
  const prefix = `rtn_${mode}_${randomBytes(labelBytes).toString('hex')}`;
  const body = `${prefix}_${randomBytes(secretBytes).toString('base64url')}`;
  const key = `${body}_${checksum(body)}`;
  return { key, hash: hashKey(key), prefix };
}

/** Whether a text can be a key at all: its form and its checksum are right. */
export function isKey(text: string): boolean {
  return (
    keyForm.test(text) &&
    checksum(text.slice(0, -checksumLength - 1)) === text.slice(-checksumLength)
  );
}

/** A key holds 256 random bits: no slow hash is needed, and finding it by its hash tells nothing by timing. */
export function hashKey(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

function checksum(body: string): string {
  return crc32(body).toString(16).padStart(checksumLength, '0');
}
