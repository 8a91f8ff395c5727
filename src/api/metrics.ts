import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { DispatchResult } from '../outbox/dispatch.ts';
import type { Health } from './health.ts';

/** What this process counts. Labels are patterns and states, never an id, a name or an address. */
export interface Metrics {
  registry: Registry;
  requestSeconds: Histogram<'method' | 'route' | 'status'>;
  /** How messages ended up, as the dispatcher of this process saw it. */
  messages: Counter<'outcome'>;
  /** How often a rule was held because it would send far more than usual. */
  anomalies: Counter;
  /** How often this process put a channel to rest. */
  pauses: Counter<'reason'>;
  waitingClinics: Gauge<'kind'>;
  /** Calls to webhooks of hosts that this process made. */
  webhookCalls: Counter<'outcome'>;
}

const bucketsSeconds = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function createMetrics(health: Health): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix: 'retorno_' });
  new Gauge({
    name: 'retorno_tick_age_seconds',
    help: 'How long ago the last tick of this process ended; -1 before the first.',
    registers,
    collect() {
      this.set(health.tickAgeSeconds() ?? -1);
    },
  });
  return {
    registry,
    requestSeconds: new Histogram({
      name: 'retorno_http_request_seconds',
      help: 'How long requests took, by the pattern of their route.',
      labelNames: ['method', 'route', 'status'],
      buckets: bucketsSeconds,
      registers,
    }),
    messages: new Counter({
      name: 'retorno_messages_total',
      help: 'Messages the dispatcher of this process dealt with; what expired counts as suppressed.',
      labelNames: ['outcome'],
      registers,
    }),
    anomalies: new Counter({
      name: 'retorno_rule_anomalies_total',
      help: 'Rules that this process held because they would send far more than on a usual day.',
      registers,
    }),
    pauses: new Counter({
      name: 'retorno_channel_pauses_total',
      help: 'Times that a channel was put to rest, or found that it still must, since its provider refused the account, was away or asked to wait.',
      labelNames: ['reason'],
      registers,
    }),
    waitingClinics: new Gauge({
      name: 'retorno_clinics_waiting',
      help: 'Clinics whose work is due and not yet served, by kind of work.',
      labelNames: ['kind'],
      registers,
    }),
    webhookCalls: new Counter({
      name: 'retorno_webhook_calls_total',
      help: "Calls to hosts' webhooks: done, to be tried again, or given up.",
      labelNames: ['outcome'],
      registers,
    }),
  };
}

/** Adds up what a dispatcher's share of work came to. */
export function countShare(
  metrics: Pick<Metrics, 'messages' | 'anomalies' | 'pauses'>,
  { remaining: _remaining, anomalies, pauses, ...outcomes }: DispatchResult,
): void {
  metrics.anomalies.inc(anomalies);
  for (const reason of pauses) metrics.pauses.inc({ reason });
  for (const [outcome, count] of Object.entries(outcomes)) metrics.messages.inc({ outcome }, count);
}
