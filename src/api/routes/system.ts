import { Type } from 'typebox';
import { readDatabaseClock } from '../../database/connect.ts';
import { countWaitingClinics } from '../../history/clinic-work-store.ts';
import type { App } from '../app-types.ts';
import type { AppDeps } from '../deps.ts';
import { isTicking } from '../health.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answered also when the service is overloaded. */
    isProbe?: boolean;
  }
}

const probe = { access: 'public', isProbe: true } as const;

const Health = Type.Object(
  { status: Type.Literal('ok') },
  { title: 'Health', description: 'The process answers.' },
);

const Readiness = Type.Object(
  {
    status: Type.Enum(['ready', 'not-ready']),
    database: Type.Boolean({ description: 'Whether the database answers.' }),
    ticking: Type.Boolean({ description: 'Whether a tick ended within the last 120 seconds.' }),
    stopping: Type.Boolean({ description: 'Whether the process is being stopped.' }),
  },
  { title: 'Readiness', description: 'Whether the process does its work.' },
);

export const systemRoutes = (deps: AppDeps) => async (app: App) => {
  app.get(
    '/healthz',
    {
      config: probe,
      schema: {
        operationId: 'getHealth',
        tags: ['System'],
        summary: 'Whether the process answers',
        response: { 200: Health },
      },
    },
    async () => ({ status: 'ok' as const }),
  );

  app.get(
    '/readyz',
    {
      config: probe,
      schema: {
        operationId: 'getReadiness',
        tags: ['System'],
        summary: 'Whether the process does its work',
        response: { 200: Readiness, 503: Readiness },
      },
    },
    async (_request, reply) => {
      const database = await isDatabaseThere(deps);
      const ticking = isTicking(deps.health);
      const stopping = deps.health.isStopping;
      const isReady = database && ticking && !stopping;
      reply.code(isReady ? 200 : 503);
      if (!isReady) reply.header('retry-after', '2');
      return {
        status: isReady ? ('ready' as const) : ('not-ready' as const),
        database,
        ticking,
        stopping,
      };
    },
  );

  app.get(
    '/metrics',
    {
      config: probe,
      schema: {
        operationId: 'getMetrics',
        tags: ['System'],
        summary: 'Counts and times for Prometheus',
        produces: ['text/plain'],
        response: { 200: Type.String({ description: 'The Prometheus text format.' }) },
      },
    },
    async (_request, reply) => {
      await countWork(deps);
      return reply
        .type(deps.metrics.registry.contentType)
        .send(await deps.metrics.registry.metrics());
    },
  );

  app.get(
    '/openapi.json',
    {
      config: { access: 'public' },
      schema: {
        operationId: 'getOpenApi',
        tags: ['System'],
        summary: 'This document',
        response: { 200: Type.Object({}, { description: 'OpenAPI 3.1.' }) },
      },
    },
    async () => app.swagger(),
  );
};

async function isDatabaseThere({ db }: AppDeps): Promise<boolean> {
  // Its answer is the question: why it does not answer is not told here.
  return readDatabaseClock(db).then(
    () => true,
    () => false,
  );
}

async function countWork({ db, clock, metrics }: AppDeps): Promise<void> {
  const counts = await countWaitingClinics(db, clock.now()).catch(() => null);
  // Without a database the other figures are still worth having.
  if (counts === null) return metrics.waitingClinics.reset();
  for (const [kind, count] of Object.entries(counts)) metrics.waitingClinics.set({ kind }, count);
}
