import { type Static, Type } from 'typebox';
import { withClinic } from '../../database/with-clinic.ts';
import { invalid, notFound } from '../../errors.ts';
import { recordAudit } from '../../history/audit-store.ts';
import { type Clinic, clinicNow } from '../../history/clinic.ts';
import { defaultSource, scopes } from '../../history/key.ts';
import { createKey, listKeys, revokeKey, type StoredKey } from '../../history/key-store.ts';
import { isUuid } from '../../uuid.ts';
import type { App } from '../app-types.ts';
import { callerOf } from '../authenticate.ts';
import type { AppDeps } from '../deps.ts';
import { pageOf, pageQuery, pager } from '../page.ts';

const closed = { additionalProperties: false } as const;

const fields = {
  name: Type.String({
    minLength: 1,
    maxLength: 100,
    pattern: '\\S',
    description: 'To tell keys apart.',
    examples: ['Front desk'],
  }),
  source: Type.String({
    pattern: '^[a-z0-9][a-z0-9._-]{0,62}$',
    description: `Whose ids the key speaks; \`${defaultSource}\` if absent.`,
    examples: ['crm'],
  }),
  scopes: Type.Array(Type.Enum([...scopes]), {
    minItems: 1,
    uniqueItems: true,
    description: 'What the key may do; everything if absent.',
    examples: [['intake', 'read']],
  }),
};

export const KeyIn = Type.Object(
  {
    name: Type.Optional(fields.name),
    source: Type.Optional(fields.source),
    scopes: Type.Optional(fields.scopes),
  },
  { ...closed, title: 'KeyIn' },
);

export const KeyOut = Type.Object(
  {
    id: Type.String({ description: 'Our id.' }),
    ...fields,
    prefix: Type.String({ description: 'How the key begins.', examples: ['rtn_live_1a2b3c4d'] }),
    createdAt: Type.String(),
    revokedAt: Type.Union([Type.String(), Type.Null()]),
  },
  { title: 'Key', description: 'A key, without its secret.' },
);

export const NewKeyOut = Type.Object(
  { ...KeyOut.properties, key: Type.String({ description: 'The key itself, shown this once.' }) },
  { title: 'NewKey', description: 'A key that was just made.' },
);

const toKeyOut = ({ createdAt, revokedAt, ...key }: StoredKey): Static<typeof KeyOut> => ({
  ...key,
  createdAt: createdAt.toString(),
  revokedAt: revokedAt?.toString() ?? null,
});

/** Makes a key and notes who made it. */
export async function issueKey(
  deps: AppDeps,
  clinic: Clinic,
  wish: Static<typeof KeyIn>,
  actor: string,
): Promise<Static<typeof NewKeyOut>> {
  const { name = 'Key', source = defaultSource, scopes: wished = scopes } = wish;
  const now = clinicNow(clinic, deps.clock);
  const made = await withClinic(deps.db, clinic.id, async (trx) => {
    const key = await createKey(trx, clinic, { name, source, scopes: wished }, now);
    await recordAudit(trx, clinic.id, { actor, action: 'key.created', subject: key.id }, now);
    return key;
  });
  return { ...toKeyOut(made), key: made.key };
}

/** @throws AppError a 404 where there is no such key. */
export async function withdrawKey(
  deps: AppDeps,
  clinic: Clinic,
  keyId: string,
  actor: string,
): Promise<void> {
  if (!isUuid(keyId)) throw notFound('key');
  const now = clinicNow(clinic, deps.clock);
  const revoked = await withClinic(deps.db, clinic.id, async (trx) => {
    const found = await revokeKey(trx, clinic.id, keyId, now);
    if (found)
      await recordAudit(trx, clinic.id, { actor, action: 'key.revoked', subject: keyId }, now);
    return found;
  });
  deps.callers.forget(clinic.id);
  if (!revoked) throw notFound('key');
}

export const keyRoutes = (deps: AppDeps) => async (app: App) => {
  app.get(
    '/v1/keys',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'listKeys',
        tags: ['Clinic'],
        summary: 'List the keys of the clinic, revoked ones too',
        querystring: Type.Object(pageQuery, closed),
        response: { 200: pageOf(KeyOut) },
      },
    },
    async (request) => {
      const { clinicId } = callerOf(request);
      const { after, rowsWanted, toPage } = pager(deps, request, clinicId);
      const page = { afterId: after?.[0] ?? null, limit: rowsWanted };
      const rows = await withClinic(deps.db, clinicId, (trx) => listKeys(trx, clinicId, page));
      return toPage(rows, (key) => [key.id], toKeyOut);
    },
  );

  app.post(
    '/v1/keys',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'createKey',
        tags: ['Clinic'],
        summary: 'Make a key with at most the scopes of the one that asks',
        body: KeyIn,
        response: { 201: NewKeyOut },
      },
    },
    async (request, reply) => {
      const caller = callerOf(request);
      const wished = request.body.scopes ?? [...caller.scopes];
      if (!wished.every((scope) => caller.scopes.includes(scope))) {
        throw invalid('/scopes', 'beyond-own-scopes', 'A key can give no scope that it lacks.');
      }
      const wish = { ...request.body, scopes: wished };
      reply.code(201);
      return issueKey(deps, caller.clinic, wish, `key:${caller.keyId}`);
    },
  );

  app.delete(
    '/v1/keys/:keyId',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'revokeKey',
        tags: ['Clinic'],
        summary: 'Revoke a key; within five seconds nobody takes it any more',
        params: Type.Object({ keyId: Type.String({ description: 'Our id of the key.' }) }),
        response: { 204: Type.Null({ description: 'Revoked.' }) },
      },
    },
    async (request, reply) => {
      const { clinic, keyId } = callerOf(request);
      await withdrawKey(deps, clinic, request.params.keyId, `key:${keyId}`);
      return reply.code(204).send(null);
    },
  );
};
