import type { App } from './app-types.ts';
import type { AppDeps } from './deps.ts';
import { routeOf } from './problem.ts';

/** One log line and one measurement for each answer, by the route's pattern: paths and queries hold ids. */

export function addObservation(app: App, { metrics }: AppDeps): void {
  app.addHook('onResponse', async (request, reply) => {
    const route = routeOf(request);
    const { method } = request;
    const status = reply.statusCode;
    const durationMs = Math.round(reply.elapsedTime * 1000) / 1000;
    metrics.requestSeconds.observe({ method, route, status: String(status) }, durationMs / 1000);
    const level = status < 400 ? 'debug' : 'info';
    const clinicId = request.callerOrNull?.clinicId;
    request.log[level]({ method, route, status, durationMs, clinicId }, 'Answered.');
  });
}
