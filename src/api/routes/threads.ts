import { type Static, Type } from 'typebox';
import { channelNames } from '../../channels/channel.ts';
import type { Trx } from '../../database/connect.ts';
import { notFound } from '../../errors.ts';
import { parseHostId } from '../../history/host-id.ts';
import { findPatientId } from '../../history/patient-store.ts';
import { messageStates } from '../../outbox/message.ts';
import { templateCharactersMax } from '../../outbox/template.ts';
import { answerInThread, beginThread, closeThread, decideThread } from '../../replies/converse.ts';
import { shownThread, type ThreadChannel, threadStates } from '../../replies/thread.ts';
import {
  findThread,
  listThreadMessages,
  listThreads,
  threadKey,
  threadMessagesMax,
} from '../../replies/thread-store.ts';
import { isUuid } from '../../uuid.ts';
import type { App } from '../app-types.ts';
import { type AtClinic, atClinic } from '../at-clinic.ts';
import type { AppDeps } from '../deps.ts';
import { pageOf, pageQuery, pager } from '../page.ts';
import { ChannelName, HostIdText, Id, Instant, nullable, strict } from '../words.ts';
import { afterTick, MessageOut, toMessageOut } from './messages.ts';

const threadChannels = channelNames.filter(
  (channel): channel is ThreadChannel => channel !== 'task',
);

const State = Type.Enum([...threadStates], {
  description: 'A closed one opens again when the patient writes.',
  examples: ['open'],
});

const fields = {
  id: Id,
  patientId: Type.Union([HostIdText, Type.Null()], {
    description: 'Null while it is open who writes from a shared address.',
  }),
  address: nullable(Type.String({ description: 'Whence it came, while it is open who writes.' })),
  channel: Type.Union([Type.Enum(threadChannels), Type.Null()], {
    description: 'The one that the patient wrote by last.',
    examples: ['sms'],
  }),
  state: State,
  waitingSince: Type.Union([Instant, Type.Null()], {
    description: 'Since when the patient waits for an answer.',
  }),
  answerBy: Type.Union([Instant, Type.Null()], {
    description: 'When a task is made of it: the end of the clinic’s day. Null once it was.',
  }),
  lastAt: Instant,
  createdAt: Instant,
};

const ThreadOut = Type.Object(fields, {
  title: 'Thread',
  description: 'A conversation with one patient, over any channel.',
});

const ThreadWithMessagesOut = Type.Object(
  {
    ...fields,
    messages: Type.Array(
      Type.Object({
        id: Id,
        direction: Type.Enum(['in', 'out']),
        channel: ChannelName,
        at: Instant,
        text: nullable(Type.String()),
        state: nullable(Type.Enum([...messageStates], { description: 'Of what was sent.' })),
      }),
      {
        description: `What was said, in its order: the last ${threadMessagesMax}.`,
      },
    ),
  },
  { title: 'ThreadWithMessages', description: 'A conversation and what was said in it.' },
);

const words = {
  text: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: templateCharactersMax,
      description: 'Either this or `template`.',
    }),
  ),
  template: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 100,
      description: 'A transactional template.',
      examples: ['how-are-you'],
    }),
  ),
  channel: Type.Optional(
    Type.Enum(threadChannels, {
      description: 'The one that the patient wrote by last if absent, else the one they prefer.',
      examples: ['sms'],
    }),
  ),
};

const Params = Type.Object({ id: Id });
const tags = ['Patients'] as const;

export const threadRoutes = (deps: AppDeps) => async (app: App) => {
  app.get(
    '/v1/threads',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'listThreads',
        tags: [...tags],
        summary: 'List the conversations with patients, the latest first',
        querystring: strict({
          ...pageQuery,
          state: Type.Optional(State),
          waiting: Type.Optional(
            Type.Boolean({ description: 'Whether a patient waits for an answer.' }),
          ),
        }),
        response: { 200: pageOf(ThreadOut) },
      },
    },
    async (request) => {
      const { caller, clinicId, run } = atClinic(deps, request);
      const { state, waiting } = request.query;
      const { after, rowsWanted, toPage } = pager(deps, request, clinicId);
      const page = {
        ...(state && { state }),
        ...(waiting !== undefined && { waiting }),
        after,
        limit: rowsWanted,
      };
      const threads = await run((trx) => listThreads(trx, clinicId, page));
      return toPage(threads, threadKey, (thread) => shownThread(thread, caller.source));
    },
  );

  app.get(
    '/v1/threads/:id',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'getThread',
        tags: [...tags],
        summary: 'Show a conversation and what was said in it',
        params: Params,
        response: { 200: ThreadWithMessagesOut },
      },
    },
    async (request) => showWithMessages(atClinic(deps, request), request.params.id),
  );

  app.post(
    '/v1/threads',
    {
      config: { access: 'manage', ticks: false },
      schema: {
        operationId: 'createThread',
        tags: [...tags],
        summary: 'Write to a patient in their conversation, which opens if it is not',
        body: strict({ patientId: HostIdText, ...words }, { title: 'ThreadIn' }),
        response: { 201: ThreadWithMessagesOut },
      },
    },
    async (request, reply) => {
      const scene = atClinic(deps, request);
      const { clinic, now, run } = scene;
      const { patientId: asked, ...said } = request.body;
      const { threadId, message } = await run(async (trx) => {
        const patientId = await patientOf(scene, trx, asked);
        return beginThread(deps, trx, clinic, patientId, said, now);
      });
      await afterTick(deps, scene, message);
      reply.code(201);
      return showWithMessages(scene, threadId);
    },
  );

  app.post(
    '/v1/threads/:id/messages',
    {
      config: { access: 'manage', ticks: false },
      schema: {
        operationId: 'answerInThread',
        tags: [...tags],
        summary: 'Answer a patient; the message passes the checks of every other',
        params: Params,
        body: strict(words, { title: 'ThreadMessageIn' }),
        response: { 201: MessageOut },
      },
    },
    async (request, reply) => {
      const scene = atClinic(deps, request);
      const { caller, clinic, now, run } = scene;
      const { id } = request.params;
      if (!isUuid(id)) throw notFound('thread');
      const { message } = await run((trx) =>
        answerInThread(deps, trx, clinic, id, request.body, now),
      );
      reply.code(201);
      return toMessageOut(await afterTick(deps, scene, message), caller.source);
    },
  );

  app.post(
    '/v1/threads/:id/close',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'closeThread',
        tags: [...tags],
        summary: 'End a conversation: nobody waits in it any more',
        params: Params,
        response: { 200: ThreadOut },
      },
    },
    async (request) => {
      const { caller, clinicId, now, run } = atClinic(deps, request);
      const { id } = request.params;
      if (!isUuid(id)) throw notFound('thread');
      const thread = await run((trx) => closeThread(trx, clinicId, id, now));
      return shownThread(thread, caller.source);
    },
  );

  app.patch(
    '/v1/threads/:id',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'decideThread',
        tags: [...tags],
        summary: 'Say who writes from a shared address; it goes on in that patient’s conversation',
        params: Params,
        body: strict({ patientId: HostIdText }, { title: 'ThreadPatch' }),
        response: { 200: ThreadOut },
      },
    },
    async (request) => {
      const scene = atClinic(deps, request);
      const { caller, clinicId, now, run } = scene;
      const { id } = request.params;
      if (!isUuid(id)) throw notFound('thread');
      const thread = await run(async (trx) => {
        const patientId = await patientOf(scene, trx, request.body.patientId);
        return decideThread(trx, clinicId, id, patientId, now);
      });
      return shownThread(thread, caller.source);
    },
  );
};

async function patientOf({ caller, clinicId }: AtClinic, trx: Trx, hostId: string) {
  const patientId = await findPatientId(trx, clinicId, parseHostId(hostId, caller.source));
  if (patientId === null) throw notFound('patient');
  return patientId;
}

async function showWithMessages(
  { caller, clinicId, run }: AtClinic,
  id: string,
): Promise<Static<typeof ThreadWithMessagesOut>> {
  return run(async (trx) => {
    const thread = await findThread(trx, clinicId, id);
    if (thread === null) throw notFound('thread');
    const messages = await listThreadMessages(trx, clinicId, id);
    return {
      ...shownThread(thread, caller.source),
      messages: messages.map((message) => ({ ...message, at: message.at.toString() })),
    };
  });
}
