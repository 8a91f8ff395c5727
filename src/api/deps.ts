import type { Clock } from '../clock.ts';
import type { Database, Db } from '../database/connect.ts';
import type { Log } from '../log.ts';
import type { Secrets } from '../secrets.ts';
import type { Callers } from './callers.ts';
import type { Health } from './health.ts';
import type { Metrics } from './metrics.ts';

/** All that routes reach the world by. */
export interface AppDeps {
  db: Db;
  engine: Database['engine'];
  clock: Clock;
  secrets: Secrets;
  log: Log;
  operatorKey: string;
  /** Where links and callbacks point, without a slash at its end. */
  publicUrl: string;
  privateUrls: 'allow' | 'deny';
  requestsPerSecond: number;
  trustProxy: readonly string[];
  callers: Callers;
  /** Lets a test clinic do what is due at its present instant. */
  tickTestClinic(clinicId: string): Promise<void>;
  health: Health;
  metrics: Metrics;
}
