import { tickTestClinic } from '../rules/advance-test-clock.ts';
import type { App } from './app-types.ts';
import type { AppDeps } from './deps.ts';

/**
 * Only calls of the API drive a test clinic: a write there ends with a tick at its present instant, so
 * that its answer already shows what follows.
 */

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A POST that changes nothing, or that ticks by itself. */
    ticks?: false;
  }
}

const reading = new Set(['GET', 'HEAD', 'OPTIONS']);

export function addTestTicks(app: App, deps: AppDeps): void {
  app.addHook('onSend', async (request, reply, payload) => {
    const caller = request.callerOrNull;
    if (caller === null || caller.clinic.mode !== 'test' || reading.has(request.method)) {
      return payload;
    }
    if (reply.statusCode < 300 && request.routeOptions.config.ticks !== false) {
      await tickTestClinic(deps, caller.clinicId);
    }
    return payload;
  });
}
