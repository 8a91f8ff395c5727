import t from 'tap';
import { type Settlement, settleTask } from '../../src/replies/settle-task.ts';
import { shownTask } from '../../src/replies/task.ts';
import { listTasks, openTask, taskKey } from '../../src/replies/task-store.ts';
import { now, replyClinic } from './reply-clinic.ts';

async function clinicWithTask(t: Parameters<typeof replyClinic>[0]) {
  const clinic = await replyClinic(t);
  const patientId = await clinic.patient();
  const messageId = await clinic.message({ patientId });
  const open = (about: string | null = messageId, at = now) =>
    clinic.run((trx) =>
      openTask(
        trx,
        clinic.clinic,
        { patientId, messageId: about, ruleId: null, asks: 'answer', text: 'Call' },
        at,
      ),
    );
  await open();
  const [task] = await clinic.tasks();
  if (!task) throw new Error('No task was opened.');
  const settle = (settlement: Settlement, id = task.id) =>
    clinic.run((trx) => settleTask(trx, clinic.id, id, settlement, now));
  return { clinic, patientId, messageId, task, settle, open };
}

t.test('what came of a call is kept, and the patient’s plan is looked at', async (t) => {
  const { clinic, patientId, settle } = await clinicWithTask(t);
  const done = await settle({ outcome: 'refused', note: 'Later', lossReason: 'price' });
  t.match(done, { state: 'done', outcome: 'refused', note: 'Later', lossReason: 'price' });
  t.ok((await clinic.marks()).has(patientId));
  t.equal(await clinic.mayGet(patientId), true, 'who declines a visit has not opted out');
});

t.test('the same outcome again is harmless, another one is refused', async (t) => {
  const { settle } = await clinicWithTask(t);
  await settle({ outcome: 'no-answer' });
  t.match(await settle({ outcome: 'no-answer' }), { outcome: 'no-answer' });
  await t.rejects(settle({ outcome: 'booked' }), { code: 'conflict' });
});

t.test('a task of another clinic, and whatever is no id, is not found', async (t) => {
  const [here, there] = [await clinicWithTask(t), await clinicWithTask(t)];
  await t.rejects(here.settle({ outcome: 'reached' }, there.task.id), { code: 'not-found' });
  await t.rejects(here.settle({ outcome: 'reached' }, 'x\u0000'), { code: 'not-found' });
  t.match(await there.clinic.tasks(), [{ state: 'open' }]);
});

t.test('asking again after staff settled it opens a new task', async (t) => {
  const { clinic, settle, open } = await clinicWithTask(t);
  await open();
  t.equal((await clinic.tasks()).length, 1);
  await settle({ outcome: 'reached' });
  await open();
  t.strictSame((await clinic.tasks()).map((task) => task.state).sort(), ['done', 'open']);
});

t.test('tasks are listed page by page, the earliest due first', async (t) => {
  const { clinic, task, open } = await clinicWithTask(t);
  for (const minutes of [3, 1, 2, 2]) await open(null, now.add({ minutes }));
  const seen: string[] = [];
  let afterKey: string | null = null;
  do {
    const page = await clinic.run((trx) =>
      listTasks(trx, clinic.id, { state: 'open', afterKey, limit: 2 }),
    );
    seen.push(...page.map((each) => `${each.dueAt}`));
    const last = page.at(-1);
    afterKey = last ? taskKey(last) : null;
  } while (afterKey !== null && seen.length < 20);
  t.equal(seen.length, 5);
  t.strictSame(seen, seen.toSorted());
  const of = (page: object) =>
    clinic.run((trx) => listTasks(trx, clinic.id, { afterKey: null, limit: 9, ...page }));
  t.strictSame(await of({ state: 'done' }), []);
  t.strictSame(await of({ assignee: 'anna' }), []);
  t.match(shownTask(task, 'mis'), { patientId: 'n1', dueAt: '2026-03-02T15:00:00Z' });
  t.match(shownTask(task, 'crm'), { patientId: 'mis~n1' });
});
