import { type Static, Type } from 'typebox';
import { deletionCodes, repeatSacrificed } from '../../database/outage.ts';
import { withClinic } from '../../database/with-clinic.ts';
import { invalid, notFound } from '../../errors.ts';
import { recordAudit } from '../../history/audit-store.ts';
import { changeClinic, checkChange } from '../../history/change-clinic.ts';
import { type Clinic, clinicNow } from '../../history/clinic.ts';
import { createClinic, deleteClinic, findClinic, listClinics } from '../../history/clinic-store.ts';
import { checkDataRegion, dataRegionWarning } from '../../history/data-region.ts';
import { defaultSource, scopes } from '../../history/key.ts';
import { createKey } from '../../history/key-store.ts';
import { seedTemplates } from '../../outbox/template-store.ts';
import { isUuid, uuidv7 } from '../../uuid.ts';
import type { App } from '../app-types.ts';
import type { AppDeps } from '../deps.ts';
import { pageOf, pageQuery, pager, readInstant } from '../page.ts';
import { Warning } from '../policy-words.ts';
import { issueKey, KeyIn, NewKeyOut, withdrawKey } from './keys.ts';
import { ClinicOut, ClinicPatch, clinicFields, toClinicOut } from './own-clinic.ts';

const closed = { additionalProperties: false } as const;
const actor = 'operator';

const ClinicIn = Type.Object(
  {
    ...clinicFields,
    mode: Type.Enum(['live', 'test'], {
      description: 'It cannot be changed later.',
      examples: ['live'],
    }),
    now: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 40,
        description: "Where a test clinic's clock starts; the present if absent.",
        examples: ['2026-01-05T09:00:00Z'],
      }),
    ),
  },
  { ...closed, title: 'ClinicIn' },
);

const NewClinicOut = Type.Object(
  {
    ...ClinicOut.properties,
    key: Type.String({ description: 'A key with all scopes, shown this once.' }),
    warnings: Type.Array(Warning, { description: 'What somebody should look at.' }),
  },
  { title: 'NewClinic' },
);

const IdParams = Type.Object({ id: Type.String({ description: 'Our id of the clinic.' }) });
const KeyParams = Type.Object({
  id: Type.String({ description: 'Our id of the clinic.' }),
  keyId: Type.String({ description: 'Our id of the key.' }),
});

/** The database looks for a deadlock after a second: a crowd has half a minute to pass. */
const deletionsMax = 30;

export const clinicRoutes = (deps: AppDeps) => async (app: App) => {
  const require = async (id: string): Promise<Clinic> => {
    const clinic = isUuid(id) ? await findClinic(deps.db, id) : null;
    if (clinic === null) throw notFound('clinic');
    return clinic;
  };

  app.post(
    '/v1/clinics',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'createClinic',
        tags: ['Operator'],
        summary: 'Make a clinic, with ready-made templates and a key of all scopes',
        body: ClinicIn,
        response: { 201: NewClinicOut },
      },
    },
    async (request, reply) => {
      const { clinic, key } = await foundClinic(deps, request.body);
      const warning = dataRegionWarning(clinic.country, deps.dataRegion);
      if (warning) deps.log.warn({ clinicId: clinic.id, code: warning.code }, warning.detail);
      reply.code(201);
      return { ...toClinicOut(clinic), key, warnings: warning ? [warning] : [] };
    },
  );

  app.get(
    '/v1/clinics',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'listClinics',
        tags: ['Operator'],
        summary: 'List all clinics of this installation, oldest first',
        querystring: Type.Object(pageQuery, closed),
        response: { 200: pageOf(ClinicOut) },
      },
    },
    async (request) => {
      const { after, rowsWanted, toPage } = pager(deps, request, actor);
      const page = { afterId: after?.[0] ?? null, limit: rowsWanted };
      return toPage(await listClinics(deps.db, page), (clinic) => [clinic.id], toClinicOut);
    },
  );

  app.get(
    '/v1/clinics/:id',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'getClinicById',
        tags: ['Operator'],
        summary: 'Show a clinic',
        params: IdParams,
        response: { 200: ClinicOut },
      },
    },
    async (request) => toClinicOut(await require(request.params.id)),
  );

  app.patch(
    '/v1/clinics/:id',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'changeClinicById',
        tags: ['Operator'],
        summary: 'Change a clinic',
        params: IdParams,
        body: ClinicPatch,
        response: { 200: ClinicOut },
      },
    },
    async (request) => {
      const clinic = await require(request.params.id);
      const now = clinicNow(clinic, deps.clock);
      const changed = await withClinic(deps.db, clinic.id, (trx) =>
        changeClinic(trx, clinic.id, request.body, actor, now, deps.dataRegion),
      );
      deps.callers.forget(clinic.id);
      return toClinicOut(changed ?? clinic);
    },
  );

  app.delete(
    '/v1/clinics/:id',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'deleteClinic',
        tags: ['Operator'],
        summary: 'Remove a clinic and everything in it, for ever',
        params: IdParams,
        response: { 204: Type.Null({ description: 'Removed.' }) },
      },
    },
    async (request, reply) => {
      const clinic = await require(request.params.id);
      // Its events keep coming, and each locks what the deletion wants.
      await repeatSacrificed(() => deleteClinic(deps.db, clinic.id), deletionsMax, deletionCodes);
      deps.callers.forget(clinic.id);
      deps.log.warn({ clinicId: clinic.id }, 'A clinic was removed.');
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/v1/clinics/:id/keys',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'createClinicKey',
        tags: ['Operator'],
        summary: 'Make a key for a clinic',
        params: IdParams,
        body: KeyIn,
        response: { 201: NewKeyOut },
      },
    },
    async (request, reply) => {
      const clinic = await require(request.params.id);
      reply.code(201);
      return issueKey(deps, clinic, request.body, actor);
    },
  );

  app.delete(
    '/v1/clinics/:id/keys/:keyId',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'revokeClinicKey',
        tags: ['Operator'],
        summary: 'Revoke a key of a clinic',
        params: KeyParams,
        response: { 204: Type.Null({ description: 'Revoked.' }) },
      },
    },
    async (request, reply) => {
      const clinic = await require(request.params.id);
      await withdrawKey(deps, clinic, request.params.keyId, actor);
      return reply.code(204).send(null);
    },
  );
};

/** A clinic starts able to work: its key and its templates are made in the same transaction. */
async function foundClinic(
  deps: AppDeps,
  { now, ...wish }: Static<typeof ClinicIn>,
): Promise<{ clinic: Clinic; key: string }> {
  checkChange({ timeZone: wish.timeZone });
  checkDataRegion(wish, deps.dataRegion);
  const present = deps.clock.now();
  const testNow = readTestNow(wish, now, present);
  const id = uuidv7(present);
  const at = testNow ?? present;
  return withClinic(deps.db, id, async (trx) => {
    const clinic = await createClinic(trx, { id, ...wish, testNow }, present);
    const first = { name: 'First key', source: defaultSource, scopes };
    const { key } = await createKey(trx, clinic, first, at);
    await seedTemplates(trx, id, at);
    await recordAudit(trx, id, { actor, action: 'clinic.created', subject: id }, at);
    return { clinic, key };
  });
}

function readTestNow(
  { mode, timeZone }: { mode: Clinic['mode']; timeZone: string },
  now: string | undefined,
  present: Temporal.Instant,
): Temporal.Instant | null {
  if (mode === 'live') {
    if (now !== undefined)
      throw invalid('/now', 'not-a-test-clinic', 'Only a test clinic has a clock of its own.');
    return null;
  }
  if (now === undefined) return present;
  return readInstant(now, timeZone, '/now');
}
