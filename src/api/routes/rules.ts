import { Type } from 'typebox';
import type { Trx } from '../../database/connect.ts';
import { notFound } from '../../errors.ts';
import type { Clinic } from '../../history/clinic.ts';
import { parseHostId } from '../../history/host-id.ts';
import { findPatientId } from '../../history/patient-store.ts';
import { backtestRule } from '../../rules/backtest.ts';
import { diffDays, diffRule } from '../../rules/diff.ts';
import { explainOutcomes, explainRule } from '../../rules/explain.ts';
import { listDue, previewRule } from '../../rules/preview.ts';
import { anomaliesOf, releaseRule } from '../../rules/release-rule.ts';
import { type Rule, ruleInSchema, ruleOutSchema, rulePatchSchema } from '../../rules/rule.ts';
import {
  activateRule,
  createRule,
  deleteRule,
  findRule,
  listRules,
  listRuleVersions,
  pauseRule,
  toRuleOut,
  updateRule,
} from '../../rules/rule-store.ts';
import type { App } from '../app-types.ts';
import { atClinic } from '../at-clinic.ts';
import type { AppDeps } from '../deps.ts';
import { pageLimitMax, pageOf, pageQuery, pager, wholeListOf } from '../page.ts';
import {
  ChannelName,
  Day,
  done,
  HostIdText,
  Id,
  Instant,
  Money,
  nullable,
  strict,
} from '../words.ts';

const RuleIn = { ...ruleInSchema, title: 'RuleIn' };
const RulePatch = { ...rulePatchSchema, title: 'RulePatch' };
const RuleOut = { ...ruleOutSchema, title: 'Rule' };
const Params = Type.Object({ id: Id });

const VersionOut = Type.Object(
  {
    version: Type.Integer(),
    definition: Type.Object({}, { description: 'The rule as it was, defaults filled in.' }),
    changedAt: Instant,
    changedBy: Type.String({ description: 'Which key, as the audit names it.' }),
  },
  { title: 'RuleVersion' },
);

const Count = Type.Integer({ minimum: 0 });

const PreviewOut = Type.Object(
  {
    recipients: Count,
    messages: Type.Record(Type.String(), Count, { description: 'By channel.' }),
    suppressed: Type.Record(Type.String(), Count, { description: 'By reason.' }),
    holdout: Count,
    backlog: Type.Integer({
      minimum: 0,
      description: "Who would still wait in the rule's `backlog` after those days.",
    }),
    cost: Money,
    samples: Type.Array(
      Type.Object({
        patientId: HostIdText,
        channel: ChannelName,
        scheduledAt: Instant,
        text: nullable(Type.String()),
        segments: Count,
      }),
    ),
    warnings: Type.Array(Type.String()),
  },
  { title: 'RulePreview' },
);

const BacktestOut = Type.Object(
  {
    ...PreviewOut.properties,
    returned: Type.Integer({
      minimum: 0,
      description: "Recipients who came within the rule's attribution window after they were due.",
    }),
    returnedAnyway: Type.Integer({
      minimum: 0,
      description:
        'Those of them to whom nothing of care or marketing had been sent between the due instant and the visit.',
    }),
    days: Type.Array(Type.Object({ day: Day, messages: Count })),
  },
  { title: 'RuleBacktest' },
);

const DiffOut = Type.Object(
  {
    gained: Type.Integer({ minimum: 0, description: 'Patients whom only the new rule reaches.' }),
    lost: Type.Integer({
      minimum: 0,
      description: 'Patients whom only the rule as it is reaches.',
    }),
    unchanged: Count,
    beforeActivation: Type.Integer({
      minimum: 0,
      description:
        'Patients whom the changed trigger would move into the past: they are left alone, or enter by `backlog`.',
    }),
    backlog: Type.Integer({
      minimum: 0,
      description: "Who would still wait in the new rule's `backlog` after those days.",
    }),
    cost: Type.Object({ before: Money, after: Money }),
    samples: Type.Array(
      Type.Object({
        patientId: HostIdText,
        change: Type.Enum(['gained', 'lost']),
        scheduledAt: Instant,
      }),
    ),
  },
  { title: 'RuleDiff', description: `Over today and the ${diffDays - 1} days after it.` },
);

const DueOut = Type.Object(
  {
    patientId: HostIdText,
    occurrence: Type.String({ examples: ['visit:v-901'] }),
    dueAt: Instant,
    channel: nullable(ChannelName),
    outcome: Type.String({ description: 'What would become of it now.' }),
    reason: nullable(Type.String()),
  },
  { title: 'DuePatient' },
);

const ExplanationOut = Type.Object(
  {
    patientId: HostIdText,
    rule: Type.Object({ id: Id, version: Type.Integer() }),
    on: Type.String({ description: 'The local day that is explained.' }),
    occurrence: nullable(Type.String()),
    dueAt: nullable(Instant),
    basis: Type.Enum(['recorded', 'recomputed']),
    outcome: Type.Enum([...explainOutcomes]),
    reason: nullable(Type.String()),
    checks: Type.Array(
      Type.Object({
        name: Type.String(),
        passed: Type.Boolean(),
        reason: nullable(Type.String()),
        seen: Type.Unknown(),
        wanted: Type.Unknown(),
      }),
      { description: 'All in order, also after the first that fails.' },
    ),
  },
  { title: 'Explanation', description: 'Why a patient gets it, or does not.' },
);

/** Planning days ahead over a large clinic takes as long as it takes. */
const previewMs = 5 * 60_000;
const slow = { statementTimeoutMs: previewMs };

export const ruleRoutes = (deps: AppDeps) => async (app: App) => {
  app.post(
    '/v1/rules',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'createRule',
        tags: ['Engagement'],
        summary: 'Make a rule, as a draft that does nothing yet',
        body: RuleIn,
        response: { 201: RuleOut },
      },
    },
    async (request, reply) => {
      const { clinicId, actor, now, run } = atClinic(deps, request);
      const rule = await run((trx) => createRule(trx, clinicId, request.body, { actor, now }));
      reply.code(201);
      return toRuleOut(rule);
    },
  );

  app.get(
    '/v1/rules',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'listRules',
        tags: ['Engagement'],
        summary: 'List rules, oldest first',
        querystring: strict(pageQuery),
        response: { 200: pageOf(RuleOut) },
      },
    },
    async (request) => {
      const { clinic, clinicId, now, run } = atClinic(deps, request);
      const { after, rowsWanted, toPage } = pager(deps, request, clinicId);
      const page = { afterId: after?.[0] ?? null, limit: rowsWanted };
      const [rules, anomalies] = await run(async (trx) => [
        await listRules(trx, clinicId, page),
        await anomaliesOf(trx, clinic, now),
      ]);
      return toPage(
        rules,
        (rule) => [rule.id],
        (rule) => toRuleOut(rule, anomalies.get(rule.id)),
      );
    },
  );

  app.get(
    '/v1/rules/:id',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'getRule',
        tags: ['Engagement'],
        summary: 'Show a rule',
        params: Params,
        response: { 200: RuleOut },
      },
    },
    async (request) => {
      const { clinic, clinicId, now, run } = atClinic(deps, request);
      const { id } = request.params;
      return run(async (trx) => shown(trx, clinic, await findRule(trx, clinicId, id), now));
    },
  );

  app.patch(
    '/v1/rules/:id',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'changeRule',
        tags: ['Engagement'],
        summary: 'Change a rule; a changed trigger is a new activation',
        params: Params,
        body: RulePatch,
        response: { 200: RuleOut },
      },
    },
    async (request) => {
      const { clinic, clinicId, actor, now, run } = atClinic(deps, request);
      const { params, body } = request;
      return run(async (trx) => {
        const changed = await updateRule(trx, clinicId, params.id, body, { actor, now });
        return shown(trx, clinic, changed, now);
      });
    },
  );

  app.delete(
    '/v1/rules/:id',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'deleteRule',
        tags: ['Engagement'],
        summary: 'Remove a rule; its past stays for the reports, what has not left is taken back',
        params: Params,
        response: { 204: done('Removed.') },
      },
    },
    async (request, reply) => {
      const { clinicId, actor, now, run } = atClinic(deps, request);
      const found = await run((trx) =>
        deleteRule(trx, clinicId, request.params.id, { actor, now }),
      );
      if (!found) throw notFound('rule');
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/v1/rules/:id/activate',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'activateRule',
        tags: ['Engagement'],
        summary: 'Switch a rule on; what was due before is left alone',
        params: Params,
        body: Type.Optional(
          strict(
            {
              by: Type.Optional(
                Type.String({
                  minLength: 1,
                  maxLength: 200,
                  description: 'Who answers for it; needed for marketing in Russia.',
                  examples: ['Anna Petrova'],
                }),
              ),
            },
            { title: 'Activation' },
          ),
        ),
        response: { 200: RuleOut },
      },
    },
    async (request) => {
      const { clinic, actor, now, run } = atClinic(deps, request);
      const by = request.body?.by;
      return run(async (trx) => {
        const rule = await activateRule(trx, clinic, request.params.id, { actor, now, by });
        return shown(trx, clinic, rule, now);
      });
    },
  );

  app.post(
    '/v1/rules/:id/pause',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'pauseRule',
        tags: ['Engagement'],
        summary: 'Switch a rule off; what has not left waits',
        params: Params,
        response: { 200: RuleOut },
      },
    },
    async (request) => {
      const { clinic, clinicId, actor, now, run } = atClinic(deps, request);
      return run(async (trx) => {
        const rule = await pauseRule(trx, clinicId, request.params.id, { actor, now });
        return shown(trx, clinic, rule, now);
      });
    },
  );

  app.post(
    '/v1/rules/:id/release',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'releaseRule',
        tags: ['Engagement'],
        summary: 'Let go what is held today because it is so much more than usual',
        params: Params,
        body: Type.Optional(
          strict(
            {
              by: Type.Optional(
                Type.String({
                  minLength: 1,
                  maxLength: 200,
                  description: 'Who looked at it.',
                  examples: ['Anna Petrova'],
                }),
              ),
            },
            { title: 'Release' },
          ),
        ),
        response: { 200: RuleOut },
      },
    },
    async (request) => {
      const { clinic, actor, now, run } = atClinic(deps, request);
      const by = request.body?.by;
      return run(async (trx) => {
        const rule = await releaseRule(trx, clinic, request.params.id, { actor, by, now });
        return shown(trx, clinic, rule, now);
      });
    },
  );

  app.get(
    '/v1/rules/:id/versions',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'listRuleVersions',
        tags: ['Engagement'],
        summary: 'List the versions of a rule, newest first',
        params: Params,
        response: { 200: wholeListOf(VersionOut) },
      },
    },
    async (request) => {
      const { clinicId, run } = atClinic(deps, request);
      const versions = await run(async (trx) => {
        orNotFound(await findRule(trx, clinicId, request.params.id));
        return listRuleVersions(trx, clinicId, request.params.id);
      });
      const data = versions.map((version) => ({
        ...version,
        changedAt: version.changedAt.toString(),
      }));
      return { data, nextCursor: null };
    },
  );

  app.post(
    '/v1/rules/:id/preview',
    {
      config: { access: 'read', ticks: false },
      handlerTimeout: previewMs,
      schema: {
        operationId: 'previewRule',
        tags: ['Engagement'],
        summary: 'Show who would get what on some days, and what it would cost; nothing is sent',
        params: Params,
        body: strict({ from: Day, to: Day }, { title: 'RulePreviewIn' }),
        response: { 200: PreviewOut },
      },
    },
    async (request) => {
      const { caller, clinicId, now, run } = atClinic(deps, request);
      const question = { ruleId: request.params.id, source: caller.source, ...request.body };
      return run((trx) => previewRule(deps, trx, clinicId, question, now), slow);
    },
  );

  app.post(
    '/v1/rules/:id/backtest',
    {
      config: { access: 'read', ticks: false },
      handlerTimeout: previewMs,
      schema: {
        operationId: 'backtestRule',
        tags: ['Engagement'],
        summary:
          'Show what a rule would have done on past days, as they were known then, and who returned',
        params: Params,
        body: strict({ from: Day, to: Day }, { title: 'RuleBacktestIn' }),
        response: { 200: BacktestOut },
      },
    },
    async (request) => {
      const { caller, clinicId, now, run } = atClinic(deps, request);
      const question = { ruleId: request.params.id, source: caller.source, ...request.body };
      return run((trx) => backtestRule(deps, trx, clinicId, question, now), slow);
    },
  );

  app.post(
    '/v1/rules/:id/diff',
    {
      config: { access: 'read', ticks: false },
      handlerTimeout: previewMs,
      schema: {
        operationId: 'diffRule',
        tags: ['Engagement'],
        summary:
          'Show whom a changed rule would gain and lose, and what it would cost; nothing is stored',
        params: Params,
        body: strict({ rule: RuleIn }, { title: 'RuleDiffIn' }),
        response: { 200: DiffOut },
      },
    },
    async (request) => {
      const { caller, clinicId, now, run } = atClinic(deps, request);
      const question = { ruleId: request.params.id, source: caller.source, ...request.body };
      return run((trx) => diffRule(deps, trx, clinicId, question, now), slow);
    },
  );

  app.get(
    '/v1/rules/:id/due',
    {
      config: { access: 'read' },
      handlerTimeout: previewMs,
      schema: {
        operationId: 'listDue',
        tags: ['Engagement'],
        summary: 'The recall list of some days, by due instant',
        params: Params,
        querystring: strict({ from: Day, to: Day, limit: pageQuery.limit }),
        response: { 200: wholeListOf(DueOut) },
      },
    },
    async (request) => {
      const { caller, clinicId, now, run } = atClinic(deps, request);
      const { from, to, limit = pageLimitMax } = request.query;
      const question = { ruleId: request.params.id, source: caller.source, from, to, limit };
      const data = await run((trx) => listDue(deps, trx, clinicId, question, now), slow);
      return { data, nextCursor: null };
    },
  );

  app.get(
    '/v1/rules/:id/explain',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'explainRule',
        tags: ['Engagement'],
        summary: 'Every check of a rule for one patient, with the value seen, due or not',
        params: Params,
        querystring: strict({ patientId: HostIdText, on: Type.Optional(Day) }),
        response: { 200: ExplanationOut },
      },
    },
    async (request) => {
      const { caller, clinicId, now, run } = atClinic(deps, request);
      const { patientId: asked, on } = request.query;
      return run(async (trx) => {
        const patientId = await findPatientId(trx, clinicId, parseHostId(asked, caller.source));
        if (patientId === null) throw notFound('patient');
        const question = { ruleId: request.params.id, patientId, on, source: caller.source };
        return explainRule(deps, trx, clinicId, question, now);
      });
    },
  );
};

async function shown(trx: Trx, clinic: Clinic, found: Rule | null, now: Temporal.Instant) {
  const rule = orNotFound(found);
  const anomalies = await anomaliesOf(trx, clinic, now);
  return toRuleOut(rule, anomalies.get(rule.id));
}

function orNotFound<Found>(rule: Found | null): Found {
  if (rule === null) throw notFound('rule');
  return rule;
}
