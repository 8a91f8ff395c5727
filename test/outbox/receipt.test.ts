import fc from 'fast-check';
import t from 'tap';
import type { DeliveryStatus } from '../../src/channels/channel.ts';
import { mayBecome } from '../../src/outbox/message.ts';
import { advance, type News, type Standing } from '../../src/outbox/receipt.ts';

const sent: Standing = {
  state: 'sent',
  reason: null,
  attemptNo: 1,
  sentAt: Temporal.Instant.from('2026-11-25T12:00:00Z'),
  deliveredAt: null,
  readAt: null,
  clickedAt: null,
};

const statuses: readonly DeliveryStatus[] = [
  'queued',
  'sent',
  'delivered',
  'read',
  'clicked',
  'failed',
  'not_found',
];

const news = fc.record({
  status: fc.constantFrom(...statuses),
  at: fc
    .integer({ min: 0, max: 3_600 })
    .map((seconds) => Temporal.Instant.from('2026-11-25T12:00:00Z').add({ seconds })),
});

const after = (story: readonly News[], from = sent) => story.reduce(advance, from);

t.test('receipts in any order, repeated, lead to the same end', async () => {
  fc.assert(
    fc.property(
      fc.array(news, { minLength: 1, maxLength: 8 }).chain((story) =>
        fc.tuple(
          fc.constant(story),
          fc.shuffledSubarray([...story, ...story], {
            minLength: story.length * 2,
            maxLength: story.length * 2,
          }),
        ),
      ),
      ([story, shuffled]) => {
        const { reason: one, ...straight } = after(story);
        const { reason: other, ...mixed } = after(shuffled);
        if (JSON.stringify(straight) !== JSON.stringify(mixed)) throw new Error(`${one} ${other}`);
      },
    ),
  );
});

t.test('the end is the highest rung that was told', async () => {
  fc.assert(
    fc.property(fc.array(news, { maxLength: 8 }), (story) => {
      const told = new Set(story.map(({ status }) => status));
      const expected =
        told.has('read') || told.has('clicked')
          ? 'read'
          : told.has('delivered')
            ? 'delivered'
            : told.has('failed')
              ? 'failed'
              : 'sent';
      if (after(story).state !== expected) throw new Error(`${after(story).state} ${expected}`);
    }),
  );
});

t.test('every step is one that the table of transitions allows', async () => {
  fc.assert(
    fc.property(
      fc.constantFrom('sent', 'unknown', 'sending', 'retry', 'failed', 'cancelled'),
      fc.array(news, { maxLength: 8 }),
      (state, story) => {
        let standing: Standing = { ...sent, state };
        for (const each of story) {
          const next = advance(standing, each);
          if (next.state !== standing.state && !mayBecome(standing.state, next.state))
            throw new Error(`${standing.state} -> ${next.state}`);
          standing = next;
        }
      },
    ),
  );
});

t.test('a delivery after a failure is flagged', async (t) => {
  const at = Temporal.Instant.from('2026-11-25T12:00:00Z');
  const story: News[] = [
    { status: 'failed', at, reason: 'temporary' },
    { status: 'delivered', at },
  ];
  t.match(after(story), { state: 'delivered', reason: 'delivered-after-failed' });
});

t.test('a message that never went is not moved by a receipt', async (t) => {
  const at = Temporal.Instant.from('2026-11-25T12:00:00Z');
  const waiting: Standing = { ...sent, state: 'scheduled', attemptNo: 0, sentAt: null };
  t.equal(after([{ status: 'delivered', at }], waiting).state, 'scheduled');
  const retried: Standing = { ...waiting, state: 'retry', attemptNo: 1 };
  t.equal(after([{ status: 'sent', at }], retried).state, 'sent', 'it has arrived after all');
});
