import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { invalid, notFound } from '../../errors.ts';
import { toCsv } from '../../reports/csv.ts';
import {
  messageDimensions,
  messagesColumns,
  messagesReport,
} from '../../reports/messages-report-store.ts';
import { reportTimeoutMs } from '../../reports/period.ts';
import { returnsColumns, returnsReport } from '../../reports/returns-report-store.ts';
import { isUuid } from '../../uuid.ts';
import type { App } from '../app-types.ts';
import { atClinic } from '../at-clinic.ts';
import type { AppDeps } from '../deps.ts';
import { ChannelName, Day, Id, nullable, Purpose, strict } from '../words.ts';

const query = {
  from: Type.Optional(Day),
  to: Type.Optional(Day),
  ruleId: Type.Optional(Type.String({ description: 'One rule alone.' })),
  format: Type.Optional(Type.Enum(['json', 'csv'], { description: 'Beats `Accept`.' })),
};

const Count = Type.Integer({ minimum: 0 });
const Replied = Type.Integer({
  minimum: 0,
  description: 'Those that a patient answered: by a reply, a tap or the form behind a link.',
});
const Decimal = Type.String({ description: 'A decimal.', examples: ['120.00'] });
const Counts = Type.Record(Type.String(), Count, { description: 'By reason.' });

const MessagesReport = Type.Object(
  {
    asOf: Type.String(),
    from: Type.String(),
    to: Type.String(),
    data: Type.Array(
      Type.Object({
        ruleId: nullable(Id),
        name: nullable(Type.String()),
        channel: nullable(ChannelName),
        purpose: nullable(Purpose),
        day: nullable(Type.String()),
        state: nullable(Type.String()),
        reason: nullable(Type.String()),
        messages: Count,
        replied: Replied,
        segments: Count,
        cost: Decimal,
        currency: Type.String(),
      }),
    ),
    totals: Type.Object({
      messages: Count,
      sent: Count,
      delivered: Count,
      replied: Replied,
      suppressed: Counts,
      held: Counts,
      segments: Count,
      cost: Decimal,
      currency: Type.String(),
    }),
  },
  {
    title: 'MessagesReport',
    description: 'What was sent, what it cost, and what was not sent and why.',
  },
);

const figures = {
  journeys: Count,
  messages: Count,
  delivered: Count,
  cost: Decimal,
  booked: Count,
  returned: Count,
  revenue: Decimal,
  roi: nullable(Type.Number()),
  open: Count,
  holdout: Count,
  holdoutReturned: Count,
  uplift: nullable(Type.Number()),
  upliftLow: nullable(Type.Number()),
  upliftHigh: nullable(Type.Number()),
  costPerAdditionalVisit: nullable(Decimal),
  currency: Type.String(),
};

const ReturnsReport = Type.Object(
  {
    asOf: Type.String(),
    from: Type.String(),
    to: Type.String(),
    data: Type.Array(Type.Object({ ruleId: Id, name: Type.String(), ...figures })),
    totals: Type.Object(figures),
  },
  { title: 'ReturnsReport', description: 'Who returned, and what it brought.' },
);

const timeout = { statementTimeoutMs: reportTimeoutMs };

export const reportRoutes = (deps: AppDeps) => async (app: App) => {
  app.get(
    '/v1/reports/messages',
    {
      config: { access: 'read' },
      handlerTimeout: reportTimeoutMs,
      schema: {
        operationId: 'reportMessages',
        tags: ['Reports'],
        summary: 'What was sent, what it cost, and what was not sent and why',
        produces: ['application/json', 'text/csv'],
        querystring: strict({
          ...query,
          by: Type.Optional(
            Type.String({
              maxLength: 100,
              description: `What to count by, of ${messageDimensions.join(', ')}, with commas; all if absent.`,
              examples: ['rule,channel'],
            }),
          ),
        }),
        response: { 200: MessagesReport },
      },
    },
    async (request, reply) => {
      const { clinic, now, run } = atClinic(deps, request);
      const { by, ...asked } = reportQuery(request.query);
      const wanted = { ...asked, ...(by !== undefined && { by: dimensionsOf(by) }) };
      const report = await run((trx) => messagesReport(trx, clinic, wanted, now), timeout);
      return wantsCsv(request)
        ? sendCsv(reply, 'messages', toCsv(messagesColumns, report.data))
        : report;
    },
  );

  app.get(
    '/v1/reports/returns',
    {
      config: { access: 'read' },
      handlerTimeout: reportTimeoutMs,
      schema: {
        operationId: 'reportReturns',
        tags: ['Reports'],
        summary: 'Who returned after a message, what it cost and what it brought',
        produces: ['application/json', 'text/csv'],
        querystring: strict(query),
        response: { 200: ReturnsReport },
      },
    },
    async (request, reply) => {
      const { clinic, now, run } = atClinic(deps, request);
      const asked = reportQuery(request.query);
      const report = await run((trx) => returnsReport(trx, clinic, asked, now), timeout);
      return wantsCsv(request)
        ? sendCsv(reply, 'returns', toCsv(returnsColumns, report.data))
        : report;
    },
  );
};

/** @throws AppError a 404 for what cannot name a rule. */
function reportQuery<Query extends { ruleId?: string; format?: string }>({
  format: _format,
  ...asked
}: Query): Omit<Query, 'format'> {
  if (asked.ruleId !== undefined && !isUuid(asked.ruleId)) throw notFound('rule');
  return asked;
}

function dimensionsOf(list: string) {
  return list.split(',').map((name) => {
    const known = messageDimensions.find((dimension) => dimension === name);
    if (known === undefined) {
      throw invalid('/by', 'not-allowed', `Count by ${messageDimensions.join(', ')}.`);
    }
    return known;
  });
}

function wantsCsv(request: FastifyRequest<{ Querystring: { format?: string } }>): boolean {
  const { format } = request.query;
  if (format !== undefined) return format === 'csv';
  return /^text\/csv\b/i.test(request.headers.accept ?? '');
}

function sendCsv(reply: FastifyReply, name: string, csv: string): never {
  // The typed reply knows of the JSON answer alone.
  return reply
    .headers({
      'content-disposition': `attachment; filename="${name}.csv"`,
      'x-content-type-options': 'nosniff',
    })
    .type('text/csv; charset=utf-8')
    .send(csv) as never;
}
