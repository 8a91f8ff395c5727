import { type Static, Type } from 'typebox';
import { notFound } from '../../errors.ts';
import { formatHostId, parseHostId } from '../../history/host-id.ts';
import { findPatientId } from '../../history/patient-store.ts';
import { cancelMessage } from '../../outbox/cancel-message.ts';
import { messageStates } from '../../outbox/message.ts';
import {
  findMessage,
  listMessages,
  type MessageFilter,
  type MessageView,
} from '../../outbox/message-list-store.ts';
import { sendHostMessage } from '../../outbox/send-host-message.ts';
import { templateCharactersMax } from '../../outbox/template.ts';
import { tickTestClinic } from '../../rules/advance-test-clock.ts';
import { isUuid } from '../../uuid.ts';
import type { App } from '../app-types.ts';
import { type AtClinic, atClinic } from '../at-clinic.ts';
import type { AppDeps } from '../deps.ts';
import { pageOf, pageQuery, pager, readInstant } from '../page.ts';
import {
  ChannelName,
  HostIdText,
  Id,
  Instant,
  Money,
  nullable,
  Purpose,
  strict,
} from '../words.ts';

const State = Type.Enum([...messageStates], {
  description: 'Where it stands; docs/message-states.md draws the ways.',
  examples: ['delivered'],
});

const fields = {
  id: Id,
  ruleId: nullable(Id),
  ruleVersion: nullable(
    Type.Integer({ description: 'Of the rule, as it said when this was sent.' }),
  ),
  journeyId: nullable(Id),
  step: nullable(Type.Integer({ description: 'Counted from 0.' })),
  occurrence: nullable(
    Type.String({ description: 'What it is about.', examples: ['visit:v-901'] }),
  ),
  patientId: HostIdText,
  channel: ChannelName,
  provider: nullable(Type.String()),
  to: nullable(Type.String({ description: 'The address.' })),
  language: nullable(Type.String()),
  purpose: Purpose,
  state: State,
  reason: nullable(Type.String({ description: 'Why it stands there.', examples: ['opted-out'] })),
  scheduledAt: Instant,
  sentAt: nullable(Instant),
  deliveredAt: nullable(Instant),
  readAt: nullable(Instant),
  segments: nullable(Type.Integer()),
  cost: nullable(Money),
  subject: nullable(Type.String()),
  text: nullable(Type.String({ description: 'Null where nothing was rendered.' })),
};

export const MessageOut = Type.Object(fields, {
  title: 'Message',
  description: 'One message to one patient.',
});

const MessageWithHistoryOut = Type.Object(
  {
    ...fields,
    attempts: Type.Array(
      Type.Object({
        attemptNo: Type.Integer(),
        provider: Type.String(),
        startedAt: Instant,
        finishedAt: nullable(Instant),
        outcome: nullable(Type.Enum(['accepted', 'rejected', 'unknown'])),
        errorClass: nullable(Type.String()),
        providerCode: nullable(Type.String()),
        httpStatus: nullable(Type.Integer()),
      }),
      { description: 'Every call that was made for it.' },
    ),
    receipts: Type.Array(
      Type.Object({
        status: Type.String(),
        errorClass: nullable(Type.String()),
        providerCode: nullable(Type.String()),
        occurredAt: Instant,
        receivedAt: Instant,
      }),
      { description: 'All that its provider told.' },
    ),
  },
  { title: 'MessageWithHistory', description: 'A message with what was done and told about it.' },
);

const MessageIn = strict(
  {
    patientId: HostIdText,
    purpose: Purpose,
    channel: ChannelName,
    template: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 100,
        description: 'Either this or `text`.',
        examples: ['recall'],
      }),
    ),
    text: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: templateCharactersMax,
        description: 'The text itself.',
      }),
    ),
    subject: Type.Optional(
      Type.String({ minLength: 1, maxLength: 300, description: 'For e-mail.' }),
    ),
  },
  { title: 'MessageIn' },
);

const Params = Type.Object({ id: Id });

export function toMessageOut(view: MessageView, source: string): Static<typeof MessageOut> {
  const { patient, scheduledAt, sentAt, deliveredAt, readAt, ...rest } = view;
  return {
    ...rest,
    patientId: formatHostId(patient, source),
    scheduledAt: scheduledAt.toString(),
    sentAt: sentAt?.toString() ?? null,
    deliveredAt: deliveredAt?.toString() ?? null,
    readAt: readAt?.toString() ?? null,
  };
}

export const messageRoutes = (deps: AppDeps) => async (app: App) => {
  app.get(
    '/v1/messages',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'listMessages',
        tags: ['Engagement'],
        summary: 'List messages, the newest first',
        querystring: strict({
          ...pageQuery,
          patientId: Type.Optional(HostIdText),
          ruleId: Type.Optional(Id),
          state: Type.Optional(State),
          channel: Type.Optional(ChannelName),
          from: Type.Optional(
            Type.String({ maxLength: 40, description: 'Scheduled then or later.' }),
          ),
          to: Type.Optional(Type.String({ maxLength: 40, description: 'Scheduled before.' })),
        }),
        response: { 200: pageOf(MessageOut) },
      },
    },
    async (request) => {
      const scene = atClinic(deps, request);
      const { caller, clinicId, run } = scene;
      const { after, rowsWanted, toPage } = pager(deps, request, clinicId);
      const page = { afterId: after?.[0] ?? null, limit: rowsWanted };
      const rows = await run(async (trx) => {
        const { patientId: asked } = request.query;
        const patientId =
          asked === undefined
            ? undefined
            : await findPatientId(trx, clinicId, parseHostId(asked, caller.source));
        if (patientId === null) throw notFound('patient');
        return listMessages(trx, clinicId, readFilter(request.query, patientId, scene), page);
      });
      return toPage(
        rows,
        (row) => [row.id],
        (row) => toMessageOut(row, caller.source),
      );
    },
  );

  app.get(
    '/v1/messages/:id',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'getMessage',
        tags: ['Engagement'],
        summary: 'Show a message with its attempts and receipts',
        params: Params,
        response: { 200: MessageWithHistoryOut },
      },
    },
    async (request) => {
      const { caller, clinicId, run } = atClinic(deps, request);
      const { id } = request.params;
      const message = isUuid(id) ? await run((trx) => findMessage(trx, clinicId, id)) : null;
      if (message === null) throw notFound('message');
      const { attempts, receipts, ...view } = message;
      return {
        ...toMessageOut(view, caller.source),
        attempts: attempts.map((attempt) => ({
          ...attempt,
          startedAt: attempt.startedAt.toString(),
          finishedAt: attempt.finishedAt?.toString() ?? null,
        })),
        receipts: receipts.map((receipt) => ({
          ...receipt,
          occurredAt: receipt.occurredAt.toString(),
          receivedAt: receipt.receivedAt.toString(),
        })),
      };
    },
  );

  app.post(
    '/v1/messages',
    {
      config: { access: 'manage', ticks: false },
      schema: {
        operationId: 'createMessage',
        tags: ['Engagement'],
        summary: 'Send one message of your own, under the same checks as every other',
        body: MessageIn,
        response: { 201: MessageOut },
      },
    },
    async (request, reply) => {
      const scene = atClinic(deps, request);
      const { caller, clinic, clinicId, now, run } = scene;
      const sent = await run(async (trx) => {
        const hostId = parseHostId(request.body.patientId, caller.source);
        const patientId = await findPatientId(trx, clinicId, hostId);
        if (patientId === null) throw notFound('patient');
        return sendHostMessage(deps, trx, clinic, { ...request.body, patientId }, now);
      });
      reply.code(201);
      return toMessageOut(await afterTick(deps, scene, sent), caller.source);
    },
  );

  app.post(
    '/v1/messages/:id/cancel',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'cancelMessage',
        tags: ['Engagement'],
        summary: 'Take a message back that has not left',
        params: Params,
        response: { 200: MessageOut },
      },
    },
    async (request) => {
      const { caller, clinicId, now, run } = atClinic(deps, request);
      const { id } = request.params;
      const message = isUuid(id) ? await run((trx) => cancelMessage(trx, clinicId, id, now)) : null;
      if (message === null) throw notFound('message');
      return toMessageOut(message, caller.source);
    },
  );
};

/** In a test clinic what is due now has happened before the answer, which tells what became of it. */
export async function afterTick(
  deps: AppDeps,
  { clinic, clinicId, run }: AtClinic,
  sent: MessageView,
): Promise<MessageView> {
  if (clinic.mode !== 'test') return sent;
  await tickTestClinic(deps, clinicId);
  const found = await run((trx) => findMessage(trx, clinicId, sent.id));
  if (found === null) return sent;
  const { attempts, receipts, ...view } = found;
  return view;
}

interface MessageQuery {
  ruleId?: string;
  state?: MessageView['state'];
  channel?: MessageView['channel'];
  from?: string;
  to?: string;
}

function readFilter(
  { ruleId, state, channel, from, to }: MessageQuery,
  patientId: string | undefined,
  { clinic }: AtClinic,
): MessageFilter {
  if (ruleId !== undefined && !isUuid(ruleId)) throw notFound('rule');
  return {
    ...(patientId !== undefined && { patientId }),
    ...(ruleId !== undefined && { ruleId }),
    ...(state !== undefined && { state }),
    ...(channel !== undefined && { channel }),
    ...(from !== undefined && { from: readInstant(from, clinic.timeZone, '/from') }),
    ...(to !== undefined && { until: readInstant(to, clinic.timeZone, '/to') }),
  };
}
