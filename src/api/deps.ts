import { setTimeout as pause } from 'node:timers/promises';
import { type HttpClient, httpClient } from '../channels/http.ts';
import { findAdapter } from '../channels/registry.ts';
import type { Clock } from '../clock.ts';
import type { Database } from '../database/connect.ts';
import type { IntakeDeps } from '../intake/record-events.ts';
import type { Log } from '../log.ts';
import type { DispatchDeps, DispatchResult } from '../outbox/dispatch.ts';
import { createFaults } from '../outbox/fault.ts';
import type { DeliverDeps, DeliveryOutcome } from '../outbox/webhooks/deliver.ts';
import { serveDesk } from '../replies/serve-desk.ts';
import type { PlanDeps } from '../rules/plan.ts';
import type { Secrets } from '../secrets.ts';
import { type Callers, createCallers } from './callers.ts';
import { createHealth, type Health } from './health.ts';
import { countShare, createMetrics, type Metrics } from './metrics.ts';

/** All that routes and background roles reach the world by; made in one place, passed by argument. */
export interface AppDeps extends DispatchDeps, DeliverDeps, PlanDeps, IntakeDeps {
  engine: Database['engine'];
  log: Log;
  http: HttpClient;
  operatorKey: string;
  requestsPerSecond: number;
  trustProxy: readonly string[];
  /** The country where the database lies; null where nobody said. */
  dataRegion: string | null;
  callers: Callers;
  health: Health;
  metrics: Metrics;
  serveDesk: (clinicId: string, now: Temporal.Instant) => Promise<number>;
}

export interface DepsTerms {
  database: Pick<Database, 'db' | 'engine'>;
  clock: Clock;
  secrets: Secrets;
  log: Log;
  operatorKey: string;
  /** Where links and callbacks point, without a slash at its end. */
  publicUrl: string;
  privateUrls: 'allow' | 'deny';
  requestsPerSecond: number;
  trustProxy: readonly string[];
  dataRegion?: string | null;
  fault: { name: string; hit: number } | null;
  /** Whether this process runs a scheduler. */
  ticks: boolean;
}

export function createDeps({ database, privateUrls, fault, ticks, ...terms }: DepsTerms): AppDeps {
  const health = createHealth({ ticks });
  const metrics = createMetrics(health);
  const deps = {
    dataRegion: null,
    ...terms,
    ...database,
    http: httpClient({ allowPrivate: privateUrls === 'allow' }),
    findAdapter,
    faults: createFaults(fault),
    random: Math.random,
    monotonicMs: () => performance.now(),
    pause: (ms: number) => pause(ms),
    callers: createCallers(database.db),
    health,
    metrics,
    onShare: (share: DispatchResult) => countShare(metrics, share),
    onDelivery: (outcome: DeliveryOutcome) => metrics.webhookCalls.inc({ outcome }),
  };
  // Rules speak to the channels by the same means, and see the public URL once it is known.
  return Object.assign(deps, {
    channels: deps,
    serveDesk: (clinicId: string, now: Temporal.Instant) => serveDesk(deps, clinicId, now),
  });
}
