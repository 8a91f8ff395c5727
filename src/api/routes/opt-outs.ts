import { type Static, Type } from 'typebox';
import { channelNames } from '../../channels/channel.ts';
import { invalid, notFound } from '../../errors.ts';
import {
  findOptOut,
  liftOptOut,
  listOptOuts,
  type OptOut,
  recordOptOut,
} from '../../history/consent-store.ts';
import { formatHostId, type HostId, parseHostId } from '../../history/host-id.ts';
import { findPatientId, hostIdsOf } from '../../history/patient-store.ts';
import { messagesInFlight } from '../../outbox/answer-store.ts';
import { parsePhone } from '../../phone.ts';
import { isUuid } from '../../uuid.ts';
import type { App } from '../app-types.ts';
import { atClinic } from '../at-clinic.ts';
import type { AppDeps } from '../deps.ts';
import { pageOf, pageQuery, pager } from '../page.ts';
import { done, HostIdText, Id, Instant, nullable, Purpose, strict } from '../words.ts';

const Channel = Type.Enum([...channelNames, 'call'], { description: 'All of them if absent.' });

const OptOutIn = strict(
  {
    patientId: Type.Optional(HostIdText),
    address: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 254,
        description:
          'A phone, an e-mail address or `telegram:<id>`: it holds for all who share it.',
        examples: ['+573001234567'],
      }),
    ),
    channel: Type.Optional(Channel),
    purpose: Type.Optional(Purpose),
  },
  {
    title: 'OptOutIn',
    description: 'Either a patient or an address. Without a purpose: care and marketing.',
  },
);

const fields = {
  id: Id,
  channel: nullable(Type.String()),
  purpose: nullable(Purpose),
  address: nullable(Type.String()),
  createdAt: Instant,
};

const NewOptOutOut = Type.Object(
  {
    id: Id,
    inFlight: Type.Array(Id, {
      description: 'Messages that are perhaps at a provider already and cannot be called back.',
    }),
  },
  { title: 'NewOptOut' },
);

const OptOutOut = Type.Object(
  {
    ...fields,
    patientId: nullable(HostIdText),
    origin: Type.Enum(['api', 'reply', 'link', 'provider', 'staff'], {
      description: 'Where it was said.',
    }),
  },
  { title: 'OptOut', description: 'What a person does not want.' },
);

export const optOutRoutes = (deps: AppDeps) => async (app: App) => {
  app.post(
    '/v1/opt-outs',
    {
      config: { access: 'feedback' },
      schema: {
        operationId: 'createOptOut',
        tags: ['Patients'],
        summary: 'Note that a person wants no more messages; it holds before this is answered',
        body: OptOutIn,
        response: { 201: NewOptOutOut },
      },
    },
    async (request, reply) => {
      const { caller, clinic, clinicId, now, run } = atClinic(deps, request);
      const { channel, purpose } = request.body;
      const wanted = whom(request.body, clinic.country);
      const recorded = await run(async (trx) => {
        const found =
          'address' in wanted
            ? wanted
            : {
                patientId: await findPatientId(
                  trx,
                  clinicId,
                  parseHostId(wanted.patientId, caller.source),
                ),
              };
        if ('patientId' in found && found.patientId === null) throw notFound('patient');
        const target = found as { patientId: string } | { address: string };
        const optOut = {
          ...target,
          ...(channel !== undefined && { channel }),
          ...(purpose !== undefined && { purpose }),
          origin: 'api' as const,
        };
        const { id } = await recordOptOut(trx, clinicId, optOut, now);
        return { id, inFlight: await messagesInFlight(trx, clinicId, target) };
      });
      reply.code(201);
      return recorded;
    },
  );

  app.get(
    '/v1/opt-outs',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'listOptOuts',
        tags: ['Patients'],
        summary: 'List what holds now, of all or of a patient, also by the addresses they share',
        querystring: strict({ ...pageQuery, patientId: Type.Optional(HostIdText) }),
        response: { 200: pageOf(OptOutOut) },
      },
    },
    async (request) => {
      const { caller, clinicId, run } = atClinic(deps, request);
      const { patientId: asked } = request.query;
      const { after, rowsWanted, toPage } = pager(deps, request, clinicId);
      const page = { afterId: after?.[0] ?? null, limit: rowsWanted };
      const { optOuts, patients } = await run(async (trx) => {
        const patientId =
          asked === undefined
            ? null
            : await findPatientId(trx, clinicId, parseHostId(asked, caller.source));
        if (asked !== undefined && patientId === null) throw notFound('patient');
        const optOuts = await listOptOuts(trx, clinicId, patientId, page);
        const ids = optOuts.flatMap((optOut) => optOut.patientId ?? []);
        return { optOuts, patients: await hostIdsOf(trx, clinicId, ids) };
      });
      return toPage(
        optOuts,
        ({ id }) => [id],
        (optOut) => toOptOutOut(optOut, patients, caller.source),
      );
    },
  );

  app.delete(
    '/v1/opt-outs/:id',
    {
      config: { access: 'feedback' },
      schema: {
        operationId: 'liftOptOut',
        tags: ['Patients'],
        summary: 'Lift an opt-out because the person wants messages again',
        params: Type.Object({ id: Id }),
        response: { 204: done('Lifted.') },
      },
    },
    async (request, reply) => {
      const { clinicId, actor, now, run } = atClinic(deps, request);
      const { id } = request.params;
      const known = await run(async (trx) => {
        if (!isUuid(id) || (await findOptOut(trx, clinicId, id)) === null) return false;
        await liftOptOut(trx, clinicId, id, actor, now);
        return true;
      });
      if (!known) throw notFound('opt-out');
      return reply.code(204).send(null);
    },
  );
};

function toOptOutOut(
  { id, patientId, address, channel, purpose, origin, createdAt }: OptOut,
  patients: ReadonlyMap<string, HostId>,
  source: string,
): Static<typeof OptOutOut> {
  const hostId = patientId === null ? undefined : patients.get(patientId);
  return {
    id,
    patientId: hostId ? formatHostId(hostId, source) : null,
    ...{ address, channel, purpose, origin },
    createdAt: createdAt.toString(),
  };
}

/** @throws AppError a 400 unless exactly one of the two is given, and is an address. */
function whom(
  { patientId, address }: Static<typeof OptOutIn>,
  country: string,
): { patientId: string } | { address: string } {
  if (patientId !== undefined && address !== undefined) {
    throw invalid('/address', 'not-both', 'Name either a patient or an address.');
  }
  if (patientId !== undefined) return { patientId };
  if (address === undefined)
    throw invalid('/patientId', 'missing', 'Name a patient or an address.');
  return { address: normalAddress(address, country) };
}

const emailForm = /^[^\s@]{1,64}@[^\s@]{1,189}$/;
const telegramForm = /^telegram:-?\d{1,20}$/;

function normalAddress(text: string, country: string): string {
  if (telegramForm.test(text)) return text;
  if (emailForm.test(text)) return text.toLowerCase();
  const phone = parsePhone(text, country);
  if (!phone.ok)
    throw invalid('/address', 'not-an-address', 'This is neither a phone nor an e-mail address.');
  return phone.e164;
}
