import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';

/** What the service's one secret key is used for, each with a key of its own derived from it. */
export interface Secrets {
  /** Encrypts for storage. `context` (such as clinic and column) must be the same when opening. */
  seal(plain: string, context: string): Uint8Array;
  /** @throws if the bytes were changed, moved to another context, or sealed under another key. */
  open(sealed: Uint8Array, context: string): string;
  /** A keyed hash of 32 bytes. */
  mac(purpose: string, data: string): Buffer;
}

const ivBytes = 12;
const tagBytes = 16;

/** @param key the 32 bytes of `RETORNO_SECRET_KEY`. */
export function createSecrets(key: Uint8Array): Secrets {
  const derive = (purpose: string) =>
    Buffer.from(hkdfSync('sha256', key, '', `retorno/${purpose}`, 32));
  const sealKey = derive('seal');
  const macKeys = new Map<string, Buffer>();
  return {
    seal: (plain, context) => {
      const iv = randomBytes(ivBytes);
      const cipher = createCipheriv('aes-256-gcm', sealKey, iv).setAAD(Buffer.from(context));
      const body = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
      return Buffer.concat([iv, cipher.getAuthTag(), body]);
    },
    open: (sealed, context) => {
      const bytes = Buffer.from(sealed);
      const decipher = createDecipheriv('aes-256-gcm', sealKey, bytes.subarray(0, ivBytes))
        .setAAD(Buffer.from(context))
        .setAuthTag(bytes.subarray(ivBytes, ivBytes + tagBytes));
      return (
        decipher.update(bytes.subarray(ivBytes + tagBytes), undefined, 'utf8') +
        decipher.final('utf8')
      );
    },
    mac: (purpose, data) => {
      const macKey = macKeys.get(purpose) ?? derive(`mac/${purpose}`);
      macKeys.set(purpose, macKey);
      return createHmac('sha256', macKey).update(data).digest();
    },
  };
}

/** Compares without telling by its timing how much was right. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
