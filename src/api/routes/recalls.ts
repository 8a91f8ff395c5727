import { type Static, Type } from 'typebox';
import type { Trx } from '../../database/connect.ts';
import { notFound } from '../../errors.ts';
import { parseHostId } from '../../history/host-id.ts';
import { findPatientId } from '../../history/patient-store.ts';
import { localDay } from '../../local-time.ts';
import { deleteRecall, listRecalls, putRecall, type Recall } from '../../rules/settle-recall.ts';
import type { App } from '../app-types.ts';
import { atClinic } from '../at-clinic.ts';
import type { AppDeps } from '../deps.ts';
import { wholeListOf } from '../page.ts';
import { Day, done, HostIdText, Id, Instant, nullable, strict } from '../words.ts';

const Period = Type.String({
  minLength: 2,
  maxLength: 40,
  description: "In place of the rule's own period.",
  examples: ['P90D'],
});
const DueOn = {
  ...Day,
  description: 'The local day on which the present recall is due; a later visit drops it.',
  examples: ['2026-09-01'],
};
const DisabledUntil = {
  ...Day,
  description: 'Never before this local day; `9999-12-31` is never.',
  examples: ['2027-01-01'],
};
const Reason = Type.String({
  minLength: 1,
  maxLength: 500,
  description: 'For the staff; it is never sent.',
  examples: ['Braces: comes every four weeks'],
});

const RecallIn = strict(
  {
    after: Type.Optional(Period),
    dueOn: Type.Optional(DueOn),
    disabledUntil: Type.Optional(DisabledUntil),
    reason: Type.Optional(Reason),
  },
  {
    title: 'RecallIn',
    description:
      'What is settled for this patient; it replaces what was. At least a day or a period.',
  },
);

const RecallOut = Type.Object(
  {
    ruleId: Id,
    name: Type.String({ description: 'Of the rule.', examples: ['Hygiene recall'] }),
    dueOn: nullable({ ...Day, description: 'The local day; null where nothing is due, or never.' }),
    dueAt: nullable(Instant),
    lastAnchor: nullable(
      Type.Object(
        {
          occurrence: Type.String({ examples: ['visit:v-901'] }),
          at: Type.String({ description: 'The instant, or the day of a treatment.' }),
        },
        { description: 'What it counts from: the last visit, or the step of a treatment.' },
      ),
    ),
    override: nullable(
      Type.Object({
        after: nullable(Period),
        dueOn: nullable(DueOn),
        disabledUntil: nullable(DisabledUntil),
        reason: nullable(Reason),
        setBy: Type.String({ description: 'Which key, as the audit names it.' }),
        setAt: Instant,
      }),
    ),
  },
  { title: 'Recall', description: 'When a rule recalls a patient, and what is settled about it.' },
);

const Params = Type.Object({ id: HostIdText });
const RuleParams = Type.Object({ id: HostIdText, ruleId: Id });

export const recallRoutes = (deps: AppDeps) => async (app: App) => {
  app.get(
    '/v1/patients/:id/recalls',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'listRecalls',
        tags: ['Engagement'],
        summary: 'When each rule recalls a patient, and what is settled about it',
        params: Params,
        response: { 200: wholeListOf(RecallOut) },
      },
    },
    async (request) => {
      const { caller, clinic, clinicId, run } = atClinic(deps, request);
      return run(async (trx) => {
        const patientId = await patientOf(trx, clinicId, request.params.id, caller.source);
        const recalls = await listRecalls(trx, clinic, patientId);
        const data = recalls.map((recall) => toRecallOut(recall, clinic.timeZone));
        return { data, nextCursor: null };
      });
    },
  );

  app.put(
    '/v1/patients/:id/recalls/:ruleId',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'putRecall',
        tags: ['Engagement'],
        summary: 'Settle when a rule recalls this patient',
        params: RuleParams,
        body: RecallIn,
        response: { 200: RecallOut },
      },
    },
    async (request) => {
      const { caller, clinic, clinicId, actor, now, run } = atClinic(deps, request);
      const { id, ruleId } = request.params;
      return run(async (trx) => {
        const patientId = await patientOf(trx, clinicId, id, caller.source);
        const change = { ruleId, patientId, actor, now };
        const recall = await putRecall(trx, clinic, request.body, change);
        if (recall === null) throw notFound('rule');
        return toRecallOut(recall, clinic.timeZone);
      });
    },
  );

  app.delete(
    '/v1/patients/:id/recalls/:ruleId',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'deleteRecall',
        tags: ['Engagement'],
        summary: 'Leave the recall of this patient to the rule again',
        params: RuleParams,
        response: { 204: done('Removed.') },
      },
    },
    async (request, reply) => {
      const { caller, clinicId, actor, now, run } = atClinic(deps, request);
      const { id, ruleId } = request.params;
      const found = await run(async (trx) => {
        const patientId = await patientOf(trx, clinicId, id, caller.source);
        return deleteRecall(trx, clinicId, { ruleId, patientId, actor, now });
      });
      if (!found) throw notFound('recall');
      return reply.code(204).send(null);
    },
  );
};

async function patientOf(trx: Trx, clinicId: string, id: string, source: string): Promise<string> {
  const patientId = await findPatientId(trx, clinicId, parseHostId(id, source));
  if (patientId === null) throw notFound('patient');
  return patientId;
}

function toRecallOut(
  { rule, anchor, dueAt, override }: Recall,
  clinicZone: string,
): Static<typeof RecallOut> {
  const zone = anchor?.patientZone ?? clinicZone;
  return {
    ruleId: rule.id,
    name: rule.definition.name,
    dueOn: dueAt && localDay(dueAt, zone),
    dueAt: dueAt?.toString() ?? null,
    lastAnchor: anchor && { occurrence: anchor.occurrence, at: anchor.at },
    override: override && {
      after: override.after,
      dueOn: override.dueOn,
      disabledUntil: override.disabledUntil,
      reason: override.reason,
      setBy: override.setBy,
      setAt: override.setAt.toString(),
    },
  };
}
