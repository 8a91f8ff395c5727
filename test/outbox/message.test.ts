import t from 'tap';
import {
  finalStates,
  inFlightStates,
  mayBecome,
  messageStates,
  transitions,
  withdrawableStates,
} from '../../src/outbox/message.ts';

t.test('every state that is named can be entered, and none leads to itself', async (t) => {
  for (const [from, targets] of Object.entries(transitions)) {
    for (const to of targets) t.ok(messageStates.includes(to), `${from} -> ${to}`);
    t.notOk(targets.some((to) => to === from));
  }
  const entered = new Set(Object.values(transitions).flat());
  t.same(
    messageStates.filter((state) => !entered.has(state)),
    [],
  );
});

t.test('a call that may be on the wire is never followed by another unasked', async (t) => {
  for (const state of ['scheduled', 'claimed'] as const) {
    t.notOk(mayBecome('sending', state));
    t.notOk(mayBecome('unknown', state));
    t.notOk(mayBecome('sent', state));
  }
  t.notOk(mayBecome('sent', 'retry'));
});

t.test('only what waits, and can still be taken back, leads to sending', async (t) => {
  t.same(
    messageStates.filter((from) => mayBecome(from, 'sending')).sort(),
    [...withdrawableStates].sort(),
  );
});

t.test('from an end there is no way back to sending', async (t) => {
  for (const end of finalStates) {
    const reached = reachableFrom(end);
    for (const state of [...withdrawableStates, ...inFlightStates]) t.notOk(reached.has(state));
  }
});

function reachableFrom(start: keyof typeof transitions): Set<string> {
  const reached = new Set<string>();
  const queue = [...transitions[start]];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    if (reached.has(next)) continue;
    reached.add(next);
    queue.push(...transitions[next]);
  }
  return reached;
}
