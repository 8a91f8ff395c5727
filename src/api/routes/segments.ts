import { type Static, Type } from 'typebox';
import { notFound } from '../../errors.ts';
import { formatHostId } from '../../history/host-id.ts';
import { audienceSchema } from '../../rules/audience/audience.ts';
import { type Segment, segmentNameForm } from '../../rules/segment.ts';
import {
  deleteSegment,
  findSegment,
  listMembers,
  listSegments,
  putSegment,
} from '../../rules/segment-store.ts';
import type { App } from '../app-types.ts';
import { atClinic } from '../at-clinic.ts';
import type { AppDeps } from '../deps.ts';
import { pageOf, pageQuery, pager, wholeListOf } from '../page.ts';
import { done, HostIdText, Instant, nullable, strict } from '../words.ts';

const fields = {
  description: Type.String({
    maxLength: 500,
    description: 'What it is for.',
    examples: ['Come at least twice a year'],
  }),
  audience: audienceSchema,
};

const SegmentIn = strict(
  { description: Type.Optional(fields.description), audience: fields.audience },
  { title: 'SegmentIn' },
);

const SegmentOut = Type.Object(
  {
    name: Type.String({ examples: ['loyal-women'] }),
    description: nullable(fields.description),
    audience: fields.audience,
    createdAt: Instant,
    updatedAt: Instant,
  },
  { title: 'Segment', description: 'A saved audience. Who belongs to it is computed when asked.' },
);

const Size = Type.Integer({ minimum: 0, description: 'How many patients belong to it now.' });
const Member = Type.Object({ patientId: HostIdText });
const MembersOut = Type.Object(
  { size: Size, ...pageOf(Member).properties },
  { title: 'SegmentMembers' },
);

const Params = Type.Object({
  name: Type.String({
    pattern: segmentNameForm,
    description: 'Audiences name it so.',
    examples: ['loyal-women'],
  }),
});

const toOut = ({ createdAt, updatedAt, audience, ...segment }: Segment) => ({
  ...segment,
  audience: audience as Static<typeof audienceSchema>,
  createdAt: createdAt.toString(),
  updatedAt: updatedAt.toString(),
});

/** Asking everything of everybody takes as long as it takes. */
const slow = { statementTimeoutMs: 60_000 };

export const segmentRoutes = (deps: AppDeps) => async (app: App) => {
  app.get(
    '/v1/segments',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'listSegments',
        tags: ['Engagement'],
        summary: 'List all segments by name',
        response: { 200: wholeListOf(SegmentOut) },
      },
    },
    async (request) => {
      const { clinicId, run } = atClinic(deps, request);
      const segments = await run((trx) => listSegments(trx, clinicId));
      return { data: segments.map(toOut), nextCursor: null };
    },
  );

  app.put(
    '/v1/segments/:name',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'putSegment',
        tags: ['Engagement'],
        summary: 'Store a segment whole; one that leads to itself is refused',
        params: Params,
        body: SegmentIn,
        response: { 200: SegmentOut, 201: SegmentOut },
      },
    },
    async (request, reply) => {
      const { clinicId, now, run } = atClinic(deps, request);
      const { name } = request.params;
      const { segment, isNew } = await run((trx) =>
        putSegment(trx, clinicId, name, request.body, now),
      );
      reply.code(isNew ? 201 : 200);
      return toOut(segment);
    },
  );

  app.get(
    '/v1/segments/:name',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'getSegment',
        tags: ['Engagement'],
        summary: 'Show a segment',
        params: Params,
        response: { 200: SegmentOut },
      },
    },
    async (request) => {
      const { clinicId, run } = atClinic(deps, request);
      const segment = await run((trx) => findSegment(trx, clinicId, request.params.name));
      if (segment === null) throw notFound('segment');
      return toOut(segment);
    },
  );

  app.get(
    '/v1/segments/:name/members',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'listSegmentMembers',
        tags: ['Engagement'],
        summary: 'Who belongs to a segment now, and how many they are',
        params: Params,
        querystring: strict(pageQuery),
        response: { 200: MembersOut },
      },
    },
    async (request) => {
      const { caller, clinic, clinicId, now, run } = atClinic(deps, request);
      const { after, rowsWanted, toPage } = pager(deps, request, clinicId);
      const page = { afterId: after?.[0] ?? null, limit: rowsWanted };
      const found = await run(async (trx) => {
        const segment = await findSegment(trx, clinicId, request.params.name);
        return segment && listMembers(trx, clinic, segment, page, now);
      }, slow);
      if (found === null) throw notFound('segment');
      const toItem = (member: (typeof found.members)[number]) => ({
        patientId: formatHostId(member, caller.source),
      });
      return { size: found.size, ...toPage(found.members, ({ id }) => [id], toItem) };
    },
  );

  app.delete(
    '/v1/segments/:name',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'deleteSegment',
        tags: ['Engagement'],
        summary: 'Remove a segment that nothing names',
        params: Params,
        response: { 204: done('Removed.') },
      },
    },
    async (request, reply) => {
      const { clinicId, run } = atClinic(deps, request);
      const wasThere = await run((trx) => deleteSegment(trx, clinicId, request.params.name));
      if (!wasThere) throw notFound('segment');
      return reply.code(204).send(null);
    },
  );
};
