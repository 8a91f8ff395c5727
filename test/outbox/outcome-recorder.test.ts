import fc from 'fast-check';
import t from 'tap';
import type { Settlement } from '../../src/outbox/outcome.ts';
import { createOutcomeRecorder } from '../../src/outbox/outcome-recorder.ts';

const settlement = (id: number): Settlement => ({
  id: String(id),
  leaseEpoch: 1,
  attemptNo: 1,
  state: 'sent',
  reason: null,
  nextAt: null,
  isSettled: false,
  providerMessageId: null,
  segments: null,
  costMicros: null,
  costCurrency: null,
  outcome: 'accepted',
  errorClass: null,
  providerCode: null,
  httpStatus: null,
});

t.test('every outcome is written once, in whatever bursts they come', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 150 }), fc.integer({ min: 0, max: 200 })), {
        maxLength: 12,
      }),
      fc.scheduler(),
      async (bursts, scheduler) => {
        const written: string[] = [];
        let nowMs = 0;
        const recorder = createOutcomeRecorder(
          (batch) =>
            scheduler.schedule(Promise.resolve()).then(() => {
              written.push(...batch.map(({ id }) => id));
            }),
          () => nowMs,
        );
        let count = 0;
        for (const [size, pauseMs] of bursts) {
          recorder.add(Array.from({ length: size }, () => settlement(count++)));
          nowMs += pauseMs;
          await Promise.resolve();
        }
        const drained = recorder.drained();
        await scheduler.waitFor(drained);
        const isWhole = written.length === count && new Set(written).size === count;
        if (!isWhole) throw new Error(`${written.length} of ${count}`);
      },
    ),
    { numRuns: 50 },
  );
});

t.test('a write that fails is told when all is waited for', async (t) => {
  const recorder = createOutcomeRecorder(
    async () => {
      throw new Error('away');
    },
    () => 0,
  );
  recorder.add([settlement(1)]);
  await t.rejects(recorder.drained(), { message: 'away' });
});
