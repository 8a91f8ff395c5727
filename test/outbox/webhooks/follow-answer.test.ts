import fc from 'fast-check';
import t from 'tap';
import type { HttpResult } from '../../../src/channels/http.ts';
import {
  type Followed,
  followAnswer,
  type Standing,
  triesMax,
} from '../../../src/outbox/webhooks/follow-answer.ts';

const now = Temporal.Instant.from('2026-11-25T12:00:00Z');
const middle = () => 0.5;
const fresh: Standing = { tries: 0, firstTriedAt: null, failures: 0, failingSince: null };

const answered = (status: number, headers: Record<string, string> = {}): HttpResult => ({
  kind: 'answered',
  status,
  headers,
  body: Buffer.alloc(0),
});
const lost: HttpResult = { kind: 'ambiguous', reason: 'timeout' };

const secondsUntil = (at: Temporal.Instant | null) =>
  at === null ? null : Math.round(at.since(now).total('seconds'));

t.test('every 2xx is heard', async (t) => {
  for (const status of [200, 201, 202, 204, 299]) {
    const { delivery, webhook } = followAnswer(fresh, answered(status), now, middle);
    t.same(delivery, { state: 'done', nextAt: null });
    t.match(webhook, { state: 'active', failures: 0, failingSince: null, restsUntil: null });
  }
});

t.test('whatever else is answered is told again, and a redirect is not followed', async (t) => {
  const refused: HttpResult = { kind: 'not-sent', reason: 'private-address' };
  for (const result of [
    answered(302),
    answered(404),
    answered(500),
    answered(199),
    lost,
    refused,
  ]) {
    const { delivery, webhook } = followAnswer(fresh, result, now, middle);
    t.equal(delivery.state, 'waiting');
    t.equal(secondsUntil(delivery.nextAt), 5);
    t.match(webhook, { state: 'active', failures: 1, failingSince: now });
    t.equal(secondsUntil(webhook.restsUntil), 5);
  }
});

t.test('waits grow over three days, and the webhook rests a minute at most', async (t) => {
  let at = now;
  let standing = fresh;
  const waits: number[] = [];
  for (let tries = 0; tries < triesMax; tries += 1) {
    const followed = followAnswer(standing, lost, at, middle);
    standing = {
      tries: tries + 1,
      firstTriedAt: standing.firstTriedAt ?? at,
      failures: followed.webhook.failures,
      failingSince: followed.webhook.failingSince,
    };
    if (tries + 1 === triesMax) {
      t.match(followed, { delivery: { state: 'waiting' }, webhook: { state: 'paused' } });
      t.ok(at.since(now).total('hours') > 72, 'it was tried for three days');
      break;
    }
    const next = followed.delivery.nextAt ?? at;
    const rest = followed.webhook.restsUntil ?? at;
    waits.push(next.since(at).total('seconds'));
    t.ok(rest.since(at).total('seconds') <= 60);
    at = next;
  }
  t.same(
    waits,
    waits.toSorted((one, other) => one - other),
  );
});

t.test('an event that fails alone is given up, and the webhook goes on', async (t) => {
  const standing = {
    tries: triesMax - 1,
    firstTriedAt: now.subtract({ hours: 75 }),
    failures: 0,
    failingSince: null,
  };
  const { delivery, webhook } = followAnswer(standing, answered(500), now, middle);
  t.same(delivery, { state: 'failed', nextAt: null });
  t.equal(webhook.state, 'active');
});

t.test('a receiver that is gone is disabled, and nothing is lost', async (t) => {
  const { delivery, webhook } = followAnswer(fresh, answered(410), now, middle);
  t.equal(delivery.state, 'waiting');
  t.equal(webhook.state, 'disabled');
});

t.test('a receiver that asks for time gets it, up to a bound', async (t) => {
  const asks = (seconds: string) =>
    followAnswer(fresh, answered(503, { 'retry-after': seconds }), now, middle);
  t.equal(secondsUntil(asks('600').delivery.nextAt), 600);
  t.equal(secondsUntil(asks('600').webhook.restsUntil), 600);
  t.equal(secondsUntil(asks('999999999').webhook.restsUntil), 3_600);
  t.equal(secondsUntil(asks('999999999').delivery.nextAt), 86_400);
});

t.test('after an outage nothing waits for its own turn', async (t) => {
  const after = (failures: number) =>
    followAnswer({ ...fresh, failures, failingSince: now }, answered(200), now, middle).hastens;
  t.notOk(after(0));
  t.notOk(after(2), 'one event may have failed by itself');
  t.ok(after(3));
});

t.test(
  'whatever is answered, an event stays or is settled, and never waits for ever',
  async (t) => {
    const instant = fc.integer({ min: 0, max: 100 }).map((hours) => now.subtract({ hours }));
    const standing = fc.record({
      tries: fc.integer({ min: 0, max: triesMax - 1 }),
      firstTriedAt: fc.option(instant),
      failures: fc.integer({ min: 0, max: 100 }),
      failingSince: fc.option(instant),
    });
    const result = fc.oneof(
      fc.integer({ min: 100, max: 599 }).map((status) => answered(status)),
      fc.constant(lost),
    );
    fc.assert(
      fc.property(
        standing,
        result,
        fc.double({ min: 0, max: 1, noNaN: true }),
        (before, answer, chance) => {
          const { delivery, webhook }: Followed = followAnswer(before, answer, now, () => chance);
          const isWaiting = delivery.state === 'waiting';
          const waits = delivery.nextAt?.since(now).total('hours') ?? 0;
          return (
            isWaiting === (delivery.nextAt !== null) &&
            waits >= 0 &&
            waits <= 27 &&
            (webhook.failures === 0) === (webhook.failingSince === null)
          );
        },
      ),
    );
    t.pass('the property holds');
  },
);
