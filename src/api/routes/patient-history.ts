import { type Static, Type } from 'typebox';
import type { Trx } from '../../database/connect.ts';
import { notFound } from '../../errors.ts';
import { formatHostId, parseHostId } from '../../history/host-id.ts';
import { findPatientId } from '../../history/patient-store.ts';
import { listInbox, markInboxRead } from '../../outbox/message-list-store.ts';
import {
  readTimeline,
  type TimelineEntry,
  type TimelineKind,
  timelineKinds,
} from '../../outbox/timeline-store.ts';
import { isUuid } from '../../uuid.ts';
import type { App } from '../app-types.ts';
import { type AtClinic, atClinic } from '../at-clinic.ts';
import type { AppDeps } from '../deps.ts';
import { pageOf, pageQuery, pager } from '../page.ts';
import { done, HostIdText, Id, Instant, nullable, strict } from '../words.ts';
import { MessageOut, toMessageOut } from './messages.ts';

const EntryOut = Type.Object(
  {
    at: Instant,
    kind: Type.Enum([...timelineKinds]),
    id: Type.String({ description: "Ours, or the host's for a visit and an appointment." }),
    state: nullable(Type.String()),
    reason: nullable(Type.String()),
    channel: nullable(Type.String()),
    ruleId: nullable(Id),
  },
  { title: 'TimelineEntry', description: 'One thing that happened with a patient.' },
);

const Params = Type.Object({ id: HostIdText });

export const patientHistoryRoutes = (deps: AppDeps) => async (app: App) => {
  app.get(
    '/v1/patients/:id/timeline',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'getTimeline',
        tags: ['Patients'],
        summary: 'All that happened with a patient, newest first',
        params: Params,
        querystring: strict(pageQuery),
        response: { 200: pageOf(EntryOut) },
      },
    },
    async (request) => {
      const scene = atClinic(deps, request);
      const { after, rowsWanted, toPage } = pager(deps, request, scene.clinicId);
      const [at, kind, id] = after ?? [];
      const before =
        at === undefined || id === undefined
          ? null
          : { at: Temporal.Instant.from(at), kind: kind as TimelineKind, id };
      const rows = await scene.run(async (trx) => {
        const patientId = await requirePatient(trx, scene, request.params.id);
        return readTimeline(trx, scene.clinicId, patientId, { before, limit: rowsWanted });
      });
      return toPage(
        rows,
        (row) => [row.at.toString(), row.kind, row.id],
        (row) => toEntryOut(row, scene.caller.source),
      );
    },
  );

  app.get(
    '/v1/patients/:id/inbox',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'listInbox',
        tags: ['Patients'],
        summary: "Messages for the host's own portal, newest first",
        params: Params,
        querystring: strict(pageQuery),
        response: { 200: pageOf(MessageOut) },
      },
    },
    async (request) => {
      const scene = atClinic(deps, request);
      const { after, rowsWanted, toPage } = pager(deps, request, scene.clinicId);
      const page = { afterId: after?.[0] ?? null, limit: rowsWanted };
      const rows = await scene.run(async (trx) => {
        const patientId = await requirePatient(trx, scene, request.params.id);
        return listInbox(trx, scene.clinicId, patientId, page);
      });
      return toPage(
        rows,
        (row) => [row.id],
        (row) => toMessageOut(row, scene.caller.source),
      );
    },
  );

  app.post(
    '/v1/patients/:id/inbox/:messageId/read',
    {
      config: { access: 'feedback' },
      schema: {
        operationId: 'markInboxRead',
        tags: ['Patients'],
        summary: 'Note that the patient has read a message in the portal',
        params: Type.Object({ id: HostIdText, messageId: Id }),
        response: { 204: done('Noted.') },
      },
    },
    async (request, reply) => {
      const scene = atClinic(deps, request);
      const { id, messageId } = request.params;
      const found = await scene.run(async (trx) => {
        const patientId = await requirePatient(trx, scene, id);
        if (!isUuid(messageId)) return false;
        return markInboxRead(trx, scene.clinicId, patientId, messageId, scene.now);
      });
      if (!found) throw notFound('message');
      return reply.code(204).send(null);
    },
  );
};

async function requirePatient(
  trx: Trx,
  { caller, clinicId }: AtClinic,
  id: string,
): Promise<string> {
  const patientId = await findPatientId(trx, clinicId, parseHostId(id, caller.source));
  if (patientId === null) throw notFound('patient');
  return patientId;
}

function toEntryOut(
  { at, id, source, ...rest }: TimelineEntry,
  readerSource: string,
): Static<typeof EntryOut> {
  const shown = source === null ? id : formatHostId({ source, externalId: id }, readerSource);
  return { at: at.toString(), ...rest, id: shown };
}
