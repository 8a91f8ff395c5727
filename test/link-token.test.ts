import fc from 'fast-check';
import t from 'tap';
import { linkActions, linkTokenChars, readLink, signLink } from '../src/link-token.ts';
import { createSecrets } from '../src/secrets.ts';

const secrets = createSecrets(Buffer.alloc(32, 1));
const claim = {
  clinicNumber: 17,
  messageId: '019a2b3c-4d5e-7f60-8123-456789abcdef',
  action: 'confirm',
  expiresAt: Temporal.Instant.from('2026-05-01T00:00:00Z'),
} as const;

const claims = fc.record({
  clinicNumber: fc.integer({ min: 1, max: 0xffffff }),
  messageId: fc.uuid(),
  action: fc.constantFrom(...linkActions),
  expiresAt: fc
    .date({ min: new Date('1990-01-01'), max: new Date('2200-01-01'), noInvalidDate: true })
    .map((date) => Temporal.Instant.fromEpochMilliseconds(date.getTime())),
});

t.test('a link says again what it was made to say, in few characters', async (t) => {
  fc.assert(
    fc.property(claims, (made) => {
      const token = signLink(secrets, made);
      const read = readLink(secrets, token);
      const livesLongerByMs =
        (read?.expiresAt.epochMilliseconds ?? 0) - made.expiresAt.epochMilliseconds;
      return (
        token.length === linkTokenChars &&
        read?.clinicNumber === made.clinicNumber &&
        read.messageId === made.messageId &&
        read.action === made.action &&
        livesLongerByMs >= 0 &&
        livesLongerByMs < 86_400_000
      );
    }),
  );
  t.equal(linkTokenChars, 43);
  t.match(signLink(secrets, claim), /^[\w-]{43}$/);
});

t.test('a link that is changed in any character is nobody’s', async (t) => {
  const token = signLink(secrets, claim);
  for (let at = 0; at < token.length; at += 1) {
    const other = token[at] === 'A' ? 'B' : 'A';
    t.equal(readLink(secrets, token.slice(0, at) + other + token.slice(at + 1)), null);
  }
});

t.test('a link of another installation, and whatever else is typed, is nobody’s', async (t) => {
  const foreign = signLink(createSecrets(Buffer.alloc(32, 2)), claim);
  t.equal(readLink(secrets, foreign), null);
  const token = signLink(secrets, claim);
  for (const typed of ['', 'a', `${token}=`, ` ${token}`, `${token}a`, '%00', '🦷'.repeat(11)]) {
    t.equal(readLink(secrets, typed), null, typed);
  }
  fc.assert(fc.property(fc.string(), (typed) => readLink(secrets, typed) === null));
});
