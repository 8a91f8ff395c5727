import { type Static, Type } from 'typebox';
import { invalid, notFound } from '../../errors.ts';
import { changeAssignee, settleTask } from '../../replies/settle-task.ts';
import { lossReasons, shownTask, taskOutcomes, taskWishes } from '../../replies/task.ts';
import { listTasks, taskKey } from '../../replies/task-store.ts';
import { isUuid } from '../../uuid.ts';
import type { App } from '../app-types.ts';
import { atClinic } from '../at-clinic.ts';
import type { AppDeps } from '../deps.ts';
import { pageOf, pageQuery, pager } from '../page.ts';
import { HostIdText, Id, Instant, nullable, strict } from '../words.ts';

const Outcome = Type.Enum([...taskOutcomes], {
  description: 'What came of it.',
  examples: ['reached'],
});

const TaskOut = Type.Object(
  {
    id: Id,
    patientId: nullable(HostIdText),
    ruleId: nullable(Id),
    messageId: nullable(Id),
    threadId: nullable(Id),
    asks: nullable(
      Type.Enum([...taskWishes], {
        description: 'What the patient asked for; null where a rule asks staff to call.',
        examples: ['callback'],
      }),
    ),
    phone: nullable(Type.String({ description: 'Whom to call, where somebody left a number.' })),
    state: Type.Enum(['open', 'done']),
    dueAt: Instant,
    assignee: nullable(Type.String()),
    text: Type.String({ description: 'What to do.' }),
    outcome: nullable(Outcome),
    note: nullable(Type.String()),
    lossReason: nullable(Type.String()),
    createdAt: Instant,
  },
  { title: 'Task', description: 'What staff are asked to do.' },
);

const TaskPatch = strict(
  {
    outcome: Type.Optional(Outcome),
    assignee: Type.Optional(
      Type.Union([Type.String({ minLength: 1, maxLength: 200 }), Type.Null()], {
        description: 'Whose work it is: a name of your staff; null takes it from whoever had it.',
        examples: ['vera'],
      }),
    ),
    note: Type.Optional(Type.String({ maxLength: 4_000, description: 'For colleagues.' })),
    lossReason: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 200,
        description: `Why the patient will not come: ${lossReasons.join(', ')}, or a word of your own.`,
        examples: ['price'],
      }),
    ),
  },
  { title: 'TaskPatch' },
);

export const taskRoutes = (deps: AppDeps) => async (app: App) => {
  app.get(
    '/v1/tasks',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'listTasks',
        tags: ['Patients'],
        summary: 'List what staff have to do, the longest due first',
        querystring: strict({
          ...pageQuery,
          state: Type.Optional(Type.Enum(['open', 'done'])),
          assignee: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
        }),
        response: { 200: pageOf(TaskOut) },
      },
    },
    async (request) => {
      const { caller, clinicId, run } = atClinic(deps, request);
      const { state, assignee } = request.query;
      const { after, rowsWanted, toPage } = pager(deps, request, clinicId);
      const page = {
        ...(state && { state }),
        ...(assignee && { assignee }),
        afterKey: after?.[0] ?? null,
        limit: rowsWanted,
      };
      const tasks = await run((trx) => listTasks(trx, clinicId, page));
      return toPage(
        tasks,
        (task) => [taskKey(task)],
        (task) => shownTask(task, caller.source),
      );
    },
  );

  app.patch(
    '/v1/tasks/:id',
    {
      config: { access: 'feedback' },
      schema: {
        operationId: 'settleTask',
        tags: ['Patients'],
        summary: 'Tell what came of a task, or whose it is',
        params: Type.Object({ id: Id }),
        body: TaskPatch,
        response: { 200: TaskOut },
      },
    },
    async (request): Promise<Static<typeof TaskOut>> => {
      const { caller, clinicId, now, run } = atClinic(deps, request);
      const { id } = request.params;
      if (!isUuid(id)) throw notFound('task');
      const { outcome, assignee, ...words } = request.body;
      if (outcome === undefined && assignee === undefined) {
        throw invalid('/outcome', 'required', 'Either an outcome or an assignee is needed.');
      }
      if (outcome === undefined && Object.keys(words).length > 0) {
        throw invalid('/outcome', 'required', 'A note or a reason comes with an outcome.');
      }
      const task = await run(async (trx) => {
        if (outcome === undefined) return changeAssignee(trx, clinicId, id, assignee ?? null, now);
        if (assignee !== undefined) await changeAssignee(trx, clinicId, id, assignee, now);
        return settleTask(trx, clinicId, id, { ...words, outcome }, now);
      });
      return shownTask(task, caller.source);
    },
  );
};
