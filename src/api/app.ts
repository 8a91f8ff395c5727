import { readFileSync } from 'node:fs';
import path from 'node:path';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import underPressure from '@fastify/under-pressure';
import Fastify, { type FastifyBaseLogger, LogController } from 'fastify';
import { AppError } from '../errors.ts';
import type { App } from './app-types.ts';
import { addAuthentication } from './authenticate.ts';
import { addBodies, bodyBytesMax } from './bodies.ts';
import type { AppDeps } from './deps.ts';
import { addIdempotency } from './idempotency.ts';
import { addMethodAnswers } from './method-answers.ts';
import { addObservation } from './observe.ts';
import { describeApi } from './openapi.ts';
import { addProblems, refuseUnreadable, sendProblem } from './problem.ts';
import { callbackRoutes } from './routes/callbacks.ts';
import { channelRoutes } from './routes/channels.ts';
import { chatLinkRoutes } from './routes/chat-links.ts';
import { clinicRoutes } from './routes/clinics.ts';
import { digestRoutes } from './routes/digest.ts';
import { eventRoutes } from './routes/events.ts';
import { fhirRoutes } from './routes/fhir.ts';
import { keyRoutes } from './routes/keys.ts';
import { linkRoutes } from './routes/links.ts';
import { messageRoutes } from './routes/messages.ts';
import { objectRoutes } from './routes/objects.ts';
import { optOutRoutes } from './routes/opt-outs.ts';
import { ownClinicRoutes } from './routes/own-clinic.ts';
import { patientHistoryRoutes } from './routes/patient-history.ts';
import { patientRoutes } from './routes/patients.ts';
import { policyRoutes } from './routes/policies.ts';
import { recallRoutes } from './routes/recalls.ts';
import { reportRoutes } from './routes/reports.ts';
import { ruleRoutes } from './routes/rules.ts';
import { segmentRoutes } from './routes/segments.ts';
import { staffRoutes } from './routes/staff.ts';
import { systemRoutes } from './routes/system.ts';
import { taskRoutes } from './routes/tasks.ts';
import { templateRoutes } from './routes/templates.ts';
import { testModeRoutes } from './routes/test-mode.ts';
import { threadRoutes } from './routes/threads.ts';
import { webhookRoutes } from './routes/webhooks.ts';
import { addTestTicks } from './test-ticks.ts';
import { validatorCompiler } from './validate.ts';

/** The HTTP side of Retorno: what every request passes, then the routes, one file for each resource. */

const handlerTimeoutMs = 10_000;
/**
 * A socket is silent while its handler works, so this is longer than the longest may take: the move of a
 * clock or a preview. Who is slow to ask is ended sooner, by Node's time for headers and ours for bodies.
 */
const connectionTimeoutMs = 6 * 60_000;
const keepAliveTimeoutMs = 75_000;
const requestsPerSocketMax = 1_000;
const pathPartCharsMax = 800;
const pressureRetrySeconds = 2;
/** The embedded database works in this process's own thread, so that a busy thread is no overload: 0 is off. */
const eventLoopDelayMaxMs = { postgres: 3_000, pglite: 0 };

export async function buildApp(deps: AppDeps): Promise<App> {
  const log: FastifyBaseLogger = deps.log;
  const app: App = Fastify({
    loggerInstance: log,
    logController: new LogController({
      disableRequestLogging: true,
      requestIdLogLabel: 'requestId',
    }),
    requestIdHeader: false,
    trustProxy: deps.trustProxy.length > 0 ? [...deps.trustProxy] : false,
    bodyLimit: bodyBytesMax,
    // Bodies have a time-out of their own, since this one would also end a stream that still flows.
    requestTimeout: 0,
    connectionTimeout: connectionTimeoutMs,
    handlerTimeout: handlerTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    maxRequestsPerSocket: requestsPerSocketMax,
    return503OnClosing: true,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: pathPartCharsMax },
    frameworkErrors: sendProblem,
    clientErrorHandler: refuseUnreadable,
  }).withTypeProvider<TypeBoxTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  // What an answer holds is decided by the room that makes it; tests hold answers against their schemas.
  app.setSerializerCompiler(() => JSON.stringify);
  addProblems(app);
  addBodies(app);
  addObservation(app, deps);
  addMethodAnswers(app);
  await addPressure(app, deps);
  await addAuthentication(app, deps);
  addIdempotency(app, deps);
  addTestTicks(app, deps);
  await app.register(swagger, describeApi(version()));

  await app.register(systemRoutes(deps));
  await app.register(clinicRoutes(deps));
  await app.register(ownClinicRoutes(deps));
  await app.register(policyRoutes(deps));
  await app.register(keyRoutes(deps));
  await app.register(eventRoutes(deps));
  await app.register(fhirRoutes(deps));
  await app.register(objectRoutes(deps));
  await app.register(patientRoutes(deps));
  await app.register(patientHistoryRoutes(deps));
  await app.register(optOutRoutes(deps));
  await app.register(templateRoutes(deps));
  await app.register(ruleRoutes(deps));
  await app.register(chatLinkRoutes(deps));
  await app.register(recallRoutes(deps));
  await app.register(segmentRoutes(deps));
  await app.register(messageRoutes(deps));
  await app.register(channelRoutes(deps));
  await app.register(webhookRoutes(deps));
  await app.register(taskRoutes(deps));
  await app.register(threadRoutes(deps));
  await app.register(digestRoutes(deps));
  await app.register(staffRoutes(deps));
  await app.register(reportRoutes(deps));
  await app.register(testModeRoutes(deps));
  await app.register(linkRoutes(deps));
  await app.register(callbackRoutes(deps));

  await app.register(async (docs) => {
    docs.addHook('onRoute', (route) => {
      route.config = { ...route.config, access: 'public' };
    });
    await docs.register(swaggerUi, { routePrefix: '/docs' });
  });
  return app;
}

async function addPressure(app: App, deps: AppDeps): Promise<void> {
  await app.register(underPressure, {
    maxEventLoopDelay: eventLoopDelayMaxMs[deps.engine],
    pressureHandler: (request, _reply, _type, value) => {
      // Without a sample, after one long piece of work, nothing is known.
      if (request.routeOptions.config.isProbe || !Number.isFinite(value)) return;
      throw new AppError('unavailable', 'The service is overloaded.', {
        retryAfterSeconds: pressureRetrySeconds,
      });
    },
  });
}

function version(): string {
  const file = path.join(import.meta.dirname, '../../package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
