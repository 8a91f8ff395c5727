import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Clock, systemClock } from '../../src/clock.ts';
import type { CallbackFaults } from './poster.ts';

/**
 * What all simulators share: faults that are asked for, chance that can be repeated, and a clock that can
 * be moved.
 */

/** Shares between 0 and 1 where no unit is named; true is 1. */
export interface Faults {
  latencyMs?: number | [number, number];
  /** The message is taken, but so late that the caller has given up. */
  late?: number | boolean;
  lateMs?: number;
  /** The message is taken and the connection is cut before the answer. */
  acceptThenDropReply?: number | boolean;
  dropBeforeAccept?: number | boolean;
  http5xx?: number | boolean;
  /** The message is taken, and the answer says 502. */
  acceptThen5xx?: number | boolean;
  http429?: number | boolean;
  retryAfterSeconds?: number;
  /** The message is taken, and the answer cannot be read. */
  garbageBody?: number | boolean;
  callbackDelayMs?: number | [number, number];
  callbackDuplicate?: number | boolean;
  callbackReorder?: number | boolean;
  callbackBadSignature?: number | boolean;
  callbackOldTimestamp?: number | boolean;
  /** Only for so many calls that send; then all is well again. */
  times?: number;
}

type Knob = Exclude<
  keyof Faults,
  'latencyMs' | 'lateMs' | 'callbackDelayMs' | 'retryAfterSeconds' | 'times'
>;

export interface SimulatorOptions {
  port?: number;
  seed?: number;
  clock?: Clock;
  /** False: no limits on how often something is asked or sent. */
  limits?: boolean;
}

export interface Control {
  set(faults: Faults): void;
  /** Whether that fault strikes a call back now. */
  strikes(knob: Knob): boolean;
  callbackFaults(): CallbackFaults;
  random(): number;
  nowMs(): number;
  advance(ms: number): void;
  /** Whether a fault has answered, before the message is taken. Not the reply: awaiting one waits for it. */
  before(request: FastifyRequest, reply: FastifyReply): Promise<boolean>;
  /** The same after it was taken. */
  after(request: FastifyRequest, reply: FastifyReply): boolean;
}

/** What a provider says who is asked too much; by default as SendGrid does. */
export type TooMany = (retryAfterSeconds: number | undefined) => object;

const tooManyDefault: TooMany = () => ({ errors: [{ message: 'too many requests', field: null }] });

export function createControl(
  options: SimulatorOptions,
  tooMany: TooMany = tooManyDefault,
): Control {
  const clock = options.clock ?? systemClock;
  const random = seededRandom(options.seed ?? 1);
  const faultsOf = new WeakMap<FastifyRequest, Faults>();
  let faults: Faults = {};
  let offsetMs = 0;

  const strikes = (knob: Knob, among: Faults = faults) => {
    const share = Number(among[knob] ?? 0);
    return share > 0 && random() < share;
  };
  const pick = (range: number | [number, number] | undefined) => {
    if (range === undefined || typeof range === 'number') return range ?? 0;
    return range[0] + random() * (range[1] - range[0]);
  };
  /** A call keeps the faults of its start, and uses up one of their times. */
  const takeFaults = () => {
    const mine = faults;
    if (mine.times !== undefined) {
      faults = mine.times > 1 ? { ...mine, times: mine.times - 1 } : {};
    }
    return mine;
  };

  return {
    set: (asked) => {
      faults = asked;
    },
    strikes: (knob) => strikes(knob),
    callbackFaults: () => ({
      delayMs: pick(faults.callbackDelayMs),
      isTwice: strikes('callbackDuplicate'),
      isOutOfOrder: strikes('callbackReorder'),
    }),
    random,
    nowMs: () => clock.now().epochMilliseconds + offsetMs,
    advance: (ms) => {
      offsetMs += ms;
    },
    before: async (request, reply) => {
      const mine = takeFaults();
      faultsOf.set(request, mine);
      await pause(strikes('late', mine) ? (mine.lateMs ?? 0) : pick(mine.latencyMs));
      if (strikes('dropBeforeAccept', mine)) {
        cut(request, reply);
        return true;
      }
      if (strikes('http429', mine)) {
        const after = mine.retryAfterSeconds;
        if (after !== undefined) reply.header('retry-after', String(after));
        reply.code(429).send(tooMany(after));
        return true;
      }
      if (!strikes('http5xx', mine)) return false;
      reply.code(503).send('Service Unavailable');
      return true;
    },
    after: (request, reply) => {
      const mine = faultsOf.get(request);
      if (strikes('acceptThenDropReply', mine)) cut(request, reply);
      else if (strikes('acceptThen5xx', mine)) reply.code(502).send('Bad Gateway');
      else if (strikes('garbageBody', mine)) {
        reply.code(200).type('text/html').send('<html><body>{"id":');
      } else return false;
      return true;
    },
  };
}

function cut(request: FastifyRequest, reply: FastifyReply): void {
  reply.hijack();
  request.raw.socket.destroy();
}

function pause(ms: number): Promise<void> | undefined {
  if (ms <= 0) return undefined;
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Mulberry32: small, and the same numbers for the same seed. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** The levers of a simulator over HTTP, for whoever runs it as a process. */
export function addControlRoutes(
  app: FastifyInstance,
  provider: string,
  levers: {
    control: Control;
    messages: () => readonly object[];
    clear: () => void;
  },
): void {
  const at = `/__sim/${provider}`;
  app.get(`${at}/messages`, async () => {
    const data = levers.messages();
    return { total: data.length, data };
  });
  app.delete(`${at}/messages`, async (_request, reply) => {
    levers.clear();
    return reply.code(204).send();
  });
  app.post<{ Body: Faults }>(`${at}/faults`, async (request, reply) => {
    levers.control.set(request.body);
    return reply.code(204).send();
  });
  app.post<{ Body: { advanceMs: number } }>(`${at}/clock`, async (request) => {
    levers.control.advance(request.body.advanceMs);
    return { nowMs: levers.control.nowMs() };
  });
}

/** Starts the app on the loopback and answers with its address. */
export async function listen(app: FastifyInstance, port: number | undefined): Promise<string> {
  return app.listen({ host: '127.0.0.1', port: port ?? 0 });
}
