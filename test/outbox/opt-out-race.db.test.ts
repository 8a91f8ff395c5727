import t from 'tap';
import { checkThenSend, dispatcher, raceOptOuts } from '../chaos/opt-out-race.ts';
import { testDatabase } from '../support/postgres.ts';

t.test('nothing leaves after an opt-out was answered, however close they come', async (t) => {
  const { db } = await testDatabase(t);
  const result = await raceOptOuts(db, { races: 300, seed: 1, sender: dispatcher });
  t.same(result.violations, []);
  t.ok(result.sentBefore > 0, `${result.sentBefore} messages were first`);
  t.ok(result.stopped > 0, `${result.stopped} opt-outs were first`);
});

t.test('a sender that asks first and commits later is caught', async (t) => {
  const { db } = await testDatabase(t);
  const result = await raceOptOuts(db, { races: 100, seed: 1, sender: checkThenSend });
  t.ok(result.violations.length > 0, 'it sent to people who had been told that it would not');
});
