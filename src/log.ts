import pino, { type DestinationStream, type Logger } from 'pino';

/**
 * The log carries ids, codes and counts: an allow-list, since a list of what to leave out never ends.
 * Of an error it keeps the type, the code and the place; messages of the database repeat values.
 */

export type Log = Logger;

/** A field that is not listed here does not reach the log. */
const allowedFields = new Set([
  'attempt',
  'channel',
  'clinicId',
  'code',
  'count',
  'counts',
  'durationMs',
  'err',
  'error',
  'faultPoint',
  'job',
  'keyId',
  'kind',
  'messageId',
  'messages',
  'method',
  'migrations',
  'patientId',
  'port',
  'provider',
  'reason',
  'requestId',
  'role',
  'roles',
  'route',
  'ruleId',
  'skewMs',
  'state',
  'status',
  'url',
]);

export function createLog(level: string, stream?: DestinationStream): Log {
  const options: pino.LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: describeError },
    formatters: {
      level: (label) => ({ level: label }),
      log: onlyAllowed,
    },
    hooks: {
      logMethod(args, method) {
        // An error given alone would lend the line its message.
        if (args[0] instanceof Error) method.call(this, { err: args[0] }, 'An error.');
        else method.apply(this, args);
      },
    },
  };
  return withoutOtherBindings(stream ? pino(options, stream) : pino(options));
}

/** What a child carries along passes no formatter of its parent. */
function withoutOtherBindings(log: Log): Log {
  const { child } = log;
  log.child = function (this: Log, bindings: pino.Bindings, options?: object) {
    return child.call(this, onlyAllowed(bindings), options);
  } as typeof log.child;
  return log;
}

function onlyAllowed(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => allowedFields.has(name)));
}

const frameForm = /^\s+at /;
const framesMax = 8;

/** Where an error came from and of what kind, without a word it says. */
function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error };
  const { code, constraint } = error as { code?: unknown; constraint?: unknown };
  const frames = (error.stack ?? '').split('\n').filter((line) => frameForm.test(line));
  return {
    type: error.name,
    ...((typeof code === 'string' || typeof code === 'number') && { code }),
    ...(typeof constraint === 'string' && { constraint }),
    at: frames.slice(0, framesMax).map((line) => line.trim()),
    ...(error.cause !== undefined && { cause: describeError(error.cause) }),
  };
}
